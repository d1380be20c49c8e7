"""What wakes the sensor, and what it looks at: not each program that the host starts, but whatever a rule is about."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast.model.event import Event
from holdfast.sensor.processes import ancestors
from holdfast.sensor.watching import Sensor

pytestmark = pytest.mark.root
STARTS = 300


@contextmanager
def reading(*, every: bool = True) -> Iterator[tuple[list[Event], list[int]]]:
    """Read events, and count how often the reader had to look."""
    told: list[Event] = []
    looks: list[int] = []
    stop = threading.Event()
    with Sensor({}) as sensor:
        if not every:
            sensor.want_soon(starts=False, ends=False)

        def read() -> None:
            while not stop.is_set():
                told.extend(sensor.events(200))
                looks.append(len(told))
            told.extend(sensor.events(0))
            assert sensor.gaps == [0, 0, 0], "what is left out is no gap"

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield told, looks
        finally:
            stop.set()
            thread.join()


def many_starts(starts: int = STARTS) -> None:
    """Start programs one after the other, from a process that is not the sensor itself."""
    subprocess.run(["sh", "-c", f"i=0; while [ $i -lt {starts} ]; do /bin/true waking; i=$((i+1)); done"], check=True)


def ours(told: list[Event], kind: str) -> list[Event]:
    return [one for one in told if one.name == kind and one.process.arguments[-1:] == ("waking",)]


def test_programs_of_the_host_are_told_together() -> None:
    with reading() as (told, looks):
        many_starts()
    assert len(ours(told, "execve")) == STARTS
    assert len(ours(told, "procexit")) == STARTS
    # Each has three records; what else happens on the machine may wake the reader now and then.
    assert len(looks) < STARTS


def test_who_began_and_ended_between_two_looks_is_left_out() -> None:
    with reading(every=False) as (told, _):
        many_starts()
    # Some were there when the reader looked.
    assert len(ours(told, "execve")) < STARTS / 2


def test_who_is_still_there_has_its_ancestors() -> None:
    with reading(every=False) as (told, _):
        # The shells end at once; the program that they leave is there when the reader looks.
        subprocess.run(["sh", "-c", "sh -c 'sleep 1.01 waking 2> /dev/null || sleep 1.01 &' one; true"], check=True)
        time.sleep(1.5)
    [last] = [
        one.process
        for one in told
        if one.name == "execve" and one.process.name == "sleep" and one.process.arguments == ("sleep", "1.01")
    ]
    lines = [one.arguments for one in ancestors(last)]
    assert any(line[-1:] == ("one",) for line in lines), lines
    assert any(line[:2] == ("sh", "-c") and line[-1].endswith("true") for line in lines), lines


def test_programs_of_the_host_are_told_at_once_where_a_rule_is_about_them() -> None:
    began = threading.Event()
    found = threading.Event()
    with Sensor({}) as sensor:
        sensor.want_soon(starts=True, ends=False)
        list(sensor.events(0))

        def start() -> None:
            began.wait()
            subprocess.run(["/bin/true", "waking"], check=True)

        thread = threading.Thread(target=start)
        thread.start()
        began.set()
        # Longer than any test may take: only a record can end the wait.
        for _ in range(64):
            if ours(list(sensor.events(600_000)), "execve"):
                found.set()
                break
        thread.join()
    assert found.is_set()
