"""Names of users and groups: the host's own, and a container's, read from its own files without trusting them.

A container's /etc/passwd is whatever somebody inside made of it. No link in it is followed, nothing but a regular file
of bounded size on an ordinary file system is read, and the answer is text that decides nothing about identity.
"""

from __future__ import annotations

import os
import stat
import time
from typing import NamedTuple

from holdfast.model.event import Process
from holdfast.platforms._linux_host_records import mounts_of

LIMIT = 1 << 20
"""Most bytes of a file of accounts."""
FRESH_S = 5.0
"""How long an answer counts before the file is looked at again."""
MOST = 1024
"""Most containers whose accounts are remembered."""
_USER_NAMESPACE = 4026531837  # PROC_USER_INIT_INO
PLAIN = frozenset(
    {"btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "squashfs", "tmpfs", "xfs", "zfs"}
)
"""File systems that the kernel serves itself, so that a look cannot be made to wait."""


class Account(NamedTuple):
    """One line of passwd(5).

    Attributes:
        name: Of the user.
        home: Directory.
        shell: Program.
    """

    name: str
    home: str
    shell: str


class _File(NamedTuple):
    stamp: tuple[int, int, int, int]
    users: dict[int, Account]
    groups: dict[int, str]


class Accounts:
    """Names by id, for the host and for each container."""

    def __init__(self, proc: str = "/proc", etc: str = "/etc") -> None:
        """Know nothing yet.

        Args:
            proc: Where procfs is mounted.
            etc: Where the host keeps its accounts.
        """
        self._proc = proc
        self._etc = etc
        self._files: dict[tuple[str, str], tuple[float, _File | None]] = {}

    def user(self, process: Process, uid: int) -> Account | None:
        """Return the account of a user id in the initial user namespace; None where it has none, or nobody can say."""
        found = self._file(process, "passwd")
        return None if found is None else found.users.get(uid)

    def group(self, process: Process, gid: int) -> str | None:
        """Return the name of a group id in the initial user namespace."""
        found = self._file(process, "group")
        return None if found is None else found.groups.get(gid)

    def _file(self, process: Process, name: str) -> _File | None:
        container = process.container
        if container is not None and process.namespaces.get("user", _USER_NAMESPACE) != _USER_NAMESPACE:
            return None  # its files speak of other numbers
        mounts = process.namespaces.get("mnt", 0)  # who left its container sees other files
        key = ("" if container is None else f"{container.id} {mounts}", name)
        known = self._files.get(key)
        now = time.monotonic()
        if known is not None and now - known[0] < FRESH_S:
            return known[1]
        former = None if known is None else known[1]
        found = self._host(name, former) if container is None else self._contained(process, name, former)
        if found is None and container is not None:
            found = former  # this process is gone; what another one showed still holds
        if len(self._files) >= MOST and key not in self._files:
            del self._files[next(iter(self._files))]
        self._files[key] = (now, found)
        return found

    def _host(self, name: str, former: _File | None) -> _File | None:
        try:
            handle = os.open(f"{self._etc}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        return _read(handle, former)

    def _contained(self, process: Process, name: str, former: _File | None) -> _File | None:
        opened: list[int] = []
        try:
            folder = opened_process(process, self._proc)
            opened.append(folder)
            if not _harmless(folder, name):
                return None
            root = os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
            opened.append(root)
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            etc = os.open("etc", flags, dir_fd=root)
            opened.append(etc)
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, dir_fd=etc)
        except OSError:
            return None
        finally:
            for one in opened:
                os.close(one)
        return _read(file, former)


def opened_process(process: Process, proc: str = "/proc") -> int:
    """Open the /proc/PID of a process.

    Returns:
        A handle that never shows another process: once this one has ended, reading through it fails.

    Raises:
        OSError: It is gone, or its number is another's by now, which has another mount namespace.
    """
    folder = os.open(f"{proc}/{process.pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    wanted = process.namespaces.get("mnt", 0)
    try:
        if wanted and os.stat("ns/mnt", dir_fd=folder).st_ino != wanted:
            raise ProcessLookupError
    except OSError:
        os.close(folder)
        raise
    return folder


def _harmless(folder: int, name: str) -> bool:
    """Tell whether every mount on the way to the file is of a kind that answers at once."""
    try:
        with os.fdopen(os.open("mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder), "rb") as file:
            table = file.read(LIMIT).decode("utf-8", "surrogateescape")
    except OSError:
        return False
    kinds = {mount.target: mount.fstype for mount in mounts_of(table)}
    way = [kinds[path] for path in ("/", "/etc", f"/etc/{name}") if path in kinds]
    return "/" in kinds and PLAIN.issuperset(way)


def _read(handle: int, former: _File | None) -> _File | None:
    try:
        with os.fdopen(handle, "rb") as file:
            seen = os.fstat(handle)
            if not stat.S_ISREG(seen.st_mode) or seen.st_size > LIMIT:
                return None
            stamp = (seen.st_dev, seen.st_ino, seen.st_mtime_ns, seen.st_size)
            if former is not None and former.stamp == stamp:
                return former
            text = file.read(LIMIT).decode("utf-8", "surrogateescape")
    except OSError:
        return None
    users: dict[int, Account] = {}
    groups: dict[int, str] = {}
    for line in text.split("\n"):
        field = line.split(":")
        if len(field) < 4 or not field[0] or field[0].startswith("#") or not _number(field[2]):
            continue
        number = int(field[2])
        groups.setdefault(number, field[0])
        if len(field) >= 7:
            users.setdefault(number, Account(field[0], field[5], field[6]))
    return _File(stamp, users, groups)


def _number(text: str) -> bool:
    return 0 < len(text) <= 10 and text.isascii() and text.isdigit()
