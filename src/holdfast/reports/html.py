"""One self-contained HTML file: the escape graph drawn, every workload with its reasons, and what ends each way out.

Nothing is loaded from anywhere: the page's own policy forbids it. It works without scripts, by keyboard alone, on a
phone, in the dark and on paper.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.facts import Fact
from holdfast.model.logic import atoms
from holdfast.model.report import Assessment, Bearing, Report, Verdict
from holdfast.model.technique import Technique
from holdfast.reports._digest import assumed, by_host, counted, leads, worst_first
from holdfast.reports._html_graph import Group, graph, groups, left_out
from holdfast.reports._html_page import closed, opened
from holdfast.reports._html_style import STYLE
from holdfast.reports._html_text import arrow, listed, safe, technique_anchor, way_line
from holdfast.reports._html_workloads import workloads
from holdfast.reports._json_text import Write
from holdfast.reports._reasons import host_only, lead, options
from holdfast.reports._words import Words
from holdfast.reports.page import about, paragraphs

MEDIA_TYPE = "text/html"

_PIECE = 1 << 16
"""Characters that are written at once."""
_MOST_NAMES = 8
"""Names of a group spelled out in the graph's list."""


def render(report: Report, *, language: str = "en") -> bytes:
    """Write a report as one HTML file.

    Args:
        report: The report.
        language: Tag of a table in ``_words``.

    Returns:
        UTF-8. Equal reports give equal bytes.
    """
    found: list[bytes] = []
    render_to(report, found.append, language=language)
    return b"".join(found)


def render_to(report: Report, write: Write, *, language: str = "en") -> None:
    """Write a report as one HTML file in pieces, so that a large one never lies in memory as a whole.

    Args:
        report: The report.
        write: Takes each piece in turn.
        language: Tag of a table in ``_words``.
    """
    waiting: list[str] = []
    length = 0
    for text in _page(report, Words(language)):
        waiting.append(text)
        length += len(text)
        if length > _PIECE:
            write("".join(waiting).encode("utf-8", "backslashreplace"))
            waiting, length = [], 0
    write("".join(waiting).encode("utf-8", "backslashreplace"))


def _page(report: Report, words: Words) -> Iterator[str]:
    ordered = worst_first(report.assessments)
    yield opened(words, title=words("html.title"), skip=words("html.skip"), target="workloads", style=STYLE)
    yield from _header(report, words)
    yield "<main>\n"
    yield from _graph(report, groups(ordered), words)
    yield from _list(ordered, words)
    yield from _summed_up(report, words)
    yield from _edges(report, words)
    yield from _not_understood(report, words)
    yield from _notes(report, words)
    yield from _explained(ordered, words)
    yield closed(words, report.tool_version)


def _header(report: Report, words: Words) -> Iterator[str]:
    hosts = {assessment.host for assessment in report.assessments} or {report.host}
    named = ", ".join(sorted(hosts - {""}))
    against = (
        words("html.no_host") if not named else words("html.some_host" if "" in hosts else "html.host", host=named)
    )
    yield f'<header>\n<h1>{safe(words("html.heading"))}</h1>\n<p class="soft">{safe(against)}</p>\n<ul class="tiles">'
    for verdict, count in counted(report.assessments).items():
        yield (
            f'<li class="tile {verdict.value}"><b>{count}</b><strong>{safe(words.verdict(verdict))}</strong> '
            f'<span class="soft">{safe(words(f"html.verdict.{verdict.value}"))}</span></li>'
        )
    yield "</ul>\n</header>\n"


def _section(title: str, words: Words, name: str = "") -> str:
    anchor = f' id="{name}" tabindex="-1"' if name else ""
    return f"<section>\n<h2{anchor}>{safe(words(title))}</h2>\n"


def _graph(report: Report, found: list[Group], words: Words) -> Iterator[str]:
    yield _section("html.graph", words, "graph-title")
    drawn = graph(report, found, words)
    if not drawn:
        yield f"<p>{safe(words('html.graph.none'))}</p></section>\n"
        return
    yield f'<p class="soft drawn">{safe(words("html.graph.about"))}</p>\n'
    # The box scrolls on its own, so it must take the focus: arrow keys have to move it.
    label = safe(words("html.graph.scroll"))
    yield f'<div class="scroll drawn" role="region" tabindex="0" aria-label="{label}">{drawn}</div>\n'
    yield f'<ul class="chains card" aria-label="{safe(words("html.graph.list"))}">'
    for group in found:
        names = [
            f'<a href="#w{number}">{safe(assessment.workload.name)}</a>'
            for number, assessment in group.members[:_MOST_NAMES]
        ]
        if len(group.members) > _MOST_NAMES:
            names.append(safe(words("html.more", count=len(group.members) - _MOST_NAMES)))
        chains = "".join(way_line(way, words) for way in group.ways)
        if group.hidden:
            chains += f'<span class="soft">{safe(words("html.more", count=group.hidden))}</span>'
        yield f"<li>{', '.join(names)}{chains}</li>"
    yield "</ul>\n"
    if left_out(found):
        yield f'<p class="soft drawn">{safe(words("html.graph.left_out", count=left_out(found)))}</p>'
    yield "</section>\n"


