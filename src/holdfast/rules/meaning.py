"""What the left-hand side of a comparison means: a fact, and what its answers are."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdfast.model.derived import Derived
from holdfast.model.facts import Fact
from holdfast.rules.definitions import SOURCE
from holdfast.rules.fields import Field, Kind, UnknownField, field_with
from holdfast.rules.nodes import FieldUse, Given, Number, Operand
from holdfast.rules.spelling import operand


@dataclass(frozen=True, slots=True)
class Meaning:
    """A fact and its answers.

    Attributes:
        fact: To be asked.
        kind: Of one answer.
        listed: The answer is a list.
        lineage: The answer is the answers of all ancestors.
        ends: The answer is that of both ends of a socket.
        right: It may stand on the right-hand side.
    """

    fact: Fact[Any]
    kind: Kind
    listed: bool = False
    lineage: bool = False
    ends: bool = False
    right: bool = True


_CERTAIN: dict[str, Any] = {"evt.dir": "<", "evt.count": 1, "evt.source": SOURCE, "evt.is_async": False}
"""Fields whose answer is the same for every event of the sensor: each is a system call that returned."""

_derived: dict[tuple[str, tuple[Fact[Any], ...]], Derived] = {}


def derived(name: str, kind: type, parts: tuple[Fact[Any], ...], compute: Callable[..., Any]) -> Derived:
    """Return a derived fact; the same object for the same name and parts."""
    key = (name, parts)
    found = _derived.get(key)
    if found is None:
        found = _derived[key] = Derived(name, kind, f"Worked out: {name}.", parts, compute)
    return found


def asked(field: Field) -> Fact[Any]:
    """Return the fact to ask for a field: itself, or a derived one where the answer needs no sensor."""
    if field.name in _CERTAIN:
        answer = _CERTAIN[field.name]
        return derived(field.name, field.kind, (), lambda: answer)
    if field.row.name == "evt.type.is":
        wanted = field.argument
        return derived(field.name, int, (field_with("evt.type", None),), lambda name: int(name == wanted))
    return field


def meaning(use: Operand) -> Meaning:
    """Return what a field or transformer means.

    Raises:
        UnknownField: There is no such field, or the transformer cannot be given this.
    """
    if isinstance(use, FieldUse):
        found = field_with(use.name, use.argument)
        lineage = found.row.lineage and found.many
        row = found.row
        return Meaning(asked(found), row.kind, row.listed, lineage, row.ends, row.right)
    return _TRANSFORMERS[use.name](operand(use), use.given, use.argument)


def _inner(name: str, given: Given) -> Meaning:
    if isinstance(given, str | tuple | Number):
        raise UnknownField(f"{name} takes a field")
    inner = meaning(given)
    if isinstance(inner.fact, Field) and not inner.fact.row.changes:
        raise UnknownField(f"the field {inner.fact.name!r} cannot be handed to a transformer")
    return inner


def _one(given: tuple[Given, ...], argument: str | None, name: str) -> Meaning:
    if len(given) != 1:
        raise UnknownField(f"{name} takes one field")
    if argument is not None:
        raise UnknownField(f"{name} takes no argument in brackets")
    return _inner(name, given[0])


def _text(function: Callable[[str], str | None]) -> Callable[[str, tuple[Given, ...], str | None], Meaning]:
    """Return a transformer from text to text; of a list it changes every member."""

    def change(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(function(one) for one in value)
        return function(value)

    def made(spelled: str, given: tuple[Given, ...], argument: str | None) -> Meaning:
        name = spelled.partition("(")[0]
        inner = _one(given, argument, name)
        if inner.kind not in {Kind.TEXT, Kind.BYTES}:
            raise UnknownField(f"{name} takes text, and {inner.fact.name!r} is none")
        fact = derived(spelled, tuple if inner.listed else str, (inner.fact,), change)
        return Meaning(fact, Kind.TEXT, listed=inner.listed, right=inner.right)

    return made


def _decoded(text: str) -> str | None:
    data = b64decode(text.encode() if isinstance(text, str) else text, validate=True)
    return data.decode("utf-8", "surrogateescape")


def _lower(text: str) -> str:
    return text.lower()


def _upper(text: str) -> str:
    return text.upper()


def _basename(text: str) -> str:
    return text.rpartition("/")[2]


def _length(spelled: str, given: tuple[Given, ...], argument: str | None) -> Meaning:
    inner = _one(given, argument, "len")
    if not inner.listed and inner.kind not in {Kind.TEXT, Kind.BYTES}:
        raise UnknownField(f"len takes text or a list, and {inner.fact.name!r} is neither")
    return Meaning(derived(spelled, int, (inner.fact,), len), Kind.NUMBER)


def _joined(spelled: str, given: tuple[Given, ...], argument: str | None) -> Meaning:
    if len(given) != 2 or argument is not None:
        raise UnknownField("join takes a list and a separator")
    first, second = given
    separator, listed = (first, second) if isinstance(first, str) else (second, first)
    if not isinstance(separator, str):
        raise UnknownField("join takes a quoted text as separator")
    if isinstance(listed, tuple):
        text = separator.join(listed)
        return Meaning(derived(spelled, str, (), lambda: text), Kind.TEXT)
    inner = _inner("join", listed)
    if not inner.listed:
        raise UnknownField(f"join takes a list, and {inner.fact.name!r} is none")
    return Meaning(derived(spelled, str, (inner.fact,), separator.join), Kind.TEXT)


def _concatenated(spelled: str, given: tuple[Given, ...], argument: str | None) -> Meaning:
    if len(given) < 2 or argument is not None:
        raise UnknownField("concat takes two or more fields or quoted texts")
    parts: list[Fact[Any]] = []
    pieces: list[str | None] = []
    for one in given:
        if isinstance(one, tuple):
            raise UnknownField("concat takes no list")
        if isinstance(one, str | Number):
            pieces.append(one.text if isinstance(one, Number) else one)
            continue
        inner = _inner("concat", one)
        if inner.listed:
            raise UnknownField("concat takes no list")
        parts.append(inner.fact)
        pieces.append(None)

    def compute(*values: Any) -> str:
        rest = iter(values)
        return "".join(shown(next(rest)) if piece is None else piece for piece in pieces)

    return Meaning(derived(spelled, str, tuple(parts), compute), Kind.TEXT)


def _options(spelled: str, given: tuple[Given, ...], argument: str | None) -> Meaning:
    if len(given) != 2 or not isinstance(given[1], str):
        raise UnknownField("getopt takes a field with arguments and a quoted text such as 'nt:'")
    inner = _inner("getopt", given[0])
    if inner.kind is not Kind.TEXT:
        raise UnknownField("getopt takes text")
    known = given[1]

    def compute(value: Any) -> Any:
        found = options(value.split() if isinstance(value, str) else list(value), known)
        return found.get(argument) if argument is not None else tuple(found)

    kind: type = tuple if argument is None else str
    return Meaning(derived(spelled, kind, (inner.fact,), compute), Kind.TEXT, listed=argument is None)


def options(words: list[str], known: str) -> dict[str, str]:
    """Read options as getopt(3) does, without moving words.

    Args:
        words: The arguments, without the program's name.
        known: Letters; a colon behind one says that it takes a value.

    Returns:
        The options that were given, with their values; empty text where they take none. Unknown ones are left out.
    """
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        if not word.startswith("-") or word == "-" or word.startswith("--"):
            continue
        for at, letter in enumerate(word[1:], start=2):
            place = known.find(letter)
            if place < 0 or letter == ":":
                continue
            if known[place + 1 : place + 2] == ":":
                found[letter] = word[at:] or next(rest, "")
                break
            found[letter] = ""
    return found


def shown(value: Any) -> str:
    """Write one answer as text: a flag as true or false, bytes as text, a list in parentheses."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, tuple):
        return f"({','.join(shown(one) for one in value)})"
    return str(value)


_TRANSFORMERS: dict[str, Callable[[str, tuple[Given, ...], str | None], Meaning]] = {
    "tolower": _text(_lower),
    "toupper": _text(_upper),
    "b64": _text(_decoded),
    "basename": _text(_basename),
    "len": _length,
    "join": _joined,
    "concat": _concatenated,
    "getopt": _options,
}
