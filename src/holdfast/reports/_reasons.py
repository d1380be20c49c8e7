"""Reasons in words: a leaf of a proof, the place of an answer, a chain of steps. Shared by the formats for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.model.facts import Absent, Seen
from holdfast.model.logic import Atom, Op
from holdfast.model.place import Where
from holdfast.model.proof import Proof
from holdfast.model.report import Finding
from holdfast.model.truth import YES
from holdfast.model.values import Paths
from holdfast.model.words.container import LSM_DENIES
from holdfast.reports._digest import Missing, Way, missing, reached
from holdfast.reports._plain import LONGEST, one_line
from holdfast.reports._values import human
from holdfast.reports._words import Words

_TELLING = frozenset({Op.ONE_OF, Op.AT_LEAST, Op.LESS_THAN, Op.STARTS_WITH, Op.ENDS_WITH, Op.CONTAINS, Op.IS_NOT})
"""Comparisons whose YES does not already say what was seen."""


_MOST_HELD = 2
"""Paths named that lie in a mounted one."""
_MOST_ENDS = 20
"""Containers named behind one goal."""


def asked(leaf: Proof | Atom, words: Words) -> str:
    """Spell a comparison: ``container.user_id is 0``."""
    atom = leaf.expr if isinstance(leaf, Proof) else leaf
    if not isinstance(atom, Atom):
        return ""
    return one_line(f"{atom.fact.name} {words(f'op.{atom.op.name}')} {human(atom.value, words)}")


def told(leaf: Proof, words: Words) -> str:
    """Say in a sentence that a condition holds: ``CAP_SYS_ADMIN is held``; by its names where there is no sentence."""
    atom = leaf.expr
    if not isinstance(atom, Atom):
        return ""
    base = f"told.{atom.fact.name}.{atom.op.name}"
    keys = (f"{base}.{human(atom.value, words)}", *(() if atom.value is False else (base,)))
    key = next((key for key in keys if words.knows(key)), "")
    if leaf.truth is not YES or not isinstance(leaf.seen, Seen) or not key:
        extra = answered(leaf, words)
        return asked(leaf, words) + (f", {extra}" if extra else "")
    act = f"told.act.{atom.value}"
    wanted = words(act) if atom.fact is LSM_DENIES and words.knows(act) else human(atom.value, words)
    if not isinstance(leaf.seen.value, Paths):
        return one_line(words(key, value=wanted, seen=human(leaf.seen.value, words, atom.value), holds=""))
    names = reached(leaf)
    wide = Paths(tuple(map(str, names)))
    wished = map(str, atom.value if isinstance(atom.value, tuple) else (atom.value,))
    held = [path for path in wished if path not in names and wide.covers(path) is YES]
    holds = words("told.holds", names=", ".join(held[:_MOST_HELD])) if held else ""
    return one_line(words(key, value=wanted, seen=human(names, words), holds=holds))


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
    if entry.asked:
        names = human(tuple(map(str, entry.asked)), words, limit=LONGEST // 4)
        return words("not_seen.names", names=names)
    return words("seen_in_part", value=human(entry.part.value, words, limit=LONGEST // 4))


def to_look_at(entry: Missing, words: Words) -> str:
    """Name a fact to look at, with the reason why it does not decide."""
    return f"{entry.fact.name} ({unseen(entry, words)})"


def spot(where: Where | None, words: Words) -> str:
    """Spell a place: ``file:line`` where there is a line, else ``document#pointer``.

    What an engine answers over its socket stands on one line, so there the pointer says more.
    """
    if where is None:
        return words("place.unknown")
    return one_line(str(Where(where.document, where.pointer) if _answer_of_an_engine(where) else where))


def spot_from(where: Where | None, document: str, words: Words) -> str:
    """Spell a place for a reader who has just read the name of a document: in that one the line is enough."""
    if where is not None and where.document == document:
        if _answer_of_an_engine(where):
            return one_line(where.pointer) or spot(where, words)
        if where.line:
            return words("place.line", line=where.line)
    return spot(where, words)


def _answer_of_an_engine(where: Where) -> bool:
    return "://" in where.document


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


def host_only(host: str, hanging: Mapping[str, Finding], words: Words, most: int = 20) -> str:
    """Say how many ways only the host decides, and what to do about it.

    Args:
        host: The host judged against; empty where none was.
        hanging: One finding for each of these ways, by technique id.
        words: The language.
        most: Facts named; the others are counted.
    """
    if not host:
        return words.counted("host_only.no_host", len(hanging))
    names = [entry.fact.name for entry in missing(hanging.values())]
    facts = ", ".join(names[:most]) + (f", {words('html.more', count=len(names) - most)}" if len(names) > most else "")
    return words.counted("host_only.host", len(hanging), host=one_line(host), facts=facts)


def options(names: Iterable[str], words: Words) -> str:
    """Spell the options that answer assumptions."""
    return ", ".join(words("assumption.option", fact=name) for name in names)
