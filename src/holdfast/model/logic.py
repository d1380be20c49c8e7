"""Conditions as data: expressions over facts, their negation, and the words to write them with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from holdfast.model.facts import Fact
from holdfast.model.truth import NO, UNKNOWN, Truth
from holdfast.model.values import OtherThan, PathCollection


class Op(Enum):
    """The closed set of comparisons. Negation lives here, so an expression has no "not" node."""

    IS = "is"
    IS_NOT = "is not"
    ONE_OF = "is one of"
    NONE_OF = "is none of"
    HAS = "has"
    LACKS = "lacks"
    COVERS = "covers"
    NOT_COVERS = "does not cover"
    BELOW = "reaches below"
    NOT_BELOW = "does not reach below"
    AT_LEAST = "is at least"
    LESS_THAN = "is less than"
    STARTS_WITH = "starts with"
    NOT_STARTS_WITH = "does not start with"
    ENDS_WITH = "ends with"
    NOT_ENDS_WITH = "does not end with"
    CONTAINS = "contains"
    NOT_CONTAINS = "does not contain"

    __hash__ = object.__hash__  # a member is one object; Enum's own hash is Python code, and this is the hot path

    @property
    def opposite(self) -> Op:
        """The comparison that is true exactly where this one is false."""
        return _OPPOSITE[self]


_PAIRS = (
    (Op.IS, Op.IS_NOT),
    (Op.ONE_OF, Op.NONE_OF),
    (Op.HAS, Op.LACKS),
    (Op.COVERS, Op.NOT_COVERS),
    (Op.BELOW, Op.NOT_BELOW),
    (Op.AT_LEAST, Op.LESS_THAN),
    (Op.STARTS_WITH, Op.NOT_STARTS_WITH),
    (Op.ENDS_WITH, Op.NOT_ENDS_WITH),
    (Op.CONTAINS, Op.NOT_CONTAINS),
)
_OPPOSITE = dict(_PAIRS) | {b: a for a, b in _PAIRS}
NEGATIVE = frozenset(b for _, b in _PAIRS)


class Expr:
    """A condition. ``a & b`` and ``a | b`` join conditions, ``~a`` is the opposite."""

    __slots__ = ()

    def __and__(self, other: Expr) -> Expr:
        """Both."""
        return All((*_parts(self, All), *_parts(other, All)))

    def __or__(self, other: Expr) -> Expr:
        """At least one."""
        return AnyOf((*_parts(self, AnyOf), *_parts(other, AnyOf)))

    def __invert__(self) -> Expr:
        """Return the opposite, by De Morgan; it holds in three-valued logic too."""
        raise TypeError(f"{type(self).__name__} is not one of Atom, All, AnyOf")


@dataclass(frozen=True, slots=True)
class Atom(Expr):
    """One comparison of one fact with one value."""

    fact: Fact[Any]
    op: Op
    value: Any

    def __invert__(self) -> Expr:
        """Return the opposite comparison."""
        return Atom(self.fact, self.op.opposite, self.value)

    def __str__(self) -> str:
        """``container.user_id is 0``."""
        return f"{self.fact.name} {self.op.value} {spelled(self.value)}"


@dataclass(frozen=True, slots=True)
class All(Expr):
    """Every part holds. No part at all is YES."""

    parts: tuple[Expr, ...]

    def __invert__(self) -> Expr:
        """Not all is: some opposite holds."""
        return AnyOf(tuple(~part for part in self.parts))

    def __str__(self) -> str:
        """Parts joined with "and"."""
        return " and ".join(f"({p})" if isinstance(p, AnyOf) else str(p) for p in self.parts) or "always"


@dataclass(frozen=True, slots=True)
class AnyOf(Expr):
    """At least one part holds. No part at all is NO."""

    parts: tuple[Expr, ...]

    def __invert__(self) -> Expr:
        """None is: every opposite holds."""
        return All(tuple(~part for part in self.parts))

    def __str__(self) -> str:
        """Parts joined with "or"."""
        return " or ".join(f"({p})" if isinstance(p, All) else str(p) for p in self.parts) or "never"


def _parts(expr: Expr, kind: type[All | AnyOf]) -> tuple[Expr, ...]:
    return expr.parts if isinstance(expr, kind) else (expr,)


def atoms(expr: Expr) -> Iterator[Atom]:
    """Iterate over the comparisons of an expression, left to right."""
    if isinstance(expr, Atom):
        yield expr
    elif isinstance(expr, All | AnyOf):
        for part in expr.parts:
            yield from atoms(part)


def spelled(value: object) -> str:
    """Spell a value for a person: plain words, sorted sets, dotted versions, no Python syntax."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "nothing"
    if isinstance(value, tuple):
        if value and all(isinstance(part, int) for part in value):
            return ".".join(str(part) for part in value)
        return ", ".join(spelled(part) for part in value) or "nothing"
    if isinstance(value, frozenset | set):
        return ", ".join(sorted(spelled(part) for part in value)) or "nothing"
    text = str(value)
    return text or '""'


# --- how one comparison is answered ---------------------------------------------------------------------------------


def _covers(value: PathCollection, wanted: Any) -> Truth:
    return max((value.covers(p) for p in _each(wanted)), default=NO)


