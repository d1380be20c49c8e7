"""Text that may hold anything, as text that every reader takes.

Strings from the kernel are bytes that may not be UTF-8; Python keeps such bytes as lone surrogates (PEP 383). No format
has a way to write these, and receivers drop the record or change it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
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


_dumps = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def json_text(value: Any) -> str:
    """Write a value as JSON on one line of ASCII, made ``plain`` and ``legible``."""
    try:
        text = _dumps(value)
    except (TypeError, ValueError):
        text = _dumps(value := plain(value))
    # Most alerts hold nothing odd, and walking through every string of each would cost more than all the rest.
    return _dumps(mapped(plain(value), legible)) if "\\ud" in text else text


def filled(value: Any) -> Any:
    """Return an object without its empty entries, at any depth: receivers index every key they get."""
    if isinstance(value, dict):
        kept = {}
        for key, entry in value.items():
            full = filled(entry) if isinstance(entry, dict | list | tuple) else entry
            if full or full == 0:  # a number or "no" says something
                kept[key] = full
        return kept
    if isinstance(value, list | tuple):
        return [filled(entry) for entry in value]
    return value


_UNSEEN = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
"""Control characters, the ends of a line that some readers know, and what is not UTF-8."""


def escaper(special: str) -> Callable[[str], str]:
    r"""Make a function that writes text on one line, so that what was meant can be told.

    Args:
        special: Characters of the format itself; a backslash is put before each, as before the backslash.

    Returns:
        A function: ``\n``, ``\r`` and ``\t`` for these; ``\x1b`` for another control character of ASCII, ``\xff`` for
        a byte that is not UTF-8; ``\u0085``, ``\u2028`` and the like for what else ends a line or is not shown.
    """
    search = re.compile(f"[\\\\{re.escape(special)}{_UNSEEN}]")
    return lambda text: search.sub(_written, text)


_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _written(found: re.Match[str]) -> str:
    character = found[0]
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return _spelled(found) if code > 0x7F else f"\\{character}"
