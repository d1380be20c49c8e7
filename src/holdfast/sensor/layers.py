"""Where a container's program lies: in the image, or written since (overlay's upper layer); and how old it is.

What the host itself has mounted is believed, never a mount table of the container's: its layers are strings that
whoever mounted it chose. A file counts as the program only if it has the inode that the kernel ran. Paths are walked
name by name and no link is followed: they are somebody else's.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from holdfast.model.event import Executable, Process
from holdfast.platforms._linux_host_records import Mount, mounts_of, unescaped
from holdfast.sensor.accounts import PLAIN, opened_process

LIMIT = 1 << 20
HOST_LIMIT = 16 << 20
FRESH_S = 2.0
"""How long a mount table counts before it is read again."""
NEW_S = 0.01
"""How long the host's counts where it lacks a mount: a container may have been made since."""
MOST = 1024
"""Most containers whose mount tables are remembered."""


class _Mount(NamedTuple):
    target: str
    kind: str
    upper: str
    device: int
    root: str


class Layers:
    """Tells the layer of programs."""

    def __init__(self, proc: str = "/proc") -> None:
        """Know no container yet.

        Args:
            proc: Where procfs is mounted.
        """
        self._proc = proc
        self._tables: dict[tuple[str, int], tuple[float, tuple[_Mount, ...]]] = {}
        self._overlays: dict[int, _Mount] = {}
        self._overlays_at = -FRESH_S

    def settle(self, process: Process) -> Executable:
        """Note in a process's program where it lies, unless that is known; call it while the process still runs."""
        executable = process.executable
        if not executable.origin:
            executable.origin = self.origin(process)
        return executable

    def origin(self, process: Process) -> str:
        """Say where a container's program lies.

        Returns:
            As ``Executable.origin``. Empty where it cannot be said: a program of the host, a file that was replaced
            meanwhile, an overlay that the host does not see (rootless engines, containers within containers) unless
            the program lies in its upper layer.
        """
        executable = process.executable
        if process.container is None or not executable.path.startswith("/") or not executable.inode:
            return ""
        overlay = self._overlay(executable.device)
        mount = _over(executable.path, self._table(process))
        if mount is not None and mount.device != executable.device:
            mount = None
        if overlay is not None:
            return _known(overlay, executable, mount)
        if mount is None:
            return ""
        if mount.kind != "overlay":
            return "mount"
        found = _look(mount.upper, _inside(mount, executable.path)) if mount.upper else None
        return "upper" if found is not None and stat.S_ISREG(found.st_mode) else ""

    def _overlay(self, device: int) -> _Mount | None:
        """Return an overlay as the host has it mounted, if it can be looked at from here."""
        age = time.monotonic() - self._overlays_at
        if age <= FRESH_S and (found := self._seen(device)) is not None:
            return found
        if age <= NEW_S:
            return None
        # Of several mounts the first is the engine's own.
        self._overlays = {one.device: one for one in reversed(self._hosts()) if one.root == "/"}
        self._overlays_at = time.monotonic()
        return self._seen(device)

    def _seen(self, device: int) -> _Mount | None:
        """Return what was mounted with a device number, unless that is another's by now."""
        known = self._overlays.get(device)
        if known is None:
            return None
        for base in (f"{self._proc}/1/root", ""):
            here = known._replace(target=base + known.target, upper=known.upper and base + known.upper)
            with suppress(OSError):
                if Path(here.target).stat().st_dev == device and (not here.upper or Path(here.upper).is_dir()):
                    return here
        return None

    def _hosts(self) -> list[_Mount]:
        for pid in ("1", "self"):
            with suppress(OSError), Path(self._proc, pid, "mountinfo").open("rb") as file:
                text = file.read(HOST_LIMIT).decode("utf-8", "surrogateescape")
                return [one for one in map(_mount, mounts_of(text)) if one.kind == "overlay"]
        return []

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
        table = tuple(_mount(one) for one in mounts_of(text))
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


def _mount(one: Mount) -> _Mount:
    major, _, minor = one.device.partition(":")
    device = os.makedev(int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else 0
    return _Mount(one.target, one.fstype, _upper(one.super_options), device, one.root)


def _inside(mount: _Mount, path: str) -> str:
    """Return the path in a mount's own file system."""
    below = path[len(mount.target.rstrip("/")) :]
    return below if mount.root == "/" else mount.root + below


def _known(overlay: _Mount, executable: Executable, mount: _Mount | None) -> str:
    """Say in which layer of an overlay that the host sees a program lies."""
    inside = executable.path if mount is None else _inside(mount, executable.path)
    now = _look(overlay.target, inside)
    written = _look(overlay.upper, inside) if overlay.upper else None
    if now is None:
        # Gone. What covers a file of the image is a device 0:0; where nothing does, it was written since.
        return "" if written is not None else "upper"
    if now.st_ino != executable.inode:
        return ""
    return "image" if written is None else "upper"


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
