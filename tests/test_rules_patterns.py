"""Patterns: those of fnmatch(3) against the C library, regular expressions against Python's own."""

from __future__ import annotations

import ctypes
import re
import time
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.model.patterns import below, glob
from holdfast.model.regular import Regular
from holdfast.model.regular_syntax import Malformed

LIBC = ctypes.CDLL(None)
CASE = 1 << 4  # FNM_CASEFOLD of glibc


def libc(pattern: str, text: str, flags: int = 0) -> bool:
    return LIBC.fnmatch(pattern.encode(), text.encode(), flags) == 0


PATTERNS = st.text("ab/*?[]!^-\\.", max_size=8)
TEXTS = st.text("ab/.-]\\!^[*?", max_size=8)


@given(PATTERNS, TEXTS)
@example("[!a]", "b")
@example("a*b*b", "abab")
@example("*/.ssh/*", "/home/a/.ssh/x")
@example("[]a]", "]")
@example("\\*", "*")
def test_a_glob_means_what_the_c_library_says(pattern: str, text: str) -> None:
    if "[" in pattern or pattern.endswith("\\"):
        return  # see below: brackets that do not end are each library's own matter
    assert (glob(pattern).match(text) is not None) is libc(pattern, text)
    assert (glob(pattern, any_case=True).match(text.upper()) is not None) is libc(pattern, text.upper(), CASE)


@given(st.text("ab-z!^c", min_size=1, max_size=5), st.text("ab-z!^cq", min_size=1, max_size=2))
@example("[:alpha:]", "q")
@example("[:digit:][:upper:]", "q")
@example("!a", "b")
@example("^a", "b")
@example("z-a", "b")
def test_a_bracket_means_what_the_c_library_says(inside: str, text: str) -> None:
    if inside in {"!", "^"}:
        return
    pattern = f"[{inside}]*"
    assert (glob(pattern).match(text) is not None) is libc(pattern, text)


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (("/opt/dir",), "/opt/dir", True),
        (("/opt/dir",), "/opt/dir/x", True),
        (("/opt/dir",), "/opt/dir2", False),
        (("/opt/dir",), "/opt", False),
        (("/opt/*",), "/opt", False),
        (("/opt/*",), "/opt/", False),
        (("/opt/*",), "/opt/a/b", True),
        (("/opt/di?/subdir",), "/opt/dir/subdir/memo", True),
        (("/opt/di?/subdir",), "/opt/di/subdir/memo", False),
        (("/opt/di[!r]/subdir",), "/opt/dir/subdir", False),
        (("/opt/di[!r]/subdir",), "/opt/die/subdir/x", True),
        (("/opt/di[!r]subdir",), "/opt/di/subdir", False),
        (("/o*t/x",), "/o/t/x", False),
        (("/a", "/b"), "/b/c", True),
        ((), "/b/c", False),
        (("/",), "/b/c", True),
        (("/etc/",), "//etc///x", True),
    ],
)
def test_a_path_pattern_goes_by_component(patterns: tuple[str, ...], path: str, expected: bool) -> None:
    assert (below(patterns).match(path) is not None) is expected


ERE = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "\\.", "[[:alpha:]]", "a{2}", "b{1,2}", "a{0,1}", "\\d"]),
    lambda part: st.one_of(
        st.tuples(part, part).map("".join),
        st.tuples(part, part).map(lambda two: f"({two[0]}|{two[1]})"),
        part.map(lambda one: f"({one})*"),
        part.map(lambda one: f"({one})+"),
        part.map(lambda one: f"(?:{one})?"),
    ),
    max_leaves=8,
)


@given(ERE, st.text("ab.1\n", max_size=8))
def test_a_regular_expression_matches_what_pythons_matches(pattern: str, text: str) -> None:
    python = pattern.replace("[[:alpha:]]", "[a-zA-Z]")
    assert Regular(pattern).matches(text) is (re.fullmatch(python, text) is not None)


def test_lines_begin_and_end_where_re2_says() -> None:
    assert Regular("^a$").matches("a")
    assert Regular("(^a$|\n)*").matches("a\na")
    assert not Regular("a^b").matches("ab")


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|aa)*b", "(.*)*x", "(a{0,30}){0,30}b"])
def test_no_text_makes_it_slow(pattern: str) -> None:
    begin = time.perf_counter()
    assert not Regular(pattern).matches("a" * 20_000 + "c")
    assert time.perf_counter() - begin < 3


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "[a", "a**", "*a", "(?=a)", "(?<!a)b", "(a)\\1", "a{2000}", "(((a{100}){100}){100})", "[z-a]", "\\",
     "((((){1000}){1000}){1000})", "(" * 500 + ")" * 500, "\\x{110000}", "\\xg", "[[:nix:]]", "^*", "a{3,2}"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(Malformed):
        Regular(pattern)


@given(st.text("ab(){}[]|*+?\\^$.,0129:-dxé\n", max_size=30), st.text("ab0\n", max_size=5))
def test_no_expression_crashes(pattern: str, text: str) -> None:
    with suppress(Malformed):
        assert Regular(pattern).matches(text) in {True, False}
