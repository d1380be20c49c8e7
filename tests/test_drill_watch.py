"""A drill with the sensor beside it: what it saw of each attempt, and what it stopped."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from drill_program import drilled
from holdfast.app.drill_watch import Watcher, disguise
from holdfast.drill import run_folder
from holdfast.model.drill import Attempt, DrillReport, Exercise, Layer, Outcome, StepAnswer
from holdfast.model.errors import ExitCode
from holdfast.model.facts import Facts, Seen
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.replica import Replica
from holdfast.model.technique import DrillClass
from holdfast.model.truth import YES
from holdfast.model.words import event
from holdfast.sensor.deny_decode import Denial
from holdfast.sensor.deny_rules import Kind
from holdfast.techniques import load as techniques

SOME = ("--technique", "etc-write", "--technique", "proc-remount", "--technique", "host-ipc")


@pytest.mark.root
@pytest.mark.engine
def test_what_escapes_and_what_is_refused_is_seen(tmp_path: Path) -> None:
    ended = drilled(*SOME, "--watch", "--no-explain", "lab:host-etc", folder=tmp_path)
    assert ended.code == ExitCode.CLEAN, ended.err
    found = ended.attempts("host-etc")
    assert found["etc-write"]["outcome"] == "escaped"
    assert found["etc-write"]["detected"].startswith("open")
    assert found["proc-remount"]["outcome"] == "blocked"
    assert found["proc-remount"]["detected"] == "mount EPERM"
    assert found["host-ipc"]["detected"] == "touched nothing of the host"
    control = ended.drill["controls"][0]["attempts"]
    assert {each["technique"]: each["detected"] for each in control}["etc-write"] == "touched nothing of the host"


def test_nothing_is_denied_to_containers_that_are_not_the_drills(tmp_path: Path) -> None:
    ended = drilled("--technique", "etc-write", "--deny", "lab:host-etc", folder=tmp_path)
    assert ended.code == ExitCode.UNSAFE
    assert "--vm" in ended.err


def attempt(technique: str, outcome: Outcome, *stopped: Layer) -> Attempt:
    return Attempt(technique, technique, DrillClass.D3, None, outcome, blocked_by=stopped)


def denial(technique: str, at_ns: int) -> Denial:
    return Denial(
        at_ns, (technique,), "file_open", 257, False, 1, 1, 1, 0, 1, 1, "probe", 1, Kind.NAME, 0, 0, "", "", 0, 0, 0, 0,
        False,
    )  # fmt: skip


def test_the_sensor_is_named_where_it_refused_an_attempt_that_came_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0
    monkeypatch.setattr("holdfast.app.drill_watch.time.clock_gettime_ns", lambda _: now)
    watcher = Watcher(deny=True)
    watcher.begins()
    made = []
    for number, (technique, outcome) in enumerate(
        [("etc-write", Outcome.BLOCKED), ("host-root-read", Outcome.ESCAPED), ("home-write", Outcome.BLOCKED)]
    ):
        now = 1000 + number * 100
        watcher.boundary(f"attempt {technique}")
        now += 50
        watcher.boundary(f"proved {technique}")
        made.append(attempt(technique, outcome, Layer.USER))
    # The last one comes after the attempt on home-write has ended.
    watcher.noted([denial("etc-write", 1010), denial("host-root-read", 1110), denial("home-write", 1270)], "lsm")
    exercise = Exercise("one", "lab", "lab:one", Replica(), attempts=tuple(made))
    report = watcher.filled(DrillReport(exercises=(exercise,)))
    first, second, third = report.exercises[0].attempts
    assert (first.blocked_by, first.reason) == ((Layer.USER, Layer.SENSOR), "the sensor denied file_open (lsm)")
    assert second.blocked_by == (Layer.USER,)
    assert third.blocked_by == (Layer.USER,)


def test_an_attempt_in_a_later_replica_is_not_taken_for_another_way_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000
    monkeypatch.setattr("holdfast.app.drill_watch.time.clock_gettime_ns", lambda _: now)
    watcher = Watcher(deny=True)
    watcher.begins()
    for name in ("replica", "attempt etc-write", "proved etc-write", "attempt etc-write", "proved etc-write"):
        now += 10
        watcher.boundary(name)
    for name in ("replica", "attempt etc-write", "proved etc-write"):
        now += 1000
        watcher.boundary(name)
    exercise = Exercise("one", "lab", "lab:one", Replica(), attempts=(attempt("etc-write", Outcome.BLOCKED),))
    watcher.noted([denial("etc-write", now - 500)], "lsm")
    assert watcher.filled(DrillReport(exercises=(exercise,))).exercises[0].attempts[0].blocked_by == ()
    watcher.noted([denial("etc-write", 1045)], "lsm")
    assert watcher.filled(DrillReport(exercises=(exercise,))).exercises[0].attempts[0].blocked_by == (Layer.SENSOR,)


def test_a_stand_in_is_judged_as_what_it_stands_in_for() -> None:
    tree = f"{run_folder.runs()}/abc123/stage/tree"
    assert disguise(f"{tree}/etc/cron.d/x") == "/etc/cron.d/x"
    assert disguise(tree) == "/"
    assert disguise("/srv/stage/tree/etc") == "/srv/stage/tree/etc"


def opens() -> list[tuple[str, str, bool]]:
    """Return, for each way that opens something below a directory of the host: technique, directory, writing."""
    found = []
    for name, technique in techniques().items():
        for way in technique.drill:
            for one in way.steps:
                place = re.match(r"\{(?:in|secret|open_secret):(/[^}*]*)\}", one.args.get("path", ""))
                if one.act == "open" and place and not way.needs:
                    found.append((name, place[1], one.args["mode"] != "r"))
    return found


@pytest.mark.parametrize(("name", "folder", "writes"), sorted(set(opens())))
def test_what_a_drill_leaves_or_reads_on_the_host_is_what_its_technique_looks_like(
    name: str, folder: str, writes: bool
) -> None:
    seen = {
        event.IN_CONTAINER: True, event.SYSCALL: "openat", event.WRITE: writes, event.FILE_KIND: "regular",
        event.PATH: f"/mnt{folder}/x", event.INNER_PATH: f"{folder}/x", event.HOST_PATH: f"{folder}/x",
        event.HOST_MOUNT: folder, event.FILE_SYSTEM: "ext4", event.TARGET_OUTSIDE: True,
    }  # fmt: skip
    facts = Facts({fact: Seen(value, Where("openat")) for fact, value in seen.items()})
    assert prove(techniques()[name].seen_as, facts).truth is YES


@pytest.mark.parametrize(("shared", "told"), [((), "touched nothing of the host"), (("net",), "no")])
def test_who_is_refused_in_a_network_of_its_own_touched_nothing_of_the_host(
    monkeypatch: pytest.MonkeyPatch, shared: tuple[str, ...], told: str
) -> None:
    now = 1000
    monkeypatch.setattr("holdfast.app.drill_watch.time.clock_gettime_ns", lambda _: now)
    watcher = Watcher()
    watcher.begins()
    watcher.boundary("attempt host-network-admin")
    now += 50
    watcher.boundary("proved host-network-admin")
    tried = dataclasses.replace(
        attempt("host-network-admin", Outcome.BLOCKED), steps=(StepAnswer("delete_absent_route", "", "EPERM"),)
    )
    exercise = Exercise("one", "lab", "lab:one", Replica(namespaces=frozenset(shared)), attempts=(tried,))
    report = watcher.filled(DrillReport(exercises=(exercise,)))
    assert report.exercises[0].attempts[0].detected == told
