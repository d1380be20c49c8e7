"""A real sensor for tests, its alerts by technique, and containers to act in."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from holdfast.model.alert import Alert
from holdfast.sensor import coverage
from holdfast.sensor.judge import Judge, Node
from holdfast.sensor.watching import Sensor
from holdfast.techniques import load


@dataclass
class Watched:
    """What a sensor saw so far."""

    alerts: list[Alert] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    host_paths: list[str] = field(default_factory=list)

    def paths(self) -> list[str]:
        """Return the host path of every contained event so far."""
        return list(self.host_paths)

    def of(self, rule: str) -> list[Alert]:
        return [one for one in self.alerts if one.rule == rule]

    def soon(self, rule: str, seconds: float = 10, **wanted: object) -> list[Alert]:
        """Wait for alerts of a rule whose attributes or fields are these."""
        until = time.monotonic() + seconds
        while True:
            assert not self.failed, self.failed
            found = [one for one in self.of(rule) if all(_has(one, name, value) for name, value in wanted.items())]
            if found or time.monotonic() > until:
                return found
            time.sleep(0.05)


def _has(alert: Alert, name: str, value: object) -> bool:
    return (getattr(alert, name) if hasattr(alert, name) else alert.fields.get(f"event.{name}")) == value


@contextmanager
def watched(only: Sequence[str] = ()) -> Iterator[Watched]:
    """Watch by the catalogue, or by these techniques of it."""
    seen, ready, stop = Watched(), threading.Event(), threading.Event()
    catalogue = {name: one for name, one in load().items() if not only or name in only}

    def run() -> None:
        try:
            judge = Judge(catalogue, Node("host", "0"))
            with Sensor(coverage.interests(one.seen_as for one in catalogue.values())) as sensor:
                ready.set()
                while not stop.is_set():
                    for event in sensor.events(50):
                        seen.alerts += judge.judge(event)
                        if event.contained and event.file is not None and event.file.host_path:
                            seen.host_paths.append(event.file.host_path)
                seen.lost += sensor.lost()
        except BaseException as error:  # noqa: BLE001 - shown by whoever waits
            seen.failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="sensor")
    thread.start()
    ready.wait(30)
    try:
        assert not seen.failed, seen.failed
        yield seen
    finally:
        stop.set()
        thread.join()


def docker(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Call the engine's client."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=check)
