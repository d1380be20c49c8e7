"""Incidents: what belongs to one attempt is joined, what does not is not, and chains are told for what they are."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.alert import Origin, Priority, Verdict
from holdfast.sensor.chains import CHAINS, Deed
from holdfast.sensor.incidents import STEPS, Incidents, grouped, summary
from holdfast.sensor.judge import Judge, Node
from holdfast.techniques import load
from watch_made import BEGAN, container, event, mounted, opened, process

JUDGE = Judge(load(), Node("node-1", "b007"))


def joined(incidents: Incidents, *events):
    """Judge events, and put their alerts into incidents."""
    return [alert for one in events for alert in incidents.join(one, list(JUDGE.judge(one)))]


def release_agent(who, ms=0.0, result=3):
    return opened("/mnt/release_agent", who, ms, write=True, magic=0x27E0EB, result=result)


def helper(ms=0.0):
    kernel = process(2, name="kthreadd")
    return event("execve", process(900, name="x", parent=kernel), ms, result=0)


def test_steps_of_one_container_are_one_incident_with_a_timeline() -> None:
    web = process(inside=container())
    incidents = Incidents()
    alerts = joined(incidents, mounted(web, 1.5, "cgroup"), release_agent(web, 4.25), release_agent(web, 9))
    assert {one.incident for one in alerts} == {alerts[0].incident} != {""}
    assert "cgroup-release-agent" in {one.rule for one in alerts}
    (ended,) = incidents.close()
    lines = ended.timeline()
    assert [line.split(" ms ")[0] for line in lines] == ["+0.0", "+2.8", "+7.5"]
    assert "sh(500) openat /mnt/release_agent: ok [" in lines[1]
    assert ended.alerts == len(alerts)
    assert ended.outcome == "went through"


def test_a_chain_that_the_kernel_ends_on_the_host_has_succeeded() -> None:
    web = process(inside=container())
    incidents = Incidents()
    alerts = joined(incidents, mounted(web, 0, "cgroup"), release_agent(web, 5), helper(60))
    (ended,) = incidents.close()
    chain, reached = ended.chain
    assert (chain.name, reached, ended.outcome) == ("mount-release-agent", 3, "succeeded")
    told = summary(ended, BEGAN)
    assert told.incident == alerts[0].incident
    assert "Attempt in web succeeded: mount of a cgroup hierarchy, then its release_agent, 3 of 3 steps" in told.output
    assert told.succeeded is True
    assert told.priority is Priority.CRITICAL
    assert told.process == alerts[0].process


def test_an_attempt_that_was_refused_has_failed() -> None:
    web = process(inside=container())
    incidents = Incidents()
    joined(incidents, mounted(web, 0, "cgroup", result=-1), release_agent(web, 5, -30))
    (ended,) = incidents.close()
    assert ended.outcome == "failed"
    assert [line.split(": ")[1].split(" [")[0] for line in ended.timeline()] == ["EPERM", "EROFS"]
    assert summary(ended, BEGAN).succeeded is False


def test_a_helper_without_a_cause_is_nobodys_incident() -> None:
    web = process(inside=container())
    incidents = Incidents()
    joined(incidents, release_agent(web, 0, -1))  # refused: nothing waits for the kernel
    before = {one.incident for one in joined(incidents, helper(50))}
    (first, *_) = incidents.close()
    assert first.id not in before


def test_other_containers_and_later_attempts_are_other_incidents() -> None:
    one, two = process(inside=container("one")), process(501, inside=container("two"))
    incidents = Incidents(1_000_000_000)
    a, b = joined(incidents, release_agent(one, 0)), joined(incidents, release_agent(two, 1))
    c = joined(incidents, release_agent(one, 500))
    d = joined(incidents, release_agent(one, 5000))
    assert len({a[0].incident, b[0].incident, d[0].incident}) == 3
    assert c[0].incident == a[0].incident
    assert len(incidents.ended()) == 2
    assert incidents.open == 1


def test_what_happened_before_the_first_alert_belongs_to_the_story() -> None:
    web = process(inside=container())
    incidents = Incidents()
    assert joined(incidents, event("unshare", web, 0, arguments={"flags": 0x04000000})) == []
    joined(incidents, release_agent(web, 20))
    (ended,) = incidents.close()
    assert ended.timeline()[0].startswith("+0.0 ms sh(500) unshare: ok")
    assert ended.first_ns == BEGAN


def test_unknown_containers_are_joined_by_lineage() -> None:
    first = process(600, namespaces={"mnt": 77, "pid": 78})
    second = process(601, namespaces={"mnt": 77, "pid": 78}, parent=first)
    other = process(700, namespaces={"mnt": 87, "pid": 88})
    incidents = Incidents()
    a = joined(incidents, replace(release_agent(first, 0), contained=True))
    b = joined(incidents, replace(release_agent(second, 1), contained=True))
    c = joined(incidents, replace(release_agent(other, 2), contained=True))
    assert a[0].incident == b[0].incident != c[0].incident


def test_a_long_timeline_keeps_its_beginning_and_its_end() -> None:
    web = process(inside=container())
    incidents = Incidents()
    joined(incidents, *(release_agent(web, number) for number in range(200)))
    (ended,) = incidents.close()
    lines = ended.timeline()
    assert len(lines) == STEPS + 1
    assert lines[0].startswith("+0.0 ms")
    assert lines[-1].startswith("+199.0 ms")
    assert f"({200 - STEPS} more)" in lines


def test_an_attempt_without_end_is_cut() -> None:
    web = process(inside=container())
    incidents = Incidents()
    found = joined(incidents, *(release_agent(web, 20_000 * number) for number in range(40)))
    assert len({one.incident for one in found}) == 2


def test_alerts_of_one_event_are_told_together() -> None:
    web = process(inside=container())
    core = opened("/proc/sys/kernel/core_pattern", web, 1, write=True)
    alerts = joined(Incidents(), release_agent(web), core)
    groups = list(grouped(alerts))
    assert len(groups) == 2
    assert sum(len(one) for one in groups) == len(alerts)


def test_a_rule_that_is_about_no_escape_begins_no_incident() -> None:
    web = process(inside=container())
    incidents = Incidents()
    (first, *_) = JUDGE.judge(release_agent(web))
    plain = replace(first, origin=Origin.RULE, attack=("T1059",))
    one = release_agent(web)
    assert [alert.incident for alert in incidents.join(one, [plain])] == [""]
    assert incidents.join(one, [replace(plain, attack=("T1611",))])[0].incident


def test_what_was_done_is_the_hardest_thing() -> None:
    web = process(inside=container())
    incidents = Incidents()
    one = release_agent(web)
    alerts = list(JUDGE.judge(one))
    incidents.join(one, [replace(alert, verdict=Verdict.DENIED) for alert in alerts])
    incidents.join(one, [replace(alert, verdict=Verdict.PAUSED) for alert in alerts])
    (ended,) = incidents.close()
    assert ended.verdict is Verdict.PAUSED
    assert " paused [" in ended.timeline()[1]


def test_a_chain_counts_links_in_their_order_and_only_those_that_got_through() -> None:
    (device,) = [one for one in CHAINS if one.name == "device"]
    made, used = Deed("mknodat", "/d", kind="block"), Deed("openat", "/d", kind="block")
    assert device.reached([made, Deed("openat", "/x"), used]) == 2
    assert device.reached([used, made]) == 1
    assert device.reached([replace(made, done=False), used]) == 0


CALLS = st.sampled_from(["mount", "agent", "core", "helper", "unshare", "mknod", "setns"])


@given(st.lists(st.tuples(CALLS, st.integers(0, 2), st.sampled_from([0, -1, 3]), st.integers(0, 40_000)), max_size=40))
def test_no_alert_is_lost_whatever_comes_in_whatever_order(steps) -> None:
    people = [process(500 + number, inside=container(f"c{number}")) for number in range(3)]
    incidents, alerts, ended = Incidents(), 0, []
    for name, who, result, ms in steps:
        made = {
            "mount": lambda: mounted(people[who], ms, "cgroup", result=result),  # noqa: B023 - called at once
            "agent": lambda: release_agent(people[who], ms, result),  # noqa: B023
            "core": lambda: opened("/proc/sys/kernel/core_pattern", people[who], ms, write=True),  # noqa: B023
            "helper": lambda: helper(ms),  # noqa: B023
        }.get(name, lambda: event(name, people[who], ms, result=result))()  # noqa: B023
        found = list(JUDGE.judge(made))
        assert len(incidents.join(made, found)) == len(found)
        alerts += len(found)
        ended += incidents.ended()
    ended += incidents.close()
    assert incidents.open == 0
    assert sum(one.alerts for one in ended) <= alerts
    assert len({one.id for one in ended}) == len(ended)
    for one in ended:
        assert one.first_ns <= one.last_ns
        assert len(one.steps) <= STEPS
        summary(one, 0)
