"""One small value for three trades: a mitigation, a patch, an attacker's gain."""

from __future__ import annotations

from collections.abc import Iterable
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
class Change:
    """Set a fact to a value, or edit the collection it holds.

    Attributes:
        fact: What changes.
        value: The new value, or a ``With`` / ``Without`` edit of the present one.
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
    """Return what a fact holds after the change's value was applied to what it held before."""
    if isinstance(value, With):
        return present.having(value.members) if isinstance(present, Editable) else Members.of(*value.members)
    if isinstance(value, Without):
        return present.lacking(value.members) if isinstance(present, Editable) else present
    return value


def applied(facts: Facts, changes: Iterable[Change], where: Where) -> Facts:
    """Return the facts as they are after the changes.

    Args:
        facts: The facts before.
        changes: Applied in order. ``Without`` on an unknown collection leaves it unknown but for the named members.
        where: The place that answers for the new values.
    """
    table = dict(facts.table)
    for change in changes:
        present = table.get(change.fact)
        if isinstance(present, Seen):
            new = edited(present.value, change.value)
            table[change.fact] = Seen(new, where, change.why, present.parts)
        elif isinstance(change.value, With):
            table[change.fact] = Seen(_partly(change, change.value.members, yes=True), where, change.why)
        elif isinstance(change.value, Without):
            table[change.fact] = Seen(_partly(change, change.value.members, yes=False), where, change.why)
        else:
            table[change.fact] = Seen(change.value, where, change.why)
    return Facts(table)


def _partly(change: Change, members: tuple[object, ...], *, yes: bool) -> object:
    """Build the collection that is known only as far as the change names its members."""
    if change.fact.kind is Paths:
        return Paths(tuple(str(member) for member in members), UNKNOWN) if yes else Paths()
    if yes:
        return Members(yes=frozenset(members), rest=UNKNOWN)
    return Members(no=frozenset(members), rest=UNKNOWN)
