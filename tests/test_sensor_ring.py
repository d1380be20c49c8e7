"""The reader of the kernel's ring buffers, on memory of the same form that this process makes itself."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from holdfast.sensor.ring import Ring

PAGE = mmap.PAGESIZE
SIZE = 1 << 16
BUSY, DISCARDED = 1 << 31, 1 << 30
WATCHER = """
import mmap, sys
seen = memoryview(mmap.mmap(int(sys.argv[1]), mmap.PAGESIZE, prot=mmap.PROT_READ)).cast("Q")
print("ready", flush=True)
last = backwards = steps = 0
end = int(sys.argv[2])
while last < end:
    at = seen[0]
    backwards += at < last
    steps += at != last
    last = max(last, at)
print(backwards, steps)
"""


class Made:
    """A ring in ordinary shared memory: consumer's page, producer's page, data twice."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + 2 * SIZE)
        self.end = 0

    def put(self, text: bytes, flags: int = 0) -> None:
        record = struct.pack("<II", len(text) | flags, 0) + text
        place = self.end % SIZE
        for start in (place, place + SIZE, place - SIZE):  # the kernel maps the same pages twice
            if 0 <= start < 2 * SIZE:
                os.pwrite(self.fd, record, 2 * PAGE + start)
        self.end += (len(record) + 7) & ~7
        os.pwrite(self.fd, struct.pack("<Q", self.end), PAGE)

    def consumed(self) -> int:
        return int(struct.unpack("<Q", os.pread(self.fd, 8, 0))[0])


@pytest.fixture
def made() -> Iterator[Made]:
    one = Made()
    yield one
    os.close(one.fd)


def test_records_come_in_order_across_the_end_and_discarded_ones_do_not(made: Made) -> None:
    ring = Ring(made.fd, SIZE)
    texts = [bytes([number % 256]) * (number % 977) for number in range(1000)]
    found = []
    for number, text in enumerate(texts):
        made.put(b"gone", DISCARDED)
        made.put(text)
        if number % 7 == 0:
            found += [bytes(one) for one in ring.read()]
    found += [bytes(one) for one in ring.read()]
    assert found == texts
    assert ring.waiting() == 0
    assert made.consumed() == made.end
    ring.close()


def test_what_is_still_written_is_waited_for(made: Made) -> None:
    ring = Ring(made.fd, SIZE)
    made.put(b"one")
    made.put(b"two", BUSY)
    made.put(b"three")
    assert [bytes(one) for one in ring.read()] == [b"one"]
    assert [bytes(one) for one in ring.read()] == []
    assert ring.waiting() == 32
    ring.close()


def test_a_reader_who_stops_has_read_what_he_was_given(made: Made) -> None:
    ring = Ring(made.fd, SIZE)
    for text in (b"one", b"two", b"three"):
        made.put(text)
    for one in ring.read():
        assert bytes(one) == b"one"
        one.release()
        break
    assert [bytes(one) for one in ring.read(1)] == [b"two"]
    assert [bytes(one) for one in ring.read()] == [b"three"]
    ring.close()


def test_the_position_never_goes_back_for_whoever_looks_at_the_same_time(made: Made) -> None:
    """The kernel takes a position that goes back for a full ring, and drops a record."""
    rounds = 200
    os.pwrite(made.fd, struct.pack("<IIQ", 8, 0, 0) * (2 * SIZE // 16), 2 * PAGE)
    ring = Ring(made.fd, SIZE)
    command = [sys.executable, "-c", WATCHER, str(made.fd), str(rounds * SIZE)]
    with subprocess.Popen(command, pass_fds=[made.fd], stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "ready\n"
        for number in range(rounds):
            os.pwrite(made.fd, struct.pack("<Q", (number + 1) * SIZE), PAGE)
            assert sum(1 for _ in ring.read()) == SIZE // 16
        backwards, steps = map(int, watcher.stdout.readline().split())
    assert made.consumed() == rounds * SIZE
    assert steps > 100
    assert backwards == 0
    ring.close()
