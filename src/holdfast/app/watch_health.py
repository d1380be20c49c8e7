"""How the running sensor is: heartbeat, health file, metrics, and what systemd is told."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from holdfast.app.watch_keeping import Keeping
from holdfast.app.watch_verdicts import Verdicts
from holdfast.model.alert import Alert, Priority
from holdfast.model.errors import Error
from holdfast.reports import watch_metrics
from holdfast.reports.watch_metrics import Histogram, Metric, counter, gauge
from holdfast.sensor import health
from holdfast.sensor.watching import Sensor
from holdfast.version import __version__

RINGS = ("critical", "life", "bulk")
_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_SOON_NS = 1_000_000_000
_SPOOL_S = 10.0


class Health:
    """Knows how the sensor is, and tells who wants to know."""

    def __init__(self, metrics: str, file: str, heartbeat_s: float) -> None:
        """Begin to listen, where metrics were asked for.

        Args:
            metrics: ``HOST:PORT``; empty serves none.
            file: Health file; empty writes none.
            heartbeat_s: Seconds between two heartbeats; 0 for none.

        Raises:
            Usage: It is no address.
            NotReachable: It cannot be listened at.
        """
        self.latency = Histogram(_BOUNDS)
        self._file = Path(file) if file else None
        self._every_ns = int(heartbeat_s * 1e9)
        self._next_ns = 0
        self._shown_ns = 0
        self._lock = threading.Lock()
        self._text = watch_metrics.render((gauge("up", "The sensor watches.", (({}, 0),)),))
        self._parts: tuple[Sensor, Verdicts, Keeping] | None = None
        self._lost = (0, 0, 0)
        self._watchdog_ns = int(os.environ.get("WATCHDOG_USEC", "0") or 0) * 1000 // 3
        self._watchdog_next = 0
        self._spool: Mapping[str, int] = {}
        self._spool_next = 0.0
        self._server = health.Metrics(metrics, self._rendered) if metrics else None

    def __enter__(self) -> Self:
        """Stop listening at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Say that it ends, and stop listening."""
        health.notify("STOPPING=1")
        if self._server is not None:
            self._server.close()
        if self._file is not None and self._parts is not None:
            health.written(self._file, {**self._record(), "state": "stopped"})

    @property
    def port(self) -> int:
        """Where metrics are served; 0 where they are not."""
        return self._server.port if self._server is not None else 0

    def started(self, sensor: Sensor, verdicts: Verdicts, keeping: Keeping) -> None:
        """Note that the programs are attached."""
        self._parts = (sensor, verdicts, keeping)
        self._show(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        health.notify("READY=1", "STATUS=watching")

    def seen(self, alerts: Iterable[Alert]) -> None:
        """Count how long alerts took from the call to being kept."""
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        for alert in alerts:
            if alert.event:
                self.latency.observe((now - alert.boot_ns) / 1e9)

    def beat(self, now_ns: int) -> list[Alert]:
        """Bring what is told up to date; return a heartbeat where one is due.

        Args:
            now_ns: CLOCK_BOOTTIME.
        """
        if self._watchdog_ns and now_ns >= self._watchdog_next:
            self._watchdog_next = now_ns + self._watchdog_ns
            health.notify("WATCHDOG=1")
        if (self._server is not None or self._file is not None) and now_ns - self._shown_ns >= _SOON_NS:
            self._show(now_ns)
        if not self._every_ns or self._parts is None:
            return []
        if not self._next_ns:
            self._next_ns = now_ns + self._every_ns
        if now_ns < self._next_ns:
            return []
        self._next_ns = now_ns + self._every_ns
        record = self._record()
        return [
            self._parts[1].own(
                "heartbeat", "The sensor watches",
                f"{record['events']} events judged, {record['lost']} lost, {record['alerts']} alerts",
                Priority.DEBUG, **record,
            )
        ]  # fmt: skip

    def _show(self, now_ns: int) -> None:
        self._shown_ns = now_ns
        if self._server is not None:
            text = watch_metrics.render(self._metrics())
            with self._lock:
                self._text = text
        if self._file is not None:
            health.written(self._file, self._record())

    def _rendered(self) -> bytes:
        with self._lock:
            return self._text

    def _record(self) -> dict[str, Any]:
        if self._parts is None:
            return {}
        sensor, verdicts, keeping = self._parts
        counts = verdicts.counts
        return {
            "version": __version__,
            "state": "watching",
            "time_ns": time.time_ns(),
            "pid": os.getpid(),
            "events": counts.events,
            "lost": sum(self._lost_now(sensor)),
            "unreadable": sensor.unreadable,
            "not_judged": counts.failures,
            "alerts": sum(counts.alerts.values()),
            "processes": len(sensor.processes),
            "incidents_open": verdicts.incidents.open,
            "waiting": len(keeping.waiting),
            "given_up": keeping.lost,
            "trouble": keeping.trouble,
            "sinks": {name: dict(one) for name, one in keeping.counters().items()},
        }

    def _lost_now(self, sensor: Sensor) -> tuple[int, ...]:
        try:
            self._lost = tuple(sensor.lost())  # type: ignore[assignment]
        except (OSError, ValueError):  # closed already
            return self._lost
        return self._lost

    def _spool_counters(self, keeping: Keeping) -> Mapping[str, int]:
        """Ask the spool now and then only: it counts its records, which takes long where there are many."""
        now = time.monotonic()
        if keeping.spool is not None and now >= self._spool_next:
            self._spool_next = now + _SPOOL_S
            with suppress(Error):
                self._spool = keeping.spool.counters()
        return self._spool

    def _metrics(self) -> list[Metric]:
        if self._parts is None:
            return []
        sensor, verdicts, keeping = self._parts
        counts = verdicts.counts
        by_ring = zip(RINGS, self._lost_now(sensor), strict=True)
        spool = self._spool_counters(keeping)
        sinks = keeping.counters()
        found = [
            gauge("up", "The sensor watches.", (({}, 1),)),
            gauge("build_info", "Version of the sensor.", (({"version": __version__}, 1),)),
            counter("records_total", "Records read from the kernel, by ring.",
                    [({"ring": name}, count) for name, count in zip(RINGS, sensor.told, strict=True)]),
            counter("records_lost_total", "Records for which a ring had no room.",
                    [({"ring": name}, count) for name, count in by_ring]),
            counter("records_unreadable_total", "Records that could not be read.", (({}, sensor.unreadable),)),
            counter("events_judged_total", "Events that were judged.", (({}, counts.events),)),
            counter("events_not_judged_total", "Events whose judging failed.", (({}, counts.failures),)),
            counter("judging_seconds_total", "Time spent on judging.", (({}, counts.judging_ns / 1e9),)),
            counter("alerts_total", "Alerts by technique, rule or state of the sensor.",
                    [({"rule": name}, count) for name, count in sorted(counts.alerts.items())]),
            counter("alerts_ignored_total", "Alerts that the policy ignores.", (({}, counts.ignored),)),
            counter("responses_total", "Responses that were carried out.",
                    [({"verdict": name}, count) for name, count in sorted(counts.responses.items())]),
            counter("responses_refused_total", "Responses that could not be carried out.", (({}, counts.refused),)),
            self.latency.metric("alert_latency_seconds", "From the system call to the alert being kept."),
            gauge("processes", "Entries of the process table.", (({}, len(sensor.processes)),)),
            gauge("incidents_open", "Incidents that are going on.", (({}, verdicts.incidents.open),)),
            gauge("alerts_waiting", "Alerts that the disk has not taken yet.", (({}, len(keeping.waiting)),)),
            counter("alerts_given_up_total", "Alerts for which memory had no room while the disk refused them.",
                    (({}, keeping.lost),)),
        ]  # fmt: skip
        found += [
            counter(f"spool_{name}_total", f"Alerts of the spool: {name}.", (({}, spool[name]),))
            for name in ("accepted", "refused", "dropped", "dropped_undelivered")
            if name in spool
        ]
        found += [
            gauge(f"spool_{name}", f"The spool's {name}.", (({}, spool[name]),))
            for name in ("records", "bytes", "quota_bytes")
            if name in spool
        ]
        for name in ("delivered", "failed", "dead", "unsaved"):
            if sinks:
                values = [({"sink": sink}, told.get(name, 0)) for sink, told in sinks.items()]
                found.append(counter(f"sink_{name}_total", f"Records by sink: {name}.", values))
        if sinks:
            lags = [({"sink": sink}, told.get("lag", 0)) for sink, told in sinks.items()]
            found.append(gauge("sink_lag", "Records that a sink still has to get.", lags))
        return found
