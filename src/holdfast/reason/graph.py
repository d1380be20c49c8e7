"""The whole machine as one graph: which container leads to which goal, and from there to which other container."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.model.report import Assessment, Edge
from holdfast.model.words import reach
from holdfast.model.workload import Workload

_EVERYTHING_ON_THE_HOST = (reach.HOST_ROOT, reach.ENGINE_API)
"""Goals from which every other container of the same machine is reached."""

_RECORDED = "docker container"
"""A kind that a document may describe too: what ``docker inspect`` printed on some machine."""


def machine_of(workload: Workload) -> str:
    """Say on which machine a workload is known to run.

    Returns:
        Empty for what is only planned; ``here`` for what runs on this machine; for a container that ``docker inspect``
        described, the document: all containers in it ran on one machine.
    """
    kind, document = workload.kind, workload.source.document
    if kind == _RECORDED and not document.startswith("docker://"):
        return document
    return "here" if kind == "process" or kind.endswith(" container") else ""


def edges(assessments: Sequence[Assessment]) -> tuple[Edge, ...]:
    """Draw the edges.

    Args:
        assessments: All workloads of one scan.

    Returns:
        For each workload and goal the surest, then shortest path as one edge; and for each machine, from each goal
        that gives it away, one edge to every other workload there, which that goal reaches without any further
        technique.
    """
    found: list[Edge] = []
    reached: dict[tuple[str, str], Edge] = {}
    there: dict[str, list[str]] = {}
    for assessment in assessments:
        best = _best(assessment)
        found.extend(best.values())
        machine = machine_of(assessment.workload)
        if not machine:
            continue
        there.setdefault(machine, []).append(assessment.workload.name)
        for giving in _EVERYTHING_ON_THE_HOST:
            edge, known = best.get(giving.name), reached.get((machine, giving.name))
            if edge is not None and (known is None or edge.verdict > known.verdict):
                reached[machine, giving.name] = edge
    for (machine, goal), edge in reached.items():
        found.extend(Edge(goal, name, edge.verdict, ()) for name in there[machine] if name != edge.start)
    return tuple(dict.fromkeys(found))


def _best(assessment: Assessment) -> dict[str, Edge]:
    """Return the surest, then shortest path to each goal as an edge."""
    best: dict[str, Edge] = {}
    for path in assessment.paths:
        steps = tuple(step.technique.id for step in path.steps)
        edge = Edge(assessment.workload.name, path.reaches.name, path.verdict, steps)
        known = best.get(edge.end)
        if known is None or (edge.verdict, -len(steps)) > (known.verdict, -len(known.techniques)):
            best[edge.end] = edge
    return best
