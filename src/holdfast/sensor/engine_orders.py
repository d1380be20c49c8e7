"""Orders to an engine over its Unix socket: requests without a body that change a container's state."""

from __future__ import annotations

import http.client
import socket

from holdfast.model.errors import NotReachable

TIMEOUT_S = 10.0


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


def ordered(path: str, target: str) -> int:
    """Give an order, and wait until the engine has carried it out.

    Args:
        path: The socket.
        target: Path and query of the request.

    Returns:
        HTTP status code.

    Raises:
        NotReachable: Nothing is there, or it does not answer in time.
    """
    connection = _Connection(path)
    try:
        connection.request("POST", target, headers={"Content-Length": "0"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotReachable("the engine does not carry the order out", path, "see whether it is running") from error
    finally:
        connection.close()
