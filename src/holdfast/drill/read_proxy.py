"""A proxy before the engine's socket that passes reading requests, as people put one before an application.

It passes less than theirs do: nothing but questions about one container of the run's own, so that nothing that belongs
to anybody is read. What it sends to the engine it writes itself; of the client's words only the path is taken, and that
only where it is one of a closed list.
"""

from __future__ import annotations

import contextlib
import http.server
import re
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import cast

PORT = 2375
_CHUNK = 1 << 16
_MOST = 1 << 20
_SECONDS = 10.0
_POLL_S = 0.1
_VERSION = r"(?:/v1\.[0-9]{1,3})?"


class ReadProxy:
    """Answers on port 2375 of an address in a network namespace of the run's own."""

    def __init__(
        self,
        call: Callable[[Callable[[], _Server]], _Server],
        address: str,
        engine: str,
        container: str,
        *,
        closed: bool = False,
    ) -> None:
        """Listen.

        Args:
            call: Calls something in the namespace.
            address: IPv4 address to listen on.
            engine: Path of the engine's socket.
            container: Name of the one container that may be asked about.
            closed: Inspect and archive are refused, as by a proxy that names the few paths it passes.

        Raises:
            OSError: The address is not there.
        """
        about = rf"|/containers/{re.escape(container)}/(?:json|archive\?path=/[A-Za-z0-9._/-]{{1,200}})"
        self._passed = re.compile(rf"{_VERSION}(?:/_ping{'' if closed else about})")
        self._engine = engine
        self._server = call(lambda: _Server((address, PORT), _Handler))
        self._server.proxy = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="holdfast-proxy", daemon=True
        )
        self._thread.start()

    def passes(self, method: str, path: str) -> bool:
        """Tell whether a request goes on to the engine."""
        return method in {"GET", "HEAD"} and self._passed.fullmatch(path) is not None

    def asked(self, method: str, path: str) -> bytes:
        """Return what the engine answers to a request that passes: status line, headers, body; 1 MiB at most.

        Raises:
            OSError: The engine does not answer.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as there:
            there.settimeout(_SECONDS)
            there.connect(self._engine)
            # An answer of HTTP 1.0 is not cut into chunks and ends with the connection.
            there.sendall(f"{method} {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode("ascii"))
            answer = bytearray()
            while len(answer) < _MOST and (more := there.recv(_CHUNK)):
                answer += more
            return bytes(answer)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    proxy: ReadProxy


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _SECONDS

    def handle_one_request(self) -> None:
        """Take one request and close."""
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(8192)
        if not self.raw_requestline or not self.parse_request():
            return
        proxy = cast("_Server", self.server).proxy
        answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        if proxy.passes(self.command, self.path):
            try:
                answer = proxy.asked(self.command, self.path)
            except OSError:
                answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        with contextlib.suppress(OSError):
            self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""
