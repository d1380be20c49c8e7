"""What systemd is told to have a unit started, read by a second implementation; and who may tell it anything."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.drill.journal import Journal, new_id
from holdfast.drill.reaper import finish
from holdfast.drill.stage import Stage
from holdfast.drill.system_bus import unit_request

HANDSHAKE = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"
ALIGNMENT = {"y": 1, "b": 4, "u": 4, "s": 4, "o": 4, "g": 1, "v": 1, "a": 4, "(": 8, "{": 8}
NAME, PROGRAM = "holdfast-0123.service", "/run/helper"


class Reader:
    """Reads values as the specification of D-Bus says, little-endian only."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def skip(self, size: int) -> None:
        to = -(-self.at // size) * size
        assert self.data[self.at : to] == bytes(to - self.at), "padding is zero"
        self.at = to

    def take(self, count: int) -> bytes:
        assert self.at + count <= len(self.data)
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self) -> int:
        self.skip(4)
        value: int = struct.unpack("<I", self.take(4))[0]
        return value

    def text(self, length: int) -> str:
        found = self.take(length).decode()
        assert self.take(1) == b"\0"
        return found

    def value(self, signature: str) -> tuple[Any, str]:
        """Read one value; returns it and what is left of the signature."""
        kind, rest = signature[0], signature[1:]
        self.skip(ALIGNMENT[kind])
        if kind == "y":
            return self.take(1)[0], rest
        if kind in "ub":
            return self.number(), rest
        if kind in "so":
            return self.text(self.number()), rest
        if kind == "g":
            return self.text(self.take(1)[0]), rest
        if kind == "v":
            return self.value(self.text(self.take(1)[0]))[0], rest
        if kind == "(":
            fields = []
            while rest[0] != ")":
                field, rest = self.value(rest)
                fields.append(field)
            return tuple(fields), rest[1:]
        assert kind == "a"
        length = self.number()
        self.skip(ALIGNMENT[rest[0]])
        end = self.at + length
        items = []
        left = Reader(b"").skipped(rest)
        while self.at < end:
            item, left = self.value(rest)
            items.append(item)
        assert self.at == end
        return items, left

    @staticmethod
    def skipped(signature: str) -> str:
        """Return what follows the first complete type of a signature."""
        if signature[0] == "a":
            return Reader.skipped(signature[1:])
        if signature[0] != "(":
            return signature[1:]
        rest = signature[1:]
        while rest[0] != ")":
            rest = Reader.skipped(rest)
        return rest[1:]


def messages(data: bytes) -> list[tuple[dict[int, Any], list[Any]]]:
    """Take a stream apart: (header fields, arguments) of each message."""
    found = []
    while data:
        reader = Reader(data)
        assert reader.take(4) == b"l\x01\x00\x01", "little-endian, a call, no flags, version 1"
        length, serial = reader.number(), reader.number()
        assert serial == len(found) + 1
        fields = dict(reader.value("a(yv)")[0])
        reader.skip(8)
        body = Reader(reader.take(length))
        rest, values = fields.get(8, ""), []
        while rest:
            value, rest = body.value(rest)
            values.append(value)
        assert body.at == length
        found.append((fields, values))
        data = data[reader.at :]
    return found


def test_the_private_socket_is_asked_at_once() -> None:
    said = unit_request(NAME, PROGRAM, bus=False)
    assert said.startswith(HANDSHAKE)
    ((fields, values),) = messages(said.removeprefix(HANDSHAKE))
    assert fields == {
        1: "/org/freedesktop/systemd1",
        2: "org.freedesktop.systemd1.Manager",
        3: "StartTransientUnit",
        6: "org.freedesktop.systemd1",
        8: "ssa(sv)a(sa(sv))",
    }
    name, mode, properties, further = values
    assert (name, mode, further) == (NAME, "fail", [])
    assert dict(properties) == {
        "Type": "oneshot",
        "CollectMode": "inactive-or-failed",
        "ExecStart": [(PROGRAM, [PROGRAM], 0)],
    }


def test_the_bus_is_greeted_first() -> None:
    hello, order = messages(unit_request(NAME, PROGRAM, bus=True).removeprefix(HANDSHAKE))
    assert (hello[0][3], hello[0][6], hello[1]) == ("Hello", "org.freedesktop.DBus", [])
    ((_, values),) = messages(unit_request(NAME, PROGRAM, bus=False).removeprefix(HANDSHAKE))
    assert order[1] == values


@given(st.text("abc-.0", min_size=1, max_size=90), st.text("ab/-", min_size=1, max_size=90), st.booleans())
def test_every_length_is_padded_right(name: str, program: str, bus: bool) -> None:
    *_, (_, values) = messages(unit_request(name, program, bus=bus).removeprefix(HANDSHAKE))
    assert values[0] == name
    assert dict(values[2])["ExecStart"] == [(program, [program], 0)]


SAY = (
    # The interpreter may lie where only root may look, so it becomes somebody else once it runs.
    "import os, socket, sys; s = socket.socket(socket.AF_UNIX); os.setuid(int(sys.argv[3])); "
    "s.connect(sys.argv[1]); s.send(sys.argv[2].encode())"
)


@pytest.mark.root
@pytest.mark.parametrize(
    ("socket", "user", "noted"),
    [
        ("/run/dbus/system_bus_socket", 0, True),
        ("/run/dbus/system_bus_socket", 65534, False),
        ("/run/dbus/session.sock", 65534, True),
    ],
)
def test_what_stands_in_for_the_bus_heeds_root_alone(socket: str, user: int, noted: bool) -> None:
    """On a host the bus lets everybody in and passes on the orders of few."""
    journal = Journal.open(new_id(), 60)
    try:
        with Stage(journal) as stage:
            place = stage.stand_in(socket)
            (listener,) = stage.listeners().values()
            place.chmod(0o666)
            token = stage.token()
            folder = place.parent
            while folder != Path("/"):
                assert folder.stat().st_mode & 1, "anybody may enter, or the test would prove nothing"
                folder = folder.parent
            subprocess.run([sys.executable, "-c", SAY, str(place), token, str(user)], check=True)
            again = stage.token()
            subprocess.run([sys.executable, "-c", SAY, str(place), again, "0"], check=True)
            assert wait_for(listener.received, again), "root is always heard, and after the other"
            assert (token.encode() in listener.received) is noted
    finally:
        finish(journal)


def wait_for(received: set[bytes], token: str) -> bool:
    """Wait until a listener has heard a token."""
    import time

    until = time.monotonic() + 5
    while time.monotonic() < until:
        if token.encode() in received:
            return True
        time.sleep(0.01)
    return False
