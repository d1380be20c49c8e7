"""Falco's questions about a socket (fd.ip, fd.sip, fd.lport, ...): which end is the client's, which the server's.

The caller of connect or sendto is the client, the caller of accept the server, as Falco has it. The address of a
unix socket is its path alone; Falco prints two addresses in the kernel before it, which nobody may see any more.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from holdfast.model.event import Event, Socket
from holdfast.sensor.processes import Life

Ask = Callable[[Event], Any]
SERVERS = frozenset({"bind", "listen"})
"""Calls after which a socket has one end only."""
_ACCEPTS = frozenset({"accept", "accept4"})
_SENDS = frozenset({"sendto", "sendmsg", "sendmmsg", "send"})
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp", 255: "raw"}
REMEMBERED = 8192
"""Most descriptors whose last connection is remembered, to tell whether it changed."""


class Ends(NamedTuple):
    """A connection: address and port of both ends; the client's are empty and 0 for a listening socket."""

    version: int
    client: str
    client_port: int
    server: str
    server_port: int
    local_is_client: bool


def ends(event: Event) -> Ends | None:
    """Return the ends of an IP socket; None for anything else, and where no address is known."""
    socket = event.socket
    if socket is None or socket.family not in {"AF_INET", "AF_INET6"}:
        return None
    if event.name in SERVERS:
        address, port = (socket.local, socket.local_port) if socket.local_port else (socket.remote, socket.remote_port)
        version, text = _address(address)
        return Ends(version, "", 0, text, port, False) if version else None
    version, local = _address(socket.local)
    other, remote = _address(socket.remote)
    version = other or version
    if not version or not (socket.remote_port or socket.local_port):
        return None
    local, remote = local or _any(version), remote or _any(version)
    if event.name in _ACCEPTS or (socket.server and event.name not in _SENDS and event.name != "connect"):
        return Ends(version, remote, socket.remote_port, local, socket.local_port, False)
    return Ends(version, local, socket.local_port, remote, socket.remote_port, True)


def tuple_name(event: Event) -> str | None:
    """Return ``client:port->server:port``, ``address:port`` of a listening socket, or the path of a unix socket."""
    socket = event.socket
    if socket is not None and socket.family == "AF_UNIX":
        return socket.remote or socket.local or None
    found = ends(event)
    if found is None:
        return None
    server = f"{found.server}:{found.server_port}"
    return server if not found.client else f"{found.client}:{found.client_port}->{server}"


def protocol(socket: Socket) -> str | None:
    """Return ``tcp``, ``udp``, ``icmp`` or ``raw``; Falco's ``<NA>`` for sockets that have none of them."""
    if socket.family not in {"AF_INET", "AF_INET6"}:
        return "<NA>"
    if socket.kind == "SOCK_RAW":
        return "raw"
    if not socket.protocol:
        return {"SOCK_STREAM": "tcp", "SOCK_DGRAM": "udp"}.get(socket.kind)
    return _PROTOCOLS.get(socket.protocol, "<NA>")


def _any(version: int) -> str:
    return "0.0.0.0" if version == 4 else "::"  # noqa: S104 - an address that is shown, nothing is bound to it


def _address(text: str) -> tuple[int, str]:
    """Return version and text; an IPv4 address inside an IPv6 one counts as what it is."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return 0, ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (4, str(mapped)) if mapped is not None else (found.version, str(found))


def _of(read: Callable[[Ends], Any]) -> Ask:
    def ask(event: Event) -> Any:
        found = ends(event)
        return None if found is None else read(found)

    return ask


def _client(read: Callable[[Ends], Any]) -> Ask:
    return _of(lambda found: read(found) if found.client else None)


def _local(found: Ends) -> tuple[str, int]:
    return (found.client, found.client_port) if found.local_is_client else (found.server, found.server_port)


def _remote(found: Ends) -> tuple[str, int]:
    return (found.server, found.server_port) if found.local_is_client else (found.client, found.client_port)


def _both(found: Ends) -> tuple[str, ...]:
    return (found.client, found.server) if found.client else (found.server,)


def _ports(found: Ends) -> tuple[int, ...]:
    return (found.client_port, found.server_port) if found.client else (found.server_port,)


def _connected(event: Event) -> bool | None:
    if ends(event) is None:
        return None
    if event.name == "connect":
        return event.result == 0
    if event.name in _ACCEPTS:
        return True
    if event.name == "sendto":
        return not event.arguments.get("addrlen")
    return False if event.name in SERVERS else None


def _family(event: Event) -> str | None:
    family = "" if event.socket is None else event.socket.family
    return {"AF_INET": "ip", "AF_INET6": "ip", "AF_UNIX": "unix"}.get(family)


def _is_server(event: Event) -> bool | None:
    found = ends(event)
    return None if found is None else not found.local_is_client


class _Changes:
    """Remembers what each descriptor was connected to."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[int, int, int], str] = OrderedDict()

    def __call__(self, event: Event) -> bool | None:
        """Tell whether this event gave the descriptor another connection than it had."""
        now = tuple_name(event)
        if now is None or event.descriptor is None:
            return None
        start = event.process.start_ns if isinstance(event.process, Life) else 0
        key = (event.process.pid, start, event.descriptor)
        former = self._last.pop(key, None)
        self._last[key] = now
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        return former != now


NAMES = ("fd.cip.name", "fd.sip.name", "fd.lip.name", "fd.rip.name")
"""Questions for the domain names of an address."""


def answers(names: Callable[[str], tuple[str, ...] | None] = lambda _: None) -> dict[str, Ask]:
    """Return how each question is answered; what descriptors were connected to is remembered from now on.

    Args:
        names: Returns the domain names that an address is known to have; None where none is.
    """
    return {
        "fd.cip.name": _client(lambda found: names(found.client)),
        "fd.sip.name": _of(lambda found: names(found.server)),
        "fd.lip.name": _client(lambda found: names(_local(found)[0])),
        "fd.rip.name": _client(lambda found: names(_remote(found)[0])),
        "fd.ip": _of(_both), "fd.net": _of(_both), "fd.port": _of(_ports),
        "fd.cip": _client(lambda found: found.client), "fd.cnet": _client(lambda found: found.client),
        "fd.cport": _client(lambda found: found.client_port),
        "fd.sip": _of(lambda found: found.server), "fd.snet": _of(lambda found: found.server),
        "fd.sport": _of(lambda found: found.server_port),
        "fd.lip": _client(lambda found: _local(found)[0]), "fd.lnet": _client(lambda found: _local(found)[0]),
        "fd.lport": _client(lambda found: _local(found)[1]),
        "fd.rip": _client(lambda found: _remote(found)[0]), "fd.rnet": _client(lambda found: _remote(found)[0]),
        "fd.rport": _client(lambda found: _remote(found)[1]),
        "fd.l4proto": lambda event: None if event.socket is None else protocol(event.socket),
        "fd.sockfamily": _family, "fd.is_server": _is_server,
        "fd.connected": _connected, "fd.name_changed": _Changes(),
    }  # fmt: skip
