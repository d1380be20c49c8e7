"""Read the kernel's ring buffers: two mapped pages of positions, and the data, mapped twice in a row by the kernel.

Source:
    https://docs.kernel.org/bpf/ringbuf.html
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

_POSITION = struct.Struct("<Q")
_LENGTH = struct.Struct("<I")
_BUSY, _DISCARDED = 1 << 31, 1 << 30
_HEADER = 8


class Ring:
    """One ring buffer, with this process as its only reader."""

    def __init__(self, fd: int, size: int) -> None:
        """Map it.

        Args:
            fd: The map.
            size: Its ``max_entries``: bytes of data, a power of two.

        Raises:
            OSError: It cannot be mapped.
        """
        page = mmap.PAGESIZE
        self.fd = fd
        self.size = size
        self._consumer = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self._shown = mmap.mmap(fd, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._data = memoryview(self._shown)[page:]

    def read(self, most: int = 4096) -> Iterator[memoryview]:
        """Iterate over the records that wait.

        Args:
            most: At most so many; the rest waits for the next call.

        Yields:
            A record. Borrowed: the kernel reuses its bytes once the next one is asked for.
        """
        mask, data = self.size - 1, self._data
        (at,) = _POSITION.unpack_from(self._consumer)
        for _ in range(most):
            (end,) = _POSITION.unpack_from(self._shown)
            if at >= end:
                return
            place = at & mask
            (length,) = _LENGTH.unpack_from(data, place)
            if length & _BUSY:
                return
            at += (_HEADER + (length & ~_DISCARDED) + 7) & ~7
            try:
                if not length & _DISCARDED:
                    yield data[place + _HEADER : place + _HEADER + length]
            finally:  # also where nobody asks for another
                _POSITION.pack_into(self._consumer, 0, at)

    def waiting(self) -> int:
        """Return how many bytes wait."""
        return int(_POSITION.unpack_from(self._shown)[0] - _POSITION.unpack_from(self._consumer)[0])

    def close(self) -> None:
        """Unmap it."""
        self._data.release()
        self._consumer.close()
        self._shown.close()
