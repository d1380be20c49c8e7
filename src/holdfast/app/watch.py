"""The use case ``watch``: the sensor's events are judged, and every alert is kept before anybody is told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.app import rules as rule_files
from holdfast.app.interruption import heeded
from holdfast.model.alert import Alert
from holdfast.model.event import Answer, Container, Event
from holdfast.model.facts import Fact
from holdfast.rules.ruleset import Ruleset, load
from holdfast.sensor import coverage
from holdfast.sensor.engines.registry import Registry
from holdfast.sensor.judge import Judge, Node
from holdfast.sensor.watching import Sensor
from holdfast.store.spool import Spool
from holdfast.techniques import load as techniques

WAITS_S = 0.05
"""How long an alert waits for the name of its container."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for.

    Attributes:
        rules: Falco rules files, or folders with some.
        spool: File that keeps the alerts; empty keeps them nowhere.
        seconds: Stop after so many; 0 goes on until somebody stops it.
        catalogue: Judge by the techniques.
    """

    rules: tuple[str, ...] = ()
    spool: str = ""
    seconds: float = 0
    catalogue: bool = True


def watch(wanted: Wanted, told: Callable[[Alert], None], ready: Callable[[str], None] = lambda _: None) -> int:
    """Watch until somebody stops it.

    Args:
        wanted: What a person asked for.
        told: Is given each alert, after it was kept.
        ready: Is given a line that says what is watched, once the programs are attached.

    Returns:
        How many alerts there were.

    Raises:
        NotPermitted: The process may not load programs.
        BpfRefused: The kernel refused one of them.
        NotReachable: There is no libbpf, or a file is missing.
        NotUnderstood: A rules file holds an error.
    """
    from holdfast.sensor.engines.docker import Docker

    catalogue = techniques() if wanted.catalogue else {}
    ruleset = _ruleset(wanted.rules)
    judge = Judge(catalogue, _node(), ruleset)
    interests = coverage.merged(
        coverage.interests(one.seen_as for one in catalogue.values()),
        coverage.rule_interests(ruleset.wanted() if ruleset else ()),
    )
    spool = Spool.open(Path(wanted.spool)) if wanted.spool else None
    registry = Registry((Docker(),))
    count = 0
    try:
        with heeded(), Sensor(interests, _fields() if ruleset else None) as sensor:
            registry.start()
            sensor.containers.wanted = registry.wanted
            until = time.monotonic() + wanted.seconds if wanted.seconds else float("inf")
            ready(f"watching {len(interests)} system calls for {len(catalogue)} techniques"
                  + (f" and {len(ruleset.rules)} rules" if ruleset else ""))  # fmt: skip
            try:
                while time.monotonic() < until:
                    found = _round(sensor, registry, judge, until)
                    if spool is not None and found:
                        spool.append(found)
                    for alert in found:
                        told(alert)
                    count += len(found)
            except KeyboardInterrupt:
                pass
    finally:
        registry.stop()
        if spool is not None:
            spool.close()
    return count


def _round(sensor: Sensor, registry: Registry, judge: Judge, until: float) -> list[Alert]:
    wait = min(200, max(0, int((until - time.monotonic()) * 1000)))
    found: list[Alert] = []
    for event in sensor.events(wait):
        news = registry.news()
        if news:
            sensor.containers.learned(news, sensor.processes.alive.values())
        alerts = list(judge.judge(event))
        if alerts and _named(event, registry):
            alerts = list(judge.judge(event))  # once more, with the container's name
        found += alerts
    return found


def _named(event: Event, registry: Registry) -> bool:
    container: Container | None = event.process.container
    if container is None or container.state != "pending":
        return False
    return registry.resolve(container, WAITS_S)


def _ruleset(files: Sequence[str]) -> Ruleset | None:
    if not files:
        return None
    loaded = load(rule_files.texts(tuple(files)))
    return Ruleset(loaded.rules)


def _fields() -> dict[Fact[Any], Answer]:
    return {}


def _node() -> Node:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
    return Node(os.uname().nodename, boot[:8])
