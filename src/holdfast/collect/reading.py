"""Read one file without hanging on it: no terminal is taken, no pipe waited for, no size trusted."""

from __future__ import annotations

import errno
import os
import stat

from holdfast.model.errors import Error, NotPermitted, NotReachable, NotUnderstood

CHUNK = 1 << 16


def read_bytes(path: str, limit: int, *, folder: int | None = None, shown: str = "") -> bytes | Error:
    """Read a regular file, or say why not.

    Args:
        path: The file. Relative to ``folder`` where one is given.
        limit: Most bytes that are taken. A longer file is refused, not cut.
        folder: Open directory that a relative path starts from; None for the working directory.
        shown: How a person calls the file, where that is not the path itself.

    Returns:
        The bytes; NotReachable where nothing is there, NotPermitted where the kernel refused, NotUnderstood where it
        is no regular file or is longer than the limit.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, dir_fd=folder)
    except OSError as error:
        return failure(error, shown or path)
    try:
        seen = os.fstat(handle)
        if seen.st_size > limit:
            return too_large(shown or path, limit)
        if not stat.S_ISREG(seen.st_mode):
            return NotUnderstood("This is not a regular file", shown or path, "name a regular file")
        parts: list[bytes] = []
        length = 0
        while part := os.read(handle, CHUNK):
            parts.append(part)
            length += len(part)
            if length > limit:
                return too_large(shown or path, limit)
        return parts[0] if len(parts) == 1 else b"".join(parts)
    except OSError as error:
        return failure(error, shown or path)
    finally:
        os.close(handle)


def read_text(path: str, limit: int, *, folder: int | None = None, shown: str = "") -> str | Error:
    """Read a file as ``read_bytes`` does and decode it as UTF-8; bytes that are none stand as U+FFFD."""
    data = read_bytes(path, limit, folder=folder, shown=shown)
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else data


def read_link(path: str, *, folder: int | None = None, shown: str = "") -> str | Error:
    """Read where a symbolic link points, or say why not."""
    try:
        return os.readlink(path, dir_fd=folder)
    except OSError as error:
        return failure(error, shown or path)


def failure(error: OSError, path: str) -> Error:
    """Turn the kernel's refusal into an error that says which privilege would show more."""
    reason = error.strerror or str(error)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return NotPermitted(f"Cannot be read: {reason}", path, "run as root to see it")
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ESRCH}:
        return NotReachable(f"Is not there: {reason}", path)
    if error.errno == errno.ELOOP:
        return NotUnderstood("Symbolic links form a loop", path, "remove the loop or name the real file")
    return NotReachable(f"Cannot be read: {reason}", path, "look at the kernel log for trouble with this file system")


def too_large(path: str, limit: int) -> NotUnderstood:
    """Say that a file is longer than what is read."""
    return NotUnderstood(
        f"Is larger than {limit:,} bytes, the most that is read of one file",
        path,
        "name the files that describe containers, and leave out this one",
    )
