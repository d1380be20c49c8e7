"""What a drill plants on the host's side: stand-ins, canaries, a disk, processes, listeners. All of it is journaled."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Listener(Protocol):
    """A socket of ours that notes what it is told.

    Attributes:
        received: Every word of 16 to 128 letters, digits, ``-`` and ``_`` that was sent to it.
        address: ``PATH``, ``@ABSTRACT`` or ``127.0.0.1:PORT``.
        secret: What it says to everybody who connects.
    """

    received: set[bytes]
    address: str
    secret: str


class Planted(Protocol):
    """A process on the host.

    Attributes:
        pid: Its number.
        address: Where in its memory the secret lies.
        secret: The token.
    """

    pid: int
    address: int
    secret: str


class Disk(Protocol):
    """A loop device of 8 MiB.

    Attributes:
        device: ``/dev/loopN``.
        image: The backing file.
        raw_secret: Token at the device's first byte.
        file_secret: Token in the file ``secret`` of its file system; empty where it has none.
        fstype: ``ext4``, or empty where no file system could be made.
    """

    device: Path
    image: Path
    raw_secret: str
    file_secret: str
    fstype: str


class Console(Protocol):
    """A terminal that stands in for a console.

    Attributes:
        path: ``/dev/pts/N``.
        received: Every word that was written to it.
    """

    path: Path
    received: set[bytes]


class Stage(Protocol):
    """Everything planted for one run. ``Stage(journal)``, a context manager; leaving it ends processes and sockets.

    The files stay until ``reaper.finish(journal)`` removes the run folder.
    """

    folder: Path

    def stand_in(self, host_path: str) -> Path:
        """Return what is mounted in place of a host path: same kind, mode, owner and names, no contents."""

    def listeners(self) -> dict[str, Listener]:
        """Return the listeners behind the stand-in sockets, by host path."""

    def shared(self, host_path: str) -> Path:
        """Return the stand-in of a folder as a shared mount, for ``rshared`` propagation."""

    def secret(self, host_path: str) -> str:
        """Put a canary (mode 0600, root) into the stand-in of a folder or file and return its token."""

    def token_written(self, token: str) -> list[Path]:
        """Return what lies below the stage and has the token in its name or content."""

    def disk(self) -> Disk:
        """Attach the loop device."""

    def process(self, user: int = 0, *, capabilities: bool = True) -> Planted:
        """Start a process of a user with or without capabilities."""

    def listen_tcp(self) -> Listener:
        """Listen on 127.0.0.1."""

    def listen_abstract(self) -> Listener:
        """Listen on an abstract unix socket."""

    def shared_memory(self) -> tuple[int, str]:
        """Make a System V segment; return its key and the secret in it."""

    def shm_file(self) -> tuple[Path, str]:
        """Make a file in /dev/shm; return its path and the secret in it."""

    def console(self) -> Console:
        """Open a terminal."""

    def helper(self) -> Path:
        """Return a copy of the probe that the kernel can start: mode 0755, path shorter than 100 bytes."""
