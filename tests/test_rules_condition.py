"""The grammar of conditions, with its traps."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rules.condition import OPERATORS, TRANSFORMERS, NotACondition, parse
from holdfast.rules.escapes import BadEscape, quoted_if_needed, unescaped
from holdfast.rules.event_types import events_of
from holdfast.rules.nodes import And, Changed, Check, Exists, FieldUse, Name, Not, Number, Or
from holdfast.rules.spelling import fields_in, operators_in, spelled

A, B = FieldUse("a.b"), FieldUse("c.d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=1", Check(A, "=", "1")),
        ("  a.b  ==  1\t\r\n", Check(A, "==", "1")),
        ("a.b in(1,2)", Check(A, "in", ("1", "2"))),
        ("a.b in ()", Check(A, "in", ())),
        ("a.b in (1 , 'x y' )", Check(A, "in", ("1", "x y"))),
        ("a.b in nix", Check(A, "in", ("nix",))),
        ("a.b intersects(1)", Check(A, "intersects", ("1",))),
        ("a.b pmatch(/x)", Check(A, "pmatch", ("/x",))),
        ("a.b exists", Exists(A)),
        ("a.b[2] exists", Exists(FieldUse("a.b", "2"))),
        ("a.b['x y']=1", Check(FieldUse("a.b", "x y"), "=", "1")),
        ("a.b[/run/*] exists", Exists(FieldUse("a.b", "/run/*"))),
        ("a.b contains x", Check(A, "contains", "x")),
        ("a.b glob *x*", Check(A, "glob", "*x*")),
        ("a.b<=-1.5e+3", Check(A, "<=", "-1.5e+3")),
        ("a.b>0xFF", Check(A, ">", "0xFF")),
        ("a.b >= val(c.d)", Check(A, ">=", B)),
        ("a.b = val( c.d )", Check(A, "=", B)),
        ("a.b = value", Check(A, "=", "value")),
        ("a.b = tolower(c.d)", Check(A, "=", Changed("tolower", (B,)))),
        ("a.b = tolower", Check(A, "=", "tolower")),
        ("tolower(a.b) = x", Check(Changed("tolower", (A,)), "=", "x")),
        ("toupper( tolower( a.b ) ) = x", Check(Changed("toupper", (Changed("tolower", (A,)),)), "=", "x")),
        ("concat(a.b, ':', 80) = x", Check(Changed("concat", (A, ":", Number("80"))), "=", "x")),
        ("join(',', (x, y)) = x", Check(Changed("join", (",", ("x", "y"))), "=", "x")),
        ('getopt(a.b, "nt:")[t] = x', Check(Changed("getopt", (A, "nt:"), "t"), "=", "x")),
        ("a.b = oneof (1,2)", Check(A, "=", ("1", "2"), "oneof")),
        ("a.b startswith anyof (1,2)", Check(A, "startswith", ("1", "2"), "anyof")),
        ("a.b contains allof nix", Check(A, "contains", ("nix",), "allof")),
        ("a.b = oneof", Check(A, "=", "oneof")),
        ("mine", Name("mine")),
        ("not mine", Not(Name("mine"))),
        ("not not mine", Name("mine")),
        ("not(mine)", Not(Name("mine"))),
        ("not not(mine)", Name("mine")),
        ("(mine)", Name("mine")),
        ("a.b=1 or(c.d=1)", Or((Check(A, "=", "1"), Check(B, "=", "1")))),
        ("a.b=1 and(c.d=1)", And((Check(A, "=", "1"), Check(B, "=", "1")))),
        ("a.b=1 and c.d=1 or mine", Or((And((Check(A, "=", "1"), Check(B, "=", "1"))), Name("mine")))),
        ("x and (y and z)", And((Name("x"), And((Name("y"), Name("z")))))),
        ("nothing.at = all", Check(FieldUse("nothing.at"), "=", "all")),
    ],
)
def test_a_condition_is_read_as_falco_reads_it(text: str, expected: object) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("", 0, "empty"),
        ("   ", 3, "expected '('"),
        ("a.b", 3, "expected an operator"),
        ("a.b contains(x)", 4, "expected an operator"),
        ("a.b contains\tx", 4, "expected an operator"),
        ("a.b > x", 6, "expected a number"),
        ("a.b = ", 6, "expected a value"),
        ("a.b = (x)", 6, "expected a value"),
        ("a.b in (x", 9, "expected ',' or ')'"),
        ("a.b in (x,)", 10, "expected a value"),
        ("a.b = 'x", 6, "quote"),
        ("a.b[ = 1", 4, "argument"),
        ("a.b[1 = 1", 5, "expected ']'"),
        ("a.b=1 c.d=1", 6, "'or' or 'and' must follow"),
        ("a.b=1 andc.d=1", 9, "after 'and'"),
        ("a.b=1 orc.d=1", 8, "after 'or'"),
        ("(a.b=1", 6, "expected ')'"),
        ("a.b=1)", 5, "must follow"),
        ("mine-macro", 4, "must follow"),
        ("_mine", 0, "name of a macro"),
        ('a.b = "x\\\'y"', 9, "quoted with"),
        ("a.b = 'x\\qy'", 9, "escape"),
        ("a.b = 'x\\xZZ'", 9, "hexadecimal"),
        ("a.b = oneof 5", 12, "list"),
        ("a.b = val(5)", 10, "a field"),
        ("tolower(5 = x", 10, "',' or ')'"),
        ("concat(=) = x", 7, "a field, a quoted text"),
    ],
)
def test_an_error_has_its_place(text: str, at: int, what: str) -> None:
    with pytest.raises(NotACondition) as caught:
        parse(text)
    assert caught.value.at == at, caught.value.what
    assert what in caught.value.what


def test_nesting_ends_where_falcos_ends() -> None:
    assert parse("(" * 198 + "a.b=1" + ")" * 198) == Check(A, "=", "1")
    for text in ("(" * 200 + "a.b=1" + ")" * 200, "(" * 100_000, "tolower(" * 5000 + "a.b"):
        with pytest.raises(NotACondition, match="nested too deeply"):
            parse(text)
    with pytest.raises(NotACondition, match="nested too deeply"):
        parse("(" * 20 + "a.b=1" + ")" * 20, depth=100)
    assert parse("not " * 50_001 + "a.b=1") == Not(Check(A, "=", "1"))


# --- round trips ----------------------------------------------------------------------------------------------------

PLAIN = st.text("abcXYZ019/._:*?[]<>!-é", min_size=1, max_size=6)
TEXT = PLAIN | st.text("ab \\\"'\t\n/é()=,", min_size=1, max_size=6).filter(lambda text: not text.endswith("\\"))
"""Falco's parser does not see that a quote ends behind a backslash, even an escaped one."""
VALUE = TEXT.filter(lambda text: not any(sign in quoted_if_needed(text) for sign in "()=,") or " " in text)
FIELD = st.builds(
    FieldUse,
    st.sampled_from(["a.b", "proc.name", "evt.arg.flags"]),
    st.none() | st.text("abc/*", min_size=1, max_size=4) | st.just("x y"),
)
OPERAND = FIELD | st.builds(
    Changed,
    st.sampled_from(TRANSFORMERS),
    st.lists(FIELD | TEXT | st.integers(0, 99).map(lambda n: Number(str(n))), min_size=1, max_size=2).map(tuple),
    st.none(),
)
WORD_OPS = sorted(
    op for op in OPERATORS - {"exists", "in", "intersects", "pmatch"} if op.isalpha() or op in {"=", "!="}
)
CHECK = st.one_of(
    st.builds(Check, OPERAND, st.sampled_from(WORD_OPS), VALUE),
    st.builds(Check, OPERAND, st.sampled_from(WORD_OPS), st.lists(VALUE, max_size=3).map(tuple), st.just("anyof")),
    st.builds(Check, OPERAND, st.sampled_from(["in", "intersects", "pmatch"]), st.lists(VALUE, max_size=3).map(tuple)),
    st.builds(Check, OPERAND, st.sampled_from(["<", "<=", ">", ">="]), st.integers(-9, 99).map(str)),
    st.builds(Check, OPERAND, st.sampled_from(["=", "<", "contains", "in"]), FIELD),
    st.builds(Exists, OPERAND),
    st.builds(Name, st.sampled_from(["mine", "spawned_process"])),
)
CONDITION = st.recursive(
    CHECK,
    lambda part: st.one_of(
        part.map(Not),
        st.lists(part, min_size=2, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(part, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=8,
)


@given(CONDITION)
def test_what_is_written_is_read_back(condition: object) -> None:
    text = spelled(condition)
    if "not not" in text:
        return  # Falco's parser drops a double negation
    read = parse(text)
    assert spelled(read) == text
    assert (fields_in(read), operators_in(read)) == (fields_in(condition), operators_in(condition))
    assert events_of(read) == events_of(condition)


@given(st.text())
def test_a_quoted_text_is_read_back(text: str) -> None:
    if any(sign in text for sign in "\b\f\n\r\t\\\"' "):
        quoted = quoted_if_needed(text)
        assert unescaped(quoted) == text


@given(st.text("ab\\/xnt\"' 0f", max_size=12))
def test_no_escape_crashes(inside: str) -> None:
    with suppress(BadEscape):
        assert isinstance(unescaped(f'"{inside}"'), str)


def test_escapes() -> None:
    assert unescaped(r"'\b\f\n\r\t\\\/\'\x41\ '") == "\b\f\n\r\t\\/'A\\"
    with pytest.raises(BadEscape):
        unescaped(r"""'\"'""")


TOKENS = st.lists(
    st.sampled_from(
        [*sorted(OPERATORS), *TRANSFORMERS, "(", ")", ",", "[", "]", "a.b", "proc.name", "not", "and", "or", "x", "'",
         '"',
         " ", "\n", "\t", "0x1f", "-1", "val(", "oneof ", "\\", "é", "\x00", "%"]
    ),
    max_size=25,
)  # fmt: skip


@given(TOKENS.map("".join) | TOKENS.map(" ".join) | st.text())
def test_no_text_crashes(text: str) -> None:
    try:
        condition = parse(text)
    except NotACondition as error:
        at, what = error.at, error.what
    else:
        assert spelled(condition)
        return
    assert 0 <= at <= len(text)
    assert what


# --- events ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("evt.type = open", {"open"}, {"close"}),
        ("evt.type != open", {"close"}, {"open"}),
        ("not evt.type = open", {"close"}, {"open"}),
        ("not evt.type != open", {"open"}, {"close"}),
        ("evt.type in (open, close)", {"open", "close"}, {"dup"}),
        ("not evt.type in (open, close)", {"dup"}, {"open", "close"}),
        ("proc.name = x", {"open", "dup"}, set()),
        ("not proc.name = x", {"open", "dup"}, set()),
        ("evt.type = open and evt.type = close", set(), {"open", "close"}),
        ("evt.type = open and proc.name = x", {"open"}, {"close"}),
        ("evt.type = open or proc.name = x", {"open", "close"}, set()),
        ("not (evt.type = open or proc.name = x)", {"close"}, {"open"}),
        ("not (evt.type = open and proc.name = x)", {"open", "close"}, set()),
        ("evt.type exists", {"open"}, set()),
        ("not evt.type exists", set(), {"open"}),
        ("evt.type startswith op", {"open", "close"}, set()),
    ],
)
def test_the_types_of_events_for_which_a_condition_can_be_true(text: str, inside: set[str], outside: set[str]) -> None:
    found = events_of(parse(text))
    assert all(name in found for name in inside)
    assert not any(name in found for name in outside)
