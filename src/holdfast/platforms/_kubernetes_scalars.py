"""What a scalar means to kubectl: go-yaml v2, then JSON, then typed fields.

go-yaml v2 types a plain scalar by YAML 1.1 with its own additions: ``yes``, ``on`` and ``y`` are true, ``010`` and
``0o10`` are 8, ``1e3`` is a number. The result becomes JSON, and the API server takes a boolean field from a JSON
boolean only; nothing turns the string "true" into one.

Source:
    resolve.go and decode.go of sigs.k8s.io/yaml/goyaml.v2; yaml.go of sigs.k8s.io/yaml.
"""

from __future__ import annotations

import re
from math import isinf
from typing import Any

from holdfast.model.tree import Scalar

_FIXED: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]([0-7]+)|0([0-7]+)|(0|[1-9][0-9]*))", re.ASCII)
_NUMERIC = frozenset("+-.0123456789")
_LONGEST = 64
"""No number of Kubernetes is longer; what is longer is kept as text."""
_TYPED = {"!!bool": bool, "!!int": int, "!!float": float, "!!null": type(None), "!!timestamp": str}

PLAIN_BOOLEANS = frozenset(("true", "false", "True", "False", "TRUE", "FALSE"))
"""Spellings that are a boolean to every YAML program."""

PLAIN_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
"""Spellings that are the same integer to every YAML program."""


def meaning(scalar: Scalar) -> Any:
    """Return what kubectl makes of a scalar: bool, int, float, str or None.

    Args:
        scalar: As written, or typed already (JSON).

    Returns:
        A float that is whole becomes an int, as Go's JSON encoder prints it.
    """
    if scalar.typed:
        value = scalar.value
        return int(value) if isinstance(value, float) and value.is_integer() else value
    tag = scalar.tag
    if not tag:
        return _plain(scalar.text) if scalar.plain else scalar.text
    if tag not in _TYPED:
        return scalar.text
    value = _plain(scalar.text)
    # go-yaml refuses a tag that the text does not bear out; a number may be widened to a float.
    return value if value.__class__ is _TYPED[tag] or (tag == "!!float" and value.__class__ is int) else scalar.text


def _plain(text: str) -> Any:
    if text in _FIXED:
        return _FIXED[text]
    if text[0] not in _NUMERIC or len(text) > _LONGEST:
        return text
    if text[0] == ".":
        return _number(text, text)
    digits = text.replace("_", "")
    match = _INTEGER.fullmatch(digits)
    if match:
        sign, hexadecimal, binary, octal, old_octal, decimal = match.groups()
        number = (
            int(decimal)
            if decimal
            else int(hexadecimal, 16)
            if hexadecimal
            else int(binary, 2)
            if binary
            else int(octal or old_octal, 8)
        )
        return -number if sign == "-" else number
    return _number(digits, text)


def _number(digits: str, text: str) -> float | int | str:
    """Read a decimal fraction; what is none, or too large for one, stays text."""
    if not _FLOAT.fullmatch(digits):
        return text
    number = float(digits)
    if isinf(number):
        return text
    return int(number) if number.is_integer() else number
