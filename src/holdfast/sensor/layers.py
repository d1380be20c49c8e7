"""Where a container's program lies: in the image, or written since (overlay's upper layer); and how old it is.

Where the kernel's records do not tell, the overlay's own upper directory is asked, on the host, when a rule wants to
know. Paths are walked name by name and no link is followed: they are somebody else's.
"""

from __future__ import annotations

import os
import stat
import time
from typing import NamedTuple

from holdfast.model.event import Process
from holdfast.platforms._linux_host_records import mounts_of, unescaped
from holdfast.sensor.accounts import PLAIN, opened_process

LIMIT = 1 << 20
FRESH_S = 2.0
"""How long a container's mount table counts before it is read again."""
MOST = 1024
"""Most containers whose mount tables are remembered."""


class _Mount(NamedTuple):
    target: str
    kind: str
    upper: str


class Layers:
    """Tells the layer of programs."""

    def __init__(self, proc: str = "/proc") -> None:
        """Know no container yet."""
        self._proc = proc
        self._tables: dict[tuple[str, int], tuple[float, tuple[_Mount, ...]]] = {}

    def origin(self, process: Process) -> str:
        """Say where a container's program lies.

        Returns:
            ``upper``, ``image``, ``host`` for one on a mount that is no overlay, or empty where it cannot be said: a
            program of the host, a process that ended too soon, a file that was replaced meanwhile.
        """
        container, path = process.container, process.executable.path
        if container is None or not path.startswith("/"):
            return ""
        mount = _over(path, self._table(process))
        if mount is None:
            return ""
        if mount.kind != "overlay":
            return "host"
        if not mount.upper:
            return "image"
        inside = path[len(mount.target.rstrip("/")) :]
        found = _look(mount.upper, inside)
        if found is not None:
            # A device 0:0 covers a file of the image that was deleted; whether it ran, or one written over it did,
            # nobody can say any more.
            return "" if stat.S_ISCHR(found.st_mode) else "upper"
        try:
            folder = opened_process(process, self._proc)
        except OSError:
            return ""
        try:
            shown = _look("root", path, folder)
            if shown is not None:
                return "image" if shown.st_ino == process.executable.inode else ""
            # Gone, and nothing of the image covers the place: it was written since, and deleted.
            return "upper" if os.stat("exe", dir_fd=folder).st_ino == process.executable.inode else ""
        except OSError:
            return ""
        finally:
            os.close(folder)

    def times(self, process: Process) -> tuple[int, int]:
        """Say when a running program's file was last changed and modified.

        Returns:
            ctime and mtime, nanoseconds since 1970; zeros where the process ended, runs another program by now, or
            its program lies where a look could be made to wait.
        """
        executable = process.executable
        mount = _over(executable.path, self._table(process))
        if mount is None or mount.kind not in PLAIN or not executable.inode:
            return 0, 0
        try:
            folder = opened_process(process, self._proc)
        except OSError:
            return 0, 0
        try:
            found = os.stat("exe", dir_fd=folder)
        except OSError:
            return 0, 0
        finally:
            os.close(folder)
        return (found.st_ctime_ns, found.st_mtime_ns) if found.st_ino == executable.inode else (0, 0)

    def _table(self, process: Process) -> tuple[_Mount, ...]:
        container = process.container
        identity = ("" if container is None else container.id, process.namespaces.get("mnt", 0))
        known = self._tables.get(identity)
        now = time.monotonic()
        if known is not None and now - known[0] < FRESH_S:
            return known[1]
        text = self._mounts(process)
        if not text:  # the process is gone; what another one of its container showed still holds
            return known[1] if known is not None else ()
        table = tuple(
            _Mount(unescaped(mount.target), mount.fstype, _upper(mount.super_options)) for mount in mounts_of(text)
        )
        if len(self._tables) >= MOST and identity not in self._tables:
            del self._tables[next(iter(self._tables))]
        self._tables[identity] = (now, table)
        return table

    def _mounts(self, process: Process) -> str:
        try:
            folder = opened_process(process, self._proc)
        except OSError:
            return ""
        try:
            with os.fdopen(os.open("mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder), "rb") as file:
                return file.read(LIMIT).decode("utf-8", "surrogateescape")
        except OSError:
            return ""
        finally:
            os.close(folder)


def _upper(options: frozenset[str]) -> str:
    return next((unescaped(one[9:]) for one in options if one.startswith("upperdir=/")), "")


def _over(path: str, table: tuple[_Mount, ...]) -> _Mount | None:
    """Return the mount a path lies on: the longest target above it, of equal ones the last."""
    found = None
    for mount in table:
        above = mount.target.rstrip("/")
        fits = path == above or path.startswith(f"{above}/")
        if fits and (found is None or len(above) >= len(found.target.rstrip("/"))):
            found = mount
    return found


def _look(base: str, path: str, start: int | None = None) -> os.stat_result | None:
    """Look at a file below a folder, which itself is below ``start``; no link below it is followed."""
    names = [name for name in path.split("/") if name]
    if not names or ".." in names:
        return None
    try:
        folder = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=start)
    except OSError:
        return None
    try:
        for name in names[:-1]:
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            deeper = os.open(name, flags, dir_fd=folder)
            os.close(folder)
            folder = deeper
        return os.stat(names[-1], dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    finally:
        os.close(folder)
