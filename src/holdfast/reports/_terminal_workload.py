"""One workload in the terminal's report: its line, its shortest way out, the evidence, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.facts import Seen
from holdfast.model.logic import AnyOf, Atom
from holdfast.model.proof import Proof
from holdfast.model.report import Assessment, Bearing, Contradiction, Verdict
from holdfast.model.truth import UNKNOWN, YES
from holdfast.reports._digest import Way, carrying, nearest_first, of_bearing, place, ways
from holdfast.reports._lines import Line, line
from holdfast.reports._plain import one_line
from holdfast.reports._reasons import asked, chain, goals, seen, spot, spot_from, to_look_at, told
from holdfast.reports._values import human
from holdfast.reports._words import Words

_MOST_FACTS = 4
"""Facts shown below a way out without ``verbose``, the telling ones first; one rests on three to eight."""
_MOST_WAYS = 4
"""Further ways named without ``verbose``."""
MOST_TO_LOOK_AT = 5
"""Unseen facts named for one workload."""


def block(
    assessment: Assessment, words: Words, widths: tuple[int, int], *, verbose: bool = False, like: str = ""
) -> Iterator[Line]:
    """Show one workload.

    Args:
        assessment: Its judgement.
        words: The language.
        widths: Columns that names and kinds are padded to.
        verbose: Show every way out with its whole proof.
        like: Name of a workload shown before that has the same ways out; the reasons are then not repeated.
    """
    workload = assessment.workload
    verdict = words.verdict(assessment.verdict)
    broad = max(len(words.verdict(each)) for each in Verdict)
    yield line(
        (verdict.ljust(broad), assessment.verdict.value),
        "  ",
        (one_line(workload.name).ljust(widths[0]), "name"),
        "  ",
        (one_line(workload.kind).ljust(widths[1]), "dim"),
        "  ",
        (spot(workload.source, words), "place"),
        hang=broad + 2,
    )
    found = ways(assessment)
    if verbose:
        for way in found:
            yield from _whole(way, words)
        wider = of_bearing(assessment, Bearing.SURFACE)
        if wider:
            ids = ", ".join(one_line(finding.technique.id) for finding in wider)
            yield line((words("surface", ids=ids), "dim"), indent=2)
    elif found and like:
        yield line((words("path.alike", name=one_line(like, 80), ways=chain(found[0], words)), "dim"), indent=2)
    elif found:
        yield from _shortest(found, workload.source.document, words)
        yield from _other(found, words)
    for contradiction in assessment.contradictions:
        yield _contradiction(contradiction, words)


def _headline(way: Way, words: Words) -> Line:
    parts: list[tuple[str, str]] = []
    for step in way.steps:
        parts += [(one_line(step.technique.id), "id"), (f" {words('path.arrow')} ", "")]
    parts.append((goals(way, words), "goal" if way.verdict is YES else "unknown"))
    if way.unconfirmed:
        parts.append((f"  [{words('mark.unconfirmed')}]", "mark"))
    return line(*parts, indent=2)


def _shortest(found: list[Way], document: str, words: Words) -> Iterator[Line]:
    """Show the first way with what carries it and what ends it."""
    way = found[0]
    yield _headline(way, words)
    leaves = carrying(way.steps)
    said: set[str] = set()
    for leaf in leaves[:_MOST_FACTS]:
        note = leaf.seen.note if isinstance(leaf.seen, Seen) and leaf.seen.note not in said else ""
        said.add(note)
        yield _leaf(leaf, note, document, words)
    if len(leaves) > _MOST_FACTS:
        yield line((words.counted("facts.more", len(leaves) - _MOST_FACTS), "dim"), indent=4)
    if way.verdict is UNKNOWN:
        yield from _look_at(found, words)
    why = next((change.why for step in way.steps for change in step.technique.closed_by), "")
    if why:
        yield line((words("fix", text=one_line(why)), "fix"), indent=2)


def _leaf(leaf: Proof, note: str, document: str, words: Words) -> Line:
    """Show a condition that holds: what it says, where it was read, and why it is so."""
    return line(
        told(leaf, words),
        "  ",
        (spot_from(place(leaf), document, words), "place"),
        (f"  ({one_line(note)})" if note else "", "dim"),
        indent=4,
    )


def _look_at(found: list[Way], words: Words) -> Iterator[Line]:
    entries = nearest_first(found)
    label = words("look_at")
    for number, entry in enumerate(entries[:MOST_TO_LOOK_AT]):
        head = label if number == 0 else " " * len(label)
        yield line((head, "unknown"), " ", to_look_at(entry, words), indent=2, hang=len(label) + 1)
    if len(entries) > MOST_TO_LOOK_AT:
        more = words.counted("facts.more", len(entries) - MOST_TO_LOOK_AT)
        yield line((more, "dim"), indent=len(label) + 3)


def _other(found: list[Way], words: Words) -> Iterator[Line]:
    """Name the other ways: those as certain as the first by their chains, the uncertain ones by id."""
    alike = [chain(way, words) for way in found[1:] if way.verdict is found[0].verdict]
    if alike:
        key = "path.more" if found[0].verdict is YES else "path.maybe"
        yield line((words(key, ways=_some(alike, "; ", words)), "dim"), indent=2)
    uncertain = [way for way in found if way.verdict is UNKNOWN] if found[0].verdict is YES else []
    if uncertain:
        ids = list(dict.fromkeys(one_line(way.steps[-1].technique.id) for way in uncertain))
        yield line((words("path.maybe", ways=_some(ids, ", ", words)), "dim"), indent=2)


def _some(names: list[str], separator: str, words: Words) -> str:
    shown = names[:_MOST_WAYS]
    if len(names) > _MOST_WAYS:
        shown.append(words("path.more_counted", count=len(names) - _MOST_WAYS))
    return separator.join(shown)


def _whole(way: Way, words: Words) -> Iterator[Line]:
    """Show a way with the proof of every step and every change that ends one."""
    yield _headline(way, words)
    for step in way.steps:
        yield line((one_line(step.technique.id), "id"), ": ", one_line(step.technique.title), indent=4)
        yield from _tree(step.proof, words, indent=6)
        for change in step.technique.closed_by:
            yield line((words("fix", text=one_line(change.why)), "fix"), indent=6)


def _tree(proof: Proof, words: Words, *, indent: int) -> Iterator[Line]:
    truth = (words.truth(proof.truth).ljust(8), proof.truth.word)
    if not isinstance(proof.expr, Atom):
        yield line(truth, words("join.any" if isinstance(proof.expr, AnyOf) else "join.all"), indent=indent)
        for part in proof.parts:
            yield from _tree(part, words, indent=indent + 2)
        return
    where = place(proof)
    note = proof.seen.note if isinstance(proof.seen, Seen) else ""
    yield line(
        truth,
        asked(proof, words),
        "  ",
        seen(proof, words),
        ("" if where is None else f"  {spot(where, words)}", "place"),
        (f"  ({one_line(note)})" if note else "", "dim"),
        indent=indent,
        hang=10,
    )


def _contradiction(contradiction: Contradiction, words: Words) -> Line:
    def said(entry: Seen[object]) -> str:
        return f"{human(entry.value, words)} ({spot(entry.where, words)})"

    text = words(
        "contradiction",
        fact=contradiction.fact.name,
        declared=said(contradiction.declared),
        effective=said(contradiction.effective),
    )
    return line((text, "mark"), indent=2)
