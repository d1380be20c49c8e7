"""Answers as they came in, with their shape checked: a malformed answer is no answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from holdfast.model.facts import NO_PARTS, Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import Truth
from holdfast.model.values import Members

Table = dict[Fact[Any], Seen[Any] | Absent]
T = TypeVar("T")

UNSAID = Where("nothing was said")
_ENOUGH = 4096
"""More elements than this are not looked at: no engine takes them, and the work must stay bounded."""


def text(facts: Facts, fact: Fact[str]) -> Seen[str] | None:
    """Return an answer that is text, or None."""
    entry = facts.table.get(fact)
    return entry if isinstance(entry, Seen) and isinstance(entry.value, str) else None


def flag(facts: Facts, fact: Fact[bool]) -> Seen[bool] | None:
    """Return an answer that is yes or no, or None."""
    entry = facts.table.get(fact)
    return entry if isinstance(entry, Seen) and isinstance(entry.value, bool) else None


def number(facts: Facts, fact: Fact[int]) -> Seen[int] | None:
    """Return an answer that is a number, or None."""
    entry = facts.table.get(fact)
    good = isinstance(entry, Seen) and isinstance(entry.value, int) and not isinstance(entry.value, bool)
    return entry if good and isinstance(entry, Seen) else None


def members(facts: Facts, fact: Fact[Members]) -> Seen[Members] | None:
    """Return an answer that is a set of names, or None."""
    entry = facts.table.get(fact)
    return entry if isinstance(entry, Seen) and isinstance(entry.value, Members) else None


def texts(facts: Facts, fact: Fact[Any]) -> Seen[tuple[str, ...]] | None:
    """Return an answer that is a tuple or set of texts, or None where a single element is none."""
    entry = facts.table.get(fact)
    if not isinstance(entry, Seen):
        return None
    value = entry.value
    if isinstance(value, tuple | frozenset) and len(value) <= _ENOUGH and all(isinstance(one, str) for one in value):
        return entry if isinstance(value, tuple) else Seen(tuple(sorted(value)), entry.where, entry.note, entry.parts)
    return None


def told_apart(names: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """Return the names that are known, and whether others stand among them that nobody could tell (in parentheses)."""
    known = tuple(name for name in names if not name.startswith("("))
    return known, len(known) < len(names)


def elements(facts: Facts, fact: Fact[Any], kind: type[T]) -> Seen[tuple[T, ...]] | None:
    """Return an answer that is a tuple of one kind of value, or None where a single element is another."""
    entry = facts.table.get(fact)
    if not isinstance(entry, Seen):
        return None
    value = entry.value
    if isinstance(value, tuple) and len(value) <= _ENOUGH and all(isinstance(one, kind) for one in value):
        return entry
    return None


def value(entry: Seen[T] | None) -> T | None:
    """Return the bare answer, or None."""
    return None if entry is None else entry.value


def places(*entries: Seen[Any] | None) -> Where:
    """Return the first place that is known."""
    for entry in entries:
        if entry is not None:
            return entry.where
    return UNSAID


def part(entry: Seen[Any], index: int, element: object) -> Where:
    """Return the place of one element of a collection.

    Args:
        entry: The collection. Its parts may be keyed by the element or by its index.
        index: Where the element stands in the collection.
        element: The element.
    """
    if entry.parts is NO_PARTS:
        return entry.where
    found = entry.parts.get(element)
    if found is None:
        found = entry.parts.get(index, entry.where)
    return found


def renamed(parts: Mapping[object, Where], names: Iterable[tuple[object, object]]) -> dict[object, Where]:
    """Return the places of members under the names they have afterwards."""
    return {new: parts[old] for old, new in names if old in parts}


def truth(entry: Seen[bool] | None) -> Truth:
    """Turn an answer into a truth; no answer is unknown."""
    return Truth.of(None if entry is None else entry.value)


def told(out: Table, absent: Absent, *facts: Fact[Any]) -> None:
    """Give several facts one reason for being unknown."""
    for fact in facts:
        out[fact] = absent
