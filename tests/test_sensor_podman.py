"""Podman's containers, named from its state folders and by its service."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collect_box import tree
from holdfast.model.event import Container
from holdfast.sensor import snapshot
from holdfast.sensor.containers import Containers
from holdfast.sensor.engines.bundles import Bundles
from holdfast.sensor.engines.docker import Docker
from holdfast.sensor.engines.registry import Registry
from holdfast.sensor.processes import Processes

pytestmark = pytest.mark.root

NAME = f"hf-sensor-{os.getpid()}"
IMAGE = f"localhost/{NAME}:1"
WAYS = ("--cgroup-manager=cgroupfs", "--runtime=runc")  # with these it runs on hybrid control groups too
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=500:500", "--network=none")


def podman(*words: str, check: bool = True, given: bytes | None = None) -> str:
    done = subprocess.run(["podman", *WAYS, *words], input=given, capture_output=True, timeout=60, check=False)
    if check and done.returncode:
        raise AssertionError(f"podman {words[0]}: {done.stderr.decode()}")
    return done.stdout.decode().strip()


@pytest.fixture(scope="module", autouse=True)
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(tree(tmp_path_factory.mktemp("podman") / "box"), arcname=".")
    podman("import", "-", IMAGE, given=packed.getvalue())
    try:
        yield
    finally:
        podman("rmi", "--force", IMAGE, check=False)


@contextmanager
def container(*more: str) -> Iterator[str]:
    name = f"{NAME}-{len(more)}"
    try:
        yield podman("run", "--detach", f"--name={name}", *LIMITS, *more, IMAGE, "/bin/sleep", "300")
    finally:
        podman("rm", "--force", "--time=0", name, check=False)


def until_named(registry: Registry, identity: str) -> Container:
    one = Container(identity)
    end = time.monotonic() + 15
    while not registry.resolve(one, 0.2) or not one.image:
        assert time.monotonic() < end, one
        one.state = "pending"
    return one


def test_from_the_state_folders() -> None:
    with container("--volume=/tmp:/mnt:ro") as identity:
        registry = Registry([Bundles(every_s=0.2)])
        registry.start()
        try:
            one = until_named(registry, identity)
            assert (one.name, one.image, one.runtime) == (f"{NAME}-1", IMAGE, "podman")
            assert one.privileged is False
            assert ("/tmp", "/mnt", False) in {(mount[0], mount[1], mount[3]) for mount in one.mounts}
            containers = Containers(snapshot.host_namespaces())
            containers.learned(registry.news())
            processes = Processes(placed=containers.placed)
            pid = int(podman("inspect", "--format={{.State.Pid}}", identity))
            for seen in snapshot.running():
                processes.entered(seen.life, seen.parent_pid)
            place = processes.alive[pid].container
            assert place is not None
            assert (place.id, place.name) == (identity, one.name)
            monitor = processes.alive[pid].parent
            assert monitor is None or monitor.container is None, "conmon stays outside"
        finally:
            registry.stop()


def test_by_its_service(tmp_path: Path) -> None:
    path = str(tmp_path / "podman.sock")
    with subprocess.Popen(
        ["podman", *WAYS, "system", "service", "--time=0", f"unix://{path}"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as service:  # fmt: skip
        registry = Registry([Docker(path, "podman")])
        registry.start()
        try:
            with container() as identity:
                one = until_named(registry, identity)
                assert (one.name, one.image, one.runtime) == (f"{NAME}-0", IMAGE, "podman")
            end = time.monotonic() + 15
            while not registry.known()[identity].ended:
                assert time.monotonic() < end
                time.sleep(0.05)
        finally:
            registry.stop()
            service.terminate()
