"""JSON as bytes: ASCII, compact, deterministic, and written piece by piece."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

Write = Callable[[bytes], object]

_dumps = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def text_of(value: object) -> str:
    """Write a plain value on one line, in ASCII.

    A file name that is not UTF-8 arrives with lone surrogates. JSON readers disagree about those, so they are spelled
    out as text; the surrogate pairs of an emoji pass through unharmed.
    """
    text = _dumps(value)
    return _dumps(_without_surrogates(value)) if "\\ud" in text else text


def encoded(value: object) -> bytes:
    """Write a plain value on one line, as bytes."""
    return text_of(value).encode("ascii")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(entry) for entry in value]
    return value


def write_list(entries: Iterable[dict[str, Any] | str], write: Write) -> None:
    """Write the elements of a list, one a line, and its closing bracket; the opening one is written already.

    Args:
        entries: Plain values, or JSON text.
        write: Takes each piece in turn.
    """
    separator = b"\n"
    for entry in entries:
        write(separator + (entry.encode("ascii") if isinstance(entry, str) else encoded(entry)))
        separator = b",\n"
    write(b"]")
