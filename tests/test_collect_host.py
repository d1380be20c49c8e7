"""What is brought from a host: this one, and file trees laid out for the test."""

from __future__ import annotations

import gzip
import os
import stat
from pathlib import Path

import pytest

from holdfast.collect.host import records
from holdfast.collect.packages import NAMES
from holdfast.model.errors import Error, NotPermitted, NotReachable, NotUnderstood
from holdfast.model.facts import Absent, Seen
from holdfast.model.truth import YES
from holdfast.model.words import engine, host, load
from holdfast.platforms.linux_host import read_host

RELEASE = "6.1.0-21-amd64"


def lay(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


# --- this machine -----------------------------------------------------------------------------------------------------


def test_this_machine() -> None:
    found = records()
    facts = read_host(found)
    assert facts.value(host.KERNEL_RELEASE) == os.uname().release
    assert facts.value(host.ARCHITECTURE) == os.uname().machine
    assert facts.value(host.CGROUP_VERSION) in {"v1", "v2", "hybrid"}
    device = Path("/").stat().st_dev
    assert facts.value(host.ROOT_DEVICE) == f"{os.major(device)}:{os.minor(device)}"
    assert all(isinstance(entry, str | Error) for entry in found.values())


def test_every_word_of_this_host_has_an_answer_or_a_reason() -> None:
    facts = read_host(records())
    words = {word for word in load().values() if word.subject in {"host", "engine"}}
    assert words - set(facts.table) == set()
    assert all(entry.reason for entry in facts.table.values() if isinstance(entry, Absent))


@pytest.mark.engine
def test_the_engine_of_this_machine() -> None:
    facts = read_host(records())
    assert facts.value(engine.NAME) == "docker"
    assert isinstance(facts.seen(engine.VERSION), Seen)


def test_no_environment_is_read() -> None:
    assert not [name for name in records() if "environ" in name]


# --- a laid-out tree --------------------------------------------------------------------------------------------------


def test_a_tree(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "/proc/sys/kernel/osrelease": f"{RELEASE}\n",
            "/proc/config.gz": gzip.compress(b"CONFIG_COREDUMP=y\n# CONFIG_KEXEC is not set\n"),
            "/proc/1/comm": "systemd\n",
            "/proc/1/cmdline": "/sbin/init\0",
            "/proc/1/status": "Uid:\t0\t0\t0\t0\n",
            "/proc/700/comm": "dockerd\n",
            "/proc/700/cmdline": "/usr/bin/dockerd\0-H\0tcp://0.0.0.0:2375\0",
            "/proc/700/status": "Name:\tdockerd\nUid:\t1000\t1001\t1000\t1000\n",
            "/proc/701/comm": "sleep\n",
            "/etc/docker/daemon.json": "{}",
            "/etc/modprobe.d/x.conf": "blacklist dccp\n",
            f"/lib/modules/{RELEASE}/modules.dep": "kernel/net/dccp/dccp.ko:\n",
            f"/lib/modules/{RELEASE}/modules.builtin": "kernel/fs/ext4/ext4.ko\n",
            "/sys/class/net/docker0/bridge/bridge_id": "8000.02\n",
            "/etc/cdi/nvidia.yaml": "cdiVersion: 0.6.0\n",
        },
    )
    found = records(str(tmp_path))
    assert found["/proc/config.gz"] == "CONFIG_COREDUMP=y\n# CONFIG_KEXEC is not set\n"
    assert found["process:dockerd"] == "700 1001\n/usr/bin/dockerd\n-H\ntcp://0.0.0.0:2375\n"
    assert found["process:"] == "dockerd\nsystemd\n"
    assert found["/etc/modprobe.d/x.conf"] == "blacklist dccp\n"
    assert found["/etc/cdi/"] == "nvidia.yaml\n"
    assert found["/sys/class/net/docker0/bridge/bridge_id"] == "8000.02\n"
    assert "uname:machine" not in found, "another machine's files do not tell this one's name"
    assert not [name for name in found if str(tmp_path) in name]
    facts = read_host(found)
    assert facts.value(engine.ROOTLESS) is True
    assert facts.value(engine.TCP_UNAUTHENTICATED) is True
    assert facts.value(host.COREDUMP) is True


def test_a_root_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    root = lay(tmp_path / "[a]*", {"/etc/modprobe.d/x.conf": "blacklist a\n"})
    assert records(str(root))["/etc/modprobe.d/x.conf"] == "blacklist a\n"


