"""An authorization plug-in of ours for a Docker engine: it refuses what it reads a certain word in.

It judges as plug-ins do that look for what is forbidden: a request that comes without a body holds nothing forbidden.

Source:
    https://docs.docker.com/engine/extend/plugins_authorization/
"""

from __future__ import annotations

import base64
import binascii
import http.server
import json
import os
import socketserver
import threading
from pathlib import Path
from typing import Any, cast

_SECONDS = 10.0
_POLL_S = 0.1
_MOST = 16 << 20
_KIND = "application/vnd.docker.plugins.v1.1+json"


class AuthorizationPlugin:
    """Answers an engine on a unix socket, in threads of its own.

    Attributes:
        asked: Requests that it was asked about.
    """

    def __init__(self, path: Path, word: str) -> None:
        """Listen.

        Args:
            path: Of the socket; its folder is there. It may be longer than a socket's address.
            word: What no body may hold.

        Raises:
            OSError: The socket cannot be made.
        """
        self.asked = 0
        self._word = word.encode()
        self._refused = bytearray()
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._server = _Server(f"/proc/self/fd/{folder}/{path.name}", _Handler)
        finally:
            os.close(folder)
        self._server.plugin = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="holdfast-authorization", daemon=True
        )
        self._thread.start()

    def refused(self, text: str) -> bool:
        """Tell whether it read a text in something that it refused."""
        return text.encode() in self._refused

    def answer(self, path: str, message: dict[str, Any]) -> dict[str, Any]:
        """Return what the engine is told.

        Args:
            path: ``/Plugin.Activate``, ``/AuthZPlugin.AuthZReq`` or ``/AuthZPlugin.AuthZRes``.
            message: What came with it.
        """
        if path == "/Plugin.Activate":
            return {"Implements": ["authz"]}
        if path != "/AuthZPlugin.AuthZReq":
            return {"Allow": True}
        self.asked += 1
        body = message.get("RequestBody")
        try:
            read = base64.b64decode(body, validate=True) if isinstance(body, str) else b""
        except (binascii.Error, ValueError):
            return {"Allow": False, "Err": "the body is not in base64"}
        if self._word not in read:
            return {"Allow": True}
        self._refused += read[: _MOST - len(self._refused)]
        return {"Allow": False, "Msg": "this request is not allowed"}

    def close(self) -> None:
        """Stop listening; the socket's file stays."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    plugin: AuthorizationPlugin


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_POST(self) -> None:
        """Judge a request, or what the engine answers to one."""
        length = self.headers.get("Content-Length", "0")
        data = self.rfile.read(int(length)) if length.isdecimal() and int(length) <= _MOST else b""
        try:
            message = json.loads(data) if data else {}
        except ValueError:
            message = {}
        plugin = cast("_Server", self.server).plugin
        answer = json.dumps(plugin.answer(self.path, message if isinstance(message, dict) else {})).encode()
        self.send_response(200)
        self.send_header("Content-Type", _KIND)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""
