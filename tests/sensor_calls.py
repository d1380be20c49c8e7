"""Programs that make exactly the system calls a test names: a static ELF file, put together without a compiler.

The program makes its calls one after the other, then writes what each returned to its standard output.
"""

from __future__ import annotations

import os
import struct
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.reason.effective.syscall_table import numbers
from sensor_made import docker

_NATIVE, _OLD = numbers("x86_64"), numbers("i386")
_CODE, _DATA, _RESULTS = 0x400000, 0x800000, 0xA00000
_MOST = 512
# mov REG, imm64 and mov REG, [disp32], in the order of a call's number and arguments
_IMMEDIATE = (b"\x48\xb8", b"\x48\xbf", b"\x48\xbe", b"\x48\xba", b"\x49\xba", b"\x49\xb8", b"\x49\xb9")
_LOADED = tuple(bytes.fromhex(one) for one in (
    "488b0425", "488b3c25", "488b3425", "488b1425", "4c8b1425", "4c8b0425", "4c8b0c25",
))  # fmt: skip
_OLD_IMMEDIATE = (b"\x48\xb8", b"\x48\xbb", b"\x48\xb9", b"\x48\xba", b"\x48\xbe", b"\x48\xbf", b"\x48\xbd")
_OLD_LOADED = tuple(bytes.fromhex(one) for one in (
    "488b0425", "488b1c25", "488b0c25", "488b1425", "488b3425", "488b3c25", "488b2c25",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """What an earlier call returned, as an argument of a later one."""

    number: int


Argument = int | bytes | str | Result


class Program:
    """A program in the making."""

    def __init__(self) -> None:
        self._code = bytearray()
        self._data = bytearray()
        self._calls = 0

    def data(self, content: bytes) -> int:
        """Lay bytes down; returns their address."""
        at = _DATA + len(self._data)
        self._data += content + bytes(-len(content) % 8)
        return at

    def text(self, words: str) -> int:
        """Lay text down with a zero behind it; returns its address."""
        return self.data(words.encode() + b"\0")

    def call(self, name: str, *arguments: Argument, old: bool = False) -> Result:
        """Make a call; text is passed by its address, with a zero behind. ``old``: through the 32-bit table."""
        number = (_OLD if old else _NATIVE)[name]
        words = (number, *(self._word(one) for one in arguments), *([0] * (6 - len(arguments))))
        assert len(words) == 7
        immediate, loaded = (_OLD_IMMEDIATE, _OLD_LOADED) if old else (_IMMEDIATE, _LOADED)
        for place, word in enumerate(words):
            if isinstance(word, Result):
                self._code += loaded[place] + struct.pack("<i", _RESULTS + word.number * 8)
            else:
                self._code += immediate[place] + struct.pack("<Q", word & 0xFFFFFFFFFFFFFFFF)
        self._code += b"\xcd\x80" if old else b"\x0f\x05"
        return self._kept()

    def store(self, result: Result, address: int) -> None:
        """Write what a call returned, eight bytes, to an address."""
        self._code += _LOADED[0] + struct.pack("<i", _RESULTS + result.number * 8)
        self._code += b"\x48\x89\x04\x25" + struct.pack("<i", address)

    def put(self, base: Result, offset: int, content: bytes) -> None:
        """Write bytes, eight at a time, behind an address that a call returned."""
        self._code += b"\x48\x8b\x0c\x25" + struct.pack("<i", _RESULTS + base.number * 8)
        for at in range(0, len(content), 8):
            self._code += _IMMEDIATE[0] + content[at : at + 8].ljust(8, b"\0")
            self._code += b"\x48\x89\x81" + struct.pack("<i", offset + at)

    def poke(self, base: Result, more_at: int, offset: int, value: int) -> None:
        """Write four bytes behind an address that a call returned, and as much further as those at ``more_at`` say."""
        self._code += b"\x8b\x04\x25" + struct.pack("<i", more_at)
        self._code += b"\x48\x03\x04\x25" + struct.pack("<i", _RESULTS + base.number * 8)
        self._code += b"\xc7\x80" + struct.pack("<iI", offset, value)

    def ring(self, *entries: bytes, flags: int = 0) -> Result:
        """Set io_uring up and hand these entries (struct io_uring_sqe) over; returns what io_uring_enter returned."""
        described = self.data(struct.pack("<IIIII", 0, 0, flags, 0, 1000).ljust(120, b"\0"))
        made = self.call("io_uring_setup", 16, described)
        rings = self.call("mmap", 0, 0x1000, 3, 0x8001, made, 0)
        table = self.call("mmap", 0, 0x1000, 3, 0x8001, made, 0x10000000)
        for number, entry in enumerate(entries):
            self.put(table, number * 64, entry.ljust(64, b"\0"))
            self.poke(rings, described + 64, number * 4, number)  # sq_off.array
        self.poke(rings, described + 44, 0, len(entries))  # sq_off.tail
        return self.call("io_uring_enter", made, len(entries), len(entries), 3 if flags else 1, 0, 0)

    def pause(self, seconds: int) -> None:
        """Wait: what lies at a path can only be looked at while somebody is there who sees it."""
        self.call("nanosleep", struct.pack("<QQ", seconds, 0), 0)

    def race(self, address: int, first: bytes, second: bytes) -> None:
        """Start a thread that writes these two texts of eight bytes to an address in turn, until the program ends."""
        words = (_NATIVE["clone"], 0x50F00, 0, 0, 0, 0, 0)  # CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM
        for place, word in enumerate(words):
            self._code += _IMMEDIATE[place] + struct.pack("<Q", word)
        loop = b"".join(
            _IMMEDIATE[0] + text.ljust(8, b"\0") + b"\x48\x89\x04\x25" + struct.pack("<i", address)
            for text in (first, second)
        )
        loop += b"\xeb" + struct.pack("<b", -len(loop) - 2)
        self._code += b"\x0f\x05\x85\xc0\x0f\x85" + struct.pack("<i", len(loop)) + loop

    def image(self) -> bytes:
        """Return the file."""
        show = self._calls * 8
        self.call("write", 1, _RESULTS, show)
        self.call("exit_group", 0)
        header = 64 + 3 * 56
        code = bytes(self._code)
        start = 0x1000
        data_at = start + len(code) + (-len(code) % 0x1000)
        rows = (
            struct.pack("<IIQQQQQQ", 1, 5, start, _CODE, _CODE, len(code), len(code), 0x1000),
            struct.pack("<IIQQQQQQ", 1, 6, data_at, _DATA, _DATA, len(self._data), len(self._data) + 8, 0x1000),
            struct.pack("<IIQQQQQQ", 1, 6, data_at, _RESULTS, _RESULTS, 0, _MOST * 8, 0x1000),
        )
        head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
            "<HHIQQQIHHHHHH", 2, 62, 1, _CODE, 64, 0, 0, 64, 56, len(rows), 0, 0, 0
        )
        assert len(head) + sum(map(len, rows)) == header
        assert self._calls <= _MOST
        return (head + b"".join(rows)).ljust(start, b"\0") + code.ljust(data_at - start, b"\0") + bytes(self._data)

    def _kept(self) -> Result:
        self._code += b"\x48\x89\x04\x25" + struct.pack("<i", _RESULTS + self._calls * 8)
        self._calls += 1
        return Result(self._calls - 1)

    def _word(self, argument: Argument) -> int | Result:
        if isinstance(argument, str):
            return self.text(argument)
        return self.data(argument) if isinstance(argument, bytes) else argument


def run(image: str, program: Program, folder: Path, *options: str, words: Sequence[str] = ()) -> list[int]:
    """Run a program as a container of its own; returns what its calls returned."""
    name = f"holdfast-test-{os.getpid()}-{time.monotonic_ns()}"
    file = folder / name
    file.write_bytes(program.image())
    file.chmod(0o755)
    done = subprocess.run(
        ["docker", "run", "--rm", "--name", name, "-v", f"{file}:/act:ro", *options, image, *(words or ("/act",))],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    docker("rm", "-f", name, check=False)
    file.unlink()
    whole = len(done.stdout) // 8 * 8
    assert whole, done.stderr
    return [number for (number,) in struct.iter_unpack("<q", done.stdout[:whole])]
