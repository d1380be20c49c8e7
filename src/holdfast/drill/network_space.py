"""Network namespaces of a run's own, and what is put into them: pairs of interfaces, addresses, routes.

A namespace lives as long as somebody has it open, so nothing of this outlives the run: when its process dies, however
it dies, the kernel takes the namespaces, the interfaces in them and the other ends of those interfaces away.

Source:
    https://man7.org/linux/man-pages/man7/rtnetlink.7.html, and include/uapi/linux/{if_link,veth}.h for the attributes.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

_CLONE_NEWNET = 0x40000000
_OWN = "/proc/thread-self/ns/net"
_REQUEST, _ACK, _EXCL, _CREATE = 0x1, 0x4, 0x200, 0x400
_ERROR = 2
_NEW_LINK, _SET_LINK, _NEW_ADDRESS, _NEW_ROUTE = 16, 19, 20, 24
_IFNAME, _LINKINFO, _AF_SPEC, _NET_NS_FD = 3, 18, 26, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_INET_CONF, _FORWARDING = 1, 1
_ADDRESS, _LOCAL = 1, 2
_DESTINATION, _GATEWAY = 1, 5
_TABLE_MAIN, _PROTOCOL_BOOT, _UNICAST = 254, 3, 1
_UP = 1
_NESTED = 0x8000
_ANSWER_S = 5.0

_libc = ctypes.CDLL(None, use_errno=True)
_T = TypeVar("_T")


class NetworkSpace:
    """A network namespace that is held open. A context manager."""

    def __init__(self, handle: int) -> None:
        """Hold a namespace.

        Args:
            handle: Descriptor of it; closed with this.

        Raises:
            OSError: The kernel does not let us in.
        """
        self._handle = handle
        self._numbers = itertools.count(1)
        try:
            self._netlink = self.call(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE))
        except OSError:
            os.close(handle)
            raise
        self._netlink.settimeout(_ANSWER_S)

    @classmethod
    def made(cls) -> Self:
        """Make a namespace that has nothing but a loopback, which is down.

        Raises:
            OSError: The kernel refuses; it takes CAP_SYS_ADMIN.
        """

        def unshared() -> int:
            _checked(_libc.unshare(_CLONE_NEWNET))
            return os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)

        return cls(_in_a_thread(unshared))

    @classmethod
    def of(cls, pid: int) -> Self:
        """Hold the namespace of a process.

        Raises:
            OSError: There is no such process, or the kernel does not let us in.
        """
        return cls(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    @property
    def inode(self) -> int:
        """What tells one namespace from another."""
        return os.fstat(self._handle).st_ino

    def call(self, what: Callable[[], _T]) -> _T:
        """Call something in a thread that is in the namespace. Sockets that it makes belong there for ever.

        Raises:
            OSError: The kernel does not let us in, or the call raised it.
        """

        def entered() -> _T:
            _checked(_libc.setns(self._handle, _CLONE_NEWNET))
            return what()

        return _in_a_thread(entered)

    def pair(self, name: str, other: NetworkSpace, other_name: str) -> None:
        """Make two interfaces that are each other's cable, one here and one in another namespace.

        Raises:
            OSError: A name is taken, or the kernel has no such interfaces.
        """
        peer = _link(0) + _text(_IFNAME, other_name) + _attribute(_NET_NS_FD, struct.pack("=I", other._handle))
        kind = _text(_INFO_KIND, "veth") + _attribute(_INFO_DATA, _attribute(_VETH_PEER, peer))
        body = _link(0) + _text(_IFNAME, name) + _attribute(_LINKINFO, kind)
        self._ask(_NEW_LINK, _CREATE | _EXCL, body)

    def up(self, name: str, *, forward: bool = False) -> None:
        """Bring an interface up, and let packets that come in by it travel on where ``forward``.

        Raises:
            OSError: There is no such interface.
        """
        index = self._index(name)
        body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, _UP, _UP)
        if forward:
            setting = _attribute(_INET_CONF | _NESTED, _attribute(_FORWARDING, struct.pack("=I", 1)))
            body += _attribute(_AF_SPEC | _NESTED, _attribute(socket.AF_INET | _NESTED, setting))
        self._ask(_SET_LINK, 0, body)

    def address(self, name: str, address: str, length: int) -> None:
        """Give an interface an IPv4 address with a prefix of a length in bits.

        Raises:
            OSError: There is no such interface, or it has the address.
        """
        raw = socket.inet_aton(address)
        body = struct.pack("=BBBBi", socket.AF_INET, length, 0, 0, self._index(name))
        self._ask(_NEW_ADDRESS, _CREATE | _EXCL, body + _attribute(_LOCAL, raw) + _attribute(_ADDRESS, raw))

    def route(self, target: str, length: int, gateway: str) -> None:
        """Let packets for a network go to a neighbour.

        Raises:
            OSError: The neighbour is not on any interface, or there is such a route.
        """
        head = struct.pack("=8BI", socket.AF_INET, length, 0, 0, _TABLE_MAIN, _PROTOCOL_BOOT, 0, _UNICAST, 0)
        to = _attribute(_DESTINATION, socket.inet_aton(target)) if length else b""
        self._ask(_NEW_ROUTE, _CREATE | _EXCL, head + to + _attribute(_GATEWAY, socket.inet_aton(gateway)))

    def close(self) -> None:
        """Let go of the namespace."""
        if self._handle >= 0:
            self._netlink.close()
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _index(self, name: str) -> int:
        return self.call(lambda: socket.if_nametoindex(name))

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        number = next(self._numbers)
        head = struct.pack("=IHHII", 16 + len(body), kind, flags | _REQUEST | _ACK, number, 0)
        self._netlink.send(head + body)
        while True:
            answer = self._netlink.recv(1 << 16)
            _, told, _, which, _ = struct.unpack_from("=IHHII", answer)
            if told == _ERROR and which == number:
                (error,) = struct.unpack_from("=i", answer, 16)
                if error:
                    raise OSError(-error, os.strerror(-error), f"rtnetlink message {kind}")
                return


def _link(index: int) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0)


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _checked(result: int) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "network namespace")


def _in_a_thread(what: Callable[[], _T]) -> _T:
    """Call something in a thread of its own: the namespace of a thread ends with it, and no other thread leaves its."""
    results: list[_T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(what())
        except Exception as error:  # noqa: BLE001 - raised again by whoever asked
            errors.append(error)

    thread = threading.Thread(target=run, name="holdfast-network")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
