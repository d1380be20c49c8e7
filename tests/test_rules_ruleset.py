"""Judging with many rules: load order, the first match, what is worked out once, what stock rules say of attacks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.event import Event, Process
from holdfast.model.facts import Fact
from holdfast.rules.fields import field
from holdfast.rules.judging import holds
from holdfast.rules.ruleset import Rule, Ruleset, fields_asked, load
from rules_stock import needs_stock, stock


def rules(*conditions: str, **changes: str) -> list[Rule]:
    text = "".join(
        f"- rule: R{number}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: info\n"
        f"  enabled: {changes.get(f'R{number}', 'true')}\n"
        for number, condition in enumerate(conditions)
    )
    found = load([("r.yaml", text)])
    assert found.errors == []
    return found.rules


class Asked:
    """An event that counts what it is asked."""

    def __init__(self, name: str, **answers: Any) -> None:
        self.name = name
        self.answers = {field(key.replace("__", ".")): value for key, value in answers.items()}
        self.answers[field("evt.type")] = name
        self.count: Counter[str] = Counter()

    def get(self, fact: Fact[Any]) -> Any:
        self.count[fact.name] += 1
        return self.answers.get(fact)


def names(found: list[Rule]) -> list[str]:
    return [rule.name for rule in found]


def test_the_first_match_in_load_order_wins() -> None:
    found = rules("evt.type = open and fd.num = 1", "evt.type = open", "fd.num = 1")
    assert names(Ruleset(found).judge(Asked("open", fd__num=1))) == ["R0"]
    assert names(Ruleset(found).judge(Asked("open", fd__num=2))) == ["R1"]
    assert names(Ruleset(found).judge(Asked("dup", fd__num=1))) == ["R2"]
    assert names(Ruleset(found).judge(Asked("dup", fd__num=2))) == []
    assert names(Ruleset(found, every=True).judge(Asked("open", fd__num=1))) == ["R0", "R1", "R2"]


def test_a_disabled_rule_is_not_judged() -> None:
    found = rules("evt.type = open", "evt.type = open", R0="false")
    assert names(Ruleset(found).judge(Asked("open"))) == ["R1"]
    assert len(found) == 2


def test_the_types_of_events_that_are_wanted() -> None:
    few = Ruleset(rules("evt.type in (open, openat) and fd.num = 1", "evt.type = dup"))
    assert few.wanted() == {"open", "openat", "dup"}
    assert names(few.of("dup")) == ["R1"]
    assert len(Ruleset(rules("fd.num = 1")).wanted()) > 400


def test_rules_can_be_compiled_before_the_first_event() -> None:
    found = Ruleset(rules("evt.type in (open, dup) and fd.num = 1"))
    found.prepare()
    assert names(found.judge(Asked("dup", fd__num=1))) == ["R0"]
    assert names(found.judge(Asked("close", fd__num=1))) == []


def test_a_field_is_asked_once_and_only_where_it_is_needed() -> None:
    found = Ruleset(
        rules(
            "evt.type = open and fd.num = 1 and proc.name = x",
            "evt.type = open and fd.num = 2 and proc.name contains y",
            "evt.type = open and not fd.num = 3 and (proc.name endswith z or fd.name startswith /a)",
            "evt.type = open and proc.aname in (a) and not proc.aname in (b) and fd.name startswith /b",
        )
    )
    event = Asked("open", fd__num=3, proc__name="q", proc__aname=("b",))
    assert found.judge(event) == []
    assert event.count == {"fd.num": 1, "proc.aname": 1}
    event = Asked("open", fd__num=5, proc__name="q", proc__aname=("a",))
    assert found.judge(event) == []
    assert max(event.count.values()) == 1
    assert set(event.count) == {"fd.num", "proc.name", "fd.name", "proc.aname"}


def test_an_answer_of_a_strange_kind_spoils_its_own_comparison_only() -> None:
    found = Ruleset(rules("evt.type = open and fd.name startswith /a", "evt.type = open and fd.num >= 1"))
    assert names(found.judge(Asked("open", fd__name=7, fd__num=1))) == ["R1"]
    assert names(found.judge(Asked("open", fd__name=["/a"], fd__num="x"))) == []


def test_the_sensors_own_event_is_judged() -> None:
    (rule,) = rules("evt.type = open and proc.name = sh")
    event = Event("open", 0, 0, Process(1, name="sh"), answers={field("proc.name"): lambda one: one.process.name})
    assert names(Ruleset([rule]).judge(event)) == ["R0"]
    assert names(Ruleset([rule]).judge(Event("open", 0, 0, Process(1, name="sh")))) == []


# --- the stock rules ------------------------------------------------------------------------------------------------

OPENED: dict[str, Any] = {
    "evt.num": 1, "fd.num": 5, "fd.typechar": "f", "evt.is_open_read": True, "evt.is_open_write": False,
    "evt.res": "SUCCESS", "evt.rawres": 5, "proc.name": "cat", "proc.cmdline": "cat x", "proc.pname": "bash",
    "proc.aname": ("cat", "bash"),
    "proc.tty": 34816, "container.id": "host", "proc.args": "x", "proc.exepath": "/usr/bin/cat", "user.uid": 0,
    "user.name": "root", "user.loginuid": -1, "evt.arg.flags": "O_RDONLY",
}  # fmt: skip
STARTED = {**OPENED, "proc.vpid": 7, "proc.is_exe_upper_layer": False, "proc.is_exe_from_memfd": False}
ATTACKS: list[tuple[str, str, dict[str, Any]]] = [
    ("openat", "Read sensitive file untrusted", {"fd.name": "/etc/shadow", "fd.directory": "/etc"}),
    ("openat", "Directory traversal monitored file read",
     {"fd.name": "/etc/passwd", "fd.nameraw": "../../../etc/passwd", "proc.pname": "nginx"}),
    ("execve", "Terminal shell in container",
     {"container.id": "3ad7b26ded6d", "proc.name": "bash", "proc.pname": "runc", "proc.tty": 34816}),
    ("execve", "Fileless execution via memfd_create", {"proc.is_exe_from_memfd": True, "proc.name": "x"}),
    ("execve", "Drop and execute new binary in container",
     {"container.id": "3ad7b26ded6d", "proc.is_exe_upper_layer": True, "container.image.repository": "app"}),
    ("setns", "Change thread namespace",
     {"container.id": "3ad7b26ded6d", "proc.name": "x", "proc.pname": "y", "proc.cmdline": "x"}),
    ("ptrace", "PTRACE attached to process", {"evt.arg.request": "PTRACE_ATTACH", "proc.name": "gdb"}),
    ("symlinkat", "Create Symlink Over Sensitive Files",
     {"evt.arg.target": "/etc/shadow", "evt.arg.linkpath": "/tmp/x"}),
    ("socket", "Packet socket created in container",
     {"container.id": "3ad7b26ded6d", "evt.arg.domain": "AF_PACKET", "proc.name": "x"}),
]  # fmt: skip


@needs_stock
@pytest.mark.parametrize(("kind", "rule", "answers"), ATTACKS, ids=[rule for _, rule, _ in ATTACKS])
def test_a_stock_rule_fires(kind: str, rule: str, answers: dict[str, Any]) -> None:
    event = Asked(kind, **{name.replace(".", "__"): value for name, value in (STARTED | answers).items()})
    found = Ruleset(stock().rules, every=True).judge(event)
    assert rule in names(found)
    assert names(Ruleset(stock().rules).judge(event)) == names(found)[:1]
    for one in found:
        assert one.output.render(event.get)
        assert set(one.output.values(event.get)) == {slot.name for slot in one.output.slots}


@needs_stock
def test_a_benign_event_is_quiet() -> None:
    path = {"fd.name": "/usr/lib/x.so", "fd.directory": "/usr/lib", "fd.filename": "x.so", "fd.nameraw": "x.so"}
    event = Asked("openat", **{name.replace(".", "__"): value for name, value in (OPENED | path).items()})
    assert Ruleset(stock().rules, every=True).judge(event) == []


def stock_answers() -> st.SearchStrategy[dict[str, Any]]:
    """Draw answers from the very values that the stock rules ask for, so that conditions are often met."""
    texts = st.sampled_from(
        ["", "/etc/shadow", "/etc/", "bash", "sh", "nginx", "runc", "host", "docker", "/root/.ssh/id_rsa", "x",
         "SUCCESS", "EINPROGRESS", "f", "4", "ipv4", "udp", "O_CREAT|O_RDWR", "CAP_SYS_ADMIN", "PTRACE_ATTACH", "-s",
         "root"]
    )  # fmt: skip
    pairs = st.tuples(*[st.sampled_from(["10.0.0.1", "127.0.0.1", "1.2.3.4", "0.0.0.0"])] * 2)
    values: dict[type, st.SearchStrategy[Any]] = {
        str: texts, int: st.sampled_from([-1, 0, 1, 53, 80, 5000]), bool: st.booleans(),
        bytes: st.just(b"\xca\xfe\xba\xbe"), tuple: st.lists(texts, max_size=3).map(tuple),
    }  # fmt: skip
    asked = sorted({one for rule in stock().rules for one in fields_asked(rule.condition)}, key=lambda one: one.name)
    table = {
        one: pairs if one.name in {"fd.ip", "fd.net"} else st.tuples(values[int], values[int]) if one.name == "fd.port"
        else st.sampled_from(["10.0.0.1", "169.254.169.254"]) if one.row.kind.value in {"address", "network"}
        else values[one.kind]
        for one in asked
    }  # fmt: skip
    return st.fixed_dictionaries({}, optional=table)


@needs_stock
@given(st.data(), st.sampled_from(["openat", "execve", "connect", "rename", "sendto", "setuid", "dup"]))
def test_the_generated_function_says_what_each_rule_says(data: st.DataObject, kind: str) -> None:
    answers = data.draw(stock_answers()) | {field("evt.type"): kind}
    event = Asked(kind)
    event.answers = answers
    found = Ruleset(stock().rules, every=True).judge(event)
    enabled = [rule for rule in stock().rules if rule.definition.enabled]
    assert names(found) == [rule.name for rule in enabled if holds(rule.condition, answers.get)]
    assert all(kind in rule.events for rule in found)
