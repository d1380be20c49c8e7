"""Which changes end every path of one workload: all minimal sets of them, each proved by evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.model.change import Change, Without, applied, without
from holdfast.model.facts import Fact, Facts
from holdfast.model.place import Where
from holdfast.model.remedy import Fixes, FixSet, Goal, Remedy
from holdfast.model.report import Assessment
from holdfast.model.truth import YES
from holdfast.model.words import declared
from holdfast.model.workload import Workload
from holdfast.reason.assess import Judge
from holdfast.reason.effective.declared import from_declared
from holdfast.reason.minimal_sets import Enumeration, minimal_sets
from holdfast.reason.remedies.settling import settled, starts

_CHANGED = Where("after the change")


@dataclass(frozen=True, slots=True)
class Extent:
    """How far the search goes.

    Attributes:
        certain: Be content with the lesser goal from the beginning.
        most: Stop after so many sets; ``Fixes.bound`` says what that leaves open.
        budget: Stop after so many evaluations; the same.
    """

    certain: bool = False
    most: int = 24
    budget: int = 1000


@dataclass(frozen=True, slots=True)
class Ground:
    """What a workload is judged on.

    Attributes:
        judge: Judges it.
        around: Facts of host, engine, network and cluster.
        assumed: Answers to what nobody could see.
    """

    judge: Judge
    around: Facts = field(default_factory=Facts)
    assumed: Facts = field(default_factory=Facts)


def patched(facts: Facts, ground: Ground, remedies: Sequence[Remedy]) -> tuple[Facts, Facts]:
    """Make changes.

    Args:
        facts: ``declared.*`` of the workload.
        ground: What it is judged on.
        remedies: The changes, in any order.

    Returns:
        The declared facts as they are then, and the effective ones, with what was changed around the workload.
    """
    changes = _gathered(change for remedy in remedies for change in remedy.changes)
    inside = [change for change in changes if change.fact.subject == "declared"]
    outside = [change for change in changes if change.fact.subject != "declared"]
    asked = settled(facts, applied(facts, inside, _CHANGED)) if inside else facts
    around = applied(ground.around, outside, _CHANGED) if outside else ground.around
    effective = ground.assumed.joined(from_declared(asked, around))
    if outside:
        effective = Facts({**effective.table, **_only(around, outside).table})
    return asked, effective


def _gathered(changes: Iterable[Change]) -> list[Change]:
    """Take out of a list at once what several changes take out, and first: it is found under its own name then only."""
    gone: dict[Fact[Any], dict[object, None]] = {}
    others: list[Change] = []
    for change in changes:
        if isinstance(change.value, Without) and change.fact.kind is tuple:
            gone.setdefault(change.fact, {}).update(dict.fromkeys(change.value.members))
        else:
            others.append(change)
    return [*(Change(fact, without(*members), "taken out") for fact, members in gone.items()), *others]


def _only(around: Facts, changes: Sequence[Change]) -> Facts:
    return Facts({change.fact: around.table[change.fact] for change in changes if change.fact in around.table})


def assessed(workload: Workload, facts: Facts, ground: Ground, remedies: Sequence[Remedy]) -> Assessment:
    """Judge a workload with changes made."""
    return ground.judge.assess(workload, patched(facts, ground, remedies)[1])


def fixes(
    workload: Workload, facts: Facts, ground: Ground, remedies: Sequence[Remedy], extent: Extent = Extent()
) -> Fixes:
    """Find all minimal sets of changes after which no path is left.

    A path that hangs on something nobody could see counts too. Where no set of changes ends all of those, sets are
    looked for that end what is certain. A set that an engine would refuse to start counts as not enough.

    Args:
        workload: Which.
        facts: ``declared.*``.
        ground: What it is judged on.
        remedies: Changes that could be made (``reason/remedies``).
        extent: How far the search goes.
    """
    trials = 0
    before = assessed(workload, facts, ground, ())
    goals = [Goal.NOTHING_CERTAIN] if extent.certain else [Goal.CONTAINED]
    if not extent.certain and any(path.verdict is YES for path in before.paths):
        goals.append(Goal.NOTHING_CERTAIN)
    for goal in goals:
        found = _enumerated(facts, ground, remedies, goal, extent)
        trials += found.trials
        if found.sets or not found.complete:
            sets = tuple(_set(remedies, mask) for mask in found.sets)
            after = assessed(workload, facts, ground, sets[0].remedies) if sets else before
            return Fixes(goal, sets, found.complete, found.bound, tuple(remedies), after, trials)
    usable = _startable(facts, ground, remedies)
    return Fixes(None, (), True, 0, tuple(remedies), assessed(workload, facts, ground, usable), trials)


def _enumerated(facts: Facts, ground: Ground, remedies: Sequence[Remedy], goal: Goal, extent: Extent) -> Enumeration:
    certain = goal is Goal.NOTHING_CERTAIN
    startable = starts(facts)  # of what would not start as it is, nobody can say what would

    def too_little(mask: int) -> bool:
        chosen = [remedy for index, remedy in enumerate(remedies) if mask >> index & 1]
        asked, effective = patched(facts, ground, chosen)
        return (startable and not starts(asked)) or ground.judge.escapes(effective, certain=certain)

    turning = sum(1 << index for index, remedy in enumerate(remedies) if _may_turn(facts, ground, remedy))
    weights = [remedy.cost for remedy in remedies]
    return minimal_sets(weights, too_little, turning=turning, most=extent.most, budget=extent.budget)


def _may_turn(facts: Facts, ground: Ground, remedy: Remedy) -> bool:
    """Tell whether a change opens paths of its own, or keeps an engine from starting what it would start without."""
    if any(change.fact is declared.USER_NAMESPACE for change in remedy.changes):
        return True
    return starts(facts) and not starts(patched(facts, ground, (remedy,))[0])


def _set(remedies: Sequence[Remedy], mask: int) -> FixSet:
    chosen = [remedy for index, remedy in enumerate(remedies) if mask >> index & 1]
    chosen.sort(key=lambda one: (one.cost, one.name))
    return FixSet(tuple(chosen), sum(remedy.cost for remedy in chosen))


def _startable(facts: Facts, ground: Ground, remedies: Sequence[Remedy]) -> tuple[Remedy, ...]:
    """Return every change, or every one but the user namespace where an engine would refuse that."""
    if starts(patched(facts, ground, remedies)[0]) or not starts(facts):
        return tuple(remedies)
    return tuple(remedy for remedy in remedies if remedy.name != "user namespace")
