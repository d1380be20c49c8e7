"""The loop of ``holdfast watch``: records become alerts, alerts are kept, then told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from holdfast.app.watch_denying import Denying
from holdfast.app.watch_health import Health
from holdfast.app.watch_keeping import Keeping, told
from holdfast.app.watch_verdicts import Verdicts
from holdfast.model.alert import Alert
from holdfast.model.event import Container, Event
from holdfast.sensor.engines.registry import Registry
from holdfast.sensor.incidents import grouped
from holdfast.sensor.recording import Recorder
from holdfast.sensor.repeats import Repeats
from holdfast.sensor.watching import Sensor

WAITS_S = 0.05
"""How long an alert waits for the name of its container."""
WAITS_TO_ACT_S = 0.5
"""The same where a policy acts: whom it names is known by name only."""
SOON_NS = 20_000_000
"""Alerts are kept after so long at the latest, also while records come without a pause."""
MOST = 256
"""Alerts that are kept together at most."""
_WAITED = 4096
_LOOK_MS = 200.0


class Names:
    """Completes what is known of a container, waiting for its engine once: others' alerts wait behind."""

    def __init__(self, registry: Registry, wait_s: float = WAITS_S) -> None:
        """Ask a registry, and wait so long for its answer."""
        self._registry = registry
        self._wait_s = wait_s
        self._waited: dict[str, bool] = {}

    def complete(self, event: Event) -> bool:
        """Fill in the container of an event's process; tell whether something was new."""
        container: Container | None = event.process.container
        if container is None or container.state != "pending":
            return False
        wait = 0.0 if container.id in self._waited else self._wait_s
        self._waited[container.id] = True
        if len(self._waited) > _WAITED:
            del self._waited[next(iter(self._waited))]
        return self._registry.resolve(container, wait)


@dataclass(slots=True)
class Loop:
    """The parts of a running sensor.

    Attributes:
        sensor, registry, verdicts, keeping, health, denying: The parts.
        recorder: Writes events down; None where nobody wants that.
        tell: Is given the alerts of one event, after they were kept; it never waits.
        repeats: What repeats itself in a flood.
    """

    sensor: Sensor
    registry: Registry
    verdicts: Verdicts
    keeping: Keeping
    health: Health
    denying: Denying
    recorder: Recorder | None
    tell: Callable[[Sequence[Alert]], None]
    repeats: Repeats = field(default_factory=Repeats)

    def turn(self, left_s: float, *, ending: bool) -> None:
        """Take what there is, waiting a moment for it.

        Args:
            left_s: Seconds to wait at most.
            ending: It is the last turn: nothing is waited for, and every incident ends.
        """
        self.denying.read()
        found: list[Alert] = []
        since = time.monotonic_ns()
        for event in self.sensor.events(0 if ending else int(min(_LOOK_MS, max(0.0, left_s * 1000)))):
            self._learn()
            found += self.repeats.thinned(self.verdicts.alerts(event))
            if self.verdicts.dull:
                self.sensor.dull(event)
            if self.recorder is not None:
                if event.name == "execve" and event.contained:  # a replay cannot look any more
                    self.sensor.layers.settle(event.process)
                self.recorder.write(event, self.sensor.around.shared)
            if found and (len(found) >= MOST or time.monotonic_ns() - since > SOON_NS):
                self._pass_on(found)
                found = []
                since = time.monotonic_ns()
        self._learn()
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        for event, alert in self.denying.unclaimed(now):
            found += self.verdicts.decided(event, [alert])
        found += self.repeats.due(now, ending=ending)
        found += self.verdicts.close() if ending else self.verdicts.quiet(now)
        self._pass_on([*found, *self.health.beat(now)])

    def _learn(self) -> None:
        news = self.registry.news()
        if news:
            self.sensor.containers.learned(news, self.sensor.processes.alive.values())
            self.denying.learned(news)

    def _pass_on(self, found: Sequence[Alert]) -> None:
        self.keeping.keep(found)
        self.health.seen(found)
        for group in grouped(one for one in found if told(one)):
            self.tell(group)
