"""What the kernel's program is asked to tell: for each system call, of whom, and when. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntFlag

from holdfast.sensor.calls import NOTHING, SHAPES, places

CRITICAL, LIFE, BULK = 0, 1, 2
_FORM = struct.Struct("<21B3x")
_VALUE = struct.Struct("<QII")


class Want(IntFlag):
    """When a call is told; any of these is enough.

    MATCHING: it succeeded, and its path matches a pattern. FOREIGN: it succeeded, and its file is not a plain file or
    directory on the mount that is the process's root. ALL: it succeeded. REFUSED: it failed, but not because there is
    nothing of that name. ABSENT: it failed for that reason. CLIMBING: the path that was given has two dots in a row.
    SPEAKING: it is a send that connects in substance, or says something to the host's kernel; whatever came of it.
    """

    NONE = 0
    MATCHING = 1
    FOREIGN = 2
    ALL = 4
    REFUSED = 8
    ABSENT = 16
    CLIMBING = 32
    SPEAKING = 64


EVERY = Want.ALL | Want.REFUSED
WIDE = Want.ALL | Want.ABSENT | Want.CLIMBING
"""What can be a flood: told through the ring that a rule asks for. The rest is critical."""
FOR_A_CONTAINER = frozenset((
    "open", "openat", "openat2", "creat", "connect", "chmod", "fchmod", "fchmodat", "fchmodat2", "link", "linkat",
    "mknod", "mknodat", "rename", "renameat", "renameat2", "symlink", "symlinkat", "truncate", "unlink", "unlinkat",
    "mkdir", "mkdirat", "rmdir", "chown", "lchown", "fchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr",
    "setxattrat",
))  # fmt: skip
"""Calls that a sandbox makes for what runs inside it: on files and sockets that it was given of the host."""


MOVES = frozenset(("rename", "renameat", "renameat2", "mount", "umount2", "move_mount", "pivot_root"))
"""Calls after which a file may have another path; the kernel's program then forgets what it knew of paths."""


TWICE = frozenset(("clone", "clone3"))
"""Calls that return in the parent and in the child."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What is wanted of one call.

    Attributes:
        host_read, host_write: Of a process of the host. A call without open flags counts as one that writes.
        contained_read, contained_write: Of a process in a container.
        host_ring, contained_ring: ``CRITICAL`` or ``BULK``, for what ``WIDE`` wants.
        argument: Name of the argument that must have one of ``values``; empty where any will do.
        values: Its values.
    """

    host_read: Want = Want.NONE
    host_write: Want = Want.NONE
    contained_read: Want = Want.NONE
    contained_write: Want = Want.NONE
    host_ring: int = CRITICAL
    contained_ring: int = CRITICAL
    argument: str = ""
    values: frozenset[int] = field(default_factory=frozenset)

    def __or__(self, other: Interest) -> Interest:
        """Want what either wants."""
        narrow = self.argument == other.argument and bool(self.argument)
        both = (self, other)
        hosts = (one.host_ring for one in both if (one.host_read | one.host_write) & WIDE)
        contained = (one.contained_ring for one in both if (one.contained_read | one.contained_write) & WIDE)
        return Interest(
            self.host_read | other.host_read, self.host_write | other.host_write,
            self.contained_read | other.contained_read, self.contained_write | other.contained_write,
            min(hosts, default=BULK), min(contained, default=BULK),
            self.argument if narrow else "", self.values | other.values if narrow else frozenset(),
        )  # fmt: skip


def entries(wanted: Mapping[str, Interest]) -> Iterator[tuple[bytes, bytes]]:
    """Make the entries of the kernel's array ``interests``: key and value, little-endian."""
    for name, interest in {**dict.fromkeys(MOVES, Interest()), **wanted}.items():
        shape = SHAPES[name]
        strings = (*shape.strings, NOTHING, NOTHING, NOTHING, NOTHING)[:4]
        argument = shape.arguments.index(interest.argument) if interest.argument else NOTHING
        value = _FORM.pack(
            interest.host_read, interest.host_write, interest.contained_read, interest.contained_write,
            interest.host_ring, interest.contained_ring, argument, shape.file, shape.mode, *strings, shape.base,
            shape.second, shape.data, shape.length, shape.how, name in FOR_A_CONTAINER, name in MOVES, name in TWICE,
        )  # fmt: skip
        for place in places(name):
            yield struct.pack("<I", place), value


def values(wanted: Mapping[str, Interest]) -> Iterator[bytes]:
    """Make the keys of the kernel's map ``values``."""
    for name, interest in wanted.items():
        for place in places(name):
            for one in sorted(interest.values):
                yield _VALUE.pack(one & 0xFFFFFFFFFFFFFFFF, place, 0)
