"""Real containers of Docker: what is foretold from their flags against what the kernel shows."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from effective_made import PLACE, made, said
from holdfast.model.facts import Facts, Seen
from holdfast.model.truth import YES
from holdfast.model.values import Members, Paths
from holdfast.model.words import container, declared, engine, host, observed
from holdfast.model.words.declared import Device, Mount
from holdfast.platforms._procfs_mounts import mounts
from holdfast.reason.effective.capabilities import NAMES
from holdfast.reason.effective.declared import from_declared
from holdfast.reason.effective.joined import joined
from holdfast.reason.effective.observed import from_observed

pytestmark = [pytest.mark.engine, pytest.mark.root]
IMAGE = "hf-effective-image:1"
BUSYBOX = Path("/bin/busybox")


def docker(*words: str, given: bytes | None = None) -> str:
    done = subprocess.run(["docker", *words], input=given, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(BUSYBOX, "bin/busybox")
    docker("import", "-", IMAGE, given=packed.getvalue())
    yield IMAGE
    docker("rmi", "-f", IMAGE)


CASES: list[tuple[str, list[str], dict[Any, Any]]] = [
    ("plain", [], {}),
    ("drop", ["--cap-drop=ALL"], {declared.CAPABILITIES_DROPPED: ("ALL",)}),
    (
        "both",
        ["--cap-drop=all", "--cap-add=sys_admin", "--cap-add=CAP_CHOWN"],
        {declared.CAPABILITIES_DROPPED: ("all",), declared.CAPABILITIES_ADDED: ("sys_admin", "CAP_CHOWN")},
    ),
    (
        "same",
        ["--cap-drop=NET_RAW", "--cap-drop=MKNOD", "--cap-add=SYS_PTRACE"],
        {declared.CAPABILITIES_DROPPED: ("NET_RAW", "MKNOD"), declared.CAPABILITIES_ADDED: ("SYS_PTRACE",)},
    ),
    ("user", ["--user=1000:50", "--cap-add=SYS_ADMIN"],
     {declared.USER: "1000:50", declared.CAPABILITIES_ADDED: ("SYS_ADMIN",)}),
    ("named", ["--user=0"], {declared.USER: "0"}),
    (
        "open",
        ["--security-opt=seccomp=unconfined", "--security-opt=no-new-privileges"],
        {declared.SECCOMP: "unconfined", declared.NO_NEW_PRIVILEGES: True},
    ),
    (
        "paths",
        ["--security-opt=systempaths=unconfined", "--volume=/etc:/host/etc:ro", "--volume=/proc:/host/proc",
         "--volume=/run/docker.sock:/s", "--pid=host", "--net=host"],
        {
            declared.SYSTEM_PATHS: "unconfined",
            declared.MOUNTS: (
                Mount("bind", "/etc", "/host/etc", read_only=True),
                Mount("bind", "/proc", "/host/proc"),
                Mount("bind", "/run/docker.sock", "/s"),
            ),
            declared.NAMESPACES: Members(frozenset({"pid", "net"}), frozenset({"cgroup"})),
        },
    ),
    (
        "device",
        ["--device=/dev/fuse", "--device-cgroup-rule=b 8:* rwm", "--volume=hf-effective-volume:/v"],
        {
            declared.DEVICES: (Device("/dev/fuse", "/dev/fuse"),),
            declared.DEVICE_RULES: ("b 8:* rwm",),
            declared.MOUNTS: (Mount("volume", "hf-effective-volume", "/v"),),
        },
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def processes(image: str) -> Iterator[dict[str, int]]:
    names = [f"hf-effective-{name}" for name, _, _ in CASES]
    try:
        for name, (_, flags, _) in zip(names, CASES, strict=True):
            docker("run", "-d", "--name", name, *flags, image, "/bin/busybox", "sleep", "300")
        found = docker("inspect", "--format", "{{.State.Pid}}", *names).split()
        yield {case[0]: int(pid) for case, pid in zip(CASES, found, strict=True)}
    finally:
        subprocess.run(["docker", "rm", "-f", "-v", *names], capture_output=True, check=False, timeout=120)
        subprocess.run(["docker", "volume", "rm", "hf-effective-volume"], capture_output=True, check=False, timeout=60)


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: rest.strip() for key, _, rest in (line.partition(":") for line in lines)}


def names_of(bits: str) -> frozenset[object]:
    return frozenset(name for number, name in enumerate(NAMES) if int(bits, 16) >> number & 1)


def live(pid: int) -> Facts:
    shown = status(pid)
    shared: set[object] = {
        name
        for name in ("pid", "net", "ipc", "uts", "cgroup", "mnt")
        if Path(f"/proc/{pid}/ns/{name}").readlink() == Path(f"/proc/self/ns/{name}").readlink()
    }
    return said(
        {
            observed.RUNTIME: "docker",
            observed.HOST_USER_ID: int(shown["Uid"].split()[1]),
            observed.OWN_USER_NAMESPACE: False,
            observed.CAPABILITIES_EFFECTIVE: names_of(shown["CapEff"]),
            observed.CAPABILITIES_PERMITTED: names_of(shown["CapPrm"]),
            observed.CAPABILITIES_BOUNDING: names_of(shown["CapBnd"]),
            observed.NO_NEW_PRIVILEGES: shown["NoNewPrivs"] == "1",
            observed.SECCOMP_MODE: int(shown["Seccomp"]),
            observed.SHARED_NAMESPACES: Members(frozenset(shared)),
            observed.MOUNTS: mounts(
                Path(f"/proc/{pid}/mountinfo").read_text(), Path("/proc/self/mountinfo").read_text()
            ),
        }
    )


HOST = said(
    {
        engine.NAME: "docker",
        engine.ROOTLESS: False,
        engine.USERNS_REMAP: False,
        host.LAST_CAPABILITY: 40,
        host.LSMS: Members.of("capability"),
    }
)


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_the_kernel_does_what_was_foretold(processes, case):
    name, _, change = case
    pid = processes[name]
    shown = status(pid)
    out = from_declared(made(change), HOST)
    assert out.value(container.CAPABILITIES) == Members(names_of(shown["CapEff"]))
    assert out.value(container.BOUNDING_CAPABILITIES) == Members(names_of(shown["CapBnd"]))
    assert out.value(container.NO_NEW_PRIVILEGES) is (shown["NoNewPrivs"] == "1")
    assert out.value(container.HOST_USER_ID) == int(shown["Uid"].split()[1])
    assert (out.value(container.SECCOMP) == "unconfined") is (shown["Seccomp"] == "0")


def spread(value: object) -> object:
    """The order of mounts does not matter."""
    return (set(value.items), value.rest) if isinstance(value, Paths) else value


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_both_sides_say_the_same(processes, case):
    name, _, change = case
    asked = from_declared(made(change), HOST)
    seen = from_observed(live(processes[name]), HOST)
    for fact in (
        container.CAPABILITIES, container.USER_ID, container.HOST_USER_ID, container.HOST_PATHS,
        container.HOST_PATHS_WRITABLE, container.MASKED, container.CGROUP_WRITABLE, container.LAYER_PATH_KNOWN,
        container.USER_NAMESPACE,
    ):  # fmt: skip
        assert spread(seen.value(fact)) == spread(asked.value(fact)), fact
    wanted, found = asked.value(container.SHARED_NAMESPACES), seen.value(container.SHARED_NAMESPACES)
    assert wanted is not None
    assert found is not None
    assert {one for one in ("pid", "net", "ipc", "uts") if wanted.has(one) is YES} == found.yes - {"cgroup", "time"}
    assert joined(asked, seen)[1] == ()


def test_a_false_description_is_contradicted(processes):
    asked = from_declared(made({declared.CAPABILITIES_DROPPED: ("ALL",), declared.NO_NEW_PRIVILEGES: True}), HOST)
    found = joined(asked, from_observed(live(processes["same"]), HOST))[1]
    assert {one.fact for one in found} >= {
        container.CAPABILITIES,
        container.BOUNDING_CAPABILITIES,
        container.NO_NEW_PRIVILEGES,
    }
    assert all(isinstance(one.declared, Seen) and one.declared.where == PLACE for one in found)


def test_device_rules_of_the_kernel_agree(processes):
    line = next(
        one for one in Path(f"/proc/{processes['device']}/cgroup").read_text().splitlines() if ":devices:" in one
    )
    table = Path("/sys/fs/cgroup/devices" + line.split(":", 2)[2]) / "devices.list"
    seen = from_observed(
        said({observed.RUNTIME: "docker", observed.DEVICE_RULES: tuple(table.read_text().splitlines())}), HOST
    )
    opened = seen.value(container.DEVICE_ACCESS)
    asked = from_declared(made(CASES[-1][2]), HOST).value(container.DEVICE_ACCESS)
    assert opened is not None
    assert asked is not None
    assert opened.yes >= asked.yes >= {"fuse", "block"}
    assert opened.yes <= asked.yes | asked.maybe
