"""A drill that is killed at any of its boundaries leaves nothing that the next one does not remove.

HOLDFAST_SOAK=1 in the environment of the tests kills at every boundary of a run of all techniques; it takes hours.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.drill import kernel_calls, kernel_state, reaper
from holdfast.drill.probe_file import probe
from holdfast.drill.reaper import Left

pytestmark = [pytest.mark.root, pytest.mark.engine]

SOAK = bool(os.environ.get("HOLDFAST_SOAK"))
PROGRAM = Path(__file__).with_name("drill_killed.py")
AT_ONCE = 4
BATCH = 12
PARTS = 200 if SOAK else 4
"""One test ends within five minutes."""
CONTAINERD = "/run/containerd/containerd.sock"
OPEN = """\
services:
  open:
    image: example
    user: "0:0"
    pid: host
    ipc: host
    cap_add: [SYS_ADMIN, SYS_PTRACE]
    security_opt: ["seccomp:unconfined", "apparmor:unconfined"]
    devices: ["/dev/vda:/dev/vda"]
    volumes:
      - /etc:/host/etc
      - /var/run/docker.sock:/var/run/docker.sock
      - /run/containerd/containerd.sock:/run/containerd/containerd.sock
      - {type: bind, source: /srv, target: /host/srv, bind: {propagation: rshared}}
"""
WORKS = (
    "docker-socket",
    "containerd-socket",
    "etc-write",
    "setuid-on-shared-volume",
    "mount-propagation",
    "disk-mount",
    "block-device-raw",
    "host-ipc",
    "host-pid-ptrace",
    "proc-remount",
)
"""What escapes from it: a file, a mount, an engine's container, a namespace, a process, memory, a disk."""
BUNDLE = {
    "ociVersion": "1.0.2",
    "process": {"user": {"uid": 0, "gid": 0}, "args": ["sh"], "cwd": "/"},
    "root": {"path": "rootfs"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/host/etc", "type": "bind", "source": "/etc", "options": ["rbind", "rw"]},
        {"destination": "/host/run", "type": "bind", "source": "/run/dbus", "options": ["rbind", "rw"]},
    ],
    "linux": {"namespaces": [{"type": kind} for kind in ("mount", "ipc", "uts", "network", "pid")]},
}


@dataclass(frozen=True)
class Killed:
    """Where a drill was killed and what it was called."""

    boundary: str
    number: int
    pid: int
    code: int
    said: str


@pytest.fixture(scope="session", autouse=True)
def _built() -> None:
    probe()


@pytest.fixture
def reap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], list[Left]]]:
    def reaped(number: int) -> list[Left]:
        """Reap one drill, which has a state folder of its own: a drill that begins reaps those before it."""
        monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / f"state-{number}"))
        return [one for one in reaper.reap(time.time()) if isinstance(one, Left)]

    yield reaped
    for folder in tmp_path.glob("state-*"):
        monkeypatch.setenv("HOLDFAST_STATE", str(folder))
        reaper.reap(time.time(), only_dead=False)
    # Whatever went wrong, nobody may clean up this folder through a mount of the host's.
    for point in reversed(kernel_calls.mount_points()):
        if point.startswith(f"{tmp_path}/"):
            kernel_calls.detach(point)


def killed(told: Path, number: int, name: str, words: Sequence[str]) -> Killed:
    line = [sys.executable, str(PROGRAM), str(told), str(number), "without", *words]
    with subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "HOLDFAST_STATE": str(told.parent / f"state-{number}")},
    ) as child:
        _, said = child.communicate(timeout=300)
    return Killed(name, number, child.pid, child.returncode, said.decode(errors="replace")[-2000:])


def boundaries(told: Path, words: Sequence[str], escaped: Sequence[str]) -> list[str]:
    """Drill once to the end, and return the names of what was passed."""
    whole = killed(told, 0, "none", words)
    assert whole.code == 0, whole.said
    found = json.loads(told.read_text())
    assert not found["trouble"]
    assert not found["left"]
    assert {name for name, outcome in found["outcomes"].items() if outcome == "escaped"} >= set(escaped)
    names: list[str] = found["boundaries"]
    return names


