"""Only what is new: leave out what an earlier report said already."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from holdfast.model.errors import Usage
from holdfast.model.report import Assessment, Bearing, Report


class Baseline:
    """What an earlier report said, by workload and technique."""

    def __init__(self, known: frozenset[tuple[str, str, str, str]]) -> None:
        """Keep (workload name, kind, technique, verdict) of every finding."""
        self.known = known

    def new(self, report: Report) -> Report:
        """Return the report with what is new.

        A finding is known if the same technique had the same or a worse verdict for a workload of the same name and
        kind. Workloads with nothing new are left out; a workload's verdict stays what it is. Contradictions and
        documents that were not understood are always told.
        """
        kept: list[Assessment] = []
        left_out = 0
        for assessment in report.assessments:
            name, kind = assessment.workload.name, assessment.workload.kind
            fresh = tuple(
                finding
                for finding in assessment.findings
                if (name, kind, finding.technique.id, finding.verdict.word) not in self.known
                and (name, kind, finding.technique.id, "yes") not in self.known
            )
            left_out += len(assessment.findings) - len(fresh)
            told = {finding.technique.id for finding in fresh}
            paths = tuple(path for path in assessment.paths if any(step.technique.id in told for step in path.steps))
            weighs = any(finding.bearing in {Bearing.PATH, Bearing.SURFACE} for finding in fresh)
            if weighs or paths or assessment.contradictions:
                kept.append(replace(assessment, findings=fresh, paths=paths))
        return replace(report, assessments=tuple(kept), baseline_left_out=left_out)


def read(path: str) -> Baseline:
    """Read an earlier JSON report.

    Raises:
        Usage: The file is not there or is not a report of ``holdfast scan --format json``.
    """
    try:
        report: Any = json.loads(Path(path).read_bytes())
        known = frozenset(
            (str(a["workload"]["name"]), str(a["workload"]["kind"]), str(f["technique"]), str(f["verdict"]))
            for a in report["assessments"]
            for f in a["findings"]
        ) | frozenset(
            (str(a["workload"]["name"]), str(a["workload"]["kind"]), str(technique), "unknown")
            for a in report["assessments"]
            for technique in (*a.get("host_only", ()), *a.get("assumptions", ()))
        )
    except OSError as error:
        raise Usage(f"the baseline cannot be read: {error.strerror}", path, "name an existing report") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Usage(
            "the baseline is not a report of Holdfast", path, "make one: holdfast scan --format json --output FILE"
        ) from error
    return Baseline(known)
