"""What stopped an attempt: asked of worlds in which the answer is known, and of containers made so that it is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast import techniques
from holdfast.app import drill as use_case
from holdfast.app.settings import Settings
from holdfast.drill.exercise import Drill, Target
from holdfast.drill.ground import Ground
from holdfast.drill.layers import Gifts, in_force, ungiven, without
from holdfast.drill.probe_file import probe
from holdfast.drill.staging import staged
from holdfast.drill.stopping import Stopped, stopped_by
from holdfast.drill.trial import Trial
from holdfast.model.drill import Attempt, Layer, Outcome
from holdfast.model.replica import Bind, Node, Replica

ALL = tuple(layer for layer in Layer if layer is not Layer.HOST)
GIFTS = Gifts(
    frozenset({"CAP_SYS_ADMIN", "CAP_SYS_PTRACE"}),
    (Bind("/", "/.holdfast/host", stand_in="/run/x"),),
    (Node("/dev/holdfast-disk", "/dev/holdfast-disk", stand_in="/dev/loop7"),),
)
LOST = Trial(escaped=False, tried=True)
WON = Trial(escaped=True, tried=True)
World = Callable[[frozenset[Layer]], bool]


def asked(
    world: World, layers: tuple[Layer, ...] = ALL, *, broken: frozenset[Layer] = frozenset(), trial: Trial = LOST
) -> Stopped:
    """Ask of a world that says with which layers the attempt works; a replica that keeps a broken one only fails."""

    def try_with(kept: frozenset[Layer], names: list[str]) -> Mapping[str, Trial] | None:
        if len(kept) == 1 and kept <= broken:
            return None
        return {name: WON if world(kept) else LOST for name in names}

    return stopped_by({"x": trial}, layers, try_with)["x"]


def test_one_layer_that_stops_it_alone_is_named_alone() -> None:
    assert asked(lambda kept: Layer.SECCOMP not in kept) == Stopped((Layer.SECCOMP,))


def test_layers_that_each_stop_it_are_named_as_such() -> None:
    found = asked(lambda kept: not kept & {Layer.USER, Layer.CAPABILITY})
    assert set(found.layers) == {Layer.USER, Layer.CAPABILITY}
    assert found.together


def test_layers_that_stop_it_only_together_are_found_and_no_other_is_blamed() -> None:
    found = asked(lambda kept: not kept >= {Layer.NOT_MOUNTED, Layer.NAMESPACE})
    assert set(found.layers) == {Layer.NOT_MOUNTED, Layer.NAMESPACE}
    assert not found.together


def test_what_works_with_no_layer_gone_is_stopped_by_the_host() -> None:
    assert asked(lambda _kept: False) == Stopped((Layer.HOST,))
    assert asked(lambda _kept: True, trial=replace(LOST, inert=True)) == Stopped((Layer.HOST,))


def test_a_success_in_a_namespace_of_its_own_is_not_blamed_on_the_host() -> None:
    trial = replace(LOST, reason="it happened in a namespace of the container's own: pid")
    assert asked(lambda kept: Layer.NAMESPACE not in kept, trial=trial) == Stopped((Layer.NAMESPACE,))


def test_a_replica_that_does_not_start_is_neither_blamed_nor_lost() -> None:
    found = asked(lambda kept: Layer.USER not in kept, broken=frozenset({Layer.SANDBOX}))
    assert found.layers == (Layer.USER,)
    assert "sandbox runtime" in found.reason
    nothing = stopped_by({"x": LOST}, ALL, lambda _kept, _names: None)["x"]
    assert nothing.layers == ()
    assert "did not start" in nothing.reason


def test_what_is_not_there_is_not_stopped_by_being_read_only() -> None:
    absent = replace(LOST, absent=frozenset({"in"}))

    def world(kept: frozenset[Layer]) -> bool:
        return not kept & {Layer.READ_ONLY, Layer.NOT_MOUNTED}

    assert asked(world, trial=absent) == Stopped((Layer.NOT_MOUNTED,))
    there = asked(lambda kept: Layer.READ_ONLY not in kept)
    assert there == Stopped((Layer.READ_ONLY,))


def test_what_no_replica_can_be_given_is_said_and_not_blamed_on_the_host() -> None:
    def try_with(_kept: frozenset[Layer], names: list[str]) -> Mapping[str, Trial]:
        return dict.fromkeys(names, LOST)

    found = stopped_by({"x": LOST}, ALL, try_with, {"x": ["CAP_SYS_BOOT"]})["x"]
    assert found.layers == ()
    assert "CAP_SYS_BOOT" in found.reason
    absent = stopped_by(
        {"x": LOST}, ALL, lambda _kept, names: dict.fromkeys(names, replace(LOST, absent=frozenset({"leaked"})))
    )
    assert absent["x"] == Stopped((Layer.NOT_MOUNTED,))


def test_capabilities_that_cannot_be_given_are_told_by_technique() -> None:
    catalogue = techniques.load()
    assert "CAP_SYS_MODULE" in ungiven(catalogue["kernel-module"], GIFTS)
    assert ungiven(catalogue["bpf-tamper"], GIFTS) == ()
    assert "CAP_BPF" in ungiven(catalogue["bpf-tamper"], Gifts(frozenset()))


def test_only_what_a_replica_has_is_taken_from_it() -> None:
    plain = in_force(Replica(), replace(GIFTS, security_module=False))
    assert set(plain) == {
        Layer.CAPABILITY, Layer.SECCOMP, Layer.NOT_MOUNTED, Layer.KERNEL_FILES, Layer.DEVICE_CGROUP, Layer.NAMESPACE,
    }  # fmt: skip
    assert Layer.LSM in in_force(Replica(), GIFTS)
    assert Layer.USER in in_force(Replica(user="app", image="x"), GIFTS)
    assert Layer.USER in in_force(Replica(image="x"), GIFTS)
    assert Layer.USER not in in_force(Replica(user="0"), GIFTS)
    assert Layer.USER_NAMESPACE in in_force(Replica(), replace(GIFTS, remapped=True))
    assert Layer.USER_NAMESPACE in in_force(Replica(engine="oci", user_map=((0, 100000, 65536),)), GIFTS)
    assert set(in_force(Replica(privileged=True, selinux=("disable",)), GIFTS)) == {Layer.NOT_MOUNTED, Layer.NAMESPACE}


def test_a_runtime_without_a_kernel_of_its_own_is_no_sandbox() -> None:
    assert Layer.SANDBOX not in in_force(Replica(engine="oci", runtime="crun"), GIFTS)
    assert Layer.SANDBOX in in_force(Replica(engine="oci", runtime="runsc"), GIFTS)
    assert without(Replica(engine="oci", runtime="runsc"), [Layer.SANDBOX], GIFTS).runtime == "runc"


def test_a_read_only_mount_is_not_hidden_by_a_writable_gift() -> None:
    target = Replica(binds=(Bind("/", "/host", read_only=True),))
    kept = without(target, [Layer.NOT_MOUNTED], GIFTS)
    assert [bind.read_only for bind in kept.binds] == [True, True]
    bare = without(target, [Layer.NOT_MOUNTED, Layer.READ_ONLY], GIFTS)
    assert [bind.read_only for bind in bare.binds] == [False, False]


def test_a_sandbox_is_given_nothing_that_it_refuses() -> None:
    target = Replica(engine="oci", runtime="runsc")
    kept = without(target, [layer for layer in ALL if layer is not Layer.SANDBOX], GIFTS)
    assert (kept.runtime, kept.nodes, kept.namespaces, kept.device_rules) == ("runsc", (), frozenset(), ())


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Drill, Ground]]:
    """Return what drills; the state is kept in a short path, for the sockets."""
    probe()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="hf") as folder:
        Path(folder).chmod(0o711)
        patch.setenv("HOLDFAST_STATE", folder)
        left: list[str] = []
        with use_case.run(use_case.Plan(()), Settings(), lambda _text: None, left) as pair:
            yield pair
    assert left == []


def drilled(made: tuple[Drill, Ground], replica: Replica, *names: str) -> dict[str, Attempt]:
    catalogue = techniques.load()
    placed, differs = staged(replica, made[1])
    done = made[0].exercise(Target("x", "made", "test", placed, differs), [catalogue[name] for name in names])
    assert done.trouble == ""
    return {each.technique: each for each in done.attempts}


def told(attempt: Attempt) -> tuple[set[Layer], bool]:
    assert attempt.outcome is Outcome.BLOCKED, attempt
    return set(attempt.blocked_by), attempt.together


@pytest.mark.root
@pytest.mark.engine
def test_containers_of_which_it_is_known_what_stops_what(made: tuple[Drill, Ground]) -> None:
    one = drilled(made, Replica(binds=(Bind("/", "/host", read_only=True),)), "host-root-write", "etc-write")
    assert told(one["host-root-write"]) == ({Layer.READ_ONLY}, False)
    assert told(one["etc-write"]) == ({Layer.READ_ONLY}, False)
    two = drilled(made, Replica(user="65534:65534", binds=(Bind("/etc", "/mnt/etc"),)), "etc-write", "core-pattern")
    assert told(two["etc-write"]) == ({Layer.USER}, False)
    assert told(two["core-pattern"]) == ({Layer.USER, Layer.KERNEL_FILES}, True)
    unmasked = drilled(made, Replica(unmasked=True, capabilities_dropped=frozenset({"MKNOD"})), "core-pattern")
    assert unmasked["core-pattern"].outcome is Outcome.ESCAPED


@pytest.mark.root
@pytest.mark.engine
def test_seccomp_is_told_from_a_capability(made: tuple[Drill, Ground]) -> None:
    profile = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["bpf"],"action":"SCMP_ACT_ERRNO"}]}'
    admin = frozenset({"CAP_SYS_ADMIN"})
    held = drilled(made, Replica(capabilities_added=admin, seccomp=profile), "bpf-tamper")
    assert told(held["bpf-tamper"]) == ({Layer.SECCOMP}, False)
    both = drilled(made, Replica(seccomp=profile), "bpf-tamper")
    assert told(both["bpf-tamper"]) == ({Layer.SECCOMP, Layer.CAPABILITY}, True)
    bare = drilled(made, Replica(seccomp="unconfined"), "bpf-tamper")
    assert told(bare["bpf-tamper"]) == ({Layer.CAPABILITY}, False)


@pytest.mark.root
@pytest.mark.engine
def test_namespaces_and_devices_are_told_apart(made: tuple[Drill, Ground]) -> None:
    found = drilled(made, Replica(), "host-pid-signal", "block-device-raw", "container-process", "leaked-directory")
    assert told(found["host-pid-signal"]) == ({Layer.NAMESPACE}, False)
    assert told(found["block-device-raw"]) == ({Layer.NOT_MOUNTED, Layer.DEVICE_CGROUP}, False)
    assert told(found["container-process"]) == ({Layer.NOT_MOUNTED, Layer.NAMESPACE}, False)
    assert told(found["leaked-directory"]) == ({Layer.NOT_MOUNTED}, False)


@pytest.mark.root
@pytest.mark.engine
def test_a_user_namespace_is_found(made: tuple[Drill, Ground]) -> None:
    replica = Replica(
        engine="oci", runtime="runc", user_map=((0, 100000, 65536),), binds=(Bind("/etc", "/mnt/etc"),),
        capabilities_added=frozenset({"CAP_SYS_ADMIN"}), seccomp="unconfined",
    )  # fmt: skip
    found = drilled(made, replica, "etc-write", "bpf-tamper", "host-pid-signal")
    assert told(found["etc-write"]) == ({Layer.USER_NAMESPACE}, False)
    assert told(found["bpf-tamper"]) == ({Layer.USER_NAMESPACE}, False)
    assert Layer.NAMESPACE in found["host-pid-signal"].blocked_by


@pytest.mark.root
@pytest.mark.engine
def test_a_sandbox_is_found(made: tuple[Drill, Ground]) -> None:
    replica = Replica(
        engine="oci", runtime="runsc", capabilities_added=frozenset({"CAP_SYS_ADMIN", "CAP_MKNOD"}), unmasked=True
    )
    names = ("core-pattern", "proc-remount", "modprobe-path", "mknod-assist", "bpf-tamper")
    for name, attempt in drilled(made, replica, *names).items():
        assert told(attempt)[0] == {Layer.SANDBOX}, (name, attempt)
