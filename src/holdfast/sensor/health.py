"""Tells others that the sensor runs: systemd over its socket, and whoever reads a file or asks for metrics."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from holdfast.model.errors import NotReachable, Usage


def notify(*states: str) -> bool:
    """Tell systemd.

    Args:
        states: ``READY=1``, ``WATCHDOG=1``, ``STOPPING=1``, ``STATUS=...``.

    Returns:
        Whether somebody wants to know: NOTIFY_SOCKET is set.

    Source:
        sd_notify(3); the address may begin with ``@`` for the abstract namespace.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
        sending.settimeout(1.0)
        sending.connect(address)
        sending.sendall("\n".join(one.replace("\n", " ") for one in states).encode("utf-8", "backslashreplace"))
        return True
    return False


def written(path: Path, record: Mapping[str, Any]) -> bool:
    """Write a file of health, whole or not at all.

    Args:
        path: The file; its folder is there.
        record: JSON values.

    Returns:
        False where it cannot be written; the sensor goes on.
    """
    made = path.with_name(f".{path.name}.new")
    try:
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
            file.write("\n")
        made.replace(path)
    except OSError:
        return False
    return True


class Metrics:
    """Answers ``GET /metrics`` and ``GET /healthz``, in a thread of its own."""

    def __init__(self, address: str, render: Callable[[], bytes]) -> None:
        """Listen.

        Args:
            address: ``HOST:PORT``, ``[HOST]:PORT`` or ``PORT``, which means 127.0.0.1. Port 0 takes any that is free.
            render: Writes the metrics; it is called in the thread that answers.

        Raises:
            Usage: It is no address.
            NotReachable: It cannot be listened at.
        """
        host, port = _split(address)

        class Handler(_Handler):
            made = staticmethod(render)

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True
            request_queue_size = 8

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            reason = error.strerror or str(error)
            raise NotReachable(f"metrics cannot be served: {reason}", address, "name another port") from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="holdfast-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1)


class _Handler(http.server.BaseHTTPRequestHandler):
    made: Callable[[], bytes]
    timeout = 5

    def do_GET(self) -> None:
        """Answer."""
        if self.path.partition("?")[0] not in {"/metrics", "/healthz"}:
            self.send_error(404)
            return
        body = self.made() if self.path.startswith("/metrics") else b"ok\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        """Say nothing: nobody reads it."""

    def version_string(self) -> str:
        """Name the server, without its version."""
        return "holdfast"


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise Usage("this is no address to listen at", address, "write 127.0.0.1:9101")
    return host, int(port)
