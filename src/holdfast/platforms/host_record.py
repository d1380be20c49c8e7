"""Recorded facts, read back: the other half of ``reports/facts_record``.

A record comes from another machine, perhaps from another version, perhaps from an enemy. Only values of the kinds
that the vocabulary knows come in; anything else makes the whole record "not understood", because a host that is half
read would be judged wrongly.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any, TypeVar

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.tree import Cursor, Document, Mapping, Scalar, Sequence
from holdfast.model.truth import Truth
from holdfast.model.values import Collection, Members, OtherThan, Paths
from holdfast.model.words import engine, host, load
from holdfast.model.words.declared import Device, Mount
from holdfast.model.words.observed import DeviceNode, MountInfo
from holdfast.model.workload import Reading, Surroundings

T = TypeVar("T")
NAME = "holdfast-facts"
MARK = "holdfast_facts"
VERSION = 1
LIMIT_BYTES = 16 << 20
LIMIT_VALUES = 2_000_000
DEEPEST = 70
"""Levels of a value; a little more than the writer writes."""
_SUBJECTS = frozenset({"host", "engine"})
_AGAIN = "record the host again: holdfast facts --host --output FILE"
_NUMBERS: frozenset[Fact[Any]] = frozenset(
    {host.KERNEL_VERSION, engine.VERSION, engine.CONTAINERD_VERSION, engine.DESKTOP_VERSION}
)
_PAIRS: frozenset[Fact[Any]] = frozenset({host.PACKAGES, host.SOCKET_PERMISSIONS})


def recognises(document: Document) -> bool:
    """Tell whether a document is such a record, so that nobody takes it for a manifest."""
    return bool(document.roots) and document.roots[0].present(MARK)


def read(document: Document, surroundings: Surroundings) -> Reading:  # noqa: ARG001 - every dialect is asked alike
    """Read a record that lies among the documents of a scan: facts that are shared by all workloads.

    Raises:
        NotUnderstood: It is no record of this version.
    """
    facts = _facts(_plain(document.roots[0]), document.name)
    return Reading(shared=Facts({fact: entry for fact, entry in facts.table.items() if fact.subject in _SUBJECTS}))


def read_record(data: bytes, name: str) -> Facts:
    """Read a record.

    Args:
        data: The file's bytes.
        name: Its path, for the places of errors.

    Returns:
        The facts as they were written: values, places, notes and reasons.

    Raises:
        NotUnderstood: It is no record, of another version, asks a question that this version does not know, or
            answers one with a value of the wrong kind.
    """
    if len(data) > LIMIT_BYTES:
        raise NotUnderstood(f"A record of more than {LIMIT_BYTES:,} bytes is not read", name, _AGAIN)
    try:
        whole = json.loads(data)
    except RecursionError as error:
        raise NotUnderstood("The record is nested too deeply", name, _AGAIN) from error
    except (ValueError, UnicodeDecodeError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
        raise NotUnderstood("The record is no JSON", name, _AGAIN, line) from error
    return _facts(whole, name)


def _facts(whole: Any, name: str) -> Facts:
    if not isinstance(whole, dict) or MARK not in whole:
        raise NotUnderstood("This is no record of facts", name, _AGAIN)
    if whole[MARK] is not VERSION and (type(whole[MARK]) is not int or whole[MARK] != VERSION):
        raise NotUnderstood(f"The record has version {whole[MARK]!r:.40}; version {VERSION} is read", name, _AGAIN)
    entries = whole.get("facts")
    if not isinstance(entries, dict):
        raise NotUnderstood("The record has no facts", name, _AGAIN)
    words = load()
    reader = _Reader()
    table: dict[Fact[Any], Seen[Any] | Absent] = {}
    for word, entry in entries.items():
        fact = words.get(word)
        if fact is None:
            raise NotUnderstood(f"The record answers {word!r:.80}, which this version does not know", name, _AGAIN)
        try:
            table[fact] = reader.entry(fact, entry)
        except (_Strange, RecursionError) as error:
            why = str(error) if isinstance(error, _Strange) else "nested too deeply"
            raise NotUnderstood(f"The record's answer to {word} is not understood: {why}", name, _AGAIN) from error
    return Facts(table)


class _Strange(Exception):
    """A value is not what it should be."""


class _Reader:
    """Turns JSON back into values, and counts them."""

    def __init__(self) -> None:
        self.count = 0
        self.depth = 0

    def entry(self, fact: Fact[Any], entry: Any) -> Seen[Any] | Absent:
        if not isinstance(entry, dict):
            raise _Strange("no object")
        if "absent" in entry:
            if not isinstance(entry["absent"], str) or not set(entry) <= {"absent", "where"}:
                raise _Strange("a reason is a text")
            return Absent(entry["absent"], _where(entry["where"]) if "where" in entry else None)
        if not {"value", "where"} <= set(entry) <= {"value", "where", "note", "parts"}:
            raise _Strange("an answer has a value and a place")
        value = self.value(entry["value"])
        _check(fact, value)
        note = entry.get("note", "")
        if not isinstance(note, str):
            raise _Strange("a note is a text")
        if "parts" not in entry:
            return Seen(value, _where(entry["where"]), note)
        parts: dict[object, Where] = {}
        for pair in _list(entry["parts"]):
            key, place = _pair(pair)
            parts[_hashable(self.value(key))] = _where(place)
        return Seen(value, _where(entry["where"]), note, parts)

    def value(self, written: Any) -> Any:
        self.count += 1
        if self.count > LIMIT_VALUES:
            raise _Strange("it holds too many values")
        if written is None or isinstance(written, bool | str | int):
            return written
        if not isinstance(written, dict) or len(written) != 1:
            raise _Strange("a value says of which kind it is")
        ((kind, content),) = written.items()
        make = _KINDS.get(kind)
        if make is None:
            raise _Strange(f"there is no kind {kind!r:.40}")
        self.depth += 1
        if self.depth > DEEPEST:
            raise _Strange("nested too deeply")
        made = make(self, content)
        self.depth -= 1
        return made

    def _float(self, content: Any) -> float:
        try:
            return float(_text(content))
        except ValueError as error:
            raise _Strange("no number") from error

    def _bytes(self, content: Any) -> bytes:
        try:
            return b64decode(_text(content), validate=True)
        except (binascii.Error, ValueError) as error:
            raise _Strange("no base64") from error

    def _tuple(self, content: Any) -> tuple[Any, ...]:
        return tuple(self.value(part) for part in _list(content))

    def _listed(self, content: Any) -> list[Any]:
        return [self.value(part) for part in _list(content)]

    def _set(self, content: Any) -> frozenset[Any]:
        return frozenset(_hashable(self.value(part)) for part in _list(content))

    def _map(self, content: Any) -> dict[Any, Any]:
        pairs = (_pair(pair) for pair in _list(content))
        return {_hashable(self.value(key)): self.value(part) for key, part in pairs}

    def _members(self, content: Any) -> Members:
        names = ("yes", "maybe", "no")
        held = _object(content, (*names, "rest"))
        yes, maybe, no = (self._set(held[name]) for name in names)
        return Members(yes, maybe, no, _truth(held["rest"]))

    def _paths(self, content: Any) -> Paths:
        held = _object(content, ("items", "rest", "outside", "maybe"))
        items, outside, maybe = (
            tuple(_text(item) for item in _list(held[name])) for name in ("items", "outside", "maybe")
        )
        return Paths(items, _truth(held["rest"]), frozenset(outside), maybe)

    def _other_than(self, content: Any) -> OtherThan:
        return OtherThan(_hashable(self.value(content)))

    def _mount(self, content: Any) -> Mount:
        return self._made(content, Mount, {"read_only": bool, "options": frozenset})

    def _device(self, content: Any) -> Device:
        return self._made(content, Device, {})

    def _mount_info(self, content: Any) -> MountInfo:
        return self._made(content, MountInfo, {"options": frozenset, "super_options": frozenset, "peers": tuple})

    def _device_node(self, content: Any) -> DeviceNode:
        return self._made(content, DeviceNode, dict.fromkeys(("major", "minor", "owner", "group", "mode"), int))

    def _made(self, content: Any, kind: type[T], types: dict[str, type]) -> T:
        """Make one of the records that a word may hold; its fields are texts unless ``types`` says otherwise."""
        names = tuple(kind.__dataclass_fields__)  # type: ignore[attr-defined]
        held = _object(content, names)
        values: dict[str, Any] = {name: self.value(part) for name, part in held.items()}
        for name, wanted in ((name, types.get(name, str)) for name in names):
            if type(values[name]) is not wanted:
                raise _Strange(f"{name} is no {wanted.__name__}")
            if wanted in {frozenset, tuple} and not all(isinstance(part, str) for part in values[name]):
                raise _Strange(f"{name} holds something that is no text")
        return kind(**values)


_KINDS: dict[str, Callable[[_Reader, Any], Any]] = {
    "float": _Reader._float,  # noqa: SLF001 - a table of the class's own methods
    "bytes": _Reader._bytes,  # noqa: SLF001
    "tuple": _Reader._tuple,  # noqa: SLF001
    "list": _Reader._listed,  # noqa: SLF001
    "set": _Reader._set,  # noqa: SLF001
    "map": _Reader._map,  # noqa: SLF001
    "members": _Reader._members,  # noqa: SLF001
    "paths": _Reader._paths,  # noqa: SLF001
    "other_than": _Reader._other_than,  # noqa: SLF001
    "mount": _Reader._mount,  # noqa: SLF001
    "device": _Reader._device,  # noqa: SLF001
    "mount_info": _Reader._mount_info,  # noqa: SLF001
    "device_node": _Reader._device_node,  # noqa: SLF001
}


def _check(fact: Fact[Any], value: Any) -> None:
    """Refuse a value of another kind than the question's. A number is no truth value, although Python thinks so."""
    kind = fact.kind
    if isinstance(value, OtherThan):
        return
    if kind is bool or kind is int:
        fits = type(value) is kind
    elif kind is Members:
        fits = isinstance(value, Collection)
    else:
        fits = isinstance(value, kind)
    if not fits:
        raise _Strange(f"the value is no {kind.__name__}")
    if fact in _NUMBERS and not all(type(part) is int for part in value):
        raise _Strange("a version is made of numbers")
    if fact in _PAIRS and not all(_is_pair_of_texts(part) for part in value):
        raise _Strange("pairs of texts were expected")


