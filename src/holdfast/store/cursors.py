"""How far each sink is: delivered up to where, attempts, the next one, and the letters that never arrived."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.store import database

_TOLD = 500
"""Characters of an error that are kept."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where one sink stands.

    Attributes:
        name: The sink's name.
        position: Every record up to this number is done: delivered, or among the dead letters.
        attempts: Failed ones since the last success.
        next_try_ns: Wall clock of the next one, nanoseconds since 1970; 0 where none waits. It is for people and for a
            restart: a running forwarder counts on a clock that does not jump.
        error: Why the last one failed; empty after a success.
        delivered, failed, dead, missed: Counted since the sink was first named: records delivered, attempts that
            failed, dead letters that are kept, records dropped for the quota before this sink had them.
    """

    name: str
    position: int
    attempts: int
    next_try_ns: int
    error: str
    delivered: int
    failed: int
    dead: int
    missed: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that a sink refused for good.

    Attributes:
        sink: The sink's name.
        sequence: The record's number.
        attempts: How often it was tried.
        error: What the receiver said.
        at_ns: Wall clock, nanoseconds since 1970.
    """

    sink: str
    sequence: int
    attempts: int
    error: str
    at_ns: int


class Cursors:
    """The cursors of one spool; each sink's is moved by one thread."""

    def __init__(
        self, connection: sqlite3.Connection, writing: threading.Lock, path: Path, newest: Callable[[], int]
    ) -> None:
        """Keep a connection of its own, the lock that all writers of the spool share, and who knows the last number."""
        self._connection = connection
        self._writing = writing
        self._path = path
        self._newest = newest

    def enlist(self, names: Iterable[str], *, backlog: bool = True) -> None:
        """Say which sinks there are. Others keep their cursor, and records no longer wait for them.

        Args:
            names: The sinks.
            backlog: Whether a sink that was never named before gets what the spool already holds, too.
        """
        with self._changing() as connection:
            connection.execute("UPDATE sink SET active = 0")
            for name in names:
                connection.execute(
                    "INSERT INTO sink(name, active, position) VALUES (?, 1, ?)"
                    " ON CONFLICT(name) DO UPDATE SET active = 1",
                    (name, 0 if backlog else self._newest()),
                )

    def at(self, name: str) -> Cursor:
        """Return where a sink stands.

        Raises:
            KeyError: It was never enlisted.
        """
        return self.all()[name]

    def all(self) -> Mapping[str, Cursor]:
        """Return where every sink stands that is enlisted."""
        with self._using() as connection:
            rows = connection.execute(
                "SELECT name, position, attempts, next_try_ns, error, delivered, failed,"
                " (SELECT count(*) FROM dead WHERE dead.sink = sink.name), missed FROM sink WHERE active ORDER BY name"
            ).fetchall()
        return {row[0]: Cursor(*row) for row in rows}

    def delivered(self, name: str, position: int, count: int) -> None:
        """Move a cursor forward; it never goes back.

        Args:
            name: The sink.
            position: The last number that is done.
            count: How many records the receiver has taken.
        """
        with self._changing() as connection:
            connection.execute(
                "UPDATE sink SET position = max(position, ?), delivered = delivered + ?, attempts = 0,"
                " next_try_ns = 0, error = '' WHERE name = ?",
                (position, count, name),
            )

    def failed(self, name: str, attempts: int, error: str, next_try_ns: int) -> None:
        """Note an attempt that failed, and when the next one is due (wall clock, nanoseconds since 1970)."""
        with self._changing() as connection:
            connection.execute(
                "UPDATE sink SET attempts = ?, error = ?, next_try_ns = ?, failed = failed + 1 WHERE name = ?",
                (attempts, _legible(error), next_try_ns, name),
            )

    def bury(self, name: str, sequence: int, attempts: int, error: str) -> None:
        """Put a record among a sink's dead letters and move the cursor behind it, both or neither."""
        with self._changing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?)",
                (name, sequence, attempts, _legible(error), time.time_ns()),
            )
            connection.execute(
                "UPDATE sink SET position = max(position, ?), attempts = 0, next_try_ns = 0, error = ?,"
                " failed = failed + 1 WHERE name = ?",
                (sequence, _legible(error), name),
            )

    def dead(self, name: str | None = None) -> list[Letter]:
        """Return the dead letters of one sink, or of all, by sink and number."""
        with self._using() as connection:
            rows = connection.execute(
                "SELECT sink, sequence, attempts, error, at_ns FROM dead WHERE ?1 IS NULL OR sink = ?1"
                " ORDER BY sink, sequence",
                (name,),
            ).fetchall()
        return [Letter(*row) for row in rows]

    def raised(self, name: str, sequence: int) -> None:
        """Take a letter from the dead: it arrived after all, or nobody wants it any more."""
        with self._changing() as connection:
            connection.execute("DELETE FROM dead WHERE sink = ? AND sequence = ?", (name, sequence))

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise database.told(error, self._path) from error

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise


def _legible(error: str) -> str:
    """Return an error as SQLite can hold it: what a receiver says may hold anything."""
    return error[:_TOLD].encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")
