"""A drill's results as JUnit XML, which every CI system shows: a suite for each target and control, a case an attempt.

What escaped from a target is a failure, and what worked there although the scan said no. A control fails where
something worked that was not predicted. A replica that was lost is an error, and a machine that was not left as it was
is a failure of a suite of its own: a drill that went wrong never looks green.

Source:
    https://github.com/testmoapp/junitxml
    https://www.w3.org/TR/xml/#charsets
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from holdfast.model.drill import Attempt, DrillReport, Exercise, Outcome
from holdfast.reports._drill_digest import (
    Mark,
    Techniques,
    Verdict,
    fixes,
    leads_out,
    made,
    mark,
    not_predicted,
    verdict,
)
from holdfast.reports._drill_told import (
    blocked_by,
    detected,
    moment,
    predicted,
    proof,
    remarkable,
    remarks,
    why_not,
)
from holdfast.reports._plain import one_line
from holdfast.reports._words import Words

MEDIA_TYPE = "application/xml"

_RESULTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def render(report: DrillReport, *, techniques: Techniques | None = None, language: str = "en") -> bytes:
    """Write what a drill found as JUnit XML.

    Args:
        report: The results.
        techniques: The catalogue by id, for the changes that end a way out and for what is none by itself. Without it
            no change is named, and whatever worked counts as an escape.
        language: Tag of a table in ``_words``.

    Returns:
        UTF-8 with an XML declaration. Equal reports give equal bytes. A character that XML 1.0 cannot hold is spelled
        out.
    """
    words = Words(language)
    root = Element("testsuites", name="holdfast drill")
    for exercise in report.exercises:
        _suite(_opened(root, report, exercise.name, exercise), exercise, words, techniques or {}, control=False)
    for control in report.controls:
        _suite(_opened(root, report, control.name, control), control, words, techniques or {}, control=True)
    _machine(root, report, words, techniques or {})
    _count(root, root.iter("testcase"))
    root.set("time", _seconds(report.seconds))
    indent(root)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(suite: Element, exercise: Exercise, words: Words, techniques: Techniques, *, control: bool) -> None:
    wrong = not_predicted(exercise) if control else _failing(exercise, techniques)
    for attempt in exercise.attempts:
        case = _case(suite, exercise, attempt.technique, attempt.seconds)
        if attempt.outcome is Outcome.NOT_ATTEMPTED:
            SubElement(case, "skipped", message=why_not(attempt.reason, (attempt,), words))
        elif attempt in wrong:
            _failure(case, attempt, words, techniques, control=control)
        else:
            SubElement(case, "system-out").text = "\n".join(_about(attempt, words, techniques))
    if exercise.trouble:
        case = _case(suite, exercise, words("drill.junit.replica"), 0.0)
        SubElement(case, "error", message=_text(exercise.trouble), type="trouble")
    elif not made([exercise]):
        case = _case(suite, exercise, words("drill.junit.replica"), 0.0)
        SubElement(case, "skipped", message=words("drill.untried"))
    _count(suite, suite.iter("testcase"))
    suite.set("time", _seconds(sum(attempt.seconds for attempt in exercise.attempts)))


def _failing(exercise: Exercise, techniques: Techniques) -> list[Attempt]:
    """Return what a target fails by: every way out, and whatever worked although the scan said no."""
    return [each for each in exercise.attempts if mark(each, techniques) in {Mark.MISSED, Mark.ESCAPED}]


def _opened(root: Element, report: DrillReport, name: str, exercise: Exercise | None) -> Element:
    suite = SubElement(root, "testsuite", name=_text(name))
    began = moment(report.at)
    if began is not None:
        suite.set("timestamp", f"{began:%Y-%m-%dT%H:%M:%S}")
    properties = SubElement(suite, "properties")
    told = {"place": report.place, "kernel": report.kernel, "holdfast": report.tool_version}
    if exercise is not None:
        told |= {"kind": exercise.kind, "source": exercise.source}
    for key, value in told.items():
        SubElement(properties, "property", name=key, value=_text(value))
    return suite


def _case(suite: Element, exercise: Exercise, name: str, seconds: float) -> Element:
    return SubElement(suite, "testcase", classname=_text(exercise.name), name=_text(name), time=_seconds(seconds))


def _failure(case: Element, attempt: Attempt, words: Words, techniques: Techniques, *, control: bool) -> None:
    worked = words(f"drill.missed.{'ESCAPED' if leads_out(attempt, techniques) else 'WORKED'}")
    message = words("drill.junit.control" if control else "drill.junit.failure", outcome=worked)
    if attempt.proved_by:
        message = words("drill.junit.proof", message=message, proof=proof(attempt, words))
    kind = "missed" if mark(attempt, techniques) is Mark.MISSED else "escaped"
    failure = SubElement(case, "failure", message=message, type=kind)
    closing = [words("drill.junit.fix", text=_text(text)) for text in fixes(attempt, techniques)]
    failure.text = "\n".join([*_about(attempt, words, techniques), *closing])


def _about(attempt: Attempt, words: Words, techniques: Techniques) -> list[str]:
    """Tell an attempt in lines: prediction, proof or what blocked it, and every step."""
    out = attempt.outcome is Outcome.ESCAPED
    lines = [
        _text(attempt.title),
        words("drill.junit.predicted", truth=predicted(attempt, words)),
        remarkable(attempt, techniques, words),
        words("drill.proof", proof=proof(attempt, words)) if attempt.proved_by else "",
        "" if out else words("drill.junit.blocked", layers=blocked_by(attempt, words)),
        words("drill.junit.detected", text=detected(attempt, words)) if attempt.detected else "",
        *remarks(attempt, techniques, words),
        words("drill.way", way=_text(attempt.way)) if attempt.way else "",
    ]
    arrow = words("path.arrow")
    steps = [
        f"{number}. {_text(step.told or step.act)} {arrow} {_text(step.answer)}"
        for number, step in enumerate(attempt.steps, 1)
    ]
    return [each for each in lines if each] + steps


def _machine(root: Element, report: DrillReport, words: Words, techniques: Techniques) -> None:
    """Say whether the drill left the machine as it was and came to its end."""
    name = words("drill.junit.machine")
    suite = _opened(root, report, name, None)
    for key, entries in (("changed", report.changed), ("left", report.left)):
        case = SubElement(
            suite, "testcase", classname=name, name=words(f"drill.junit.machine.{key}"), time=_seconds(0.0)
        )
        if entries:
            failure = SubElement(case, "failure", message=words(f"drill.{key}"), type=key)
            failure.text = "\n".join(_text(entry) for entry in entries)
    case = SubElement(suite, "testcase", classname=name, name=words("drill.junit.machine.ended"), time=_seconds(0.0))
    if report.stopped:
        SubElement(case, "error", message=_text(report.stopped), type="stopped")
    elif verdict(report, techniques) is Verdict.NOTHING:
        SubElement(case, "skipped", message=words("drill.verdict.nothing"))
    if report.notes:
        SubElement(suite, "system-out").text = "\n".join(map(_text, report.notes))
    _count(suite, suite.iter("testcase"))
    suite.set("time", _seconds(0.0))


def _count(element: Element, cases: Iterable[Element]) -> None:
    every = list(cases)
    element.set("tests", str(len(every)))
    for key, tag in _RESULTS.items():
        element.set(key, str(sum(case.find(tag) is not None for case in every)))


def _seconds(seconds: float) -> str:
    return f"{seconds if isfinite(seconds) and seconds > 0 else 0.0:.3f}"


def _text(text: str) -> str:
    """Return foreign text whole; what is printable on one line is also what XML 1.0 can hold."""
    return one_line(text, 0)
