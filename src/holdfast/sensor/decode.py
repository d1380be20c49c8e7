"""Turn a record of the kernel into values: who acted, what was called, on which object. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from holdfast.model.errors import NotUnderstood
from holdfast.model.event import Executable, File, Socket
from holdfast.reason.effective.syscall_table import family_name
from holdfast.sensor.addresses import ADDRESSES, Reached, ip_text, named_file, placed, reached
from holdfast.sensor.calls import NOTHING, POINTER, RESULT, SHAPES, Shape, names
from holdfast.sensor.layout import Layout, Record

FILE, OWN_ROOT, OUTSIDE, CUT, LOOSE, UNLINKED, SOCKET, WRITE = 1, 2, 4, 8, 16, 32, 64, 128
PEER, LISTENS = 1024, 2048
CONTAINED, SEPARATE, RUNTIME, FLOODS, UNTOLD, URGENT = 1, 2, 4, 8, 16, 32
ROOTED = 1 << 15
"""Its root directory is not the host's."""
CALL, FORK, EXEC, ENDED, CGROUP = 1, 2, 3, 4, 5
_AT_FDCWD = -100
_HANDED_OVER = 2
_KINDS = {0o010000: "fifo", 0o020000: "char", 0o040000: "directory", 0o060000: "block", 0o100000: "regular",
          0o120000: "symlink", 0o140000: "socket"}  # fmt: skip
_TYPES = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 4: "SOCK_RDM", 5: "SOCK_SEQPACKET", 10: "SOCK_PACKET"}
_NO_ONE = 0xFFFFFFFF
_NO_COOKIE = bytes(8)
_TMPFS, _MEMFD = 0x01021994, "memfd:"


class Who(NamedTuple):
    """The subject of a record.

    Attributes:
        pid: Process id in the initial pid namespace.
        start_ns: Its start, CLOCK_BOOTTIME.
        thread: Thread id in the initial pid namespace.
        parent: Process id of its parent now.
        flags: ``CONTAINED``, ``SEPARATE``, ``RUNTIME``, ``FLOODS``, ``UNTOLD``, ``URGENT``, and a bit for each
            namespace that is not the host's.
        values: What the process table takes: credentials, namespaces, name.
        program: Device and inode of the program it runs.
    """

    pid: int
    start_ns: int
    thread: int
    parent: int
    flags: int
    values: dict[str, Any]
    program: tuple[int, int]


class Head(NamedTuple):
    """What every record begins with."""

    at_ns: int
    number: int
    kind: int
    processor: int
    ring: int
    text: int


@dataclass(slots=True)
class Call:
    """A system call that returned."""

    head: Head
    who: Who
    name: str
    result: int | None
    arguments: dict[str, Any]
    file: File | None
    socket: Socket | None
    descriptor: int | None
    write: bool | None
    inside: tuple[str, str, int] | None
    """For a file on another mount than the root: the path above and below its mount's root, and the device."""
    cookie: int = 0
    """Names an open so that it can be called dull; 0 where it cannot."""
    further: tuple[Reached, ...] = ()
    """Other sockets that the same call sent to."""


@dataclass(slots=True)
class Exec:
    """A program that was started."""

    head: Head
    who: Who
    file: File
    values: dict[str, Any]
    inside: tuple[str, str, int] | None


@dataclass(slots=True)
class Fork:
    """A process that was made."""

    head: Head
    who: Who
    parent: int


@dataclass(slots=True)
class Ended:
    """A process that ended; ``code`` as wait(2) gives it."""

    head: Head
    who: Who
    code: int


@dataclass(slots=True)
class Group:
    """A control group that was made, or removed where ``gone``. Hierarchy 0 is version 2."""

    head: Head
    id: int
    hierarchy: int
    path: str
    gone: bool


Told = Call | Exec | Fork | Ended | Group


