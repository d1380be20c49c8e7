"""Domain names in rules: looked up beside the events, never guessed."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli_program import holdfast
from holdfast.app import watch_rules
from holdfast.model.alert import Alert
from holdfast.model.event import Socket
from holdfast.sensor.answers import Answers
from holdfast.sensor.domain_names import DomainNames, resolved
from holdfast.sensor.judge import Judge, Node
from watch_made import container, event, process

RULES = """\
- list: pools
  items: [pool.example.org, two.example.org]
- rule: pool
  condition: evt.type = connect and fd.sip.name in (pools)
  desc: d
  output: to %fd.sip.name from %fd.cip.name
  priority: WARNING
- rule: other
  condition: evt.type = connect and fd.rip.name != api.example.org
  desc: d
  output: o
  priority: INFO
"""


def soon(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


@contextmanager
def started(names: DomainNames, wait_s: float = 5) -> Iterator[DomainNames]:
    names.start(wait_s)
    try:
        yield names
    finally:
        names.stop()


def test_the_systems_resolver_is_asked_and_the_hosts_file_is_enough() -> None:
    assert "127.0.0.1" in resolved("localhost")
    with started(DomainNames({"localhost", "not a name", "-x", ""})) as names:
        assert names.wanted == ("localhost",)
        assert names.of("127.0.0.1") == ("localhost",)
        assert names.of("192.0.2.1") is None


def test_every_name_of_an_address_is_known_and_addresses_are_written_one_way() -> None:
    known = {"a.example": ["192.0.2.1", "2001:DB8::1"], "b.example": ["::ffff:192.0.2.1", "fe80::1%eth0"]}
    with started(DomainNames(known, known.__getitem__)) as names:
        assert names.of("192.0.2.1") == ("a.example", "b.example")
        assert names.of("2001:db8::1") == ("a.example",)
        assert names.of("fe80::1") == ("b.example",)


def test_without_a_network_nothing_is_known_and_nobody_waits() -> None:
    silent = threading.Event()

    def resolve(name: str) -> list[str]:
        if name == "fails.example":
            raise socket.gaierror(socket.EAI_AGAIN, "no")
        silent.wait()
        return []

    began = time.monotonic()
    with started(DomainNames({"fails.example", "hangs.example"}, resolve), 0.2) as names:
        assert names.of("192.0.2.1") is None
        assert time.monotonic() - began < 5
        silent.set()


def test_an_answer_is_renewed_and_counts_for_a_while_where_nobody_answers_any_more() -> None:
    answers: dict[str, list[str]] = {"a.example": ["192.0.2.1"]}

    def resolve(name: str) -> list[str]:
        if not answers:
            raise OSError
        return answers[name]

    with started(DomainNames({"a.example"}, resolve, again_s=0.02, kept_s=0.6)) as names:
        assert names.of("192.0.2.1")
        answers["a.example"] = ["192.0.2.2"]
        soon(lambda: names.of("192.0.2.2") is not None)
        assert names.of("192.0.2.1") is None
        answers.clear()
        time.sleep(0.1)
        assert names.of("192.0.2.2") == ("a.example",)
        soon(lambda: names.of("192.0.2.2") is None)


def judged(text: str, known: dict[str, list[str]], remote: str, folder: Path) -> list[Alert]:
    path = folder / "rules.yaml"
    path.write_text(text)
    ruleset = watch_rules.loaded([str(path)], print)
    assert ruleset is not None
    wanted = watch_rules.names(ruleset.rules)
    assert wanted == {"pool.example.org", "two.example.org", "api.example.org"}
    with started(DomainNames(wanted, lambda name: known.get(name, []))) as names:
        table = watch_rules.answers(ruleset.rules, names=names)
        there = Socket("AF_INET", "SOCK_STREAM", 6, "192.0.2.9", 40000, remote, 443)
        one = event("connect", process(inside=container()), socket=there, answers=table)
        return list(Judge({}, Node("n", "b"), ruleset).judge(one))


def test_a_rule_compares_an_address_with_the_names_that_have_it(tmp_path: Path) -> None:
    known = {"two.example.org": ["192.0.2.1"], "api.example.org": ["192.0.2.3"], "pool.example.org": ["192.0.2.1"]}
    [one] = judged(RULES, known, "192.0.2.1", tmp_path)
    assert one.rule == "pool"
    assert one.output.endswith("to pool.example.org two.example.org from <NA>")
    assert judged(RULES, known, "192.0.2.3", tmp_path) == []
    assert judged(RULES, known, "192.0.2.4", tmp_path) == [], "not known is never taken for another name"


def test_every_field_about_names_is_answered() -> None:
    with started(DomainNames({"localhost"})) as names:
        table = Answers(names=names).table
        here = Socket("AF_INET", "SOCK_STREAM", 6, "127.0.0.1", 40000, "127.0.0.1", 443)
        one = event("connect", process(), socket=here)
        assert {name: table[name](one) for name in ("fd.cip.name", "fd.sip.name", "fd.lip.name", "fd.rip.name")} == {
            "fd.cip.name": ("localhost",), "fd.sip.name": ("localhost",), "fd.lip.name": ("localhost",),
            "fd.rip.name": ("localhost",),
        }  # fmt: skip


@pytest.mark.root
@pytest.mark.engine
def test_a_real_connection_is_told_by_its_name(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "rules.yaml").write_text(
        "- rule: named\n  condition: evt.type = connect and fd.sip.name = localhost\n  desc: d\n"
        "  output: to %fd.sip.name\n  priority: WARNING\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stop = threading.Event()

        def call() -> None:
            while not stop.wait(0.3):
                socket.create_connection(("127.0.0.1", port)).close()

        caller = threading.Thread(target=call)
        caller.start()
        try:
            done = holdfast(
                "watch", "--seconds", "4", "--rules", "rules.yaml", "--format", "json", "-q", folder=tmp_path
            )
        finally:
            stop.set()
            caller.join()
    found = [json.loads(line) for line in done.out.splitlines()]
    assert any(one["rule"] == "named" and one["output"].endswith("to localhost") for one in found), done.err
