"""Configurations in the state directories of runtimes: laid-out trees, and what a real engine leaves there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from collect_box import container, image
from holdfast.collect.oci_bundles import Bundle, bundles
from holdfast.collect.parse import parse
from holdfast.model.errors import NotUnderstood
from holdfast.model.truth import YES
from holdfast.model.words import declared
from holdfast.platforms.oci_runtime import read_bundle, recognises

ID = "3f8c3e6620620e2f55c9dbdf8c307277915909b2754f56d814e14e5759234ea5"
TASKS = "run/containerd/io.containerd.runtime.v2.task"
CONFIG = '{"ociVersion": "1.0.2", "process": {}}'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def found(root: Path) -> list[Bundle]:
    return [one for one in bundles(str(root)) if isinstance(one, Bundle)]


@pytest.mark.parametrize(
    ("shim", "runtime"),
    [
        ("/usr/bin/containerd-shim-runc-v2", "runc"),
        ("/opt/containerd-shim-runsc-v1", "runsc"),
        ("/x/shim", ""),
        ("", ""),
    ],
)
def test_containerd(tmp_path: Path, shim: str, runtime: str) -> None:
    path = write(tmp_path / TASKS / "k8s.io" / ID / "config.json", CONFIG)
    if shim:
        write(path.parent / "shim-binary-path", shim)
    assert found(tmp_path) == [Bundle(str(path), CONFIG.encode(), ID, runtime)]


def test_runc_names_the_bundle_and_each_is_told_once(tmp_path: Path) -> None:
    path = write(tmp_path / TASKS / "moby" / ID / "config.json", CONFIG)
    state = {"id": ID, "config": {"labels": ["x=y", f"bundle=/{TASKS}/moby/{ID}"]}}
    write(tmp_path / "run" / "docker" / "runtime-runc" / "moby" / ID / "state.json", json.dumps(state))
    assert found(tmp_path) == [Bundle(str(path), CONFIG.encode(), ID, "runc")]


def test_a_bundle_that_lies_anywhere(tmp_path: Path) -> None:
    path = write(tmp_path / "srv" / "web" / "config.json", CONFIG)
    write(tmp_path / "run" / "crun" / "web" / "status", json.dumps({"pid": 7, "bundle": "/srv/web"}))
    write(tmp_path / "run" / "runc" / "gone" / "state.json", json.dumps({"config": {"labels": ["bundle=/srv/gone"]}}))
    assert found(tmp_path) == [Bundle(str(path), CONFIG.encode(), "web", "crun", 7)]


def test_gvisor_keeps_one_file_for_each_container(tmp_path: Path) -> None:
    path = write(tmp_path / "srv" / "web" / "config.json", CONFIG)
    state = {"id": "web", "bundleDir": "/srv/web", "sandbox": {"pid": 812}}
    write(tmp_path / "run" / "runsc" / "web_sandbox:web.state", json.dumps(state))
    write(tmp_path / "run" / "runsc" / "broken.state", "[]")
    assert found(tmp_path) == [Bundle(str(path), CONFIG.encode(), "web", "runsc", 812)]


def test_containerd_keeps_the_first_process_beside_the_bundle(tmp_path: Path) -> None:
    path = write(tmp_path / TASKS / "default" / "web" / "config.json", CONFIG)
    write(path.parent / "init.pid", "4711")
    assert found(tmp_path) == [Bundle(str(path), CONFIG.encode(), "web", "", 4711)]


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
@pytest.mark.parametrize(
    ("storage", "passing"),
    [
        ("run/containers/storage", "run/containers/storage"),
        ("var/lib/containers/storage", "run/containers/storage"),
        ("home/eve/.local/share/containers/storage", "run/user/1000/containers"),
    ],
)
def test_podman(tmp_path: Path, storage: str, passing: str, driver: str) -> None:
    path = write(tmp_path / storage / f"{driver}-containers" / ID / "userdata" / "config.json", CONFIG)
    write(tmp_path / passing / f"{driver}-containers" / ID / "userdata" / "pidfile", "99")
    listed = [{"id": "0" * 64, "names": 3}, {"id": ID, "names": ["shop"]}, None]
    write(tmp_path / storage / f"{driver}-containers" / "containers.json", json.dumps(listed))
    assert found(tmp_path) == [Bundle(str(path), CONFIG.encode(), ID, "", 99, "shop")]


def test_what_is_known_already_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / TASKS / "moby" / ID / "config.json", CONFIG)
    state = {"id": ID, "config": {"labels": [f"bundle=/{TASKS}/moby/{ID}"]}}
    write(tmp_path / "run" / "docker" / "runtime-runc" / "moby" / ID / "state.json", json.dumps(state))
    assert list(bundles(str(tmp_path), without={ID})) == []
    assert len(list(bundles(str(tmp_path), without={"0" * 64}))) == 1


@pytest.mark.parametrize("state", ["", "{", "[]", "null", '{"config": 3}', '{"bundle": "relative"}', "[" * 100_000])
def test_a_broken_state(tmp_path: Path, state: str) -> None:
    write(tmp_path / "run" / "runc" / "x" / "state.json", state)
    write(tmp_path / "run" / "crun" / "x" / "status", state)
    assert list(bundles(str(tmp_path))) == []


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / TASKS / "moby" / ID / "config.json").mkdir(parents=True)
    (trouble,) = bundles(str(tmp_path))
    assert isinstance(trouble, NotUnderstood)


def test_nothing_there(tmp_path: Path) -> None:
    assert list(bundles(str(tmp_path))) == []


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with image(tmp_path_factory.mktemp("box")) as name:
        yield name


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.usefixtures("box")
def test_a_real_container(tmp_path: Path) -> None:
    options = (
        "--cap-add=CAP_SYS_ADMIN", "--network=host", "--security-opt=seccomp=unconfined", "--read-only", "--user=5:6",
        "--device=/dev/full:/dev/myfull:r", f"--volume={tmp_path}:/data:ro", "--device-cgroup-rule=b 8:* rw",
    )  # fmt: skip
    with container(*options, name="bundle") as identity:
        (bundle,) = [one for one in bundles() if isinstance(one, Bundle) and one.container_id == identity]
        assert bundle.runtime == "runc"
        document, problems = parse(bundle.path, bundle.data)
        assert not problems
        assert recognises(document)
        reading = read_bundle(document, bundle.container_id, bundle.runtime)
        assert reading.problems == ()
        (one,) = reading.workloads
        assert one.workload.key == identity
        facts = one.facts
        assert facts.value(declared.ENGINE) == "docker"
        assert facts.value(declared.USER) == "5:6"
        assert facts.value(declared.CAPABILITIES_EXACT) == frozenset(), "not root: only the bounding set has it"
        assert "CAP_SYS_ADMIN" in (facts.value(declared.CAPABILITIES_BOUNDING) or ())
        assert facts.value(declared.SECCOMP) == "unconfined"
        assert facts.value(declared.READ_ONLY_ROOT) is True
        shared = facts.value(declared.NAMESPACES)
        assert shared is not None
        assert shared.has("net") is YES
        binds = [mount for mount in facts.value(declared.MOUNTS) or () if mount.kind == "bind"]
        assert [(mount.source, mount.target, mount.read_only) for mount in binds] == [(str(tmp_path), "/data", True)]
        assert "b 8:* rw" in (facts.value(declared.DEVICE_RULES) or ())
        assert [device.target for device in facts.value(declared.DEVICES) or ()] == ["/dev/myfull"]
