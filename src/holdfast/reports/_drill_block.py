"""One target in the terminal's report of a drill: what got out, what disagrees, and the rest in few lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from holdfast.model.drill import Attempt, Exercise, Outcome
from holdfast.model.truth import YES
from holdfast.reports._drill_digest import Techniques, board, fixes, leads_out
from holdfast.reports._drill_replica import settings
from holdfast.reports._drill_told import (
    blocked_by,
    detected,
    outcome,
    predicted,
    proof,
    remarkable,
    remarks,
    trouble,
    why_not,
)
from holdfast.reports._lines import Line, line, wrapped
from holdfast.reports._plain import one_line
from holdfast.reports._table import Row, table
from holdfast.reports._words import Words

_IDS_WIDTH = 80
"""Columns that a list of ids keeps to even where nothing is wrapped: forty ids on one line are no list."""
_MOST_DIFFERS = 4
"""Differences between replica and target that are named without ``verbose``."""
_COLUMNS = ("technique", "predicted", "attempted", "blocked_by", "detected")

Below = tuple[Row, list[Line]]
"""A row of the table, and the lines below it."""


def block(exercise: Exercise, words: Words, techniques: Techniques, *, width: int, verbose: bool) -> Iterator[Line]:
    """Show one target.

    Args:
        exercise: The attempts on it.
        words: The language.
        techniques: For what ends a way out.
        width: Columns to keep to; 0 for no limit.
        verbose: Show every attempt with every step, and the replica's settings.
    """
    yield line(
        (one_line(exercise.name), "name"), "  ", (one_line(exercise.kind), "dim"), "  ",
        (one_line(exercise.source), "place"),
    )  # fmt: skip
    yield from _about(exercise, words, verbose=verbose)
    sorted_ = board(exercise, techniques)
    rows = [_single(each, words, techniques, verbose=verbose) for each in sorted_.rows]
    for group in sorted_.agreed:
        if verbose or len(group) == 1:
            rows += [_single(each, words, techniques, verbose=verbose) for each in group]
        else:
            rows.append(_group(group, words, techniques, width))
    yield from scoreboard(rows, words, width=width)
    skipped = sum(len(group) for _, group in sorted_.not_attempted)
    if skipped:
        yield line((words("drill.not_attempted", count=skipped), "dim"), indent=2)
    for reason, group in sorted_.not_attempted:
        why = words("drill.not_attempted.reason", reason=why_not(reason, group, words), count=len(group))
        yield line((why, "dim"), indent=4)
        yield from _ids([_skipped(each, words) for each in group], width, indent=6)


def scoreboard(rows: Sequence[Below], words: Words, *, width: int) -> Iterator[Line]:
    """Lay out rows below their heads; nothing for no row."""
    if not rows:
        return
    head: Row = tuple((words(f"drill.column.{name}"), "dim") for name in _COLUMNS)
    first, *others = table([head, *(row for row, _ in rows)], width=width, indent=2)
    yield from first
    for lines, (_, below) in zip(others, rows, strict=True):
        yield from lines
        yield from below


def escapes(attempts: Iterable[Attempt], words: Words, techniques: Techniques, *, verbose: bool) -> list[Below]:
    """Return the rows of attempts."""
    return [_single(each, words, techniques, verbose=verbose) for each in attempts]


def _about(exercise: Exercise, words: Words, *, verbose: bool) -> Iterator[Line]:
    if verbose:
        parts = ", ".join(settings(exercise.replica, words))
        yield line((words("drill.replica", parts=parts), "dim"), indent=2)
    if trouble(exercise, words):
        yield line((trouble(exercise, words), "unknown"), indent=2)
    shown = exercise.differs if verbose else exercise.differs[:_MOST_DIFFERS]
    for text in shown:
        yield line((words("drill.differs", text=one_line(text)), "dim"), indent=2)
    if len(exercise.differs) > len(shown):
        more = len(exercise.differs) - len(shown)
        yield line((words("drill.differs.more", count=more), "dim"), indent=2)


def _single(attempt: Attempt, words: Words, techniques: Techniques, *, verbose: bool) -> Below:
    out = attempt.outcome is Outcome.ESCAPED
    below: list[Line] = []
    disagreement = remarkable(attempt, techniques, words)
    if disagreement:
        below.append(line((disagreement, "escapable" if out else "unknown"), indent=4))
    if out or verbose:
        below.append(line((one_line(attempt.title), "dim"), indent=4))
    if out and attempt.proved_by:
        below.append(line(words("drill.proof", proof=proof(attempt, words)), indent=4))
    below += [line((text, "dim"), indent=4) for text in remarks(attempt, techniques, words)]
    if out:
        closing = fixes(attempt, techniques)
        below += [
            line((words("fix", text=one_line(text)), "fix"), indent=4) for text in (closing if verbose else closing[:1])
        ]
    if verbose:
        below += _steps(attempt, words)
    return (*_cells(one_line(attempt.technique), attempt, words, techniques),), below


def _cells(first: str, attempt: Attempt, words: Words, techniques: Techniques) -> Row:
    truth = attempt.predicted.word if attempt.predicted is not None else "dim"
    style = "contained"
    if attempt.outcome is Outcome.ESCAPED:
        style = "escapable" if leads_out(attempt, techniques) else "unknown"
    return (
        (first, "id"),
        (predicted(attempt, words), truth),
        (outcome(attempt, techniques, words), style),
        (blocked_by(attempt, words), ""),
        (detected(attempt, words), ""),
    )


def _group(group: tuple[Attempt, ...], words: Words, techniques: Techniques, width: int) -> Below:
    cells = _cells(words("drill.group", count=len(group)), group[0], words, techniques)
    return ((cells[0][0], ""), *cells[1:]), list(_ids([one_line(each.technique) for each in group], width, indent=4))


def _ids(names: list[str], width: int, *, indent: int) -> Iterator[Line]:
    room = max(20, (width or _IDS_WIDTH) - indent)
    for piece in wrapped(", ".join(names), room, room):
        yield line((piece, "dim"), indent=indent, hang=0)


def _skipped(attempt: Attempt, words: Words) -> str:
    name = one_line(attempt.technique)
    return words("drill.although_predicted", id=name) if attempt.predicted is YES else name


def _steps(attempt: Attempt, words: Words) -> Iterator[Line]:
    if attempt.way:
        yield line((words("drill.way", way=one_line(attempt.way)), "dim"), indent=4)
    for number, step in enumerate(attempt.steps, 1):
        answer = one_line(step.answer)
        yield line(
            (f"{number}. ", "dim"), one_line(step.told or step.act), f" {words('path.arrow')} ",
            (answer, "no" if answer != "ok" else "yes"), indent=6, hang=3,
        )  # fmt: skip
