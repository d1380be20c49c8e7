"""What the techniques want to be told of: from how they look to what the kernel is asked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.model.facts import Fact
from holdfast.model.logic import All, AnyOf, Atom, Expr, Op, atoms
from holdfast.model.words import event as word
from holdfast.reason.effective.syscall_table import CONSTANTS
from holdfast.sensor.calls import F_SETOWN, F_SETOWN_EX, FIOSETOWN, NARROW, NOTHING, SHAPES, SIOCSPGRP
from holdfast.sensor.interests import EVERY, Interest, Want

OPENS = ("open", "openat", "openat2", "creat")
CHANGES = (
    "chmod", "chown", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "fsetxattr", "lchown", "link", "linkat",
    "lsetxattr", "mkdir", "mkdirat", "mknod", "mknodat", "rename", "renameat", "renameat2", "rmdir", "setxattr",
    "setxattrat", "symlink", "symlinkat", "truncate", "unlink", "unlinkat",
)  # fmt: skip
ENTERS = ("chdir", "fchdir", "chroot")
"""Calls after which short paths lead to what a long one did before."""
SENDS = ("sendto", "sendmsg", "sendmmsg")
_FILES = frozenset((
    word.PATH, word.INNER_PATH, word.HOST_PATH, word.HOST_MOUNT, word.WRITE, word.FILE_KIND, word.DEVICE,
    word.FILE_SYSTEM, word.PRIVATE, word.TARGET_OUTSIDE,
))  # fmt: skip
BLIND = ("io_uring_setup",)
"""Calls behind which others are made that no system call shows; that they are made is told."""
_ASKED: tuple[tuple[set[Fact[Any]], tuple[str, ...]], ...] = (
    ({word.USERMODE_HELPER}, ()),  # a program that is started is told always
    ({word.EXECUTABLE_IN_CONTAINER}, ()),
    ({word.COMMAND, word.SOCKET_FAMILY}, (*SENDS, *sorted(NARROW))),
    ({word.SOCKET_FAMILY}, ("socket",)),
    ({word.COMMAND}, ("bpf", "ioctl")),
    (
        {word.FILE_MODE_SETUID},
        ("chmod", "fchmod", "fchmodat", "fchmodat2", "setxattr", "lsetxattr", "fsetxattr", "setxattrat"),
    ),
    ({word.FLAGS}, ("clone", "clone3", "unshare", "setns", "mount")),
)
"""Where a condition names no call: the first row whose facts it asks says which calls answer them."""
_FOREIGN = Want.FOREIGN | Want.REFUSED
_SPEAKING = Interest(contained_write=Want.SPEAKING)
_REQUESTS = frozenset((CONSTANTS["TIOCSTI"], CONSTANTS["TIOCLINUX"], FIOSETOWN, SIOCSPGRP))
_COMMANDS = frozenset((F_SETOWN, F_SETOWN_EX))


def interests(conditions: Iterable[Expr]) -> dict[str, Interest]:
    """Return what is to be told so that the conditions can be judged, by system call.

    Every condition that can be true of a call is found: a condition that names calls wants those; one that asks about
    a file wants it opened and changed; and so on. What the conditions narrow further is judged in user space.
    """
    found: dict[str, Interest] = {name: Interest(contained_write=Want.ALL) for name in BLIND}
    for condition in conditions:
        for part in _alternatives(condition):
            for name, interest in _of(part).items():
                found[name] = found[name] | interest if name in found else interest
    return found


def _alternatives(condition: Expr) -> list[list[Atom]]:
    """Split into the comparisons that hold together; what lies deeper is taken as a whole, which wants more."""
    if isinstance(condition, AnyOf):
        return [found for part in condition.parts for found in _alternatives(part)]
    if isinstance(condition, All):
        inner = [part for part in condition.parts if isinstance(part, AnyOf)]
        plain = [part for part in condition.parts if isinstance(part, Atom)]
        rows = [plain]
        for one in inner:
            rows = [[*row, *more] for row in rows for more in _alternatives(one)]
            if len(rows) > 64:
                return [list(atoms(condition))]
        return rows
    return [list(atoms(condition))]


def _of(row: list[Atom]) -> Mapping[str, Interest]:
    named = _named(row)
    if named is None:
        asked = {atom.fact for atom in row}
        calls = next((calls for facts, calls in _ASKED if facts <= asked), None)
        if calls is None:
            return _files(row) if asked & _FILES else {}
        return {name: _one(name) for name in calls}
    found: dict[str, Interest] = {}
    for name in named:
        if name in OPENS:
            found[name] = _files(row)[name]
        elif name in ENTERS:
            found[name] = Interest(contained_write=_FOREIGN)
        elif name in {"ioctl", "fcntl", *SENDS, *NARROW}:
            found[name] = _one(name)
        elif name == "connect":  # to ask for an engine's socket is an attempt, also where there is none
            found[name] = Interest(contained_write=EVERY | Want.ABSENT)
        elif name in SHAPES:
            read = EVERY if SHAPES[name].mode != NOTHING else Want.NONE
            found[name] = Interest(contained_read=read, contained_write=EVERY)
        for pair in _TOGETHER.get(name, ()):
            found.setdefault(pair, _one(pair))
    return found


_TOGETHER = {
    "connect": SENDS,
    "mount": ("fsopen", "fsconfig", "fsmount", "move_mount", "open_tree", "mount_setattr", "fspick"),
    "ptrace": ("pidfd_getfd", "kcmp", "process_madvise"),
    "kill": ("rt_sigqueueinfo", "rt_tgsigqueueinfo"),
}
"""Calls that do the same or prepare it; a timeline shows them."""


def _one(name: str) -> Interest:
    if name in SENDS or name in NARROW:
        return _SPEAKING
    if name == "ioctl":
        return Interest(contained_write=EVERY, argument="request", values=_REQUESTS)
    if name == "fcntl":
        return Interest(contained_write=EVERY, argument="cmd", values=_COMMANDS)
    return Interest(contained_write=EVERY)


def _files(row: list[Atom]) -> dict[str, Interest]:
    writes = any(atom.fact is word.WRITE and atom.op is Op.IS and atom.value is True for atom in row)
    opened = Interest(contained_read=Want.NONE if writes else _FOREIGN, contained_write=_FOREIGN)
    found: dict[str, Interest] = dict.fromkeys(OPENS, opened)
    if writes:
        return {**found, **dict.fromkeys(CHANGES, Interest(contained_write=EVERY))}
    return {**found, **dict.fromkeys(ENTERS, Interest(contained_write=_FOREIGN))}


def _named(row: list[Atom]) -> tuple[str, ...] | None:
    for atom in row:
        if atom.fact is word.SYSCALL and atom.op is Op.IS:
            return (atom.value,)
        if atom.fact is word.SYSCALL and atom.op is Op.ONE_OF:
            return tuple(atom.value)
    return None


def merged(*wanted: Mapping[str, Interest]) -> dict[str, Interest]:
    """Return what any of these wants."""
    found: dict[str, Interest] = {}
    for one in wanted:
        for name, interest in one.items():
            found[name] = found[name] | interest if name in found else interest
    return found
