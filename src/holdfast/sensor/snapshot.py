"""The processes that run already when the sensor starts, as procfs shows them, and one of them on demand.

Everything is read through one handle of /proc/PID, so that a process which ends and whose number is taken by another
is never mixed up. What cannot be read is left empty; a process that vanishes is left out. Every text is bounded.

A look may wait: argv and environment lie in the process's own memory, and its program may lie on a file system that a
hostile program serves. So these run in a thread that nothing waits for without a limit.
"""

# ruff: noqa: PTH208 - thousands of processes; a Path for each costs more than reading it

from __future__ import annotations

import os
from typing import NamedTuple

from holdfast.model.event import Executable
from holdfast.platforms._linux_host_records import mounts_of
from holdfast.platforms._procfs_record import INITIAL, INITIAL_SINCE_6_17
from holdfast.sensor.processes import TICK_NS, Life

PROC = "/proc"
ARGUMENTS = 4096
"""Most bytes of argv, as Falco keeps."""
ENVIRONMENT = 4096
"""Most bytes of the environment."""
NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup")
_STATUS = 16_384
_GROUPS = 16_384
_MOUNTS = 1 << 20
_UNSET = 4_294_967_295  # loginuid of a process that nobody logged in for


class Seen(NamedTuple):
    """One process as procfs shows it.

    Attributes:
        life: What it is. Numbers of namespaces that could not be read are missing.
        parent_pid: Who is its parent now; an adopted orphan's is not the one that started it.
        groups: Text of /proc/PID/cgroup.
    """

    life: Life
    parent_pid: int
    groups: str


def running(proc: str = PROC) -> list[Seen]:
    """Read every process; threads of the kernel too, since they start programs (usermode helpers).

    Args:
        proc: Where procfs is mounted.

    Returns:
        What is there, the oldest first: a parent comes before the children it started.
    """
    found = [seen for pid in living(proc) if (seen := one(pid, proc)) is not None]
    found.sort(key=lambda seen: (seen.life.start_ns, seen.life.pid))
    return found


def living(proc: str = PROC) -> frozenset[int]:
    """List the process ids that are in use."""
    try:
        return frozenset(int(name) for name in os.listdir(proc) if name.isdecimal())
    except OSError:
        return frozenset()


