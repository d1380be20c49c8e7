"""Carries SQLite's write-ahead log over into the file in a thread of its own, so that no ``append`` waits for that."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from holdfast.store import database

_PASSED_ON = 4 << 20
_TOO_LONG = 64 << 20


class WriteAhead:
    """The log of one spool.

    Attributes:
        failures: How often it could not be carried over, as on a full disk; the log then grows until it can.
    """

    def __init__(self, path: Path, writing: threading.Lock, longest: int) -> None:
        """Begin the thread.

        Args:
            path: The spool's file.
            writing: The lock that all writers of the spool share.
            longest: Bytes that the log may have before the writers are held for once; 64 MiB at most.
        """
        self.failures = 0
        self._path = path
        self._writing = writing
        self._longest = min(longest, _TOO_LONG)
        self._bytes = 0
        self._due = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="holdfast-spool", daemon=True)
        self._thread.start()

    def grew(self, size: int) -> None:
        """Note that so many bytes, about, were written to the log."""
        self._bytes += size
        if self._bytes > _PASSED_ON:
            self._due.set()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while self._due.wait() and not self._closed:
            self._due.clear()
            self._bytes = 0
            try:
                connection = connection or database.connected(self._path, durable=True)
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if database.size(Path(f"{self._path}-wal")) > self._longest:
                    # Somebody always reads or writes: hold the writers for once, so that the log can begin anew.
                    with self._writing:
                        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error:
                self.failures += 1
        if connection is not None:
            connection.close()
