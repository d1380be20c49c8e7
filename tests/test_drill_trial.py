"""A success counts only where something of the host was reached; a filter, a sandbox or a mount can feign one."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drill_speech import copied
from holdfast import techniques
from holdfast.app import drill as use_case
from holdfast.app.settings import Settings
from holdfast.drill.exercise import Drill, Target
from holdfast.drill.genuine import feigned, is_device, kernels_own, own_kernel
from holdfast.drill.ground import Ground
from holdfast.drill.places import Place, Places
from holdfast.drill.probe_file import probe
from holdfast.drill.session import Session
from holdfast.drill.staging import staged
from holdfast.drill.trial import Surround, Trial, attempt
from holdfast.model.drill import Attempt, Outcome
from holdfast.model.replica import Bind, Node, Replica
from holdfast.model.technique import ProvedBy, Step, Way
from holdfast.model.truth import NO, YES
from holdfast.model.ways import change_setting, leave_file, open_to_write, step

MOUNT = Step("mount", {})
KILL = Step("signal_check", {})
OK = frozenset({"ok"})


def profile(*rules: dict[str, Any], default: str = "SCMP_ACT_ALLOW", **more: Any) -> str:
    return json.dumps({"defaultAction": default, "syscalls": list(rules), **more})


@pytest.mark.parametrize(
    ("text", "steps", "answers", "wanted"),
    [
        ("default", [MOUNT], OK, ""),
        ("unconfined", [MOUNT], OK, ""),
        (profile({"names": ["mount"], "action": "SCMP_ACT_ERRNO"}), [MOUNT], OK, ""),
        (profile({"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}), [MOUNT], OK, ""),
        (profile({"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0}), [MOUNT], OK, "mount"),
        (profile({"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0}), [KILL], OK, ""),
        (profile({"names": ["kill"], "action": "SCMP_ACT_NOTIFY"}), [MOUNT, KILL], OK, "kill"),
        (profile({"names": ["kill"], "action": "SCMP_ACT_TRACE"}), [KILL], OK, "kill"),
        (profile({"name": "kill", "action": "SCMP_ACT_ERRNO", "errnoRet": 0}), [KILL], OK, "kill"),
        (profile(default="SCMP_ACT_ERRNO", defaultErrnoRet=0), [KILL], OK, "kill"),
        (profile({"names": ["kill"], "action": "SCMP_ACT_ALLOW"}, default="SCMP_ACT_ERRNO", defaultErrnoRet=0),
         [KILL], OK, ""),
        (profile({"names": ["finit_module"], "action": "SCMP_ACT_ERRNO", "errnoRet": 8}),
         [Step("finit_module", {})], frozenset({"ENOEXEC"}), "finit_module"),
        (profile({"names": ["finit_module"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}),
         [Step("finit_module", {})], frozenset({"ENOEXEC"}), ""),
    ],
)  # fmt: skip
def test_what_a_filter_answers_itself(text: str, steps: list[Step], answers: frozenset[str], wanted: str) -> None:
    assert feigned(text, steps, answers) == wanted


def mounted(*pairs: tuple[str, str]) -> Sequence[tuple[str, frozenset[str], str]]:
    return [(point, frozenset(), fstype) for point, fstype in pairs]


PROC = (("/", "overlay"), ("/proc", "proc"), ("/proc/sys", "proc"), ("/sys", "sysfs"), ("/dev", "tmpfs"))


@pytest.mark.parametrize(
    ("path", "mounts", "wanted"),
    [
        ("/proc/sys/kernel/core_pattern", PROC, True),
        ("/sys/kernel/uevent_helper", PROC, True),
        ("/sys/kernel/uevent_helper", (*PROC, ("/sys/kernel/uevent_helper", "devtmpfs")), False),
        ("/sys/kernel/uevent_helper", (*PROC, ("/sys/kernel", "tmpfs")), False),
        ("/sys/kernel/uevent_helper", (*PROC, ("/sys/kernelx", "tmpfs")), True),
        ("/proc/sys/kernel/modprobe", (*PROC, ("/proc/sys", "ext4")), False),
        ("/proc/sys/kernel/modprobe", (*PROC, ("/proc/sys", "ext4"), ("/proc/sys", "proc")), True),
        ("/dev/null", PROC, True),
        ("/proc/x", (), True),
    ],
)
def test_what_is_mounted_over_a_view_of_the_kernel(path: str, mounts: Sequence[tuple[str, str]], wanted: bool) -> None:
    assert kernels_own(path, mounted(*mounts)) is wanted


def test_a_device_is_told_by_its_number(tmp_path: Path) -> None:
    own = Path("/proc/self").readlink()
    pid = int(str(own))
    assert is_device(pid, "/dev/null", 1, 3)
    assert is_device(pid, "/dev/null", 1)
    assert not is_device(pid, "/dev/null", 1, 1)
    assert not is_device(pid, "/dev/zero", 1, 3)
    file = tmp_path / "mem"
    file.touch()
    assert not is_device(pid, str(file), 1, 1)
    assert not is_device(pid, "/dev/holdfast-is-not-there", 1, 1)


def test_a_kernel_of_its_own_is_told_by_name_or_by_looking() -> None:
    pid = int(str(Path("/proc/self").readlink()))
    assert own_kernel("runsc", pid, "/proc")
    assert own_kernel("io.containerd.kata.v2", pid, "/proc")
    assert not own_kernel("", pid, "/holdfast-is-not-there")
    assert not own_kernel("nobody-knows-it", pid, "/proc")
    assert own_kernel("nobody-knows-it", pid, "/holdfast-is-not-there")


@pytest.fixture(scope="module")
def program() -> Iterator[str]:
    with copied() as path:
        yield path


@pytest.fixture
def host() -> Iterator[Path]:
    """Return a folder that plays the host's, with a short path that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="hft"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def tried(program: str, way: Way, places: dict[str, list[Place]], **more: Any) -> Trial:
    technique = replace(techniques.load()["etc-write"], drill=(way,))
    numbers = iter(range(10**6))
    places_of = Places(
        {name: lambda _, found=found: found for name, found in places.items()}, lambda: f"t{next(numbers)}t"
    )
    surround = Surround(part=lambda name: name == "here", written=_written, **more)
    with Session([program, "attempts", "30"]) as session:
        return attempt(session, technique, places_of, surround)


