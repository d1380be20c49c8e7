"""Laws of the logic, held on random conditions over random facts."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from holdfast.model.change import Change, applied, with_, without
from holdfast.model.compiled import compile_test
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.logic import (
    ALWAYS,
    NEGATIVE,
    NEVER,
    All,
    AnyOf,
    Atom,
    Expr,
    Op,
    answer,
    at_least,
    atoms,
    below,
    contains,
    covers,
    ends_with,
    has,
    has_any,
    is_,
    is_not,
    lacks,
    less_than,
    none_of,
    one_of,
    starts_with,
)
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import Members, OtherThan, Paths, normal_path

HERE = Where("here")

FLAG: Fact[bool] = Fact("test.flag", bool, "A flag.")
OTHER_FLAG: Fact[bool] = Fact("test.other_flag", bool, "Another flag.")
NUMBER: Fact[int] = Fact("test.number", int, "A number.")
VERSION: Fact[tuple[int, ...]] = Fact("test.version", tuple, "A version.")
TEXT: Fact[str] = Fact("test.text", str, "A text.")
NAMES: Fact[Members] = Fact("test.names", Members, "Some names.")
PATHS: Fact[Paths] = Fact("test.paths", Paths, "Some paths.")

NAME = st.sampled_from("abc")
PATH = st.lists(st.sampled_from(["run", "var", "etc", "a"]), max_size=3).map(lambda parts: "/" + "/".join(parts))
PATTERN = st.lists(st.sampled_from(["run", "var", "etc", "*"]), max_size=3).map(lambda parts: "/" + "/".join(parts))
SMALL = st.integers(0, 3)
VERSIONS = st.lists(SMALL, min_size=1, max_size=3).map(tuple)
TEXTS = st.text("ab/", max_size=4)
TRUTHS = st.sampled_from(list(Truth))


def _members(kinds: tuple[str, ...], rest: Truth) -> Members:
    sets = {
        kind: frozenset(n for n, k in zip("abc", kinds, strict=True) if k == kind) for kind in ("yes", "maybe", "no")
    }
    return Members(sets["yes"], sets["maybe"], sets["no"], rest)


KIND = st.sampled_from(["yes", "maybe", "no", "rest"])

VALUES: dict[Fact[Any], st.SearchStrategy[Any]] = {
    FLAG: st.booleans(),
    OTHER_FLAG: st.booleans(),
    NUMBER: SMALL | st.builds(OtherThan, SMALL),
    VERSION: VERSIONS,
    TEXT: TEXTS,
    NAMES: st.builds(_members, st.tuples(KIND, KIND, KIND), TRUTHS),
    PATHS: st.builds(Paths, st.lists(PATH, max_size=3).map(tuple), TRUTHS),
}
STRAY = st.sampled_from([None, 7, "text", (), True])
"""Values of a kind that a word never has; a broken collector could still answer them."""

ATOMS: st.SearchStrategy[Expr] = st.one_of(
    st.builds(is_, st.sampled_from([FLAG, OTHER_FLAG]), st.booleans()),
    st.builds(is_not, st.sampled_from([FLAG, OTHER_FLAG]), st.booleans()),
    st.builds(is_, st.just(NUMBER), SMALL),
    st.builds(is_not, st.just(NUMBER), SMALL),
    st.builds(at_least, st.just(VERSION), VERSIONS),
    st.builds(less_than, st.just(VERSION), VERSIONS),
    st.builds(one_of, st.just(NUMBER), SMALL, SMALL),
    st.builds(none_of, st.just(NUMBER), SMALL, SMALL),
    st.builds(starts_with, st.just(TEXT), TEXTS),
    st.builds(ends_with, st.just(TEXT), TEXTS),
    st.builds(contains, st.just(TEXT), TEXTS),
    st.builds(has, st.just(NAMES), NAME),
    st.builds(lacks, st.just(NAMES), NAME),
    st.builds(has_any, st.just(NAMES), NAME, NAME),
    st.builds(covers, st.just(PATHS), PATTERN),
    st.builds(covers, st.just(PATHS), PATTERN, PATTERN),
    st.builds(below, st.just(PATHS), PATTERN),
)
EXPRS: st.SearchStrategy[Expr] = st.recursive(
    ATOMS,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3).map(lambda some: All(tuple(some))),
        st.lists(parts, max_size=3).map(lambda some: AnyOf(tuple(some))),
        parts.map(lambda part: ~part),
    ),
    max_leaves=8,
)


@st.composite
def tables(draw: st.DrawFn, *, stray: bool = True) -> Facts:
    table: dict[Fact[Any], Seen[Any] | Absent] = {}
    for fact, values in VALUES.items():
        kind = draw(st.sampled_from(["seen", "seen", "seen", "absent", "nothing", "stray"]))
        if kind == "seen":
            table[fact] = Seen(draw(values), HERE)
        elif kind == "absent":
            table[fact] = Absent("not read")
        elif kind == "stray" and stray:
            table[fact] = Seen(draw(STRAY), HERE)
    return Facts(table)


def truth(expr: Expr, facts: Facts) -> Truth:
    return prove(expr, facts).truth


# --- three truths ---------------------------------------------------------------------------------------------------


def test_the_truth_tables_are_kleenes() -> None:
    opposite = {YES: NO, NO: YES, UNKNOWN: UNKNOWN}
    assert {one: ~one for one in Truth} == opposite
    for a, b in product(Truth, Truth):
        both = NO if NO in (a, b) else (YES if a is b is YES else UNKNOWN)
        either = YES if YES in (a, b) else (NO if a is b is NO else UNKNOWN)
        assert truth(All((_constant(a), _constant(b))), Facts()) is both
        assert truth(AnyOf((_constant(a), _constant(b))), Facts()) is either


def _constant(one: Truth) -> Expr:
    return {YES: ALWAYS, NO: NEVER, UNKNOWN: is_(FLAG, True)}[one]


@pytest.mark.parametrize(("plain", "expected"), [(True, YES), (False, NO), (None, UNKNOWN)])
def test_a_plain_answer_becomes_a_truth(plain: bool | None, expected: Truth) -> None:
    assert Truth.of(plain) is expected


# --- laws -----------------------------------------------------------------------------------------------------------


@given(EXPRS, EXPRS, tables())
def test_de_morgan(a: Expr, b: Expr, facts: Facts) -> None:
    assert truth(~(a & b), facts) is truth(~a | ~b, facts)
    assert truth(~(a | b), facts) is truth(~a & ~b, facts)


@given(EXPRS, tables())
def test_the_opposite_has_the_opposite_truth(expr: Expr, facts: Facts) -> None:
    assert truth(~expr, facts) is ~truth(expr, facts)
    assert ~~expr == expr


@given(EXPRS, EXPRS, EXPRS, tables())
def test_joining_is_a_lattice(a: Expr, b: Expr, c: Expr, facts: Facts) -> None:
    def same(left: Expr, right: Expr) -> bool:
        return truth(left, facts) is truth(right, facts)

    assert same(a & b, b & a)
    assert same(a | b, b | a)
    assert same((a & b) & c, a & (b & c))
    assert same((a | b) | c, a | (b | c))
    assert same(a & (a | b), a)
    assert same(a | (a & b), a)
    assert same(a & (b | c), (a & b) | (a & c))
    assert same(a & ALWAYS, a)
    assert same(a | NEVER, a)


@given(EXPRS, tables())
def test_the_compiled_test_says_what_the_proof_says(expr: Expr, facts: Facts) -> None:
    assert compile_test(expr)(facts.table) is truth(expr, facts)


@given(EXPRS, tables(stray=False), st.data())
def test_more_facts_never_turn_an_answer_around(expr: Expr, more: Facts, data: st.DataObject) -> None:
    """Forgetting facts, or knowing them less exactly, leads to the same answer or to unknown."""
    less: dict[Fact[Any], Seen[Any] | Absent] = {}
    for fact, entry in more.table.items():
        forgotten = data.draw(st.sampled_from(["kept", "vague", "gone", "absent"]))
        if forgotten == "kept":
            less[fact] = entry
        elif forgotten == "absent":
            less[fact] = Absent("forgotten")
        elif forgotten == "vague" and isinstance(entry, Seen):
            less[fact] = Seen(data.draw(vaguer(entry.value)), HERE)
    before, after = truth(expr, Facts(less)), truth(expr, more)
    assert before in (UNKNOWN, after)


def vaguer(value: object) -> st.SearchStrategy[object]:
    """Values that are known less exactly but are not wrong."""
    if isinstance(value, Members):

        def blurred(names: frozenset[str], rest: Truth) -> Members:
            return Members(value.yes - names, value.maybe | names, value.no - names, rest)

        return st.builds(blurred, st.frozensets(NAME), st.sampled_from([value.rest, UNKNOWN]))
    if isinstance(value, Paths):
        if value.rest is YES:
            return st.just(value)
        return st.builds(lambda count: Paths(value.items[:count], UNKNOWN), st.integers(0, len(value.items)))
    if isinstance(value, int) and not isinstance(value, bool):
        return SMALL.filter(lambda other: other != value).map(OtherThan)
    return st.just(value)


@given(EXPRS, tables())
def test_the_facts_that_carry_an_answer_are_enough_for_it(expr: Expr, facts: Facts) -> None:
    proof = prove(expr, facts)
    carrying = list(proof.carrying())
    assert all(isinstance(leaf.expr, Atom) for leaf in carrying)
    if proof.truth is UNKNOWN:
        assert list(proof.missing())
        return
    assert list(proof.missing()) == []
    kept = {leaf.expr.fact for leaf in carrying if isinstance(leaf.expr, Atom)}
    assert truth(expr, Facts({fact: entry for fact, entry in facts.table.items() if fact in kept})) is proof.truth


@given(EXPRS, tables())
def test_a_proof_has_the_shape_of_its_condition(expr: Expr, facts: Facts) -> None:
    def check(proof: Any, part: Expr) -> None:
        assert proof.expr == part
        inner = part.parts if isinstance(part, All | AnyOf) else ()
        assert len(proof.parts) == len(inner)
        for below_proof, below_part in zip(proof.parts, inner, strict=True):
            check(below_proof, below_part)
        if isinstance(part, Atom):
            assert proof.seen is facts.table.get(part.fact)

    check(prove(expr, facts), expr)
    assert all(isinstance(atom, Atom) for atom in atoms(expr))


# --- one comparison -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", list(Op))
def test_every_comparison_has_one_opposite(op: Op) -> None:
    assert op.opposite.opposite is op
    assert op.opposite is not op
    assert (op in NEGATIVE) is not (op.opposite in NEGATIVE)


@pytest.mark.parametrize("op", [op for op in Op if op not in {Op.IS, Op.IS_NOT}])
@pytest.mark.parametrize("value", [None, object(), 3.5])
def test_a_value_of_a_strange_kind_is_unknown_and_never_no(op: Op, value: object) -> None:
    wanted = ("a",) if op in {Op.ONE_OF, Op.NONE_OF} else "/a"
    if op in {Op.ONE_OF, Op.NONE_OF}:
        assert answer(op, [], 3) is UNKNOWN
    else:
        assert answer(op, value, wanted) is UNKNOWN


@pytest.mark.parametrize("op", list(Op))
def test_an_unseen_fact_is_unknown_under_every_comparison(op: Op) -> None:
    wanted = ("a",) if op in {Op.ONE_OF, Op.NONE_OF} else "a"
    atom = Atom(TEXT, op, wanted)
    for facts in (Facts(), Facts({TEXT: Absent("not read")})):
        assert truth(atom, facts) is UNKNOWN
        assert compile_test(atom)(facts.table) is UNKNOWN


@given(SMALL, SMALL)
def test_a_value_known_only_for_what_it_is_not(excluded: int, wanted: int) -> None:
    facts = Facts({NUMBER: Seen(OtherThan(excluded), HERE)})
    expected = NO if wanted == excluded else UNKNOWN
    assert truth(is_(NUMBER, wanted), facts) is expected
    assert truth(is_not(NUMBER, wanted), facts) is ~expected
    assert truth(one_of(NUMBER, wanted), facts) is expected


@given(PATH, PATH)
def test_a_mount_reaches_itself_and_what_lies_below(mounted: str, deeper: str) -> None:
    whole = normal_path(mounted + deeper)
    assume(not whole.startswith("/run") or mounted.startswith("/run"))  # /var/run is a link out of /var
    reach = Paths((normal_path(mounted),))
    assert reach.covers(whole) is YES
    assert Paths((whole,)).covers(whole) is YES
    if whole != normal_path(mounted) and whole.startswith(normal_path(mounted)):
        assert Paths((whole,)).covers(normal_path(mounted)) is NO
        assert Paths((whole,)).below(normal_path(mounted)) is YES
    assert reach.below(whole) is NO


def test_a_mount_of_var_does_not_reach_run_through_the_link() -> None:
    assert Paths(("/var",)).covers(normal_path("/var/run/docker.sock")) is NO
    assert Paths((normal_path("/var/run"),)).covers("/run/docker.sock") is YES


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/var/run/docker.sock", "/run/docker.sock"),
        ("/var/run", "/run"),
        ("//etc//./cron.d/", "/etc/cron.d"),
        ("/srv/../etc", "/etc"),
        ("/..", "/"),
        ("/var/running", "/var/running"),
        ("/var/lock/x", "/run/lock/x"),
    ],
)
def test_a_path_has_one_spelling(written: str, meant: str) -> None:
    assert normal_path(written) == meant
    assert normal_path(meant) == meant


# --- changes --------------------------------------------------------------------------------------------------------


@given(tables(stray=False), NAME)
def test_a_member_taken_away_is_gone_and_one_added_is_there(facts: Facts, name: str) -> None:
    less = applied(facts, (Change(NAMES, without(name), "take it away"),), HERE)
    more = applied(facts, (Change(NAMES, with_(name), "add it"),), HERE)
    if NAMES in facts:
        assert truth(has(NAMES, name), less) is NO
        for other in "abc":
            if other != name:
                assert truth(has(NAMES, other), less) is truth(has(NAMES, other), facts)
                assert truth(has(NAMES, other), more) is truth(has(NAMES, other), facts)
    else:
        assert truth(has(NAMES, name), less) is NO
    assert truth(has(NAMES, name), more) is YES


@given(st.lists(PATH, max_size=4).map(tuple), st.sampled_from([NO, UNKNOWN]), PATTERN)
def test_a_path_taken_away_is_not_reached_any_more(items: tuple[str, ...], rest: Truth, path: str) -> None:
    facts = Facts({PATHS: Seen(Paths(items, rest), HERE)})
    after = applied(facts, (Change(PATHS, without(path), "do not mount it"),), HERE)
    assert truth(covers(PATHS, path), after) is NO
    assert truth(below(PATHS, path), after) is NO


@given(tables(stray=False), st.booleans())
def test_a_plain_change_sets_the_fact_and_no_other(facts: Facts, value: bool) -> None:
    after = applied(facts, (Change(FLAG, value, "set it"),), HERE)
    assert truth(is_(FLAG, value), after) is YES
    assert after.without(FLAG) == facts.without(FLAG)


def test_a_path_that_is_perhaps_reached_is_unknown_with_what_lies_below_it():
    seen = Paths(("/srv",), maybe=("/proc", "/sys/fs/cgroup"))
    asked = ("/srv/a", "/proc", "/proc/sys", "/sys", "/etc")
    assert [seen.covers(path) for path in asked] == [YES, UNKNOWN, UNKNOWN, NO, NO]
    assert (seen.below("/sys"), seen.below("/etc"), seen.below("/")) == (UNKNOWN, NO, YES)
    assert seen.lacking(["/proc"]).covers("/proc") is NO
    assert seen.having(["/proc"]).covers("/proc") is YES
