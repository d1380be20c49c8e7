"""JSON as bytes: ASCII, compact, deterministic, and written piece by piece."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

Write = Callable[[bytes], object]

_dumps = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def encoded(value: object) -> bytes:
    """Write a plain value on one line.

    A file name that is not UTF-8 arrives with lone surrogates. JSON readers disagree about those, so they are spelled
    out as text; the surrogate pairs of an emoji pass through unharmed.
    """
    text = _dumps(value)
    if "\\ud" in text:
        text = _dumps(_without_surrogates(value))
    return text.encode("ascii")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(entry) for entry in value]
    return value


def write_list(entries: Iterable[dict[str, Any]], write: Write) -> None:
    """Write the elements of a list, one a line, and its closing bracket; the opening one is written already."""
    separator = b"\n"
    for entry in entries:
        write(separator + encoded(entry))
        separator = b",\n"
    write(b"]")
