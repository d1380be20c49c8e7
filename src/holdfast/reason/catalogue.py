"""The catalogue made ready for judging: every condition compiled once, and indexed by the facts it asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from holdfast.model.change import Change
from holdfast.model.compiled import Test, compile_test
from holdfast.model.facts import Fact
from holdfast.model.logic import atoms
from holdfast.model.technique import Technique


@dataclass(frozen=True, slots=True)
class Entry:
    """One technique, ready to be tested.

    Attributes:
        technique: The technique.
        test: Its compiled condition.
        asks: Every fact the condition asks.
        goals: Goals (``reach.*``) it gives.
        opens: Other facts it changes, which may open further techniques.
    """

    technique: Technique
    test: Test
    asks: frozenset[Fact[Any]]
    goals: tuple[Fact[Any], ...]
    opens: tuple[Change, ...]


class Catalogue:
    """All techniques, ready to be tested.

    Attributes:
        entries: One for each technique.
        tests: The compiled conditions with their entries.
        asked: Every fact that any technique asks, in a fixed order.
    """

    def __init__(self, techniques: Iterable[Technique]) -> None:
        """Compile every condition. Costs a few milliseconds, once."""
        self.entries: tuple[Entry, ...] = tuple(_entry(technique) for technique in techniques)
        self.tests: tuple[tuple[Test, Entry], ...] = tuple((entry.test, entry) for entry in self.entries)
        self.asked: tuple[Fact[Any], ...] = _in_order(frozenset().union(*(entry.asks for entry in self.entries)))
        asking: dict[Fact[Any], list[Entry]] = {}
        for entry in self.entries:
            for fact in entry.asks:
                asking.setdefault(fact, []).append(entry)
        self._asking = asking

    def asking(self, facts: Iterable[Fact[Any]]) -> tuple[Entry, ...]:
        """Return the techniques whose condition asks at least one of the facts, in catalogue order."""
        wanted = {entry.technique.id for fact in facts for entry in self._asking.get(fact, ())}
        return tuple(entry for entry in self.entries if entry.technique.id in wanted)


def _entry(technique: Technique) -> Entry:
    goals = tuple(change.fact for change in technique.gives if change.fact.subject == "reach")
    opens = tuple(change for change in technique.gives if change.fact.subject != "reach")
    asks = frozenset(atom.fact for atom in atoms(technique.exposed_when))
    return Entry(technique, compile_test(technique.exposed_when), asks, goals, opens)


def _in_order(facts: frozenset[Fact[Any]]) -> tuple[Fact[Any], ...]:
    return tuple(sorted(facts, key=lambda fact: fact.name))
