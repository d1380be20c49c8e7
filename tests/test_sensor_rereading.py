"""After records were lost the table of processes is brought up to date from procfs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from holdfast.sensor import rereading, snapshot
from holdfast.sensor.containers import Containers
from holdfast.sensor.interests import LIFE
from holdfast.sensor.processes import Processes
from holdfast.sensor.rereading import Known, Rereading
from holdfast.sensor.watching import Sensor


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def soon(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


@contextmanager
def shell() -> Iterator[subprocess.Popen[bytes]]:
    """Start a shell that becomes another program once its input ends."""
    with subprocess.Popen(["/bin/sh", "-c", "read x; exec sleep 60"], stdin=subprocess.PIPE) as one:
        try:
            soon(lambda: (seen := snapshot.one(one.pid)) is not None and seen.life.name == "sh")
            yield one
        finally:
            one.kill()


def becomes_sleep(one: subprocess.Popen[bytes]) -> None:
    assert one.stdin is not None
    one.stdin.close()
    soon(lambda: snapshot.one(one.pid).life.name == "sleep")  # type: ignore[union-attr]


def test_another_program_an_end_and_a_birth_that_nobody_told_are_found() -> None:
    containers = Containers(snapshot.host_namespaces())
    table = Processes(placed=containers.placed, left=containers.ended)
    with shell() as first, shell() as second:
        for one in (first, second):
            seen = snapshot.one(one.pid)
            assert seen is not None
            table.entered(seen.life, seen.parent_pid)
        assert table.alive[first.pid].name == "sh"
        becomes_sleep(first)
        second.kill()
        second.wait()
        with shell() as third:
            known = {pid: Known(life.start_ns, life.executable.inode) for pid, life in table.alive.items()}
            rereading.apply(rereading.look(known, now()), table, containers)
    assert table.alive[first.pid].name == "sleep"
    assert table.alive[first.pid].arguments == ("sleep", "60")
    assert table.alive[first.pid].executable.path.endswith("sleep")
    assert second.pid not in table.alive
    assert table.alive[third.pid].name == "sh"


def test_a_number_that_another_process_got_is_another_process() -> None:
    with shell() as one:
        seen = snapshot.one(one.pid)
        assert seen is not None
        found = rereading.look({one.pid: Known(seen.life.start_ns - 10**9, seen.life.executable.inode)}, now())
        assert one.pid in {each.life.pid for each in found.seen}
        found = rereading.look({one.pid: Known(seen.life.start_ns, seen.life.executable.inode)}, now())
        assert one.pid not in {each.life.pid for each in found.seen}


def test_what_a_record_told_meanwhile_counts_more() -> None:
    containers = Containers(snapshot.host_namespaces())
    table = Processes(placed=containers.placed, left=containers.ended)
    with shell() as one:
        began = now()
        told = rereading.look({}, began)
        [start] = (each.life.start_ns for each in told.seen if each.life.pid == one.pid)
        table.executed(one.pid, start, began + 1, {"name": "newer"})
        rereading.apply(told, table, containers)
        assert table.alive[one.pid].name == "newer"


def test_one_look_at_a_time_and_its_news_once() -> None:
    looks = Rereading()
    assert looks.begin((), now())
    soon(lambda: looks.begin((), now()))
    soon(lambda: looks.news() is not None)


@pytest.mark.root
def test_a_sensor_that_lost_records_knows_again_who_runs() -> None:
    with Sensor({}) as sensor, shell() as one:

        def named(name: str) -> bool:
            list(sensor.events(10))
            return one.pid in sensor.processes.alive and sensor.processes.alive[one.pid].name == name

        soon(lambda: named("sh"))
        becomes_sleep(one)
        time.sleep(0.3)  # the name is set a moment before the record is made
        for _ in sensor._rings[LIFE].read():  # as if it had been full
            pass
        assert sensor.processes.alive[one.pid].name == "sh"
        gaps: list[object] = []

        def known_again() -> bool:
            subprocess.run(["/bin/true"], check=True)
            gaps.extend(event.arguments["ring"] for event in sensor.events(10) if event.name == "gap")
            return sensor.processes.alive[one.pid].name == "sleep"

        soon(known_again)
        assert "life" in gaps
