"""Just enough HTTP to ask an engine over its Unix socket: one GET for each connection, one whole answer or a stream.

A request in HTTP/1.0 makes the server send the body as it is, up to the end of the connection; no chunks to undo.
Every wait has a limit.
"""

from __future__ import annotations

import re
import socket
import time
from typing import Self

from holdfast.model.errors import NotPermitted, NotReachable, NotUnderstood

TIMEOUT_S = 5.0
ANSWER = 16 << 20
"""Most bytes of a whole answer."""
LINE = 1 << 20
"""Most bytes of one line of a stream, and of the head of an answer."""
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


class Stream:
    """An answer that goes on. A context manager.

    Attributes:
        status: HTTP status code.
    """

    def __init__(self, path: str, target: str, timeout_s: float = TIMEOUT_S) -> None:
        """Ask, and wait for the head of the answer.

        Args:
            path: The socket.
            target: Path and query of the request.
            timeout_s: Longest wait for connection and head together, in seconds.

        Raises:
            NotReachable: Nothing is there, or it does not answer in time.
            NotPermitted: The socket may not be opened.
            NotUnderstood: The answer is no HTTP.
        """
        self._path = path
        self._deadline = time.monotonic() + timeout_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.status = 0
        self._held = b""
        try:
            self._socket.settimeout(timeout_s)
            self._socket.connect(path)
            self._socket.sendall(f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode("ascii"))
            self.status = self._head()
        except OSError as error:
            self.close()
            raise _failed(error, path) from error
        except (NotUnderstood, NotReachable):
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return this stream."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def fileno(self) -> int:
        """Let select(2) wait for more."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def whole(self) -> bytes:
        """Read to the end.

        Raises:
            NotReachable: It does not end in time.
            NotUnderstood: It is too long.
        """
        parts = [self._held]
        length = len(self._held)
        try:
            while part := self._received(may_end=True):
                parts.append(part)
                length += len(part)
                if length > ANSWER:
                    raise NotUnderstood(f"The answer has more than {ANSWER:,} bytes", self._path)
        except OSError as error:
            raise _failed(error, self._path) from error
        return b"".join(parts)

    def lines(self) -> list[bytes]:
        """Return the lines that are there; to be called when select(2) says so, and once at the beginning.

        Raises:
            NotReachable: The other side hung up.
            NotUnderstood: A line does not end.
        """
        self._socket.settimeout(0)
        ended = False
        try:
            while part := self._socket.recv(1 << 16):
                self._held += part
                if len(self._held) > LINE:
                    break
            else:
                ended = True
        except BlockingIOError:
            pass
        except OSError as error:
            raise _failed(error, self._path) from error
        *found, self._held = self._held.split(b"\n")
        if len(self._held) > LINE:
            raise NotUnderstood(f"A line has more than {LINE:,} bytes", self._path)
        if ended and not found:
            raise NotReachable("The engine hung up", self._path, "see whether it is running")
        return found

    def _head(self) -> int:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._received()
            if len(head) > LINE:
                raise NotUnderstood("The head of the answer does not end", self._path)
        head, _, self._held = head.partition(b"\r\n\r\n")
        told = _STATUS.match(head)
        if told is None:
            raise NotUnderstood("The answer is no HTTP", self._path, "see what listens at this socket")
        return int(told[1])

    def _received(self, *, may_end: bool = False) -> bytes:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        part = self._socket.recv(1 << 16)
        if not part and not may_end:
            raise NotReachable("The engine hung up before it had answered", self._path, "see whether it is running")
        return part


def get(path: str, target: str, timeout_s: float = TIMEOUT_S) -> tuple[int, bytes]:
    """Ask one question.

    Returns:
        HTTP status code and body.

    Raises:
        NotReachable, NotPermitted, NotUnderstood: As for ``Stream``.
    """
    with Stream(path, target, timeout_s) as answer:
        return answer.status, answer.whole()


def _failed(error: OSError, path: str) -> NotReachable | NotPermitted:
    if isinstance(error, PermissionError):
        return NotPermitted("The engine's socket may not be opened", path, "run as root")
    if isinstance(error, TimeoutError):
        return NotReachable("The engine did not answer in time", path, "see whether it is running")
    return NotReachable(f"The engine cannot be asked: {error.strerror or error}", path, "start the engine")
