"""The spool of alerts: what was accepted is on the disk, in one order, bound by a hash chain, until every sink has it.

``append`` returns when the disk has the alerts (SQLite, write-ahead log, ``synchronous=FULL``): neither kill -9 nor a
power failure takes them back. Cursors of sinks are written without that wait. Losing the last of them means that some
alerts are sent twice, with the same stamp.

The chain shows damage, and changes by anybody who cannot rewrite the whole file. Who can is caught by what the
receivers hold: every record carries its hash there.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.model.alert import Alert
from holdfast.model.errors import Usage
from holdfast.model.evidence import Kept, Stamp
from holdfast.reports import alert_json
from holdfast.store import database, quota, writer
from holdfast.store.chain import link
from holdfast.store.cursors import Cursors
from holdfast.store.fitting import fitted
from holdfast.store.verify import Verified, verified
from holdfast.store.write_ahead import WriteAhead

QUOTA = 1 << 30
LONGEST = 256 * 1024
"""Bytes of one record; a longer alert loses the ends of its longest strings, never itself."""

SMALLEST_QUOTA = 4 << 20
_ALERT, _DROPPED = 0, 1


class Spool:
    """The open spool. Every method may be called from any thread; one process writes.

    Attributes:
        path: The file.
        stream: Names this spool's chain, 32 hex digits.
        cursors: How far each sink is.
    """

    def __init__(self, path: Path, lock: int, quota_bytes: int, node: str, clock: Callable[[], int]) -> None:
        """Keep what ``open`` was given; ``lock`` is -1 for a reader."""
        self.path = path
        self._lock = lock
        self._quota = quota_bytes
        self._node = node
        self._clock = clock
        self._writing = threading.Lock()
        self._grown = threading.Condition()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._closed = False
        self._accepted = self._refused = self._dropped = self._dropped_undelivered = 0
        self._write = database.connected(path, durable=True)
        try:
            self.stream = database.established(self._write, path, make=lock >= 0)
            self._last, self._hash = database.last(self._write, self.stream)
            self._light = database.connected(path, durable=False)
            if lock >= 0:
                writer.mark(lock)
        except BaseException:
            self._write.close()
            raise
        self.cursors = Cursors(self._light, self._writing, path, lambda: self._last)
        self._log = WriteAhead(path, self._writing, quota_bytes) if lock >= 0 else None

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        quota_bytes: int = QUOTA,
        node: str = "",
        clock: Callable[[], int] = time.time_ns,
        writing: bool = True,
    ) -> Self:
        """Open a spool, or make it.

        Args:
            path: The file. Its folder is there and belongs to this user or root alone.
            quota_bytes: How large the file may grow; see ``quota``. The write-ahead log beside it takes as much
                again under flood, 64 MiB at most.
            node: Host name for records that the spool itself makes; the machine's by default.
            clock: Wall clock, nanoseconds since 1970.
            writing: False reads only, while another process may write: what it adds is seen by ``after``, not by
                ``newest`` and ``wait``.

        Raises:
            Usage: The quota is too small to work with.
            NotReachable: The folder or the disk is not there, or the disk is full.
            NotPermitted: The kernel refuses.
            NotUnderstood: It is damaged (``aside.moved`` helps), or a newer version wrote it.
            Unsafe: Another process writes it, it is something else, or others could write it.
        """
        if quota_bytes < SMALLEST_QUOTA:
            raise Usage("the quota of the spool is too small", str(quota_bytes), f"give {SMALLEST_QUOTA} bytes or more")
        lock = -1
        if writing:
            database.prepared(path)
            lock = writer.only(path)
        elif not path.is_file():
            raise database.told(_missing(), path)
        try:
            return cls(path, lock, quota_bytes, node or os.uname().nodename, clock)
        except BaseException as error:
            if lock >= 0:
                os.close(lock)
            if isinstance(error, sqlite3.Error):
                raise database.told(error, path) from error
            raise

    @property
    def newest(self) -> int:
        """The number of the last record that was accepted, 0 before the first."""
        return self._last

    def append(self, alerts: Sequence[Alert]) -> range:
        """Accept alerts, all or none. They count as accepted when this returned, not before.

        Args:
            alerts: In the order they shall have.

        Returns:
            Their sequence numbers.

        Raises:
            NotReachable: The disk is full or fails. Nothing of this call was accepted, what was before stays, and the
                next call may succeed.
            NotUnderstood: The file is damaged.
            Usage: The quota leaves no room for these alerts.
        """
        if self._lock < 0:
            raise Usage("this spool was opened for reading", str(self.path))
        bodies = [(alert.priority.value, _body(alert)) for alert in alerts]
        if not bodies:
            return range(self._last + 1, self._last + 1)
        with self._writing:
            try:
                numbers = self._accept(bodies)
            except sqlite3.Error as error:
                self._refused += len(bodies)
                raise database.told(error, self.path) from error
            except BaseException:
                self._refused += len(bodies)
                raise
            self._accepted += len(bodies)
        with self._grown:
            self._grown.notify_all()
        return numbers

    def after(self, sequence: int, limit: int, limit_bytes: int = 1 << 24) -> list[Kept]:
        """Return the records behind a sequence number, in order.

        Args:
            sequence: The last number not wanted.
            limit: Records at most.
            limit_bytes: Bytes of bodies at most; the first record is returned whatever its size.
        """
        kept: list[Kept] = []
        size = 0
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT sequence, accepted_ns, hash, body FROM record WHERE sequence > ? ORDER BY sequence LIMIT ?",
                (sequence, limit),
            )
            for number, accepted_ns, hash_, body in rows:
                size += len(body)
                if kept and size > limit_bytes:
                    break
                kept.append(Kept(Stamp(self.stream, number, hash_.hex()), accepted_ns, body))
            rows.close()
        return kept

    def wait(self, sequence: int, seconds: float) -> bool:
        """Wait until there is a record behind a sequence number.

        Returns:
            Whether there is one; False after ``seconds`` and when ``wake`` was called.
        """
        with self._grown:
            if self._last <= sequence and not self._closed:
                self._grown.wait(seconds)
            return self._last > sequence

    def wake(self) -> None:
        """Let everybody who waits look up."""
        with self._grown:
            self._grown.notify_all()

    def verify(self, progress: Callable[[int], None] = lambda _: None) -> Verified:
        """Recompute the whole chain.

        Args:
            progress: Called with the sequence number reached, now and then.

        Raises:
            NotUnderstood: SQLite itself cannot read the file any more.
        """
        with self._reading() as connection:
            return verified(connection, self.stream, progress)

    def counters(self) -> Mapping[str, int]:
        """Return what was counted since the spool was opened, and its present size in bytes and records."""
        with self._reading() as connection:
            first, count = connection.execute("SELECT coalesce(min(sequence), 0), count(*) FROM record").fetchone()
        return {
            "accepted": self._accepted,
            "refused": self._refused,
            "dropped": self._dropped,
            "dropped_undelivered": self._dropped_undelivered,
            "first": first,
            "last": self._last,
            "records": count,
            "bytes": sum(database.size(Path(f"{self.path}{ending}")) for ending in database.FILES[:2]),
            "quota_bytes": self._quota,
            "log_failures": self._log.failures if self._log else 0,
        }

    def close(self) -> None:
        """Close the spool. Calling it again does nothing."""
        with self._grown:
            if self._closed:
                return
            self._closed = True
            self._grown.notify_all()
        if self._log is not None:
            self._log.close()
        with self._writing:
            for connection in (*self._readers, self._light):
                connection.close()
            if self._lock >= 0:
                with suppress(sqlite3.Error):
                    self._write.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._write.close()
            if self._lock >= 0:
                os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self, bodies: Sequence[tuple[int, bytes]]) -> range:
        write = self._write
        at_ns = self._clock()
        dropped: list[quota.Dropped] = []
        write.execute("BEGIN IMMEDIATE")
        try:
            sequence, hash_ = self._last, self._hash
            for lost in quota.made_room(write, sum(len(body) for _, body in bodies), len(bodies), self._quota):
                dropped.append(lost)
                alert = quota.record(lost, self.stream, sequence + 1, self._node, at_ns)
                told = ((alert.priority.value, _body(alert)),)
                sequence, hash_ = self._insert(sequence, hash_, at_ns, _DROPPED, told)
            first = sequence + 1
            sequence, hash_ = self._insert(sequence, hash_, at_ns, _ALERT, bodies)
            write.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                if write.in_transaction:
                    write.execute("ROLLBACK")
            with suppress(sqlite3.Error):
                # A commit may be on the disk although SQLite reports that waiting for it failed.
                self._last, self._hash = database.last(write, self.stream)
            raise
        self._last, self._hash = sequence, hash_
        for lost in dropped:
            self._dropped += lost.count
            self._dropped_undelivered += lost.undelivered
        if dropped:
            with suppress(sqlite3.Error):
                quota.given_back(write, self._quota)
        if self._log is not None:
            self._log.grew(sum(len(body) for _, body in bodies) + 4096 * (2 + len(bodies) // 4))
        return range(first, sequence + 1)

    def _insert(
        self, sequence: int, hash_: bytes, at_ns: int, kind: int, bodies: Sequence[tuple[int, bytes]]
    ) -> tuple[int, bytes]:
        rows = []
        for priority, body in bodies:
            sequence += 1
            hash_ = link(hash_, (sequence, at_ns, kind, priority), body)
            rows.append((sequence, at_ns, kind, priority, hash_, body))
        self._write.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", rows)
        return sequence, hash_

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        try:
            if connection is None:
                connection = self._local.connection = database.connected(self.path, durable=False, readonly=True)
                self._readers.append(connection)
            yield connection
        except sqlite3.Error as error:
            raise database.told(error, self.path) from error


def _body(alert: Alert) -> bytes:
    body = alert_json.render(alert)
    return body if len(body) <= LONGEST else alert_json.render(fitted(alert, LONGEST))


def _missing() -> sqlite3.Error:
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    return error
