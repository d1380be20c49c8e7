"""Holdfast's own JSON: everything a scan found, for programs. ``schema/report-1.json`` says what it may hold.

The report is written one assessment at a time, so that ten thousand manifests need no memory for their text. Only what
belongs to the workload itself stands there in full; what depends on an unseen host is listed by id, or a restricted
Pod would drown in it.
"""

from __future__ import annotations

from typing import Any

from holdfast.model.errors import NotUnderstood
from holdfast.model.place import Where
from holdfast.model.report import Assessment, Bearing, Contradiction, Edge, EscapePath, Finding, Report, Verdict
from holdfast.model.technique import Technique
from holdfast.model.truth import UNKNOWN
from holdfast.reports._digest import counted, missing
from holdfast.reports._json_proof import Proofs
from holdfast.reports._json_text import Write, encoded, text_of, write_list
from holdfast.reports._values import machine

MEDIA_TYPE = "application/json"
SCHEMA_VERSION = "1.0"
"""MAJOR.MINOR: MINOR grows with a new key, MAJOR with a key that changes its meaning or goes."""


def render(report: Report) -> bytes:
    """Write a report as JSON.

    Returns:
        ASCII, one assessment a line, ended with a newline. Equal reports give equal bytes.
    """
    pieces: list[bytes] = []
    render_to(report, pieces.append)
    return b"".join(pieces)


def render_to(report: Report, write: Write) -> None:
    """Write a report piece by piece.

    Args:
        report: The report.
        write: Takes each piece in turn, e.g. the ``write`` of a binary file. Pieces are a few hundred bytes to a few
            hundred kilobytes.
    """
    head = {"schema_version": SCHEMA_VERSION, "tool": {"name": "holdfast", "version": report.tool_version}}
    write(encoded({**head, "host": report.host or None})[:-1] + b',\n"assessments":[')
    write_list(map(_Assessments().text, report.assessments), write)
    write(b',\n"edges":[')
    write_list((_edge(each) for each in report.edges), write)
    write(b',\n"not_understood":[')
    write_list((_not_understood(each) for each in report.not_understood), write)
    write(b',\n"notes":' + encoded(list(report.notes)))
    write(b',\n"summary":' + encoded(_summary(report)) + b"}\n")


class _Assessments:
    """Writes assessments as JSON text, and what repeats in them only once."""

    def __init__(self) -> None:
        self.proofs = Proofs()
        self._about: dict[str, tuple[str, str]] = {}

    def text(self, assessment: Assessment) -> str:
        shown: list[Finding] = []
        summed: dict[Bearing, list[str]] = {Bearing.HOST_ONLY: [], Bearing.ASSUMPTION: []}
        for finding in assessment.findings:
            ids = summed.get(finding.bearing)
            if ids is None:
                shown.append(finding)
            else:
                ids.append(finding.technique.id)
        workload = assessment.workload
        head = {
            "workload": {
                "name": workload.name,
                "kind": workload.kind,
                "source": _place(workload.source),
                "image": workload.image,
            },
            "host": assessment.host or None,
            "verdict": assessment.verdict.value,
            "paths": [_path(path) for path in assessment.paths],
        }
        tail = {
            "host_only": sorted(summed[Bearing.HOST_ONLY]),
            "assumptions": sorted(summed[Bearing.ASSUMPTION]),
            "contradictions": [_contradiction(each) for each in assessment.contradictions],
        }
        findings = ",".join([self._finding(finding) for finding in shown])
        return f'{text_of(head)[:-1]},"findings":[{findings}],{text_of(tail)[1:]}'

    def _finding(self, finding: Finding) -> str:
        before, after = self._technique(finding.technique)
        unseen = [entry.fact.name for entry in missing([finding])] if finding.verdict is UNKNOWN else []
        return (
            f'{before},"verdict":"{finding.verdict.word}","bearing":"{finding.bearing.value}",'
            f'"proof":{self.proofs.tree(finding.proof)},"look_at":{text_of(unseen)},{after}'
        )

    def _technique(self, technique: Technique) -> tuple[str, str]:
        """Write what is the same in every finding of a technique: its beginning and its end."""
        known = self._about.get(technique.id)
        if known is None:
            before = {"technique": technique.id, "title": technique.title, "confirmed": technique.confirmed}
            after = {
                "attack": list(technique.attack),
                "closed_by": [change.why for change in technique.closed_by],
            }
            known = self._about[technique.id] = (text_of(before)[:-1], text_of(after)[1:])
        return known


def _path(path: EscapePath) -> dict[str, Any]:
    return {
        "steps": [step.technique.id for step in path.steps],
        "reaches": path.reaches.name.split(".", 1)[-1],
        "verdict": path.verdict.word,
    }


def _place(where: Where | None) -> dict[str, Any] | None:
    if where is None:
        return None
    return {"document": where.document, "pointer": where.pointer, "line": where.line or None}


def _contradiction(contradiction: Contradiction) -> dict[str, Any]:
    return {
        "fact": contradiction.fact.name,
        "declared": {
            "value": machine(contradiction.declared.value),
            "place": _place(contradiction.declared.where),
            "note": contradiction.declared.note,
        },
        "effective": {
            "value": machine(contradiction.effective.value),
            "place": _place(contradiction.effective.where),
            "note": contradiction.effective.note,
        },
    }


def _edge(edge: Edge) -> dict[str, Any]:
    return {
        "start": edge.start,
        "end": edge.end,
        "verdict": edge.verdict.word,
        "techniques": list(edge.techniques),
    }


def _not_understood(error: NotUnderstood) -> dict[str, Any]:
    return {"what": error.what, "where": error.where, "next": error.next, "line": error.line or None}


def _summary(report: Report) -> dict[str, Any]:
    counts = counted(report.assessments)
    return {
        "workloads": len(report.assessments),
        **{verdict.value: counts[verdict] for verdict in Verdict},
        "not_understood": len(report.not_understood),
        "baseline_left_out": report.baseline_left_out,
        "baseline_workloads": report.baseline_workloads,
    }
