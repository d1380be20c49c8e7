"""One writer for one spool: the lock that a second one meets."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from holdfast.model.errors import NotPermitted, NotReachable, Unsafe

MARK = b"Holdfast spool\n"
"""What the lock holds: it says whose file stood beside it, whatever became of that file."""


def only(path: Path) -> int:
    """Become the only writer of a spool.

    The lock is a file of its own: closing any descriptor of the database itself would let go of SQLite's locks. The
    kernel releases it when the process ends, however that happens.

    Args:
        path: The spool's file.

    Returns:
        A descriptor; closing it gives the lock back.

    Raises:
        Unsafe: Another process writes this spool.
        NotPermitted: The kernel refuses.
        NotReachable: The lock cannot be made, for example on a full disk.
    """
    name = f"{path}.lock"
    try:
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise NotPermitted("the spool cannot be locked", name, "run as the user that owns it") from error
    except OSError as error:
        raise NotReachable(f"the spool cannot be locked: {error.strerror}", name) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise Unsafe(
            "another process writes this spool", str(path), "end it first, or name another file for this one"
        ) from error
    return handle


def mark(handle: int) -> None:
    """Note in the lock that a spool stands beside it.

    Args:
        handle: What ``only`` returned.
    """
    with suppress(OSError):  # a full disk is told by whoever writes the spool
        os.pwrite(handle, MARK, 0)
