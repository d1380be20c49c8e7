"""The rules for one type of event as one generated Python function.

The generated source holds nothing but names we chose and operators of our own closed set; facts and values are
passed in as constants, never spelled into the source. Every field, and every part that several rules share, is worked
out at most once for an event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from holdfast.model.comparisons import Comparison, in_network
from holdfast.model.derived import Derived, bare
from holdfast.model.facts import Fact
from holdfast.model.logic import All, AnyOf, Atom, Expr, Op, Settled, answer
from holdfast.model.patterns import below, glob
from holdfast.model.regular import regular
from holdfast.model.truth import NO, YES
from holdfast.rules.graph import ALWAYS, NEVER, Ask, Both, Either, Graph, Opposite

Get = Callable[[Fact[Any]], Any]
Judge = Callable[[Get], Any]
_HOISTED = 20
"""Nesting from which on a part becomes a function of its own: Python reads 200 parentheses in each other at most."""


def compile_rules(
    conditions: Sequence[tuple[int, Expr]], type_fact: Fact[Any], name: str, *, every: bool = False
) -> Judge | None:
    """Turn the conditions of rules into one function for events of one type.

    Args:
        conditions: Number and condition of each rule, in load order.
        type_fact: The question for the type.
        name: The type.
        every: Return every match instead of the first.

    Returns:
        A function from a getter (fact to bare answer, None where there is none) to the number of the first rule whose
        condition is YES, or None; with ``every`` to a list of numbers. None where no rule can match. The answers must
        be plain values; one of a kind that a comparison does not take makes that comparison unknown.
    """
    graph = Graph(type_fact, name)
    roots = [(number, graph.add(condition)) for number, condition in conditions]
    roots = [(number, root) for number, root in roots if root != NEVER]
    if not roots:
        return None
    fast = _Writer(graph).function(roots, every=every)
    kept = [(number, condition) for number, condition in conditions]

    def judge(get: Get) -> Any:
        try:
            return fast(get)
        except (TypeError, AttributeError):
            return _slow(kept, get, every=every)

    return judge


def _slow(conditions: Sequence[tuple[int, Expr]], get: Get, *, every: bool) -> Any:
    found = (number for number, condition in conditions if holds(condition, get))
    return list(found) if every else next(found, None)


def holds(expr: Expr, get: Get) -> bool:
    """Tell whether an expression is YES, without generated code."""
    if isinstance(expr, Atom):
        value = bare(get, expr.fact)
        return value is not None and answer(expr.op, value, expr.value) is YES
    if isinstance(expr, All):
        return all(holds(part, get) for part in expr.parts)
    if isinstance(expr, AnyOf):
        return any(holds(part, get) for part in expr.parts)
    if isinstance(expr, Settled):
        return holds(expr.part, get) if expr.truth is NO else not holds(~expr.part, get)
    raise TypeError(f"{type(expr).__name__} is not one of Atom, All, AnyOf, Settled")


class _Writer:
    """Writes the source of one function. ``sure`` are the variables that have a value whenever a place is reached."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.constants: dict[str, Any] = {"_u": object(), "_bare": bare, "_net": in_network, "_yes": _yes}
        self.names: dict[Any, str] = {}
        self.touched: set[str] = set()
        self.lazy: set[str] = set()
        self.shared: dict[int, str] = {}
        self.depths: dict[int, int] = {}

    def function(self, roots: list[tuple[int, int]], *, every: bool) -> Judge:
        uses = Counter(child for node in self._reached(root for _, root in roots) for child in self._children(node))
        uses.update(root for _, root in roots)
        self.uses = uses
        lines: list[str] = []
        sure: set[str] = set()
        for number, root in roots:
            code, always = self.code(root, sure, 0) if root != ALWAYS else ("True", set())
            sure |= always
            lines.append(f"    if {code}:\n        {'found.append(%d)' if every else 'return %d'}" % number)
        head = [f"    {' = '.join(sorted(self.lazy))} = _u"] if self.lazy else []
        head += ["    found = []"] if every else []
        tail = ["    return found" if every else "    return None"]
        source = "\n".join(["def judge(g):", *head, *lines, *tail, ""])
        exec(compile(source, "<compiled rules>", "exec"), self.constants)  # noqa: S102 - see the module's docstring
        made: Judge = self.constants["judge"]
        return made

    def _children(self, number: int) -> tuple[int, ...]:
        node = self.graph.nodes[number]
        if isinstance(node, Both | Either):
            return node.parts
        return (node.part,) if isinstance(node, Opposite) else ()

    def _reached(self, roots: Any) -> list[int]:
        seen: dict[int, None] = {}
        open_ = list(roots)
        while open_:
            number = open_.pop()
            if number not in seen:
                seen[number] = None
                open_.extend(self._children(number))
        return list(seen)

    def code(self, number: int, sure: set[str], depth: int) -> tuple[str, set[str]]:
        """Return the source of a node, and the variables that are surely set once it was worked out."""
        node = self.graph.nodes[number]
        costly = isinstance(node, Both | Either) or (isinstance(node, Ask) and node.op not in _CHEAP)
        if self.uses[number] < 2 or not costly:
            return self.plain(number, sure, depth)
        name = self.shared.setdefault(number, f"c{number}")
        return self.once(name, lambda: self.plain(number, sure, depth), sure)

    def once(self, name: str, write: Callable[[], tuple[str, set[str]]], sure: set[str]) -> tuple[str, set[str]]:
        """Write a variable: its name where it surely has a value, else with the code that gives it one."""
        if name in sure:
            return name, set()
        touched = name in self.touched
        code, always = write()
        self.touched.add(name)
        if not touched:
            return f"({name} := {code})", {name} | always
        self.lazy.add(name)
        return f"({name} if {name} is not _u else ({name} := {code}))", {name}

    def plain(self, number: int, sure: set[str], depth: int) -> tuple[str, set[str]]:
        node = self.graph.nodes[number]
        if isinstance(node, Ask):
            return self.ask(node, sure)
        if depth >= _HOISTED:
            return f"{self.hoisted(number)}(g)", set()
        if isinstance(node, Opposite):
            code, always = self.code(node.part, sure, depth + 1)
            return f"(not {code})", always
        parts = sorted(node.parts, key=self._rank) if isinstance(node, Both) else list(node.parts)
        codes: list[str] = []
        first: set[str] = set()
        inside = set(sure)
        for at, part in enumerate(parts):
            code, always = self.code(part, inside, depth + 1)
            codes.append(code)
            inside |= always
            if at == 0:
                first = always
        return f"({(' and ' if isinstance(node, Both) else ' or ').join(codes)})", first

    def _rank(self, number: int) -> tuple[int, int]:
        """Order the parts of "and": cheap ones and what other rules have worked out first, costly negations last."""
        node = self.graph.nodes[number]
        inner = self.graph.nodes[node.part] if isinstance(node, Opposite) else node
        cheap = isinstance(inner, Ask) and inner.op in _CHEAP
        if isinstance(node, Opposite):
            return (2 if cheap else 4), -self.uses[number]
        return (0 if cheap else 1 if self.uses[number] > 1 else 3), -self.uses[number]

    def hoisted(self, number: int) -> str:
        inner = _Writer(self.graph)
        return self.constant(("hoisted", number), lambda: inner.function([(1, number)], every=False))

    def constant(self, key: Any, make: Callable[[], Any]) -> str:
        name = self.names.get(key)
        if name is None:
            name = self.names[key] = f"k{len(self.names)}"
            self.constants[name] = make()
        return name

    def fact(self, fact: Fact[Any], sure: set[str]) -> tuple[str, set[str]]:
        key = self.constant(("fact", fact), lambda: fact)
        ask = f"_bare(g, {key})" if isinstance(fact, Derived) else f"g({key})"
        return self.once(f"f{key}", lambda: (ask, set()), sure)

    def ask(self, node: Ask, sure: set[str]) -> tuple[str, set[str]]:
        code, always = self.fact(node.fact, sure)
        op, value = node.op, node.value
        if op is Op.IS:
            return f"({code} == {self.value(value)})", always
        if op is Op.ONE_OF:
            return f"({code} in {self.members(value)})", always
        name = self.name(node.fact)
        return f"({code} is not None and {self.test(name, op, value, sure | always)})", always

    def name(self, fact: Fact[Any]) -> str:
        return f"f{self.names['fact', fact]}"

    def value(self, value: Any) -> str:
        return self.constant(("value", type(value), value), lambda: value)

    def members(self, values: tuple[Any, ...]) -> str:
        return self.constant(("members", values), lambda: frozenset(values))

    def test(self, name: str, op: Op, value: Any, sure: set[str]) -> str:
        """Write the comparison of a variable that is not None."""
        if op is Op.NONE_OF and not value:
            return "True"
        if op.opposite in _INFIX or op in _INFIX:
            negated = op not in _INFIX
            text = _INFIX[op.opposite if negated else op].format(name=name, value=self._operand(op, value))
            return f"not {text}" if negated else text
        if op in {Op.SOME, Op.NO_MEMBER} and isinstance(value, Comparison):
            found = self._some(name, value, sure)
            return found if op is Op.SOME else f"not {found}"
        return f"_yes({self.constant(('op', op), lambda: op)}, {name}, {self.value(value)})"

    def _operand(self, op: Op, value: Any) -> str:
        positive = op if op in _INFIX else op.opposite
        if positive is Op.ONE_OF:
            return self.members(value)
        if positive is Op.GLOB:
            return self.constant(("glob", value), lambda: glob(value).match)
        if positive is Op.GLOB_ANY_CASE:
            return self.constant(("iglob", value), lambda: glob(value, any_case=True).match)
        if positive is Op.MATCHES:
            return self.constant(("regex", value), lambda: regular(value).matches)
        if positive is Op.AT_OR_BELOW:
            paths = value if isinstance(value, tuple) else (value,)
            return self.constant(("below", paths), lambda: below(paths).match)
        if positive is Op.CONTAINS_ANY_CASE:
            return self.value(value.lower())
        return self.value(value)

    def _some(self, name: str, asked: Comparison, sure: set[str]) -> str:
        if asked.op is Op.IS:
            return f"({self.value(asked.value)} in {name})"
        if asked.op is Op.ONE_OF:
            return f"(not {self.members(asked.value)}.isdisjoint({name}))"
        return f"any({self.test('m', asked.op, asked.value, sure)} for m in {name})"


_INFIX = {
    Op.IS: "({name} == {value})",
    Op.ONE_OF: "({name} in {value})",
    Op.AT_LEAST: "({name} >= {value})",
    Op.ABOVE: "({name} > {value})",
    Op.STARTS_WITH: "{name}.startswith({value})",
    Op.ENDS_WITH: "{name}.endswith({value})",
    Op.CONTAINS: "({value} in {name})",
    Op.CONTAINS_ANY_CASE: "({value} in {name}.lower())",
    Op.GLOB: "({value}({name}) is not None)",
    Op.GLOB_ANY_CASE: "({value}({name}) is not None)",
    Op.MATCHES: "{value}({name})",
    Op.AT_OR_BELOW: "({value}({name}) is not None)",
    Op.IN_NETWORK: "_net({name}, {value})",
}
"""How a comparison is written for a value of the right kind; a value of another kind raises, and is judged slowly."""

_CHEAP = frozenset((Op.IS, Op.IS_NOT, Op.ONE_OF, Op.NONE_OF, Op.AT_LEAST, Op.LESS_THAN, Op.ABOVE, Op.AT_MOST))


def _yes(op: Op, value: Any, wanted: Any) -> bool:
    return answer(op, value, wanted) is YES
