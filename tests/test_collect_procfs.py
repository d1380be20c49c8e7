"""Containerised processes found through procfs: real containers, hand-made ones, and what is none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collect_box import container, docker, first_pid, image, program_of, started, tree
from holdfast.collect.procfs import host_view, sightings
from holdfast.model.errors import Error
from holdfast.model.facts import Facts
from holdfast.model.truth import NO, YES
from holdfast.model.words import observed
from holdfast.platforms._procfs_record import INITIAL, ProcessRecord, Sightings
from holdfast.platforms.procfs import read_sightings

root = pytest.mark.root
engine = pytest.mark.engine


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with image(tmp_path_factory.mktemp("box")) as name:
        yield name


def records_of(found: Sightings, identity: str) -> list[ProcessRecord]:
    return [record for record in found.processes if record.container_id == identity]


def facts_of(identity: str, *, filters: bool = False) -> Facts:
    for described in read_sightings(sightings(filters=filters)).workloads:
        if described.workload.key == identity and "further" not in described.workload.labels:
            return described.facts
    raise AssertionError(f"container {identity[:12]} was not found")


def pids(found: Sightings) -> set[int]:
    return {record.pid for record in found.processes}


# --- ordinary processes -----------------------------------------------------------------------------------------------


def test_the_own_process_is_on_the_host() -> None:
    view = host_view()
    assert view.namespaces["user"] == INITIAL["user"]
    assert view.namespaces.get("mnt") == str(Path("/proc/self/ns/mnt").readlink())
    assert view.mountinfo


def test_this_process_and_its_parents_are_no_containers() -> None:
    assert not pids(sightings(filters=False)) & {1, 2, os.getpid(), os.getppid()}


@root
@pytest.mark.parametrize(
    "words",
    [
        ("unshare", "--mount", "sleep", "60"),
        ("unshare", "--mount", "--propagation", "slave", "sh", "-c", "mount -t tmpfs tmpfs /tmp && exec sleep 60"),
        ("unshare", "--uts", "--ipc", "--net", "sleep", "60"),
    ],
    ids=["unshare -m", "private /tmp", "other namespaces"],
)
def test_what_keeps_the_hosts_root_is_no_container(words: tuple[str, ...]) -> None:
    with started(*words) as pid:
        program = program_of(pid, "sleep")
        assert not pids(sightings(filters=False)) & {pid, program}


@root
def test_a_changed_root_alone_is_no_container(tmp_path: Path) -> None:
    with started("chroot", str(tree(tmp_path / "box")), "/bin/sleep", "60") as pid:
        program = program_of(pid, "/bin/sleep")
        assert program not in pids(sightings(filters=False))


# --- containers made by hand ------------------------------------------------------------------------------------------


@root
def test_a_container_made_by_hand(tmp_path: Path) -> None:
    words = ("unshare", "--mount", "--pid", "--fork", "chroot", str(tree(tmp_path / "box")), "/bin/sleep", "60")
    with started(*words) as pid:
        program = program_of(pid, "/bin/sleep")
        found = sightings(filters=False)
        assert program in pids(found)
        assert pid not in pids(found), "unshare itself keeps the host's root"
        (described,) = [d for d in read_sightings(found).workloads if d.workload.labels["pid"] == str(program)]
        assert described.workload.key == ""
        assert "no id" in str(described.facts.absent(observed.CONTAINER_ID))
        shared = described.facts.value(observed.SHARED_NAMESPACES)
        assert shared is not None
        assert (shared.has("pid"), shared.has("mnt"), shared.has("net")) == (NO, NO, YES)


@root
def test_a_directory_that_leaked_in(tmp_path: Path) -> None:
    handle = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        words = ("unshare", "--mount", "--pid", "--fork", "chroot", str(tree(tmp_path / "box")), "/bin/sleep", "60")
        with started(*words, stdin=handle) as pid:
            program = program_of(pid, "/bin/sleep")
            workloads = read_sightings(sightings(pids=frozenset({program}), filters=False)).workloads
            (described,) = workloads
            assert described.facts.value(observed.OUTSIDE_FDS) == ("/",)
    finally:
        os.close(handle)


@root
def test_a_link_in_place_of_dev_does_not_lead_out(tmp_path: Path) -> None:
    folder = tree(tmp_path / "box")
    (folder / "dev").rmdir()
    (folder / "dev").symlink_to("/dev")
    with started("unshare", "--mount", "--pid", "--fork", "chroot", str(folder), "/bin/sleep", "60") as pid:
        program = program_of(pid, "/bin/sleep")
        (record,) = sightings(pids=frozenset({program}), filters=False).processes
        assert isinstance(record.nodes, Error)


@root
def test_a_program_that_only_calls_itself_runsc_is_no_sandbox(tmp_path: Path) -> None:
    folder = tree(tmp_path / "box")
    (folder / "bin" / "busybox").rename(folder / "bin" / "runsc")
    (folder / "bin" / "sh").unlink()
    (folder / "bin" / "sh").symlink_to("runsc")
    words = ("/bin/sh", "-c", "while true; do read line; done", "boot", "--bundle=/x")
    with started("unshare", "--mount", "--pid", "--fork", "chroot", str(folder), *words, stdin=_pipe()) as pid:
        program = program_of(pid, "/bin/sh")
        (record,) = sightings(pids=frozenset({program}), filters=False).processes
        assert "sandbox" not in record.links


def _pipe() -> int:
    reader, _writer = os.pipe()
    return reader


# --- processes that come and go ---------------------------------------------------------------------------------------


@root
def test_processes_that_end_while_they_are_read(tmp_path: Path) -> None:
    folder = tree(tmp_path / "box")
    words = ("unshare", "--mount", "--pid", "--fork", "chroot", str(folder), "/bin/sh", "-c")
    with started(*words, "while true; do /bin/sleep 0; done") as pid:
        program_of(pid, "/bin/sh")
        for _ in range(30):
            found = sightings(filters=True)
            for record in found.processes:
                assert isinstance(record.texts["status"], str)


def test_no_procfs(tmp_path: Path) -> None:
    found = sightings(str(tmp_path / "nowhere"))
    assert found.processes == ()
    assert "cannot be listed" in found.notes[0]


@root
@pytest.mark.skipif(shutil.which("runsc") is None, reason="gVisor's runsc is not installed")
def test_a_real_sandbox(tmp_path: Path) -> None:
    tree(tmp_path / "rootfs")
    config = {
        "ociVersion": "1.0.0",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "60"], "env": ["PATH=/bin"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")]},
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    options = (f"--root={tmp_path}/state", "--platform=ptrace", "--network=none", "--ignore-cgroups")
    words = ("runsc", *options, "run", f"--bundle={tmp_path}", f"hf-collectors-{os.getpid()}")
    with started(*words) as pid:
        for _ in range(100):
            seen = sightings(filters=False).processes
            found = [one for one in seen if one.links.get("sandbox") == "gvisor" and str(tmp_path) in one.container]
            if found or pid == 0:
                break
            time.sleep(0.1)
        (record,) = found
        (described,) = read_sightings(Sightings(host_view(), (record,))).workloads
        assert described.facts.value(observed.RUNTIME) == "runsc"
        assert "kernel of its own" in str(described.facts.absent(observed.CAPABILITIES_EFFECTIVE))


# --- without privilege ------------------------------------------------------------------------------------------------

# Everything is imported before the privileges go: Python itself may lie where an ordinary user may not read.
_UNPRIVILEGED = """
import json, os, sys
sys.path[:0] = json.loads(sys.argv[1])
import holdfast.collect.seccomp_filter
from holdfast.collect.procfs import sightings
from holdfast.platforms.procfs import read_sightings
from holdfast.collect.host import records
from holdfast.platforms.linux_host import read_host
from holdfast.model.facts import Seen
os.setgroups([]); os.setgid(65534); os.setuid(65534)
found = sightings()
out = []
for described in read_sightings(found).workloads:
    table = described.facts.table
    out.append({
        "key": described.workload.key,
        "seen": sorted(fact.name for fact, entry in table.items() if isinstance(entry, Seen)),
        "reasons": {fact.name: entry.reason for fact, entry in table.items() if not isinstance(entry, Seen)},
    })
