"""Judge one workload: which techniques are open, how much each weighs, and the one-word verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.logic import All, AnyOf, Atom, Expr
from holdfast.model.place import Where
from holdfast.model.proof import Proof, prove
from holdfast.model.report import Assessment, Bearing, Contradiction, EscapePath, Finding, Verdict
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.words import assumed, load
from holdfast.model.workload import Workload
from holdfast.reason.catalogue import Catalogue, Entry
from holdfast.reason.paths import escape_paths
from holdfast.reason.reference import YARDSTICKS

_NOT_ASSUMED = Where("nobody assumed it (--assume)")
_CACHE_LIMIT = 20_000
_NOBODY = Workload("", "", Where(""))


def _assumptions() -> dict[Fact[Any], Seen[Any] | Absent]:
    """Answer every assumption with "no"; a technique that is then shut needs the assumption."""
    return {fact: Seen(False, _NOT_ASSUMED) for fact in load().values() if fact.subject == assumed.HOST_USER.subject}


@dataclass(frozen=True, slots=True)
class _Planned:
    """One technique that is not shut: its truth, its weight, and a proof where all workloads share one."""

    entry: Entry
    truth: Truth
    bearing: Bearing
    shared: Proof | None


class Judge:
    """Judges workloads against one host.

    One judge serves a whole scan: what depends on the host alone is worked out once.
    """

    def __init__(self, catalogue: Catalogue, surroundings: Facts, host: str = "") -> None:
        """Prepare for one host.

        Args:
            catalogue: The techniques.
            surroundings: Facts that hold for every workload: host, engine, cluster, network, assumptions.
            host: The host's name, for the reports; empty where none was seen.
        """
        self.catalogue = catalogue
        self.host = host
        self.surroundings = surroundings
        self._unassumed = _assumptions()
        self._yardsticks = tuple(Facts({**surroundings.table, **stick.table}) for stick in YARDSTICKS)
        self._summaries: dict[str, Proof] = {}
        self._asked = catalogue.asked
        self._plans: dict[tuple[object, ...], tuple[_Planned, ...]] = {}
        self._eager = [entry for entry in catalogue.entries if entry.goals]
        self._openers = tuple(entry for entry in catalogue.entries if entry.opens)
        self._open: dict[tuple[object, ...], bool] = {}

    def assess(self, workload: Workload, facts: Facts, contradictions: tuple[Contradiction, ...] = ()) -> Assessment:
        """Judge one workload.

        Args:
            workload: Which.
            facts: Effective facts of the container; where they answer a word of the surroundings too, they win.
            contradictions: Between declared and effective state; passed on.

        Returns:
            The verdict with findings and minimal paths. ESCAPABLE needs a path of which every condition is YES.
        """
        whole = Facts({**self.surroundings.table, **facts.table})
        plan = self._plan(whole)
        found = [
            Finding(
                each.entry.technique,
                each.truth,
                each.shared or prove(each.entry.technique.exposed_when, whole),
                each.bearing,
            )
            for each in plan
        ]
        paths: list[EscapePath] = []
        if any(each.bearing is Bearing.PATH for each in plan):
            paths, found = escape_paths(
                self.catalogue, whole, found, {each.entry.technique.id: each.entry for each in plan}
            )
        if any(path.verdict is YES for path in paths):
            verdict = Verdict.ESCAPABLE
        elif paths:
            verdict = Verdict.UNKNOWN
        else:
            verdict = Verdict.CONTAINED
        return Assessment(workload, verdict, tuple(paths), tuple(found), contradictions, self.host)

    def escapes(self, facts: Facts, *, certain: bool = False) -> bool:
        """Tell whether a path is open: the same answer as from ``assess``, without proofs, and much sooner.

        Args:
            facts: Effective facts of the container, as for ``assess``.
            certain: Count only paths of which every condition is YES.
        """
        whole = Facts({**self.surroundings.table, **facts.table})
        table = whole.table
        unsure: list[Entry] = []
        for index, entry in enumerate(self._eager):
            truth = entry.test(table)
            if truth is YES:
                # whoever is open now will likely be open after the next small change too
                self._eager.insert(0, self._eager.pop(index))
                return True
            if truth is UNKNOWN:
                unsure.append(entry)
        answers = (certain, *[one.value if isinstance(one, Seen) else None for one in map(table.get, self._asked)])
        try:
            known = self._open.get(answers)
        except TypeError:  # as in _plan
            return self._weighs(whole, unsure, certain=certain)
        if known is None:
            if len(self._open) > _CACHE_LIMIT:
                self._open.clear()
            known = self._open[answers] = self._weighs(whole, unsure, certain=certain)
        return known

    def _weighs(self, whole: Facts, unsure: list[Entry], *, certain: bool) -> bool:
        """Tell whether a path is open where no single technique surely is one."""
        if not certain and any(self._bearing(entry, UNKNOWN, whole) is Bearing.PATH for entry in unsure):
            return True
        least = YES if certain else UNKNOWN
        if all(entry.test(whole.table) < least for entry in self._openers):
            return False
        paths = self.assess(_NOBODY, whole).paths
        return any(path.verdict >= least for path in paths)

    def _plan(self, whole: Facts) -> tuple[_Planned, ...]:
        """Say which techniques are not shut and how each weighs. The same answers make the same plan.

        Of a thousand manifests most answer alike, and only the places differ; those are in the proofs.
        """
        key = tuple([entry.value if isinstance(entry, Seen) else None for entry in map(whole.table.get, self._asked)])
        try:
            known = self._plans.get(key)
        except TypeError:  # an answer that cannot be hashed: a malformed document; judge it each time
            return self._planned(whole)
        if known is None:
            if len(self._plans) > _CACHE_LIMIT:
                self._plans.clear()
            known = self._plans[key] = self._planned(whole)
        return known

    def _planned(self, whole: Facts) -> tuple[_Planned, ...]:
        made: list[_Planned] = []
        for test, entry in self.catalogue.tests:
            truth = test(whole.table)
            if truth is NO:
                continue
            bearing = self._bearing(entry, truth, whole)
            shared = None
            if bearing is Bearing.HOST_ONLY or (bearing is Bearing.ASSUMPTION and self._open_to_all(entry)):
                shared = self._summed_up(entry)
            made.append(_Planned(entry, truth, bearing, shared))
        return tuple(made)

    def _open_to_all(self, entry: Entry) -> bool:
        """Tell whether the yardsticks need the same assumption, so that no workload is to blame."""
        return self._summed_up(entry).truth is UNKNOWN

    def _bearing(self, entry: Entry, truth: Truth, whole: Facts) -> Bearing:
        """Say how a technique that is not shut weighs on the verdict."""
        if not entry.goals and not entry.opens:
            return Bearing.SURFACE
        if truth is YES:
            return Bearing.PATH
        return self._weighed(entry, whole)

    def _weighed(self, entry: Entry, whole: Facts) -> Bearing:
        """Weigh an UNKNOWN: is it this workload's own, the host's, or a matter of assumption?"""
        without = {**whole.table}
        for fact, entry_ in self._unassumed.items():
            if not isinstance(without.get(fact), Seen):
                without[fact] = entry_
        if entry.test(without) is NO:
            return Bearing.ASSUMPTION
        own = frozenset(leaf.expr for leaf in prove(entry.technique.exposed_when, whole).missing())
        around = {fact: entry_ for fact, entry_ in whole.table.items() if fact.subject != "container"}
        for stick in YARDSTICKS:
            yardstick = Facts({**around, **stick.table})
            proof = prove(entry.technique.exposed_when, yardstick)
            if (
                proof.truth is UNKNOWN
                and own <= _granted(proof, own, yardstick)
                and not _worse(entry.technique.exposed_when, whole, yardstick)
            ):
                return Bearing.HOST_ONLY
        return Bearing.PATH

    def _summed_up(self, entry: Entry) -> Proof:
        """Prove a technique that only the host decides, for a yardstick: the same for every workload."""
        known = self._summaries.get(entry.technique.id)
        if known is None:
            tried = [prove(entry.technique.exposed_when, stick) for stick in self._yardsticks]
            known = next((proof for proof in tried if proof.truth is UNKNOWN), tried[-1])
            self._summaries[entry.technique.id] = known
        return known


def _worse(expr: Expr, whole: Facts, yardstick: Facts) -> bool:
    """Tell whether the workload fulfils a condition about the container that the yardstick does not fulfil.

    Where one alternative of several is enough and the yardstick has one already, a second one makes nothing worse.
    """
    if isinstance(expr, Atom):
        return (
            expr.fact.subject == "container"
            and prove(expr, whole).truth is YES
            and prove(expr, yardstick).truth is not YES
        )
    if isinstance(expr, AnyOf) and prove(expr, yardstick).truth is YES:
        return False
    parts = expr.parts if isinstance(expr, All | AnyOf) else ()
    return any(_worse(part, whole, yardstick) for part in parts)


def _granted(proof: Proof, own: frozenset[Expr], yardstick: Facts) -> frozenset[Expr]:
    """Return the open conditions that say nothing about a workload.

    Those are the ones that stay open for the yardstick, and those about the container that the yardstick fulfils: even
    if they turn out in the attacker's favour the workload is no worse than the yardstick.
    """
    open_there = frozenset(leaf.expr for leaf in proof.missing())
    fulfilled = (
        expr
        for expr in own - open_there
        if isinstance(expr, Atom) and expr.fact.subject == "container" and prove(expr, yardstick).truth is YES
    )
    return open_there.union(fulfilled)