def journals(top: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what the journals of the runs say, by id."""
    return {
        file.parent.name: [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
        for file in top.glob("state-*/drill/*/journal")
    }


def leavings(ids: Sequence[str], keys: Sequence[int]) -> list[str]:
    """Return everything on this machine that bears the id of one of these runs, or is one of their segments."""

    def listed(*words: str) -> list[str]:
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()

    every = [f"container {line}" for line in listed("docker", "ps", "--all", "--no-trunc", "--format", "{{json .}}")]
    every += [f"image {line}" for line in listed("docker", "images", "--format", "{{.Repository}}:{{.Tag}}")]
    every += [f"namespace {line}" for line in listed("ctr", "--address", CONTAINERD, "namespaces", "list", "--quiet")]
    every += [f"mount {path}" for path in kernel_calls.mount_points()]
    every += [f"process {line}" for line in listed("ps", "-eo", "args")]
    for kind, names in kernel_state.look().sets.items():
        every += [f"{kind}: {name}" for name in names]
    for place in (Path("/etc"), Path("/srv"), Path("/tmp")):
        every += [f"file {path}" for path in place.glob("*")]
    found = [text for text in every if any(each in text for each in ids)]
    return found + [f"segment {key}" for key, _, _ in kernel_calls.segments() if key in keys]


def settled(ids: Sequence[str], keys: Sequence[int], seconds: float = 10) -> list[str]:
    """Return what stays; a container that ends by itself is given a moment."""
    until = time.monotonic() + seconds
    while (found := leavings(ids, keys)) and time.monotonic() < until:
        time.sleep(0.5)
    return found


def kill_everywhere(
    reap: Callable[[int], list[Left]], top: Path, names: list[str], words: Sequence[str], *, part: int = 0, of: int = 1
) -> None:
    before = kernel_state.look()
    # The second half repeats the first in a fresh replica, so the first and the last of each name see everything.
    last = {name: number for number, name in enumerate(names, 1)}
    wanted = [n for n, name in enumerate(names, 1) if SOAK or n == last[name] or name not in names[: n - 1]][part::of]
    for first in range(0, len(wanted), BATCH):
        batch = wanted[first : first + BATCH]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            each = [pool.submit(killed, top / f"told-{number}", number, names[number - 1], words) for number in batch]
            ended = [one.result() for one in each]
        assert [(one.number, one.boundary, one.said) for one in ended if one.code != -signal.SIGKILL] == []
        written = journals(top)
        assert len(written) == len(batch)
        every = [entry for entries in written.values() for entry in entries]
        keys = [int(entry["facts"]["key"]) for entry in every if entry.get("kind") == "shm"]
        stays = [(names[number - 1], one.what, one.reason) for number in batch for one in reap(number)]
        assert stays == []
        assert list(top.glob("state-*/drill/*")) == []
        pids = {one.pid: one.boundary for one in ended}
        where = {entry["run"]: pids.get(entry["owner"], "") for entry in every if "owner" in entry}
        assert (settled(list(written), keys), where) == ([], where)
    # Sets are looked at run by run above; other drills may go on meanwhile.
    after = kernel_state.look()
    changed = [each for each in kernel_state.differences(before, after) if each.name in after.values]
    assert changed == []


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_anywhere_it_is_undone_with_an_engine(
    part: int, reap: Callable[[int], list[Left]], tmp_path: Path
) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(OPEN)
    words = [str(file), "--", *(() if SOAK else WORKS)]
    names = boundaries(tmp_path / "told", words, WORKS)
    kinds = ("mount", "loop", "process", "container", "image", "containerd_namespace", "shm", "folder")
    assert {f"will {kind}" for kind in kinds} <= set(names)
    kill_everywhere(reap, tmp_path, names, words, part=part, of=PARTS)


@pytest.mark.parametrize("part", range(PARTS if SOAK else 1))
def test_killed_anywhere_it_is_undone_with_a_runtime_alone(
    part: int, reap: Callable[[int], list[Left]], tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(BUNDLE))
    works = ("etc-write",)
    words = [str(file), "--", *(() if SOAK else (*works, "root-daemon-sockets", "leaked-directory"))]
    names = boundaries(tmp_path / "told", words, works)
    assert "will oci_container" in names
    kill_everywhere(reap, tmp_path, names, words, part=part, of=PARTS if SOAK else 1)


def test_killed_anywhere_it_is_undone_with_a_neighbour(reap: Callable[[int], list[Left]], tmp_path: Path) -> None:
    words = ["lab:cloud-network", "lab:read-only-proxy", "--", "metadata-credentials", "docker-socket-read-proxy"]
    names = boundaries(tmp_path / "told", words, ("docker-socket-read-proxy",))
    # Two targets, each in two replicas: what worked in one is repeated in another.
    assert (names.count("neighbour"), names.count("idle")) == (4, 1)
    kill_everywhere(reap, tmp_path, names, words)


def test_killed_anywhere_it_is_undone_with_an_engine_of_its_own(
    reap: Callable[[int], list[Left]], tmp_path: Path
) -> None:
    words = ["lab:engine-socket-guarded", "--", "authz-plugin-bypass"]
    names = boundaries(tmp_path / "told", words, ("authz-plugin-bypass",))
    # One engine serves both replicas.
    assert names.count("guarded engine") == 1
    kill_everywhere(reap, tmp_path, names, words)
