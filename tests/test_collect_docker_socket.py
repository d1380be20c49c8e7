"""The engine's socket: a real engine, and everything that is none."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from collect_box import container, docker, image
from holdfast.collect import docker_socket
from holdfast.collect.docker_socket import addresses, documents, engine_documents
from holdfast.model.errors import Error, NotPermitted, NotReachable, NotUnderstood

engine = pytest.mark.engine
ID = "3f8c3e6620620e2f55c9dbdf8c307277915909b2754f56d814e14e5759234ea5"
VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24"}
Talk = Callable[[socket.socket], None]


@contextmanager
def server(folder: Path, talk: Talk) -> Iterator[str]:
    """Serve a Unix socket in a thread: each connection is handed to ``talk``."""
    path = folder / "engine.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen(8)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            ended.set()
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
                last.connect(str(path))
            thread.join(10)


def asked(connection: socket.socket) -> str:
    """Read one request; return its path, empty where the other side hung up."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(4096)
        if not part:
            return ""
        data += part
    return data.split(b" ")[1].decode()


def answer(connection: socket.socket, body: bytes, status: str = "200 OK") -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


def saying(raw: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(raw)

    return talk


def serving(pages: dict[str, tuple[str, bytes]], paths: list[str] | None = None) -> Talk:
    def talk(connection: socket.socket) -> None:
        while path := asked(connection):
            if paths is not None:
                paths.append(path)
            status, body = pages.get(path, ("404 Not Found", b'{"message": "no such page"}'))
            answer(connection, body, status)

    return talk


def page(value: object) -> tuple[str, bytes]:
    return "200 OK", json.dumps(value).encode()


# --- a real engine ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with image(tmp_path_factory.mktemp("box")) as name:
        yield name


@engine
@pytest.mark.usefixtures("box")
def test_a_real_engine_tells_its_containers() -> None:
    with container("--cap-add=CAP_SYS_ADMIN", name="api") as identity:
        found = dict(documents())
        inspected = json.loads(found[f"docker://{identity[:12]}"])
        assert inspected["Id"] == identity
        assert inspected["HostConfig"]["CapAdd"] == ["CAP_SYS_ADMIN"]


@engine
@pytest.mark.usefixtures("box")
def test_a_container_that_does_not_run_is_told_only_when_asked_for() -> None:
    with container(name="gone") as identity:
        docker("kill", identity)
        name = f"docker://{identity[:12]}"
        assert name not in dict(documents())
        assert name in dict(documents(every=True))


@engine
def test_a_real_engine_tells_of_itself() -> None:
    found = engine_documents()
    assert json.loads(str(found["docker:/version"]))["ApiVersion"]
    assert "SecurityOptions" in json.loads(str(found["docker:/info"]))


@engine
@pytest.mark.root
def test_an_ordinary_user_is_refused() -> None:
    program = (
        "import json, os, sys\n"
        "sys.path[:0] = json.loads(sys.argv[1])\n"
        "from holdfast.collect.docker_socket import documents\n"
        "from holdfast.model.errors import NotPermitted\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n    list(documents())\n"
        "except NotPermitted as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(sys.path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )
    assert "may not be opened" in done.stdout, done.stderr
    assert "run as root" in done.stdout


# --- one that behaves -------------------------------------------------------------------------------------------------


def test_one_connection_serves_all_questions_in_the_version_both_know(tmp_path: Path) -> None:
    paths: list[str] = []
    pages = {
        "/version": page(VERSION),
        "/v1.41/containers/json?all=0": page([{"Id": ID}, {"Id": "ab" * 32}]),
        f"/v1.41/containers/{ID}/json": page({"Id": ID}),
        "/v1.41/info": page({"Name": "x"}),
    }
    with server(tmp_path, serving(pages, paths)) as address:
        assert list(documents(address)) == [(f"docker://{ID[:12]}", json.dumps({"Id": ID}).encode())]
        assert paths[:2] == ["/version", "/v1.41/containers/json?all=0"]
        assert engine_documents(address)["docker:/info"] == '{"Name": "x"}'


@pytest.mark.parametrize(
    ("version", "prefix"),
    [
        ({"ApiVersion": "1.99", "MinAPIVersion": "1.24"}, "/v1.52"),
        ({"ApiVersion": "1.99", "MinAPIVersion": "1.60"}, "/v1.99"),
        ({"ApiVersion": "1.30"}, "/v1.30"),
        ({"Version": "5"}, ""),
        ({"ApiVersion": "new", "MinAPIVersion": []}, ""),
    ],
)
def test_versions(tmp_path: Path, version: dict[str, object], prefix: str) -> None:
    pages = {"/version": page(version), f"{prefix}/containers/json?all=0": page([])}
    with server(tmp_path, serving(pages)) as address:
        assert list(documents(address)) == []


def test_chunks_and_a_connection_that_is_closed_after_each_answer(tmp_path: Path) -> None:
    pages = {
        "/version": VERSION,
        "/v1.41/containers/json?all=0": [{"Id": ID}],
        f"/v1.41/containers/{ID}/json": {"a": 1},
    }

    def talk(connection: socket.socket) -> None:
        path = asked(connection)
        if not path:
            return
        body = json.dumps(pages[path]).encode()
        head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")

    with server(tmp_path, talk) as address:
        assert [json.loads(data) for _, data in documents(address)] == [{"a": 1}]


def test_info_may_fail_alone(tmp_path: Path) -> None:
    pages = {"/version": page(VERSION), "/v1.41/info": ("500 Internal Server Error", b'{"message": "out of luck"}')}
    with server(tmp_path, serving(pages)) as address:
        found = engine_documents(address)
    assert isinstance(found["docker:/info"], NotReachable)
    assert "out of luck" in str(found["docker:/info"])


# --- those that do not ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\xff" * 500,
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200_000,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=[
        "ssh",
        "binary",
        "no json",
        "no object",
        "nested",
        "many heads",
        "long head",
        "moved",
        "not found",
    ],
)
def test_what_is_no_engine(tmp_path: Path, raw: bytes) -> None:
    with server(tmp_path, saying(raw)) as address, pytest.raises(NotUnderstood) as caught:
        list(documents(address, timeout_s=3))
    assert caught.value.where == address
    assert caught.value.next


@pytest.mark.parametrize("listing", [{}, [1], [{"Id": 7}], [{"Id": "../../info"}], None, "x"])
def test_a_list_that_is_none(tmp_path: Path, listing: object) -> None:
    pages = {"/version": page(VERSION), "/v1.41/containers/json?all=0": page(listing)}
    with server(tmp_path, serving(pages)) as address, pytest.raises(NotUnderstood):
        list(documents(address))


@pytest.mark.parametrize(
    ("status", "kind"),
    [("403 Forbidden", NotPermitted), ("401 Unauthorized", NotPermitted), ("503 Service Unavailable", NotReachable)],
)
def test_refusals(tmp_path: Path, status: str, kind: type[Error]) -> None:
    pages = {"/version": (status, b'{"message": "authorization denied by plugin"}')}
    with server(tmp_path, serving(pages)) as address, pytest.raises(kind, match="authorization denied"):
        list(documents(address))


@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"], ids=["at once", "in between"]
)
def test_one_that_hangs_up(tmp_path: Path, raw: bytes) -> None:
    with server(tmp_path, saying(raw)) as address, pytest.raises(NotReachable, match="hung up"):
        list(documents(address))


