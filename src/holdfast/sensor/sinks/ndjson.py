"""Lines appended to a file, which is rotated here or by somebody else."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from holdfast.sensor.sinks.lines import lines
from holdfast.sensor.sinks.outcome import Temporary

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Ndjson:
    """Appends records to a file, one a line.

    Attributes:
        name: Names the sink's cursor.
    """

    def __init__(  # noqa: PLR0913 - each is one thing a person may say
        self,
        name: str,
        path: Path,
        *,
        mode: int = 0o600,
        largest: int = 0,
        kept: int = 5,
        durable: bool = True,
    ) -> None:
        """Say where to; the file is opened with the first record.

        Args:
            name: Names the sink's cursor.
            path: The file; its folder is there. A symbolic link is refused.
            mode: Of a file that is made.
            largest: Bytes after which the file becomes ``path.1``; 0 leaves rotation to others.
            kept: How many rotated files stay.
            durable: Whether the disk has the records before they count as delivered.
        """
        self.name = name
        self._path = path
        self._mode = mode
        self._largest = largest
        self._kept = max(kept, 1)
        self._durable = durable
        self._handle = -1
        self._reopen = False

    def send(self, records: Sequence[bytes]) -> None:
        """Append records, all or none.

        Raises:
            Temporary: The file cannot be written now; the disk may be full.
            Permanent: A record holds the end of a line.
        """
        data = lines(records)
        try:
            self._opened()
            before = os.fstat(self._handle).st_size
            if self._largest and before and before + len(data) > self._largest:
                self._rotated()
                before = 0
            if before and os.pread(self._handle, 1, before - 1) != b"\n":
                data = b"\n" + data  # who wrote the last line was killed in the middle of it
            self._written(data, before)
            if self._durable:
                os.fdatasync(self._handle)
        except OSError as error:
            self._closed()
            raise Temporary(f"{self._path}: {error.strerror}") from error

    def reopen(self) -> None:
        """Open the file anew before the next record, as after SIGHUP; safe in a signal handler."""
        self._reopen = True

    def abort(self) -> None:
        """Do nothing: writing a file cannot be given up."""

    def close(self) -> None:
        """Close the file."""
        self._closed()

    def _opened(self) -> None:
        if self._handle >= 0:
            try:
                there, ours = self._path.lstat(), os.fstat(self._handle)
                moved = (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)
            except FileNotFoundError:
                moved = True
            if not moved and not self._reopen:
                return
            self._closed()
        self._reopen = False
        handle = os.open(self._path, _FLAGS, self._mode)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(0, "it is no regular file")
        self._handle = handle
        if self._durable:
            self._folder_synced()

    def _written(self, data: bytes, before: int) -> None:
        done = 0
        try:
            while done < len(data):
                done += os.write(self._handle, data[done:])
        except OSError:
            # Take half a record back, unless somebody else has appended meanwhile.
            if done and os.fstat(self._handle).st_size == before + done:
                os.ftruncate(self._handle, before)
            raise

    def _rotated(self) -> None:
        for number in range(self._kept - 1, 0, -1):
            older = Path(f"{self._path}.{number}")
            if older.exists():
                older.rename(f"{self._path}.{number + 1}")
        self._path.rename(f"{self._path}.1")
        self._closed()
        self._opened()

    def _folder_synced(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _closed(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
