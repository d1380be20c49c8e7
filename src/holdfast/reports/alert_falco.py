"""Alerts as Falco prints them with ``json_output``: what reads Falco, Falcosidekick first of all, reads these.

Source:
    https://falco.org/docs/concepts/outputs/formatting/, and the payload type of Falcosidekick.
"""

from __future__ import annotations

from typing import Any

from holdfast.model.alert import Alert
from holdfast.model.evidence import Stamp
from holdfast.reports._alert_text import json_text, plain
from holdfast.reports._alert_time import rfc3339

MEDIA_TYPE = "application/json"


def render(alert: Alert, stamp: Stamp | None = None) -> bytes:
    """Write an alert.

    Args:
        alert: The alert; its strings may hold anything.
        stamp: Its place in the spool; it goes among the output fields.

    Returns:
        One line of ASCII without its end.
    """
    time = rfc3339(alert.at_ns)
    value = {
        "hostname": alert.node,
        "output": f"{time[11:-1]}: {alert.priority.title} {alert.output}",
        "output_fields": _fields(alert, stamp),
        "priority": alert.priority.title,
        "rule": alert.rule,
        "source": "syscall",
        "tags": [*alert.tags, *(each for each in alert.attack if each not in alert.tags)],
        "time": time,
    }
    return json_text(value).encode("ascii")


def _fields(alert: Alert, stamp: Stamp | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"evt.time": alert.at_ns}
    if alert.process:
        actor = alert.process[0]
        fields |= {"proc.pid": actor.pid, "proc.name": actor.name, "proc.exepath": actor.path}
        fields |= {"proc.cmdline": actor.command, "user.uid": actor.user}
    if alert.container:
        names = {"id": "container.id", "name": "container.name", "image": "container.image"}
        fields |= {told: alert.container[name] for name, told in names.items() if name in alert.container}
    fields |= dict(alert.fields)
    fields |= {
        "holdfast.id": alert.id,
        "holdfast.verdict": alert.verdict.value,
        "holdfast.succeeded": alert.succeeded,
        "holdfast.error": alert.error,
        "holdfast.incident": alert.incident,
    }
    if stamp is not None:
        fields |= {"holdfast.stream": stamp.stream, "holdfast.sequence": stamp.sequence, "holdfast.chain": stamp.chain}
    return {name: _scalar(value) for name, value in fields.items()}


def _scalar(value: Any) -> Any:
    """Return what Falco would give: text, a number, a truth or nothing; never an object."""
    value = plain(value)
    if isinstance(value, list):
        return f"({','.join(each if isinstance(each, str) else json_text(each) for each in value)})"
    return json_text(value) if isinstance(value, dict) else value
