"""The scoreboard of one target in a drill's page: a table, the steps of each attempt, and what was not attempted."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from holdfast.model.drill import Attempt, Exercise, Outcome
from holdfast.model.truth import YES
from holdfast.reports._drill_digest import Mark, Techniques, board, fixes, made, mark
from holdfast.reports._drill_replica import settings
from holdfast.reports._drill_told import (
    blocked_by,
    detected,
    outcome,
    proof,
    remarkable,
    remarks,
    trouble,
    why_not,
)
from holdfast.reports._html_text import arrow, listed, safe, truth_badge
from holdfast.reports._words import Words

_COLOURS = {Mark.MISSED: "yes", Mark.ESCAPED: "yes", Mark.WORKED: "unknown", Mark.FALSE_YES: "unknown"}


def scoreboard(exercise: Exercise, words: Words, techniques: Techniques) -> str:
    """Write everything about one target but its head.

    Args:
        exercise: The attempts on it.
        words: The language.
        techniques: For what ends a way out.
    """
    sorted_ = board(exercise, techniques)
    agreed = list(chain.from_iterable(sorted_.agreed))
    parts = []
    if trouble(exercise, words):
        parts.append(f'<p class="trouble">{safe(trouble(exercise, words))}</p>')
    if sorted_.rows:
        caption = words("drill.html.board", name=exercise.name)
        parts.append(_table(caption, sorted_.rows, words, techniques))
    elif made([exercise]):
        parts.append(f"<p>{safe(words('drill.html.nothing'))}</p>")
    if agreed:
        caption = words("drill.html.board.agreed", name=exercise.name)
        table = _table(caption, agreed, words, techniques)
        parts.append(_folded(words("drill.html.agreed", count=len(agreed)), table))
    skipped = sum(len(group) for _, group in sorted_.not_attempted)
    if skipped:
        reasons = (_not_attempted(reason, group, words) for reason, group in sorted_.not_attempted)
        parts.append(_folded(words("drill.html.not_attempted", count=skipped), listed(reasons)))
    if exercise.differs:
        parts.append(_folded(words("drill.html.differs"), listed(map(safe, exercise.differs))))
    started = listed(f'<span class="code">{safe(each)}</span>' for each in settings(exercise.replica, words))
    parts.append(_folded(words("drill.html.replica"), started))
    return "\n".join(parts)


def _folded(title: str, body: str) -> str:
    return f'<details class="more"><summary><h4>{safe(title)}</h4></summary><div>{body}</div></details>'


def _not_attempted(reason: str, group: tuple[Attempt, ...], words: Words) -> str:
    names = (
        words("drill.although_predicted", id=each.technique) if each.predicted is YES else each.technique
        for each in group
    )
    why = words("drill.not_attempted.reason", reason=why_not(reason, group, words), count=len(group))
    return f'{safe(why, 0)}: <span class="soft">{", ".join(map(safe, names))}</span>'


def _table(caption: str, attempts: Iterable[Attempt], words: Words, techniques: Techniques) -> str:
    # Below 46 rem the rows are shown as blocks, and a browser then no longer takes them for a table by itself.
    names = ("technique", "predicted", "attempted", "blocked_by", "detected")
    head = "".join(f'<th scope="col" role="columnheader">{safe(words(f"drill.column.{name}"))}</th>' for name in names)
    rows = "".join(_rows(each, words, techniques) for each in attempts)
    return (
        f'<table role="table"><caption class="hid">{safe(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n{rows}</table>'
    )


def _rows(attempt: Attempt, words: Words, techniques: Techniques) -> str:
    colour = _COLOURS.get(mark(attempt, techniques), "no")
    blank = words("drill.blank")
    said = outcome(attempt, techniques, words)
    cells = (
        ("predicted", truth_badge(attempt.predicted, words) if attempt.predicted is not None else safe(blank)),
        ("attempted", f'<span class="badge small {colour}">{safe(said)}</span>'),
        ("blocked_by", safe(blocked_by(attempt, words))),
        ("detected", safe(detected(attempt, words))),
    )
    row = "".join(
        f'<td role="cell" data-label="{safe(words(f"drill.column.{name}"))}">{cell}</td>' for name, cell in cells
    )
    return (
        f'<tbody role="rowgroup" class="{colour}"><tr role="row">'
        f'<th scope="row" role="rowheader">{safe(attempt.technique)}</th>{row}</tr>\n'
        f'<tr role="row" class="how"><td role="cell" colspan="5">{_how(attempt, words, techniques)}</td></tr></tbody>\n'
    )


def _how(attempt: Attempt, words: Words, techniques: Techniques) -> str:
    out = attempt.outcome is Outcome.ESCAPED
    parts = []
    disagreement = remarkable(attempt, techniques, words)
    if disagreement:
        parts.append(f'<p class="said">{safe(disagreement, 0)}</p>')
    if attempt.proved_by:
        parts.append(f"<p>{safe(words('drill.proof', proof=proof(attempt, words)))}</p>")
    parts += [f"<p>{safe(text)}</p>" for text in remarks(attempt, techniques, words)]
    closing = fixes(attempt, techniques) if out else []
    if closing:
        parts.append(f'<div class="fix"><b>{safe(words("drill.html.fix"))}</b>{listed(map(safe, closing))}</div>')
    title = safe(attempt.title)
    if not attempt.steps and not attempt.way:
        return "".join((*parts, f'<p class="soft">{title}</p>'))
    way = f"<p>{safe(words('drill.way', way=attempt.way))}</p>" if attempt.way else ""
    steps = "".join(
        f'<li><span class="code">{safe(step.told or step.act)}</span>{arrow(words)}'
        f'<span class="code">{safe(step.answer)}</span></li>'
        for step in attempt.steps
    )
    inside = way + (f'<ol class="steps" aria-label="{safe(words("drill.html.steps"))}">{steps}</ol>' if steps else "")
    parts.append(f"<details><summary>{title}</summary>{inside}</details>")
    return "".join(parts)
