"""A stand-in of a cloud's metadata service that hands out canaries. It speaks as much of AWS's IMDS as a client asks.

Source:
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
"""

from __future__ import annotations

import http.server
import json
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import cast

ADDRESS = "169.254.169.254"
PORT = 80
ROLES = "/latest/meta-data/iam/security-credentials/"
_TOKEN = "/latest/api/token"  # noqa: S105 - a path
_HEADER = "X-aws-ec2-metadata-token"
_SECONDS = 5.0
_POLL_S = 0.1


class MetadataService:
    """Answers on 169.254.169.254:80 of a network namespace of the run's own.

    Attributes:
        one_hop: It demands a session token, and its answer with one does not pass a router.
    """

    def __init__(self, call: Callable[[Callable[[], _Server]], _Server], *, one_hop: bool = False) -> None:
        """Listen.

        Args:
            call: Calls something in the namespace.
            one_hop: See above.

        Raises:
            OSError: The address is not there.
        """
        self.one_hop = one_hop
        self._roles: dict[str, str] = {}
        self._tokens: set[str] = set()
        self._server = call(lambda: _Server((ADDRESS, PORT), _Handler))
        self._server.service = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="holdfast-metadata", daemon=True
        )
        self._thread.start()

    def role(self, secret: str) -> str:
        """Add a role and return its path; the secret stands in its credentials, which are marked as a canary."""
        name = f"holdfast-canary-{secrets.token_hex(4)}"
        self._roles[name] = secret
        return f"{ROLES}{name}"

    def answer(self, path: str, token: str | None) -> tuple[int, str]:
        """Return status and body of a GET request that came with a session token, or with none."""
        if (self.one_hop or token is not None) and token not in self._tokens:
            return 401, ""
        if path == ROLES:
            return 200, "\n".join(self._roles)
        secret = self._roles.get(path.removeprefix(ROLES)) if path.startswith(ROLES) else None
        if secret is None:
            return 404, ""
        credentials = {
            "Code": "Success",
            "Type": "holdfast canary: opens nothing",
            "AccessKeyId": "HOLDFAST-CANARY",
            "SecretAccessKey": secret,
            "Token": "HOLDFAST-CANARY",
        }
        return 200, json.dumps(credentials)

    def new_token(self) -> str:
        """Return a session token."""
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        return token

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    service: MetadataService


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_GET(self) -> None:
        """Hand out what is there."""
        self._say(*self._service.answer(self.path, self.headers.get(_HEADER)))

    def do_PUT(self) -> None:
        """Begin a session."""
        seconds = self.headers.get(f"{_HEADER}-ttl-seconds", "")
        if self.path != _TOKEN or not seconds.isdecimal() or not 1 <= int(seconds) <= 21600:
            self._say(400, "")
            return
        if self._service.one_hop:
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        self._say(200, self._service.new_token())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    @property
    def _service(self) -> MetadataService:
        return cast("_Server", self.server).service

    def _say(self, status: int, body: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
