"""HTTP and gRPC as the probe speaks them, with servers that answer as they should and servers that do not."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from drill_speech import copied, do, speaking
from holdfast.drill.session import Attempt


@pytest.fixture(scope="module")
def program() -> Iterator[str]:
    with copied() as path:
        yield path


class Server:
    """Answers each thing that is sent with the next of its answers, and keeps what was sent."""

    def __init__(self, path: Path, answers: list[bytes]) -> None:
        self.heard: list[bytes] = []
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while self._answers:
                there, _ = self._listener.accept()
                there.settimeout(10)
                with there, contextlib.suppress(OSError):
                    while self._answers and (heard := self._whole(there)):
                        self.heard.append(heard)
                        there.sendall(self._answers.pop(0))

    def _whole(self, there: socket.socket) -> bytes:
        heard = b""
        while not _is_whole(heard):
            more = there.recv(65536)
            if not more:
                return b""
            heard += more
        return heard


def _is_whole(heard: bytes) -> bool:
    if heard.startswith((b"PRI ", b"\0")):
        return any(kind == 0 for kind, _, _ in _frames(heard))
    head, end, body = heard.partition(b"\r\n\r\n")
    return bool(end) and len(body) == int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])


def _frames(heard: bytes) -> list[tuple[int, int, bytes]]:
    rest = heard.removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    found = []
    while len(rest) >= 9 and len(rest) >= 9 + (length := int.from_bytes(rest[:3], "big")):
        found.append((rest[3], int.from_bytes(rest[5:9], "big"), rest[9 : 9 + length]))
        rest = rest[9 + length :]
    return found


@contextlib.contextmanager
def calling(program: str, path: Path, *answers: bytes) -> Iterator[tuple[Attempt, Server]]:
    with Server(path, list(answers)) as server, speaking(program) as attempt:
        assert do(attempt, "connect", path).result >= 0
        yield attempt, server


def page(body: bytes, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return first + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_requests_over_one_connection(program: str, tmp_path: Path) -> None:
    chunked = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: x\r\n\r\n"
    answers = (page(b"one"), chunked, b"HTTP/1.1 204 None\r\n\r\n", page(b"x" * 9000), page(b"last"))
    with calling(program, tmp_path / "s", *answers) as (attempt, server):
        assert do(attempt, "http", 0, "GET", "/a?b=c", "").data == b"HTTP/1.1 200 OK\none"
        answer = do(attempt, "http", 0, "POST", "/apis/x?dryRun=All", '{"a": 1}')
        assert (answer.result, answer.data) == (403, b"HTTP/1.1 403 No\nabcde")
        assert do(attempt, "http", 0, "GET", "/c", "").data == b"HTTP/1.1 204 None\n"
        assert len(do(attempt, "http", 0, "GET", "/d", "").data) == 4096
        assert do(attempt, "http", 0, "GET", "/e", "").data.endswith(b"last")
    assert server.heard[0].startswith(b"GET /a?b=c HTTP/1.1\r\nHost: localhost\r\n")
    assert server.heard[1].endswith(b'\r\n\r\n{"a": 1}')


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("POST", "/containers/create", errno.EACCES),
        ("DELETE", "/containers/x", errno.EACCES),
        ("PUT", "/x?dryRun=All", errno.EACCES),
        ("PATCH", "/x", errno.EACCES),
        ("GET / HTTP/1.1\r\n\r\nPOST", "/x", errno.EACCES),
        ("GET", "x", errno.EINVAL),
        ("GET", "/x HTTP/1.1\r\nX: y", errno.EINVAL),
        ("GET", "/" + "x" * 5000, errno.ENAMETOOLONG),
    ],
)
def test_what_would_change_something_is_not_sent(
    program: str, tmp_path: Path, method: str, path: str, error: int
) -> None:
    with calling(program, tmp_path / "s", page(b"")) as (attempt, server):
        assert do(attempt, "http", 0, method, path, "").errno == error
    assert not server.heard


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"x" * 1_000_000,
    ],
    ids=range(10),
)
def test_a_hostile_answer_is_bounded(program: str, tmp_path: Path, answer: bytes) -> None:
    with calling(program, tmp_path / "s", answer) as (attempt, _):
        failed = do(attempt, "http", 0, "GET", "/", "")
        assert failed.result == -1
        assert failed.errno in {errno.EPROTO, errno.ECONNRESET, errno.ETIMEDOUT}


def started(exit_status: int = 0) -> tuple[bytes, ...]:
    identity = b'{"Id":"' + b"ab" * 32 + b'","Warnings":[]}'
    return (
        page(identity, b"HTTP/1.1 201 Created"),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        page(b'{"StatusCode":%d}' % exit_status),
    )


def test_a_container_is_started_and_deleted(program: str, tmp_path: Path) -> None:
    with calling(program, tmp_path / "s", *started(7), b"HTTP/1.1 204 No Content\r\n\r\n") as (attempt, server):
        answer = do(attempt, "engine_start", 0, '{"Image":"x"}')
        assert (answer.result, answer.data) == (7, b"ab" * 32)
        assert len(server.heard) == 3
        do(attempt, "close", 0)
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (1, 0)
    name = server.heard[0].split(b"name=")[1].split(b" ")[0]
    assert name.startswith(b"holdfast-drill-")
    assert server.heard[3].startswith(b"DELETE /containers/" + name + b"?force=1&v=1 ")


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ((page(b'{"message":"no"}', b"HTTP/1.1 403 Forbidden"),), errno.EACCES),
        ((page(b"", b"HTTP/1.1 404 Not Found"),), errno.ENOENT),
        ((page(b"", b"HTTP/1.1 500 Oh"),), errno.EPROTO),
    ],
    ids=["403", "404", "500"],
)
def test_a_container_that_was_refused_leaves_nothing_to_undo(
    program: str, tmp_path: Path, answers: tuple[bytes, ...], error: int
) -> None:
    with calling(program, tmp_path / "s", *answers) as (attempt, _):
        assert do(attempt, "engine_start", 0, "{}").errno == error
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (0, 0)


def test_a_container_that_may_have_been_made_is_deleted(program: str, tmp_path: Path) -> None:
    """The answer is torn: nobody knows whether the container is there. Then it is deleted all the same."""
    torn = b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"
    with Server(tmp_path / "s", [torn]) as server, speaking(program) as attempt:
        do(attempt, "connect", tmp_path / "s")
        assert do(attempt, "engine_start", 0, "{}").result == -1
        server._answers.append(page(b"", b"HTTP/1.1 404 Not Found"))
        again = threading.Thread(target=server._serve)
        again.start()
        attempt._session._end(attempt)
        again.join(10)
        assert attempt.ended is not None
        assert (attempt.ended.undone, attempt.ended.failed) == (1, 0)
        attempt._session.ask("begin again", 5)


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


SETTINGS = frame(4, 0, 0, bytes([0, 3, 0, 0, 0, 100])) + frame(4, 1, 0)
# As a Go server writes them: names and values in Huffman code, for a table that has no room.
STATUS = bytes.fromhex("40 88 9acac8b21234da8f 81")
HEAD = bytes.fromhex("20 88 5f 8b 1d75d0620d263d4c4d6564")


def reply(stream: int, message: bytes, status: bytes = b"\x07") -> bytes:
    body = b"\0" + len(message).to_bytes(4, "big") + message
    return frame(1, 4, stream, HEAD) + frame(0, 0, stream, body) + frame(1, 5, stream, STATUS + status)


NAMESPACE = "/containerd.services.namespaces.v1.Namespaces/"


def test_calls_over_one_connection(program: str, tmp_path: Path) -> None:
    plain = frame(1, 5, 5, b"\x00\x0bgrpc-status\x0212" + b"\x00\x0cgrpc-message\x09not today")
    split = frame(1, 0, 7, HEAD) + frame(9, 4, 7) + reply(7, b"", b"\x77")[9 + len(HEAD) :]
    answers = (SETTINGS + frame(6, 0, 0, b"12345678") + reply(1, b"hello"), reply(3, b"x" * 4000), plain, split)
    with calling(program, tmp_path / "s", *answers) as (attempt, server):
        answer = do(attempt, "grpc", 0, "/a.B/Version", "0a03")
        assert (answer.result, answer.data) == (0, b"hello")
        assert do(attempt, "grpc", 0, "/a.B/List", "").data == b"x" * 4000
        answer = do(attempt, "grpc", 0, "/a.B/GetNothing", "")
        assert (answer.result, answer.data) == (12, b"not today")
        assert do(attempt, "grpc", 0, "/a.B/Status", "").result == 7
    sent = _frames(server.heard[0])
    assert sent[0] == (4, 0, bytes([0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]))
    assert (0, 1, b"\0\0\0\0\x02\x0a\x03") in sent
    assert any(kind == 1 and b"/a.B/Version" in body and b"application/grpc" in body for kind, _, body in sent)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        frame(7, 0, 0, bytes(8)),
        frame(3, 0, 1, bytes(4)),
        b"\xff\xff\xff" + bytes(6),
        frame(1, 5, 1, b"\x40\xff\xff\xff\xff\xff\xff"),
        frame(1, 5, 1, b"\x40\x88"),
        frame(1, 5, 1, b"\x00\x84\xff\xff\xff\xff\x01x"),
        frame(1, 13, 1, b"\xffx"),
        frame(1, 5, 1, HEAD),
        frame(0, 9, 1, b"\xff"),
        frame(9, 0, 1, bytes(10_000)) * 3,
        frame(2, 0, 0, bytes(5)) * 1200,
    ],
    ids=range(13),
)
def test_a_hostile_server_is_bounded(program: str, tmp_path: Path, answer: bytes) -> None:
    with calling(program, tmp_path / "s", answer) as (attempt, _):
        failed = do(attempt, "grpc", 0, "/a.B/Version", "")
        assert failed.result == -1
        assert failed.errno in {errno.EPROTO, errno.ECONNRESET, errno.ECONNABORTED, errno.ETIMEDOUT, errno.EPIPE}
        assert do(attempt, "grpc", 0, "/a.B/Version", "").errno in {errno.ENOTCONN, errno.EPROTO, errno.EPIPE}


@pytest.mark.parametrize(
    ("path", "message", "error"),
    [
        ("/a.B/Delete", "", errno.EACCES),
        ("/a.B/ExecSync", "", errno.EACCES),
        ("a.B/List", "", errno.EACCES),
        ("/List", "", errno.EACCES),
        ("/a.B/List", "0g", errno.EINVAL),
        ("/a.B/List", "abc", errno.EINVAL),
        ("/" + "x" * 200 + "/List", "", errno.EINVAL),
        (f"{NAMESPACE}Create", "0a060a046d6f6279", errno.EACCES),
        (f"{NAMESPACE}Create", "0a060a", errno.EINVAL),
        (f"{NAMESPACE}Create", "0a060aff6d6f6279", errno.EINVAL),
    ],
)
def test_a_method_that_would_change_something_is_not_called(
    program: str, tmp_path: Path, path: str, message: str, error: int
) -> None:
    with calling(program, tmp_path / "s", b"") as (attempt, server):
        assert do(attempt, "grpc", 0, path, message).errno == error
    assert not server.heard


def test_a_namespace_that_was_made_is_deleted(program: str, tmp_path: Path) -> None:
    made = b"\x0a\x0c\x0a\x0aholdfast-1"
    with calling(program, tmp_path / "s", SETTINGS + reply(1, made), SETTINGS + reply(1, b"")) as (attempt, server):
        assert do(attempt, "grpc", 0, f"{NAMESPACE}Create", made.hex()).result == 0
        do(attempt, "close", 0)
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (1, 0)
    assert any(f"{NAMESPACE}Delete".encode() in body for _, _, body in _frames(server.heard[1]))
    assert (0, 1, b"\0\0\0\0\x0c\x0a\x0aholdfast-1") in _frames(server.heard[1])


ROLE = "/latest/meta-data/iam/security-credentials/holdfast-canary-1"


def test_a_metadata_service_is_asked_for_a_session_first(program: str, tmp_path: Path) -> None:
    with calling(program, tmp_path / "s", page(b"token=="), page(b'{"SecretAccessKey": "x"}')) as (attempt, server):
        answer = do(attempt, "metadata", 0, ROLE)
        assert (answer.result, answer.data) == (200, b'HTTP/1.1 200 OK\n{"SecretAccessKey": "x"}')
    begun, asked = server.heard
    assert begun.startswith(b"PUT /latest/api/token HTTP/1.1\r\n")
    assert b"\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n" in begun
    assert asked.startswith(b"GET " + ROLE.encode() + b" HTTP/1.1\r\n")
    assert b"\r\nX-aws-ec2-metadata-token: token==\r\n" in asked


@pytest.mark.parametrize("path", [
    "/latest/meta-data/iam/security-credentials/", "/latest/meta-data/iam/security-credentials/role",
    "/latest/meta-data/iam/security-credentials/holdfast-canary/role", "/latest/user-data/holdfast-x", "/holdfast-x",
])  # fmt: skip
def test_no_role_of_anybodys_is_asked_for(program: str, tmp_path: Path, path: str) -> None:
    with calling(program, tmp_path / "s", page(b"token"), page(b"x")) as (attempt, server):
        assert do(attempt, "metadata", 0, path).errno == errno.EACCES
    assert not server.heard


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (page(b"", b"HTTP/1.1 403 No"), (403, 0)),
        (page(b""), (-1, errno.EPROTO)),
        (page(b"x" * 129), (-1, errno.EPROTO)),
        (page(b"a\r\nX-Injected: b"), (-1, errno.EPROTO)),
        (page(b"a\0b"), (-1, errno.EPROTO)),
        (b"nonsense\r\n\r\n", (-1, errno.EPROTO)),
    ],
)
def test_a_session_that_is_none_ends_the_asking(
    program: str, tmp_path: Path, answer: bytes, wanted: tuple[int, int]
) -> None:
    with calling(program, tmp_path / "s", answer) as (attempt, server):
        got = do(attempt, "metadata", 0, ROLE)
        assert (got.result, got.errno) == wanted
    assert len(server.heard) == 1
