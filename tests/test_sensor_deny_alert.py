"""One attempt makes one alert, whoever told it first."""

from __future__ import annotations

import dataclasses

import pytest

from holdfast.model.alert import Alert, Ancestor, Origin, Priority, Verdict
from holdfast.model.event import Process
from holdfast.sensor.deny import Grade
from holdfast.sensor.deny_alert import WAIT_NS, Denied
from holdfast.sensor.deny_decode import Denial
from holdfast.sensor.deny_rules import Kind
from holdfast.sensor.judge import Node
from holdfast.techniques import load

DENIAL = Denial(
    at_ns=1_000, techniques=("core-pattern", "host-proc-core-pattern"), hook="file_open", call=257, compat=False, pid=7,
    tid=7, parent=1, user=0, start_ns=5, cgroup=0, name="sh", container=9, kind=Kind.NAME, number=1, more=0x9FA0,
    object="core_pattern", path="/sys/kernel/core_pattern", device=1, inode=2, magic=0x9FA0, mode=0o100644,
    canary=False,
)  # fmt: skip
ALERT = Alert(
    id="x", at_ns=0, boot_ns=2_000, seen_ns=0, node="n", origin=Origin.TECHNIQUE, rule="core-pattern", title="t",
    output="o", priority=Priority.WARNING, succeeded=False, error="EPERM", process=(Ancestor(7, "sh", start_ns=5),),
)  # fmt: skip


@pytest.fixture
def denied() -> Denied:
    """Return an empty one."""
    return Denied(Grade.LSM, load(), Node("n", "b"))


def test_the_alert_of_the_call_says_that_it_was_denied(denied: Denied) -> None:
    denied.add(DENIAL)
    found = denied.claimed(ALERT)
    assert (found.verdict, found.backend) == (Verdict.DENIED, "lsm")
    other = denied.claimed(dataclasses.replace(ALERT, rule="host-proc-core-pattern"))
    assert other.verdict is Verdict.DENIED
    assert list(denied.unclaimed(10 * WAIT_NS, {})) == []


@pytest.mark.parametrize(
    "change",
    [
        {"process": (Ancestor(8, "sh", start_ns=5),)},
        {"process": (Ancestor(7, "sh", start_ns=6),)},
        {"process": ()},
        {"rule": "etc-write"},
        {"succeeded": True},
        {"origin": Origin.RULE},
        {"boot_ns": 999},
        {"boot_ns": 1_000 + WAIT_NS},
    ],
)
def test_an_alert_of_something_else_is_left_alone(denied: Denied, change: dict[str, object]) -> None:
    denied.add(DENIAL)
    alert = dataclasses.replace(ALERT, **change)  # type: ignore[arg-type]
    assert denied.claimed(alert) is alert


def test_a_denial_that_no_alert_claims_becomes_one(denied: Denied) -> None:
    denied.add(DENIAL)
    assert list(denied.unclaimed(1_000, {})) == []
    (alert,) = denied.unclaimed(1_000 + WAIT_NS, {})
    assert alert.rule == "core-pattern"
    assert (alert.verdict, alert.backend, alert.succeeded, alert.error) == (Verdict.DENIED, "lsm", False, "EPERM")
    assert alert.event == "openat"
    assert alert.process == (Ancestor(7, "sh", start_ns=5),)
    assert alert.fields["event.techniques"] == ["core-pattern", "host-proc-core-pattern"]
    assert "sh was denied openat on /sys/kernel/core_pattern" in alert.output
    assert list(denied.unclaimed(10 * WAIT_NS, {})) == []


def test_a_number_that_was_given_to_another_process_since_is_not_taken_for_the_actor(denied: Denied) -> None:
    denied.add(DENIAL)
    people = {7: Process(7, start_ns=99)}
    (alert,) = denied.unclaimed(2 * WAIT_NS, people)
    assert alert.process[0].start_ns == 5


def test_the_canary_is_no_attempt(denied: Denied) -> None:
    denied.add(dataclasses.replace(DENIAL, techniques=(), canary=True))
    assert list(denied.unclaimed(10 * WAIT_NS, {})) == []
