"""Sockets and a terminal of ours on the host's side that note what they are told, served by one thread."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import socket
import struct
import threading
import tty
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

WORD = re.compile(rb"[A-Za-z0-9_-]{16,128}")
"""What counts as a token."""
_KEPT = 4096
"""Most words that one listener keeps, and most bytes of a connection that may be the beginning of a word."""
_CHUNK = 1 << 16
_CONNECTIONS = 64


@dataclass(slots=True)
class Listener:
    """A socket that notes what it is told.

    Attributes:
        address: ``PATH``, ``@ABSTRACT`` or ``127.0.0.1:PORT``.
        secret: What it says to everybody who connects.
        takes_orders: It stands in for a message bus, which everybody may connect to and which takes orders from few:
            what others say is not noted.
        received: Every word of 16 to 128 letters, digits, ``-`` and ``_`` that was sent to it.
    """

    address: str
    secret: str
    takes_orders: bool = False
    received: set[bytes] = field(default_factory=set)

    def note(self, data: bytes) -> None:
        """Keep the words in what was received."""
        if len(self.received) < _KEPT:
            self.received.update(WORD.findall(data))


@dataclass(frozen=True, slots=True)
class Console:
    """A terminal that stands in for a console.

    Attributes:
        path: ``/dev/pts/N``.
        received: Every word that was written to it.
    """

    path: Path
    received: set[bytes]


class Switchboard:
    """The thread that serves all listeners of one run. A context manager."""

    def __init__(self) -> None:
        """Start nothing yet: the thread begins with the first listener."""
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._wake, selectors.EVENT_READ, self._nothing)
        self._thread: threading.Thread | None = None
        self._closing = False
        self._kept: list[int] = []
        self._listening: list[socket.socket] = []
        self._connections: list[socket.socket] = []
        self._calls: list[Callable[[], None]] = []

    def unix(  # noqa: PLR0913 - a socket file has that many sides
        self, folder: int, name: str, address: str, secret: str, mode: int = 0o660, *, takes_orders: bool = False
    ) -> Listener:
        """Listen on a socket file.

        Args:
            folder: Descriptor of the folder it is made in; so a path may be longer than a socket's address.
            name: Its name there.
            address: How the listener is called.
            secret: What it says to everybody who connects.
            mode: Mode of the file.
            takes_orders: See ``Listener``.

        Raises:
            OSError: It cannot be made.
        """
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(f"/proc/self/fd/{folder}/{name}")
            os.chmod(name, mode, dir_fd=folder)
        except OSError:
            listening.close()
            raise
        return self._listen(listening, Listener(address, secret, takes_orders))

    def abstract(self, name: str, secret: str) -> Listener:
        """Listen on an abstract socket; ``name`` has no ``@``."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(f"\0{name}")
        return self._listen(listening, Listener(f"@{name}", secret))

    def tcp(self, secret: str) -> Listener:
        """Listen on a free port of 127.0.0.1."""
        listening = socket.create_server(("127.0.0.1", 0))
        return self._listen(listening, Listener(f"127.0.0.1:{listening.getsockname()[1]}", secret))

    def console(self) -> Console:
        """Open a terminal without making it anybody's own."""
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        # Kept open: without an open slave a read of the master fails instead of waiting.
        self._kept += [master, slave]
        heard = Listener(os.ttyname(slave), "")
        self._serve(lambda: self._selector.register(master, selectors.EVENT_READ, self._reader(master, heard)))
        return Console(Path(heard.address), heard.received)

    def close(self) -> None:
        """End the thread and close everything."""
        if self._closing:
            return
        self._closing = True
        os.write(self._woken, b"x")
        if self._thread is not None:
            self._thread.join(10)
        for opened in (*self._connections, *self._listening):
            opened.close()
        for handle in (*self._kept, self._wake, self._woken):
            os.close(handle)
        self._kept.clear()
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _nothing(self) -> None:
        with contextlib.suppress(OSError):
            os.read(self._wake, 64)

    def _listen(self, listening: socket.socket, listener: Listener) -> Listener:
        listening.setblocking(False)
        listening.listen(128)
        self._listening.append(listening)

        def accept() -> None:
            with contextlib.suppress(OSError):
                self._accepted(listening.accept()[0], listener)

        self._serve(lambda: self._selector.register(listening, selectors.EVENT_READ, accept))
        return listener

    def _accepted(self, connection: socket.socket, listener: Listener) -> None:
        connection.setblocking(False)
        if len(self._connections) >= _CONNECTIONS:
            self._ended(self._connections[0])
        self._connections.append(connection)
        rest = b""
        heeded = not listener.takes_orders or _may_order(connection)

        def read() -> None:
            nonlocal rest
            try:
                data = connection.recv(_CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._ended(connection)
                return
            if heeded:
                listener.note(rest + data)
            rest = (rest + data)[-_KEPT:]

        self._selector.register(connection, selectors.EVENT_READ, read)
        with contextlib.suppress(OSError):
            connection.send(listener.secret.encode())

    def _ended(self, connection: socket.socket) -> None:
        self._connections.remove(connection)
        self._selector.unregister(connection)
        connection.close()

    def _reader(self, handle: int, listener: Listener) -> Callable[[], None]:
        rest = b""

        def read() -> None:
            nonlocal rest
            with contextlib.suppress(OSError):
                rest = (rest + os.read(handle, _CHUNK))[-_CHUNK:]
                listener.note(rest)

        return read

    def _serve(self, register: Callable[[], object]) -> None:
        """Let the thread register: a selector is not to be changed while another thread waits in it."""
        ready = threading.Event()

        def call() -> None:
            register()
            ready.set()

        self._calls.append(call)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="holdfast-listeners", daemon=True)
            self._thread.start()
        os.write(self._woken, b"x")
        ready.wait(10)

    def _run(self) -> None:
        while not self._closing:
            while self._calls:
                self._calls.pop(0)()
            for key, _ in self._selector.select():
                # One of the calls before may have closed this one.
                if key.fileobj in self._selector.get_map():
                    key.data()


def _may_order(connection: socket.socket) -> bool:
    """Tell whether a message bus would pass an order to systemd: from root that no AppArmor profile confines.

    Source:
        unix(7), SO_PEERCRED and SO_PEERSEC; https://gitlab.com/apparmor/apparmor/-/wikis/AppArmor_Core_Policy_Reference
    """
    try:
        _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except OSError:
        return False
    try:
        label = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERSEC, 256)
    except OSError:
        label = b""
    return user == 0 and not label.rstrip(b"\0").endswith(b"(enforce)")
