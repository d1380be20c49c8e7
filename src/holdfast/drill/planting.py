"""Write into trees that a replica could write to as well: no link is followed, no pipe waited for, nothing replaced."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@contextlib.contextmanager
def opened(top: Path, folder: Path, *, make: bool = False) -> Iterator[int]:
    """Open a folder below another one component by component.

    Args:
        top: Where nobody else can write; links in its own path count.
        folder: Below it, or ``top`` itself.
        make: Make what is absent, mode 0755.

    Raises:
        OSError: A link or a file stands on the way (ELOOP, ENOTDIR), or something is absent.
        ValueError: The folder does not lie below ``top``.
    """
    handle = os.open(top, _FOLDER)
    try:
        for part in folder.relative_to(top).parts:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=handle)
            inner = os.open(part, _FOLDER, dir_fd=handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def kind(top: Path, path: Path) -> int:
    """Return the file type of what lies there, ``stat.S_IFLNK`` for a link; 0 where nothing does, or behind a link.

    Raises:
        ValueError: The path does not lie below ``top``.
    """
    if path == top:
        return stat.S_IFDIR
    try:
        with opened(top, path.parent) as folder:
            return stat.S_IFMT(os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return 0


def written(top: Path, path: Path, text: str, mode: int) -> None:
    """Make a file that is not there yet.

    Raises:
        OSError: It is there, or a link stands on the way.
        ValueError: The path does not lie below ``top``.
    """
    with opened(top, path.parent) as folder:
        file = os.open(path.name, _WRITE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
        try:
            os.fchmod(file, mode)
            os.write(file, text.encode("ascii"))
        finally:
            os.close(file)


def overwritten(top: Path, path: Path, text: str) -> None:
    """Give a file that is there other contents.

    Raises:
        OSError: It is not there, is no regular file, has a second name, or a link stands on the way.
        ValueError: The path does not lie below ``top``.
    """
    with opened(top, path.parent) as folder:
        file = os.open(path.name, _WRITE, dir_fd=folder)
        try:
            seen = os.fstat(file)
            if not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1:
                raise FileExistsError(None, "it is not the file that was planted", str(path))
            os.ftruncate(file, 0)
            os.write(file, text.encode("ascii"))
        finally:
            os.close(file)


def removed(top: Path, path: Path) -> None:
    """Remove a file or a link; nothing where it is absent or a link stands on the way.

    Raises:
        ValueError: The path does not lie below ``top``.
    """
    with contextlib.suppress(OSError), opened(top, path.parent) as folder:
        os.unlink(path.name, dir_fd=folder)