host = read_host(records())
print(json.dumps({"workloads": out, "unseen": found.unseen, "notes": found.notes, "host": len(host)}))
"""


@root
@engine
@pytest.mark.usefixtures("box")
def test_an_ordinary_user_sees_that_there_is_a_container_and_what_it_cannot_see() -> None:
    with container(name="nobody") as identity:
        done = subprocess.run(
            [sys.executable, "-c", _UNPRIVILEGED, json.dumps(sys.path)],
            capture_output=True, text=True, timeout=60, check=False, cwd="/",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        (found,) = [one for one in told["workloads"] if one["key"] == identity]
        assert {"observed.container_id", "observed.runtime", "observed.host_user_id"} <= set(found["seen"])
        assert "observed.capabilities_effective" in found["seen"], "/proc/PID/status is for everybody"
        assert "observed.mounts" in found["seen"], "so is the mount table"
        for word in ("shared_namespaces", "own_user_namespace", "outside_fds", "device_nodes"):
            assert "root" in found["reasons"][f"observed.{word}"]
        assert "observed.seccomp_filters" in found["reasons"]
        assert told["host"] > 40


# --- containers of an engine ------------------------------------------------------------------------------------------


@root
@engine
@pytest.mark.usefixtures("box")
def test_an_ordinary_container() -> None:
    with container(name="plain") as identity:
        facts = facts_of(identity, filters=True)
        assert facts.value(observed.PID) == first_pid(identity)
        assert facts.value(observed.RUNTIME) == "docker"
        assert facts.value(observed.HOST_USER_ID) == 0
        held = facts.value(observed.CAPABILITIES_EFFECTIVE)
        assert held is not None
        assert len(held) == 14
        assert facts.value(observed.SECCOMP_MODE) == 2
        filters = facts.value(observed.SECCOMP_FILTERS)
        assert filters is not None
        assert [len(program) > 800 for program in filters] == [True]
        shared = facts.value(observed.SHARED_NAMESPACES)
        assert shared is not None
        assert [shared.has(name) for name in ("pid", "net", "ipc", "uts", "mnt")] == [NO] * 5
        nodes = facts.value(observed.DEVICE_NODES)
        assert nodes is not None
        assert {"/dev/null", "/dev/zero", "/dev/tty"} <= {node.path for node in nodes}
        assert facts.value(observed.OUTSIDE_FDS) == ()
        mounts = facts.value(observed.MOUNTS)
        assert mounts is not None
        behind = {mount.target: mount.host_path for mount in mounts}
        assert behind["/etc/hosts"].endswith(f"{identity}/hosts")


@root
@engine
@pytest.mark.usefixtures("box")
def test_a_container_with_holes(tmp_path: Path) -> None:
    options = (
        "--pid=host", "--network=host", "--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", "--read-only",
        "--device=/dev/full:/dev/myfull", f"--volume={tmp_path}:/data", "--volume=/etc:/host/etc:ro",
    )  # fmt: skip
    with container(*options, name="holes") as identity:
        facts = facts_of(identity, filters=True)
        shared = facts.value(observed.SHARED_NAMESPACES)
        assert shared is not None
        assert (shared.has("pid"), shared.has("net"), shared.has("mnt")) == (YES, YES, NO)
        held = facts.value(observed.CAPABILITIES_EFFECTIVE)
        assert held is not None
        assert "CAP_SYS_ADMIN" in held
        assert facts.value(observed.SECCOMP_MODE) == 0
        assert facts.value(observed.SECCOMP_FILTERS) == ()
        mounts = facts.value(observed.MOUNTS)
        assert mounts is not None
        by_target = {mount.target: mount for mount in mounts}
        assert by_target["/data"].host_path == str(tmp_path)
        assert by_target["/host/etc"].host_path == "/etc"
        assert ("ro" in by_target["/host/etc"].options, "ro" in by_target["/data"].options) == (True, False)
        assert "ro" in by_target["/"].options
        nodes = facts.value(observed.DEVICE_NODES)
        assert nodes is not None
        assert [(node.kind, node.major, node.minor) for node in nodes if node.path == "/dev/myfull"] == [("char", 1, 7)]


@root
@engine
@pytest.mark.usefixtures("box")
def test_a_user_that_is_not_root() -> None:
    with container("--user=1234:1235", "--security-opt=no-new-privileges", "--cap-drop=ALL", name="user") as identity:
        facts = facts_of(identity)
        assert facts.value(observed.HOST_USER_ID) == 1234
        assert facts.value(observed.CAPABILITIES_EFFECTIVE) == frozenset()
        assert facts.value(observed.CAPABILITIES_BOUNDING) == frozenset()
        assert facts.value(observed.NO_NEW_PRIVILEGES) is True
        groups = facts.value(observed.HOST_GROUP_IDS)
        assert groups is not None
        assert groups.has(1235) is YES


@root
@engine
@pytest.mark.usefixtures("box")
def test_a_process_of_the_same_user_outside() -> None:
    options = ("--user=54321:54321", "--pid=host")
    with container(*options, name="same") as identity:
        assert facts_of(identity).value(observed.SAME_USER_ON_HOST) is False
        with started("sleep", "60", user=54321) as pid:
            program_of(pid, "sleep")
            assert facts_of(identity).value(observed.SAME_USER_ON_HOST) is True
    with container("--user=54321:54321", name="alone") as identity, started("sleep", "60", user=54321) as pid:
        program_of(pid, "sleep")
        assert facts_of(identity).value(observed.SAME_USER_ON_HOST) is False, "its pid namespace hides it"


@root
@engine
@pytest.mark.usefixtures("box")
def test_two_containers_that_share_a_pid_namespace() -> None:
    with (
        container("--user=54322:54322", name="host") as one,
        container("--user=54322:54322", f"--pid=container:{one}", name="guest") as two,
    ):
        assert facts_of(two).value(observed.SAME_USER_IN_CONTAINER) is True
        assert len(records_of(sightings(filters=False), one)) == 1


@root
@engine
@pytest.mark.usefixtures("box")
def test_a_process_that_holds_more_than_the_first_has_a_record_of_its_own() -> None:
    with container("--user=1000", name="exec") as identity:
        docker("exec", "-d", "-u", "1000", identity, "/bin/sleep", "200")
        docker("exec", "-d", "-u", "0", identity, "/bin/sleep", "201")
        docker("exec", "-d", "-u", "0", identity, "/bin/sleep", "202")
        found = records_of(sightings(filters=False), identity)
        assert [record.first for record in found] == [True, False], "two alike are told once, a lesser one not at all"
        assert found[0].pid == first_pid(identity)
        assert {record.others for record in found} == {2}
        users = [
            d.facts.value(observed.HOST_USER_ID) for d in read_sightings(Sightings(host_view(), tuple(found))).workloads
        ]
        assert users == [1000, 0]


@root
@engine
@pytest.mark.usefixtures("box")
def test_only_the_container_of_one_process() -> None:
    with container(name="this") as one, container(name="that") as two:
        found = sightings(pids=frozenset({first_pid(two)}), filters=False)
        assert {record.container_id for record in found.processes} == {two}
        assert one != two
