r"""Alerts in IBM's Log Event Extended Format 2.0, for QRadar.

The format names no escapes. Attributes are separated by a tab, so a tab, the end of a line and other control characters
are written as ``\t``, ``\n``, ``\x1b``, ``\u2028``, a backslash as ``\\``, and in the header ``|`` as ``\|``.

Source:
    https://www.ibm.com/docs/en/dsm?topic=overview-leef-event-components
"""

from __future__ import annotations

from typing import Any

from holdfast.model.alert import Alert
from holdfast.model.evidence import Stamp
from holdfast.reports._alert_text import escaper, json_text, plain
from holdfast.reports.alert_cef import SEVERITY
from holdfast.version import __version__

MEDIA_TYPE = "text/plain; charset=utf-8"

_OUTCOME = {True: "success", False: "failure", None: ""}
_header = escaper("|")
_value = escaper("")


def render(alert: Alert, stamp: Stamp | None = None) -> bytes:
    """Write an alert.

    Args:
        alert: The alert; its strings may hold anything.
        stamp: Its place in the spool.

    Returns:
        One line of UTF-8 without its end; tabs separate the attributes.
    """
    head = ("Holdfast", "Holdfast", __version__, alert.rule)
    pairs = (f"{key}={_value(text)}" for key, text in _attributes(alert, stamp) if text)
    return "|".join(("LEEF:2.0", *(_header(each) for each in head), "x09", "\t".join(pairs))).encode()


def _attributes(alert: Alert, stamp: Stamp | None) -> list[tuple[str, str]]:
    pairs = [
        ("devTime", str(max(alert.at_ns, 0) // 1_000_000)),
        ("sev", str(max(SEVERITY[alert.priority], 1))),
        ("cat", alert.origin.value),
        ("identHostName", alert.node),
        ("name", alert.title),
        ("msg", alert.output),
        ("id", alert.id),
        ("action", alert.verdict.value),
        ("outcome", _OUTCOME[alert.succeeded]),
        ("reason", alert.error),
        ("attack", ",".join(alert.attack)),
        ("tags", ",".join(alert.tags)),
        ("backend", alert.backend),
        ("event", alert.event),
        ("incident", alert.incident),
        ("containerId", _text(alert.container.get("id"))),
        ("containerName", _text(alert.container.get("name"))),
        ("containerImage", _text(alert.container.get("image"))),
        ("fields", json_text(dict(alert.fields)) if alert.fields else ""),
    ]
    if alert.process:
        actor = alert.process[0]
        pairs += [
            ("usrName", str(actor.user)),
            ("processId", str(actor.pid)),
            ("processName", actor.name),
            ("processPath", actor.path),
            ("commandLine", actor.command),
        ]
    if stamp is not None:
        pairs += [("stream", stamp.stream), ("sequence", str(stamp.sequence)), ("chain", stamp.chain)]
    return pairs


def _text(value: Any) -> str:
    return "" if value is None else str(plain(value))
