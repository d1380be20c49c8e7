"""What a condition means: every operator, missing values, lists, both ends, ancestors, transformers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.model.compiled import compile_test
from holdfast.model.facts import Facts, Seen
from holdfast.model.logic import Settled, atoms
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.truth import YES
from holdfast.rules.condition import parse
from holdfast.rules.fields import field
from holdfast.rules.judging import compile_rules, holds
from holdfast.rules.lower import Lowering, Meaningless
from holdfast.rules.nodes import And, Check, Condition, Exists, FieldUse, Name, Not, Or
from holdfast.rules.spelling import spelled

HERE = Where("event")
TYPE = field("evt.type")


def judged(condition: Condition, answers: dict[str, Any]) -> bool:
    """Judge in every way there is, a condition and its opposite; all ways must agree."""
    table = {field(name): value for name, value in answers.items() if value is not None}
    facts = Facts({fact: Seen(value, HERE) for fact, value in table.items()})
    lowering = Lowering()
    found: set[bool] = set()
    for negated in (False, True):
        expr = lowering.expression(condition, negated=negated)
        direct = expr if not negated else ~lowering.expression(condition)
        truths = {
            prove(expr, facts).truth,
            compile_test(expr)(facts.table),
            prove(direct, facts).truth,
            ~prove(~expr, facts).truth,
        }
        (truth,) = truths
        assert truth in {0, 2}, "a rule is never unknown"
        assert holds(expr, table.get) is (truth is YES)
        name = answers.get("evt.type") or "other"
        for every in (False, True):
            judge = compile_rules([(7, expr), (8, expr)], TYPE, name, every=every)
            if "evt.type" not in answers and any(atom.fact is TYPE for atom in atoms(expr)):
                continue
            first = judge(table.get) if judge is not None else ([] if every else None)
            assert first == (([7, 8] if every else 7) if truth is YES else ([] if every else None)), spelled(condition)
        found.add((truth is YES) is not negated)
    (answer,) = found
    return answer


def is_true(text: str, **answers: Any) -> bool:
    return judged(parse(text), {name.replace("__", "."): value for name, value in answers.items()})


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("proc.name = nginx", "nginx", True),
        ("proc.name = nginx", "nginx2", False),
        ("proc.name != nginx", "sh", True),
        ("proc.name contains gin", "nginx", True),
        ("proc.name contains GIN", "nginx", False),
        ("proc.name icontains GIN", "nginx", True),
        ("proc.name startswith ng", "nginx", True),
        ("proc.name endswith nx", "nginx", True),
        ("proc.name glob n*x", "nginx", True),
        ("proc.name glob n?x", "nginx", False),
        ("proc.name iglob N*X", "nginx", True),
        ("proc.name regex ng.*", "nginx", True),
        ("proc.name regex ng", "nginx", False),
        ("proc.name in (sh, nginx)", "nginx", True),
        ("proc.name in ()", "nginx", False),
        ("proc.name intersects (sh, nginx)", "nginx", True),
        ("proc.name pmatch (/a)", "/a/b", True),
        ("proc.name > 5", "6", True),
        ("proc.name > 5", "10", False),
        ("proc.name = ''", "", True),
        ("proc.name exists", "", True),
        ("proc.name = oneof (a, b)", "a", True),
        ("proc.name = oneof (a, a)", "a", False),
        ("proc.name startswith oneof (a, ab)", "abc", False),
        ("proc.name startswith oneof (a, x)", "abc", True),
        ("proc.name startswith anyof (x, ab)", "abc", True),
        ("proc.name contains allof (a, c)", "abc", True),
        ("proc.name contains allof (a, x)", "abc", False),
        ("proc.name != allof (a, b)", "c", True),
        ("proc.name = anyof ()", "c", False),
        ("proc.name = allof ()", "c", True),
        ("proc.name = oneof ()", "c", False),
        ("tolower(proc.name) = nginx", "NGINX", True),
        ("toupper(proc.name) in (NGINX)", "nginx", True),
        ("basename(proc.name) = b", "/a/b", True),
        ("b64(proc.name) = secret", "c2VjcmV0", True),
        ("b64(proc.name) = secret", "no base64", False),
        ("not b64(proc.name) = secret", "no base64", True),
        ("len(proc.name) >= 5", "nginx", True),
        ("concat(proc.name, ':', 80) = 'nginx:80'", "nginx", True),
        ("toupper(tolower(proc.name)) = NGINX", "nginX", True),
        ("proc.name = val(proc.name)", "x", True),
        ("proc.name = tolower(proc.name)", "x", True),
        ("proc.name = tolower(proc.name)", "X", False),
        ("join('-', (a, b)) = a-b", "x", True),
        ("getopt(proc.name, 'nt:') intersects (t)", "-n -t5 x", True),
        ("getopt(proc.name, 'nt:')[t] = 5", "-n -t5 x", True),
        ("getopt(proc.name, 'nt:')[t] = 5", "-nt 5 x", True),
        ("getopt(proc.name, 'nt:')[t] = 5", "-n -- -t 5", False),
    ],
)
def test_text(text: str, value: str, expected: bool) -> None:
    assert is_true(text, proc__name=value) is expected


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        ("fd.num >= 0", {"fd.num": 0}, True),
        ("fd.num < 0", {"fd.num": -1}, True),
        ("fd.num = 0x10", {"fd.num": 16}, True),
        ("fd.num in (1, 2)", {"fd.num": 2}, True),
        ("fd.num > val(proc.pid)", {"fd.num": 3, "proc.pid": 2}, True),
        ("evt.is_open_write = true", {"evt.is_open_write": True}, True),
        ("evt.is_open_write != true", {"evt.is_open_write": False}, True),
        ("thread.cpu > 0.5", {"thread.cpu": 0.75}, True),
        ("fd.sip = 010.0.0.1", {"fd.sip": "10.0.0.1"}, None),
        ("fd.sip = ::ffff:10.0.0.1", {"fd.sip": "10.0.0.1"}, True),
        ("fd.sip in (10.0.0.1, fe80::1)", {"fd.sip": "fe80::1"}, True),
        ("fd.snet = 10.0.0.0/8", {"fd.snet": "10.1.2.3"}, True),
        ("fd.snet in (10.0.0.0/8, 172.16.0.0/12)", {"fd.snet": "172.17.0.1"}, True),
        ("fd.snet = 127.0.0.1/8", {"fd.snet": "127.1.1.1"}, True),
        ("fd.snet = 10.0.0.0/8", {"fd.snet": "fe80::1"}, False),
        ("fd.snet != 10.0.0.0/8", {"fd.snet": "fe80::1"}, True),
        ("fd.snet = 10.0.0.0/8", {"fd.snet": "::ffff:10.0.0.1"}, True),
        ("fd.snet = 10.0.0.0/8", {"fd.snet": "no address"}, False),
        # Both ends of a socket: "=" and "in" are "one of them", "!=" is "both".
        ("fd.ip = 10.0.0.1", {"fd.ip": ("10.0.0.1", "10.0.0.2")}, True),
        ("fd.ip = 10.0.0.2", {"fd.ip": ("10.0.0.1", "10.0.0.2")}, True),
        ("fd.ip != 10.0.0.1", {"fd.ip": ("10.0.0.1", "10.0.0.2")}, False),
        ("fd.ip != 10.0.0.3", {"fd.ip": ("10.0.0.1", "10.0.0.2")}, True),
        ("fd.ip in (10.0.0.2)", {"fd.ip": ("10.0.0.1", "10.0.0.2")}, True),
        ("fd.net = 127.0.0.0/8", {"fd.net": ("127.0.0.1", "10.0.0.2")}, True),
        ("fd.net != 127.0.0.0/8", {"fd.net": ("127.0.0.1", "10.0.0.2")}, False),
        ("fd.net != 127.0.0.0/8", {"fd.net": ("10.0.0.1", "10.0.0.2")}, True),
        ("fd.net in (127.0.0.0/8)", {"fd.net": ("10.0.0.1", "127.0.0.2")}, True),
        ("fd.port = 53", {"fd.port": (40000, 53)}, True),
        ("fd.port != 53", {"fd.port": (40000, 53)}, False),
        ("fd.port in (80, 443)", {"fd.port": (40000, 443)}, True),
        ("fd.port >= 1024", {"fd.port": (40000, 443)}, True),
        # Every ancestor is asked; "!=" is nearly always true.
        ("proc.aname = sh", {"proc.aname": ("bash", "sh", "systemd")}, True),
        ("proc.aname != sh", {"proc.aname": ("bash", "sh", "systemd")}, True),
        ("proc.aname != sh", {"proc.aname": ("sh", "sh")}, False),
        ("proc.aname != sh", {"proc.aname": ()}, False),
        ("proc.aname in (x, sh)", {"proc.aname": ("bash", "sh")}, True),
        ("proc.aname startswith sy", {"proc.aname": ("bash", "systemd")}, True),
        ("proc.aname contains allof (a, b)", {"proc.aname": ("a", "b")}, False),
        ("proc.aname contains allof (a, b)", {"proc.aname": ("a", "ab")}, True),
        ("proc.aname glob s*d", {"proc.aname": ("bash", "systemd")}, True),
        ("proc.aname icontains SYS", {"proc.aname": ("bash", "systemd")}, True),
        ("proc.aname exists", {"proc.aname": ()}, True),
        ("proc.apid = 7", {"proc.apid": (3, 7, 1)}, True),
        ("proc.aname[2] = sh", {"proc.aname[2]": "sh"}, True),
        # Lists: "in" is "all of them", "intersects" is "one of them".
        ("fd.types in (file, pipe)", {"fd.types": ("file", "pipe")}, True),
        ("fd.types in (file)", {"fd.types": ("file", "pipe")}, False),
        ("fd.types intersects (file)", {"fd.types": ("file", "pipe")}, True),
        ("fd.types intersects (unix)", {"fd.types": ("file", "pipe")}, False),
        ("toupper(fd.types) intersects (FILE)", {"fd.types": ("file", "pipe")}, True),
        ("join(fd.types, '+') = file+pipe", {"fd.types": ("file", "pipe")}, True),
        ("len(fd.types) = 2", {"fd.types": ("file", "pipe")}, True),
        # Bytes.
        ("evt.buffer bcontains cafebabe", {"evt.buffer": b"\x00\xca\xfe\xba\xbe\x00"}, True),
        ("evt.buffer bstartswith 0xCAFE", {"evt.buffer": b"\xca\xfe\xba\xbe\x00"}, True),
        ("evt.buffer contains GET", {"evt.buffer": b"xGET /"}, True),
        ("evt.buffer endswith /", {"evt.buffer": b"xGET /"}, True),
        ("evt.buffer in (GET, PUT)", {"evt.buffer": b"PUT"}, True),
        # A raw argument is a number or a text.
        ("evt.rawarg.cmd = 5", {"evt.rawarg.cmd": 5}, True),
        ("evt.rawarg.cmd = 5", {"evt.rawarg.cmd": "5"}, True),
        ("evt.rawarg.cmd != 5", {"evt.rawarg.cmd": 5}, False),
        ("evt.rawarg.cmd in (x, 0x10)", {"evt.rawarg.cmd": 16}, True),
        ("evt.rawarg.cmd >= 5", {"evt.rawarg.cmd": 7}, True),
        ("evt.rawarg.cmd = x", {"evt.rawarg.cmd": "x"}, True),
        # What is the same for every event.
        ("evt.dir = <", {"evt.type": "open"}, True),
        ("evt.dir = >", {"evt.type": "open"}, False),
        ("evt.type.is.open = 1", {"evt.type": "open"}, True),
        ("evt.type.is.open = 1", {"evt.type": "dup"}, False),
        ("evt.type in (open, dup) and not evt.type = open", {"evt.type": "dup"}, True),
        ("evt.arg.cmd = 5 or evt.arg.cmd = BPF_PROG_LOAD", {"evt.arg.cmd": "BPF_PROG_LOAD"}, True),
        ("container.mount.dest[/proc*] in (N/A)", {"container.mount.dest[/proc*]": "N/A"}, True),
        ("k8s.pod.label[app.kubernetes.io/name] = web", {"k8s.pod.label[app.kubernetes.io/name]": "web"}, True),
    ],
)
def test_everything_else(text: str, answers: dict[str, Any], expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(Meaningless):
            judged(parse(text), answers)
        return
    assert judged(parse(text), answers) is expected


@pytest.mark.parametrize("op", ["=", "!=", "contains", "startswith", "in", "pmatch", "exists", "intersects", "glob"])
def test_a_missing_value_is_no_under_every_operator(op: str) -> None:
    value = {"exists": "", "in": "(x)", "pmatch": "(x)", "intersects": "(x)"}.get(op, "x")
    text = f"proc.name {op} {value}"
    assert not is_true(text)
    assert is_true(f"not {text}")
    assert is_true(f"not ({text} and fd.num = 1)", fd__num=1)


def test_a_missing_side_makes_a_comparison_of_two_fields_no() -> None:
    for text in ("proc.name = val(proc.pname)", "proc.name != val(proc.pname)", "concat(proc.name, proc.pname) = ab"):
        assert not is_true(text, proc__name="a")
        assert not is_true(text, proc__pname="b")
        assert is_true(f"not {text}", proc__pname="b")
    assert is_true("proc.name != val(proc.pname)", proc__name="a", proc__pname="b")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("proc.nix = 1", "no field"),
        ("evt.arg = 1", "needs an argument"),
        ("proc.name[1] = x", "no argument"),
        ("proc.aname[x] = y", "must be a number"),
        ("proc.aname[5000] = y", "above number"),
        ("fd.num = x", "no number"),
        ("fd.num = 1_0", "no number"),
        ("fd.num contains 1", "cannot be asked"),
        ("evt.rawarg.cmd contains 1", "cannot be asked"),
        ("evt.rawarg.cmd > 1e+3", "no number"),
        ("fd.sport = http", "no number"),
        ("evt.is_open_write = 1", "true or false"),
        ("evt.is_open_write contains true", "cannot be asked"),
        ("fd.sip = here", "no address"),
        ("fd.snet = 10.0.0.0/99", "no network"),
        ("fd.snet startswith 10", "cannot be asked"),
        ("fd.types = file", "only exists, in and intersects"),
        ("proc.name bcontains ff", "cannot be asked"),
        ("evt.buffer bcontains xyz", "hexadecimal"),
        ("evt.buffer bcontains fff", "hexadecimal"),
        ("evt.type = opened", "no event"),
        ("proc.name regex '('", "not closed"),
        ("proc.name regex '(?=x)'", "looks around"),
        ("tolower(fd.num) = 1", "takes text"),
        ("tolower(proc.aname) = x", "cannot be handed"),
        ("tolower(proc.name, proc.name) = x", "takes one field"),
        ("tolower('x') = x", "takes a field"),
        ("len(fd.num) = 1", "is neither"),
        ("join('-', proc.name) = x", "is none"),
        ("join(fd.types, fd.types) = x", "quoted text"),
        ("concat(proc.name) = x", "two or more"),
        ("concat(fd.types, 'x') = x", "no list"),
        ("getopt(proc.name, fd.num) = x", "quoted text"),
        ("proc.name = val(fd.num)", "is a text and"),
        ("proc.name = val(proc.aname)", "right-hand side"),
        ("proc.name = val(fd.net)", "right-hand side"),
        ("fd.num = val(proc.nix)", "no field"),
        ("not mine", "no macro"),
    ],
)
def test_what_means_nothing_is_refused(text: str, what: str) -> None:
    with pytest.raises(Meaningless, match=re.escape(what)):
        Lowering().expression(parse(text))


# --- laws -----------------------------------------------------------------------------------------------------------

TEXTS = st.text("ab/", max_size=3)
WORDS = st.sampled_from(["a", "b", "ab", "/a", "a*"])
ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "proc.name": TEXTS,
    "proc.pname": TEXTS,
    "fd.name": TEXTS,
    "fd.num": st.integers(-1, 2),
    "proc.pid": st.integers(-1, 2),
    "evt.is_open_write": st.booleans(),
    "proc.aname": st.lists(TEXTS, max_size=3).map(tuple),
    "fd.types": st.lists(TEXTS, max_size=3).map(tuple),
    "fd.net": st.lists(st.sampled_from(["10.0.0.1", "127.0.0.1", "fe80::1"]), min_size=2, max_size=2).map(tuple),
    "evt.type": st.sampled_from(["open", "dup", "execve"]),
}
STRANGE = st.sampled_from([0, "a", True, (), ("a", 1), b"a", 1.5])
OPS = ["=", "!=", "contains", "icontains", "startswith", "endswith", "glob", "iglob", "regex", "<", ">="]


def use(*names: str) -> st.SearchStrategy[FieldUse]:
    return st.sampled_from(names).map(FieldUse)


CHECKS: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Check, use("proc.name", "fd.name", "proc.aname"), st.sampled_from(OPS), WORDS.filter(str.isalpha)),
    st.builds(Check, use("proc.name", "fd.name"), st.just("glob"), st.just("a*")),
    st.builds(
        Check, use("proc.name", "fd.name", "proc.aname"), st.sampled_from(["in", "intersects", "pmatch"]),
        st.lists(WORDS, max_size=3).map(tuple),
    ),
    st.builds(
        Check, use("proc.name", "proc.aname"), st.sampled_from(["=", "!=", "contains", "startswith"]),
        st.lists(WORDS, max_size=3).map(tuple), st.sampled_from(["oneof", "anyof", "allof"]),
    ),
    st.builds(Check, use("proc.name", "fd.name"), st.sampled_from(["=", "!=", "startswith", "in"]), use("proc.pname")),
    st.builds(Check, use("fd.num"), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), st.sampled_from("012")),
    st.builds(Check, use("fd.num"), st.just("<"), use("proc.pid")),
    st.builds(Check, use("evt.is_open_write"), st.sampled_from(["=", "!="]), st.sampled_from(["true", "false"])),
    st.builds(Check, use("fd.types"), st.sampled_from(["in", "intersects"]), st.lists(WORDS, max_size=2).map(tuple)),
    st.builds(Check, use("fd.net"), st.sampled_from(["=", "!="]), st.sampled_from(["10.0.0.0/8", "127.0.0.0/8"])),
    st.builds(Check, use("evt.type"), st.sampled_from(["=", "!="]), st.sampled_from(["open", "dup"])),
    st.builds(Exists, use(*ANSWERS)),
)  # fmt: skip
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    CHECKS,
    lambda part: st.one_of(
        part.map(Not),
        st.lists(part, min_size=2, max_size=4).map(lambda parts: And(tuple(parts))),
        st.lists(part, min_size=2, max_size=4).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=10,
)


@st.composite
def events(draw: st.DrawFn, *, strange: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"evt.type": draw(ANSWERS["evt.type"])}
    for name, values in ANSWERS.items():
        kind = draw(st.sampled_from(["seen", "seen", "seen", "missing", "strange"])) if name != "evt.type" else "type"
        if kind == "seen":
            found[name] = draw(values)
        elif kind == "strange" and strange:
            found[name] = draw(STRANGE)
    return found


def falco(condition: Condition, answers: dict[str, Any]) -> bool:
    """Evaluate as Falco does, told independently: two values, and a check of what is missing is false."""
    if isinstance(condition, Not):
        return not falco(condition.part, answers)
    if isinstance(condition, And):
        return all(falco(part, answers) for part in condition.parts)
    if isinstance(condition, Or):
        return any(falco(part, answers) for part in condition.parts)
    assert not isinstance(condition, Name)
    assert isinstance(condition.left, FieldUse)
    seen = answers.get(condition.left.name)
    if isinstance(condition, Exists):
        return seen is not None
    wanted: Any = condition.value
    if isinstance(wanted, FieldUse):
        wanted = answers.get(wanted.name)
        if wanted is None:
            return False
        if condition.op == "in":
            wanted = (wanted,)
    return seen is not None and check(condition, seen, wanted)


def check(condition: Check, seen: Any, wanted: Any) -> bool:
    name = condition.left.name if isinstance(condition.left, FieldUse) else ""
    if name == "fd.types":
        return all(one in wanted for one in seen) if condition.op == "in" else any(one in wanted for one in seen)
    if name == "fd.net":
        inside = [one.startswith(wanted.partition(".")[0] + ".") for one in seen]
        return not any(inside) if condition.op == "!=" else any(inside)
    if name == "proc.aname":
        return any(single(condition, one, wanted) for one in seen)
    return single(condition, seen, wanted)


def single(condition: Check, seen: Any, wanted: Any) -> bool:
    if condition.how:
        met = [simple(condition.op, seen, one) for one in wanted]
        return {"oneof": met.count(True) == 1, "anyof": any(met), "allof": all(met)}[condition.how]
    if condition.op == "pmatch":
        return any(re.fullmatch(one.strip("/").replace("*", "[^/]*") + "(/.*)?", re.sub("/+", "/", seen).lstrip("/"))
                   for one in wanted)  # fmt: skip
    if condition.op in {"in", "intersects"}:
        return seen in wanted
    return simple(condition.op, seen, wanted)


def simple(op: str, seen: Any, wanted: Any) -> bool:
    if isinstance(seen, bool):
        wanted = wanted == "true"
    elif isinstance(seen, int):
        wanted = int(wanted)
    meanings: dict[str, Any] = {
        "=": lambda: seen == wanted,
        "!=": lambda: seen != wanted,
        "<": lambda: seen < wanted,
        "<=": lambda: seen <= wanted,
        ">": lambda: seen > wanted,
        ">=": lambda: seen >= wanted,
        "contains": lambda: wanted in seen,
        "icontains": lambda: wanted in seen,
        "startswith": lambda: seen.startswith(wanted),
        "endswith": lambda: seen.endswith(wanted),
        "glob": lambda: seen.startswith("a") if wanted == "a*" else seen == wanted,
        "iglob": lambda: seen == wanted,
        "regex": lambda: seen == wanted,
    }
    return bool(meanings[op]())


@given(CONDITIONS, events(strange=False))
@example(Check(FieldUse("proc.name"), "in", ("a*",)), {"evt.type": "open", "proc.name": "a"})
def test_every_way_to_judge_agrees_with_falcos_meaning(condition: Condition, answers: dict[str, Any]) -> None:
    assert judged(condition, answers) is falco(condition, answers)


@given(CONDITIONS, events(strange=True))
def test_every_way_to_judge_agrees_on_strange_values_too(condition: Condition, answers: dict[str, Any]) -> None:
    judged(condition, answers)


@given(CONDITIONS)
def test_a_rule_is_settled_and_its_double_negation_is_itself(condition: Condition) -> None:
    expr = Lowering().expression(condition)
    assert ~~expr == expr
    for atom in atoms(expr):
        assert atom.fact is not None
    assert isinstance(Lowering().expression(Check(FieldUse("proc.name"), "=", "x")), Settled)


def test_a_condition_that_nests_very_deeply_compiles() -> None:
    condition: Condition = Check(FieldUse("fd.num"), "=", "0")
    for level in range(120):
        inner = (condition, Check(FieldUse("fd.num"), "=", str(level)))
        condition = And(inner) if level % 2 else Or(inner)
    expr = Lowering().expression(condition)
    judge = compile_rules([(0, expr)], TYPE, "open")
    assert judge is not None
    get = {field("fd.num"): 0}.get
    assert (judge(get) == 0) is holds(expr, get)
