"""Proofs for people: an expression with the truth of every part and the place of every answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.model.derived import entry
from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.logic import All, AnyOf, Atom, Expr, Settled, answer
from holdfast.model.truth import NO, UNKNOWN, YES, Truth


@dataclass(frozen=True, slots=True)
class Proof:
    """A verdict with its reasons; it has the same shape as the expression.

    Attributes:
        truth: The verdict.
        expr: What was asked.
        parts: The proofs of the parts, in order; empty for a comparison.
        seen: For a comparison, what was seen, or why nothing was; None if nobody answers the question.
    """

    truth: Truth
    expr: Expr
    parts: tuple[Proof, ...] = ()
    seen: Seen[Any] | Absent | None = None

    def carrying(self) -> Iterator[Proof]:
        """Iterate over the leaves that decided the verdict.

        A YES of "all" rests on every part, a NO of "all" on the parts that are NO; "any" the other way round. An
        UNKNOWN rests on what is unknown and, in "all", on what already holds; a settled one on what it was before.
        """
        if isinstance(self.expr, Atom):
            yield self
            return
        if isinstance(self.expr, Settled):
            yield from self.parts[0].carrying()
            return
        whole = isinstance(self.expr, All)
        for part in self.parts:
            decides = part.truth is self.truth or (whole and self.truth is UNKNOWN and part.truth is YES)
            if decides:
                yield from part.carrying()

    def missing(self) -> Iterator[Proof]:
        """Iterate over the leaves whose unknown answers keep the verdict from being decided."""
        if self.truth is not UNKNOWN:
            return
        if isinstance(self.expr, Atom):
            yield self
            return
        for part in self.parts:
            yield from part.missing()


def prove(expr: Expr, facts: Facts) -> Proof:
    """Judge an expression and keep the reasons.

    Args:
        expr: The condition.
        facts: What is known.

    Returns:
        A proof of the same shape. Every comparison of a fact that is not known is UNKNOWN, negated ones too.
    """
    if isinstance(expr, Atom):
        found = entry(facts.table, expr.fact)
        if isinstance(found, Seen):
            return Proof(answer(expr.op, found.value, expr.value), expr, (), found)
        return Proof(UNKNOWN, expr, (), found)
    if isinstance(expr, All):
        parts = tuple(prove(part, facts) for part in expr.parts)
        return Proof(min((part.truth for part in parts), default=YES), expr, parts)
    if isinstance(expr, AnyOf):
        parts = tuple(prove(part, facts) for part in expr.parts)
        return Proof(max((part.truth for part in parts), default=NO), expr, parts)
    if isinstance(expr, Settled):
        part = prove(expr.part, facts)
        return Proof(expr.truth if part.truth is UNKNOWN else part.truth, expr, (part,))
    raise TypeError(f"{type(expr).__name__} is not one of Atom, All, AnyOf, Settled")
