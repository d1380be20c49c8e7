"""What a drill boils down to: order, groups, counts, the verdict. Shared by every format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import chain

from holdfast.model import drill
from holdfast.model.drill import Attempt, DrillReport, Exercise, Layer, Outcome, Tally
from holdfast.model.technique import ProvedBy, Technique
from holdfast.model.truth import NO, YES

Techniques = Mapping[str, Technique]
"""Techniques by id, for what ends a way out. One that is missing is told without."""


class Verdict(Enum):
    """What a drill says about its targets as a whole."""

    ESCAPED = "escaped"
    INCOMPLETE = "incomplete"
    HELD = "held"
    NOTHING = "nothing tried"


class Mark(Enum):
    """What is remarkable about an attempt, worst first."""

    MISSED = "missed"
    ESCAPED = "escaped"
    WORKED = "worked, but leads no further by itself"
    FALSE_YES = "predicted, but stopped"
    UNSURE = "blocked, nothing certain was predicted"
    AGREED = "blocked, as predicted"
    NOT_ATTEMPTED = "not attempted"


def leads_out(attempt: Attempt, techniques: Techniques) -> bool:
    """Tell whether a technique that works is a way out: see ``model.drill.leads_out``.

    One that is not in the catalogue counts as a way out.
    """
    known = techniques.get(attempt.technique)
    return known is None or drill.leads_out(known)


def mark(attempt: Attempt, techniques: Techniques) -> Mark:
    """Compare prediction and outcome of one attempt."""
    if attempt.outcome is Outcome.NOT_ATTEMPTED:
        return Mark.NOT_ATTEMPTED
    if attempt.outcome is Outcome.ESCAPED:
        if attempt.predicted is NO:
            return Mark.MISSED
        return Mark.ESCAPED if leads_out(attempt, techniques) else Mark.WORKED
    if attempt.predicted is YES:
        return Mark.FALSE_YES
    return Mark.AGREED if attempt.predicted is NO else Mark.UNSURE


@dataclass(frozen=True, slots=True)
class Board:
    """One exercise, sorted for a reader.

    Attributes:
        rows: Attempts that deserve a row of their own, worst first.
        agreed: The others that were made: blocked, as predicted, gathered by what blocked them and who saw it, the
            largest group first.
        not_attempted: The rest, by the reason, the largest group first.
    """

    rows: tuple[Attempt, ...]
    agreed: tuple[tuple[Attempt, ...], ...]
    not_attempted: tuple[tuple[str, tuple[Attempt, ...]], ...]


def board(exercise: Exercise, techniques: Techniques) -> Board:
    """Sort the attempts of an exercise."""
    order = list(Mark)
    rows: list[tuple[int, Attempt]] = []
    agreed: dict[tuple[object, ...], list[Attempt]] = {}
    skipped: dict[str, list[Attempt]] = {}
    for each in exercise.attempts:
        found = mark(each, techniques)
        if found is Mark.AGREED and not each.reason:
            agreed.setdefault((frozenset(each.blocked_by), each.together, each.detected), []).append(each)
        elif found is Mark.NOT_ATTEMPTED:
            skipped.setdefault(each.reason, []).append(each)
        else:
            rows.append((order.index(found), each))
    return Board(
        tuple(each for _, each in sorted(rows, key=lambda pair: pair[0])),
        tuple(sorted(map(tuple, agreed.values()), key=lambda group: -len(group))),
        tuple(sorted(((reason, tuple(group)) for reason, group in skipped.items()), key=lambda pair: -len(pair[1]))),
    )


def layers(attempt: Attempt) -> list[Layer]:
    """Return what blocked an attempt, each once, in the order of the enum."""
    return [layer for layer in Layer if layer in attempt.blocked_by]


def made(exercises: Iterable[Exercise]) -> list[Attempt]:
    """Return the attempts that were made."""
    return [each for each in _every(exercises) if each.outcome is not Outcome.NOT_ATTEMPTED]


def _every(exercises: Iterable[Exercise]) -> Iterable[Attempt]:
    return chain.from_iterable(exercise.attempts for exercise in exercises)


def worked(exercises: Iterable[Exercise]) -> list[Attempt]:
    """Return the attempts that worked, wherever they lead."""
    return [each for each in _every(exercises) if each.outcome is Outcome.ESCAPED]


def escaped(exercises: Iterable[Exercise], techniques: Techniques) -> list[Attempt]:
    """Return the attempts that worked and lead out."""
    return [each for each in worked(exercises) if leads_out(each, techniques)]


def predicted_untried(exercises: Iterable[Exercise], techniques: Techniques) -> list[Attempt]:
    """Return the ways out that the scan calls open and that were not tried."""
    skipped = (each for each in _every(exercises) if each.outcome is Outcome.NOT_ATTEMPTED)
    return [each for each in skipped if each.predicted is YES and leads_out(each, techniques)]


def surface_only(attempts: Iterable[Attempt]) -> int:
    """Count the escapes that were shown by the kernel's answer alone, without a trace on the host's side."""
    return sum(each.proved_by is ProvedBy.SURFACE for each in attempts)


def not_predicted(control: Exercise) -> list[Attempt]:
    """Return what worked on a control although the scan did not say yes: nothing may."""
    return [each for each in worked([control]) if each.predicted is not YES]


def tally(report: DrillReport) -> Tally:
    """Hold the predictions against the outcomes, controls included."""
    counted = Tally()
    for each in _every((*report.exercises, *report.controls)):
        counted.add(each)
    return counted


def verdict(report: DrillReport, techniques: Techniques) -> Verdict:
    """Sum up what the drill says about its targets.

    A target that was not tried to the end never counts as held, nor one with a predicted way out that was not tried.
    """
    if escaped(report.exercises, techniques):
        return Verdict.ESCAPED
    if not made(report.exercises):
        return Verdict.NOTHING
    if report.stopped or predicted_untried(report.exercises, techniques):
        return Verdict.INCOMPLETE
    if any(each.trouble or not made([each]) for each in report.exercises):
        return Verdict.INCOMPLETE
    return Verdict.HELD


def summary(report: DrillReport, techniques: Techniques) -> dict[str, object]:
    """Count everything, for programs. ``controls_held`` is null where a control was not tried."""
    counted = tally(report)
    attempts = list(_every(report.exercises))
    out = escaped(report.exercises, techniques)
    return {
        "verdict": verdict(report, techniques).name.lower(),
        "targets": len(report.exercises),
        "attempts": len(made(report.exercises)),
        "escaped": len(out),
        "surface_only": surface_only(out),
        "worked_only": len(worked(report.exercises)) - len(out),
        "not_attempted": len(attempts) - len(made(report.exercises)),
        "predicted_untried": len(predicted_untried(report.exercises, techniques)),
        "predictions": {
            "right_yes": counted.right_yes,
            "right_no": counted.right_no,
            "false_yes": counted.false_yes,
            "missed": counted.missed,
            "unknown": counted.unknown,
            "none": without_prediction(report),
        },
        "controls_held": held(report),
        "clean": not report.changed and not report.left,
    }


def without_prediction(report: DrillReport) -> int:
    """Count the attempts that were made although nothing was predicted, controls included."""
    return sum(each.predicted is None for each in made((*report.exercises, *report.controls)))


def held(report: DrillReport) -> bool | None:
    """Tell whether every control held; None where there is none or one was not tried."""
    if any(not_predicted(each) for each in report.controls):
        return False
    tried = all(made([each]) and not each.trouble for each in report.controls)
    return True if report.controls and tried else None


def fixes(attempt: Attempt, techniques: Techniques) -> list[str]:
    """Return the changes that end a technique, in its author's words."""
    known = techniques.get(attempt.technique)
    return [change.why for change in known.closed_by] if known else []
