"""One small value for three trades: a mitigation, a patch, an attacker's gain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import UNKNOWN
from holdfast.model.values import Editable, Members, Paths


@dataclass(frozen=True, slots=True)
class With:
    """Edit of a collection: these members are inside afterwards."""

    members: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Without:
    """Edit of a collection: these members are outside afterwards. For paths: nothing reaches them any more."""

    members: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Instead:
    """Edit of a list: one member takes the place of another. Where the old one is not inside nothing changes."""

    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Change:
    """Set a fact to a value, or edit the collection it holds.

    Attributes:
        fact: What changes.
        value: The new value, or a ``With`` / ``Without`` / ``Instead`` edit of the present one.
        why: What the change does, as a person reads it in a report.
    """

    fact: Fact[Any]
    value: object
    why: str


def with_(*members: object) -> With:
    """Name the members that a change adds."""
    return With(members)


def without(*members: object) -> Without:
    """Name the members that a change takes away."""
    return Without(members)


def edited(present: object, value: object) -> object:
    """Return what a fact holds after the change's value was applied to what it held before.

    A list keeps its order; what is added and not inside yet comes last. The same edit twice changes nothing more.
    """
    if isinstance(present, tuple) and isinstance(value, With | Without | Instead):
        return _list_edited(present, value)
    if isinstance(present, frozenset) and isinstance(value, With | Without):
        return present.union(value.members) if isinstance(value, With) else present.difference(value.members)
    if isinstance(value, Instead):
        return present
    if isinstance(value, With):
        return present.having(value.members) if isinstance(present, Editable) else Members.of(*value.members)
    if isinstance(value, Without):
        return present.lacking(value.members) if isinstance(present, Editable) else present
    return value


def applied(facts: Facts, changes: Iterable[Change], where: Where) -> Facts:
    """Return the facts as they are after the changes.

    Args:
        facts: The facts before.
        changes: Applied in order. ``Without`` on an unknown collection leaves it unknown but for the named members;
            an unknown list (a fact of kind ``tuple`` or ``frozenset``) stays unknown as a whole under any edit.
        where: The place that answers for the new values.
    """
    table = dict(facts.table)
    for change in changes:
        present = table.get(change.fact)
        if isinstance(present, Seen):
            new = edited(present.value, change.value)
            table[change.fact] = Seen(new, where, change.why, _moved(present.parts, change.value))
        elif isinstance(change.value, Instead) or (
            change.fact.kind in {tuple, frozenset} and isinstance(change.value, With | Without)
        ):
            continue
        elif isinstance(change.value, With):
            table[change.fact] = Seen(_partly(change, change.value.members, yes=True), where, change.why)
        elif isinstance(change.value, Without):
            table[change.fact] = Seen(_partly(change, change.value.members, yes=False), where, change.why)
        else:
            table[change.fact] = Seen(change.value, where, change.why)
    return Facts(table)


def _list_edited(present: tuple[object, ...], value: With | Without | Instead) -> tuple[object, ...]:
    if isinstance(value, With):
        return (*present, *(member for member in dict.fromkeys(value.members) if member not in present))
    if isinstance(value, Without):
        gone = _quick(value.members)
        return tuple(member for member in present if member not in gone)
    if value.new in present:
        return tuple(member for member in present if member != value.old or value.old == value.new)
    return tuple(value.new if member == value.old else member for member in present)


def _quick(members: tuple[object, ...]) -> Collection[object]:
    """Return the members as a set where they can be in one."""
    try:
        return frozenset(members) if len(members) > 1 else members
    except TypeError:
        return members


def _moved(parts: Mapping[object, Where], value: object) -> Mapping[object, Where]:
    """Let a member that took another's place keep the place it was read at."""
    if isinstance(value, Instead) and value.old in parts:
        return {**parts, value.new: parts[value.old]}
    return parts


def _partly(change: Change, members: tuple[object, ...], *, yes: bool) -> object:
    """Build the collection that is known only as far as the change names its members."""
    if change.fact.kind is Paths:
        return Paths(tuple(str(member) for member in members), UNKNOWN) if yes else Paths()
    if yes:
        return Members(yes=frozenset(members), rest=UNKNOWN)
    return Members(no=frozenset(members), rest=UNKNOWN)