def _written(token: str, paths: Any) -> bool:
    return any(path.is_file() and token in path.read_text() for path in paths)


def test_a_file_counts_where_it_lies_on_the_host(program: str, host: Path) -> None:
    (way,) = leave_file("/etc")
    out = tried(program, way, {"in": [Place(str(host), host)]})
    assert out.escaped
    assert out.absent == frozenset()
    other = host / "other"
    other.mkdir()
    elsewhere = tried(program, way, {"in": [Place(str(host), other)]})
    assert not elsewhere.escaped


def test_what_the_container_has_itself_is_nothing_of_the_host(program: str, host: Path) -> None:
    file = host / "passwd"
    file.write_text("x")
    (way,) = open_to_write("/etc/passwd")
    assert tried(program, way, {"file": [Place(str(file), file)]}).escaped
    own = tried(program, way, {"file": [Place(str(file), real=False)]})
    assert (own.escaped, own.tried, own.absent) == (False, False, frozenset({"file"}))
    both = tried(program, way, {"file": [Place(str(file), real=False), Place(str(file), file)]})
    assert both.escaped


def test_a_part_that_does_not_run_makes_a_success_inert(program: str, host: Path) -> None:
    place = {"in": [Place(str(host), host)]}
    (way,) = leave_file("/etc", needs=("systemd",))
    out = tried(program, way, place)
    assert (out.escaped, out.inert) == (False, True)
    (way,) = leave_file("/etc", needs=("here",))
    assert tried(program, way, place).escaped


def test_the_answer_of_a_sandbox_does_not_count_unless_it_is_about_the_hosts_file(program: str, host: Path) -> None:
    file = host / "setting"
    file.write_text("x")
    literal = change_setting(str(file))
    assert tried(program, literal, {}).escaped
    out = tried(program, literal, {}, sandbox=True)
    assert (out.escaped, "sandbox" in out.reason) == (False, True)
    through = change_setting("{file:/x}")
    assert tried(program, through, {"file": [Place(str(file), file)]}, sandbox=True).escaped


