"""The spool's file: its tables, how it is opened, and what SQLite's refusals mean to a person."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
import time
from pathlib import Path

from holdfast.model.errors import Error, NotPermitted, NotReachable, NotUnderstood, Unsafe
from holdfast.store.chain import genesis

VERSION = 1
APPLICATION = 0x48_46_53_50
"""``HFSP`` in the file's header: a database that is not a spool is never taken for one."""

FILES = ("", "-wal", "-shm")
"""What SQLite appends to the name of the file."""

_TABLES = """
CREATE TABLE head(one INTEGER PRIMARY KEY CHECK(one = 1), stream TEXT NOT NULL, made_ns INTEGER NOT NULL,
    dropped INTEGER NOT NULL, gaps BLOB NOT NULL) STRICT;
CREATE TABLE record(
    sequence INTEGER PRIMARY KEY, accepted_ns INTEGER NOT NULL, kind INTEGER NOT NULL, priority INTEGER NOT NULL,
    hash BLOB NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX record_by_urgency ON record(kind, priority, sequence);
CREATE TABLE gap(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE sink(
    name TEXT PRIMARY KEY, active INTEGER NOT NULL, position INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    next_try_ns INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '', delivered INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0, missed INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE dead(
    sink TEXT NOT NULL, sequence INTEGER NOT NULL, attempts INTEGER NOT NULL, error TEXT NOT NULL,
    at_ns INTEGER NOT NULL, PRIMARY KEY(sink, sequence)
) STRICT, WITHOUT ROWID;
"""


def told(error: sqlite3.Error, path: Path) -> Error:
    """Say what SQLite's refusal means and what to do.

    Args:
        error: What SQLite raised.
        path: The spool's file.
    """
    code = getattr(error, "sqlite_errorcode", 0)
    where = str(path)
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return NotReachable(
            "the disk under the spool is full; nothing that was accepted is lost",
            where,
            "make room on the disk; the spool goes on by itself",
        )
    if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return NotUnderstood(
            "the spool is damaged", where, "keep it as evidence, and let a new one begin: holdfast alerts aside FILE"
        )
    if primary in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
        return NotPermitted("the spool cannot be written", where, "run as the user that owns it")
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return NotReachable("another program holds the spool locked", where, "close it there")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return NotReachable("the spool cannot be opened", where, "look whether its folder is there and may be read")
    if primary == sqlite3.SQLITE_IOERR:
        return NotReachable(
            "the disk under the spool fails", where, "look into the kernel's log for errors of the disk"
        )
    return NotReachable(f"the spool does not work: {error}", where)


def connected(path: Path, *, durable: bool, readonly: bool = False) -> sqlite3.Connection:
    """Open one connection.

    Args:
        path: The spool's file.
        durable: Whether a commit waits until the disk has it. With a write-ahead log only ``synchronous=FULL`` does so;
            ``NORMAL`` loses the last commits, though never the file, when the power fails.
        readonly: Whether writing is refused.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA journal_size_limit=16777216")
        if readonly:
            connection.execute("PRAGMA query_only=ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def prepared(path: Path) -> None:
    """Make the file where it is missing, and refuse it where it is not ours alone.

    Raises:
        NotReachable: The folder is not there or the disk is full.
        NotPermitted: The kernel refuses.
        Unsafe: It is no regular file, or somebody else could write it or its folder.
    """
    try:
        folder = path.parent.stat()
        if folder.st_uid not in {0, os.geteuid()} or folder.st_mode & 0o022:
            raise Unsafe("others may write the folder of the spool", str(path.parent), "take a folder of your own")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except FileNotFoundError as error:
        raise NotReachable("the folder of the spool is missing", str(path.parent), "make it, mode 0700") from error
    except PermissionError as error:
        raise NotPermitted("the spool cannot be opened", str(path), "run as the user that owns it") from error
    except OSError as error:
        raise Unsafe(f"the spool is no regular file: {error.strerror}", str(path), "name another file") from error
    try:
        seen = os.fstat(handle)
    finally:
        os.close(handle)
    ours(seen, path)


def ours(seen: os.stat_result, path: Path) -> None:
    """Refuse a file that somebody else could have put there or could write.

    Raises:
        Unsafe: It is no regular file, or not ours alone.
    """
    if not stat.S_ISREG(seen.st_mode) or seen.st_uid not in {0, os.geteuid()} or seen.st_mode & 0o022:
        raise Unsafe("the spool is not ours alone", str(path), "look who put it there and remove it")


def established(connection: sqlite3.Connection, path: Path, *, make: bool) -> str:
    """Make the tables where the file is new, and refuse it where it is not a spool of this version.

    Args:
        connection: A connection that may write.
        path: The file, for the error.
        make: Whether a new file becomes a spool; otherwise it is refused.

    Returns:
        The stream's name.

    Raises:
        NotUnderstood: A newer version wrote it.
        Unsafe: It is a database of something else.
        sqlite3.Error: It cannot be read or written.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if (version or application or tables) and application != APPLICATION:
        raise Unsafe("this is a database of something else", str(path), "name another file for the spool")
    if version > VERSION:
        raise NotUnderstood(
            f"the spool has version {version}, and this program knows {VERSION}",
            str(path),
            "use the version of Holdfast that wrote it, or name another file",
        )
    if not version and not make:
        raise Unsafe("this is an empty file, no spool", str(path), "name the spool that holdfast watch was given")
    if not version:
        # Before the first table: they decide how the file is laid out. It can shrink when the quota does.
        connection.execute("PRAGMA page_size=8192")
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        stream = secrets.token_hex(16)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _TABLES.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute("INSERT INTO head VALUES (1, ?, ?, 0, ?)", (stream, time.time_ns(), bytes(32)))
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    if make:
        connection.execute("PRAGMA journal_mode=WAL")
    return str(connection.execute("SELECT stream FROM head").fetchone()[0])


def last(connection: sqlite3.Connection, stream: str) -> tuple[int, bytes]:
    """Return number and hash of the newest record, dropped ones included; before the first one 0 and the genesis."""
    record = connection.execute("SELECT sequence, hash FROM record ORDER BY sequence DESC LIMIT 1").fetchone()
    gap = connection.execute("SELECT last, hash FROM gap ORDER BY first DESC LIMIT 1").fetchone()
    return max(filter(None, (record, gap)), default=(0, genesis(stream)))


def size(path: Path) -> int:
    """Return the bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
