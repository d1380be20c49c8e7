"""Conditions as data: expressions over facts, their negation, and the words to write them with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.model.comparisons import NEGATIVE, Comparison, Op, answer, spelled
from holdfast.model.facts import Fact
from holdfast.model.truth import NO, Truth


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
        raise TypeError(f"{type(self).__name__} is not one of Atom, All, AnyOf, Settled")


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
        if self.op in {Op.ONE_OF, Op.NONE_OF} and isinstance(self.value, tuple):
            if not self.value:
                return f"{self.fact.name} is {'not ' if self.op is Op.ONE_OF else ''}known"
            return f"{self.fact.name} {self.op.value} {', '.join(spelled(one) for one in self.value)}"
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


@dataclass(frozen=True, slots=True)
class Settled(Expr):
    """A condition that is decided where nothing was seen: Falco's rules say "no" to a value that is missing.

    Attributes:
        part: The condition.
        truth: What it counts as where it is unknown: YES or NO.
    """

    part: Expr
    truth: Truth

    def __invert__(self) -> Expr:
        """Return the opposite, with the opposite answer where nothing was seen."""
        return Settled(~self.part, ~self.truth)

    def __str__(self) -> str:
        """The condition, and the answer where nothing was seen if that is "yes"."""
        return str(self.part) if self.truth is NO else f"({self.part}, or nobody knows)"


def _parts(expr: Expr, kind: type[All | AnyOf]) -> tuple[Expr, ...]:
    return expr.parts if isinstance(expr, kind) else (expr,)


def atoms(expr: Expr) -> Iterator[Atom]:
    """Iterate over the comparisons of an expression, left to right."""
    if isinstance(expr, Atom):
        yield expr
    elif isinstance(expr, All | AnyOf):
        for part in expr.parts:
            yield from atoms(part)
    elif isinstance(expr, Settled):
        yield from atoms(expr.part)


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


def known(fact: Fact[Any]) -> Expr:
    """Write: the fact is answered, whatever the answer is."""
    return Atom(fact, Op.NONE_OF, ())


def settled(expr: Expr) -> Expr:
    """Write: the same condition, which is "no" where it is unknown."""
    return Settled(expr, NO)


ALWAYS: Expr = All(())
NEVER: Expr = AnyOf(())

__all__ = [
    "ALWAYS",
    "NEGATIVE",
    "NEVER",
    "All",
    "AnyOf",
    "Atom",
    "Comparison",
    "Expr",
    "Op",
    "Settled",
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
    "known",
    "lacks",
    "less_than",
    "none_of",
    "one_of",
    "settled",
    "spelled",
    "starts_with",
]  # fmt: skip
