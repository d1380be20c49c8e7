"""Escape paths: forward chaining over what each technique gives.

A technique may give a goal, or a fact that opens another technique (a writable /proc/sys opens core_pattern). A path
is minimal: without any one of its steps the goal is not reached, or not with the same certainty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from holdfast.model.change import applied
from holdfast.model.facts import Fact, Facts
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.report import Bearing, EscapePath, Finding
from holdfast.model.truth import NO, YES, Truth
from holdfast.model.words.reach import GOALS
from holdfast.reason.catalogue import Catalogue, Entry

_LONGEST = 4
"""Steps in a path. No known chain is longer; the bound keeps hostile plug-ins from exploding the search."""

_MOST_OPENERS = 8
"""Techniques that open others and are tried together, the certain ones first."""


def escape_paths(
    catalogue: Catalogue, facts: Facts, found: list[Finding], entries: Mapping[str, Entry]
) -> tuple[list[EscapePath], list[Finding]]:
    """Chain the findings of one workload to goals.

    Args:
        catalogue: The techniques.
        facts: Everything known about the workload and its surroundings.
        found: Findings in the present state, in catalogue order.
        entries: The catalogue entries of those findings, by technique id.

    Returns:
        The minimal paths, certain ones first, then those that a drill confirmed, then worst goal, then fewest steps;
        and the findings, with those that only a chain opens added, and those that give facts but lead nowhere marked
        as surface.
    """
    weighing = [finding for finding in found if finding.bearing is Bearing.PATH]
    if not weighing:
        return [], found
    candidates: list[EscapePath] = [
        EscapePath((finding,), goal, finding.verdict)
        for finding in weighing
        for goal in entries[finding.technique.id].goals
    ]
    openers = sorted(
        (finding for finding in weighing if entries[finding.technique.id].opens),
        key=lambda finding: -finding.verdict,
    )[:_MOST_OPENERS]
    if openers:
        candidates.extend(_chained(catalogue, facts, found, openers, entries))
    minimal = _minimal(candidates)
    return minimal, _with_chained(found, minimal, entries)


def _chained(
    catalogue: Catalogue,
    facts: Facts,
    found: list[Finding],
    openers: list[Finding],
    entries: Mapping[str, Entry],
) -> Iterable[EscapePath]:
    """Yield the paths that need at least one opening step before the last one, breadth first."""
    now = {finding.technique.id: finding.verdict for finding in found}
    available: dict[str, Entry] = {finding.technique.id: entries[finding.technique.id] for finding in openers}
    frontier: deque[tuple[tuple[Finding, ...], Facts]] = deque([((), facts)])
    explored: set[frozenset[str]] = {frozenset()}
    while frontier:
        steps, state = frontier.popleft()
        for entry in list(available.values()):
            ids = frozenset((*(step.technique.id for step in steps), entry.technique.id))
            if ids in explored:
                continue
            step = _finding(entry, state)
            followers = [] if step is None else _bettered(catalogue, entry, min(step.verdict, *_verdicts(steps)), now)
            if step is None or not followers:
                continue
            explored.add(ids)
            chain = (*steps, step)
            after = applied(state, entry.opens, Where(f"after {entry.technique.id}"))
            for follower in followers:
                last = None if follower.technique.id in ids else _finding(follower, after)
                verdict = min(last.verdict, *_verdicts(chain)) if last else NO
                if last is None or verdict <= now.get(follower.technique.id, NO):
                    continue
                yield from (EscapePath((*chain, last), goal, verdict) for goal in follower.goals)
                if follower.opens and len(available) < 2 * _MOST_OPENERS:
                    available.setdefault(follower.technique.id, follower)
            if len(chain) < _LONGEST - 1:
                frontier.append((chain, after))


def _verdicts(steps: tuple[Finding, ...]) -> tuple[Truth, ...]:
    return (YES, *(step.verdict for step in steps))


def _bettered(catalogue: Catalogue, entry: Entry, reachable: Truth, now: Mapping[str, Truth]) -> list[Entry]:
    """Return the techniques that this opener could still make more certain than they are without it."""
    asking = catalogue.asking(change.fact for change in entry.opens)
    return [follower for follower in asking if now.get(follower.technique.id, NO) < reachable]


def _finding(entry: Entry, state: Facts) -> Finding | None:
    truth = entry.test(state.table)
    if truth is NO:
        return None
    return Finding(entry.technique, truth, prove(entry.technique.exposed_when, state), Bearing.PATH)


def _minimal(candidates: Iterable[EscapePath]) -> list[EscapePath]:
    """Keep the paths of which no proper part reaches the same goal at least as surely; then order them."""
    kept: dict[tuple[frozenset[str], Fact[Any]], EscapePath] = {}
    for path in sorted(candidates, key=lambda path: (len(path.steps), -path.verdict)):
        ids = [step.technique.id for step in path.steps]
        whole = (frozenset(ids), path.reaches)
        if whole in kept:
            continue
        if any(
            (shorter := kept.get((frozenset(part), path.reaches))) is not None and shorter.verdict >= path.verdict
            for size in range(1, len(ids))
            for part in combinations(ids, size)
        ):
            continue
        kept[whole] = path
    order = {goal: rank for rank, goal in enumerate(GOALS)}
    return sorted(
        kept.values(),
        key=lambda path: (
            -path.verdict,
            not all(step.technique.confirmed for step in path.steps),
            order.get(path.reaches, len(order)),
            len(path.steps),
            _open_conditions(path),
        ),
    )


def _open_conditions(path: EscapePath) -> int:
    """Count what nobody could answer: of two paths that may be open, the one that hangs on less is told first."""
    return 0 if path.verdict is YES else sum(1 for step in path.steps for _ in step.proof.missing())


def _with_chained(found: list[Finding], paths: list[EscapePath], entries: Mapping[str, Entry]) -> list[Finding]:
    """Add the findings that only a chain opens; mark those that give facts but lead nowhere as surface."""
    on_path = {step.technique.id for path in paths for step in path.steps}
    listed: list[Finding] = []
    for finding in found:
        if finding.bearing is Bearing.PATH and finding.technique.id not in on_path:
            if entries[finding.technique.id].goals:
                listed.append(finding)  # a shorter path makes it needless, but it stands on its own
            else:
                listed.append(Finding(finding.technique, finding.verdict, finding.proof, Bearing.SURFACE))
        else:
            listed.append(finding)
    known = {finding.technique.id for finding in listed}
    best: dict[str, Finding] = {}
    for path in paths:
        for step in path.steps:
            if step.technique.id not in known and step.technique.id not in best:
                verdict: Truth = min(path.verdict, step.verdict)
                best[step.technique.id] = Finding(step.technique, verdict, step.proof, Bearing.PATH)
    return [*listed, *best.values()]
