"""Bring one process as procfs shows it: texts, links, open directories, device nodes. No environment, no memory.

Everything is read through one handle of /proc/PID, so that a process which ends and whose number is taken by another
is noticed, never mixed up.
"""

# ruff: noqa: PTH208 - calls on an open directory handle have no twin in pathlib

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.collect.reading import failure, read_link, read_text
from holdfast.model.errors import Error, NotReachable
from holdfast.platforms._linux_host_records import mounts_of
from holdfast.platforms._procfs_record import NAMESPACES, Folder, Node

LIMIT = 4 << 20
OPEN_FILES = 256
"""Most descriptors of one process that are looked at; directories that leaked in from a launcher have low numbers."""
NODES = 512
DEPTH = 4
_PLAIN_TYPES = frozenset(
    {"btrfs", "devtmpfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}
)
"""File systems on which a look cannot hang: the kernel serves them itself, from memory or a disk of this machine."""


class Vanished(Exception):
    """The process ended while it was read."""


@dataclass(slots=True)
class Handle:
    """An open /proc/PID."""

    pid: int
    folder: int
    name: str

    def text(self, name: str) -> str | Error:
        """Read a file of the process.

        Raises:
            Vanished: The process is gone.
        """
        found = read_text(name, LIMIT, folder=self.folder, shown=f"{self.name}/{name}")
        if isinstance(found, NotReachable) and not self.alive():
            raise Vanished
        return found

    def link(self, name: str) -> str | Error:
        """Read a link of the process.

        Raises:
            Vanished: The process is gone.
        """
        found = read_link(name, folder=self.folder, shown=f"{self.name}/{name}")
        if isinstance(found, NotReachable) and not self.alive():
            raise Vanished
        return found

    def alive(self) -> bool:
        """Tell whether the process is still there; a zombie counts as gone, it has nothing left to look at."""
        state = read_text("stat", LIMIT, folder=self.folder)
        return isinstance(state, str) and not state.rpartition(")")[2].lstrip().startswith(("Z", "X"))

    def close(self) -> None:
        """Let go of the handle."""
        os.close(self.folder)


def opened(proc: str, pid: int) -> Handle:
    """Open /proc/PID.

    Raises:
        Vanished: There is no such process any more.
    """
    name = f"{proc}/{pid}"
    try:
        return Handle(pid, os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), name)
    except OSError as error:
        raise Vanished from error


def texts_of(handle: Handle) -> dict[str, str | Error]:
    """Read the files that a record holds, but for the environment, which is nobody's business."""
    names = ("status", "uid_map", "gid_map", "attr/current", "mountinfo", "cgroup", "comm", "cmdline")
    return {name: handle.text(name) for name in names}


def links_of(handle: Handle) -> dict[str, str | Error]:
    """Read the links of the namespaces and of the program."""
    found = {f"ns/{name}": handle.link(f"ns/{name}") for name in NAMESPACES}
    found["exe"] = handle.link("exe")
    return found


def folders_of(handle: Handle) -> tuple[Folder, ...] | Error:
    """List the directories that the process holds open, each with the mount it lies on."""
    try:
        listing = os.open("fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=handle.folder)
    except OSError as error:
        return failure(error, f"{handle.name}/fd")
    found: list[Folder] = []
    try:
        for number in sorted(map(int, os.listdir(listing)))[:OPEN_FILES]:
            try:
                if stat.S_ISDIR(os.stat(str(number), dir_fd=listing).st_mode):
                    path = os.readlink(str(number), dir_fd=listing)
                    found.append(Folder(number, path, _mount_of(handle, number)))
            except OSError:
                continue  # closed meanwhile
    except OSError as error:
        return failure(error, f"{handle.name}/fd")
    finally:
        os.close(listing)
    return tuple(found)


def _mount_of(handle: Handle, number: int) -> str:
    text = read_text(f"fdinfo/{number}", LIMIT, folder=handle.folder)
    for line in text.splitlines() if isinstance(text, str) else ():
        if line.startswith("mnt_id:"):
            return line.partition(":")[2].strip()
    return ""


def nodes_of(handle: Handle, mountinfo: str | Error) -> tuple[Node, ...] | Error:
    """List device nodes below the container's /dev by looking at names and numbers; nothing is opened but folders.

    Symbolic links are not followed: they would lead out of the container's root, into the collector's. File systems
    that are served by a program (FUSE, network) are passed by, since a hostile server could make any look wait.
    """
    if isinstance(mountinfo, Error):
        return mountinfo
    mounts = {mount.target: mount.fstype for mount in mounts_of(mountinfo)}
    if mounts.get("/dev", mounts.get("/", "")) not in _PLAIN_TYPES:
        return NotReachable("The file system of /dev could make a look wait forever", f"{handle.name}/root/dev")
    strange = {target for target, kind in mounts.items() if target.startswith("/dev/") and kind not in _PLAIN_TYPES}
    try:
        root = os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=handle.folder)
    except OSError as error:
        return failure(error, f"{handle.name}/root")
    try:
        found: list[Node] = []
        for node in _below(root, "dev", "/dev", strange, 0):
            found.append(node)
            if len(found) == NODES:
                break
        return tuple(sorted(found, key=lambda node: node.path))
    except OSError as error:
        return failure(error, f"{handle.name}/root/dev")
    finally:
        os.close(root)


def _below(parent: int, name: str, path: str, strange: set[str], depth: int) -> Iterator[Node]:
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        for entry in os.listdir(handle)[: 4 * NODES]:
            inside = f"{path}/{entry}"
            if inside in strange:
                continue
            try:
                seen = os.stat(entry, dir_fd=handle, follow_symlinks=False)
                if stat.S_ISBLK(seen.st_mode) or stat.S_ISCHR(seen.st_mode):
                    kind = "block" if stat.S_ISBLK(seen.st_mode) else "char"
                    numbers = (os.major(seen.st_rdev), os.minor(seen.st_rdev))
                    yield Node(inside, kind, *numbers, seen.st_uid, seen.st_gid, seen.st_mode & 0o777)
                elif stat.S_ISDIR(seen.st_mode) and depth < DEPTH:
                    yield from _below(handle, entry, inside, strange, depth + 1)
            except OSError:
                continue  # gone meanwhile, or a folder that nobody may enter
    finally:
        os.close(handle)
