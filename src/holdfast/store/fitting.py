"""An alert too long to keep, made shorter: an attacker who writes endless arguments must not thereby stay unseen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.model.alert import Alert, Ancestor

_SMALLEST = 64


def fitted(alert: Alert, limit: int) -> Alert:
    """Cut an alert's strings, its longest first, and its lists, so that it fits.

    Args:
        alert: The alert.
        limit: Bytes that its JSON may have; 64 KiB or more.

    Returns:
        The alert with every string at most so long that all fit. What was cut off is told: ``[+1234]``, characters.
    """
    longest, shorter = limit, alert
    while longest > _SMALLEST:
        longest //= 2
        shorter = _cut(alert, longest)
        if _size(shorter) <= limit:
            return shorter
    # Too many strings rather than too long ones.
    return replace(shorter, fields={"cut": True}, container={}, process=shorter.process[:16], reasons=(), tags=())


def _cut(alert: Alert, longest: int) -> Alert:
    few = max(longest // 16, 8)
    return replace(
        alert,
        id=_text(alert.id, longest),
        node=_text(alert.node, longest),
        rule=_text(alert.rule, longest),
        title=_text(alert.title, longest),
        output=_text(alert.output, longest),
        tags=tuple(_text(each, longest) for each in alert.tags[:few]),
        attack=tuple(_text(each, longest) for each in alert.attack[:few]),
        error=_text(alert.error, longest),
        backend=_text(alert.backend, longest),
        event=_text(alert.event, longest),
        fields=_value(dict(alert.fields), longest, few),
        process=tuple(_ancestor(each, longest) for each in alert.process[:few]),
        container=_value(dict(alert.container), longest, few),
        incident=_text(alert.incident, longest),
        reasons=tuple(_text(each, longest) for each in alert.reasons[:few]),
        description=_text(alert.description, longest),
    )


def _ancestor(one: Ancestor, longest: int) -> Ancestor:
    return replace(
        one, name=_text(one.name, longest), path=_text(one.path, longest), command=_text(one.command, longest)
    )


def _value(value: Any, longest: int, few: int) -> Any:
    if isinstance(value, str):
        return _text(value, longest)
    if isinstance(value, bytes | bytearray):
        return _text(bytes(value).decode("utf-8", "surrogateescape"), longest)
    if isinstance(value, dict):
        entries = list(value.items())[: max(few, 128)]
        return {_text(key, longest) if isinstance(key, str) else key: _value(e, longest, few) for key, e in entries}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(entry, longest, few) for entry in list(value)[:few]]
    return value


def _text(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}[+{len(text) - longest}]"


def _size(value: Any) -> int:
    """Return an upper bound for the bytes of a value's JSON, without writing it."""
    if isinstance(value, str):
        return 12 * len(value) + 3
    if isinstance(value, dict):
        return sum(_size(str(key)) + _size(entry) for key, entry in value.items()) + 2
    if isinstance(value, list | tuple):
        return sum(_size(entry) for entry in value) + 2
    if isinstance(value, Alert | Ancestor):
        return sum(len(name) + 4 + _size(getattr(value, name)) for name in value.__slots__)
    return 32
