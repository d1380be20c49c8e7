"""A drill with the sensor beside it: which attempts were seen while they happened, and which were not."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from types import TracebackType
from typing import Self

from holdfast.drill import run_folder
from holdfast.model.alert import Alert, Origin
from holdfast.model.drill import Attempt, DrillReport, Exercise, Outcome
from holdfast.model.logic import NEVER
from holdfast.sensor import coverage
from holdfast.sensor.judge import Judge, Node
from holdfast.sensor.watching import Sensor
from holdfast.techniques import load as techniques

_PROBE = "/.holdfast/probe"
_SANDBOX = "/runsc"
"""A sandbox acts on the host's files in place of the probe that runs inside it."""
_REFUSALS = frozenset(("EPERM", "EACCES", "EROFS", "EBUSY", "EOPNOTSUPP", "EKEYREJECTED", "ELIBBAD", "ETXTBSY"))
"""Answers of a call that found what it asked for and was refused. Others found nothing of the host's."""
_SETTLE_S = 0.5
"""How long the last records may take to arrive."""
_START_S = 30.0


class Watcher:
    """The sensor in a thread of its own, for as long as the drill lasts.

    What an attempt does falls between two boundaries of the drill, and comes from a replica's probe: an alert of the
    technique that was attempted then counts as its detection, and no other does.
    """

    def __init__(self) -> None:
        """Prepare; the sensor starts with the block."""
        self._alerts: list[Alert] = []
        self._windows: dict[tuple[int, str], list[tuple[int, int]]] = {}
        self._exercise = -1
        self._last = ""
        self._open = 0
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="holdfast-sensor", daemon=True)
        self.lost = 0

    def __enter__(self) -> Self:
        """Start the sensor, and wait until it sees.

        Raises:
            NotPermitted: The process may not load programs.
            BpfRefused: The kernel refused one of them.
        """
        self._thread.start()
        self._ready.wait(_START_S)
        if self._error is not None:
            raise self._error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop it."""
        time.sleep(_SETTLE_S)
        self._stop.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def begins(self) -> None:
        """Note that another target's turn has come."""
        self._exercise += 1
        self._last = ""

    def boundary(self, name: str) -> None:
        """Note a border between two steps, as the drill calls them."""
        word, _, technique = name.partition(" ")
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if word == "attempt":
            self._open = now
        elif word == "proved" and self._open:
            key = (self._exercise, technique)
            # Only the first series counts: what comes later is a replica with other settings, or a repetition.
            if key not in self._windows or self._last == technique:
                self._windows.setdefault(key, []).append((self._open, now))
            self._last, self._open = technique, 0

    def filled(self, report: DrillReport) -> DrillReport:
        """Return the report with what was detected, once the block has ended."""
        count = len(report.controls)
        return replace(
            report,
            controls=tuple(self._exercised(number, one) for number, one in enumerate(report.controls)),
            exercises=tuple(self._exercised(number + count, one) for number, one in enumerate(report.exercises)),
            notes=(*report.notes, *((f"the sensor lost {self.lost} records",) if self.lost else ())),
        )

    def _exercised(self, number: int, exercise: Exercise) -> Exercise:
        return replace(exercise, attempts=tuple(self._attempted(number, exercise, one) for one in exercise.attempts))

    def _attempted(self, number: int, exercise: Exercise, attempt: Attempt) -> Attempt:
        windows = self._windows.get((number, attempt.technique), [])
        if attempt.outcome is Outcome.NOT_ATTEMPTED or not windows:
            return attempt
        seen = [
            alert
            for alert in self._alerts
            if alert.rule == attempt.technique and any(start <= alert.boot_ns <= end for start, end in windows)
        ]
        calls = dict.fromkeys(f"{one.event} {one.error}".strip() for one in seen)
        if calls:
            return replace(attempt, detected=", ".join(calls))
        if techniques()[attempt.technique].seen_as == NEVER:
            return replace(attempt, detected="makes no call to see")
        if exercise.replica.runtime == "runsc" and attempt.outcome is not Outcome.ESCAPED:
            return replace(attempt, detected="stayed in the sandbox's own kernel")
        last = attempt.steps[-1].answer if attempt.steps else ""
        touched = attempt.outcome is Outcome.ESCAPED or (attempt.real and last in _REFUSALS)
        return replace(attempt, detected="no" if touched else "touched nothing of the host")

    def _run(self) -> None:
        catalogue = techniques()
        judge = Judge(catalogue, Node.here())
        try:
            with Sensor(coverage.interests(one.seen_as for one in catalogue.values())) as sensor:
                sensor.objects.disguise = disguise
                self._ready.set()
                while not self._stop.is_set() or sensor.waiting():
                    for event in sensor.events(100):
                        self._alerts += [one for one in judge.judge(event) if _of_a_probe(one)]
                self.lost = sum(sensor.lost())
        except BaseException as error:  # noqa: BLE001 - handed to whoever started the thread
            self._error = error
        finally:
            self._ready.set()


def disguise(host_path: str) -> str:
    """Return the host path that a stand-in stands in for; any other path as it is."""
    found = re.fullmatch(re.escape(str(run_folder.runs())) + r"/[a-z0-9]+/stage/tree(/.*)?", host_path, re.DOTALL)
    return host_path if found is None else found[1] or "/"


def _of_a_probe(alert: Alert) -> bool:
    return alert.origin is Origin.TECHNIQUE and any(
        one.path == _PROBE or one.path.endswith(_SANDBOX) for one in alert.process
    )