def _list(ordered: list[Assessment], words: Words) -> Iterator[str]:
    yield _section("html.workloads", words, "workloads")
    if not ordered:
        yield f"<p>{safe(words('html.none'))}</p></section>\n"
        return
    counts = counted(ordered)
    yield f'<fieldset class="filter"><legend>{safe(words("html.filter"))}</legend>'
    yield _radio("all", f"{words('html.filter.all')} ({len(ordered)})", checked=True)
    for verdict in Verdict:
        yield _radio(verdict.value, f"{words.verdict(verdict)} ({counts[verdict]})", checked=False)
    yield "</fieldset>\n"
    shown = safe(words("html.shown", count="{count}"))
    yield (
        f'<div class="tools"><label class="hid" for="q">{safe(words("html.search"))}</label>'
        f'<input id="q" type="search" placeholder="{safe(words("html.search"))}" autocomplete="off">'
        f'<button type="button" id="open">{safe(words("html.expand"))}</button>'
        f'<button type="button" id="close">{safe(words("html.collapse"))}</button>'
        f'<span id="shown" class="soft" role="status" data-text="{shown}"></span></div>\n<ul class="list">\n'
    )
    yield from workloads(ordered, words)
    yield "</ul></section>\n"


def _radio(name: str, label: str, *, checked: bool) -> str:
    on = " checked" if checked else ""
    return f'<label><input type="radio" name="verdict" id="f-{name}" value="{name}"{on}>{safe(label)}</label>'


def _summed_up(report: Report, words: Words) -> Iterator[str]:
    hosts = by_host(report)
    needing, names = assumed(report)
    if not hosts and not needing:
        return
    yield _section("html.summed_up", words)
    for host, hanging in hosts.items():
        yield f"<p>{safe(host_only(host, hanging, words), 2000)}</p>"
        yield f'<p class="soft">{safe(", ".join(hanging), 4000)}</p>'
    if needing:
        yield f"<p>{safe(words.counted('assumption', len(needing), options=options(names, words)), 2000)}</p>"
        yield f'<p class="soft">{safe(", ".join(needing), 4000)}</p>'
    yield "</section>\n"


def _edges(report: Report, words: Words) -> Iterator[str]:
    entries = []
    for (start, verdict, techniques), ends in leads(report).items():
        first, names = lead(start, ends, words)
        through = safe(words("edge.through", techniques=", ".join(techniques))) if techniques else ""
        entries.append(
            f'<span class="way"><span class="step">{safe(first)}</span>{arrow(words)}'
            f'<span class="goal {verdict.word}">{safe(names, 2000)}</span> <span class="soft">{through}</span></span>'
        )
    if entries:
        yield _section("html.edges", words) + listed(entries, "facts card") + "</section>\n"


def _not_understood(report: Report, words: Words) -> Iterator[str]:
    if not report.not_understood:
        return
    yield _section("html.not_understood", words)
    yield f'<p class="soft">{safe(words("html.not_understood.about"))}</p>'
    entries = []
    for error in report.not_understood:
        line = f":{error.line}" if error.line and not error.where.endswith(f":{error.line}") else ""
        lines = [f"<b>{safe(error.what)}</b>"]
        lines += [f'<span class="code">{safe(error.where + line)}</span>'] if error.where else []
        lines += [safe(words("not_understood.next", next=error.next))] if error.next else []
        entries.append("<br>".join(lines))
    yield listed(entries, "facts card") + "</section>\n"


def _notes(report: Report, words: Words) -> Iterator[str]:
    notes = [safe(note) for note in report.notes]
    if report.baseline_left_out:
        notes.append(safe(words.counted("baseline", report.baseline_left_out)))
    if report.baseline_workloads:
        notes.append(safe(words.counted("baseline.workloads", report.baseline_workloads)))
    if notes:
        yield _section("html.notes", words) + listed(notes, "facts card") + "</section>\n"


def _explained(ordered: list[Assessment], words: Words) -> Iterator[str]:
    """Explain every way out that the page names, and every question that was asked."""
    techniques: dict[str, Technique] = {}
    asked: dict[str, Fact[object]] = {}
    for assessment in ordered:
        for finding in assessment.findings:
            if finding.bearing in {Bearing.PATH, Bearing.SURFACE} and finding.technique.id not in techniques:
                techniques[finding.technique.id] = finding.technique
                asked.update((atom.fact.name, atom.fact) for atom in atoms(finding.technique.exposed_when))
    if not techniques:
        return
    yield _section("html.explained", words)
    for _, technique in sorted(techniques.items()):
        yield (
            f'<details class="more"><summary><h3>{safe(technique.title)}</h3></summary>'
            f'<div id="{technique_anchor(technique.id)}"><dl class="about">'
        )
        yield "".join(f"<dt>{safe(name)}</dt><dd>{safe(value)}</dd>" for name, value in about(technique, words))
        yield "</dl>"
        yield "".join(f"<p>{safe(text, 0)}</p>" for text in paragraphs(technique.page))
        yield listed(_source(address) for address in technique.sources) + "</div></details>\n"
    yield f'<details class="more"><summary><h3>{safe(words("html.glossary"))}</h3></summary><div><dl>'
    for name, fact in sorted(asked.items()):
        yield f'<dt class="code">{safe(name)}</dt><dd>{safe(fact.doc, 0)}</dd>'
    yield "</dl></div></details>\n</section>\n"


def _source(address: str) -> str:
    text = safe(address, 0)
    return f'<a href="{text}" rel="noreferrer">{text}</a>' if address.startswith("https://") else text
