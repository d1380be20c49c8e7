"""The user of an image that this machine's engine holds counts where a document names none."""

from __future__ import annotations

import http.server
import json
import shutil
import socketserver
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from cli_program import scanned
from holdfast.app.images import Images
from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Facts, Seen
from holdfast.model.place import Where
from holdfast.model.words import declared
from holdfast.model.workload import Described, Workload
from holdfast.platforms.docker_image import read_image

HERE = Where("compose.yaml", "", 3)


def service(image: str = "shop:1", **answers: object) -> Described:
    table = {declared.ENGINE: Seen("docker", HERE)}
    table |= {getattr(declared, name): Seen(value, HERE) for name, value in answers.items()}
    return Described(Workload("web", "compose service", HERE, image), Facts(table))


@pytest.mark.parametrize(
    ("answer", "user"),
    [
        ({"Config": {"User": "1000:1000"}}, "1000:1000"),
        ({"Config": {"User": ""}}, ""),
        ({"Config": {}}, ""),
        ({"Config": None}, ""),
    ],
)
def test_what_an_image_says(answer: object, user: str) -> None:
    found = read_image(json.dumps(answer).encode(), "shop:1").seen(declared.USER)
    assert found is not None
    assert (found.value, found.where.document, found.where.pointer) == (user, "docker:/images/shop:1", "/Config/User")


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b'{"Config": {"User": 7}}', b"[" * 100_000])
def test_what_is_no_image(answer: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read_image(answer, "shop:1")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """Answer at a socket like an engine that holds one image."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            answers = {
                "/version": {"ApiVersion": "1.41"},
                "/v1.41/images/reg.example/shop:1/json": {"Config": {"User": "1000"}},
                "/v1.41/images/odd%20one/json": [],
            }
            body = json.dumps(answers.get(self.path)).encode()
            self.send_response(200 if self.path in answers else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "local"

        def log_message(self, *words: object) -> None:
            pass

    path = str(tmp_path / "e.sock")
    with socketserver.UnixStreamServer(path, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"unix://{path}", asked
        server.shutdown()


def test_the_engine_is_asked_once_for_each_image(engine: tuple[str, list[str]]) -> None:
    address, asked = engine
    with closing(Images(address)) as images:
        for _ in range(3):
            assert images.facts(service("reg.example/shop:1")).value(declared.USER) == "1000"
            assert images.facts(service("other:1")).value(declared.USER) is None
            assert images.facts(service("odd one")).value(declared.USER) is None
    assert asked.count("/v1.41/images/reg.example/shop:1/json") == 1
    assert len(asked) == 4


def test_what_the_document_says_counts(engine: tuple[str, list[str]]) -> None:
    address, asked = engine
    with closing(Images(address)) as images:
        assert images.facts(service("reg.example/shop:1", USER="0")).value(declared.USER) == "0"
        assert images.facts(service("reg.example/shop:1", ENGINE="cri")).value(declared.USER) is None
    assert asked == []


def test_where_no_engine_answers_nothing_is_known(tmp_path: Path) -> None:
    images = Images(f"unix://{tmp_path}/none.sock")
    assert images.facts(service()).value(declared.USER) is None
    assert images.facts(service("other:1")).value(declared.USER) is None


@pytest.mark.engine
@pytest.mark.root
def test_a_real_image_with_a_user_of_its_own(tmp_path: Path) -> None:
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(shutil.which("busybox") or "", "bin/busybox")
    names = {"hf-images-root:1": [], "hf-images-user:1": ["--change", "USER 1000:1000"]}
    try:
        for name, change in names.items():
            command = ["docker", "import", *change, "-", name]
            subprocess.run(command, input=packed.getvalue(), capture_output=True, check=True)
        services = "".join(
            f"  {name[10:14]}:\n    image: {name}\n    volumes: ['/var/run/docker.sock:/s']\n" for name in names
        )
        (tmp_path / "compose.yaml").write_text(f"services:\n{services}")
        assert scanned("compose.yaml", folder=tmp_path).verdicts == {"root": "escapable", "user": "escapable"}
        seen = scanned("compose.yaml", "--host", "this", folder=tmp_path)
        assert seen.verdicts["root"] == "escapable"
        assert seen.verdicts["user"] != "escapable"
    finally:
        subprocess.run(["docker", "rmi", "--force", *names], capture_output=True, check=False)