def _is_pair_of_texts(part: Any) -> bool:
    return isinstance(part, tuple) and len(part) == 2 and all(isinstance(text, str) for text in part)


def _where(written: Any) -> Where:
    parts = _list(written)
    if len(parts) != 3 or type(parts[2]) is not int:
        raise _Strange("a place is document, pointer and line")
    return Where(_text(parts[0]), _text(parts[1]), parts[2])


def _truth(written: Any) -> Truth:
    found = {truth.word: truth for truth in Truth}.get(written if isinstance(written, str) else "")
    if found is None:
        raise _Strange("a truth is yes, no or unknown")
    return found


def _text(written: Any) -> str:
    if not isinstance(written, str):
        raise _Strange("a text was expected")
    return written


def _list(written: Any) -> list[Any]:
    if not isinstance(written, list):
        raise _Strange("a list was expected")
    return written


def _pair(written: Any) -> tuple[Any, Any]:
    parts = _list(written)
    if len(parts) != 2:
        raise _Strange("a pair was expected")
    return parts[0], parts[1]


def _object(written: Any, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(written, dict) or set(written) != set(names):
        raise _Strange(f"an object with {', '.join(names)} was expected")
    return written


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError as error:
        raise _Strange("a list cannot stand in a set") from error
    return value


def _plain(root: Cursor) -> Any:
    """Turn a parsed tree back into plain values. The parser bounds its depth."""
    node = root.node
    if isinstance(node, Mapping):
        return {key: _plain(child) for key, child in root.items()}
    if isinstance(node, Sequence):
        return [_plain(child) for child in root.elements()]
    return root.value if isinstance(node, Scalar) else None
