"""Settled conditions and derived facts: one truth in proofs, in compiled tests and for opposites."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.compiled import compile_test
from holdfast.model.derived import Derived, bare, entry
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.logic import (
    All,
    AnyOf,
    Atom,
    Comparison,
    Expr,
    Op,
    Settled,
    atoms,
    is_,
    known,
    one_of,
    settled,
    starts_with,
)
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.rules.judging import holds

HERE = Where("here")
TEXT: Fact[str] = Fact("test.text", str, "A text.")
NUMBER: Fact[int] = Fact("test.number", int, "A number.")
NAMES: Fact[tuple[str, ...]] = Fact("test.names", tuple, "Names.")
LENGTH = Derived("length(test.text)", int, "Its length.", (TEXT,), len)
SUM = Derived("sum", int, "A sum.", (LENGTH, NUMBER), lambda one, other: one + other)

ATOMS: st.SearchStrategy[Expr] = st.one_of(
    st.builds(is_, st.sampled_from([NUMBER, LENGTH, SUM]), st.integers(0, 3)),
    st.builds(Atom, st.sampled_from([NUMBER, SUM]), st.sampled_from([Op.ABOVE, Op.AT_MOST]), st.integers(0, 3)),
    st.builds(starts_with, st.just(TEXT), st.text("ab", max_size=2)),
    st.builds(lambda some: one_of(TEXT, *some), st.lists(st.text("ab", max_size=1), max_size=2)),
    st.sampled_from([known(TEXT), known(SUM)]),
    st.builds(
        lambda op, inner, value: Atom(NAMES, op, Comparison(inner, value)),
        st.sampled_from([Op.SOME, Op.NO_MEMBER]), st.sampled_from([Op.IS, Op.IS_NOT, Op.STARTS_WITH]),
        st.text("ab", max_size=1),
    ),
    st.builds(
        lambda op, values: Atom(TEXT, op, Comparison(Op.CONTAINS, tuple(values))),
        st.sampled_from([Op.ONCE, Op.NOT_ONCE, Op.EVERY, Op.NOT_EVERY]),
        st.lists(st.text("ab", max_size=1), max_size=3),
    ),
)  # fmt: skip
EXPRS: st.SearchStrategy[Expr] = st.recursive(
    ATOMS,
    lambda part: st.one_of(
        st.lists(part, max_size=3).map(lambda some: All(tuple(some))),
        st.lists(part, max_size=3).map(lambda some: AnyOf(tuple(some))),
        part.map(lambda one: ~one),
        st.builds(Settled, part, st.sampled_from([NO, YES])),
    ),
    max_leaves=8,
)


@st.composite
def tables(draw: st.DrawFn) -> Facts:
    values: dict[Fact[Any], st.SearchStrategy[Any]] = {
        TEXT: st.text("ab", max_size=3),
        NUMBER: st.integers(0, 3),
        NAMES: st.lists(st.text("ab", max_size=1), max_size=3).map(tuple),
    }
    table: dict[Fact[Any], Seen[Any] | Absent] = {}
    for fact, some in values.items():
        kind = draw(st.sampled_from(["seen", "seen", "absent", "nothing", "strange"]))
        if kind == "seen":
            table[fact] = Seen(draw(some), HERE)
        elif kind == "strange":
            table[fact] = Seen(draw(st.sampled_from([7, "a", (), 1.5, (1,)])), HERE)
        elif kind == "absent":
            table[fact] = Absent("not read")
    return Facts(table)


@given(EXPRS, EXPRS, tables())
def test_every_way_to_judge_agrees(a: Expr, b: Expr, facts: Facts) -> None:
    truth = prove(a, facts).truth
    assert compile_test(a)(facts.table) is truth
    assert prove(~a, facts).truth is ~truth
    assert ~~a == a
    assert prove(~(a & b), facts).truth is prove(~a | ~b, facts).truth
    assert holds(a, facts.value) is (truth is YES)
    assert list(atoms(~a)) == [~atom for atom in atoms(a)]


@given(EXPRS, tables())
def test_what_carries_a_settled_verdict_are_comparisons(a: Expr, facts: Facts) -> None:
    proof = prove(settled(a), facts)
    assert proof.truth in (YES, NO)
    assert list(proof.missing()) == []
    assert all(isinstance(leaf.expr, Atom) for leaf in proof.carrying())


@pytest.mark.parametrize(("truth", "opposite"), [(NO, YES), (YES, NO)])
def test_a_settled_condition_decides_what_is_unknown_only(truth: Truth, opposite: Truth) -> None:
    expr = Settled(is_(NUMBER, 1), truth)
    assert prove(expr, Facts()).truth is truth
    assert prove(~expr, Facts()).truth is opposite
    assert prove(is_(NUMBER, 1), Facts()).truth is UNKNOWN
    for value in (1, 2):
        facts = Facts({NUMBER: Seen(value, HERE)})
        assert prove(expr, facts).truth is prove(is_(NUMBER, 1), facts).truth


def test_a_derived_fact_follows_from_its_parts() -> None:
    table = {TEXT: Seen("ab", HERE), NUMBER: Seen(3, HERE)}
    assert entry(table, SUM) == Seen(5, HERE)
    assert entry({TEXT: Absent("why"), NUMBER: Seen(3, HERE)}, SUM) == Absent("why")
    assert entry({NUMBER: Seen(3, HERE)}, SUM) is None
    assert isinstance(entry({TEXT: Seen("ab", HERE), NUMBER: Seen("x", HERE)}, SUM), Absent)
    assert bare({TEXT: "ab", NUMBER: 3}.get, SUM) == 5
    assert bare({TEXT: "ab"}.get, SUM) is None


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (known(TEXT), "test.text is known"),
        (~known(TEXT), "test.text is not known"),
        (one_of(NUMBER, 80, 443), "test.number is one of 80, 443"),
        (settled(is_(TEXT, "a")), "test.text is a"),
        (~settled(is_(TEXT, "a")), "(test.text is not a, or nobody knows)"),
        (Atom(NAMES, Op.SOME, Comparison(Op.STARTS_WITH, "a")), "test.names has a member that starts with a"),
    ],
)
def test_conditions_are_printed(expr: Expr, text: str) -> None:
    assert str(expr) == text
