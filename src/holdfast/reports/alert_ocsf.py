"""Alerts as OCSF 1.8 Detection Findings with the profiles ``security_control`` and ``host``.

What OCSF has no place for stands in ``unmapped.holdfast``: namespaces, the fields of the rule, the hash chain.

Source:
    https://schema.ocsf.io/1.8.0/classes/detection_finding
"""

from __future__ import annotations

import re
from typing import Any

from holdfast.model.alert import Alert, Ancestor, Origin, Priority, Verdict
from holdfast.model.evidence import Stamp
from holdfast.reports._alert_text import filled, json_text, plain
from holdfast.version import __version__

MEDIA_TYPE = "application/json"
VERSION = "1.8.0"

_CLASS, _CREATE = 2004, 1
_TECHNIQUE = re.compile(r"T[0-9]{4}(\.[0-9]{3})?")

_SEVERITY = {
    Priority.EMERGENCY: (6, "Fatal"),
    Priority.ALERT: (5, "Critical"),
    Priority.CRITICAL: (5, "Critical"),
    Priority.ERROR: (4, "High"),
    Priority.WARNING: (3, "Medium"),
    Priority.NOTICE: (2, "Low"),
    Priority.INFORMATIONAL: (1, "Informational"),
    Priority.DEBUG: (1, "Informational"),
}
_ALLOWED, _DENIED, _UNKNOWN = (1, "Allowed"), (2, "Denied"), (0, "Unknown")
_OUTCOME = {
    Verdict.OBSERVED: (_ALLOWED, (17, "Logged")),
    Verdict.ALERTED: (_ALLOWED, (19, "Alert")),
    Verdict.DENIED: (_DENIED, (2, "Blocked")),
    # Whether the call had its effect before the process was stopped is another question, so the action is unknown.
    Verdict.KILLED: (_UNKNOWN, (99, "Killed")),
    Verdict.PAUSED: (_UNKNOWN, (99, "Paused")),
    Verdict.QUARANTINED: (_UNKNOWN, (4, "Isolated")),
}
_REFUSED = {"EPERM", "EACCES"}
_ANALYTIC = {Origin.TECHNIQUE: (2, "Behavioral"), Origin.RULE: (1, "Rule"), Origin.SENSOR: (99, "Sensor")}


def render(alert: Alert, stamp: Stamp | None = None) -> bytes:
    """Write an alert.

    Args:
        alert: The alert; its strings may hold anything.
        stamp: Its place in the spool.

    Returns:
        One line of ASCII without its end.
    """
    severity_id, severity = _SEVERITY[alert.priority]
    (action_id, action), (disposition_id, disposition) = _outcome(alert)
    attacks = [_attack(each) for each in alert.attack if _TECHNIQUE.fullmatch(each)]
    time = _milliseconds(alert.at_ns)
    analytic_id, analytic = _ANALYTIC[alert.origin]
    name = alert.title or alert.rule or "unknown"
    value = {
        "activity_id": _CREATE,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": _CLASS,
        "class_name": "Detection Finding",
        "type_uid": _CLASS * 100 + _CREATE,
        "type_name": "Detection Finding: Create",
        "time": time,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "message": alert.output,
        "is_alert": alert.origin is not Origin.SENSOR or alert.priority.value <= Priority.ERROR.value,
        "action_id": action_id,
        "action": action,
        "disposition_id": disposition_id,
        "disposition": disposition,
        "attacks": attacks,
        "finding_info": {
            "uid": alert.id or "unknown",
            "title": name,
            "desc": alert.description,
            "created_time": time,
            "first_seen_time": time,
            "last_seen_time": time,
            "analytic": {
                "uid": alert.rule or "unknown",
                "name": name,
                "desc": alert.description,
                "type_id": analytic_id,
                "type": analytic,
            },
            "attacks": attacks,
        },
        "metadata": {
            "version": VERSION,
            "profiles": ["security_control", "host"],
            "product": {"name": "Holdfast", "vendor_name": "Holdfast", "version": __version__},
            "uid": f"{stamp.stream}:{stamp.sequence}" if stamp else alert.id,
            "original_event_uid": alert.id,
            "event_code": alert.rule,
            "sequence": stamp.sequence if stamp else None,
            "correlation_uid": alert.incident,
            "labels": list(alert.tags),
            "log_name": "alerts",
        },
        "device": {"type_id": 0, "type": "Unknown", "hostname": alert.node or "unknown"},
        "evidences": [_evidence(alert)] if alert.process or alert.container or alert.event else [],
        "unmapped": {"holdfast": _unmapped(alert, stamp)},
    }
    return json_text(filled(value)).encode("ascii")


def _outcome(alert: Alert) -> tuple[tuple[int, str], tuple[int, str]]:
    if alert.verdict in {Verdict.ALERTED, Verdict.OBSERVED} and alert.succeeded is False:
        # It was not we who stopped it.
        return _DENIED, (26, "Unauthorized") if alert.error in _REFUSED else (27, "Error")
    return _OUTCOME[alert.verdict]


def _attack(technique: str) -> dict[str, Any]:
    whole, point, _ = technique.partition(".")
    return {"technique": {"uid": whole}} | ({"sub_technique": {"uid": technique}} if point else {})


def _evidence(alert: Alert) -> dict[str, Any]:
    evidence: dict[str, Any] = {"name": alert.event, "container": _container(alert)}
    if alert.process:
        actor, *ancestors = alert.process
        process = _process(actor, alert) | {"user": {"uid": str(actor.user)}}
        if ancestors:
            process["parent_process"] = _process(ancestors[0], alert)
            process["ancestry"] = [_process(each, alert) for each in ancestors]
        evidence["actor"] = {"process": process}
        evidence["process"] = _process(actor, alert)
    else:
        evidence["data"] = {"event": alert.event or "none"}
    return evidence


def _process(one: Ancestor, alert: Alert) -> dict[str, Any]:
    process: dict[str, Any] = {
        "pid": one.pid,
        "uid": f"{one.pid}:{one.start_ns}" if one.start_ns else "",
        "name": one.name,
        "cmd_line": one.command,
        "path": one.path,
    }
    if one.start_ns:
        process["created_time"] = _milliseconds(alert.at_ns - alert.boot_ns + one.start_ns)
    return process


def _container(alert: Alert) -> dict[str, Any]:
    told = alert.container
    image = str(plain(told.get("image", "")))
    container = {
        "uid": _text(told.get("id")),
        "name": _text(told.get("name")),
        "runtime": _text(told.get("runtime")),
        "image": {"name": image, "uid": _text(told.get("image_id"))} if image else {},
        "pod_uuid": _text(told.get("k8s.pod.uid")),
    }
    return container if container["uid"] or container["name"] else {}


def _unmapped(alert: Alert, stamp: Stamp | None) -> dict[str, Any]:
    return {
        "stream": stamp.stream if stamp else "",
        "chain": stamp.chain if stamp else "",
        "origin": alert.origin.value,
        "verdict": alert.verdict.value,
        "succeeded": alert.succeeded,
        "error": alert.error,
        "backend": alert.backend,
        "event": alert.event,
        "priority": alert.priority.title,
        "fields": dict(alert.fields),
        "container": dict(alert.container),
        "reasons": list(alert.reasons),
        "boot_ns": alert.boot_ns,
        "seen_ns": alert.seen_ns,
    }


def _milliseconds(at_ns: int) -> int:
    return at_ns // 1_000_000


def _text(value: Any) -> str:
    return "" if value is None else str(plain(value))
