"""Ask a Docker engine, over its socket, what it runs. Bytes come out; nothing is interpreted.

Every answer is bounded in size and in time, whatever stands at the other end. One connection is kept open for all
questions. Only GET requests are sent.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from holdfast.model.errors import Error, NotPermitted, NotReachable, NotUnderstood

DEFAULT = "unix:///run/docker.sock"
ANSWER_LIMIT = 32 << 20
"""Most bytes of one answer. /info of a large swarm has some hundred kilobytes."""
TIMEOUT_S = 10.0
"""Longest wait for one whole answer."""
NEWEST = (1, 52)
"""Newest API version whose answers are known here; a newer engine is asked in this one if it still speaks it."""
_CHUNK = 1 << 16


def addresses() -> tuple[str, ...]:
    """Return the addresses at which an engine may answer, best first; only sockets that exist.

    DOCKER_HOST counts where it names a Unix socket; a TCP address there is another machine, which nobody asked to
    scan, so it must be named as a target.
    """
    named = os.environ.get("DOCKER_HOST", "")
    if named.startswith("unix://"):
        return (named,)
    candidates = [Path("/run/docker.sock"), Path("/var/run/docker.sock")]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime:
        candidates += [Path(runtime, "docker.sock"), Path(runtime, "podman", "podman.sock")]
    candidates.append(Path("/run/podman/podman.sock"))
    found: dict[str, str] = {}
    for path in candidates:
        try:
            found.setdefault(str(path.resolve()), f"unix://{path}")
        except (OSError, RuntimeError):
            continue
    return tuple(address for real, address in found.items() if _is_socket(real))


def _is_socket(path: str) -> bool:
    try:
        return Path(path).is_socket()
    except OSError:
        return True  # a folder that nobody may enter: asking will say so


def documents(
    address: str = DEFAULT, *, every: bool = False, timeout_s: float = TIMEOUT_S
) -> Iterator[tuple[str, bytes]]:
    """Bring the ``docker inspect`` document of each container.

    Args:
        address: ``unix:///path``, or ``tcp://host:port`` where a person named one.
        every: Containers that do not run as well.
        timeout_s: Longest wait for one answer, in seconds.

    Yields:
        ``docker://<first 12 digits of the id>`` and the JSON as the engine wrote it. A container that is removed
        while they are listed is left out.

    Raises:
        NotReachable: Nothing is there, it refuses, or it does not answer in time.
        NotPermitted: The socket may not be opened.
        NotUnderstood: What answers is no Docker engine, or its answer is too long.
    """
    with Engine(address, timeout_s) as engine:
        path = f"{engine.prefix()}/containers"
        listing = engine.get(f"{path}/json?all={int(every)}")
        for identity in _ids(listing, engine.address):
            found = engine.get(f"{path}/{identity}/json", may_be_gone=True)
            if found:
                yield f"docker://{identity[:12]}", found


def engine_documents(address: str = DEFAULT, *, timeout_s: float = TIMEOUT_S) -> dict[str, str | Error]:
    """Bring what the engine says of itself.

    Args:
        address: As for ``documents``.
        timeout_s: As for ``documents``.

    Returns:
        ``docker:/version`` and ``docker:/info``: the JSON texts, or the Error that came instead. Names and form are
        those of ``collect/host.records``, to be laid beside them.

    Raises:
        NotReachable, NotPermitted, NotUnderstood: As for ``documents``, where the engine could not be asked at all.
    """
    found: dict[str, str | Error] = {}
    with Engine(address, timeout_s) as engine:
        found["docker:/version"] = engine.get("/version").decode("utf-8", "replace")
        try:
            found["docker:/info"] = engine.get(f"{engine.prefix()}/info").decode("utf-8", "replace")
        except Error as error:
            found["docker:/info"] = error
    return found


def image(engine: Engine, name: str) -> bytes:
    """Bring what the engine says about one image, as it wrote it; no bytes where it holds none of this name.

    Raises:
        NotReachable, NotPermitted, NotUnderstood: As for ``documents``.
    """
    return engine.get(f"{engine.prefix()}/images/{quote(name, safe='/:@')}/json", may_be_gone=True)


def _ids(listing: bytes, address: str) -> list[str]:
    found = _parsed(listing, address)
    if not isinstance(found, list):
        raise _no_engine(address, "the list of containers is no list")
    ids = [entry.get("Id") if isinstance(entry, dict) else None for entry in found]
    if not all(isinstance(one, str) and one.isalnum() for one in ids):
        raise _no_engine(address, "the list of containers has an entry without an id")
    return [str(one) for one in ids]


def _parsed(data: bytes, address: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _no_engine(address, "the answer is no JSON") from error


def _no_engine(address: str, why: str) -> NotUnderstood:
    return NotUnderstood(f"What answers is no Docker engine: {why}", address, "name the engine's own socket")


class _Bounded(socket.socket):
    """A socket whose every wait ends at one deadline, so that one byte a second does not hold anybody up."""

    deadline = float("inf")

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive within what is left of the time."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)
        return super().recv_into(buffer, nbytes, flags)


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket, or over TCP where ``path`` is empty."""

    def __init__(self, path: str, host: str, port: int, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        """Open the socket."""
        if self.path:
            opened = _Bounded(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            plain = socket.create_connection((self.host, self.port), self.timeout)
            opened = _Bounded(fileno=plain.detach())
        try:
            opened.settimeout(self.timeout)
            if self.path:
                opened.connect(self.path)
        except OSError:
            opened.close()
            raise
        self.sock = opened


class Engine:
    """One kept-open connection to an engine. A context manager.

    Attributes:
        address: As it was named.
    """

    def __init__(self, address: str, timeout_s: float = TIMEOUT_S) -> None:
        """Prepare a connection; nothing is sent yet.

        Raises:
            NotUnderstood: The address has a form that is not spoken here.
        """
        self.address = address
        self.timeout_s = timeout_s
        self.connection = _connection(address, timeout_s)
        self._prefix: str | None = None

    def __enter__(self) -> Self:
        """Return this connection."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.connection.close()

    def prefix(self) -> str:
        """Agree on an API version: the newest that both sides know. Empty where the engine names none."""
        if self._prefix is None:
            told = _parsed(self.get("/version"), self.address)
            if not isinstance(told, dict):
                raise _no_engine(self.address, "its version is no object")
            newest, oldest = _numbers(told.get("ApiVersion")), _numbers(told.get("MinAPIVersion"))
            agreed = min(newest, NEWEST) if newest else None
            if agreed and oldest and oldest > agreed:
                agreed = newest
            self._prefix = f"/v{agreed[0]}.{agreed[1]}" if agreed else ""
        return self._prefix

    def get(self, path: str, *, may_be_gone: bool = False) -> bytes:
        """Ask for one path.

        Args:
            path: With the version in front of it where one was agreed on.
            may_be_gone: Answer with no bytes where the engine does not know the thing any more.

        Raises:
            NotReachable: Nothing answers, or not in time, or with an error of its own.
            NotPermitted: The socket, or the engine, refuses.
            NotUnderstood: The answer is no HTTP or too long.
        """
        try:
            if self.connection.sock is None:
                self.connection.connect()
            opened: Any = self.connection.sock
            opened.settimeout(self.timeout_s)
            if isinstance(opened, _Bounded):
                opened.deadline = time.monotonic() + self.timeout_s
            self.connection.request("GET", path, headers={"Host": "docker", "Accept": "application/json"})
            answer = self.connection.getresponse()
            data = self._body(answer)
        except (http.client.HTTPException, ValueError) as error:
            self.connection.close()
            raise self._garbled(error) from error
        except OSError as error:
            self.connection.close()
            raise self._failed(error) from error
        if answer.status == 200:
            return data
        if answer.status == 404 and may_be_gone:
            return b""
        raise self._refused(answer.status, data, path)

    def _body(self, answer: http.client.HTTPResponse) -> bytes:
        parts: list[bytes] = []
        length = 0
        while part := answer.read1(_CHUNK):
            parts.append(part)
            length += len(part)
            if length > ANSWER_LIMIT:
                self.connection.close()
                raise NotUnderstood(
                    f"The answer has more than {ANSWER_LIMIT:,} bytes, the most that is read",
                    self.address,
                    "name single containers instead of the whole engine",
                )
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)
        answer.close()
        return b"".join(parts)

    def _garbled(self, error: Exception) -> Error:
        if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
            return NotReachable("The engine hung up before it had answered", self.address, "see whether it is running")
        return _no_engine(self.address, "the answer is no HTTP")

    def _failed(self, error: OSError) -> Error:
        if isinstance(error, PermissionError):
            return NotPermitted(
                "The engine's socket may not be opened", self.address, "run as root, or as a member of its group"
            )
        if isinstance(error, TimeoutError):
            return NotReachable(
                f"The engine did not answer within {self.timeout_s:g} s", self.address, "see whether it is running"
            )
        if isinstance(error, FileNotFoundError):
            return NotReachable("There is no such socket", self.address, "start the engine, or name its socket")
        if isinstance(error, ConnectionRefusedError):
            return NotReachable("Nobody listens on this socket", self.address, "start the engine")
        return NotReachable(f"The engine cannot be asked: {error.strerror or error}", self.address, "start the engine")

    def _refused(self, status: int, data: bytes, path: str) -> Error:
        try:
            told = json.loads(data[:4096])
            message = str(told.get("message", "")) if isinstance(told, dict) else ""
        except ValueError:
            message = ""
        what = f"The engine answers {status} to {path}" + (f": {message[:200]}" if message else "")
        if status in {401, 403}:
            return NotPermitted(what, self.address, "ask whoever guards the engine for leave to read")
        if status >= 500:
            return NotReachable(what, self.address, "look at the engine's log")
        return NotUnderstood(what, self.address, "see whether a Docker engine answers at this address")


def _numbers(text: object) -> tuple[int, int] | None:
    major, dot, minor = str(text).partition(".")
    return (int(major), int(minor)) if dot and major.isdecimal() and minor.isdecimal() else None


def _connection(address: str, timeout_s: float) -> http.client.HTTPConnection:
    scheme, mark, rest = address.partition("://")
    if not mark and address.startswith("/"):
        scheme, rest = "unix", address
    if scheme == "unix" and rest.startswith("/"):
        return _Connection(rest, "localhost", 80, timeout_s)
    host, colon, port = rest.rstrip("/").rpartition(":")
    if scheme in {"tcp", "http", "https"} and colon and port.isdecimal() and host:
        if scheme == "https" or (scheme == "tcp" and (os.environ.get("DOCKER_TLS_VERIFY") or port == "2376")):
            return http.client.HTTPSConnection(host, int(port), timeout=timeout_s, context=_certificates())
        return _Connection("", host, int(port), timeout_s)
    raise NotUnderstood(
        "This address has a form that is not spoken here", address, "use unix:///path/to.sock or tcp://host:port"
    )


def _certificates() -> Any:
    """Set up TLS as the docker program does: authority and client certificate from DOCKER_CERT_PATH."""
    import ssl  # noqa: PLC0415 - few engines are asked over TLS, and loading it takes long

    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    authority, certificate, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    try:
        context = ssl.create_default_context(cafile=str(authority) if authority.exists() else None)
        if certificate.exists():
            context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise NotUnderstood(f"The certificates cannot be used: {error}", str(folder), "see DOCKER_CERT_PATH") from error
    return context
