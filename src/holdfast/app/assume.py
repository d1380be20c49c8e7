"""Read what a person assumes: ``--assume NAME[=VALUE]``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from holdfast.model.errors import Usage
from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members, Paths, normal_path
from holdfast.model.words import container, engine, host, load

_WHERE = Where("--assume")
_CHOICES: dict[Fact[Any], tuple[str, ...]] = {
    container.SANDBOX: ("none", "gvisor", "kata"),
    container.USER_NAMESPACE: ("host", "private"),
    engine.NAME: ("docker", "containerd", "cri-o", "podman"),
    engine.SECCOMP_DEFAULT: ("default", "unconfined"),
    host.CGROUP_VERSION: ("v1", "v2", "hybrid"),
    host.LOCKDOWN: ("none", "integrity", "confidentiality"),
}
"""Texts that a fact can be; another one would be believed and mean nothing."""
_NOT_PLAIN = frozenset({host.PACKAGES, host.SOCKET_PERMISSIONS})
"""Tuples that are no versions: nobody types a list of packages."""
_YES = frozenset({"yes", "true", "on", "1", ""})
_NO = frozenset({"no", "false", "off", "0"})
_NEVER = frozenset({"reach", "event", "declared", "observed"})


def assumable() -> dict[str, Fact[Any]]:
    """Return the words a person may answer, by name."""
    return {name: fact for name, fact in load().items() if fact.subject not in _NEVER and fact not in _NOT_PLAIN}


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
            short = [each.removeprefix("assumed.") for each in words]
            near = difflib.get_close_matches(name, [*words, *short], n=3)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            unseen = ", ".join(each for each, whole in zip(short, words, strict=True) if each != whole)
            raise Usage(
                f"nobody knows the fact {name[:80]!r}",
                "--assume",
                f"{hint}what no scan can see: {unseen}; every other fact: holdfast facts --words",
            )
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
    return _names(fact, text)


def _names(fact: Fact[Any], text: str) -> object:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if fact.kind is Members:
        return Members.of(*(_member(fact, part) for part in parts))
    if fact.kind is Paths:
        if any(not part.startswith("/") for part in parts):
            raise Usage(f"{fact.name} is a list of absolute paths, not {text!r}", "--assume", f"{fact.name}=/var/log")
        return Paths(tuple(map(normal_path, parts)))
    choices = _CHOICES.get(fact, ())
    if not text or (choices and text not in choices):
        said = f"one of {', '.join(choices)}" if choices else "a text"
        raise Usage(
            f"{fact.name} is {said}, not {text!r}", "--assume", f"{fact.name}={choices[0] if choices else '...'}"
        )
    return text


def _member(fact: Fact[Any], text: str) -> object:
    """Spell one member as the vocabulary does: capabilities with their prefix, group ids as numbers."""
    if fact in {container.CAPABILITIES, container.BOUNDING_CAPABILITIES}:
        return f"CAP_{text.upper().removeprefix('CAP_')}"
    return int(text) if fact is container.HOST_GROUP_IDS and text.isdigit() else text
