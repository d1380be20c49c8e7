"""Facts that are worked out from other facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.model.facts import Absent, Fact, Seen
from holdfast.model.place import Where


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Derived(Fact[Any]):
    """A fact that nobody answers: its answer follows from others.

    Attributes:
        parts: The facts it follows from, in the order in which ``compute`` takes their answers. They may be derived.
        compute: From the bare answers of the parts to the answer; None where there is none. It may raise
            TypeError, AttributeError, ValueError or LookupError for an answer of a kind that it does not take;
            then there is no answer.
    """

    parts: tuple[Fact[Any], ...]
    compute: Callable[..., Any]


def entry(table: Mapping[Fact[Any], Seen[Any] | Absent], fact: Fact[Any]) -> Seen[Any] | Absent | None:
    """Look an answer up, or work it out.

    Args:
        table: Answers by fact.
        fact: Any fact, derived or not.

    Returns:
        The answer, at the place of its first part; or why there is none; None where nobody says anything.
    """
    if not isinstance(fact, Derived):
        return table.get(fact)
    found = [entry(table, part) for part in fact.parts]
    values = [one.value for one in found if isinstance(one, Seen)]
    if len(values) < len(found):
        return next((one for one in found if not isinstance(one, Seen)), None)
    value = computed(fact, values)
    where = next((one.where for one in found if isinstance(one, Seen)), Where(fact.name))
    return Absent("it cannot be worked out from what was seen", where) if value is None else Seen(value, where)


def bare(get: Callable[[Fact[Any]], Any], fact: Fact[Any]) -> Any:
    """Ask for a bare answer, or work it out.

    Args:
        get: From a fact that is not derived to its bare answer, None where there is none.
        fact: Any fact, derived or not.
    """
    if not isinstance(fact, Derived):
        return get(fact)
    values = [bare(get, part) for part in fact.parts]
    return None if any(value is None for value in values) else computed(fact, values)


def computed(fact: Derived, values: list[Any]) -> Any:
    """Work an answer out; None where the parts' answers are of a kind that gives none."""
    try:
        return fact.compute(*values)
    except (TypeError, AttributeError, ValueError, LookupError):
        return None
