"""What is pushed down never loses an event that a rule can match."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.model.logic import All, AnyOf, Expr, contains, ends_with, has, is_, is_not, one_of, settled, starts_with
from holdfast.model.values import Members
from holdfast.model.words import event as word
from holdfast.reason.allowed import Allowed, Pattern, Shape
from holdfast.reason.kernel_filter import KernelFilter, Result, Scope, kernel_filter, kernel_filters
from holdfast.reason.pushdown import PATHS, demand
from holdfast.rules.condition import parse
from holdfast.rules.fields import field
from holdfast.rules.judging import holds
from holdfast.rules.lower import Lowering
from holdfast.rules.nodes import And, Check, Condition, Exists, FieldUse, Not, Or
from rules_stock import needs_stock, stock

TYPE = field("evt.type")


def lowered(text: str) -> Expr:
    return Lowering().expression(parse(text))


def filtered(text: str, kind: str = "openat") -> KernelFilter:
    return kernel_filter(demand(lowered(text), TYPE, kind), kind)


# --- events whose answers fit each other ----------------------------------------------------------------------------

COMPONENT = st.text("ab.", min_size=1, max_size=2).filter(lambda text: text.strip("."))
PATH = st.lists(COMPONENT, max_size=3).map(lambda parts: "/" + "/".join(parts))
RAW = st.text("ab./", max_size=5)
ADDRESS = st.sampled_from(["10.0.0.1", "127.0.0.1", "fe80::1"])


def directory(path: str) -> str:
    """As Falco does it: a path that ends with a slash is its own directory."""
    slash = path.rfind("/")
    if slash in (-1, 0):
        return "/"
    return path if slash == len(path) - 1 else path[:slash]


@st.composite
def events(draw: st.DrawFn) -> dict[Any, Any]:
    answers: dict[str, Any] = {
        "evt.type": draw(st.sampled_from(["openat", "connect", "execve"])),
        "container.id": draw(st.sampled_from(["host", "3ad7b26ded6d", None])),
        "proc.name": draw(st.none() | st.text("ab", max_size=2)),
        "evt.is_open_read": draw(st.sampled_from([True, False, None])),
        "evt.is_open_write": draw(st.sampled_from([True, False, None])),
        "fd.types": draw(st.none() | st.lists(COMPONENT, max_size=2).map(tuple)),
        "evt.arg.name": draw(st.none() | RAW),
        "fd.nameraw": draw(st.none() | RAW),
    }
    result = draw(st.sampled_from([0, 3, -2, None]))
    if result is not None:
        answers |= {"evt.rawres": result, "evt.failed": result < 0, "evt.res": "ENOENT" if result < 0 else "SUCCESS"}
    if answers["evt.type"] == "connect":
        ends = (draw(ADDRESS), draw(ADDRESS))
        ports = (draw(st.sampled_from([53, 80])), draw(st.sampled_from([53, 80])))
        answers |= {"fd.net": ends, "fd.ip": ends, "fd.snet": ends[1], "fd.sip": ends[1], "fd.port": ports,
                    "fd.sport": ports[1], "fd.num": draw(st.sampled_from([-1, 4])),
                    "fd.typechar": "6" if ":" in ends[1] else "4", "fd.sockfamily": "ip"}  # fmt: skip
    elif answers["evt.type"] == "openat":
        path = draw(PATH)
        answers |= {"fd.name": path, "fd.directory": directory(path), "fd.filename": path.rpartition("/")[2],
                    "fd.num": result, "fd.typechar": "f"}  # fmt: skip
    return {field(name): value for name, value in answers.items() if value is not None}


def uses(*names: str) -> st.SearchStrategy[FieldUse]:
    return st.sampled_from(names).map(FieldUse)


NETWORKS = st.sampled_from(["10.0.0.0/8", "fe80::/10"])
WORDS = st.sampled_from(["a", "b", "/a", "/a/", "/", "ab", "/a/b", ".a", "a/b"])
GLOBS = st.sampled_from(["/a*", "*a", "*a*", "/?/b", "[ab]/*", "/a[/]b*", "\\*", "/a/*/b"])
TEXT_FIELDS = ("fd.name", "fd.directory", "fd.filename", "fd.nameraw", "evt.arg.name", "proc.name")
CHECKS: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Check, uses(*TEXT_FIELDS), st.sampled_from(["=", "!=", "startswith", "endswith", "contains"]), WORDS),
    st.builds(Check, uses(*TEXT_FIELDS), st.just("glob"), GLOBS),
    st.builds(Check, uses(*TEXT_FIELDS), st.sampled_from(["in", "pmatch"]), st.lists(WORDS, max_size=3).map(tuple)),
    st.builds(Check, uses("fd.name", "fd.directory"), st.just("pmatch"), st.lists(GLOBS, max_size=2).map(tuple)),
    st.builds(
        Check, uses("fd.name", "fd.filename"), st.sampled_from(["=", "startswith", "contains"]),
        st.lists(WORDS, max_size=2).map(tuple), st.sampled_from(["oneof", "anyof", "allof"]),
    ),
    st.builds(Check, uses("container.id"), st.sampled_from(["=", "!="]), st.just("host")),
    st.builds(Check, uses("evt.is_open_read", "evt.is_open_write", "evt.failed"), st.sampled_from(["=", "!="]),
              st.sampled_from(["true", "false"])),
    st.builds(Check, uses("fd.num", "evt.rawres"), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
              st.sampled_from(["-1", "0", "3"])),
    st.builds(Check, uses("evt.res"), st.sampled_from(["=", "!=", "startswith"]), st.sampled_from(["SUCCESS", "E"])),
    st.builds(Check, uses("fd.net", "fd.snet"), st.sampled_from(["=", "!="]), NETWORKS),
    st.builds(Check, uses("fd.ip", "fd.sip"), st.sampled_from(["=", "!="]), st.sampled_from(["10.0.0.1", "fe80::1"])),
    st.builds(Check, uses("fd.port", "fd.sport"), st.sampled_from(["=", "!=", ">="]), st.sampled_from(["53", "80"])),
    st.builds(Check, uses("fd.port", "fd.sport"), st.just("in"), st.just(("53", "81"))),
    st.builds(Check, uses("fd.typechar"), st.just("="), st.sampled_from("46f")),
    st.builds(Check, uses("fd.types"), st.sampled_from(["in", "intersects"]), st.lists(WORDS, max_size=2).map(tuple)),
    st.builds(Check, uses("evt.type"), st.sampled_from(["=", "!="]), st.sampled_from(["openat", "connect"])),
    st.builds(Exists, uses(*TEXT_FIELDS, "container.id", "fd.net")),
)  # fmt: skip
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    CHECKS,
    lambda part: st.one_of(
        part.map(Not),
        st.lists(part, min_size=2, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(part, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=8,
)


def opens(asked: KernelFilter, answers: dict[Any, Any]) -> bool:
    """Tell whether a kernel program with this filter would send the event."""

    def get(name: str) -> Any:
        return answers.get(field(name))

    if asked.never:
        return False
    result = get("evt.rawres")
    inside = get("container.id") not in {"host", None}
    families = {"4": "AF_INET", "6": "AF_INET6"}
    ports = get("fd.port") or ()
    paths = [answers[fact] for fact in PATHS if fact in answers]
    return all(
        (
            asked.scope is Scope.ANY or (asked.scope is Scope.CONTAINER) is inside,
            not asked.reads or get("evt.is_open_read") is True,
            not asked.writes or get("evt.is_open_write") is True,
            asked.result is not Result.SUCCESS or result is None or result >= 0,
            asked.result is not Result.FAILURE or result is None or result < 0,
            asked.families is None or families.get(get("fd.typechar") or "") in asked.families,
            asked.ports is None or any(port in asked.ports for port in ports),
            asked.paths is None or any(pattern.matches(path) for pattern in asked.paths for path in paths),
        )
    )


def check_sound(expr: Expr, answers: dict[Any, Any]) -> bool:
    kind = answers[TYPE]
    demanded = demand(expr, TYPE, kind)
    matched = holds(expr, answers.get)
    if matched:
        assert demanded.lets_through(answers.get)
        assert opens(kernel_filter(demanded, kind), answers)
    return matched


@given(CONDITIONS, events())
@example(
    Check(FieldUse("fd.directory"), "=", "/"), {TYPE: "openat", field("fd.name"): "/a", field("fd.directory"): "/"}
)
def test_what_a_condition_matches_is_let_through(condition: Condition, answers: dict[Any, Any]) -> None:
    lowering = Lowering()
    first = check_sound(lowering.expression(condition), answers)
    second = check_sound(lowering.expression(condition, negated=True), answers)
    assert first is not second


@needs_stock
@given(st.data())
def test_what_a_stock_rule_matches_is_let_through(data: st.DataObject) -> None:
    answers = data.draw(events())
    values = {
        "fd.name": ["/etc/shadow", "/etc/pam.d/su", "/root/.ssh/id_rsa", "/bin/x", "/dev/mem", "/proc/1/environ",
                    "/home/a/.bashrc", "/var/log/syslog"],
        "proc.name": ["bash", "nc", "nginx", "cat", "tar"],
        "proc.pname": ["nginx", "runc", "bash"],
        "evt.arg.flags": ["O_CREAT|O_TRUNC", "O_RDONLY"],
    }  # fmt: skip
    for name, some in values.items():
        if data.draw(st.booleans()):
            answers[field(name)] = data.draw(st.sampled_from(some))
    path = answers.get(field("fd.name"))
    if path is not None:
        answers |= {field("fd.directory"): directory(path), field("fd.filename"): path.rpartition("/")[2]}
    for rule in stock().rules:
        check_sound(rule.condition, answers)


# --- what comes out -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fd.name = /etc/shadow", {"/etc/shadow"}),
        ("fd.name in (/a, /b)", {"/a", "/b"}),
        ("fd.name startswith /etc/ or fd.directory = /root", {"/etc/*", "/root", "/root/*"}),
        ("fd.name startswith /etc and fd.name in (/etc/a, /b)", {"/etc/a"}),
        ("fd.filename = authorized_keys", {"authorized_keys", "*/authorized_keys"}),
        ("fd.name pmatch (/etc/nginx)", {"/etc/nginx", "/etc/nginx/*"}),
        ("fd.name glob /home/*/.ssh/*", {"/home/*"}),
        ("fd.name glob *.so", {"*.so"}),
        ("(fd.name startswith /a and proc.name = x) or (evt.arg.name endswith z)", {"/a*", "*z"}),
        ("fd.name startswith /a or proc.name = x", None),
        ("not fd.name startswith /a", None),
        ("fd.name != /a", None),
        ("fd.name regex /a.*", None),
        ("tolower(fd.name) = /a", None),
        ("fd.directory = /", None),
    ],
)
def test_paths(text: str, expected: set[str] | None) -> None:
    found = filtered(text).paths
    assert (None if found is None else {str(pattern) for pattern in found}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("container.id != host", KernelFilter(scope=Scope.CONTAINER, facts=frozenset({"container.id"}))),
        ("not container.id = host and container.id exists",
         KernelFilter(scope=Scope.CONTAINER, facts=frozenset({"container.id"}))),
        ("container.id = host", KernelFilter(scope=Scope.HOST, facts=frozenset({"container.id"}))),
        ("not container.id != host", KernelFilter(facts=frozenset({"container.id"}))),
        ("evt.is_open_write = true", KernelFilter(writes=True, facts=frozenset({"evt.is_open_write"}))),
        ("evt.is_open_read != false", KernelFilter(facts=frozenset({"evt.is_open_read"}))),
        ("evt.rawres >= 0", KernelFilter(result=Result.SUCCESS, facts=frozenset({"evt.rawres"}))),
        ("evt.res = SUCCESS", KernelFilter(result=Result.SUCCESS, facts=frozenset({"evt.res"}))),
        ("evt.res startswith E", KernelFilter(result=Result.FAILURE, facts=frozenset({"evt.res"}))),
        ("fd.num >= 0", KernelFilter(result=Result.SUCCESS, facts=frozenset({"fd.num"}))),
        ("fd.num = -1", KernelFilter(result=Result.FAILURE, facts=frozenset({"fd.num"}))),
        ("evt.type = open", KernelFilter(never=True)),
        ("evt.type = openat", KernelFilter()),
        ("proc.name = x", KernelFilter()),
        ("fd.num > 3 and fd.num < 1", KernelFilter(never=True)),
        ("fd.name in ()", KernelFilter(never=True)),
    ],
)  # fmt: skip
def test_filters(text: str, expected: KernelFilter) -> None:
    assert filtered(text) == expected


def test_several_conditions_are_let_through_together() -> None:
    texts = ("container.id != host", "container.id != host and proc.name = x", "evt.type = dup", "fd.name = /a")
    found = kernel_filters([lowered(text) for text in texts], TYPE, "openat")
    assert [one.told() for one in found] == [["processes of containers"], ["path /a"]]
    assert kernel_filters([lowered("evt.type = dup")], TYPE, "openat") == ()


def test_sockets() -> None:
    found = filtered("fd.typechar = 4 and fd.sport in (53, 80)", "connect")
    assert (found.families, found.ports) == ({"AF_INET"}, {53, 80})
    assert filtered("fd.sip exists", "connect").families == {"AF_INET", "AF_INET6"}
    assert filtered("fd.sockfamily = unix", "connect").families == {"AF_UNIX"}
    assert filtered("fd.typechar = f", "connect").families is None
    assert filtered("fd.num >= 0", "connect").result is Result.ANY


@needs_stock
def test_the_stock_rules_for_files_have_paths() -> None:
    """Whoever changes the analysis sees here whether it still says something."""
    some = all_ = 0
    for rule in stock().rules:
        for kind in rule.events.names & {"open", "openat", "openat2"}:
            all_ += 1
            some += kernel_filter(demand(rule.condition, TYPE, kind), kind).paths is not None
    assert (some, all_) == (69, 78)


# --- the house's own words ------------------------------------------------------------------------------------------


def test_a_technique_is_pushed_down_too() -> None:
    seen = All((is_(word.IN_CONTAINER, True), is_(word.WRITE, True), ends_with(word.PATH, "/release_agent")))
    seen = All((AnyOf((is_(word.SYSCALL, "openat"), is_(word.SYSCALL, "rename"))), seen))
    found = kernel_filter(demand(seen, word.SYSCALL, "openat"), "openat")
    assert (found.scope, found.writes) == (Scope.CONTAINER, True)
    assert found.paths == {Pattern(Shape.SUFFIX, "/release_agent")}
    assert kernel_filter(demand(seen, word.SYSCALL, "close"), "close").never


WORD_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    word.IN_CONTAINER: st.booleans(),
    word.WRITE: st.booleans(),
    word.PATH: PATH,
    word.PORT: st.sampled_from([53, 80]),
    word.FLAGS: st.frozensets(st.sampled_from("ab")).map(lambda names: Members.of(*names)),
}
WORD_ATOMS = st.one_of(
    st.builds(is_, st.sampled_from([word.IN_CONTAINER, word.WRITE]), st.booleans()),
    st.builds(is_not, st.sampled_from([word.IN_CONTAINER, word.WRITE]), st.booleans()),
    st.builds(starts_with, st.just(word.PATH), WORDS),
    st.builds(ends_with, st.just(word.PATH), WORDS),
    st.builds(contains, st.just(word.PATH), WORDS),
    st.builds(lambda some: one_of(word.PORT, *some), st.lists(st.sampled_from([53, 80, 81]), max_size=2)),
    st.builds(has, st.just(word.FLAGS), st.sampled_from("ab")),
    st.builds(is_, st.just(word.SYSCALL), st.sampled_from(["openat", "connect"])),
)
WORD_EXPRS = st.recursive(
    WORD_ATOMS,
    lambda part: st.one_of(
        part.map(lambda one: ~one),
        part.map(settled),
        st.lists(part, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(part, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
    ),
    max_leaves=8,
)


@given(WORD_EXPRS, st.fixed_dictionaries({word.SYSCALL: st.sampled_from(["openat", "connect"])}, optional=WORD_VALUES))
def test_what_any_expression_matches_is_let_through(expr: Expr, answers: dict[Any, Any]) -> None:
    if holds(expr, answers.get):
        assert demand(expr, word.SYSCALL, answers[word.SYSCALL]).lets_through(answers.get)


# --- sets of values -------------------------------------------------------------------------------------------------

TEXT_SHAPES = st.sampled_from([Shape.EXACT, Shape.PREFIX, Shape.SUFFIX, Shape.CONTAINS])
BOUND = st.none() | st.integers(0, 3)


def allowed(patterns: st.SearchStrategy[Pattern], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Allowed]:
    return st.one_of(
        st.builds(Allowed, st.frozensets(patterns, max_size=3), st.just(frozenset()), st.booleans()),
        st.builds(Allowed, st.none(), st.frozensets(values, max_size=2), st.booleans()),
    )


TEXT_SETS = allowed(st.builds(Pattern, TEXT_SHAPES, st.text("ab", max_size=2)), st.text("ab", max_size=1))
NUMBER_SETS = allowed(
    st.builds(Pattern, st.just(Shape.EXACT), st.integers(0, 3))
    | st.tuples(BOUND, BOUND).map(lambda two: Pattern(Shape.RANGE, two)),
    st.integers(0, 3),
)


@given(
    st.tuples(TEXT_SETS, TEXT_SETS, st.none() | st.text("ab", max_size=3))
    | st.tuples(NUMBER_SETS, NUMBER_SETS, st.none() | st.integers(0, 4))
)
def test_joining_and_meeting_lose_nothing(drawn: tuple[Allowed, Allowed, Any]) -> None:
    one, other, answer = drawn
    if one.allows(answer) or other.allows(answer):
        assert (one | other).allows(answer)
    if one.allows(answer) and other.allows(answer):
        assert (one & other).allows(answer)
    if one.anything:
        assert one.allows(answer)
    if one.nothing:
        assert not one.allows(answer)
