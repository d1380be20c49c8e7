"""Text that may hold anything, as text that every reader takes.

Strings from the kernel are bytes that may not be UTF-8; Python keeps such bytes as lone surrogates (PEP 383). No format
has a way to write these, and receivers drop the record or change it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

SURROGATE = re.compile("[\ud800-\udfff]")
_SPELLED = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4})")


def legible(text: str) -> str:
    r"""Spell what is not UTF-8: a byte as ``\xff``, half of a surrogate pair as ``\ud800``; the rest stays."""
    return SURROGATE.sub(_spelled, text) if SURROGATE.search(text) else text


def escaped(text: str) -> str:
    r"""Spell as ``legible`` does, with every backslash doubled, so that ``unescaped`` gives the text back."""
    return SURROGATE.sub(_spelled, text.replace("\\", "\\\\"))


def unescaped(text: str) -> str:
    """Give back what ``escaped`` was given."""
    return _SPELLED.sub(_meant, text)


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _meant(found: re.Match[str]) -> str:
    word = found[1]
    if word == "\\":
        return word
    return chr(int(word[1:], 16) + (0xDC00 if word[0] == "x" else 0))


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it, whatever a rule's field answered: nothing here may cost an alert.

    Returns:
        Mappings as dicts with text for keys, sequences and sets as lists, bytes as text with PEP 383's surrogates, an
        infinite number or none as text, and any other object as Python prints it.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "surrogateescape")
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(plain(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, frozenset | set):
        return sorted((plain(entry) for entry in value), key=repr)
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value)


def mapped(value: Any, change: Any) -> Any:
    """Return a plain value with every string in it, keys too, changed by a function."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): mapped(entry, change) for key, entry in value.items()}
    if isinstance(value, list):
        return [mapped(entry, change) for entry in value]
    return value
