"""Lines to a descriptor that is open already, usually standard output."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence

from holdfast.sensor.sinks.lines import lines
from holdfast.sensor.sinks.outcome import Temporary

_PIECE = select.PIPE_BUF
"""A pipe that says it is writable takes so many bytes without waiting (pipe(7))."""


class Stdout:
    """Writes records, one a line. A reader that does not read costs ``seconds``, never more.

    Attributes:
        name: Names the sink's cursor.
    """

    def __init__(self, name: str = "stdout", handle: int = 1, seconds: float = 10.0) -> None:
        """Take a descriptor; it is never closed here, and keeps its flags, which other processes may share."""
        self.name = name
        self._handle = handle
        self._seconds = seconds
        self._torn = False
        self._aborted = False

    def send(self, records: Sequence[bytes]) -> None:
        """Write records.

        Raises:
            Temporary: The reader does not read or is gone.
            Permanent: A record holds the end of a line.
        """
        # A line that was cut off by a reader who did not read must not take the next one with it.
        data = memoryview((b"\n" if self._torn else b"") + lines(records))
        until = time.monotonic() + self._seconds
        poll = select.poll()
        poll.register(self._handle, select.POLLOUT)
        done = 0
        try:
            while done < len(data):
                left = until - time.monotonic()
                if self._aborted or left <= 0 or not poll.poll(min(left, 0.2) * 1000):
                    if self._aborted or left <= 0:
                        raise Temporary(f"nobody read for {self._seconds:g} seconds")
                    continue
                done += os.write(self._handle, data[done : done + _PIECE])
        except OSError as error:
            raise Temporary(f"cannot be written: {error.strerror}") from error
        finally:
            if done:
                self._torn = data[done - 1] != 0x0A

    def abort(self) -> None:
        """Let a ``send`` that waits in another thread give up soon."""
        self._aborted = True

    def close(self) -> None:
        """Do nothing: the descriptor is not ours."""
