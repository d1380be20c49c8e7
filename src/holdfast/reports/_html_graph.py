"""The escape graph as SVG: containers on the left, ways out in the middle, what is reached on the right.

Containers with the same ways out are one node, so that two hundred copies of one Deployment stay readable. The drawing
needs no script; its containers and ways out are links.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from holdfast.model.report import Assessment, Report, Verdict
from holdfast.model.truth import UNKNOWN, YES, Truth
from holdfast.model.words.reach import GOALS
from holdfast.reports._digest import Way, ways
from holdfast.reports._html_text import safe, technique_anchor
from holdfast.reports._plain import one_line
from holdfast.reports._words import Words

_MOST_GROUPS = 40
_MOST_CERTAIN, _MOST_UNCERTAIN = 8, 5
"""Ways drawn for one group; a privileged container has dozens, and all lead to the same place."""
_FEWEST_CERTAIN, _FEWEST_UNCERTAIN = 2, 1
_MOST_WAYS = 40
"""Ways drawn in all, as far as every group keeps its fewest: beyond, nobody can follow a line with the eye."""
_NODE_WIDTH, _NODE_HEIGHT, _GAP, _COLUMN_GAP, _HEAD = 224, 30, 10, 80, 32
_LETTERS = 29
"""Characters that fit a node at 13 pixels."""


@dataclass(slots=True)
class Group:
    """Workloads with the same ways out.

    Attributes:
        members: (number in the list below, workload's assessment).
        ways: Those that are drawn: the certain ones, or, where there is none, the uncertain ones.
        hidden: How many more there are.
    """

    members: list[tuple[int, Assessment]]
    ways: list[Way]
    hidden: int = 0


@dataclass(slots=True)
class _Node:
    key: str
    label: str
    about: str
    css: str
    link: str = ""
    group: str = ""
    column: int = 0
    rank: int = 0
    order: float = 0.0
    x: float = 0.0
    y: float = 0.0


@dataclass(slots=True)
class _Drawing:
    nodes: dict[str, _Node] = field(default_factory=dict)
    edges: dict[tuple[str, str], tuple[Truth, set[str]]] = field(default_factory=dict)

    def connect(self, start: str, end: str, verdict: Truth, group: str) -> None:
        """Join two nodes; a certain edge wins over an uncertain one."""
        known, groups = self.edges.get((start, end), (verdict, set()))
        self.edges[start, end] = (max(known, verdict), groups | {group})


def groups(ordered: Sequence[Assessment]) -> list[Group]:
    """Gather the workloads that have a way out by their ways, in the order of the list."""
    found: dict[tuple[object, ...], Group] = {}
    for number, assessment in enumerate(ordered):
        if assessment.verdict is Verdict.CONTAINED:
            continue
        every = ways(assessment)
        drawn = [way for way in every if way.verdict is YES] or [way for way in every if way.verdict is UNKNOWN]
        key = tuple((tuple(s.technique.id for s in way.steps), way.reaches, way.verdict) for way in drawn)
        group = found.setdefault(key, Group([], drawn, len(every) - len(drawn)))
        group.members.append((number, assessment))
    share = _MOST_WAYS // max(1, min(len(found), _MOST_GROUPS))
    for group in found.values():
        certain = bool(group.ways) and group.ways[0].verdict is YES
        fewest, most = (_FEWEST_CERTAIN, _MOST_CERTAIN) if certain else (_FEWEST_UNCERTAIN, _MOST_UNCERTAIN)
        shown = group.ways[: max(fewest, min(most, share))]
        group.hidden += len(group.ways) - len(shown)
        group.ways = shown
    return list(found.values())


def graph(report: Report, found: Sequence[Group], words: Words) -> str:
    """Draw the graph.

    Args:
        report: The report, for the edges from container to container.
        found: The groups, worst first. Those beyond the first forty are counted, not drawn.
        words: The language.

    Returns:
        An ``svg`` element; empty where there is nothing to draw.
    """
    drawing = _Drawing()
    for number, group in enumerate(found[:_MOST_GROUPS]):
        _add_group(drawing, f"g{number}", group, words)
    if not drawing.edges:
        return ""
    _add_others(drawing, report, words)
    used = sorted({node.column for node in drawing.nodes.values()})
    columns = [[node for node in drawing.nodes.values() if node.column == number] for number in used]
    height = _place(drawing, columns)
    width = len(columns) * _NODE_WIDTH + (len(columns) - 1) * _COLUMN_GAP + 4
    named = {0: "html.column.workloads", _GOALS: "html.column.goals", _OTHERS: "html.column.others"}
    titles = [words(named.get(number, "html.column.ways")) for number in used]
    heads = "".join(
        f'<text class="col" x="{column[0].x:g}" y="18">{safe(title)}</text>'
        for column, title in zip(columns, titles, strict=True)
    )
    body = heads + "".join(_edges(drawing)) + "".join(_shape(node) for node in drawing.nodes.values())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="group" aria-labelledby="graph-title" width="{width}" '
        f'height="{height:g}" viewBox="0 0 {width} {height:g}">{body}</svg>'
    )


_GOALS, _OTHERS = 1_000, 1_001
"""Columns of what is reached, and of what that leads to, before the number of columns is known."""


def _add_group(drawing: _Drawing, key: str, group: Group, words: Words) -> None:
    number, first = group.members[0]
    names = ", ".join(one_line(assessment.workload.name, 60) for _, assessment in group.members[:20])
    label = one_line(first.workload.name, 60)
    if len(group.members) > 1:
        label = f"{len(group.members)} x {label}"
        names = words("html.graph.group", count=len(group.members)) + ": " + names
    css = f"node {first.verdict.value}"
    drawing.nodes[key] = _Node(key, label, names, css, f"#w{number}", key, 0, number)
    for way in group.ways:
        before = key
        for depth, step in enumerate(way.steps, 1):
            node = drawing.nodes.setdefault(
                f"t:{step.technique.id}",
                _Node(f"t:{step.technique.id}", step.technique.id, step.technique.title, "node way-out",
                      "#" + technique_anchor(step.technique.id)),
            )  # fmt: skip
            node.column = max(node.column, depth)
            drawing.connect(before, node.key, way.verdict, key)
            before = node.key
        for goal in way.reaches:
            end = drawing.nodes.setdefault(
                f"r:{goal.name}",
                _Node(
                    f"r:{goal.name}",
                    words.goal(goal),
                    goal.doc,
                    f"goal {way.verdict.word}",
                    column=_GOALS,
                    rank=GOALS.index(goal) if goal in GOALS else len(GOALS),
                ),
            )
            if way.verdict is YES:
                end.css = "goal yes"
            drawing.connect(before, end.key, way.verdict, key)


def _add_others(drawing: _Drawing, report: Report, words: Words) -> None:
    """Add what a goal leads to: the other containers of the machine, as one node."""
    leading = [edge for edge in report.edges if f"r:{edge.start}" in drawing.nodes]
    names = sorted({one_line(edge.end, 60) for edge in leading})
    if not names:
        return
    label = words.counted("html.graph.others", len(names))
    drawing.nodes["o:"] = _Node("o:", label, ", ".join(names[:20]), "goal", column=_OTHERS)
    for edge in leading:
        key = f"r:{edge.start}"
        groups_there = {group for (_, end), (_, members) in drawing.edges.items() if end == key for group in members}
        if edge.verdict is YES:
            drawing.nodes["o:"].css = "goal yes"
        for group in groups_there:
            drawing.connect(key, "o:", edge.verdict, group)


def _place(drawing: _Drawing, columns: list[list[_Node]]) -> float:
    """Give every node its place: columns from the top, nodes ordered by the middle of what leads to them."""
    turn = {key: number for number, key in enumerate(drawing.nodes)}
    for number, column in enumerate(columns):
        if number:
            for node in column:
                before = [drawing.nodes[start].y for start, end in drawing.edges if end == node.key]
                node.order = sum(before) / len(before) if before else 0.0
        column.sort(key=lambda node: (node.rank, node.order, turn[node.key]))
        for row, node in enumerate(column):
            node.x = 2 + number * (_NODE_WIDTH + _COLUMN_GAP)
            node.y = _HEAD + row * (_NODE_HEIGHT + _GAP)
    return _HEAD + max(len(column) for column in columns) * (_NODE_HEIGHT + _GAP)


def _edges(drawing: _Drawing) -> Iterable[str]:
    for (start, end), (verdict, members) in sorted(drawing.edges.items(), key=lambda item: -item[1][0]):
        a, b = drawing.nodes[start], drawing.nodes[end]
        x1, y1 = a.x + _NODE_WIDTH, a.y + _NODE_HEIGHT / 2
        x2, y2 = b.x, b.y + _NODE_HEIGHT / 2
        bend = max(40.0, (x2 - x1) / 2)
        css = " ".join(["edge", verdict.word, *sorted(members)])
        yield f'<path class="{css}" d="M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"/>'


def _shape(node: _Node) -> str:
    label = node.label if len(node.label) <= _LETTERS else node.label[: _LETTERS - 1] + "…"
    middle = f'x="{node.x + 12:g}" y="{node.y + _NODE_HEIGHT / 2 + 4.5:g}"'
    inner = (
        f"<title>{safe(node.about)}</title>"
        f'<rect x="{node.x:g}" y="{node.y:g}" width="{_NODE_WIDTH}" height="{_NODE_HEIGHT}" rx="6"/>'
        f"<text {middle}>{safe(label)}</text>"
    )
    if not node.link:
        return f'<g class="{node.css}">{inner}</g>'
    group = f' data-group="{node.group}"' if node.group else ""
    return f'<a class="{node.css}" href="{safe(node.link)}"{group}>{inner}</a>'


def left_out(found: Sequence[Group]) -> int:
    """Count the groups that are not drawn."""
    return max(0, len(found) - _MOST_GROUPS)