def test_an_empty_tree_gives_reasons_only(tmp_path: Path) -> None:
    found = records(str(tmp_path))
    assert all(isinstance(entry, NotReachable) for entry in found.values())


@pytest.mark.parametrize("broken", [b"no gzip", gzip.compress(b"CONFIG_A=y\n" * 1000, mtime=0)[:40], b""])
def test_a_broken_configuration(tmp_path: Path, broken: bytes) -> None:
    lay(tmp_path, {"/proc/config.gz": broken})
    assert isinstance(records(str(tmp_path))["/proc/config.gz"], NotUnderstood)


def test_a_configuration_that_unpacks_to_more_than_is_read(tmp_path: Path) -> None:
    lay(tmp_path, {"/proc/config.gz": gzip.compress(b"\0" * (64 << 20))})
    assert isinstance(records(str(tmp_path))["/proc/config.gz"], NotUnderstood)


def test_a_pipe_in_place_of_a_file_does_not_hold_anybody_up(tmp_path: Path) -> None:
    lay(tmp_path, {"/etc/docker/x": ""})
    os.mkfifo(tmp_path / "etc" / "docker" / "daemon.json")
    assert isinstance(records(str(tmp_path))["/etc/docker/daemon.json"], NotUnderstood)


def test_a_release_that_leads_elsewhere(tmp_path: Path) -> None:
    lay(tmp_path, {"/proc/sys/kernel/osrelease": "../../etc\n", "/etc/modules.dep": "a.ko:\n"})
    assert not [name for name in records(str(tmp_path)) if name.startswith("/lib/modules/..")]


def test_packages(tmp_path: Path) -> None:
    stanzas = [f"Package: {name}\nStatus: install ok installed\nVersion: 1-1\n" for name in ("runc", "zsh", "bash")]
    lay(
        tmp_path,
        {"/var/lib/dpkg/status": "\n".join(stanzas), "/lib/apk/db/installed": "P:containerd\nV:1.7.2-r0\n\nP:x\n"},
    )
    found = records(str(tmp_path))
    assert found["/var/lib/dpkg/status"] == "Package: runc\nStatus: install ok installed\nVersion: 1-1\n"
    assert found["/lib/apk/db/installed"] == "P:containerd\nV:1.7.2-r0\n"
    assert {"runc", "containerd"} <= NAMES
    packages = dict(read_host(found).value(host.PACKAGES) or ())
    assert packages == {"runc": "1-1", "containerd": "1.7.2-r0"}


def program(folder: Path, text: str) -> Path:
    folder.mkdir()
    path = folder / "rpm"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


def test_an_rpm_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lay(tmp_path / "root", {"/var/lib/rpm/rpmdb.sqlite": ""})
    answer = "echo 'crun 0:1.17-1.fc40'; echo 'package runc is not installed'; exit 1"
    monkeypatch.setenv("PATH", f"{program(tmp_path / 'bin', answer)}:{os.environ['PATH']}")
    found = records(str(root))
    assert found["rpm:"] == "crun 0:1.17-1.fc40\npackage runc is not installed\n"
    assert read_host(found).value(host.PACKAGES) == (("crun", "0:1.17-1.fc40"),)


def test_an_rpm_database_without_rpm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lay(tmp_path / "root", {"/usr/lib/sysimage/rpm/rpmdb.sqlite": ""})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no rpm to read it" in str(records(str(root))["rpm:"])


@pytest.mark.root
def test_an_ordinary_user_gets_reasons(tmp_path: Path) -> None:
    lay(tmp_path, {"/etc/docker/daemon.json": "{}"})
    (tmp_path / "etc" / "docker").chmod(0o700)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if str(folder) != "/tmp":
            folder.chmod(0o755)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            entry = records(str(tmp_path))["/etc/docker/daemon.json"]
            os.write(writer, f"{isinstance(entry, NotPermitted)} {getattr(entry, 'next', '')}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    assert os.read(reader, 200) == b"True run as root to see it"
    os.close(reader)


def test_the_modules_of_this_machine_are_not_all_unknown() -> None:
    modules = read_host(records()).value(host.MODULES)
    if modules is not None:
        assert any(modules.has(name) is YES for name in ("overlay", "nf_tables", "fuse", "tun", "ext4"))
