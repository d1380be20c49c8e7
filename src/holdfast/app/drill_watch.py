"""A drill with the sensor beside it: which attempts were seen while they happened, and which were not."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self

from holdfast.drill import run_folder
from holdfast.model.alert import Alert, Origin
from holdfast.model.drill import Attempt, DrillReport, Exercise, Layer, Outcome
from holdfast.model.errors import NotReachable
from holdfast.model.logic import NEVER
from holdfast.model.technique import Technique
from holdfast.sensor import backends, coverage
from holdfast.sensor.deny import EVERY_CONTAINER, Denier
from holdfast.sensor.deny_decode import Denial
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
_REFRESH_S = 1.0
_START_S = 30.0


class Watcher:
    """The sensor in a thread of its own, for as long as the drill lasts.

    What an attempt does falls between two boundaries of the drill, and comes from a replica's probe: an alert of the
    technique that was attempted then counts as its detection, and no other does.
    """

    def __init__(self, *, deny: bool = False) -> None:
        """Prepare; the sensor starts with the block.

        Args:
            deny: Deny every technique to every container for as long.
        """
        self._deny = deny
        self._denials: list[Denial] = []
        self._grade = ""
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
            NotReachable: It is to deny, and nothing that denies is in force here.
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
        elif word == "replica":
            self._last = ""  # what comes now is not another way of the same attempt

    def noted(self, denials: Iterable[Denial], grade: str) -> None:
        """Take down what the kernel denied, and which back end did."""
        self._denials += denials
        self._grade = grade

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
        attempt = self._denied(attempt, windows)
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
        refused = attempt.real and last in _REFUSALS and not _in_its_own_network(exercise, attempt)
        touched = attempt.outcome is Outcome.ESCAPED or refused
        return replace(attempt, detected="no" if touched else "touched nothing of the host")

    def _denied(self, attempt: Attempt, windows: Sequence[tuple[int, int]]) -> Attempt:
        """Name the sensor where it refused a call of the attempt, and the attempt came to nothing."""
        hooks = {
            one.hook
            for one in self._denials
            if attempt.technique in one.techniques and any(start <= one.at_ns <= end for start, end in windows)
        }
        if not hooks or attempt.outcome is Outcome.ESCAPED:
            return attempt
        reason = f"{attempt.reason}; " if attempt.reason else ""
        reason += f"the sensor denied {', '.join(sorted(hooks))} ({self._grade})"
        return replace(attempt, blocked_by=(*attempt.blocked_by, Layer.SENSOR), together=False, reason=reason)

    def _run(self) -> None:
        catalogue = techniques()
        judge = Judge(catalogue, Node.here())
        try:
            with (
                Sensor(coverage.interests(one.seen_as for one in catalogue.values())) as sensor,
                self._denier(catalogue) as denier,
            ):
                sensor.objects.disguise = disguise
                self._ready.set()
                due = 0.0
                while not self._stop.is_set() or sensor.waiting():
                    if denier is not None:
                        if time.monotonic() >= due:  # what is mounted on the host changes with each replica
                            due = time.monotonic() + _REFRESH_S
                            denier.refresh()
                        self.noted(denier.denials(), self._grade)
                    for event in sensor.events(100):
                        self._alerts += [one for one in judge.judge(event) if _of_a_probe(one)]
                if denier is not None:
                    self.noted(denier.denials(), self._grade)
                self.lost = sum(sensor.lost())
        except BaseException as error:  # noqa: BLE001 - handed to whoever started the thread
            self._error = error
        finally:
            self._ready.set()

    @contextmanager
    def _denier(self, catalogue: Mapping[str, Technique]) -> Iterator[Denier | None]:
        if not self._deny:
            yield None
            return
        choice = backends.choose(catalogue)
        if choice.denier is None:
            raise NotReachable(
                "nothing can be denied on this kernel", "; ".join(choice.passed_by), "drill with --watch"
            )
        self._grade = choice.grade.value
        with choice.denier as denier:
            denier.deny(EVERY_CONTAINER, catalogue)
            yield denier


def _in_its_own_network(exercise: Exercise, attempt: Attempt) -> bool:
    """Tell whether all that was asked concerns a network of the container's own: who refuses that guards no host."""
    ways = techniques()[attempt.technique].drill
    return "net" not in exercise.replica.namespaces and bool(ways) and all("net" in way.in_host for way in ways)


def disguise(host_path: str) -> str:
    """Return the host path that a stand-in stands in for; any other path as it is."""
    found = re.fullmatch(re.escape(str(run_folder.runs())) + r"/[a-z0-9]+/stage/tree(/.*)?", host_path, re.DOTALL)
    return host_path if found is None else found[1] or "/"


def _of_a_probe(alert: Alert) -> bool:
    return alert.origin is Origin.TECHNIQUE and any(
        one.path == _PROBE or one.path.endswith(_SANDBOX) for one in alert.process
    )
