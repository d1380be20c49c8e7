"""Only what is new: leave out what an earlier report said already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from holdfast.model.errors import Usage
from holdfast.model.report import Assessment, Bearing, Finding, Report

_NEXT = "make one: holdfast scan --format json --output FILE"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier report said about one workload.

    Attributes:
        document: Where it was described.
        verdicts: ``yes`` or ``unknown`` by technique id.
    """

    document: str
    verdicts: dict[str, str] = field(default_factory=dict)

    def said(self, finding: Finding) -> bool:
        """Tell whether the finding was known: the same technique, and then as sure as now or surer."""
        return self.verdicts.get(finding.technique.id) in {"yes", finding.verdict.word}


_NOTHING = Earlier("")


class Baseline:
    """An earlier report, by name and kind of workload."""

    def __init__(self, known: dict[tuple[str, str], list[Earlier]]) -> None:
        """Keep what was said."""
        self.known = known

    def new(self, report: Report) -> Report:
        """Return the report with what is new.

        Workloads are known again by name and kind, each earlier one once: a second workload of the same name and kind
        is new, whatever the first one was known for. Where there are several, those in the same document belong
        together. Lines do not matter.

        Workloads with nothing new are left out; a workload's verdict stays what it is, with the new paths alone.
        Contradictions and documents that were not understood are always told.
        """
        kept: list[Assessment] = []
        left_out = 0
        for assessment, earlier in zip(report.assessments, self._matched(report.assessments), strict=True):
            fresh = tuple(finding for finding in assessment.findings if not earlier.said(finding))
            left_out += len(assessment.findings) - len(fresh)
            told = {finding.technique.id for finding in fresh}
            paths = tuple(path for path in assessment.paths if any(step.technique.id in told for step in path.steps))
            weighs = any(finding.bearing in {Bearing.PATH, Bearing.SURFACE} for finding in fresh)
            if weighs or paths or assessment.contradictions or earlier is _NOTHING:
                kept.append(replace(assessment, findings=fresh, paths=paths))
        return replace(
            report,
            assessments=tuple(kept),
            baseline_left_out=left_out,
            baseline_workloads=len(report.assessments) - len(kept),
        )

    def _matched(self, assessments: Sequence[Assessment]) -> list[Earlier]:
        """Return what was said about each workload, those in the same document first; nothing for one that is new."""
        left = {key: list(entries) for key, entries in self.known.items()}
        found: list[Earlier | None] = [None] * len(assessments)
        for same_document in (True, False):
            for number, assessment in enumerate(assessments):
                workload = assessment.workload
                entries = left.get((workload.name, workload.kind), [])
                if found[number] is not None:
                    continue
                for entry in entries:
                    if not same_document or entry.document == workload.source.document:
                        found[number] = entry
                        entries.remove(entry)
                        break
        return [entry or _NOTHING for entry in found]


def read(path: str) -> Baseline:
    """Read an earlier JSON report.

    Raises:
        Usage: The file is not there, is not a report of ``holdfast scan --format json``, or is one that was itself
            told beside a baseline: everything that one left out would be new again.
    """
    import json

    try:
        report: Any = json.loads(Path(path).read_bytes())
        major = str(report["schema_version"]).partition(".")[0]
        partial = bool(report.get("summary", {}).get("baseline_left_out"))
        known: dict[tuple[str, str], list[Earlier]] = {}
        for each in report["assessments"]:
            workload = each["workload"]
            known.setdefault((str(workload["name"]), str(workload["kind"])), []).append(_earlier(each))
    except OSError as error:
        raise Usage(f"the baseline cannot be read: {error.strerror}", path, "name an existing report") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Usage("the baseline is not a report of Holdfast", path, _NEXT) from error
    if major != "1":
        raise Usage(f"the baseline is a report of version {major[:20]}, this program reads version 1", path, _NEXT)
    if partial:
        raise Usage("the baseline tells only what was new beside an older one", path, f"{_NEXT}, without --baseline")
    return Baseline(known)


def _earlier(assessment: Any) -> Earlier:
    source = assessment["workload"].get("source") or {}
    summed: Iterable[Any] = (*assessment.get("host_only", ()), *assessment.get("assumptions", ()))
    verdicts = {str(technique): "unknown" for technique in summed}
    verdicts.update((str(finding["technique"]), str(finding["verdict"])) for finding in assessment["findings"])
    return Earlier(str(source.get("document", "")), verdicts)
