"""Facts as a file: what ``holdfast facts --host --output FILE`` writes and ``--host FILE`` reads on another machine.

JSON, versioned. Every value says of which kind it is, so that a tuple comes back as a tuple. The reading half is
``platforms/host_record``.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members, OtherThan, Paths
from holdfast.model.words.declared import Device, Mount
from holdfast.model.words.observed import DeviceNode, MountInfo

MEDIA_TYPE = "application/vnd.holdfast.facts+json"
VERSION = 1
_RECORDS: dict[type, str] = {Mount: "mount", Device: "device", MountInfo: "mount_info", DeviceNode: "device_node"}
_DEEPEST = 64


def render(facts: Facts, name: str) -> bytes:
    """Write facts with their places.

    Args:
        facts: What is known, and why something is not. A value of a kind that no file can hold, such as a compiled
            system call filter, is written as absent, with that reason.
        name: What the facts are about, for people: a host's name.

    Returns:
        JSON, one fact a line, sorted by name; the same facts give the same bytes.
    """
    lines = [
        f"  {json.dumps(fact.name)}: {json.dumps(_entry(entry), ensure_ascii=False, sort_keys=True)}"
        for fact, entry in sorted(facts.table.items(), key=lambda pair: pair[0].name)
    ]
    head = f'{{"holdfast_facts": {VERSION}, "name": {json.dumps(name, ensure_ascii=False)}, "facts": {{'
    body = ",\n".join(lines)
    # A lone surrogate, from a file name that is no UTF-8, cannot be encoded; JSON spells it as an escape.
    return f"{head}\n{body}\n}}}}\n".encode("utf-8", "backslashreplace")


def _entry(entry: Seen[Any] | Absent) -> dict[str, Any]:
    if isinstance(entry, Absent):
        return {"absent": entry.reason, **({"where": _where(entry.where)} if entry.where else {})}
    try:
        written: dict[str, Any] = {"value": _value(entry.value, 0), "where": _where(entry.where)}
        if entry.parts:
            written["parts"] = [[_value(key, 0), _where(place)] for key, place in entry.parts.items()]
    except TypeError as error:
        return {"absent": str(error), "where": _where(entry.where)}
    if entry.note:
        written["note"] = entry.note
    return written


def _where(where: Where) -> list[Any]:
    return [where.document, where.pointer, where.line]


def _value(value: Any, depth: int) -> Any:  # noqa: C901 - one line for each kind of value
    if depth > _DEEPEST:
        raise TypeError("this value is nested too deeply to be written to a file")
    if value is None or isinstance(value, bool | str | int):
        return value
    deeper = depth + 1
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, bytes):
        return {"bytes": b64encode(value).decode("ascii")}
    if isinstance(value, tuple):
        return {"tuple": [_value(part, deeper) for part in value]}
    if isinstance(value, frozenset):
        return {"set": _sorted(value, deeper)}
    if isinstance(value, Members):
        sets = {name: _sorted(getattr(value, name), deeper) for name in ("yes", "maybe", "no")}
        return {"members": {**sets, "rest": value.rest.word}}
    if isinstance(value, Paths):
        lists = {"items": list(value.items), "outside": sorted(value.outside), "maybe": list(value.maybe)}
        return {"paths": {**lists, "rest": value.rest.word}}
    if isinstance(value, OtherThan):
        return {"other_than": _value(value.value, deeper)}
    if isinstance(value, list):
        return {"list": [_value(part, deeper) for part in value]}
    if isinstance(value, Mapping):
        return {"map": [[_value(key, deeper), _value(part, deeper)] for key, part in value.items()]}
    kind = _RECORDS.get(type(value))
    if kind is None:
        raise TypeError(f"a value of the kind {type(value).__name__} cannot be written to a file")
    return {kind: {field.name: _value(getattr(value, field.name), deeper) for field in fields(value)}}


def _sorted(names: frozenset[Any], depth: int) -> list[Any]:
    return sorted((_value(name, depth) for name in names), key=lambda name: json.dumps(name, sort_keys=True))
