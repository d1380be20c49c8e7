"""Puts a spool out of the way, so that a new one can be begun. Nothing does this unasked."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path

from holdfast.model.errors import NotPermitted, NotReachable, Unsafe
from holdfast.store import database, writer

_SQLITE = b"SQLite format 3\0"
_HEADER = 100
_TABLES = frozenset(("head", "record", "gap", "sink", "dead"))
_OURS = database.APPLICATION.to_bytes(4, "big")
_APPLICATION = slice(68, 72)  # https://www.sqlite.org/fileformat.html#the_database_header
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def moved(path: Path) -> Path:
    """Rename a spool and the files that SQLite kept beside it.

    A file is known as a spool by its header, or, where that is destroyed, by the lock that its writer left beside it.
    No link is followed, and no other file is touched.

    Args:
        path: The spool's file; no process may write it.

    Returns:
        The new name.

    Raises:
        Unsafe: It is no spool, a process writes it, or others could write it or its folder.
        NotPermitted: The kernel refuses.
        NotReachable: It is not there, or cannot be renamed.
    """
    with ExitStack() as stack:
        try:
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, folder)
            seen = os.fstat(folder)
            if seen.st_uid not in {0, os.geteuid()} or seen.st_mode & 0o022:
                raise Unsafe("others may write the folder of the spool", str(path.parent), "move the file by hand")
            _known(folder, path)
            stack.callback(os.close, writer.only(path))
            return path.with_name(_renamed(folder, path.name))
        except FileNotFoundError as error:
            raise NotReachable("there is no such spool", str(path), "see what holdfast watch was given") from error
        except PermissionError as error:
            raise NotPermitted("the spool cannot be moved aside", str(path), "run as the user that owns it") from error
        except OSError as error:
            raise NotReachable(f"the spool cannot be moved aside: {error.strerror}", str(path)) from error


def _known(folder: int, path: Path) -> None:
    """Refuse what is no spool, before anything is made or moved.

    Raises:
        Unsafe: It is none, or not ours alone.
        OSError: It cannot be read.
    """
    try:
        handle = os.open(path.name, _FILE, dir_fd=folder)
    except (FileNotFoundError, PermissionError):
        raise
    except OSError as error:  # ELOOP for a link, ENXIO for a socket
        raise Unsafe(f"this is no spool: {error.strerror}", str(path), "name the file itself") from error
    try:
        database.ours(os.fstat(handle), path)
        head = os.pread(handle, _HEADER, 0)
    finally:
        os.close(handle)
    if head.startswith(_SQLITE) and head[_APPLICATION] != _OURS and _another(path):
        raise Unsafe("this is a database of something else", str(path), "name the spool of holdfast watch")
    if not (head.startswith(_SQLITE) and head[_APPLICATION] == _OURS) and not _written(folder, path.name):
        raise Unsafe("this is no spool, and none stood here", str(path), "name the spool of holdfast watch")


def _another(path: Path) -> bool:
    """Tell whether SQLite can read a database and it is not ours; a new spool's tables may be in its log only."""
    try:
        # Immutable: opened otherwise, SQLite works off the log, and the evidence would not be what it was.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            found = connection.execute("PRAGMA application_id").fetchone()[0]
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    except sqlite3.Error:
        return False
    return bool(found or tables) and found != database.APPLICATION and not tables >= _TABLES


def _written(folder: int, name: str) -> bool:
    """Tell whether a writer of ours left its lock beside a file."""
    try:
        handle = os.open(f"{name}.lock", _FILE, dir_fd=folder)
    except OSError:
        return False
    try:
        return os.fstat(handle).st_uid in {0, os.geteuid()} and os.pread(handle, 64, 0) == writer.MARK
    finally:
        os.close(handle)


def _renamed(folder: int, name: str) -> str:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    taken = set(os.listdir(folder))
    number = 0
    while any(one.startswith(aside := f"{name}.damaged-{stamp}{f'-{number}' if number else ''}") for one in taken):
        number += 1
    # Last the file itself: were this cut off before, the next call would still find it and finish.
    for ending in reversed(database.FILES):
        if name + ending in taken:
            os.rename(name + ending, aside + ending, src_dir_fd=folder, dst_dir_fd=folder)
    return aside