def drip(connection: socket.socket) -> None:
    asked(connection)
    for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 600:
        connection.sendall(bytes([letter]))
        time.sleep(0.05)


def drip_body(connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n")
    for _ in range(600):
        connection.sendall(b" ")
        time.sleep(0.05)


def mute(connection: socket.socket) -> None:
    asked(connection)
    connection.recv(1)


@pytest.mark.parametrize("talk", [drip, drip_body, mute])
def test_a_slow_one_is_left_at_the_deadline(tmp_path: Path, talk: Talk) -> None:
    with server(tmp_path, talk) as address:
        start = time.monotonic()
        with pytest.raises(NotReachable, match=r"did not answer within 0\.5 s"):
            list(documents(address, timeout_s=0.5))
        assert time.monotonic() - start < 5


def test_an_endless_answer_is_left_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_socket, "ANSWER_LIMIT", 1 << 20)
    sent = 0

    def endless(connection: socket.socket) -> None:
        nonlocal sent
        asked(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 64 << 20:
            sent += connection.send(b" " * 65536)

    with server(tmp_path, endless) as address, pytest.raises(NotUnderstood, match="1,048,576 bytes"):
        list(documents(address))
    assert sent < 16 << 20


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match="no such socket"):
        list(documents(f"unix://{tmp_path}/none.sock"))


def test_nobody_listens(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))
    with pytest.raises(NotReachable, match="Nobody listens"):
        list(documents(f"unix://{path}"))


def test_a_file_in_place_of_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "plain.sock"
    path.write_text("hello", encoding="ascii")
    with pytest.raises(Error):
        list(documents(f"unix://{path}"))


@pytest.mark.parametrize(
    "address", ["", "ssh://host", "npipe:////./pipe/docker_engine", "tcp://host", "unix://x", "tcp://:1"]
)
def test_addresses_that_are_not_spoken(address: str) -> None:
    with pytest.raises(NotUnderstood, match="form that is not spoken"):
        list(documents(address))


def test_tcp_where_it_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                pages = {"/version": page(VERSION), "/v1.41/containers/json?all=0": page([])}
                serving(pages)(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert list(documents(f"tcp://127.0.0.1:{listening.getsockname()[1]}")) == []
        thread.join(10)


def test_docker_host_counts_where_it_names_a_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/mine.sock")
    assert addresses() == (f"unix://{tmp_path}/mine.sock",)
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    assert all(address.startswith("unix://") for address in addresses())


def test_only_sockets_that_exist_are_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    mine = f"unix://{tmp_path}/docker.sock"
    assert mine not in addresses()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as here:
        here.bind(str(tmp_path / "docker.sock"))
        assert mine in addresses()
    assert len(set(addresses())) == len(addresses())
    assert os.environ["XDG_RUNTIME_DIR"] == str(tmp_path)