def test_the_answer_of_a_filter_does_not_count(program: str, host: Path) -> None:
    file = host / "setting"
    file.write_text("x")
    feigning = profile({"names": ["write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0})
    out = tried(program, change_setting(str(file)), {}, seccomp=feigning)
    assert (out.escaped, "seccomp" in out.reason) == (False, True)


def test_what_is_mounted_over_a_setting_does_not_count(program: str) -> None:
    way = Way("open", (step("open", path="/proc/self/comm", mode="w"),), ProvedBy.SURFACE)
    assert tried(program, way, {}, mounts=mounted(*PROC)).escaped
    out = tried(program, way, {}, mounts=mounted(*PROC, ("/proc/self/comm", "tmpfs")))
    assert (out.escaped, "mounted at" in out.reason) == (False, True)


def test_a_namespace_of_its_own_does_not_count(program: str) -> None:
    way = Way("ask", (step("signal_check", pid="1"),), ProvedBy.SURFACE, in_host=frozenset({"pid"}))
    with_it = tried(program, way, {}, shared=frozenset({"pid"}))
    without_it = tried(program, way, {})
    assert with_it.steps == without_it.steps
    assert not without_it.escaped
    assert with_it.escaped is (with_it.steps[-1].answer == "ok")


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Drill, Ground]]:
    probe()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="hf") as folder:
        Path(folder).chmod(0o711)
        patch.setenv("HOLDFAST_STATE", folder)
        left: list[str] = []
        with use_case.run(use_case.Plan((), explain=False), Settings(), lambda _text: None, left) as pair:
            yield pair
    assert left == []


def drilled(made: tuple[Drill, Ground], replica: Replica, *names: str) -> dict[str, Attempt]:
    placed, differs = staged(replica, made[1])
    catalogue = techniques.load()
    done = made[0].exercise(Target("x", "made", "test", placed, differs), [catalogue[name] for name in names])
    assert done.trouble == ""
    return {each.technique: each for each in done.attempts}


@pytest.mark.root
@pytest.mark.engine
def test_another_device_under_a_known_name_is_no_way_out(made: tuple[Drill, Ground]) -> None:
    nodes = (Node("/dev/null", "/dev/mem"), Node("/dev/null", "/dev/port"), Node("/dev/null", "/dev/uinput"))
    binds = (Bind("/dev/null", "/dev/input/event0"),)
    found = drilled(made, Replica(nodes=nodes, binds=binds), "raw-io-memory", "input-tty")
    assert {each.outcome for each in found.values()} == {Outcome.BLOCKED}


@pytest.mark.root
@pytest.mark.engine
def test_a_filter_that_feigns_success_is_no_way_out(made: tuple[Drill, Ground]) -> None:
    feigning = profile(
        {"names": ["kill", "mknod", "mknodat", "bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0},
        {"names": ["finit_module"], "action": "SCMP_ACT_ERRNO", "errnoRet": 8},
    )
    replica = Replica(seccomp=feigning, namespaces=frozenset({"pid"}), user="1000:1000")
    names = ("host-pid-signal", "mknod-assist", "bpf-tamper", "kernel-module")
    for name, each in drilled(made, replica, *names).items():
        assert each.outcome is Outcome.BLOCKED, (name, each)


@pytest.mark.root
@pytest.mark.engine
def test_a_mount_over_the_hosts_is_not_the_hosts(made: tuple[Drill, Ground]) -> None:
    binds = (Bind("/etc", "/mnt/etc"), Bind("", "/mnt/etc/cron.d"))
    found = drilled(made, Replica(binds=binds), "etc-write")
    assert found["etc-write"].outcome is Outcome.ESCAPED
    assert found["etc-write"].way == "leave a file in /etc/cron.daily"


@pytest.mark.root
@pytest.mark.engine
def test_in_a_user_namespace_the_hosts_networks_and_memory_come_out_as_predicted(made: tuple[Drill, Ground]) -> None:
    spaces = frozenset({"pid", "net", "ipc"})
    replica = Replica(engine="oci", runtime="runc", user_map=((0, 100000, 65536),), namespaces=spaces)
    found = drilled(made, replica, "packet-socket", "host-ipc", "host-pid-signal", "host-network-admin")
    said = {name: (each.predicted, each.outcome) for name, each in found.items()}
    assert said == {
        "packet-socket": (NO, Outcome.BLOCKED),
        "host-ipc": (YES, Outcome.ESCAPED),
        "host-pid-signal": (YES, Outcome.ESCAPED),
        "host-network-admin": (NO, Outcome.BLOCKED),
    }


@pytest.mark.root
@pytest.mark.engine
def test_disks_in_the_hosts_dev_are_reached_where_the_device_cgroup_lets_them(made: tuple[Drill, Ground]) -> None:
    bind = Bind("/dev", "/mnt/dev")
    without_node = frozenset({"MKNOD"})
    ruled = Replica(binds=(bind,), device_rules=("b *:* rwm",), capabilities_dropped=without_node)
    found = drilled(made, ruled, "host-dev")["host-dev"]
    assert (found.predicted, found.outcome) == (YES, Outcome.ESCAPED)
    found = drilled(made, Replica(binds=(bind,)), "host-dev")["host-dev"]
    assert (found.predicted, found.outcome) == (NO, Outcome.BLOCKED)
