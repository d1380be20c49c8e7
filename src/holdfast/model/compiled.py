"""Tests for machines: an expression turned once into a plain Python function.

The generated source holds nothing but names we chose and operators of our own closed set; facts and values are
passed in as constants, never spelled into the source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.model.derived import Derived, entry
from holdfast.model.facts import Absent, Fact, Seen
from holdfast.model.logic import All, AnyOf, Atom, Expr, Op, Settled, answer
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import OtherThan

Table = Mapping[Fact[Any], Seen[Any] | Absent]
Test = Callable[[Table], Truth]

# Inside the generated function NO, UNKNOWN, YES are the bit patterns 0, 1, 3: "and" is &, "or" is |.
_BITS = (0, 1, 3)
_TRUTH = (NO, UNKNOWN, NO, YES)


def compile_test(expr: Expr) -> Test:
    """Turn an expression into a function from a fact table to its truth.

    Args:
        expr: The condition.

    Returns:
        A function that gives the same truth as ``prove(expr, facts).truth`` for every table, without the reasons.
    """
    constants: dict[str, Any] = {
        "_bits": _bits,
        "_truth": _TRUTH,
        "Seen": Seen,
        "OtherThan": OtherThan,
        "_entry": entry,
    }
    body = _source(expr, constants)
    source = f"def test(t):\n    g = t.get\n    return _truth[{body}]\n"
    exec(compile(source, "<compiled condition>", "exec"), constants)  # noqa: S102 - see the module's docstring
    test: Test = constants["test"]
    return test


def _source(expr: Expr, constants: dict[str, Any]) -> str:
    number = len(constants)
    if isinstance(expr, Atom):
        constants[f"f{number}"] = expr.fact
        constants[f"v{number}"] = expr.value
        constants[f"o{number}"] = expr.op
        seen = f"_entry(t, f{number})" if isinstance(expr.fact, Derived) else f"g(f{number})"
        if expr.op in {Op.IS, Op.IS_NOT}:
            hit, miss = (3, 0) if expr.op is Op.IS else (0, 3)
            partly = f"{miss} if s.value.__class__ is not OtherThan else _bits(o{number}, s.value, v{number})"
            return f"(({hit} if s.value == v{number} else {partly}) if (s := {seen}).__class__ is Seen else 1)"
        return f"(_bits(o{number}, s.value, v{number}) if (s := {seen}).__class__ is Seen else 1)"
    if isinstance(expr, All):
        return _joined(expr.parts, constants, "and", "&", "3")
    if isinstance(expr, AnyOf):
        return _joined(expr.parts, constants, "or", "|", "0")
    if isinstance(expr, Settled):
        constants["_count"] = count = constants.get("_count", 0) + 1
        return f"(x{count} if (x{count} := {_source(expr.part, constants)}) != 1 else {_BITS[expr.truth]})"
    raise TypeError(f"{type(expr).__name__} is not one of Atom, All, AnyOf, Settled")


def _joined(parts: tuple[Expr, ...], constants: dict[str, Any], word: str, sign: str, empty: str) -> str:
    """Join parts so that the first deciding one ends the evaluation.

    For "and": ``(a and (b and a & b))`` stops at the first 0. For "or" the stop is at the first 3, hence the test.
    """
    if not parts:
        return empty
    text = ""
    name = ""
    for part in reversed(parts):
        constants.setdefault("_count", 0)
        constants["_count"] += 1
        name = f"x{constants['_count']}"
        source = _source(part, constants)
        if not text:
            text = source
        elif word == "and":
            text = f"(({name} := {source}) and ({name} {sign} {text}))"
        else:
            text = f"(3 if ({name} := {source}) == 3 else ({name} {sign} {text}))"
    return text


def _bits(op: Op, value: object, wanted: object) -> int:
    return _BITS[answer(op, value, wanted)]
