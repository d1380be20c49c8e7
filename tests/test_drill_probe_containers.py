"""The probe in real containers: an image that holds nothing else, gVisor, and the engine itself."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drill_speech import copied, do, speaking, until
from holdfast.drill.session import Lost, Session

IMAGE = f"hf-probe-{os.getpid()}:1"
LABEL = f"hf-probe={os.getpid()}"
CONTAINERD = ("/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock")


@pytest.fixture(scope="module")
def program() -> Iterator[str]:
    with copied() as path:
        yield path


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image(program: str) -> Iterator[str]:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(program, arcname="probe")
    subprocess.run(["docker", "import", "-", IMAGE], input=packed.getvalue(), capture_output=True, check=True)
    try:
        yield IMAGE
    finally:
        left = docker("ps", "-aq", "--filter", f"label={LABEL}").split()
        if left:
            docker("rm", "-f", "-v", *left)
        docker("rmi", "-f", IMAGE)


def run(image: str, *options: str) -> list[str]:
    return [
        "docker",
        "run",
        "-i",
        "--rm",
        "--label",
        LABEL,
        "--network=none",
        *options,
        image,
        "/probe",
        "attempts",
        "60",
    ]


@pytest.mark.engine
def test_an_image_of_nothing_else_read_only_and_as_a_stranger(image: str) -> None:
    with Session(run(image, "--read-only", "--user=12345:54321", "--cap-drop=ALL")) as session:
        assert (session.pid, session.uid, session.euid) == (1, 12345, 12345)
        with session.attempt("a") as attempt:
            assert do(attempt, "identity").data.split()[:5] == [b"12345", b"12345", b"54321", b"54321", b"0" * 16]
            assert do(attempt, "mkdir", "/x").errno in {errno.EROFS, errno.EACCES}
            assert do(attempt, "mount", "none", "/proc", "tmpfs", 0, "").errno == errno.EPERM
            assert do(attempt, "crash").result in {0, 1}
    assert not docker("ps", "-aq", "--filter", f"label={LABEL}")


@pytest.mark.engine
def test_a_container_that_is_taken_away_in_the_middle(image: str) -> None:
    with Session(run(image)) as session:
        with session.attempt("a") as attempt:
            assert do(attempt, "mkdir", "/made").result == 0
        docker("rm", "-f", *docker("ps", "-q", "--filter", f"label={LABEL}").split())
        with pytest.raises(Lost), session.attempt("b") as attempt:
            do(attempt, "sleep_ms", 1)


@pytest.mark.engine
def test_a_runner_that_goes_takes_the_container_with_it(image: str) -> None:
    with subprocess.Popen(run(image), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline().startswith(b"ready 1 ")
        client.kill()
    assert until(lambda: not docker("ps", "-aq", "--filter", f"label={LABEL}"), 30)


@pytest.mark.engine
@pytest.mark.root
def test_the_engine_starts_a_container_for_the_probe_and_it_goes_again(
    program: str, image: str, tmp_path: Path
) -> None:
    """All there is to say about an engine's socket: a new container marks a file of the host."""
    wanted = {
        "Image": image,
        "Cmd": ["/probe", "mark", "/host/marked", "token"],
        "Labels": {"hf-probe": str(os.getpid())},
        "HostConfig": {"Binds": [f"{tmp_path}:/host"], "NetworkMode": "none"},
    }
    with speaking(program) as attempt:
        assert do(attempt, "connect", "/var/run/docker.sock").result >= 0
        assert do(attempt, "http", 0, "GET", "/_ping", "").result == 200
        answer = do(attempt, "engine_start", 0, json.dumps(wanted))
        assert (answer.result, len(answer.data)) == (0, 64)
        assert (tmp_path / "marked").read_text() == "token 0\n"
        assert docker("ps", "-aq", "--no-trunc", "--filter", f"label={LABEL}") == answer.data.decode()
        wanted["Image"] = "hf-no-such-image:1"
        assert do(attempt, "engine_start", 0, json.dumps(wanted)).errno == errno.ENOENT
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (1, 0)
    assert not docker("ps", "-aq", "--filter", f"label={LABEL}")


@pytest.mark.engine
@pytest.mark.root
def test_a_namespace_is_made_in_containerd_and_goes_again(program: str) -> None:
    place = next(path for path in CONTAINERD if Path(path).is_socket())
    service = "/containerd.services.namespaces.v1.Namespaces"
    name = f"holdfast-{os.getpid()}".encode()
    inner = b"\x0a" + bytes([len(name)]) + name
    with speaking(program) as attempt:
        assert do(attempt, "connect", place).result >= 0
        assert do(attempt, "grpc", 0, "/containerd.services.version.v1.Version/Version", "").result == 0
        assert do(attempt, "grpc", 0, f"{service}/Create", (b"\x0a" + bytes([len(inner)]) + inner).hex()).result == 0
        assert name in do(attempt, "grpc", 0, f"{service}/List", "").data
        assert do(attempt, "grpc", 0, "/containerd.services.version.v1.Version/GetNothing", "").result == 12
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (1, 0)
    with speaking(program) as attempt:
        do(attempt, "connect", place)
        listed = do(attempt, "grpc", 0, f"{service}/List", "")
        assert listed.result == 0
        assert name not in listed.data


@pytest.mark.root
def test_under_gvisor(program: str) -> None:
    name = f"hf-probe-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="holdfast-runsc-") as folder:
        bundle = Path(folder) / "bundle"
        (bundle / "rootfs" / "tmp").mkdir(parents=True)
        (bundle / "rootfs" / "probe").write_bytes(Path(program).read_bytes())
        (bundle / "rootfs" / "probe").chmod(0o755)
        configuration = {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False,
                "user": {"uid": 0, "gid": 0},
                "args": ["/probe", "attempts", "60"],
                "env": [],
                "cwd": "/",
                "capabilities": {
                    kind: ["CAP_CHOWN", "CAP_DAC_OVERRIDE"] for kind in ("bounding", "effective", "permitted")
                },
            },
            "root": {"path": "rootfs", "readonly": False},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")]},
        }
        (bundle / "config.json").write_text(json.dumps(configuration))
        command = ["runsc", "--root", f"{folder}/state", "--platform=ptrace", "--network=none", "--ignore-cgroups"]
        try:
            with Session([*command, "run", "--bundle", str(bundle), name]) as session:
                assert session.uid == 0
                with session.attempt("a") as attempt:
                    assert do(attempt, "mkdir", "/tmp/made").result == 0
                    assert do(attempt, "open", "/tmp/made/f", "rwc").result >= 0
                    assert do(attempt, "write", 1, "text").result == 4
                    assert do(attempt, "read_at", 1, 0, 9).data == b"text"
                    assert do(attempt, "statfs", "/proc").data == b"9fa0 proc"
                    assert do(attempt, "mount", "none", "/tmp", "tmpfs", 0, "").errno == errno.EPERM
                    assert do(attempt, "unlink", "/probe").errno == errno.EACCES
                    do(attempt, "crash")
                assert attempt.ended is not None
                assert (attempt.ended.undone, attempt.ended.failed) == (2, 0)
                with session.attempt("b") as attempt:
                    assert do(attempt, "list", "/tmp").data == b""
        finally:
            subprocess.run([*command, "delete", "--force", name], capture_output=True, timeout=30, check=False)
