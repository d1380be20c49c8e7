"""Shows alerts from a thread of its own: a terminal or pipe that nobody reads must not hold the sensor up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from holdfast.model.alert import Alert

WAITING = 4096
"""Events whose alerts wait to be shown; what comes beyond that is not shown. It is in the spool, where there is one."""
_LAST_S = 3.0


class Telling:
    """The thread that shows.

    Attributes:
        count: Alerts that were handed over.
        missed: Alerts that had no room.
        gone: Nobody can be shown anything any more.
    """

    def __init__(self, show: Callable[[Sequence[Alert]], None], say: Callable[[str], None]) -> None:
        """Begin.

        Args:
            show: Is given the alerts of one event; it may wait, and may raise OSError when nobody is there.
            say: Is given a line when alerts were not shown.
        """
        self.count = 0
        self.missed = 0
        self.gone = False
        self._show = show
        self._say = say
        self._queue: queue.Queue[Sequence[Alert] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="holdfast-telling", daemon=True)
        self._thread.start()

    def __call__(self, alerts: Sequence[Alert]) -> None:
        """Have alerts shown. Never waits."""
        self.count += len(alerts)
        try:
            self._queue.put_nowait(alerts)
        except queue.Full:
            self.missed += len(alerts)

    def close(self) -> None:
        """Show what waits, for a moment, and end."""
        try:
            self._queue.put(None, timeout=_LAST_S)
        except queue.Full:
            self.missed += self._queue.qsize()
        self._thread.join(_LAST_S)
        if self.missed:
            self._say(f"{self.missed} alerts were not shown: nobody read fast enough")

    def _run(self) -> None:
        while (alerts := self._queue.get()) is not None:
            if not self.gone:
                try:
                    self._show(alerts)
                except (OSError, ValueError):
                    self.gone = True