class Decoder:
    """Decodes the records of one object."""

    def __init__(self, layout: Layout, machine: str = "x86_64") -> None:
        """Prepare for a layout and a machine's system call numbers."""
        self._layout = layout
        self._names = names(machine)
        self._places = {kind: record.places for kind, record in layout.records.items()}
        places = layout.records[CALL].places
        self._subject = {kind: record.places.get("subject.start_ns", -1) for kind, record in layout.records.items()}
        self._object = {CALL: places["object.inode"], EXEC: layout.records[EXEC].places["object.inode"]}
        self._head = layout.head
        self._cookie = layout.records[CALL].offsets["cookie"]
        self._head_kind = layout.head.offsets["kind"]

    @staticmethod
    def at_ns(record: memoryview) -> int:
        """Return when a record was made, CLOCK_BOOTTIME; 0 where it is too short to say."""
        return int.from_bytes(record[:8], "little") if len(record) >= 8 else 0

    def cookie(self, record: memoryview) -> bytes:
        """Return the cookie of a call that returned, as ``Call.cookie`` has it; empty where there is none."""
        if len(record) < self._cookie + 8 or record[self._head_kind] != CALL:
            return b""
        found = bytes(record[self._cookie : self._cookie + 8])
        return b"" if found == _NO_COOKIE else found

    def head(self, record: memoryview) -> Head:
        """Return what a record begins with."""
        return Head(*self._head.parser.unpack_from(record))

    def decode(self, record: memoryview) -> Told:
        """Decode one record.

        Args:
            record: Borrowed; nothing of it is kept.

        Raises:
            NotUnderstood: It is shorter than its own head says, or of no known kind.
        """
        size = len(record)
        if size < self._head.size:
            raise NotUnderstood("A record of the kernel is too short", f"{size} bytes")
        head = Head(*self._head.parser.unpack_from(record))
        known = self._layout.records.get(head.kind)
        start = self._layout.text if head.text else 0
        if known is None or size < max(known.size, start + head.text):
            raise NotUnderstood("A record of the kernel is cut short", f"kind {head.kind}, {size} bytes")
        values = known.parser.unpack_from(record)
        text = bytes(record[start : start + head.text]) if head.text else b""
        if head.kind == CALL:
            return self._call(head, known, values, text)
        if head.kind == EXEC:
            return self._exec(head, known, values, text)
        if head.kind == CGROUP:
            places = known.places
            path = text.decode("utf-8", "surrogateescape")
            return Group(head, values[places["id"]], values[places["hierarchy"]], path, bool(values[places["gone"]]))
        who = self._who(values, self._subject[head.kind])
        if head.kind == FORK:
            return Fork(head, who, values[known.places["by"]])
        return Ended(head, who, values[known.places["code"]])

    def _who(self, values: tuple[Any, ...], at: int) -> Who:
        (
            start, cgroup, effective, permitted, inode, device, flags, pid, thread, parent, virtual, user, euid, group,
            egid, login, mnt, pidns, userns, net, ipc, uts, cgroupns, name,
        ) = values[at : at + 24]  # fmt: skip
        known = {
            "virtual_pid": virtual,
            "name": name.split(b"\0", 1)[0].decode("utf-8", "surrogateescape"),
            "user": user,
            "effective_user": euid,
            "group": group,
            "effective_group": egid,
            "login_user": None if login == _NO_ONE else login,
            "effective": effective,
            "permitted": permitted,
            "own_root": bool(flags & ROOTED),
            "namespaces": {
                "mnt": mnt, "pid": pidns, "net": net, "ipc": ipc, "uts": uts, "user": userns, "cgroup": cgroupns,
            },
        }  # fmt: skip
        if cgroup:
            known["cgroup"] = cgroup
        return Who(pid, start, thread, parent, flags, known, (_device(device), inode))

    def _call(self, head: Head, known: Record, values: tuple[Any, ...], text: bytes) -> Call:
        places = known.places
        place = values[places["number"]]
        name = self._names.get(place, f"syscall_{place}")
        shape = SHAPES.get(name, _UNKNOWN)
        # What was handed to io_uring has not ended yet, and makes no descriptor that could be looked at.
        handed = values[places["compat"]] == _HANDED_OVER
        result = None if handed else values[places["result"]]
        at = places["arguments"]
        given = values[at : at + 6]
        arguments: dict[str, Any] = dict(zip(shape.arguments, given, strict=False))
        seen = _Object(values, self._object[CALL], text)
        cursor = seen.taken
        base = text[cursor : cursor + values[places["base"]]]
        cursor += len(base)
        other = text[cursor : cursor + values[places["second"]]]
        cursor += len(other)
        lengths = values[places["strings"] : places["strings"] + 4]
        texts: list[str] = []
        for index, length in zip(shape.strings, lengths, strict=False):
            one = text[cursor : cursor + length].decode("utf-8", "surrogateescape")
            cursor += length
            texts.append(one)
            if index < len(shape.arguments):
                arguments[shape.arguments[index]] = one
        data = text[cursor : cursor + values[places["data"]]]
        write = _mode(shape, given, arguments)
        _narrow(arguments)
        arguments |= seen.arguments()
        if shape.second != NOTHING and len(texts) > 1 and (texts[1] or other):
            arguments["second"] = placed(texts[1], other)
        if handed:
            arguments["by"] = "io_uring"
        file = named_file(seen.file(), texts[0] if texts and shape.base != NOTHING else "", base)
        socket = seen.socket()
        netlink = socket is not None and socket.family == "AF_NETLINK"
        further: tuple[Reached, ...] = ()
        if data and name in ADDRESSES and not netlink:
            first, *rest = reached(name, socket, file, data, base) or ((socket, file),)
            (socket, file), further = first, tuple(rest)
            arguments["named"] = True
        elif data:
            arguments["data"] = data
        if write is None and shape.file == RESULT and seen.flags & FILE:
            write = bool(seen.flags & WRITE)
        descriptor = None
        if shape.file == RESULT:
            descriptor = result if result is not None and result >= 0 else None
        elif shape.file < RESULT:
            descriptor = _signed(given[shape.file])
        who = self._who(values, self._subject[CALL])
        cookie = values[places["cookie"]]
        return Call(head, who, name, result, arguments, file, socket, descriptor, write, seen.inside(), cookie, further)

    def _exec(self, head: Head, known: Record, values: tuple[Any, ...], text: bytes) -> Exec:
        places = known.places
        seen = _Object(values, self._object[EXEC], text)
        file = seen.file() or File()
        cursor = seen.taken
        parts = []
        for member in ("directory", "arguments", "environment"):
            length = values[places[member]]
            parts.append(text[cursor : cursor + length])
            cursor += length
        who = self._who(values, self._subject[EXEC])
        origin = ""
        if file.loose and file.path.lstrip("/").startswith(_MEMFD):
            origin = "memfd"
        elif not who.flags & (SEPARATE | CONTAINED):
            origin = "host"
        terminal = values[places["terminal"]]
        process = {
            **who.values,
            "directory": parts[0].decode("utf-8", "surrogateescape"),
            "arguments": _texts(parts[1]),
            "environment": _texts(parts[2]),
            "session": values[places["session"]],
            "group_leader": values[places["group_leader"]],
            "terminal": _device(terminal) if terminal else 0,
            "executable": Executable(file.path, file.device, file.inode, origin=origin),
        }
        return Exec(head, who, file, process, seen.inside())


