"""Exit codes from verdicts."""

from __future__ import annotations

from holdfast.model.errors import ExitCode
from holdfast.model.report import Report
from holdfast.model.truth import UNKNOWN, YES

FAIL_ON = ("escapable", "unknown", "never")


def exit_code(report: Report, fail_on: str) -> ExitCode:
    """Say what the shell is told.

    Args:
        report: What was found.
        fail_on: The threshold: ``escapable``, ``unknown`` (that, or worse), or ``never``.

    Returns:
        FINDINGS at or above the threshold; else UNSEEN where a way out is unknown, a document was not understood or
        nothing at all was there to judge: that is not the same as clean; else CLEAN.
    """
    if fail_on == "never":
        return ExitCode.CLEAN
    # Paths, not verdicts: with a baseline only the new ways out stand here, beside the workload's whole verdict.
    truths = {path.verdict for assessment in report.assessments for path in assessment.paths}
    if YES in truths or (fail_on == "unknown" and UNKNOWN in truths):
        return ExitCode.FINDINGS
    if UNKNOWN in truths or report.not_understood:
        return ExitCode.UNSEEN
    if not report.assessments and not report.baseline_workloads:
        return ExitCode.UNSEEN
    return ExitCode.CLEAN
