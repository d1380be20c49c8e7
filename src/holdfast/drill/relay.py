"""An engine's socket made reachable on a TCP port of the host's loopback. Only in a disposable virtual machine."""

from __future__ import annotations

import contextlib
import selectors
import socket
import socketserver
import threading

_CHUNK = 1 << 16
_QUIET_S = 30.0
_PORT = 2375
"""Where Docker listens without TLS (IANA: docker)."""


class Relay:
    """Listens on 127.0.0.1 and passes bytes to and from a unix socket."""

    def __init__(self, path: str) -> None:
        """Listen on the port of an engine, or any other where that is taken; one thread for each connection.

        Args:
            path: The socket that is passed on.

        Raises:
            OSError: No port can be had.
        """

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    _pass(self.request, path)

        try:
            self._server = socketserver.ThreadingTCPServer(("127.0.0.1", _PORT), Handler)
        except OSError:
            self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="holdfast-relay", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def _pass(here: socket.socket, path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as there, selectors.DefaultSelector() as selector:
        there.connect(path)
        selector.register(here, selectors.EVENT_READ, there)
        selector.register(there, selectors.EVENT_READ, here)
        while ready := selector.select(_QUIET_S):
            for key, _ in ready:
                source, target = key.fileobj, key.data
                if not isinstance(source, socket.socket):
                    continue
                data = source.recv(_CHUNK)
                if not data:
                    return
                target.sendall(data)
