"""Reasons in words: a leaf of a proof, the place of an answer, a chain of steps. Shared by the formats for people."""

from __future__ import annotations

from holdfast.model.facts import Absent, Seen
from holdfast.model.logic import Atom, Op
from holdfast.model.place import Where
from holdfast.model.proof import Proof
from holdfast.model.values import Paths
from holdfast.reports._digest import Missing, Way, reached
from holdfast.reports._plain import LONGEST, one_line
from holdfast.reports._values import human
from holdfast.reports._words import Words

_TELLING = frozenset({Op.ONE_OF, Op.AT_LEAST, Op.LESS_THAN, Op.STARTS_WITH, Op.ENDS_WITH, Op.CONTAINS, Op.IS_NOT})
"""Comparisons whose YES does not already say what was seen."""


_MOST_ENDS = 20
"""Containers named behind one goal."""


def asked(leaf: Proof | Atom, words: Words) -> str:
    """Spell a comparison: ``container.user_id is 0``."""
    atom = leaf.expr if isinstance(leaf, Proof) else leaf
    if not isinstance(atom, Atom):
        return ""
    return one_line(f"{atom.fact.name} {words(f'op.{atom.op.name}')} {human(atom.value, words)}")


def answered(leaf: Proof, words: Words) -> str:
    """Say what was seen, where the comparison that holds does not say it already; else nothing."""
    if not isinstance(leaf.expr, Atom) or not isinstance(leaf.seen, Seen):
        return ""
    if isinstance(leaf.seen.value, Paths):
        names = reached(leaf)
        same = names == (leaf.expr.value,)
        return "" if same or not names else words("value.through", value=human(names, words))
    if leaf.expr.op in _TELLING and not isinstance(leaf.seen.value, bool):
        return words("value.is", value=human(leaf.seen.value, words, leaf.expr.value, LONGEST // 2))
    return ""


def seen(leaf: Proof, words: Words) -> str:
    """Say what was seen, or why nothing was."""
    if isinstance(leaf.seen, Seen):
        wanted = leaf.expr.value if isinstance(leaf.expr, Atom) else None
        return words("seen", value=human(leaf.seen.value, words, wanted, LONGEST // 2))
    return not_seen(leaf.seen.reason if isinstance(leaf.seen, Absent) else "", words)


def not_seen(reason: str, words: Words) -> str:
    """Say that nobody saw it, and why where that is known."""
    return words("not_seen", reason=one_line(reason)) if reason else words("not_seen.bare")


def unseen(entry: Missing, words: Words) -> str:
    """Say why a fact to look at does not decide: it was not seen, or only in part."""
    if entry.part is None:
        return not_seen(entry.reason, words)
    return words("seen_in_part", value=human(entry.part.value, words, limit=LONGEST // 4))


def to_look_at(entry: Missing, words: Words) -> str:
    """Name a fact to look at, with the reason why it does not decide."""
    return f"{entry.fact.name} ({unseen(entry, words)})"


def spot(where: Where | None, words: Words) -> str:
    """Spell a place: ``file:line`` where there is a line, else ``document#pointer``."""
    return words("place.unknown") if where is None else one_line(str(where))


def goals(way: Way, words: Words) -> str:
    """Name what a way out reaches, the worst first."""
    return ", ".join(words.goal(goal) for goal in way.reaches)


def chain(way: Way, words: Words) -> str:
    """Spell a way out: ``remount-proc-sys -> core-pattern -> host root``."""
    arrow = f" {words('path.arrow')} "
    return arrow.join((*(one_line(step.technique.id) for step in way.steps), goals(way, words)))


def lead(start: str, ends: list[str], words: Words) -> tuple[str, str]:
    """Name what leads somewhere, and where: a workload by its name, a goal in words."""
    first = words.goal_named(start) if start.startswith("reach.") else start
    names = ", ".join(one_line(end, 80) for end in ends[:_MOST_ENDS])
    more = f", {words('html.more', count=len(ends) - _MOST_ENDS)}" if len(ends) > _MOST_ENDS else ""
    return one_line(first), names + more
