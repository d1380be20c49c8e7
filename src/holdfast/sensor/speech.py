"""What a send says, and to whom: which other call it does the work of, and what else the same send did. Pure."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace

from holdfast.model.event import Event
from holdfast.sensor.addresses import Reached

CONNECT = "connect"
SENDS = frozenset(("sendto", "sendmsg", "sendmmsg"))
UNREAD = "unread"
"""Stands for the rest of what was said to the kernel where it is longer than what was read."""
_FASTOPEN = 0x20000000
_HEADER = 16
_NOT_CONNECTED = frozenset((-errno.EISCONN,))


def acting(event: Event) -> str:
    """Return the name of the call that an event's call does the work of; its own where it stands for itself.

    A send connects where it opens a TCP connection with its first data, or where it names the unix socket or the
    service on this machine's own network that the datagram is for.
    """
    if event.name not in SENDS or event.socket is None or event.result in _NOT_CONNECTED:
        return event.name
    socket = event.socket
    if not event.arguments.get("named"):
        return event.name
    if socket.family == "AF_UNIX":
        return CONNECT if socket.kind == "SOCK_DGRAM" else event.name
    if socket.family not in {"AF_INET", "AF_INET6"}:
        return event.name
    if socket.kind == "SOCK_STREAM":
        return CONNECT if event.arguments.get("flags", 0) & _FASTOPEN else event.name
    return CONNECT if loopback(socket.remote) else event.name


def loopback(address: str) -> bool:
    """Tell whether an address is the machine's own, or none, which the kernel takes for the same."""
    return address.startswith(("127.", "::ffff:127.", "0.0.0.0")) or address in {"::", "::1"}  # noqa: S104


def others(event: Event, further: tuple[Reached, ...]) -> Iterator[Event]:
    """Iterate over what the same call did besides.

    Args:
        event: The call; what it said to the kernel may be several messages.
        further: Other sockets that it named.
    """
    if event.socket is None:
        return
    if event.socket.family == "AF_NETLINK":
        yield from _messages(event)
    for socket, file in further:
        yield replace(event, socket=socket, file=file, known={})


def _messages(event: Event) -> Iterator[Event]:
    data = event.arguments.get("data")
    if not isinstance(data, bytes):
        return
    seen = {data[4:6]}
    at = _next(data, 0)
    while at and at + 6 <= len(data):
        kind = data[at + 4 : at + 6]
        if kind not in seen:
            seen.add(kind)
            yield replace(event, arguments={**event.arguments, "data": data[at:]}, known={})
        at = _next(data, at)
    if event.arguments.get("cut"):
        yield replace(event, arguments={**event.arguments, "data": b""}, known={})


def _next(data: bytes, at: int) -> int:
    """Return where the message behind one begins; 0 where there can be none."""
    length = int.from_bytes(data[at : at + 4], "little")
    return at + (length + 3 & ~3) if length >= _HEADER else 0
