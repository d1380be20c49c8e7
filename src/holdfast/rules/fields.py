"""Falco's fields as facts: one object for one field with one argument, interned by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from holdfast.model.facts import Fact
from holdfast.rules.field_table import Kind, Row, rows

ANCESTORS = 100
"""Highest index of an ancestor that makes sense; Falco's own walk ends far earlier."""

_SPELLED = re.compile(r"([a-zA-Z][a-zA-Z0-9_]*(?:\.[a-zA-Z][a-zA-Z0-9_]*)+)(?:\[(.*)\])?", re.DOTALL)
_LABEL = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_./-]{0,300}")
_NUMBER = re.compile(r"[0-9]{1,9}")


class UnknownField(Exception):
    """Falco has no such field, or not with this argument.

    Attributes:
        what: One short sentence without a final stop.
    """

    def __init__(self, what: str) -> None:
        """Keep the sentence."""
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Field(Fact[Any]):
    """A field, asked with one argument or none.

    Attributes:
        row: What Falco says about the field.
        argument: The number or text in brackets or after the dot; empty where there is none.
        many: The answer is a tuple of answers: every ancestor, both ends of a socket, or a list.
    """

    row: Row
    argument: str
    many: bool


_known: dict[str, Field] = {}


def field(spelled: str) -> Field:
    """Return the fact for a field.

    Args:
        spelled: As in a rule: ``proc.name``, ``proc.aname[2]``, ``evt.arg.flags``, ``k8s.pod.label[app]``.

    Returns:
        The same object every time. A value of it, as the sensor answers it, is text, a number, a flag or bytes; a
        tuple of them where ``many`` is set. An address is the text that ``ipaddress`` prints, for a network too.

    Raises:
        UnknownField: Falco has no such field, or it takes no such argument.
    """
    found = _known.get(spelled)
    if found is None:
        parts = _SPELLED.fullmatch(spelled)
        if parts is None:
            raise UnknownField(f"{spelled[:80]!r} is not a field")
        found = field_with(parts[1], parts[2])
    return found


def field_with(name: str, argument: str | None) -> Field:
    """Return the fact for a field whose argument in brackets was read already.

    Args:
        name: What stands before the brackets.
        argument: What stands between them, None where there are none.

    Raises:
        UnknownField: As for ``field``.
    """
    spelled = name if argument is None else f"{name}[{argument}]"
    found = _known.get(spelled)
    if found is not None:
        return found
    row = rows().get(name)
    given = argument
    if row is None and argument is None:
        row, given = _dotted(name)
    if row is None:
        raise UnknownField(f"there is no field {name[:80]!r}")
    _check(row, given, bracketed=argument is not None)
    many = row.listed or row.ends or (row.lineage and given is None)
    made = Field(spelled, tuple if many else row.kind.type, f"Falco's field {row.name}.", row, given or "", many)
    return _known.setdefault(spelled, made)


def _dotted(name: str) -> tuple[Row | None, str | None]:
    """Split ``evt.arg.flags`` at the longest name that takes an argument after a dot."""
    table = rows()
    end = name.rfind(".")
    while end > 0:
        row = table.get(name[:end])
        if row is not None and row.dotted:
            return row, name[end + 1 :]
        end = name.rfind(".", 0, end)
    return None, None


def _check(row: Row, given: str | None, *, bracketed: bool) -> None:
    if given is None:
        if row.required:
            how = f"{row.name}.NAME" if row.dotted else f"{row.name}[ARGUMENT]"
            raise UnknownField(f"the field {row.name!r} needs an argument: {how}")
        return
    if not bracketed:
        return
    if not (row.index or row.key):
        how = f"; write {row.name}.{given[:40]}" if row.dotted else ""
        raise UnknownField(f"the field {row.name!r} takes no argument in brackets{how}")
    if row.index and not row.key and not _NUMBER.fullmatch(given):
        raise UnknownField(f"the argument of {row.name!r} must be a number, not {given[:40]!r}")
    if row.lineage and given.isdecimal() and int(given) > ANCESTORS:
        raise UnknownField(f"{row.name}[{given}] asks for an ancestor above number {ANCESTORS}")


def longest(text: str, start: int) -> tuple[Field, int] | None:
    """Read the longest field that stands in an output at this place.

    Args:
        text: The output.
        start: Where the field's name begins, after ``%`` and a width.

    Returns:
        The field and the place after it, or None where no field stands here.
    """
    word = _WORD.match(text, start)
    if word is None:
        return None
    for label in _LABELS:
        if text.startswith(label, start) and (found := _LABEL.match(text, start + len(label))):
            key = found[0].rstrip("./-")
            return field_with(label[:-1], key), start + len(label) + len(key)
    end = word.end()
    while end > start:
        name = text[start:end]
        row = rows().get(name)
        if row is not None and text[end : end + 1] == "[" and (row.index or row.key):
            close = text.find("]", end)
            if close > end + 1:
                try:
                    return field_with(name, text[end + 1 : close]), close + 1
                except UnknownField:
                    pass
        if _SPELLED.fullmatch(name):
            try:
                return field_with(name, None), end
            except UnknownField:
                pass
        end -= 1
    return None


_WORD = re.compile(r"[a-zA-Z][a-zA-Z0-9_.]{0,200}")
_LABELS = tuple(f"{row.name}." for row in rows().values() if row.key and row.dotted)
"""Fields whose argument after a dot may hold more than letters."""

__all__ = ["Field", "Kind", "UnknownField", "field", "field_with", "longest"]
