"""Read what a person assumes: ``--assume NAME[=VALUE]``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from holdfast.model.errors import Usage
from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members, Paths
from holdfast.model.words import load

_WHERE = Where("--assume")
_YES = frozenset({"yes", "true", "on", "1", ""})
_NO = frozenset({"no", "false", "off", "0"})
_NEVER = frozenset({"reach", "event", "declared", "observed"})


def assumable() -> dict[str, Fact[Any]]:
    """Return the words a person may answer, by name."""
    return {name: fact for name, fact in load().items() if fact.subject not in _NEVER}


def assumptions(texts: Iterable[str]) -> Facts:
    """Turn ``NAME[=VALUE]`` texts into facts.

    Args:
        texts: ``operator_exec`` (short for ``assumed.operator_exec=yes``), ``host.cgroup_version=v2``,
            ``container.user_id=1000``, ``engine.containerd_version=1.6.20``, ``container.devices=block,mem``.

    Returns:
        The facts. They fill in what nobody saw; what was seen is never overruled.

    Raises:
        Usage: The name is not a word of the vocabulary, or the value is not of its type.
    """
    words = assumable()
    table: dict[Fact[Any], Seen[Any]] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name = name.strip()
        fact = words.get(name) or words.get(f"assumed.{name}")
        if fact is None:
            near = difflib.get_close_matches(name, [*words, *(n.removeprefix("assumed.") for n in words)], n=3)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise Usage(f"nobody knows the fact {name!r}", "--assume", f"{hint}list all: holdfast facts --words")
        table[fact] = Seen(_value(fact, value.strip()), _WHERE, "assumed")
    return Facts(table)


def _value(fact: Fact[Any], text: str) -> object:
    if fact.kind is bool:
        if text.lower() in _YES:
            return True
        if text.lower() in _NO:
            return False
        raise Usage(f"{fact.name} is answered with yes or no, not {text!r}", "--assume", f"{fact.name}=yes")
    if fact.kind is int:
        if text.lstrip("-").isdigit():
            return int(text)
        raise Usage(f"{fact.name} is a whole number, not {text!r}", "--assume", f"{fact.name}=1000")
    if fact.kind is tuple:
        if text and all(part.isdigit() for part in text.split(".")):
            return tuple(int(part) for part in text.split("."))
        raise Usage(f"{fact.name} is a version in numbers, not {text!r}", "--assume", f"{fact.name}=1.6.20")
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if fact.kind is Members:
        return Members.of(*(int(part) if part.isdigit() else part for part in parts))
    if fact.kind is Paths:
        return Paths(tuple(parts))
    return text
