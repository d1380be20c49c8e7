"""Exit codes from verdicts."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.model.errors import ExitCode
from holdfast.model.report import Report, Verdict

FAIL_ON = ("escapable", "unknown", "never")


def exit_code(report: Report, fail_on: str) -> ExitCode:
    """Say what the shell is told.

    Args:
        report: What was found.
        fail_on: The threshold: ``escapable``, ``unknown`` (that, or worse), or ``never``.

    Returns:
        FINDINGS at or above the threshold; else UNSEEN where a verdict is unknown, a document was not understood or
        nothing at all was there to judge: that is not the same as clean; else CLEAN.
    """
    if fail_on == "never":
        return ExitCode.CLEAN
    verdicts = {assessment.verdict for assessment in report.assessments}
    if Verdict.ESCAPABLE in verdicts or (fail_on == "unknown" and Verdict.UNKNOWN in verdicts):
        return ExitCode.FINDINGS
    if Verdict.UNKNOWN in verdicts or report.not_understood:
        return ExitCode.UNSEEN
    if not report.assessments and not report.baseline_left_out:
        return ExitCode.UNSEEN
    return ExitCode.CLEAN


def counted(verdicts: Iterable[Verdict]) -> dict[Verdict, int]:
    """Count verdicts, worst first."""
    counts = dict.fromkeys(Verdict, 0)
    for verdict in verdicts:
        counts[verdict] += 1
    return counts
