"""A container's network, cut off and given back: through the kernel's routing netlink, without any program.

Where its interface is one end of a veth pair, the other end lies on the host, out of the container's reach: that end is
set down, and nothing of the container's own addresses and routes is lost. Any other interface keeps its link, and a
rule before all routing tables prohibits every destination; a container with CAP_NET_ADMIN could take it away.

Source:
    rtnetlink(7), veth(4), include/uapi/linux/fib_rules.h
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple, TypeVar

from holdfast.model.errors import Error, NotPermitted

_T = TypeVar("_T")
_CLONE_NEWNET = 0x40000000
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_RULE = struct.Struct("=8BI")
_NEWLINK, _GETLINK, _SETLINK, _NEWRULE, _DELRULE = 16, 18, 19, 32, 33
_REQUEST, _ACK, _DUMP, _CREATE, _EXCL = 0x1, 0x4, 0x300, 0x400, 0x200
_ERROR, _DONE = 2, 3
_UP = 1
_LOOPBACK = 8
_PROHIBIT = 8
_PRIORITY = 1
_PROTOCOL = 72
"""Marks a rule as ours (FRA_PROTOCOL); the numbers that are given out lie elsewhere."""
_WAIT_S = 5.0


class Interface(NamedTuple):
    """A network interface.

    Attributes:
        number: Its index, in its network namespace.
        name: Its name.
        kind: ``veth``, ``macvlan``, ...; empty for hardware and loopback.
        peer: Number of the other end, in another namespace; 0 where there is none.
        flags: ``IFF_*``.
    """

    number: int
    name: str
    kind: str
    peer: int
    flags: int


def inside(folder: int, act: Callable[[], _T]) -> _T:
    """Call a function in a process's network namespace, in a thread of its own that ends with it.

    Args:
        folder: The process's open /proc/PID.
        act: What to do there.

    Raises:
        NotPermitted: The kernel refuses.
        Error: It cannot be done.
    """
    results: list[_T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            space = os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
            try:
                library = ctypes.CDLL(None, use_errno=True)
                if library.setns(space, _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(space)
            results.append(act())
        except BaseException as error:  # noqa: BLE001 - handed to whoever called
            failures.append(error)

    thread = threading.Thread(target=work, name="holdfast-network", daemon=True)
    thread.start()
    thread.join(_WAIT_S)
    if failures:
        failure = failures[0]
        if isinstance(failure, PermissionError):
            raise NotPermitted("The network may not be changed", next="run with CAP_NET_ADMIN and CAP_SYS_ADMIN")
        if isinstance(failure, OSError):
            raise Error(f"The network cannot be changed: {failure.strerror or failure}") from failure
        raise failure
    if not results:
        raise Error(f"The network could not be changed within {_WAIT_S:g} seconds")
    return results[0]


def interfaces() -> list[Interface]:
    """List the interfaces of the network namespace of the calling thread, without the loopback."""
    found = []
    request = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    for kind, body in _asked(_GETLINK, _REQUEST | _DUMP, request):
        if kind != _NEWLINK:
            continue
        _, _, index, flags, _ = _LINK.unpack_from(body)
        attributes = dict(_attributes(body, _LINK.size))
        info = dict(_attributes(attributes.get(18, b""), 0))
        peer = struct.unpack("=i", attributes[5])[0] if 5 in attributes and 37 in attributes else 0
        if not flags & _LOOPBACK:
            name = attributes.get(3, b"").rstrip(b"\0").decode("utf-8", "surrogateescape")
            found.append(Interface(index, name, info.get(1, b"").rstrip(b"\0").decode("ascii", "replace"), peer, flags))
    return found


def peers(inner: list[Interface], outer: list[Interface]) -> list[Interface]:
    """Return the host's ends of a container's veth pairs.

    Args:
        inner: Interfaces of the container's namespace.
        outer: Interfaces of the host's.
    """
    by_index = {one.number: one for one in outer}
    found = []
    for one in inner:
        other = by_index.get(one.peer)
        if one.kind == "veth" and other is not None and other.kind == "veth" and other.peer == one.number:
            found.append(other)
    return found


def set_link(number: int, *, up: bool) -> None:
    """Set an interface of the calling thread's namespace up or down."""
    list(_asked(_SETLINK, _REQUEST | _ACK, _LINK.pack(socket.AF_UNSPEC, 0, number, _UP if up else 0, _UP)))


def refuse_routes(*, refused: bool) -> None:
    """Prohibit every destination to the calling thread's namespace, or take that back."""
    for family in (socket.AF_INET, socket.AF_INET6):
        body = _RULE.pack(family, 0, 0, 0, 0, 0, 0, _PROHIBIT, 0)
        body += _attribute(6, struct.pack("=I", _PRIORITY)) + _attribute(21, bytes([_PROTOCOL]))
        flags = _REQUEST | _ACK | (_CREATE | _EXCL if refused else 0)
        # Done already, or gone already: that is what was asked for. A kernel may also have no IPv6.
        with suppress(FileExistsError, FileNotFoundError):
            try:
                list(_asked(_NEWRULE if refused else _DELRULE, flags, body))
            except OSError as error:
                if family == socket.AF_INET or error.errno not in {95, 97}:
                    raise


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _attributes(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4 or at + length > len(data):
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += (length + 3) & ~3


def _asked(kind: int, flags: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as asking:
        asking.settimeout(_WAIT_S)
        asking.bind((0, 0))
        asking.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body)
        while True:
            data = asking.recv(1 << 18)
            at = 0
            while at + _HEADER.size <= len(data):
                length, told, _, _, _ = _HEADER.unpack_from(data, at)
                if length < _HEADER.size:
                    return
                inner = data[at + _HEADER.size : at + length]
                if told == _ERROR:
                    number = -struct.unpack_from("=i", inner)[0]
                    if number:
                        raise OSError(number, os.strerror(number))
                    return
                if told == _DONE:
                    return
                yield told, inner
                at += (length + 3) & ~3
