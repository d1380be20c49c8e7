"""What a flood from one container may cost: its own records, and never those of others or of another call."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collect_box import image as made_image
from holdfast.model.alert import Alert, Ancestor, Origin, Priority
from holdfast.sensor import coverage
from holdfast.sensor.judge import Judge, Node
from holdfast.sensor.repeats import FIRST, SECOND_NS, Repeats
from holdfast.sensor.watching import Sensor
from holdfast.techniques import load

SHARE = 1000
"""As quota.h has it."""


def alert(at_ns: int, rule: str = "host-root-read", path: str = "/etc/shadow", pid: int = 7, **more: object) -> Alert:
    return Alert(
        f"id-{at_ns}", at_ns + 5, at_ns, at_ns, "node", Origin.TECHNIQUE, rule, "title", "output", Priority.CRITICAL,
        fields={"event.path": path}, process=(Ancestor(pid, "sh", "/bin/sh", "sh", 0, 1),), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_the_first_of_a_kind_are_kept_and_the_rest_is_counted() -> None:
    repeats = Repeats()
    kept = [one for at in range(FIRST + 40) for one in repeats.thinned([alert(at)])]
    assert [one.boot_ns for one in kept] == list(range(FIRST))
    assert repeats.due(SECOND_NS - 1) == []
    [last] = repeats.due(SECOND_NS)
    assert (last.fields["repeated"], last.fields["repeated.since_ns"], last.boot_ns) == (40, FIRST + 5, FIRST + 39)
    assert repeats.held == 40
    assert repeats.due(9 * SECOND_NS, ending=True) == []


def test_a_new_second_begins_with_what_the_last_one_held_back() -> None:
    repeats = Repeats()
    for at in range(FIRST + 3):
        repeats.thinned([alert(at)])
    held, fresh = repeats.thinned([alert(SECOND_NS)])
    assert (held.fields["repeated"], held.boot_ns) == (3, FIRST + 2)
    assert "repeated" not in fresh.fields


@pytest.mark.parametrize("other", [{"rule": "etc-write"}, {"path": "/etc/passwd"}, {"pid": 8}, {"error": "EPERM"}])
def test_what_differs_is_never_counted_as_a_repetition(other: dict[str, object]) -> None:
    repeats = Repeats()
    for at in range(FIRST):
        repeats.thinned([alert(at)])
    assert repeats.thinned([alert(FIRST)]) == []
    assert len(repeats.thinned([alert(FIRST, **other)])) == 1  # type: ignore[arg-type]


def test_an_alert_about_the_sensor_itself_is_never_held_back() -> None:
    repeats = Repeats()
    gap = Alert("g", 1, 1, 1, "node", Origin.SENSOR, "records-lost", "t", "o", Priority.WARNING)
    assert repeats.thinned([gap] * (FIRST + 9)) == [gap] * (FIRST + 9)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with made_image(tmp_path_factory.mktemp("image")) as name:
        yield name


@contextmanager
def container(image: str, script: str, *options: str) -> Iterator[None]:
    """Run a script in a container until the end of the block."""
    line = ["docker", "run", "--rm", "--detach", *options, image, "sh", "-c", f"busybox --install -s /bin; {script}"]
    name = subprocess.check_output(line, text=True).strip()
    try:
        yield
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=True, stdout=subprocess.DEVNULL)


def watch(sensor: Sensor, judge: Judge, seconds: float) -> tuple[Counter[str], Counter[str]]:
    """Judge what comes for so long; return the rules of the alerts, and the names of contained events."""
    rules: Counter[str] = Counter()
    events: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for event in sensor.events(50):
            found = list(judge.judge(event))
            rules.update(one.rule for one in found)
            if not any(one.origin is Origin.TECHNIQUE for one in found):
                sensor.dull(event)
            if event.contained:
                events[event.name] += 1
            if time.monotonic() > until + 20:
                raise TimeoutError("records come faster than they are judged")
    return rules, events


@contextmanager
def sensor() -> Iterator[tuple[Sensor, Judge]]:
    catalogue = load()
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, min(before, -10))  # as the program itself does
    try:
        with Sensor(coverage.interests(one.seen_as for one in catalogue.values())) as made:
            yield made, Judge(catalogue, Node("host", "0"))
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


READS = "while :; do read x < /h/shadow; sleep 0.05; done"


@pytest.mark.root
@pytest.mark.engine
def test_a_file_of_a_volume_that_means_nothing_is_not_told_again_and_again(image: str, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    loop = container(image, "while :; do read x < /vol/x; done", "-v", f"{tmp_path}:/vol")
    with sensor() as (made, judge), loop, container(image, READS, "-v", "/etc:/h:ro"):
        time.sleep(1)
        watch(made, judge, 1)
        rules, events = watch(made, judge, 4)
    # The loop opens some 100,000 times a second; it is told anew once a second, and then until the verdict is back.
    assert events["open"] + events["openat"] < 4 * SHARE, events
    assert rules["host-root-read"] >= 40


@pytest.mark.root
@pytest.mark.engine
def test_refused_attempts_in_a_loop_cost_nobody_else_a_record(image: str) -> None:
    loop = container(image, "while :; do mount -t cgroup x /tmp 2> /dev/null; done")
    with sensor() as (made, judge), loop, container(image, READS, "-v", "/etc:/h:ro"):
        time.sleep(1)
        rules, _ = watch(made, judge, 4)
        lost = made.lost()
    assert rules["cgroup-release-agent"] > 100
    assert rules["host-root-read"] >= 40
    assert lost[0] == 0


@pytest.mark.root
@pytest.mark.engine
def test_who_is_born_in_a_flood_has_an_ancestry_all_the_same(image: str) -> None:
    """Processes beyond the share are not told; one that acts is."""
    script = "while :; do (:); (:); (read x < /h/shadow); (:); (:); done"
    with sensor() as (made, judge), container(image, f"({script}) & {script}", "-v", "/etc:/h:ro"):
        time.sleep(1)
        orphans, floods, readers = 0, 0, 0
        until = time.monotonic() + 4
        while time.monotonic() < until:
            for event in made.events(50):
                for one in judge.judge(event):
                    floods += one.rule == "flood" and one.fields["call"] == "clone"
                    if one.rule == "host-root-read":
                        readers += 1
                        orphans += len(one.process) < 2
    assert floods, "the loop was too slow to be a flood"
    assert readers > 100
    assert orphans == 0