class _Object:
    """The object of a record, and what of the text belongs to it."""

    __slots__ = ("_at", "_path", "_values", "above", "flags", "peer", "prefix", "taken")

    def __init__(self, values: tuple[Any, ...], at: int, text: bytes) -> None:
        self._values, self._at = values, at
        self.flags: int = values[at + 7]
        path, inside, above = values[at + 17 : at + 20]
        self._path = text[:path].decode("utf-8", "surrogateescape")
        self.prefix = text[:inside].decode("utf-8", "surrogateescape")
        self.above = text[path : path + above].decode("utf-8", "surrogateescape")
        self.taken = path + above
        self.peer: int = values[at + 9]

    def file(self) -> File | None:
        if not self.flags & FILE:
            return None
        inode, _, device, magic, mode, number, mount_ns = self._values[self._at : self._at + 7]
        return File(
            self._path or "/", device=_device(device), inode=inode, mode=mode, magic=magic,
            kind=_KINDS.get(mode & 0o170000, ""),
            mount_namespace=mount_ns, number=_device(number), resolved=True, outside=bool(self.flags & OUTSIDE),
            loose=bool(self.flags & LOOSE), cut=bool(self.flags & CUT),
        )  # fmt: skip

    def inside(self) -> tuple[str, str, int] | None:
        if not self.flags & FILE or self.flags & (LOOSE | OWN_ROOT):
            return None
        above = "" if self.above == "/" else self.above
        return above, self._path[len(self.prefix) :], _device(self._values[self._at + 2])

    def arguments(self) -> dict[str, Any]:
        """Return what stands in no register: whose process it is, and that more was said than was read."""
        if self.flags & SOCKET:
            return {"cut": True} if self.flags & CUT else {}
        return {"target": self.peer} if self.flags & PEER else {}

    def socket(self) -> Socket | None:
        if not self.flags & SOCKET:
            return None
        values, at = self._values, self._at
        family, kind, protocol, local_port, remote_port, local, remote = values[at + 10 : at + 17]
        name = family_name(family)
        found = Socket(name, _TYPES.get(kind & 15, str(kind)), protocol, local_port=local_port, remote_port=remote_port,
                       server=bool(self.flags & LISTENS), peer_pid=self.peer)  # fmt: skip
        if name == "AF_INET":
            found.local, found.remote = ip_text(local[:4]), ip_text(remote[:4])
        elif name == "AF_INET6":
            found.local, found.remote = ip_text(local), ip_text(remote)
        elif self.flags & FILE:
            found.remote = self._path
            found.device, found.inode = _device(values[at + 2]), values[at]
        return found


