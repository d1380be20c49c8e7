"""Thins out alerts that repeat each other in a flood: the first are kept, the rest are counted and told each second.

Nothing is thrown away unsaid: the last of those that were held back is kept with their number. No I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from holdfast.model.alert import Alert, Origin

FIRST = 256
"""Alerts of one kind that are kept in a second before the rest of it is counted."""
SECOND_NS = 1_000_000_000
MOST = 4096
"""Kinds that are followed at once."""
_OBJECTS = ("event.path", "event.host_path", "event.address", "event.port", "fd.name")


@dataclass(slots=True)
class _Kind:
    began_ns: int
    kept: int = 0
    held: int = 0
    first_ns: int = 0
    last: Alert | None = None


class Repeats:
    """Follows what repeats. One thread owns it."""

    def __init__(self) -> None:
        """Begin without any."""
        self.held = 0
        self._kinds: OrderedDict[object, _Kind] = OrderedDict()

    def thinned(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Return the alerts that are to be kept now: those, and what was held back of kinds whose second is over."""
        found: list[Alert] = []
        for alert in alerts:
            if alert.origin is Origin.SENSOR:
                found.append(alert)
                continue
            key = _key(alert)
            kind = self._kinds.get(key)
            if kind is None or alert.boot_ns - kind.began_ns >= SECOND_NS:
                if kind is not None:
                    found += _told(kind)
                    del self._kinds[key]
                kind = self._kinds[key] = _Kind(alert.boot_ns)
                while len(self._kinds) > MOST:
                    found += _told(self._kinds.popitem(last=False)[1])
            if kind.kept < FIRST:
                kind.kept += 1
                found.append(alert)
                continue
            if not kind.held:
                kind.first_ns = alert.at_ns
            kind.held += 1
            self.held += 1
            kind.last = alert
        return found

    def due(self, now_ns: int, *, ending: bool = False) -> list[Alert]:
        """Return one alert for each kind of which some were held back and whose second is over.

        Args:
            now_ns: CLOCK_BOOTTIME.
            ending: Do not wait for that.
        """
        found: list[Alert] = []
        while self._kinds:
            key, kind = next(iter(self._kinds.items()))
            if not ending and now_ns - kind.began_ns < SECOND_NS:
                break
            del self._kinds[key]
            found += _told(kind)
        return found


def _key(alert: Alert) -> object:
    actor = alert.process[0] if alert.process else None
    return (
        alert.rule, alert.event, alert.error, alert.verdict, alert.container.get("id", ""),
        (actor.pid, actor.start_ns, actor.path) if actor else None,
        tuple(str(alert.fields.get(name, "")) for name in _OBJECTS),
    )  # fmt: skip


def _told(kind: _Kind) -> Iterator[Alert]:
    if kind.last is not None:
        fields = {**kind.last.fields, "repeated": kind.held, "repeated.since_ns": kind.first_ns}
        text = f"{kind.last.output} ({kind.held} times more, not told one by one)"
        yield replace(kind.last, output=text, fields=fields)
