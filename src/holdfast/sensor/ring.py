"""Read the kernel's ring buffers: two mapped pages of positions, and the data, mapped twice in a row by the kernel.

Source:
    https://docs.kernel.org/bpf/ringbuf.html
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import suppress

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
        # Native words, which are read and written at once. The struct module writes zeros first and then byte by byte:
        # to the kernel, which looks at the same time, the ring then seems full, and it drops a record.
        self._read_to = memoryview(self._consumer)[:8].cast("Q")
        self._written_to = memoryview(self._shown)[:8].cast("Q")

    def read(self, most: int = 4096) -> Iterator[memoryview]:
        """Iterate over the records that wait.

        Args:
            most: At most so many; the rest waits for the next call.

        Yields:
            A record. Borrowed: the kernel reuses its bytes once the next one is asked for.
        """
        mask, data = self.size - 1, self._data
        at = self._read_to[0]
        for _ in range(most):
            if at >= self._written_to[0]:
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
                self._read_to[0] = at

    def waiting(self) -> int:
        """Return how many bytes wait."""
        return self._written_to[0] - self._read_to[0]

    def close(self) -> None:
        """Unmap it."""
        for view in (self._data, self._read_to, self._written_to):
            view.release()
        for pages in (self._consumer, self._shown):
            with suppress(BufferError):  # somebody holds a record still; the last one unmaps it
                pages.close()
