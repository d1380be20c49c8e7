"""What a report boils down to: order, counts, what carries a verdict, what to look at. Shared by every format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from holdfast.model.facts import Absent, Fact, Seen
from holdfast.model.logic import NEGATIVE, Atom, Op, spelled
from holdfast.model.place import Where
from holdfast.model.proof import Proof
from holdfast.model.report import Assessment, Bearing, EscapePath, Finding, Report, Verdict
from holdfast.model.truth import YES, Truth
from holdfast.model.values import Members, Paths
from holdfast.model.words import container, engine
from holdfast.model.words.reach import GOALS

_WEIGHT = {Verdict.ESCAPABLE: 0, Verdict.UNKNOWN: 1, Verdict.CONTAINED: 2}
_GOAL_RANK = {goal: rank for rank, goal in enumerate(GOALS)}


def worst_first(assessments: Iterable[Assessment]) -> list[Assessment]:
    """Order assessments for a reader: verdict, then what the first path reaches, then name and place."""
    return sorted(assessments, key=_weight)


def _weight(assessment: Assessment) -> tuple[int, int, int, str, str, int]:
    workload = assessment.workload
    first = assessment.paths[0] if assessment.paths else None
    return (
        _WEIGHT[assessment.verdict],
        len(GOALS) if first is None else _GOAL_RANK.get(first.reaches, len(GOALS)),
        0 if first is None else len(first.steps),
        workload.name,
        workload.source.document,
        workload.source.line,
    )


def counted(assessments: Iterable[Assessment]) -> dict[Verdict, int]:
    """Count the verdicts; every verdict is a key, worst first."""
    counts = dict.fromkeys(_WEIGHT, 0)
    for assessment in assessments:
        counts[assessment.verdict] += 1
    return counts


def of_bearing(assessment: Assessment, bearing: Bearing) -> list[Finding]:
    """Return the findings that weigh so, in the order of the assessment."""
    return [finding for finding in assessment.findings if finding.bearing is bearing]


def by_host(report: Report) -> dict[str, dict[str, Finding]]:
    """Return, for each host judged against, one finding for each technique that only the host decides, by id.

    The key is empty for what was judged without a host. Techniques are sorted.
    """
    found: dict[str, dict[str, Finding]] = {}
    for assessment in report.assessments:
        for finding in assessment.findings:
            if finding.bearing is Bearing.HOST_ONLY:
                found.setdefault(assessment.host, {}).setdefault(finding.technique.id, finding)
    return {host: dict(sorted(findings.items())) for host, findings in sorted(found.items())}


def assumed(report: Report) -> tuple[dict[str, Finding], list[str]]:
    """Return a finding for each technique that needs an assumption, by id, and the assumptions by short names."""
    found: dict[str, Finding] = {}
    for assessment in report.assessments:
        for finding in assessment.findings:
            if finding.bearing is Bearing.ASSUMPTION:
                found.setdefault(finding.technique.id, finding)
    facts = [entry.fact for entry in missing(found.values()) if entry.fact.subject == "assumed"]
    return dict(sorted(found.items())), [fact.name.partition(".")[2] for fact in facts]


def surface(report: Report) -> dict[str, int]:
    """Count, for each technique that only widens the attack surface, the workloads it is open to; by id."""
    found: dict[str, int] = {}
    for assessment in report.assessments:
        for finding in of_bearing(assessment, Bearing.SURFACE):
            found[finding.technique.id] = found.get(finding.technique.id, 0) + 1
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Way:
    """Paths of one workload that take the same steps with the same certainty, and differ only in what they reach."""

    steps: tuple[Finding, ...]
    reaches: tuple[Fact[Any], ...]
    verdict: Truth

    @property
    def unconfirmed(self) -> bool:
        """A step rests on knowledge that no drill has confirmed."""
        return not all(step.technique.confirmed for step in self.steps)


def ways(assessment: Assessment) -> list[Way]:
    """Return the ways out of a workload: the certain ones as its paths are ordered, then the uncertain ones.

    Of the uncertain ones those come first that hang on the fewest unseen facts: they are the likeliest, and soonest
    decided.
    """
    joined: dict[tuple[object, ...], list[EscapePath]] = {}
    for path in assessment.paths:
        joined.setdefault((path.verdict, *(step.technique.id for step in path.steps)), []).append(path)
    found = [Way(same[0].steps, tuple(path.reaches for path in same), same[0].verdict) for same in joined.values()]
    return sorted(found, key=lambda way: 0 if way.verdict is YES else len(missing(way.steps)))


def place(leaf: Proof) -> Where | None:
    """Return the place a leaf was read from: that of the very member it asks for, where that is known."""
    seen = leaf.seen
    if seen is None:
        return None
    if isinstance(seen, Absent):
        return seen.where
    return place_of(seen, reached(leaf)) if seen.parts else seen.where


def place_of(seen: Seen[Any], members: Iterable[object]) -> Where:
    """Return the place of the first of these members whose own place is known, else that of the whole answer."""
    if seen.parts:
        for member in members:
            found = seen.parts.get(member)
            if found is not None:
                return found
    return seen.where


def reached(leaf: Proof) -> tuple[object, ...]:
    """Return the members of a collection that answer a leaf; empty for other values."""
    if not isinstance(leaf.expr, Atom) or not isinstance(leaf.seen, Seen):
        return ()
    value, asked = leaf.seen.value, leaf.expr.value
    if isinstance(value, Paths):
        wanted = asked if isinstance(asked, tuple) else (asked,)
        search = _SEARCH.get(leaf.expr.op)
        return () if search is None else tuple(dict.fromkeys(item for p in wanted for item in search(value, str(p))))
    if leaf.expr.op in {Op.HAS, Op.LACKS} and isinstance(value, Members):
        return (asked,)
    return ()


_SEARCH: dict[Op, Callable[[Paths, str], tuple[str, ...]]] = {
    Op.COVERS: Paths.matching,
    Op.NOT_COVERS: Paths.matching,
    Op.BELOW: Paths.matching_below,
    Op.NOT_BELOW: Paths.matching_below,
}


def carrying(findings: Iterable[Finding]) -> list[Proof]:
    """Return the leaves that hold and carry these findings, each once, the telling ones first.

    A mount or a capability tells a person more than that no sandbox is in the way; of equals, what somebody wrote
    comes first and what a default says last.
    """
    leaves: dict[tuple[str, str, str], Proof] = {}
    for finding in findings:
        for leaf in finding.proof.carrying():
            if leaf.truth is YES:
                leaves.setdefault(_key(leaf), leaf)
    return sorted(leaves.values(), key=lambda leaf: (_dullness(leaf), _by_default(leaf)))


_TELLING = frozenset(
    {
        container.HOST_PATHS, container.HOST_PATHS_WRITABLE, container.HOST_PATHS_SUID, container.HOST_PATHS_SHARED,
        container.HOST_PATHS_PERMITTED, container.CAPABILITIES, container.SHARED_NAMESPACES, container.DEVICES,
        container.KERNEL_FILES_WRITABLE, container.PRIVILEGED, container.SERVICE_ACCOUNT_TOKEN,
        container.VOLUME_CLAIM_ON_HOST, container.LEAKED_HOST_FD, container.CGROUP_V1_ROOT, container.LXCFS_WRITABLE,
    }
)  # fmt: skip
"""Facts that are somebody's doing and name the hole."""
_DULL = frozenset(
    {container.SANDBOX, container.LSM_DENIES, container.USER_NAMESPACE, engine.NAME, engine.AUTHZ_PLUGINS}
)
"""Facts that are so in nearly every container."""


