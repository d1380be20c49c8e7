"""The sentences of a drill's reports, the same in every format. Every part that others wrote is made safe here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import isfinite

from holdfast.model.drill import Attempt, DrillReport, Exercise, Outcome, played
from holdfast.model.technique import DrillClass
from holdfast.reports._drill_digest import (
    Mark,
    Techniques,
    Verdict,
    escaped,
    held,
    layers,
    leads_out,
    made,
    mark,
    not_predicted,
    predicted_untried,
    surface_only,
    tally,
    verdict,
    without_prediction,
    worked,
)
from holdfast.reports._plain import one_line
from holdfast.reports._words import Words

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE, _HOUR = 60, 3600


def head(report: DrillReport, words: Words) -> str:
    """Say what was tried, where, when and how long."""
    tried = words.counted("drill.attempts", len(made((*report.exercises, *report.controls))))
    targets = words.counted("drill.targets", len(report.exercises))
    controls = words.counted("drill.controls", len(report.controls))
    key = "drill.on.both" if report.controls else "drill.on"
    parts = [words(key, attempts=tried, targets=targets, controls=controls), one_line(report.place)]
    if report.kernel:
        parts.append(words("drill.kernel", kernel=one_line(report.kernel)))
    began = moment(report.at)
    if began is not None:
        parts.append(words("drill.began", at=f"{began:%Y-%m-%d %H:%M}"))
    parts.append(took(report.seconds, words))
    return ", ".join(filter(None, parts))


def moment(at: float) -> datetime | None:
    """Return when a drill began; None where nobody noted it."""
    try:
        return _EPOCH + timedelta(seconds=at) if at > 0 else None
    except (OverflowError, ValueError):
        return None


def took(seconds: float, words: Words) -> str:
    """Write a duration."""
    if not isfinite(seconds):
        return words("drill.blank")
    if round(seconds, 1) < 10:
        return words("drill.took.seconds", seconds=f"{seconds:.1f}")
    whole = round(seconds)
    if whole < _MINUTE:
        return words("drill.took.seconds", seconds=whole)
    if whole < _HOUR:
        return words("drill.took.minutes", minutes=whole // _MINUTE, seconds=whole % _MINUTE)
    return words("drill.took.hours", hours=whole // _HOUR, minutes=whole % _HOUR // _MINUTE)


def predicted(attempt: Attempt, words: Words) -> str:
    """Name what the scan said."""
    return words("drill.blank") if attempt.predicted is None else words.truth(attempt.predicted)


def blocked_by(attempt: Attempt, words: Words) -> str:
    """Name what stopped an attempt, and how several layers stood together."""
    if attempt.outcome is not Outcome.BLOCKED:
        return words("drill.blank")
    names = [words(f"drill.layer.{layer.name}") for layer in layers(attempt)]
    if len(names) < 2:
        return names[0] if names else words("drill.not_found")
    return words("drill.together" if attempt.together else "drill.only_together", layers=", ".join(names))


def detected(attempt: Attempt, words: Words) -> str:
    """Name what a sensor saw."""
    return one_line(attempt.detected) or words("drill.blank")


def proof(attempt: Attempt, words: Words) -> str:
    """Say what proves an escape; empty where nothing does."""
    return words(f"drill.proof.{attempt.proved_by.name}") if attempt.proved_by else ""


def outcome(attempt: Attempt, techniques: Techniques, words: Words) -> str:
    """Name what came of an attempt."""
    return words(f"drill.outcome.{_outcome(attempt, techniques)}")


def _outcome(attempt: Attempt, techniques: Techniques) -> str:
    part = attempt.outcome is Outcome.ESCAPED and not leads_out(attempt, techniques)
    return "WORKED" if part else attempt.outcome.name


def remarkable(attempt: Attempt, techniques: Techniques, words: Words) -> str:
    """Say how prediction and outcome disagree; empty where they agree."""
    found = mark(attempt, techniques)
    if found is Mark.MISSED:
        return words("drill.missed", outcome=words(f"drill.missed.{_outcome(attempt, techniques)}"))
    if found is not Mark.FALSE_YES:
        return ""
    last = next((step for step in reversed(attempt.steps) if step.answer != "ok"), None)
    if last is None:
        return words("drill.false_yes")
    return words("drill.false_yes.at", told=one_line(last.told or last.act), answer=one_line(last.answer))


def remarks(attempt: Attempt, techniques: Techniques, words: Words) -> list[str]:
    """Return what else is to be said of an attempt that was made."""
    texts = [_worked(attempt, techniques, words)] if _outcome(attempt, techniques) == "WORKED" else []
    if attempt.outcome is Outcome.ESCAPED and not attempt.repeated:
        texts.append(words("drill.once"))
    if attempt.reason:
        texts.append(words("drill.remark", text=one_line(attempt.reason)))
    return texts


def _worked(attempt: Attempt, techniques: Techniques, words: Words) -> str:
    """Say why what worked is no way out: the drill played a part of it, or it reaches nothing by itself."""
    technique = techniques.get(attempt.technique)
    parts = played(technique) if technique is not None else ()
    return words(f"drill.played.{parts[0].name}") if parts else words("drill.worked")


def why_not(reason: str, group: tuple[Attempt, ...], words: Words) -> str:
    """Say why attempts were not made; where no reason was noted, their class may be one."""
    if reason:
        return one_line(reason)
    classes = {attempt.drill_class for attempt in group}
    known = classes in ({DrillClass.D0}, {DrillClass.D2})
    return words(f"drill.class.{classes.pop().name}" if known else "drill.no_reason")


def control_word(control: Exercise, words: Words) -> tuple[str, str]:
    """Name how a control did, and the style of the word."""
    if not_predicted(control):
        return words("drill.control.failed"), "escapable"
    if control.trouble or not made([control]):
        return words("drill.control.untried"), "unknown"
    return words("drill.control.held"), "contained"


def control_counts(control: Exercise, words: Words) -> str:
    """Count what was tried on a control and what came of it."""
    out, wrong = len(worked([control])), len(not_predicted(control))
    if not made([control]):
        return words("drill.untried")
    parts = [words.counted("drill.attempts", len(made([control])))]
    if wrong:
        parts.append(words("drill.control.not_predicted", count=wrong))
    if out > wrong:
        parts.append(words("drill.control.predicted", count=out - wrong))
    return ", ".join(parts if out else [*parts, words("drill.control.none")])


def tally_line(report: DrillReport, words: Words) -> str:
    """Hold predictions against outcomes; empty where nothing was tried."""
    counted, bare = tally(report), without_prediction(report)
    if not counted.attempts and not bare:
        return ""
    right = words(
        "drill.tally.right", count=counted.right_yes + counted.right_no, yes=counted.right_yes, no=counted.right_no
    )
    parts = [
        right,
        words("drill.tally.false", count=counted.false_yes),
        words("drill.tally.missed" if counted.missed else "drill.tally.missed.none", count=counted.missed),
        words("drill.tally.unknown", count=counted.unknown),
    ]
    if bare:
        parts.append(words("drill.tally.none", count=bare))
    return words("drill.tally.with_controls" if report.controls else "drill.tally", parts=", ".join(parts))


def verdict_sentence(report: DrillReport, techniques: Techniques, words: Words) -> str:
    """Say in one sentence what the drill shows, and what stands against trusting it."""
    return words(
        "drill.verdict", sentence="; ".join((*_verdict(report, techniques, words), *_doubts(report, techniques, words)))
    )


def _verdict(report: DrillReport, techniques: Techniques, words: Words) -> Iterator[str]:
    found, tried = escaped(report.exercises, techniques), len(made(report.exercises))
    part = len(worked(report.exercises)) - len(found)
    kind = verdict(report, techniques)
    if kind is Verdict.ESCAPED:
        yield words.counted("drill.verdict.escaped", len(found), attempts=tried)
        if surface_only(found):
            yield words("drill.verdict.surface", count=surface_only(found))
    elif kind is Verdict.NOTHING:
        yield words("drill.verdict.nothing")
    elif kind is Verdict.INCOMPLETE:
        yield words.counted("drill.verdict.incomplete", tried)
    else:
        yield words.counted("drill.verdict.none" if part else "drill.verdict.held", tried)
    if part:
        yield words.counted("drill.verdict.worked", part)


def _doubts(report: DrillReport, techniques: Techniques, words: Words) -> Iterator[str]:
    counted = tally(report)
    if counted.missed:
        yield words("drill.verdict.missed", count=counted.missed)
    if counted.false_yes:
        yield words("drill.verdict.false", count=counted.false_yes)
    yield from _untried(report, techniques, words)
    failed = sum(bool(not_predicted(control)) for control in report.controls)
    if failed:
        yield words.counted("drill.verdict.controls", failed)
    elif held(report) is None and made(report.exercises):
        yield words("drill.verdict.controls_untried" if report.controls else "drill.verdict.no_control")
    if report.changed or report.left:
        yield words("drill.verdict.unclean")
    if report.stopped:
        yield words("drill.verdict.early")


def _untried(report: DrillReport, techniques: Techniques, words: Words) -> Iterator[str]:
    skipped = len(predicted_untried(report.exercises, techniques))
    if skipped:
        yield words.counted("drill.verdict.untried", skipped)
    lost = sum(bool(each.trouble) for each in report.exercises)
    if lost:
        yield words.counted("drill.verdict.targets", lost)


def trouble(exercise: Exercise, words: Words) -> str:
    """Say why a target was not tried, or not to the end; empty where it was."""
    if exercise.trouble:
        key = "drill.trouble" if made([exercise]) else "drill.trouble.all"
        return words(key, text=one_line(exercise.trouble))
    return "" if made([exercise]) else words("drill.untried")


def verdict_style(report: DrillReport, techniques: Techniques) -> str:
    """Return the style of the sentence: good only where nothing at all stands against it."""
    counted = tally(report)
    kind = verdict(report, techniques)
    bad = kind is Verdict.ESCAPED or counted.missed or held(report) is False
    if bad or report.changed or report.left:
        return "escapable"
    doubt = kind is not Verdict.HELD or held(report) is None or worked(report.exercises)
    return "unknown" if doubt else "contained"