_UNKNOWN = Shape(())
_SIGNED = frozenset((
    "dirfd", "olddirfd", "newdirfd", "fd", "sockfd", "pid", "from_dirfd", "to_dirfd", "pidfd", "tid", "tgid", "pid1",
    "pid2",
))  # fmt: skip
_INTS = frozenset((
    "cmd", "dev", "domain", "level", "mode", "nstype", "op", "operation", "protocol", "request", "sig", "type",
))  # fmt: skip
"""Arguments that are an int: the kernel drops the upper half of the register."""


def _mode(shape: Shape, given: tuple[int, ...], arguments: dict[str, Any]) -> bool | None:
    if shape.mode == NOTHING:
        return None
    if shape.mode >= POINTER:
        flags, mode = given[5], given[4]
        arguments["flags"], arguments["mode"] = flags, mode
    else:
        flags = given[shape.mode]
    return bool(flags & 3 or flags & 0o1100)


def _narrow(arguments: dict[str, Any]) -> None:
    """Take of each argument that is an int the half that the kernel takes."""
    for name in _SIGNED & arguments.keys():
        arguments[name] = _signed(arguments[name])
    for name in _INTS & arguments.keys():
        if isinstance(arguments[name], int):
            arguments[name] &= 0xFFFFFFFF


def _signed(number: int) -> int:
    number &= 0xFFFFFFFF
    return number - (1 << 32) if number >> 31 else number


def _device(kernel: int) -> int:
    """Turn the kernel's own device number (12 and 20 bits) into that of stat(2)."""
    return os.makedev(kernel >> 20, kernel & 0xFFFFF) if kernel else 0


def _texts(data: bytes) -> tuple[str, ...]:
    return tuple(one.decode("utf-8", "surrogateescape") for one in data.rstrip(b"\0").split(b"\0")) if data else ()


Arguments = Mapping[str, Any]