def _dullness(leaf: Proof) -> int:
    """Rank what a leaf tells: a hole, a circumstance, what is nearly always so, what is merely not in the way."""
    if not isinstance(leaf.expr, Atom):
        return 1
    fact = leaf.expr.fact
    if fact in _DULL:
        return 2
    if leaf.expr.op in NEGATIVE:
        return 3
    return 0 if fact in _TELLING else 1


def _by_default(leaf: Proof) -> int:
    """Rank by whose doing it is: written on a line, read elsewhere, taken from a default."""
    found = place(leaf)
    note = leaf.seen.note if isinstance(leaf.seen, Seen) else ""
    return (2 if note else 0) + (0 if found is not None and found.line else 1)


def _key(leaf: Proof) -> tuple[str, str, str]:
    atom = leaf.expr
    return (atom.fact.name, atom.op.name, spelled(atom.value)) if isinstance(atom, Atom) else ("", "", "")


@dataclass(slots=True)
class Missing:
    """A fact that nobody could see and that keeps verdicts from being decided.

    Attributes:
        fact: Which.
        reason: Why it was not seen; empty where nobody even looked.
        part: What was seen, where that does not suffice to decide.
        asked: The members of a collection that were asked for, each once.
        ways: How many findings hang on it.
    """

    fact: Fact[Any]
    reason: str = ""
    part: Seen[Any] | None = None
    asked: dict[object, None] = field(default_factory=dict)
    ways: int = 0


def missing(findings: Iterable[Finding]) -> list[Missing]:
    """Return the facts to look at, those that most findings hang on first, then by name."""
    found: dict[str, Missing] = {}
    for finding in findings:
        counted_here: set[str] = set()
        for leaf in finding.proof.missing():
            if not isinstance(leaf.expr, Atom):
                continue
            fact = leaf.expr.fact
            entry = found.setdefault(fact.name, Missing(fact))
            entry.ways += fact.name not in counted_here
            counted_here.add(fact.name)
            if isinstance(leaf.seen, Absent):
                entry.reason = entry.reason or leaf.seen.reason
            elif leaf.seen is not None:
                entry.part = entry.part or leaf.seen
                if leaf.expr.op in {Op.HAS, Op.LACKS}:
                    entry.asked[leaf.expr.value] = None
    return sorted(found.values(), key=lambda entry: (-entry.ways, entry.fact.name))


def nearest_first(found: Iterable[Way]) -> list[Missing]:
    """Return the facts to look at, those that would decide the first way first."""
    every = list(found)
    first = {entry.fact.name for entry in missing(every[0].steps)} if every else set()
    return sorted(missing(steps_of(every)), key=lambda entry: entry.fact.name not in first)


def steps_of(found: Iterable[Way]) -> list[Finding]:
    """Return the findings on these ways, each technique once, in their order."""
    steps: dict[str, Finding] = {}
    for way in found:
        for step in way.steps:
            steps.setdefault(step.technique.id, step)
    return list(steps.values())


def leads(report: Report) -> dict[tuple[str, Truth, tuple[str, ...]], list[str]]:
    """Gather the edges that do not end at a goal: what is left, how surely, through what; and where it leads to."""
    found: dict[tuple[str, Truth, tuple[str, ...]], list[str]] = {}
    for edge in report.edges:
        if not edge.end.startswith("reach."):
            found.setdefault((edge.start, edge.verdict, edge.techniques), []).append(edge.end)
    return found
