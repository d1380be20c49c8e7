"""Frozen records to plain JSON values and back, by their declared types: what is written can be read without loss.

A field becomes a key of the same name, an enum a stable word, a tuple and a set a list. A record that gets a field gets
a key, and the schema's test says so.
"""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from holdfast.model.errors import NotUnderstood

Record = TypeVar("Record")

_LONGEST_TOLD = 60
"""Characters of a wrong value that the error shows."""


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: records as objects, enums as words, tuples and sorted sets as lists."""
    if isinstance(value, Enum):
        return word(value)
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, frozenset):
        return sorted(plain(each) for each in value)
    if isinstance(value, str | int | float | NoneType):
        return value
    return {field.name: plain(getattr(value, field.name)) for field in fields(value)}


def word(value: Enum) -> str:
    """Return the stable word of an enum's member: its name in lower case, never the sentence it holds."""
    return value.name.lower()


def record(kind: type[Record], value: object, where: str) -> Record:
    """Read a record back.

    Args:
        kind: The record's class.
        value: What ``json`` made of the text. Keys that the class does not know are left alone: a later minor version
            may have added them.
        where: Where the value stands, for the error: ``$.exercises[0]``.

    Raises:
        NotUnderstood: A key is missing or holds something of another type.
    """
    if not isinstance(value, dict):
        raise _wrong("an object", value, where)
    return kind(
        **{name: _read(hint, _entry(value, name, where), f"{where}.{name}") for name, hint in _hints(cast("Any", kind))}
    )


def _entry(value: dict[str, object], name: str, where: str) -> object:
    if name not in value:
        raise NotUnderstood(f"the key {name!r} is missing", where, "write the file again with this version")
    return value[name]


@cache
def _hints(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind))


@cache
def _members(kind: type[Enum]) -> dict[str, Enum]:
    return {word(member): member for member in kind}


def _read(hint: Any, value: object, where: str) -> Any:
    origin = get_origin(hint)
    if origin is UnionType:
        (inner,) = (each for each in get_args(hint) if each is not NoneType)
        return None if value is None else _read(inner, value, where)
    if origin in {tuple, frozenset}:
        return _list(hint, value, where)
    if isinstance(hint, type) and issubclass(hint, Enum):
        if not isinstance(value, str) or value not in _members(hint):
            raise _wrong("one of " + ", ".join(_members(hint)), value, where)
        return _members(hint)[value]
    if hint in {str, int, bool}:
        # In Python true is a number; in JSON it is none.
        if type(value) is not hint:
            raise _wrong({str: "text", int: "a whole number", bool: "true or false"}[hint], value, where)
        return value
    if hint is float:
        return _number(value, where)
    return record(hint, value, where)


def _list(hint: Any, value: object, where: str) -> Any:
    if not isinstance(value, list):
        raise _wrong("a list", value, where)
    inner = get_args(hint)
    if get_origin(hint) is frozenset:
        return frozenset(_read(inner[0], each, f"{where}[{n}]") for n, each in enumerate(value))
    if inner[-1] is Ellipsis:
        return tuple(_read(inner[0], each, f"{where}[{n}]") for n, each in enumerate(value))
    if len(value) != len(inner):
        raise _wrong(f"a list of {len(inner)}", value, where)
    return tuple(_read(kind, each, f"{where}[{n}]") for n, (kind, each) in enumerate(zip(inner, value, strict=True)))


def _number(value: object, where: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if isfinite(number):
            return number
    raise _wrong("a number", value, where)


def _wrong(wanted: str, value: object, where: str) -> NotUnderstood:
    found = repr(value)
    found = found if len(found) <= _LONGEST_TOLD else f"{found[:_LONGEST_TOLD]}…"
    return NotUnderstood(f"expected {wanted}, found {found}", where, "write the file again with this version")
