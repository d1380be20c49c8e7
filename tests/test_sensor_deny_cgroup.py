"""Denials through control groups, on this machine: settings, devices and connections of what lives in namespaces."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.model.errors import NotReachable
from holdfast.sensor import deny_cgroup
from holdfast.sensor.deny_cgroup import GroupDenier, hierarchy
from holdfast.techniques import load

ATTEMPTS = """
import json, os, socket, sys
def connected(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as one:
        one.settimeout(0.5)
        one.connect((host, port))
def sent(kind, flags, host, port):
    with socket.socket(socket.AF_INET, kind) as one:
        one.sendto(b"x", flags, (host, port))
def wrote(path):
    os.close(os.open(path, os.O_WRONLY))
def rewrote(path):
    with open(path, "rb", buffering=0) as one:
        old = one.read()
    with open(path, "wb", buffering=0) as one:
        one.write(old)
attempts = {
    "core_pattern": lambda: rewrote("/proc/sys/kernel/core_pattern"),
    "modprobe": lambda: rewrote("/proc/sys/kernel/modprobe"),
    "hostname": lambda: rewrote("/proc/sys/kernel/hostname"),
    "engine": lambda: connected("127.0.0.2", 2375),
    "metadata": lambda: connected("169.254.169.254", 80),
    "mapped": lambda: connected("::ffff:169.254.169.254", 80),
    "first data": lambda: sent(socket.SOCK_STREAM, socket.MSG_FASTOPEN, "127.0.0.2", 2375),
    "datagram": lambda: sent(socket.SOCK_DGRAM, 0, "169.254.169.254", 80),
    "other datagram": lambda: sent(socket.SOCK_DGRAM, 0, "127.0.0.2", 80),
    "other": lambda: connected("127.0.0.2", 2374),
    "null": lambda: wrote("/dev/null"),
    "memory": lambda: os.close(os.open("/dev/mem", os.O_RDONLY)),
}
found = {}
for name, attempt in attempts.items():
    try:
        attempt()
        found[name] = 0
    except TimeoutError:
        found[name] = 110
    except OSError as error:
        found[name] = error.errno
print(json.dumps(found))
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """Make a control group of its own, so that nobody else on this machine is denied anything."""
    folder = hierarchy() / f"holdfast-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    (folder / "cgroup.procs").read_text()
    folder.rmdir()


def namespaces() -> dict[str, int]:
    """Return the namespaces of this process, which are the host's here."""
    return {kind: Path(f"/proc/self/ns/{kind}").stat().st_ino for kind in ("mnt", "pid", "user", "net")}


def attempted(group: Path, *words: str) -> dict[str, int]:
    """Run the attempts in the group, in namespaces of their own where words say so."""
    inside = f'echo $$ > "{group}/cgroup.procs" && exec "$@"'
    command = ["sh", "-c", inside, "sh", *words, sys.executable, "-I", "-S", "-c", ATTEMPTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, int] = json.loads(done.stdout)
    return found


OWN = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


@pytest.mark.root
def test_a_container_is_denied_what_is_listed_and_the_host_is_not(group: Path) -> None:
    catalogue = load()
    free, host = attempted(group, *OWN), attempted(group)
    with GroupDenier(catalogue, namespaces(), group) as denier:
        assert attempted(group, *OWN) == free, "nothing is denied until somebody says so"
        denier.deny(0, catalogue)
        found = attempted(group, *OWN)
        for name, number in found.items():
            listed = name in {
                "core_pattern", "modprobe", "engine", "metadata", "mapped", "memory", "first data", "datagram"
            }  # fmt: skip
            assert number == (errno.EPERM if listed and free[name] != errno.ENOENT else free[name]), name
        assert free["core_pattern"] == 0
        assert free["metadata"] != errno.EPERM
        told = list(denier.refusals())
        assert "kernel/core_pattern" in {one.name for one in told}
        assert "core-pattern" in {name for one in told for name in one.techniques}
        assert "metadata-credentials" in {name for one in told for name in one.techniques}
        assert attempted(group) == host, "a process of the host is denied nothing"
        denier.deny(0, ())
        assert attempted(group, *OWN) == free
    assert attempted(group, *OWN) == free, "nothing stays behind"


@pytest.mark.root
def test_a_sensor_that_is_killed_leaves_nothing_attached(group: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from holdfast.sensor.deny_cgroup import GroupDenier\n"
        "from holdfast.techniques import load\n"
        f"denier = GroupDenier(load(), {namespaces()!r}, Path(sys.argv[1])); denier.deny(0, load())\n"
        "print('ready', flush=True); time.sleep(100)"
    )
    free = attempted(group, *OWN)
    with subprocess.Popen([sys.executable, "-c", code, str(group)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert attempted(group, *OWN) != free
        child.send_signal(signal.SIGKILL)
    assert attempted(group, *OWN) == free


def test_the_settings_and_ports_of_techniques_are_among_those_that_can_be_denied() -> None:
    keys = {name: list(deny_cgroup._keys(one)) for name, one in load().items()}
    able = {name for name, found in keys.items() if found}
    assert {"core-pattern", "modprobe-path", "docker-tcp-api", "kubelet-api", "metadata-credentials"} <= able
    assert {"host-dev", "raw-io-memory"} <= able


def test_a_machine_without_control_groups_of_version_2_is_said(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("29 23 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw\ngarbage\n")
    with pytest.raises(NotReachable, match="version 2"):
        hierarchy(str(table))
    table.write_text("29 23 0:26 / /there rw,x shared:1 - cgroup2 none rw\n")
    assert hierarchy(str(table)) == Path("/there")