def one(pid: int, proc: str = PROC) -> Seen | None:
    """Read one process.

    Returns:
        None where there is none of this number, or it ended while it was read.
    """
    try:
        folder = os.open(f"{proc}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        stat, status = _bytes("stat", folder, 4096), _bytes("status", folder, _STATUS)
        if not stat:
            return None
        life, parent = _life(pid, stat, status)
        _programmed(life, folder)
        life.namespaces = namespaces(folder)
        groups = _bytes("cgroup", folder, _GROUPS)
        if not _bytes("stat", folder, 4096):  # read last: everything above was this process's
            return None
        return Seen(life, parent, groups.decode("utf-8", "surrogateescape"))
    except (ValueError, IndexError):
        return None
    finally:
        os.close(folder)


def namespaces(folder: int) -> dict[str, int]:
    """Read the inode of each namespace of the process whose /proc/PID is open; those that are refused are missing."""
    found: dict[str, int] = {}
    for kind in NAMESPACES:
        try:
            found[kind] = os.stat(f"ns/{kind}", dir_fd=folder).st_ino
        except OSError:
            continue
    return found


def namespaces_of(pid: int, proc: str = PROC) -> dict[str, int]:
    """Read the inode of each namespace of a process; empty where it is gone."""
    try:
        folder = os.open(f"{proc}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        return namespaces(folder)
    finally:
        os.close(folder)


def host_namespaces(proc: str = PROC) -> dict[str, int]:
    """Return the inodes of the host's namespaces: those of process 1, else of the first kernel thread, else our own.

    Six kinds have fixed inodes in every kernel; the mount and network namespaces have them since Linux 6.17 only, and
    some kernels show those of process 1 to nobody.
    """
    fixed = {kind: _inode(link) for kind, link in INITIAL.items()}
    for pid in (1, 2):
        found = namespaces_of(pid, proc)
        if found.get("pid") == fixed["pid"] and "mnt" in found:
            return found
    own = namespaces_of(os.getpid(), proc)
    since = {kind: _inode(link) for kind, link in INITIAL_SINCE_6_17.items()}
    if own.get("pid") == fixed["pid"]:
        return {**since, **own, **{kind: fixed[kind] for kind in NAMESPACES if kind in fixed}}
    return {kind: {**since, **fixed}[kind] for kind in NAMESPACES}


def _inode(link: str) -> int:
    return int(link.partition("[")[2].rstrip("]"))


def root_of(pid: int, proc: str = PROC) -> tuple[str, str] | None:
    """Return the device and the folder on it that a process has as its root; None where it is gone or refused.

    The mount table tells; the root itself is not touched, since a file system served by a hostile program could make
    the look wait for ever.
    """
    try:
        folder = os.open(f"{proc}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        table = _bytes("mountinfo", folder, _MOUNTS)
    finally:
        os.close(folder)
    found = None
    for mount in mounts_of(table.decode("utf-8", "surrogateescape")):
        if mount.target == "/":
            found = mount.device, mount.root
    return found


def texts(data: bytes, most: int) -> tuple[str, ...]:
    """Split a block of strings that each end in NUL; bytes that are no UTF-8 come as surrogate escapes.

    Args:
        data: The block.
        most: Bytes after which it is cut.
    """
    if not data:
        return ()
    cut = data[:most]
    if cut.endswith(b"\0"):
        cut = cut[:-1]
    return tuple(part.decode("utf-8", "surrogateescape") for part in cut.split(b"\0"))


def _life(pid: int, stat: bytes, status: bytes) -> tuple[Life, int]:
    """Read who it is and as whom it runs.

    Source:
        https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
        https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    """
    # The name in parentheses may hold anything, so count from its end; there the state is field 0, field 3 of the page.
    head, _, tail = stat.rpartition(b")")
    field = tail.split()
    start_ns = int(field[19]) * TICK_NS
    lines: dict[bytes, bytes] = {}
    for line in status.splitlines():
        key, colon, value = line.partition(b":")
        if colon:
            lines.setdefault(key, value)
    users, groups = _numbers(lines.get(b"Uid", b"")), _numbers(lines.get(b"Gid", b""))
    pids = _numbers(lines.get(b"NSpid", b""))
    leaders, sessions = _numbers(lines.get(b"NSpgid", b"")), _numbers(lines.get(b"NSsid", b""))
    name = head.partition(b"(")[2]
    life = Life(
        pid, start_ns, virtual_pid=pids[-1] if pids else 0, name=name.decode("utf-8", "surrogateescape"),
        user=users[0] if users else 0, effective_user=users[1] if users else 0,
        group=groups[0] if groups else 0, effective_group=groups[1] if groups else 0,
        group_leader=leaders[-1] if leaders else int(field[2]), session=sessions[-1] if sessions else int(field[3]),
        terminal=int(field[4]), executed_ns=start_ns, refreshed_ns=start_ns,
        effective=int(lines.get(b"CapEff", b"0"), 16), permitted=int(lines.get(b"CapPrm", b"0"), 16),
    )  # fmt: skip
    return life, int(field[1])


def _programmed(life: Life, folder: int) -> None:
    """Read what it runs: argv, environment, current directory, program file, audit login id."""
    life.arguments = texts(_bytes("cmdline", folder, ARGUMENTS), ARGUMENTS)
    life.environment = texts(_bytes("environ", folder, ENVIRONMENT), ENVIRONMENT)
    life.directory = _link("cwd", folder)
    login = _bytes("loginuid", folder, 32)
    life.login_user = int(login) if login.isdigit() and int(login) != _UNSET else None
    path = _link("exe", folder)
    if not path:
        return
    try:
        file = os.stat("exe", dir_fd=folder)
    except OSError:
        life.executable = Executable(path.removesuffix(" (deleted)"))
        return
    origin = "memfd" if path.startswith("/memfd:") else ""
    life.executable = Executable(
        path.removesuffix(" (deleted)"), file.st_dev, file.st_ino, file.st_ctime_ns, file.st_mtime_ns, origin
    )


def _numbers(text: bytes) -> list[int]:
    return [int(part) for part in text.split()]


def _bytes(name: str, folder: int, most: int) -> bytes:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return b""
    try:
        parts = []
        while most > 0:
            part = os.read(handle, most)
            if not part:
                break
            parts.append(part)
            most -= len(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(handle)


def _link(name: str, folder: int) -> str:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return ""
