"""What a denial becomes: a word on the alert of the call that failed, or an alert of its own where none was made.

The kernel tells a denial when it refuses, and the watching program tells the call when it returns. Both are about one
attempt and must not be two alerts.
"""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace

from holdfast.model.alert import Alert, Ancestor, Origin, Priority, Verdict
from holdfast.model.event import Process
from holdfast.model.technique import Technique
from holdfast.sensor.calls import COMPAT, names
from holdfast.sensor.deny import Grade
from holdfast.sensor.deny_decode import Denial
from holdfast.sensor.judge import Node, lineage

WAIT_NS = 500_000_000
"""How long a denial waits for the alert of its call."""
_MOST = 4096


class Denied:
    """Denials that wait for the alert of their call."""

    def __init__(self, grade: Grade, catalogue: Mapping[str, Technique], node: Node) -> None:
        """Know none yet."""
        self._grade = grade
        self._catalogue = catalogue
        self._node = node
        self._waiting: deque[tuple[Denial, set[str]]] = deque(maxlen=_MOST)
        self._calls = names()

    def add(self, denial: Denial) -> None:
        """Take in a denial; the canary's is passed by."""
        if not denial.canary:
            self._waiting.append((denial, set(denial.techniques)))

    def claimed(self, alert: Alert) -> Alert:
        """Return the alert with its verdict, if a denial is what its call failed of.

        Args:
            alert: Of a technique; others come back as they are.
        """
        if alert.origin is not Origin.TECHNIQUE or alert.succeeded or not alert.process:
            return alert
        actor = alert.process[0]
        for denial, left in self._waiting:
            same = denial.pid == actor.pid and denial.start_ns == actor.start_ns
            if same and alert.rule in denial.techniques and 0 <= alert.boot_ns - denial.at_ns < WAIT_NS:
                # One attempt, one alert: the other techniques that the same call serves have spoken with it.
                left.clear()
                return replace(alert, verdict=Verdict.DENIED, backend=self._grade.value)
        return alert

    def unclaimed(self, now_ns: int, people: Mapping[int, Process]) -> Iterator[Alert]:
        """Iterate over alerts of the denials that have waited long enough.

        Args:
            now_ns: CLOCK_BOOTTIME.
            people: The processes that are known, by number.
        """
        while self._waiting and now_ns - self._waiting[0][0].at_ns >= WAIT_NS:
            denial, left = self._waiting.popleft()
            if left:
                yield self._alert(denial, people.get(denial.pid))

    def _alert(self, denial: Denial, process: Process | None) -> Alert:
        technique = self._catalogue[denial.techniques[0]]
        call = self._calls.get(denial.call + (COMPAT if denial.compat else 0), str(denial.call))
        known = process if process is not None and process.start_ns == denial.start_ns else None
        what = denial.path or denial.object
        fields = {
            "event.in_container": True,
            "event.syscall": call,
            "event.hook": denial.hook,
            "event.path": denial.path,
            "event.object": denial.object,
            "event.condition": denial.kind.name.lower(),
            "event.techniques": list(denial.techniques),
        }
        return Alert(
            id=f"{self._node.boot}-denied-{denial.pid}-{denial.at_ns}-{technique.id}",
            at_ns=time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) + denial.at_ns,
            boot_ns=denial.at_ns,
            seen_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            node=self._node.name,
            origin=Origin.TECHNIQUE,
            rule=technique.id,
            title=technique.title,
            output=f"{technique.title}: {denial.name} was denied {call}" + (f" on {what}" if what else ""),
            priority=Priority.WARNING,
            tags=("container", "escape"),
            attack=technique.attack,
            verdict=Verdict.DENIED,
            succeeded=False,
            error=errno.errorcode[errno.EPERM],
            backend=self._grade.value,
            event=call,
            fields={name: value for name, value in fields.items() if value != ""},
            process=lineage(known)
            if known
            else (Ancestor(denial.pid, denial.name, user=denial.user, start_ns=denial.start_ns),),
            reasons=(f"{denial.hook} refused: {denial.kind.name.lower().replace('_', ' ')}",),
            description=technique.page.split("\n\n", 1)[0],
        )
