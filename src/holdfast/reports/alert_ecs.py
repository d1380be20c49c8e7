"""Alerts as documents of the Elastic Common Schema 8, for Elasticsearch and what reads it.

What ECS has no field for stands under ``holdfast``, a name of its own as ECS asks for.

Source:
    https://www.elastic.co/docs/reference/ecs/ecs-field-reference
"""

from __future__ import annotations

from typing import Any

from holdfast.model.alert import Alert, Ancestor, Origin, Verdict
from holdfast.model.evidence import Stamp
from holdfast.reports._alert_text import filled, json_text, plain
from holdfast.reports._alert_time import rfc3339
from holdfast.version import __version__

MEDIA_TYPE = "application/json"
VERSION = "8.17.0"

_TYPE = {Verdict.DENIED: "denied", Verdict.ALERTED: "allowed", Verdict.OBSERVED: "info"}
_OUTCOME = {True: "success", False: "failure", None: "unknown"}


def render(alert: Alert, stamp: Stamp | None = None) -> bytes:
    """Write an alert.

    Args:
        alert: The alert; its strings may hold anything.
        stamp: Its place in the spool.

    Returns:
        One line of ASCII without its end.
    """
    told = alert.container
    image, _, tag = _image(told.get("image"))
    value = {
        "@timestamp": rfc3339(alert.at_ns),
        "ecs": {"version": VERSION},
        "message": alert.output,
        "tags": list(alert.tags),
        "event": {
            "kind": "alert" if alert.origin is not Origin.SENSOR else "event",
            "category": ["intrusion_detection"] if alert.origin is not Origin.SENSOR else ["host"],
            "type": [_type(alert)],
            "action": alert.event or alert.rule,
            "outcome": _OUTCOME[alert.succeeded],
            "severity": 7 - alert.priority.value,
            "id": alert.id,
            "code": alert.rule,
            "sequence": stamp.sequence if stamp else None,
            "hash": stamp.chain if stamp else None,
            "created": rfc3339(alert.at_ns + max(alert.seen_ns - alert.boot_ns, 0)),
            "module": "holdfast",
            "dataset": "holdfast.alert",
            "provider": alert.backend,
            "reason": "; ".join(alert.reasons),
        },
        "log": {"level": alert.priority.title.lower(), "syslog": {"severity": {"code": alert.priority.value}}},
        "rule": {
            "id": alert.rule,
            "name": alert.title or alert.rule,
            "description": alert.description,
            "category": alert.origin.value,
        },
        "threat": _threat(alert),
        "process": _processes(alert),
        "user": {"id": str(alert.process[0].user)} if alert.process else {},
        "container": {
            "id": _text(told.get("id")),
            "name": _text(told.get("name")),
            "runtime": _text(told.get("runtime")),
            "image": {"name": image, "tag": [tag] if tag else []},
        },
        "orchestrator": {
            "type": "kubernetes" if any(str(key).startswith("k8s.") for key in told) else "",
            "namespace": _text(told.get("k8s.ns.name")),
            "resource": {"name": _text(told.get("k8s.pod.name"))},
        },
        "host": {"hostname": alert.node, "name": alert.node},
        "observer": {"vendor": "Holdfast", "product": "Holdfast", "type": "sensor", "version": __version__},
        "holdfast": {
            "stream": stamp.stream if stamp else "",
            "verdict": alert.verdict.value,
            "error": alert.error,
            "incident": alert.incident,
            # Rules name their fields as they like, so no mapping can hold them all: they travel as text.
            "fields": json_text(dict(alert.fields)) if alert.fields else "",
            "container": json_text(dict(told)) if told else "",
            "ancestors": [_process(each, alert) for each in alert.process[2:]],
        },
    }
    return json_text(filled(value)).encode("ascii")


def _type(alert: Alert) -> str:
    if alert.origin is Origin.SENSOR:
        return "info"
    if alert.verdict is Verdict.ALERTED and alert.succeeded is False:
        return "denied"
    return _TYPE.get(alert.verdict, "info")


def _threat(alert: Alert) -> dict[str, Any]:
    if not alert.attack:
        return {}
    whole = list(dict.fromkeys(each.partition(".")[0] for each in alert.attack))
    parts = [each for each in alert.attack if "." in each]
    return {"framework": "MITRE ATT&CK", "technique": {"id": whole, "subtechnique": {"id": parts}}}


def _processes(alert: Alert) -> dict[str, Any]:
    if not alert.process:
        return {}
    process = _process(alert.process[0], alert)
    if len(alert.process) > 1:
        process["parent"] = _process(alert.process[1], alert)
    return process


def _process(one: Ancestor, alert: Alert) -> dict[str, Any]:
    return {
        "pid": one.pid,
        "entity_id": f"{alert.node}:{one.pid}:{one.start_ns}" if one.start_ns else "",
        "name": one.name,
        "executable": one.path,
        "command_line": one.command,
        "start": rfc3339(alert.at_ns - alert.boot_ns + one.start_ns) if one.start_ns else "",
        "user": {"id": str(one.user)},
    }


def _image(reference: Any) -> tuple[str, str, str]:
    """Split ``registry:port/repository:tag``."""
    text = _text(reference)
    head, slash, last = text.rpartition("/")
    name, colon, tag = last.partition(":")
    return (head + slash + name, colon, tag) if "@" not in text else (text, "", "")


def _text(value: Any) -> str:
    return "" if value is None else str(plain(value))
