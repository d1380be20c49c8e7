"""Brings what the spool holds to the sinks: one thread for each, so that one that hangs delays nobody else.

Every record arrives at least once, in order, with its stamp; a receiver knows a second copy by it. A record is given up
(a dead letter) only when the receiver itself refuses it: for good, or again and again while it takes others. A receiver
that is away or busy is waited for, as long as the spool's quota lasts.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from holdfast.model.alert import Alert
from holdfast.model.errors import Error
from holdfast.model.evidence import Kept, Stamp
from holdfast.reports import alert_json
from holdfast.sensor.sinks.outcome import Permanent, Temporary

Encode = Callable[[Kept], bytes]

_LONGEST_ASKED_S = 3600.0
_LOOK_S = 1.0
"""How long an idle forwarder sleeps at most."""


class Sink(Protocol):
    """A way to a receiver."""

    name: str

    def send(self, records: Sequence[bytes]) -> None:
        """Bring records there; raise Temporary or Permanent where they were not taken."""

    def abort(self) -> None:
        """Let ``send`` give up, from another thread."""

    def close(self) -> None:
        """Let go of the connection."""


class Position(Protocol):
    """Where a sink stands."""

    @property
    def position(self) -> int:
        """The last number that is done."""
        ...

    @property
    def attempts(self) -> int:
        """Failed attempts since the last success."""
        ...

    @property
    def next_try_ns(self) -> int:
        """Wall clock of the next one."""
        ...


class Positions(Protocol):
    """Where every sink stands, kept over restarts."""

    def at(self, name: str) -> Position:
        """Return where one stands."""
        ...

    def delivered(self, name: str, position: int, count: int) -> None:
        """Move forward."""

    def failed(self, name: str, attempts: int, error: str, next_try_ns: int) -> None:
        """Note a failed attempt."""

    def bury(self, name: str, sequence: int, attempts: int, error: str) -> None:
        """Give a record up."""


class Records(Protocol):
    """The spool, as a forwarder sees it."""

    @property
    def newest(self) -> int:
        """The last number given."""
        ...

    @property
    def cursors(self) -> Positions:
        """Where every sink stands."""
        ...

    def after(self, sequence: int, limit: int) -> Sequence[Kept]:
        """Return records behind a number."""
        ...

    def wait(self, sequence: int, seconds: float) -> bool:
        """Wait for one."""
        ...

    def wake(self) -> None:
        """Let everybody who waits look up."""


def native(kept: Kept) -> bytes:
    """Write a record as native JSON: it lies in the spool so."""
    return alert_json.stamped(kept.body, kept.stamp)


def encoding(render: Callable[[Alert, Stamp], bytes]) -> Encode:
    """Write records in another format.

    Args:
        render: From ``reports``.
    """
    return lambda kept: render(alert_json.read(kept.body), kept.stamp)


class Forwarder:
    """One sink's thread."""

    def __init__(  # noqa: PLR0913 - each has a meaning of its own and a default
        self,
        records: Records,
        sink: Sink,
        encode: Encode = native,
        *,
        batch: int = 100,
        attempts: int = 8,
        shortest_s: float = 0.5,
        longest_s: float = 60.0,
    ) -> None:
        """Join a spool and a sink; ``start`` begins.

        Args:
            records: The spool; it knows the sink's name.
            sink: The sink; this thread alone uses it.
            encode: The format.
            batch: Records in one ``send`` at most.
            attempts: After how many failures over one record, each answered by the receiver, it is given up.
            shortest_s: The first pause after a failure, in seconds. Each next one is twice as long, and all are
                drawn between half and whole, so that many senders do not come back together.
            longest_s: The longest pause that we choose ourselves.
        """
        self.name = sink.name
        self._records = records
        self._sink = sink
        self._encode = encode
        self._batch = self._size = batch
        self._most = attempts
        self._shortest = shortest_s
        self._longest = longest_s
        self._stopping = threading.Event()
        self._attempts = self._answered = 0
        self._position = 0
        self._counts = {"delivered": 0, "failed": 0, "dead": 0, "unsaved": 0}
        self._error = ""
        self._thread = threading.Thread(target=self._run, name=f"holdfast-sink-{sink.name}", daemon=True)

    def start(self) -> None:
        """Begin, where the sink's cursor stands."""
        self._position = self._records.cursors.at(self.name).position
        self._thread.start()

    def stop(self, seconds: float = 1.0) -> bool:
        """End. What is not delivered stays in the spool.

        Args:
            seconds: How long to wait. A thread that still hangs then, for example in the resolver, is left behind: it
                ends with the process, and cannot lose anything.

        Returns:
            Whether the thread has ended.
        """
        self._stopping.set()
        self._records.wake()
        self._sink.abort()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def counters(self) -> Mapping[str, int]:
        """Return what was counted since the start, and how many records the sink still has to get."""
        return {
            **self._counts,
            "attempts": self._attempts,
            "position": self._position,
            "lag": max(self._records.newest - self._position, 0),
        }

    @property
    def error(self) -> str:
        """Why the last attempt failed; empty after a success."""
        return self._error

    def _run(self) -> None:
        try:
            self._resume()
            while not self._stopping.is_set():
                try:
                    kept = self._records.after(self._position, self._size)
                    if not kept:
                        self._records.wait(self._position, _LOOK_S)
                        continue
                except Error as error:
                    self._error = error.what
                    self._stopping.wait(_LOOK_S)
                    continue
                self._deliver(kept)
        finally:
            self._sink.close()

    def _resume(self) -> None:
        stands = self._records.cursors.at(self.name)
        self._attempts = stands.attempts
        # Counted from a clock that may have been set meanwhile: never longer than we would wait ourselves.
        left = (stands.next_try_ns - time.time_ns()) / 1e9
        if stands.next_try_ns and left > 0:
            self._stopping.wait(min(left, self._longest))

    def _deliver(self, kept: Sequence[Kept]) -> None:
        try:
            encoded = [self._encode(one) for one in kept]
        except Exception as error:  # noqa: BLE001 - no alert, however odd, may end the thread
            self._refused(kept, f"it cannot be written: {error!r}")
            return
        try:
            self._sink.send(encoded)
        except Permanent as refusal:
            self._refused(self._without(kept, refusal.taken), str(refusal))
        except Temporary as failure:
            rest = self._without(kept, failure.taken)
            self._failed(rest, str(failure), failure.retry_after, answered=failure.answered)
        except Exception as error:  # noqa: BLE001 - the same
            self._failed(kept, repr(error), None, answered=True)
        else:
            self._size = min(self._size * 2, self._batch)
            self._without(kept, len(kept))

    def _without(self, kept: Sequence[Kept], taken: int) -> Sequence[Kept]:
        """Move the cursor behind the first records, which arrived, and return the others."""
        if taken:
            self._attempts = self._answered = 0
            self._error = ""
            self._position = kept[taken - 1].stamp.sequence
            self._counts["delivered"] += taken
            self._save(lambda to: to.delivered(self.name, self._position, taken))
        return kept[taken:]

    def _refused(self, kept: Sequence[Kept], why: str) -> None:
        self._error = why
        if len(kept) > 1:
            self._size = len(kept) // 2
            return
        self._counts["dead"] += 1
        self._position = kept[0].stamp.sequence
        tried, self._attempts, self._answered = self._attempts + 1, 0, 0
        self._save(lambda to: to.bury(self.name, self._position, tried, why))

    def _failed(self, kept: Sequence[Kept], why: str, retry_after: float | None, *, answered: bool) -> None:
        if self._stopping.is_set():
            return
        self._error = why
        self._counts["failed"] += 1
        self._attempts += 1
        self._answered += answered
        if self._answered >= self._most:
            self._answered = 0
            self._refused(kept, f"after {self._most} attempts: {why}")
            return
        pause = min(self._shortest * 2 ** min(self._attempts - 1, 30), self._longest)
        pause *= random.uniform(0.5, 1.0)  # noqa: S311 - spread, not secrecy
        if retry_after is not None:
            pause = max(pause, min(retry_after, _LONGEST_ASKED_S))
        self._save(lambda to: to.failed(self.name, self._attempts, why, time.time_ns() + int(pause * 1e9)))
        self._stopping.wait(pause)

    def _save(self, change: Callable[[Positions], None]) -> None:
        """Keep the cursor. Where the disk refuses, delivery goes on: after a restart some records arrive twice."""
        try:
            change(self._records.cursors)
        except Error:
            self._counts["unsaved"] += 1
