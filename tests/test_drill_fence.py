"""What the fence lets pass and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast import techniques
from holdfast.drill import fence, kernel_calls
from holdfast.drill.acts import ACTS
from holdfast.model.errors import Unsafe
from holdfast.model.replica import Bind, Node, Replica
from holdfast.model.technique import DrillClass, Step, Technique, Way
from holdfast.model.ways import change_setting, start_helper, step

STEP = Step("mkdir", {"path": "{host:/etc}/{token}"})


def check(
    labels: dict[str, str] | None = None,
    *,
    consent: bool = True,
    drill_class: DrillClass = DrillClass.D3,
    in_machine: bool = False,
    global_allowed: bool = False,
    steps: tuple[Step, ...] = (STEP,),
    host_paths: tuple[str, ...] = (),
    run_folder: Path | None = None,
) -> None:
    fence.check(
        labels or {},
        consent,
        drill_class,
        in_machine,
        global_allowed,
        steps,
        host_paths,
        target="web",
        run_folder=run_folder,
    )


def test_what_is_agreed_and_harmless_passes() -> None:
    check()
    check({"holdfast.drill": "yes", "other": "never"})


@pytest.mark.parametrize("value", ["never", "Never", " NEVER "])
def test_never_means_never(value: str) -> None:
    with pytest.raises(Unsafe) as caught:
        check({"holdfast.drill": value}, in_machine=True, global_allowed=True)
    assert caught.value.where == "web"
    assert "holdfast.drill=never" in caught.value.what


def test_without_consent_it_says_what_would_be_done_and_how_to_agree() -> None:
    with pytest.raises(Unsafe) as caught:
        check(consent=False, in_machine=True, global_allowed=True)
    assert "replicas" in caught.value.what
    assert "--yes" in caught.value.next
    assert "drill_consent = true" in caught.value.next


def test_the_number_of_techniques_leaves_out_those_that_are_never_run() -> None:
    some = list(techniques.load().values())
    tried = len([technique for technique in some if technique.drill_class is not DrillClass.D0])
    assert tried < len(some)
    with pytest.raises(Unsafe, match=f"tries {tried} techniques"):
        fence.check_consent(False, "web", some)


@pytest.mark.parametrize(("in_machine", "allowed"), [(False, False), (True, False), (False, True), (True, True)])
def test_classes(in_machine: bool, allowed: bool) -> None:
    with pytest.raises(Unsafe, match="never tried"):
        check(drill_class=DrillClass.D0, in_machine=in_machine, global_allowed=allowed)
    for harmless in (DrillClass.D1, DrillClass.D3):
        check(drill_class=harmless, in_machine=in_machine, global_allowed=allowed)
    if in_machine or allowed:
        check(drill_class=DrillClass.D2, in_machine=in_machine, global_allowed=allowed)
    else:
        with pytest.raises(Unsafe) as caught:
            check(drill_class=DrillClass.D2)
        assert "--allow-global" in caught.value.next


@pytest.mark.parametrize(
    "step",
    [
        Step("exec", {"path": "/bin/sh"}),
        Step("system"),
        Step(""),
        Step("mkdir"),
        Step("mkdir", {"path": "/x", "mode": "777"}),
        Step("mkdir", {"Path": "/x"}),
    ],
)
def test_only_the_closed_set_passes(step: Step) -> None:
    with pytest.raises(Unsafe):
        check(steps=(STEP, step), in_machine=True, global_allowed=True)


def test_every_act_passes_with_its_own_arguments() -> None:
    check(steps=tuple(Step(act, dict.fromkeys(names, "1")) for act, names in ACTS.items()))


def test_every_step_of_the_catalogue_passes() -> None:
    steps = [step for technique in techniques.load().values() for way in technique.drill for step in way.steps]
    assert len(steps) > 50
    fence.check_steps(steps, "catalogue")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/etc", "/run", "/dev", "/var/lib/docker", "/procx", "/sys-x", "/proc/../etc", "/run/docker.sock/..", "",
        "relative", "/run/user/1000", "/run/user/1000/docker.sock/../bus", "//etc", "/var/run",
        "/proc/1/root", "/proc/1/root/etc", "/proc/self/cwd", "/proc/4194300/task/4194300/root", "/proc/4194300/fd/3",
    ],
)  # fmt: skip
def test_paths_of_the_host_are_refused_outside_the_machine(path: str, tmp_path: Path) -> None:
    with pytest.raises(Unsafe, match="path of the host"):
        check(host_paths=(path,), run_folder=tmp_path)
    check(host_paths=(path,), run_folder=tmp_path, in_machine=True)


@pytest.mark.parametrize(
    "path",
    [
        "/proc", "/proc/sys/kernel", "/sys", "/sys/fs/cgroup", "/sys/kernel/debug", "/run/docker.sock",
        "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/user/1000/podman/podman.sock",
    ],
)  # fmt: skip
def test_what_cannot_be_stood_in_passes(path: str) -> None:
    check(host_paths=(path,))


def test_every_exception_has_a_reason() -> None:
    assert all(reason for reason in fence.REAL.values())


def test_the_run_folder_passes_and_what_only_looks_like_it_does_not(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "stage").mkdir(parents=True)
    (tmp_path / "run2").mkdir()
    check(host_paths=(str(run / "stage"), str(run / "not" / "made")), run_folder=run)
    (run / "link").symlink_to("/etc")
    for path in (tmp_path / "run2", run / ".." / "run2", run / "link", run / "link" / "cron.d", run, tmp_path):
        with pytest.raises(Unsafe):
            check(host_paths=(str(path),), run_folder=run)


@pytest.mark.root
def test_only_a_loop_device_of_the_run_is_a_disk(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "disk").write_bytes(bytes(1 << 20))
    device, handle = kernel_calls.attach_loop(tmp_path / "ours" / "disk")
    try:
        fence.check_nodes([str(device), "/dev/null", "/dev/not-there"], tmp_path / "ours", in_machine=False)
        with pytest.raises(Unsafe, match="disk of the host"):
            fence.check_nodes([str(device)], tmp_path / "our", in_machine=False)
        with pytest.raises(Unsafe, match="disk of the host"):
            fence.check_nodes([str(device)], None, in_machine=False)
        fence.check_nodes([str(device)], None, in_machine=True)
    finally:
        os.close(handle)


def technique(drill_class: DrillClass) -> Technique:
    return next(each for each in techniques.load().values() if each.drill_class is drill_class)


def let_way(drill_class: DrillClass, way: Way, *, global_allowed: bool = False) -> None:
    fence.check_way(technique(drill_class), way, way.steps, global_allowed=global_allowed)


def test_a_way_with_a_global_effect_is_agreed_to_and_the_others_of_its_technique_are_not_asked() -> None:
    wide = start_helper("start it", step("set", path="/proc/sys/kernel/core_pattern", text="|x"))
    with pytest.raises(Unsafe, match="whole machine"):
        let_way(DrillClass.D2, wide)
    let_way(DrillClass.D2, wide, global_allowed=True)
    let_way(DrillClass.D2, change_setting("/proc/sys/kernel/core_pattern"))


def test_a_way_of_what_is_never_tried_and_a_step_outside_the_set_do_not_pass() -> None:
    way = change_setting("/proc/sys/kernel/core_pattern")
    with pytest.raises(Unsafe, match="never tried"):
        let_way(DrillClass.D0, way, global_allowed=True)
    with pytest.raises(Unsafe, match="closed set"):
        fence.check_way(technique(DrillClass.D3), way, (Step("reboot", {}),), global_allowed=True)


def test_every_way_of_the_catalogue_passes_where_everything_is_agreed() -> None:
    for each in techniques.load().values():
        for way in each.drill:
            fence.check_way(each, way, way.steps, global_allowed=True)


def test_a_replica_gets_no_mount_and_no_disk_of_the_host(tmp_path: Path) -> None:
    inside = tmp_path / "stage"
    inside.mkdir()
    stands_in = Bind("/etc", "/host/etc", stand_in=str(inside))
    fence.check_replica(
        Replica(binds=(stands_in, Bind("", "/tmp"), Bind("/proc", "/host/proc")), nodes=(Node("/dev/null", "/dev/x"),)),
        tmp_path,
        in_machine=False,
    )
    for refused in (
        Replica(binds=(stands_in, Bind("/etc", "/host/etc"))),
        Replica(binds=(Bind("/proc/1/root/etc", "/host/etc"),)),
        Replica(binds=(Bind("/etc", "/host/etc", stand_in=f"{inside}/../../etc"),)),
    ):
        with pytest.raises(Unsafe, match="path of the host"):
            fence.check_replica(refused, tmp_path, in_machine=False)
        fence.check_replica(refused, tmp_path, in_machine=True)


def test_a_replica_gets_no_disk_that_is_not_the_runs(tmp_path: Path) -> None:
    disks = [path for path in map(Path, ("/dev/vda", "/dev/sda", "/dev/loop0", "/dev/ram0")) if path.is_block_device()]
    for disk in disks:
        with pytest.raises(Unsafe, match="disk of the host"):
            fence.check_replica(Replica(nodes=(Node(str(disk), "/dev/x"),)), tmp_path, in_machine=False)
