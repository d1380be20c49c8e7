"""The scoreboard of a drill for a terminal: escapes first, then what the prediction had wrong, then what held.

In a pipe it is plain text without colour; sentences are unwrapped there, so that ``grep`` sees whole ones.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.drill import DrillReport, Exercise
from holdfast.reports._drill_block import block, escapes, scoreboard
from holdfast.reports._drill_digest import Techniques, not_predicted
from holdfast.reports._drill_told import (
    control_counts,
    control_word,
    head,
    tally_line,
    verdict_sentence,
    verdict_style,
)
from holdfast.reports._lines import Line, line, painted
from holdfast.reports._plain import one_line
from holdfast.reports._words import Words

MEDIA_TYPE = "text/plain"


def render(  # noqa: PLR0913 - each is one choice of the reader
    report: DrillReport,
    *,
    colour: bool,
    width: int,
    verbose: bool = False,
    techniques: Techniques | None = None,
    language: str = "en",
) -> bytes:
    """Write what a drill found for a person.

    Args:
        report: The results.
        colour: Write SGR colour sequences.
        width: Columns to wrap at; 0 does not wrap, which is right for a pipe.
        verbose: Show every attempt with every step and the kernel's answer, on controls too.
        techniques: The catalogue by id, for the changes that end a way out and for what is none by itself. Without it
            no change is named, and whatever worked counts as an escape.
        language: Tag of a table in ``_words``.

    Returns:
        UTF-8 text.
    """
    lines = _lines(report, Words(language), techniques or {}, width=width, verbose=verbose)
    return painted(lines, colour=colour, width=width)


def _lines(report: DrillReport, words: Words, techniques: Techniques, *, width: int, verbose: bool) -> Iterator[Line]:
    yield line((words("drill.head", parts=head(report, words)), "title"))
    for exercise in report.exercises:
        yield line()
        yield from block(exercise, words, techniques, width=width, verbose=verbose)
    for part in (
        _controls(report.controls, words, techniques, width=width, verbose=verbose),
        _loud("drill.changed", report.changed, words),
        _loud("drill.left", report.left, words),
        (line((words("note", text=one_line(note)), "dim")) for note in report.notes),
        _end(report, words, techniques),
    ):
        lines = list(part)
        if lines:
            yield line()
            yield from lines


def _controls(
    controls: tuple[Exercise, ...], words: Words, techniques: Techniques, *, width: int, verbose: bool
) -> Iterator[Line]:
    if controls:
        yield line((words("drill.controls"), "name"))
    broad = max((len(control_word(each, words)[0]) for each in controls), default=0)
    for control in controls:
        word, style = control_word(control, words)
        trouble = f" ({one_line(control.trouble)})" if control.trouble else ""
        yield line(
            (word.ljust(broad), style), "  ", (one_line(control.name), "name"), "  ",
            f"{control_counts(control, words)}{trouble}", indent=2, hang=broad + 2,
        )  # fmt: skip
        if not verbose:
            wrong = escapes(not_predicted(control), words, techniques, verbose=False)
            yield from scoreboard(wrong, words, width=width)
    if verbose:
        for control in controls:
            yield line()
            yield from block(control, words, techniques, width=width, verbose=True)


def _loud(title: str, entries: tuple[str, ...], words: Words) -> Iterator[Line]:
    if entries:
        yield line((words(title), "escapable"))
    for entry in entries:
        yield line((one_line(entry), "unknown"), indent=2)


def _end(report: DrillReport, words: Words, techniques: Techniques) -> Iterator[Line]:
    tally = tally_line(report, words)
    if tally:
        yield line(tally)
    if report.stopped:
        yield line((words("drill.stopped", text=one_line(report.stopped)), "unknown"))
    yield line((verdict_sentence(report, techniques, words), verdict_style(report, techniques)))