def _below(value: PathCollection, wanted: Any) -> Truth:
    return max((value.below(p) for p in _each(wanted)), default=NO)


def _each(wanted: Any) -> tuple[str, ...]:
    return wanted if isinstance(wanted, tuple) else (wanted,)


def _has(value: Any, wanted: Any) -> Truth:
    try:
        asked = value.has  # asking first is far cheaper than a runtime protocol check, and this is the hot path
    except AttributeError:
        return Truth.of(wanted in value)
    return cast("Truth", asked(wanted))


def _is(value: Any, wanted: Any) -> Truth:
    return value.equals(wanted) if value.__class__ is OtherThan else Truth.of(value == wanted)


def _one_of(value: Any, wanted: Any) -> Truth:
    if value.__class__ is OtherThan:
        return max((value.equals(one) for one in wanted), default=NO)
    return Truth.of(value in wanted)


_POSITIVE: dict[Op, Callable[[Any, Any], Truth]] = {
    Op.IS: _is,
    Op.ONE_OF: _one_of,
    Op.HAS: _has,
    Op.COVERS: _covers,
    Op.BELOW: _below,
    Op.AT_LEAST: lambda value, wanted: Truth.of(value >= wanted),
    Op.STARTS_WITH: lambda value, wanted: Truth.of(value.startswith(wanted)),
    Op.ENDS_WITH: lambda value, wanted: Truth.of(value.endswith(wanted)),
    Op.CONTAINS: lambda value, wanted: Truth.of(wanted in value),
}


def answer(op: Op, value: object, wanted: object) -> Truth:
    """Answer one comparison.

    Args:
        op: The comparison.
        value: What was seen.
        wanted: What the condition asks for. COVERS and BELOW take one path or a tuple of paths (any of them).

    Returns:
        YES, NO, or UNKNOWN where a collection is known only in part. A value of a type the comparison does not
        take is UNKNOWN too: a malformed answer must never read as "no".
    """
    positive = _POSITIVE.get(op)
    try:
        if positive is not None:
            return positive(value, wanted)
        return ~_POSITIVE[op.opposite](value, wanted)
    except (TypeError, AttributeError):
        return UNKNOWN


# --- words to write conditions with ---------------------------------------------------------------------------------


def is_(fact: Fact[Any], value: object) -> Expr:
    """Write: the fact is exactly this value."""
    return Atom(fact, Op.IS, value)


def is_not(fact: Fact[Any], value: object) -> Expr:
    """Write: the fact is known and is another value."""
    return Atom(fact, Op.IS_NOT, value)


def one_of(fact: Fact[Any], *values: object) -> Expr:
    """Write: the fact is one of these values."""
    return Atom(fact, Op.ONE_OF, values)


def none_of(fact: Fact[Any], *values: object) -> Expr:
    """Write: the fact is known and none of these values."""
    return Atom(fact, Op.NONE_OF, values)


def has(fact: Fact[Any], member: object) -> Expr:
    """Write: the collection has this member. For system calls: the call is allowed."""
    return Atom(fact, Op.HAS, member)


def lacks(fact: Fact[Any], member: object) -> Expr:
    """Write: the collection does not have this member."""
    return Atom(fact, Op.LACKS, member)


def has_any(fact: Fact[Any], *members: object) -> Expr:
    """Write: the collection has at least one of these members."""
    return AnyOf(tuple(Atom(fact, Op.HAS, member) for member in members))


def covers(fact: Fact[Any], *paths: str) -> Expr:
    """Write: one of the paths, or an ancestor of it, is reached. ``*`` stands for one path component."""
    return Atom(fact, Op.COVERS, paths[0] if len(paths) == 1 else paths)


def below(fact: Fact[Any], *paths: str) -> Expr:
    """Write: something strictly below one of the paths is reached."""
    return Atom(fact, Op.BELOW, paths[0] if len(paths) == 1 else paths)


def at_least(fact: Fact[Any], value: object) -> Expr:
    """Write: the number or version is this or more."""
    return Atom(fact, Op.AT_LEAST, value)


def less_than(fact: Fact[Any], value: object) -> Expr:
    """Write: the number or version is less."""
    return Atom(fact, Op.LESS_THAN, value)


def starts_with(fact: Fact[Any], text: str) -> Expr:
    """Write: the text starts so."""
    return Atom(fact, Op.STARTS_WITH, text)


def ends_with(fact: Fact[Any], text: str) -> Expr:
    """Write: the text ends so."""
    return Atom(fact, Op.ENDS_WITH, text)


def contains(fact: Fact[Any], text: str) -> Expr:
    """Write: the text has this in it."""
    return Atom(fact, Op.CONTAINS, text)


ALWAYS: Expr = All(())
NEVER: Expr = AnyOf(())

__all__ = [
    "ALWAYS",
    "NEGATIVE",
    "NEVER",
    "All",
    "AnyOf",
    "Atom",
    "Expr",
    "Op",
    "answer",
    "at_least",
    "atoms",
    "below",
    "contains",
    "covers",
    "ends_with",
    "has",
    "has_any",
    "is_",
    "is_not",
    "lacks",
    "less_than",
    "none_of",
    "one_of",
    "spelled",
    "starts_with",
]  # fmt: skip
