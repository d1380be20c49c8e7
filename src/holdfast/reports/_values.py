"""Values of facts, spelled for machines and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import Any

from holdfast.model.change import Change, Instead, With, Without
from holdfast.model.truth import UNKNOWN, YES, Truth
from holdfast.model.values import Collection, Members, OtherThan, Paths
from holdfast.reports._plain import LONGEST, one_line
from holdfast.reports._words import Words

_LARGE = 40
"""Names of a collection that are spelled out beside a question about one of them; a seccomp profile has hundreds."""
_DEEPEST = 12
"""Levels of a nested value that are written; a hostile profile may have thousands."""
_WIDEST_INT = 512
"""Bits of a number that is written in decimal; Python refuses to convert very long ones."""
_CUT = "…"


def machine(value: Any, asked: object = None, depth: int = 0) -> Any:
    """Turn a value into what JSON knows.

    Args:
        value: What a fact holds.
        asked: The member a condition asks for; with it a large or opaque collection is answered for it alone.
        depth: Levels above this one.

    Returns:
        Plain dicts, lists, strings, numbers, booleans and None, in an order that depends on the value alone.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Enum):
        return value.word if isinstance(value, Truth) else machine(value.value, None, depth)
    if isinstance(value, int):
        return value if value.bit_length() <= _WIDEST_INT else hex(value)
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Members):
        return _machine_members(value, asked)
    if isinstance(value, Paths):
        perhaps = {"maybe": list(value.maybe)} if value.maybe else {}
        return {"items": list(value.items), **perhaps, "rest": value.rest.word}
    if isinstance(value, OtherThan):
        return {"other_than": machine(value.value, None, depth + 1)}
    return _CUT if depth >= _DEEPEST else _machine_structure(value, asked, depth + 1)


def _machine_members(value: Members, asked: object) -> dict[str, Any]:
    if asked is not None and len(value.yes) + len(value.maybe) + len(value.no) > _LARGE:
        return {"asked": machine(asked), "has": _has(value, asked).word}
    sets = {"yes": value.yes, "maybe": value.maybe, "no": value.no}
    return {**{name: _sorted(names) for name, names in sets.items()}, "rest": value.rest.word}


def _machine_structure(value: Any, asked: object, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {str(key): machine(value[key], None, depth) for key in sorted(value, key=str)}
    if isinstance(value, frozenset | set):
        return _sorted(value)
    if isinstance(value, tuple | list):
        return [machine(part, None, depth) for part in value]
    if isinstance(value, Collection):
        return str(value) if asked is None else {"asked": machine(asked), "has": _has(value, asked).word}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: machine(getattr(value, field.name), None, depth) for field in fields(value)}
    return str(value)


def human(value: object, words: Words, asked: object = None, limit: int = LONGEST) -> str:
    """Spell a value for a person, on one line.

    Args:
        value: What a fact holds.
        words: The language.
        asked: As for ``machine``.
        limit: Most characters.
    """
    return one_line(_human(value, words, asked, 0), limit)


def _human(value: object, words: Words, asked: object, depth: int) -> str:
    if value is None:
        return words("value.none")
    if isinstance(value, bool):
        return words("value.yes" if value else "value.no")
    if isinstance(value, Enum):
        return value.word if isinstance(value, Truth) else str(value.value)
    if isinstance(value, int):
        return str(machine(value))
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, Members):
        return _human_members(value, words, asked)
    if isinstance(value, Paths):
        names = ", ".join(value.items) or words("value.none")
        if value.maybe:
            return words("value.perhaps", names=names, maybe=", ".join(value.maybe))
        return words("value.rest_unknown", names=names) if value.rest is UNKNOWN else names
    return _CUT if depth >= _DEEPEST else _human_structure(value, words, asked, depth + 1)


def _human_members(value: Members, words: Words, asked: object) -> str:
    if asked is not None and len(value.yes) > _LARGE:
        return words("value.names", count=len(value.yes))
    if value.rest is YES:
        names = ", ".join(sorted(str(name) for name in value.no))
        return words("value.everything_but", names=names) if names else words("value.everything")
    names = ", ".join(sorted(str(name) for name in value.yes)) or words("value.none")
    if value.rest is UNKNOWN:
        return words("value.rest_unknown", names=names)
    if value.maybe:
        return words("value.perhaps", names=names, maybe=", ".join(sorted(str(name) for name in value.maybe)))
    return names


def _human_structure(value: object, words: Words, asked: object, depth: int) -> str:
    if isinstance(value, OtherThan):
        return words("value.other_than", value=_human(value.value, words, None, depth))
    if isinstance(value, tuple | frozenset | set):
        spelled = [_human(part, words, None, depth) for part in value]
        if not spelled:
            return words("value.none")
        if isinstance(value, tuple):  # a version is a tuple of numbers
            return (".".join if all(type(part) is int for part in value) else ", ".join)(spelled)
        return ", ".join(sorted(spelled))
    if isinstance(value, Mapping | list):
        return words("value.structure", count=len(value))
    if isinstance(value, Collection):
        return (
            words("value.opaque") if asked is None else words(f"value.holds.{_has(value, asked).word}", name=str(asked))
        )
    if is_dataclass(value) and not isinstance(value, type):
        held = [(field.name, _human(getattr(value, field.name), words, None, depth)) for field in fields(value)]
        return " ".join(f"{name}={text}" for name, text in held)
    return str(value)


def changed(change: Change, words: Words) -> str:
    """Spell what a change does to its fact, without its reason."""
    if isinstance(change.value, With | Without):
        key = "change.with" if isinstance(change.value, With) else "change.without"
        names = ", ".join(human(member, words) for member in change.value.members)
        return one_line(words(key, fact=change.fact.name, names=names))
    if isinstance(change.value, Instead):
        old, new = human(change.value.old, words), human(change.value.new, words)
        return one_line(words("change.instead", fact=change.fact.name, old=old, new=new))
    return one_line(words("change.set", fact=change.fact.name, value=human(change.value, words)))


def _has(value: Collection, asked: object) -> Truth:
    try:
        return value.has(asked)
    except (TypeError, AttributeError):
        return UNKNOWN


def _sorted(names: frozenset[Any] | set[Any]) -> list[Any]:
    return [machine(name) for name in sorted(names, key=lambda name: (type(name).__name__, str(name)))]
