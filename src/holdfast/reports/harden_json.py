"""What hardening found, for programs. ``schema/harden-1.json`` says what it may hold."""

from __future__ import annotations

from typing import Any

from holdfast.model.hardening import Hardened, Hardening
from holdfast.model.remedy import FixSet, Remedy
from holdfast.model.report import Assessment
from holdfast.reports._diff import unified
from holdfast.reports._json_text import encoded
from holdfast.reports._values import machine

MEDIA_TYPE = "application/json"
SCHEMA_VERSION = "1.0"


def render(report: Hardening) -> bytes:
    """Write what hardening found as JSON.

    Returns:
        ASCII, ended with a newline. Equal results give equal bytes.
    """
    record = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "holdfast", "version": report.tool_version},
        "host": report.host or None,
        "workloads": [_workload(each) for each in report.workloads],
        "patches": [{"path": patch.path, "diff": unified(patch), "applied": patch.applied} for patch in report.patches],
        "gains": [
            {"title": gain.title, "workloads": list(gain.workloads), "paths": gain.paths} for gain in report.gains
        ],
        "not_understood": [
            {"what": error.what, "where": error.where, "next": error.next, "line": error.line or None}
            for error in report.not_understood
        ],
        "notes": list(report.notes),
    }
    return encoded(record) + b"\n"


def _workload(each: Hardened) -> dict[str, Any]:
    workload, fixes = each.before.workload, each.fixes
    return {
        "name": workload.name,
        "kind": workload.kind,
        "source": {
            "document": workload.source.document,
            "pointer": workload.source.pointer,
            "line": workload.source.line or None,
        },
        "before": _judged(each.before),
        "after": None if each.after is None else _judged(each.after),
        "file_alone": None if each.file_alone is None else _judged(each.file_alone),
        "goal": None if fixes.goal is None else fixes.goal.name.lower(),
        "complete": fixes.complete,
        "bound": fixes.bound,
        "sets": [_set(one) for one in fixes.sets],
        "remaining": None if fixes.remaining is None or fixes.sets else _judged(fixes.remaining),
        "outside": [remedy.name for remedy in each.outside],
        "left": [
            {
                "fact": left.change.fact.name,
                "value": machine(left.change.value),
                "why": left.why,
                "where": str(left.where),
            }
            for left in each.left
        ],
    }


def _judged(assessment: Assessment) -> dict[str, Any]:
    return {
        "verdict": assessment.verdict.value,
        "paths": [
            {
                "techniques": [step.technique.id for step in path.steps],
                "reaches": path.reaches.name,
                "verdict": path.verdict.word,
            }
            for path in assessment.paths
        ],
    }


def _set(one: FixSet) -> dict[str, Any]:
    return {"cost": one.cost, "changes": [_remedy(remedy) for remedy in one.remedies]}


def _remedy(remedy: Remedy) -> dict[str, Any]:
    return {
        "name": remedy.name,
        "title": remedy.title,
        "made": remedy.made.name.lower(),
        "application_cost": remedy.application,
        "operator_cost": remedy.operator,
        "facts": [
            {"fact": change.fact.name, "value": machine(change.value), "why": change.why} for change in remedy.changes
        ],
    }
