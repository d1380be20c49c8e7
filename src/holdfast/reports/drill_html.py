"""What a drill found as one self-contained HTML file: the verdict, a table for each target, and the controls.

Nothing is loaded from anywhere: the page's own policy forbids it. It works without scripts, by keyboard alone, on a
phone, in the dark and on paper.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.drill import DrillReport, Exercise
from holdfast.reports._drill_digest import Techniques, escaped, made, not_predicted, tally, worked
from holdfast.reports._drill_html_board import scoreboard
from holdfast.reports._drill_html_style import STYLE
from holdfast.reports._drill_told import (
    control_counts,
    control_word,
    head,
    tally_line,
    verdict_sentence,
    verdict_style,
)
from holdfast.reports._html_page import closed, opened
from holdfast.reports._html_text import listed, safe
from holdfast.reports._words import Words

MEDIA_TYPE = "text/html"


def render(report: DrillReport, *, techniques: Techniques | None = None, language: str = "en") -> bytes:
    """Write what a drill found as one HTML file.

    Args:
        report: The results.
        techniques: The catalogue by id, for the changes that end a way out and for what is none by itself. Without it
            no change is named, and whatever worked counts as an escape.
        language: Tag of a table in ``_words``.

    Returns:
        UTF-8. Equal reports give equal bytes.
    """
    return "".join(_page(report, Words(language), techniques or {})).encode("utf-8", "backslashreplace")


def _page(report: DrillReport, words: Words, techniques: Techniques) -> Iterator[str]:
    yield opened(words, title=words("drill.html.title"), skip=words("drill.html.skip"), target="targets", style=STYLE)
    yield from _header(report, words, techniques)
    yield "<main>\n"
    yield from _traces(report, words)
    yield f'<section>\n<h2 id="targets" tabindex="-1">{safe(words("drill.html.targets"))}</h2>\n'
    if not report.exercises:
        yield f"<p>{safe(words('drill.html.no_target'))}</p>\n"
    for exercise in report.exercises:
        yield (
            f'<article class="card target"><h3>{safe(exercise.name)} <span class="soft">{safe(exercise.kind)} '
            f'<span class="code">{safe(exercise.source)}</span></span></h3>\n'
            f"{scoreboard(exercise, words, techniques)}</article>\n"
        )
    yield "</section>\n"
    yield from _controls(report.controls, words, techniques)
    if report.notes:
        notes = listed(map(safe, report.notes), "facts card")
        yield f"<section>\n<h2>{safe(words('html.notes'))}</h2>\n{notes}</section>\n"
    yield closed(words, report.tool_version)


def _header(report: DrillReport, words: Words, techniques: Techniques) -> Iterator[str]:
    counted, out = tally(report), len(escaped(report.exercises, techniques))
    tiles = (
        ("escaped", "escapable", out),
        ("disagree", "unknown", len(counted.disagreements)),
        ("blocked", "contained", len(made(report.exercises)) - len(worked(report.exercises))),
    )
    sentence, colour = verdict_sentence(report, techniques, words), verdict_style(report, techniques)
    yield (
        f"<header>\n<h1>{safe(words('drill.html.heading'))}</h1>\n"
        f'<p class="soft">{safe(head(report, words), 0)}</p>\n'
        f'<p class="verdict {colour}">{safe(sentence, 0)}</p>\n<ul class="tiles">'
    )
    for name, colour, count in tiles:
        yield (
            f'<li class="tile {colour}"><b>{count}</b><strong>{safe(words(f"drill.html.tile.word.{name}"))}</strong> '
            f'<span class="soft">{safe(words(f"drill.html.tile.{name}"))}</span></li>'
        )
    yield f'</ul>\n<p class="soft">{safe(tally_line(report, words), 0)}</p>\n</header>\n'


def _traces(report: DrillReport, words: Words) -> Iterator[str]:
    if report.stopped:
        yield f'<p class="trouble">{safe(words("drill.stopped", text=report.stopped))}</p>\n'
    if not report.changed and not report.left:
        return
    yield f'<section class="loud">\n<h2>{safe(words("drill.html.traces"))}</h2>\n'
    for key, entries in (("changed", report.changed), ("left", report.left)):
        if entries:
            yield f"<p><b>{safe(words(f'drill.{key}'))}</b></p>{listed(map(safe, entries))}"
    yield "</section>\n"


def _controls(controls: tuple[Exercise, ...], words: Words, techniques: Techniques) -> Iterator[str]:
    if not controls:
        return
    yield (
        f"<section>\n<h2>{safe(words('drill.html.controls'))}</h2>\n"
        f'<p class="soft">{safe(words("drill.html.controls.about"))}</p>\n'
    )
    for control in controls:
        word, style = control_word(control, words)
        shown = " open" if not_predicted(control) else ""
        yield (
            f'<details class="more control"{shown}><summary><span class="badge {style}">{safe(word)}</span>'
            f'<h3>{safe(control.name)}</h3> <span class="soft">{safe(control_counts(control, words))}</span></summary>'
            f"<div>{scoreboard(control, words, techniques)}</div></details>\n"
        )
    yield "</section>\n"
