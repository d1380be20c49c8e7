"""The list of workloads in the HTML report: verdict, ways out, reasons with places, and what ends them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from holdfast.model.facts import Seen
from holdfast.model.logic import AnyOf, Atom
from holdfast.model.proof import Proof
from holdfast.model.report import Assessment, Bearing, Contradiction, Finding
from holdfast.model.truth import UNKNOWN, YES
from holdfast.reports._digest import carrying, missing, of_bearing, place, steps_of, ways
from holdfast.reports._html_text import at, listed, safe, technique_anchor, truth_badge, way_line
from holdfast.reports._reasons import asked, seen, told, unseen
from holdfast.reports._values import human
from holdfast.reports._words import Words

_MOST_LEAVES = 20_000
"""Leaves of proofs written out in one page, worst workloads first; beyond, the page would take seconds to open."""
_FIRST_WAYS = 10
"""Ways out shown at once; the others open with one key."""
_MOST_CERTAIN, _MOST_UNCERTAIN = 40, 8
"""Findings of one workload with their reasons, the certain ones and those nearest to a decision."""


class _Room:
    """How many leaves of proofs the page can still take."""

    def __init__(self) -> None:
        self.left = _MOST_LEAVES

    def take(self, proof: Proof) -> bool:
        """Tell whether a proof is still written out, and count it."""
        if self.left > 0:
            self.left -= _leaves(proof)
            return True
        return False


def _leaves(proof: Proof) -> int:
    return sum(map(_leaves, proof.parts)) if proof.parts else 1


def workloads(ordered: Iterable[Assessment], words: Words) -> Iterator[str]:
    """Yield one list item for each workload.

    Args:
        ordered: Assessments, worst first.
        words: The language.
    """
    room = _Room()
    for number, assessment in enumerate(ordered):
        workload = assessment.workload
        find = f"{workload.name} {workload.image} {workload.source.document} {workload.kind}".lower()
        body = _body(assessment, words, room=room)
        head = _head(assessment, words)
        yield f'<li class="{assessment.verdict.value}" data-find="{safe(find)}">'
        if body:
            yield f'<details class="w"><summary>{head}</summary><div class="body" id="w{number}">{body}</div></details>'
        else:
            yield f'<div class="w plain" id="w{number}">{head}</div>'
        yield "</li>\n"


def _head(assessment: Assessment, words: Words) -> str:
    workload = assessment.workload
    found = ways(assessment)
    return (
        f'<span class="badge {assessment.verdict.value}">{safe(words.verdict(assessment.verdict))}</span>'
        f'<span class="who"><span class="name">{safe(workload.name)}</span> '
        f'<span class="soft">{safe(workload.kind)}</span></span>'
        f"{at(workload.source, words)}" + (way_line(found[0], words) if found else "")
    )


def _body(assessment: Assessment, words: Words, *, room: _Room) -> str:
    parts: list[str] = []
    found = ways(assessment)
    if len(found) > 1:
        parts.append(f"<h4>{safe(words('html.paths'))}</h4>")
        lines = [way_line(way, words) for way in found]
        parts.append(listed(lines[:_FIRST_WAYS]))
        if len(lines) > _FIRST_WAYS:
            more = safe(words("html.more", count=len(lines) - _FIRST_WAYS))
            parts.append(f"<details class='rest'><summary>{more}</summary>{listed(lines[_FIRST_WAYS:])}</details>")
    if found:
        if assessment.workload.image:
            image = f"{safe(words('html.image'))} <span class='code'>{safe(assessment.workload.image)}</span>"
            parts.append(f'<p class="soft">{image}</p>')
        parts.append(f"<h4>{safe(words('html.findings'))}</h4>")
        shown, hidden = _weighed(assessment)
        parts += [_finding(each, words, room=room) for each in shown]
        if hidden:
            parts.append(f'<p class="soft">{safe(words("html.more", count=hidden))}</p>')
    surface = of_bearing(assessment, Bearing.SURFACE)
    if surface:
        parts.append(f"<h4>{safe(words('html.surface'))}</h4>")
        parts.append(listed(_named(each, words) for each in surface))
    if assessment.contradictions:
        parts.append(f"<h4>{safe(words('html.contradictions'))}</h4>")
        parts.append(listed(_contradiction(each, words) for each in assessment.contradictions))
    return "".join(parts)


def _weighed(assessment: Assessment) -> tuple[list[Finding], int]:
    """Choose the findings to show with their reasons, in the order of the ways out; count the others."""
    found = of_bearing(assessment, Bearing.PATH)
    turn = {step.technique.id: number for number, step in reversed(list(enumerate(steps_of(ways(assessment)))))}
    found.sort(key=lambda finding: (-finding.verdict, turn.get(finding.technique.id, len(turn))))
    certain = [finding for finding in found if finding.verdict is YES]
    uncertain = [finding for finding in found if finding.verdict is UNKNOWN]
    shown = certain[:_MOST_CERTAIN] + uncertain[:_MOST_UNCERTAIN]
    return shown, len(found) - len(shown)


def _named(finding: Finding, words: Words) -> str:
    name = safe(finding.technique.id)
    link = f'<a href="#{technique_anchor(finding.technique.id)}">{name}</a>'
    return f"{truth_badge(finding.verdict, words)} {link} {safe(finding.technique.title)}"


def _finding(finding: Finding, words: Words, *, room: _Room) -> str:
    technique = finding.technique
    mark = "" if technique.confirmed else f' <span class="mark">{safe(words("mark.unconfirmed"))}</span>'
    parts = [f"<p>{_named(finding, words)}{mark}</p>", listed(_fact(leaf, words) for leaf in carrying([finding]))]
    if finding.verdict is UNKNOWN:
        entries = (
            f'<span class="code">{safe(entry.fact.name)}</span> <span class="soft">{safe(unseen(entry, words))}</span>'
            for entry in missing([finding])
        )
        parts.append(f'<div class="look"><b>{safe(words("html.look_at"))}</b>{listed(entries)}</div>')
    if technique.closed_by:
        fixes = listed(safe(change.why) for change in technique.closed_by)
        parts.append(f'<div class="fix"><b>{safe(words("html.closed_by"))}</b>{fixes}</div>')
    if room.take(finding.proof):
        tree = f'<ul class="tree">{_tree(finding.proof, words)}</ul>'
        parts.append(f"<details><summary>{safe(words('html.proof'))}</summary>{tree}</details>")
    return f'<div class="find">{"".join(parts)}</div>'


def _fact(leaf: Proof, words: Words) -> str:
    return f"{safe(told(leaf, words))} {at(place(leaf), words)}{_note(leaf)}"


def _note(leaf: Proof) -> str:
    note = leaf.seen.note if isinstance(leaf.seen, Seen) else ""
    return f' <span class="soft">({safe(note)})</span>' if note else ""


def _tree(proof: Proof, words: Words) -> str:
    badge = truth_badge(proof.truth, words)
    if not isinstance(proof.expr, Atom):
        joined = safe(words("join.any" if isinstance(proof.expr, AnyOf) else "join.all"))
        parts = "".join(_tree(part, words) for part in proof.parts)
        return f"<li>{badge} {joined}<ul>{parts}</ul></li>"
    where = place(proof)
    spotted = "" if where is None else " " + at(where, words)
    text = f'<span class="code">{safe(asked(proof, words))}</span> <span class="soft">{safe(seen(proof, words))}</span>'
    return f"<li>{badge} {text}{spotted}{_note(proof)}</li>"


def _contradiction(contradiction: Contradiction, words: Words) -> str:
    def said(entry: Seen[object]) -> str:
        return f'<span class="code">{safe(human(entry.value, words))}</span> {at(entry.where, words)}'

    sentence = words(
        "html.contradiction", declared=said(contradiction.declared), effective=said(contradiction.effective)
    )
    return f'<span class="code">{safe(contradiction.fact.name)}</span>: {sentence}'
