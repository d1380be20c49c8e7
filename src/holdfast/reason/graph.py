"""The whole machine as one graph: which container leads to which goal, and from there to which other container."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.model.report import Assessment, Edge
from holdfast.model.words import reach

_EVERYTHING_ON_THE_HOST = (reach.HOST_ROOT, reach.ENGINE_API)
"""Goals from which every other container of the same machine is reached."""

LIVE_KINDS = frozenset({"docker container", "process", "podman container", "container"})
"""Kinds of workloads that are known to run on one and the same machine."""


def edges(assessments: Sequence[Assessment]) -> tuple[Edge, ...]:
    """Draw the edges.

    Args:
        assessments: All workloads of one scan.

    Returns:
        For each workload and goal the surest, then shortest path as one edge; and from each goal that gives away the
        machine one edge to every other live workload, which that goal reaches without any further technique.
    """
    found: list[Edge] = []
    reached: dict[str, Edge] = {}
    for assessment in assessments:
        best: dict[str, Edge] = {}
        for path in assessment.paths:
            edge = Edge(
                assessment.workload.name,
                path.reaches.name,
                path.verdict,
                tuple(step.technique.id for step in path.steps),
            )
            known = best.get(edge.end)
            if known is None or (edge.verdict, -len(edge.techniques)) > (known.verdict, -len(known.techniques)):
                best[edge.end] = edge
        found.extend(best.values())
        if assessment.workload.kind in LIVE_KINDS:
            for giving in _EVERYTHING_ON_THE_HOST:
                if giving.name in best:
                    known = reached.get(giving.name)
                    if known is None or best[giving.name].verdict > known.verdict:
                        reached[giving.name] = best[giving.name]
    live = [assessment.workload.name for assessment in assessments if assessment.workload.kind in LIVE_KINDS]
    for goal, edge in reached.items():
        found.extend(Edge(goal, name, edge.verdict, ()) for name in live if name != edge.start)
    return tuple(found)
