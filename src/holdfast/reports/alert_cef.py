r"""Alerts in ArcSight's Common Event Format, version 0.

Beside the escapes of the format (``\\``, ``\|`` in the header, ``\=`` in values, ``\n``, ``\r``) we write other control
characters and what is not UTF-8 as ``\x1b`` and ``\u2028``: a reader that does not know these shows them as they stand.

Source:
    Micro Focus ArcSight Common Event Format, implementation standard, version 26.
"""

from __future__ import annotations

from typing import Any

from holdfast.model.alert import Alert, Priority
from holdfast.model.evidence import Stamp
from holdfast.reports._alert_text import escaper, json_text, plain
from holdfast.version import __version__

MEDIA_TYPE = "text/plain; charset=utf-8"

SEVERITY = {
    Priority.EMERGENCY: 10,
    Priority.ALERT: 9,
    Priority.CRITICAL: 8,
    Priority.ERROR: 7,
    Priority.WARNING: 5,
    Priority.NOTICE: 3,
    Priority.INFORMATIONAL: 1,
    Priority.DEBUG: 0,
}
_OUTCOME = {True: "success", False: "failure", None: ""}
_header = escaper("|")
_value = escaper("=")


def render(alert: Alert, stamp: Stamp | None = None) -> bytes:
    """Write an alert.

    Args:
        alert: The alert; its strings may hold anything.
        stamp: Its place in the spool.

    Returns:
        One line of UTF-8 without its end.
    """
    head = ("Holdfast", "Holdfast", __version__, alert.rule, alert.title or alert.rule, str(SEVERITY[alert.priority]))
    pairs = (f"{key}={_value(text)}" for key, text in _extension(alert, stamp) if text)
    return f"CEF:0|{'|'.join(_header(each) for each in head)}|{' '.join(pairs)}".encode()


def _extension(alert: Alert, stamp: Stamp | None) -> list[tuple[str, str]]:
    actor = alert.process[0] if alert.process else None
    pairs = [
        ("rt", str(max(alert.at_ns, 0) // 1_000_000)),
        ("dvchost", alert.node),
        ("externalId", alert.id),
        ("deviceExternalId", stamp.stream if stamp else ""),
        ("act", alert.verdict.value),
        ("outcome", _OUTCOME[alert.succeeded]),
        ("reason", alert.error),
        ("cat", alert.origin.value),
        ("msg", alert.output),
        ("deviceFacility", alert.backend),
        ("requestMethod", alert.event),
    ]
    if actor is not None:
        pairs += [
            ("spid", str(actor.pid)),
            ("sproc", actor.name),
            ("suid", str(actor.user)),
            ("filePath", actor.path),
        ]
    custom = (
        ("cs1", "containerId", _text(alert.container.get("id"))),
        ("cs2", "containerImage", _text(alert.container.get("image"))),
        ("cs3", "containerName", _text(alert.container.get("name"))),
        ("cs4", "attack", ",".join(alert.attack)),
        ("cs5", "commandLine", actor.command if actor else ""),
        ("cs6", "incident", alert.incident),
        ("flexString1", "fields", json_text(dict(alert.fields)) if alert.fields else ""),
        ("flexString2", "chain", stamp.chain if stamp else ""),
        ("cn1", "sequence", str(stamp.sequence) if stamp else ""),
    )
    for key, label, text in custom:
        if text:
            pairs += [(f"{key}Label", label), (key, text)]
    return pairs


def _text(value: Any) -> str:
    return "" if value is None else str(plain(value))
