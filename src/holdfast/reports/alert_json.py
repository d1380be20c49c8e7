r"""Alerts as JSON of our own: everything an alert holds, and ``read`` gives it back.

``schema/alert-1.json`` says what a record may hold. The spool keeps alerts in this form.

A record is one line of ASCII. Where a string holds what is not UTF-8, the record says ``"escaped": true``, and in all
its strings a backslash is written twice, a byte as ``\xff`` and half of a surrogate pair as ``\ud800``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from holdfast.model.alert import Alert, Ancestor, Origin, Priority, Verdict
from holdfast.model.errors import NotUnderstood
from holdfast.model.evidence import Stamp
from holdfast.reports._alert_text import SURROGATE, escaped, mapped, plain, unescaped
from holdfast.reports._alert_time import rfc3339

MEDIA_TYPE = "application/json"
SCHEMA_VERSION = "1.0"
"""MAJOR.MINOR: MINOR grows with a new key, MAJOR with a key that changes its meaning or goes."""

_MAJOR = SCHEMA_VERSION.partition(".")[0]
_dumps = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def render(alert: Alert, stamp: Stamp | None = None) -> bytes:
    """Write an alert.

    Args:
        alert: The alert; its strings may hold anything.
        stamp: Its place in the spool; None where it has none yet.

    Returns:
        One line of ASCII without its end. Equal alerts give equal bytes.
    """
    value = _record(alert)
    try:
        text = _dumps(value)
    except (TypeError, ValueError):
        text = _dumps(value := plain(value))
    if "\\ud" in text and _holds_surrogate(value := plain(value)):
        text = _dumps({"escaped": True, **mapped(value, escaped)})
    body = text.encode("ascii")
    return body if stamp is None else stamped(body, stamp)


def stamped(body: bytes, stamp: Stamp) -> bytes:
    """Put the stamp into a record that was written without one, as ``render`` would have."""
    return b'{"stream":"%s","sequence":%d,"chain":"%s",%s' % (
        stamp.stream.encode("ascii"),
        stamp.sequence,
        stamp.chain.encode("ascii"),
        body[1:],
    )


def read(record: bytes, where: str = "") -> Alert:
    """Read an alert back.

    Args:
        record: What ``render`` wrote, of this major version. Whatever stands in it, the answer is an alert or an error.
        where: Where the record stands, for the error.

    Raises:
        NotUnderstood: It is no JSON, or not an alert of this major version.
    """
    try:
        value = json.loads(record, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood("this is not JSON", where or "$", "write the alert again with this version") from error
    if not isinstance(value, dict) or not isinstance(value.get("schema_version"), str):
        raise NotUnderstood("this is not an alert", where or "$", "name a file that holds alerts in native JSON")
    if value["schema_version"].partition(".")[0] != _MAJOR:
        version = value["schema_version"][:20]
        raise NotUnderstood(
            f"this alert has version {version!r}, and this program reads {_MAJOR}",
            where or "$",
            "use the version of Holdfast that wrote it",
        )
    if value.get("escaped") is True:
        value = mapped(value, unescaped)
    try:
        return _alert(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotUnderstood(f"this alert lacks something or holds it wrong: {error!r}", where or "$") from error


def _record(alert: Alert) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "id": alert.id,
        "time": rfc3339(alert.at_ns),
        "at_ns": alert.at_ns,
        "boot_ns": alert.boot_ns,
        "seen_ns": alert.seen_ns,
        "node": alert.node,
        "origin": alert.origin.value,
        "rule": alert.rule,
        "title": alert.title,
        "output": alert.output,
        "priority": alert.priority.name.lower(),
        "tags": list(alert.tags),
        "attack": list(alert.attack),
        "verdict": alert.verdict.value,
        "succeeded": alert.succeeded,
        "error": alert.error,
        "backend": alert.backend,
        "event": alert.event,
        "fields": dict(alert.fields),
        "process": [
            {
                "pid": each.pid,
                "name": each.name,
                "path": each.path,
                "command": each.command,
                "user": each.user,
                "start_ns": each.start_ns,
            }
            for each in alert.process
        ],
        "container": dict(alert.container),
        "incident": alert.incident,
        "reasons": list(alert.reasons),
        "description": alert.description,
    }


def _alert(value: Mapping[str, Any]) -> Alert:
    return Alert(
        id=_text(value["id"]),
        at_ns=_number(value["at_ns"]),
        boot_ns=_number(value["boot_ns"]),
        seen_ns=_number(value["seen_ns"]),
        node=_text(value["node"]),
        origin=Origin(value["origin"]),
        rule=_text(value["rule"]),
        title=_text(value["title"]),
        output=_text(value["output"]),
        priority=Priority[_text(value["priority"]).upper()],
        tags=_texts(value["tags"]),
        attack=_texts(value["attack"]),
        verdict=Verdict(value["verdict"]),
        succeeded=_truth(value["succeeded"]),
        error=_text(value["error"]),
        backend=_text(value["backend"]),
        event=_text(value["event"]),
        fields=_object(value["fields"]),
        process=tuple(_ancestor(each) for each in value["process"]),
        container=_object(value["container"]),
        incident=_text(value["incident"]),
        reasons=_texts(value["reasons"]),
        description=_text(value["description"]),
    )


def _ancestor(value: Mapping[str, Any]) -> Ancestor:
    return Ancestor(
        pid=_number(value["pid"]),
        name=_text(value["name"]),
        path=_text(value["path"]),
        command=_text(value["command"]),
        user=_number(value["user"]),
        start_ns=_number(value["start_ns"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{str(value)[:40]!r} is no whole number")
    return value


def _truth(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{str(value)[:40]!r} is neither true, false nor null")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:40]!r} is no list")
    return tuple(_text(each) for each in value)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{str(value)[:40]!r} is no object")
    return value


def _holds_surrogate(value: Any) -> bool:
    if isinstance(value, str):
        return SURROGATE.search(value) is not None
    if isinstance(value, dict):
        return any(SURROGATE.search(key) or _holds_surrogate(entry) for key, entry in value.items())
    return isinstance(value, list) and any(_holds_surrogate(entry) for entry in value)


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)
