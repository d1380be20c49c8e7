"""Syslog messages to a receiver: TLS and TCP with octet counting, UDP, or the machine's own socket.

Syslog has no acknowledgement. Over TCP a message counts as delivered when the receiver's kernel has acknowledged every
byte and the connection still stands; what the receiver then loses by itself nobody can know. UDP gives not even that.
"""

from __future__ import annotations

import errno
import fcntl
import select
import socket
import ssl
import struct
import termios
import time
from collections.abc import Sequence
from enum import Enum
from typing import Any

from holdfast.model.errors import Usage
from holdfast.sensor.sinks.outcome import Permanent, Temporary
from holdfast.sensor.sinks.wire import Tls, Wire

_PORTS = {"tls": 6514, "tcp": 601, "udp": 514}
_LARGEST_DATAGRAM = 65_507
"""Bytes of payload that UDP over IPv4 carries."""


class Transport(Enum):
    """How messages travel."""

    TLS = "tls"
    TCP = "tcp"
    UDP = "udp"
    UNIX = "unix"


class Syslog:
    """Sends syslog messages; who makes them is another's trade.

    Attributes:
        name: Names the sink's cursor.

    Source:
        RFC 5425 (TLS), RFC 6587 section 3.4.1 (octet counting), RFC 5426 (UDP).
    """

    def __init__(  # noqa: PLR0913 - each is one thing a person may say
        self,
        name: str,
        address: str,
        *,
        transport: Transport = Transport.TLS,
        port: int = 0,
        tls: Tls | None = None,
        seconds: float = 10.0,
    ) -> None:
        """Say where to; the connection is made with the first message.

        Args:
            name: Names the sink's cursor.
            address: Host name or address; the socket's path for UNIX, usually ``/dev/log``.
            transport: How.
            port: 0 takes the one that is registered: 6514 for TLS, 601 for TCP, 514 for UDP.
            tls: How the ends know each other; the system's authorities by default.
            seconds: How long one ``send`` may take.

        Raises:
            Usage: TLS is told where there is none, or a certificate is none.
            NotReachable: A certificate is missing.
        """
        if tls is not None and transport is not Transport.TLS:
            raise Usage(f"certificates mean nothing over {transport.value}", address, "take transport tls")
        self.name = name
        self._address = address
        self._transport = transport
        self._port = port or _PORTS.get(transport.value, 0)
        self._tls = tls or Tls()
        self._context = self._tls.context() if transport is Transport.TLS else None
        self._wire = Wire(seconds)
        self._where = f"{transport.value}://{address}" + (f":{self._port}" if self._port else "")

    def send(self, records: Sequence[bytes]) -> None:
        """Send messages, each whole.

        Raises:
            Temporary: The receiver is not there, hangs, or closed the connection; some messages may have arrived.
            Permanent: A message is too long for a datagram.
        """
        with self._wire.bounded(self._where):
            if self._transport in {Transport.UDP, Transport.UNIX}:
                self._datagrams(records)
            else:
                self._stream(records)

    def abort(self) -> None:
        """Let a ``send`` that waits in another thread give up now."""
        self._wire.abort()

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()

    def _stream(self, records: Sequence[bytes]) -> None:
        wire = self._wire
        if wire.socket is not None and _closed(wire.socket):
            wire.close()
        connection = wire.socket or wire.connect(self._address, self._port, self._context, self._tls.host)
        connection.sendall(b"".join(b"%d %s" % (len(record), record) for record in records))
        until = time.monotonic() + wire.seconds
        pause = 0.0002
        while _unacknowledged(connection):
            if time.monotonic() > until or wire.aborted:
                raise TimeoutError
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        if _closed(connection):
            wire.close()
            raise Temporary(f"{self._where} closed the connection")

    def _datagrams(self, records: Sequence[bytes]) -> None:
        wire = self._wire
        if wire.socket is None:
            wire.socket = self._connected()
        for record in records:
            if len(record) > _LARGEST_DATAGRAM and self._transport is Transport.UDP:
                raise Permanent(f"{len(record)} bytes are too long for a datagram")
            try:
                wire.socket.send(record)
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    raise Permanent(f"{len(record)} bytes are too long for a datagram") from error
                raise

    def _connected(self) -> socket.socket:
        if self._transport is Transport.UNIX:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            place: Any = self._address
        else:
            found = socket.getaddrinfo(self._address, self._port, type=socket.SOCK_DGRAM)[0]
            connection = socket.socket(found[0], found[1])
            place = found[4]
        connection.settimeout(self._wire.seconds)
        try:
            connection.connect(place)
        except OSError:
            connection.close()
            raise
        return connection


def _closed(connection: socket.socket) -> bool:
    """Tell whether the receiver has ended the connection. What it says otherwise is thrown away."""
    seconds = connection.gettimeout()
    for _ in range(64):
        try:
            if not select.select([connection], [], [], 0)[0]:
                return False
            connection.setblocking(False)
            if not connection.recv(4096):
                return True
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        except OSError:
            return True
        finally:
            connection.settimeout(seconds)
    return True


def _unacknowledged(connection: socket.socket) -> int:
    """Return how many bytes the peer's kernel has not acknowledged (tcp(7), SIOCOUTQ)."""
    return int(struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0])
