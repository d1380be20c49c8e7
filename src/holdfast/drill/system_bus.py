"""What a client of systemd says to have a unit started: one text, spoken without waiting for answers."""

from __future__ import annotations

import itertools
import struct

_MANAGER = "/org/freedesktop/systemd1"
_HANDSHAKE = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"
"""The kernel tells the server who the client is, and the client claims nothing."""
_CALL = 1
_FIELDS = {"path": (1, "o"), "interface": (2, "s"), "member": (3, "s"), "destination": (6, "s"), "signature": (8, "g")}


def unit_request(name: str, program: str, *, bus: bool) -> bytes:
    """Return what asks systemd for a transient unit that runs a program once and is gone.

    Args:
        name: Of the unit, with ``.service``.
        program: Absolute path on the host, started without arguments.
        bus: It is said to the message bus, which first wants to be greeted; systemd's own socket does not.

    Source:
        https://dbus.freedesktop.org/doc/dbus-specification.html (wire format, authentication);
        https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html (StartTransientUnit)
    """
    serials = itertools.count(1)
    said = _HANDSHAKE
    if bus:
        said += _message(
            next(serials), "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello"
        )
    body = _Writer()
    body.string(name)
    body.string("fail")
    with_properties = body.array(8)
    for prop, value in (("Type", "oneshot"), ("CollectMode", "inactive-or-failed")):
        body.pad(8)
        body.string(prop)
        body.signature("s")
        body.string(value)
    body.pad(8)
    body.string("ExecStart")
    body.signature("a(sasb)")
    commands = body.array(8)
    body.string(program)
    words = body.array(4)
    body.string(program)
    body.close(words)
    body.number(0)  # a failure of the program is one of the unit
    body.close(commands)
    body.close(with_properties)
    body.close(body.array(8))  # no further units
    interface = "org.freedesktop.systemd1.Manager"
    return said + _message(
        next(serials), "org.freedesktop.systemd1", _MANAGER, interface, "StartTransientUnit", "ssa(sv)a(sa(sv))", body
    )


class _Writer:
    """Writes values in D-Bus's little-endian format."""

    def __init__(self) -> None:
        self.data = bytearray()

    def pad(self, size: int) -> None:
        self.data += bytes(-len(self.data) % size)

    def number(self, value: int) -> None:
        self.pad(4)
        self.data += struct.pack("<I", value)

    def string(self, text: str) -> None:
        data = text.encode()
        self.number(len(data))
        self.data += data + b"\0"

    def signature(self, text: str) -> None:
        self.data += bytes([len(text)]) + text.encode() + b"\0"

    def array(self, alignment: int) -> tuple[int, int]:
        """Begin an array; returns what ``close`` takes."""
        self.number(0)
        at = len(self.data) - 4
        self.pad(alignment)
        return at, len(self.data)

    def close(self, begun: tuple[int, int]) -> None:
        """Write the length of an array where it belongs."""
        at, first = begun
        self.data[at : at + 4] = struct.pack("<I", len(self.data) - first)


def _message(  # noqa: PLR0913, PLR0917 - a call has that many fields
    serial: int,
    destination: str,
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    body: _Writer | None = None,
) -> bytes:
    data = bytes(body.data) if body is not None else b""
    head = _Writer()
    head.data += struct.pack("<cBBBII", b"l", _CALL, 0, 1, len(data), serial)
    fields = head.array(8)
    values = {
        "path": path,
        "interface": interface,
        "member": member,
        "destination": destination,
        "signature": signature,
    }
    for name, value in values.items():
        if value:
            code, kind = _FIELDS[name]
            head.pad(8)
            head.data += bytes([code])
            head.signature(kind)
            if kind == "g":
                head.signature(value)
            else:
                head.string(value)
    head.close(fields)
    head.pad(8)
    return bytes(head.data) + data
