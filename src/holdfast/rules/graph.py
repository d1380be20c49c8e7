"""Expressions of many rules as one graph of yes and no, in which equal parts are one node.

A node says whether an expression is YES. Where nothing was seen a comparison is not YES, so it needs no third value:
``Settled(part, NO)`` is YES where ``part`` is, and ``Settled(part, YES)`` is YES where the opposite of ``part`` is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast.model.facts import Fact
from holdfast.model.logic import All, AnyOf, Atom, Expr, Op, Settled, answer
from holdfast.model.truth import NO, YES

ALWAYS, NEVER = 0, 1
_JOINED = {Op.STARTS_WITH, Op.ENDS_WITH}
_EQUAL = {Op.IS, Op.ONE_OF}


@dataclass(frozen=True, slots=True)
class Ask:
    """A comparison. For STARTS_WITH and ENDS_WITH the value may be a tuple, any of which will do."""

    fact: Fact[Any]
    op: Op
    value: Any


@dataclass(frozen=True, slots=True)
class Both:
    """Every part, by number."""

    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part, by number."""

    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Opposite:
    """Not the part."""

    part: int


Node = Ask | Both | Either | Opposite


class Graph:
    """Nodes by number; 0 is always true, 1 never.

    Attributes:
        nodes: By number.
    """

    __slots__ = ("_known", "_made", "_name", "_type", "nodes")

    def __init__(self, type_fact: Fact[Any], name: str) -> None:
        """Begin a graph for events of one type.

        Args:
            type_fact: The question for the type, which is answered at once.
            name: The type.
        """
        self.nodes: list[Node] = [Both(()), Either(())]
        self._known: dict[Node, int] = {Both(()): ALWAYS, Either(()): NEVER}
        self._made: dict[int, tuple[Expr, int]] = {}
        self._type = type_fact
        self._name = name

    def add(self, expr: Expr) -> int:
        """Return the node that says whether an expression is YES."""
        found = self._made.get(id(expr))
        if found is not None:
            return found[1]
        number = self._build(expr)
        self._made[id(expr)] = (expr, number)  # an id is only good while its object lives
        return number

    def _build(self, expr: Expr) -> int:
        if isinstance(expr, Atom):
            if expr.fact is self._type:
                return ALWAYS if answer(expr.op, self._name, expr.value) is YES else NEVER
            return self._ask(expr.fact, expr.op, expr.value)
        if isinstance(expr, Settled):
            return self.add(expr.part) if expr.truth is NO else self._opposite(self.add(~expr.part))
        if isinstance(expr, All):
            return self._both([self.add(part) for part in expr.parts])
        if isinstance(expr, AnyOf):
            return self._either([self.add(part) for part in expr.parts])
        raise TypeError(f"{type(expr).__name__} is not one of Atom, All, AnyOf, Settled")

    def _number(self, node: Node) -> int:
        found = self._known.get(node)
        if found is None:
            found = self._known[node] = len(self.nodes)
            self.nodes.append(node)
        return found

    def _ask(self, fact: Fact[Any], op: Op, value: Any) -> int:
        if op is Op.ONE_OF and not value:
            return NEVER
        return self._number(Ask(fact, op, value))

    def _opposite(self, part: int) -> int:
        if part in {ALWAYS, NEVER}:
            return NEVER if part == ALWAYS else ALWAYS
        node = self.nodes[part]
        return node.part if isinstance(node, Opposite) else self._number(Opposite(part))

    def _both(self, parts: list[int]) -> int:
        flat = self._flat(parts, Both)
        if NEVER in flat:
            return NEVER
        flat = [part for part in flat if part != ALWAYS]
        negative = [node.part for part in flat if isinstance(node := self.nodes[part], Opposite)]
        if len(negative) > 1:
            # "not a and not b" as "not (a or b)", whose parts can be asked together
            inner = self._opposite(self._either(negative))
            flat = [part for part in flat if not isinstance(self.nodes[part], Opposite)]
            if inner == NEVER:
                return NEVER
            flat += [] if inner == ALWAYS else [inner]
        return self._joined(flat, Both, ALWAYS)

    def _either(self, parts: list[int]) -> int:
        flat = self._flat(parts, Either)
        if ALWAYS in flat:
            return ALWAYS
        return self._joined(self._together([part for part in flat if part != NEVER]), Either, NEVER)

    def _flat(self, parts: list[int], kind: type[Both | Either]) -> list[int]:
        flat: dict[int, None] = {}
        for part in parts:
            node = self.nodes[part]
            if isinstance(node, kind) and part not in {ALWAYS, NEVER}:
                flat.update(dict.fromkeys(node.parts))
            else:
                flat[part] = None
        return list(flat)

    def _together(self, parts: list[int]) -> list[int]:
        """Ask one fact once where several parts ask it the same way."""
        groups: dict[tuple[Fact[Any], Op], list[Ask]] = {}
        for part in parts:
            node = self.nodes[part]
            if isinstance(node, Ask) and node.op in _JOINED | _EQUAL:
                groups.setdefault((node.fact, Op.ONE_OF if node.op in _EQUAL else node.op), []).append(node)
        made: list[int] = []
        done: set[tuple[Fact[Any], Op]] = set()
        for part in parts:
            node = self.nodes[part]
            key = (node.fact, Op.ONE_OF if node.op in _EQUAL else node.op) if isinstance(node, Ask) else None
            if key is None or len(groups.get(key, ())) < 2:
                made.append(part)
            elif key not in done:
                done.add(key)
                values: dict[Any, None] = {}
                for ask in groups[key]:
                    several = isinstance(ask.value, tuple) and ask.op is not Op.IS
                    values.update(dict.fromkeys(ask.value if several else (ask.value,)))
                made.append(self._number(Ask(key[0], key[1], tuple(values))))
        return made

    def _joined(self, parts: list[int], kind: type[Both | Either], empty: int) -> int:
        if not parts:
            return empty
        return parts[0] if len(parts) == 1 else self._number(kind(tuple(parts)))
