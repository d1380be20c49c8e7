"""Which alerts a person is shown one by one when many of a kind come in one second; the others are counted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.model.alert import Alert

SHOWN = 20
"""Events of one kind that are shown in one second."""
MOST = 1024
"""Kinds that are followed at once."""
_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Kind:
    """What is alike: the same container, call, outcome, response and rules, whatever the process is called.

    Attributes:
        first: Its first event's alerts.
        second: When it began, in whole seconds of CLOCK_BOOTTIME.
        shown: Events that were shown.
        counted: Events that were not.
    """

    first: Alert
    rules: tuple[str, ...]
    second: int
    shown: int = 0
    counted: int = 0


class Crowd:
    """Counts by kind and second."""

    def __init__(self) -> None:
        """Begin without any."""
        self._kinds: OrderedDict[object, Kind] = OrderedDict()
        self._second = 0

    def over(self, at_ns: int) -> Iterator[Kind]:
        """Iterate over the kinds of which more came than was shown, and whose second is over.

        Args:
            at_ns: Now, CLOCK_BOOTTIME.
        """
        second = at_ns // _SECOND_NS
        if second <= self._second:
            return
        self._second = second
        for key in [key for key, kind in self._kinds.items() if kind.second < second]:
            kind = self._kinds.pop(key)
            if kind.counted:
                yield kind

    def admits(self, alerts: Sequence[Alert]) -> bool:
        """Tell whether the alerts of one event are to be shown; they are counted if not."""
        first = alerts[0]
        rules = tuple(dict.fromkeys(one.rule for one in alerts))
        outcome = tuple((one.succeeded, one.verdict) for one in alerts)
        key = (str(first.container.get("id", "")), first.event, rules, outcome)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= MOST:
                return True
            kind = self._kinds[key] = Kind(first, rules, first.boot_ns // _SECOND_NS)
        if kind.shown < SHOWN:
            kind.shown += 1
            return True
        kind.counted += 1
        return False
