"""Declared facts against effective ones, one table for each semantic."""

from __future__ import annotations

import pytest

from effective_made import made, said
from holdfast.model.facts import Absent, Facts
from holdfast.model.logic import Op, answer
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, OtherThan, Paths
from holdfast.model.words import container, declared, engine, host, load
from holdfast.model.words.declared import Device, Mount
from holdfast.reason.effective.declared import from_declared

NOWHERE = Facts()
UNKNOWN_YET = object()
K8S = {declared.ENGINE: "cri", declared.NAMESPACES: Members()}


def value(fact, *changes, host_facts=NOWHERE, without=()):
    entry = from_declared(made(*changes, without=without), host_facts).table[fact]
    return UNKNOWN_YET if isinstance(entry, Absent) else entry.value


def test_every_word_is_answered_or_has_a_reason():
    words = {fact for fact in load().values() if fact.subject == "container"}
    around = {engine.NAME, engine.AUTHZ_PLUGINS}
    assert set(from_declared(made(), NOWHERE).table) == words | around
    assert set(from_declared(Facts(), NOWHERE).table) == words


def test_nothing_is_known_of_nothing():
    known = {
        fact.name: seen.value for fact, seen in from_declared(Facts(), NOWHERE).table.items() if hasattr(seen, "value")
    }
    for name, seen in known.items():
        if name == "container.sandbox":
            assert seen == "none"  # an ordinary runtime, with a note
            continue
        assert name in {
            "container.lsm_denies", "container.capabilities", "container.bounding_capabilities", "container.devices",
            "container.device_access", "container.devices_permitted",
        }  # fmt: skip
        assert not seen.yes
        assert seen.maybe


def test_a_windows_container_is_a_closed_book():
    out = from_declared(made({declared.CONTAINER_OS: "windows"}), NOWHERE)
    assert out.table
    assert all(isinstance(entry, Absent) for entry in out.table.values())


# --- users -----------------------------------------------------------------------------------------------------------

REMAP = said({engine.NAME: "docker", engine.USERNS_REMAP: True, engine.ROOTLESS: False})
ROOTLESS = said({engine.ROOTLESS: True})
MAP = {declared.USER_NAMESPACE_MAP: ((0, 100000, 65536),)}


@pytest.mark.parametrize(
    ("change", "host_facts", "inside", "outside", "space"),
    [
        ({}, NOWHERE, 0, 0, "host"),
        ({declared.USER: "0"}, NOWHERE, 0, 0, "host"),
        ({declared.USER: "1000:50"}, NOWHERE, 1000, 1000, "host"),
        ({declared.USER: "www-data"}, NOWHERE, UNKNOWN_YET, UNKNOWN_YET, "host"),
        ({declared.USER: "99999999999"}, NOWHERE, UNKNOWN_YET, UNKNOWN_YET, "host"),
        ({declared.USER: "٣"}, NOWHERE, UNKNOWN_YET, UNKNOWN_YET, "host"),
        ({declared.USER: "0", declared.RUN_AS_NON_ROOT: True}, NOWHERE, OtherThan(0), OtherThan(0), "host"),
        ({declared.RUN_AS_NON_ROOT: True, declared.USER: "7"}, NOWHERE, 7, 7, "host"),
        ({declared.USER_NAMESPACE: "private"}, NOWHERE, 0, OtherThan(0), "private"),
        ({}, REMAP, 0, OtherThan(0), "private"),
        ({declared.USER_NAMESPACE: "host"}, REMAP, 0, 0, "host"),
        ({}, ROOTLESS, 0, OtherThan(0), "private"),
        ({declared.USER_NAMESPACE: "host"}, ROOTLESS, 0, OtherThan(0), "private"),
        ({declared.ENGINE: "podman"}, NOWHERE, 0, UNKNOWN_YET, UNKNOWN_YET),
        ({declared.ENGINE: "podman", declared.USER: "5"}, NOWHERE, 5, OtherThan(0), UNKNOWN_YET),
        ({declared.ENGINE: "podman"}, said({engine.ROOTLESS: False}), 0, 0, "host"),
        ({declared.ENGINE: "cri", declared.USER_NAMESPACE: "private"}, NOWHERE, 0, OtherThan(0), "private"),
        (MAP, NOWHERE, 0, 100000, "private"),
        ({**MAP, declared.USER: "33"}, NOWHERE, 33, 100033, "private"),
        ({**MAP, declared.USER: "70000"}, NOWHERE, 70000, UNKNOWN_YET, "private"),
        ({**MAP, declared.USER: "web"}, NOWHERE, UNKNOWN_YET, OtherThan(0), "private"),
        (
            {declared.USER_NAMESPACE_MAP: ((0, 0, 5),), declared.USER: "web"},
            NOWHERE,
            UNKNOWN_YET,
            UNKNOWN_YET,
            "private",
        ),
        ({declared.RUNTIME: "sysbox-runc"}, NOWHERE, 0, OtherThan(0), "private"),
        ({declared.USER_NAMESPACE: "odd"}, NOWHERE, 0, UNKNOWN_YET, UNKNOWN_YET),
    ],
)
def test_users(change, host_facts, inside, outside, space):
    assert value(container.USER_ID, change, host_facts=host_facts) == inside
    assert value(container.HOST_USER_ID, change, host_facts=host_facts) == outside
    assert value(container.USER_NAMESPACE, change, host_facts=host_facts) == space


def test_the_settings_of_another_engine_do_not_count():
    other = said({engine.NAME: "docker", engine.USERNS_REMAP: True, engine.ROOTLESS: True})
    assert value(container.USER_NAMESPACE, K8S, host_facts=other) == "host"
    assert value(
        container.USER_NAMESPACE, K8S, host_facts=said({engine.NAME: "containerd", engine.ROOTLESS: True})
    ) == ("private")


@pytest.mark.parametrize(
    ("change", "group", "expected"),
    [
        ({declared.USER: "5:7"}, 7, YES),
        ({declared.USER: "5:7"}, 998, NO),
        ({declared.USER: "5:7", declared.GROUPS: ("998",)}, 998, YES),
        ({declared.USER: "5:7", declared.GROUPS: ("docker",)}, 998, UNKNOWN),
        ({declared.USER: "5"}, 998, UNKNOWN),
        ({declared.ENGINE: "containerd", declared.USER: "5:7"}, 998, UNKNOWN),
        ({}, 0, YES),
        ({declared.USER_NAMESPACE: "private", declared.GROUPS: ("0",)}, 0, NO),
    ],
)
def test_groups(change, group, expected):
    assert value(container.HOST_GROUP_IDS, change).has(group) is expected


# --- security modules ------------------------------------------------------------------------------------------------

APPARMOR = said({host.APPARMOR_ENFORCING: True, host.SELINUX_ENFORCING: False})
SELINUX = said({host.APPARMOR_ENFORCING: False, host.SELINUX_ENFORCING: True})
NEITHER = said({host.LSMS: Members.of("capability", "yama")})
PODMAN = {declared.ENGINE: "podman"}
ROOTFUL = {engine.ROOTLESS: False}


def joined(facts, change):
    return Facts({**facts.table, **said(change).table})


@pytest.mark.parametrize(
    ("change", "host_facts", "act", "expected"),
    [
        ({}, APPARMOR, "mount", YES),
        ({}, APPARMOR, "ptrace_host", YES),
        ({}, APPARMOR, "host_sockets", NO),
        ({}, APPARMOR, "abstract_sockets", NO),
        ({}, APPARMOR, "host_files", NO),
        ({}, APPARMOR, "af_alg", UNKNOWN),
        ({}, joined(APPARMOR, {engine.VERSION: (29, 4, 3)}), "af_alg", YES),
        ({}, joined(APPARMOR, {engine.VERSION: (29, 4, 2)}), "af_alg", NO),
        ({}, NOWHERE, "mount", UNKNOWN),
        ({}, NOWHERE, "host_files", NO),  # Docker labels nothing unless told to
        ({}, SELINUX, "host_files", UNKNOWN),
        ({}, NEITHER, "mount", NO),
        ({declared.PRIVILEGED: True}, APPARMOR, "mount", NO),
        ({declared.APPARMOR: "unconfined"}, APPARMOR, "mount", NO),
        ({declared.APPARMOR: "unconfined"}, NOWHERE, "mount", NO),
        ({declared.APPARMOR: "mine"}, APPARMOR, "mount", UNKNOWN),
        ({declared.APPARMOR: "mine", declared.PRIVILEGED: True}, APPARMOR, "mount", UNKNOWN),
        ({declared.APPARMOR: "docker-default", declared.PRIVILEGED: True}, APPARMOR, "mount", YES),
        ({}, joined(APPARMOR, {engine.ROOTLESS: True}), "mount", NO),
        # the newer call to attach a mount: AppArmor has a hook for it since Linux 6.7
        ({}, joined(APPARMOR, {host.KERNEL_VERSION: (6, 12, 107)}), "move_mount", YES),
        ({}, joined(APPARMOR, {host.KERNEL_VERSION: (6, 7)}), "move_mount", YES),
        ({}, joined(APPARMOR, {host.KERNEL_VERSION: (6, 1, 0), host.DISTRIBUTION: "debian-12"}), "move_mount", NO),
        ({}, joined(APPARMOR, {host.KERNEL_VERSION: (6, 1, 0), host.DISTRIBUTION: "other-1"}), "move_mount", UNKNOWN),
        ({}, joined(APPARMOR, {host.KERNEL_VERSION: (6, 1, 0)}), "move_mount", UNKNOWN),
        ({}, joined(APPARMOR, {host.KERNEL_VERSION: (4, 19, 0)}), "move_mount", YES),  # there is no such call
        ({}, APPARMOR, "move_mount", UNKNOWN),
        ({}, joined(APPARMOR, {host.KERNEL_VERSION: (6, 12, 107)}), "detached_mount", NO),
        (PODMAN, SELINUX, "move_mount", YES),
        (PODMAN, SELINUX, "detached_mount", YES),
        (K8S, APPARMOR, "mount", YES),
        ({**K8S, declared.PRIVILEGED: True}, APPARMOR, "mount", NO),
        (K8S, NOWHERE, "host_files", NO),  # nor does containerd
        ({**K8S, declared.ENGINE: "cri-o"}, NOWHERE, "host_files", UNKNOWN),
        ({**K8S, declared.PRIVILEGED: True}, NOWHERE, "host_files", NO),
        (PODMAN, APPARMOR, "mount", UNKNOWN),
        (PODMAN, joined(APPARMOR, ROOTFUL), "mount", YES),
        (PODMAN, SELINUX, "host_files", YES),
        (PODMAN, SELINUX, "host_sockets", YES),
        (PODMAN, SELINUX, "af_alg", UNKNOWN),
        ({**PODMAN, declared.SELINUX: ("disable",)}, SELINUX, "host_files", NO),
        ({**PODMAN, declared.SELINUX: ("type:spc_t",)}, SELINUX, "mount", NO),
        ({**PODMAN, declared.SELINUX: ("type:mine_t",)}, SELINUX, "mount", UNKNOWN),
        ({**PODMAN, declared.PRIVILEGED: True}, SELINUX, "mount", NO),
        ({**PODMAN, declared.NAMESPACES: Members.of("pid")}, SELINUX, "ptrace_host", NO),
        ({**PODMAN, declared.MOUNTS: (Mount("bind", "/srv", "/srv"),)}, SELINUX, "host_files", YES),
        (
            {**PODMAN, declared.MOUNTS: (Mount("bind", "/srv", "/srv", options=frozenset("Z")),)},
            SELINUX,
            "host_files",
            NO,
        ),
        (
            {
                **PODMAN,
                declared.MOUNTS: (Mount("bind", "/a", "/a", options=frozenset("z")), Mount("bind", "/b", "/b")),
            },
            SELINUX,
            "host_files",
            UNKNOWN,
        ),
        ({declared.ENGINE: "cri-o", declared.NAMESPACES: Members()}, SELINUX, "devices", YES),
    ],
)
def test_what_the_security_module_refuses(change, host_facts, act, expected):
    assert value(container.LSM_DENIES, change, host_facts=host_facts).has(act) is expected


@pytest.mark.parametrize(
    ("change", "host_facts", "profile"),
    [
        ({}, APPARMOR, "docker-default"),
        (K8S, joined(APPARMOR, {engine.NAME: "containerd"}), "cri-containerd.apparmor.d"),
        ({}, NOWHERE, UNKNOWN_YET),
        ({}, SELINUX, "none"),
        ({declared.APPARMOR: "mine"}, APPARMOR, "mine"),
        ({declared.PRIVILEGED: True}, APPARMOR, "unconfined"),
    ],
)
def test_profiles(change, host_facts, profile):
    assert value(container.APPARMOR, change, host_facts=host_facts) == profile


# --- namespaces and sandboxes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "version", "namespace", "expected"),
    [
        ({declared.NAMESPACES: Members.of("pid")}, None, "pid", YES),
        ({declared.NAMESPACES: Members(maybe=frozenset({"net"}))}, None, "net", UNKNOWN),
        ({}, None, "net", NO),
        ({}, None, "mnt", NO),
        ({}, None, "time", YES),
        ({}, None, "cgroup", UNKNOWN),
        ({}, "v1", "cgroup", YES),
        ({}, "hybrid", "cgroup", YES),
        ({}, "v2", "cgroup", NO),
        ({declared.NAMESPACES: Members()}, "v1", "cgroup", NO),  # --cgroupns=private
        ({declared.NAMESPACES: Members.of("cgroup")}, "v2", "cgroup", YES),
        (K8S, "v1", "cgroup", YES),
        (K8S, "v2", "cgroup", NO),
        ({**K8S, declared.PRIVILEGED: True}, "v2", "cgroup", UNKNOWN),
        ({declared.NAMESPACES: Members(rest=UNKNOWN)}, None, "pid", UNKNOWN),
    ],
)
def test_namespaces(change, version, namespace, expected):
    host_facts = NOWHERE if version is None else said({host.CGROUP_VERSION: version})
    assert value(container.SHARED_NAMESPACES, change, host_facts=host_facts).has(namespace) is expected


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        ("default", "none"), ("runc", "none"), ("crun", "none"), ("youki", "none"), ("/usr/bin/runc", "none"),
        ("io.containerd.runc.v2", "none"), ("nvidia", "none"), ("runsc", "gvisor"), ("gvisor", "gvisor"),
        ("io.containerd.runsc.v1", "gvisor"), ("kata", "kata"), ("kata-qemu", "kata"), ("Kata-Runtime", "kata"),
        ("crun-vm", UNKNOWN_YET), ("secure", UNKNOWN_YET),
    ],
)  # fmt: skip
def test_sandboxes(runtime, expected):
    assert value(container.SANDBOX, {declared.RUNTIME: runtime}) == expected


def test_a_runtime_class_is_known_by_its_handler():
    pairs = {declared.RUNTIME: "secure", declared.RUNTIME_HANDLERS: (("other", "runc"), ("secure", "runsc"))}
    assert value(container.SANDBOX, pairs) == "gvisor"


# --- mounts ----------------------------------------------------------------------------------------------------------


OLD = said({engine.NAME: "docker", engine.VERSION: (20, 10, 24)})
NEW = said({engine.NAME: "docker", engine.VERSION: (25, 0, 0)})


def bind(source, target="/x", **more):
    return {declared.MOUNTS: (Mount("bind", source, target, **more),)}


def test_host_paths_are_normal_and_kept_apart():
    mounts = (
        Mount("bind", "/var/run/docker.sock", "/s", read_only=True),
        Mount("bind", "/srv/../etc//", "/e"),
        Mount("bind", "/data", "/d", options=frozenset({"nosuid"}), propagation="rshared"),
        Mount("volume", "db", "/v"),
        Mount("tmpfs", "", "/t"),
        Mount("projected", "/home/me/password", "/run/secrets/p"),
        Mount("projected", "", "/token"),
    )
    out = from_declared(made({declared.MOUNTS: mounts}), NOWHERE)
    assert out.value(container.HOST_PATHS) == Paths(("/run/docker.sock", "/etc", "/data", "/home/me/password"))
    assert out.value(container.HOST_PATHS_WRITABLE) == Paths(("/etc", "/data"))
    assert out.value(container.HOST_PATHS_SUID) == Paths(("/etc",))
    assert out.value(container.HOST_PATHS_SHARED) == Paths(("/data",))


def test_a_path_nobody_could_tell_may_be_any():
    paths = value(container.HOST_PATHS, bind("${DIR}"))
    assert paths.covers("/etc/shadow") is UNKNOWN
    fixed = made(bind("~/x", read_only=True))
    assert from_declared(fixed, NOWHERE).value(container.HOST_PATHS_WRITABLE) == Paths()
    assert value(container.HOST_PATHS, without=(declared.MOUNTS,)) is UNKNOWN_YET


def test_two_mounts_of_one_path_are_writable_if_one_is():
    mounts = {declared.MOUNTS: (Mount("bind", "/a", "/1", read_only=True), Mount("bind", "/a", "/2"))}
    assert value(container.HOST_PATHS_WRITABLE, mounts) == Paths(("/a",))


def test_the_line_of_a_single_mount_is_kept():
    from effective_made import PLACE
    from holdfast.model.facts import Seen
    from holdfast.model.place import Where

    mounts = (Mount("bind", "/a", "/a"), Mount("bind", "/b", "/b"))
    lines = {mounts[0]: Where("made.yaml", "/m/0", 5), mounts[1]: Where("made.yaml", "/m/1", 9)}
    facts = Facts({**made().table, declared.MOUNTS: Seen(mounts, PLACE, "", lines)})
    seen = from_declared(facts, NOWHERE).seen(container.HOST_PATHS_WRITABLE)
    assert seen is not None
    assert seen.parts["/b"].line == 9


def test_read_only_covers_the_top_only():
    seen = from_declared(made(bind("/", read_only=True)), NOWHERE).seen(container.HOST_PATHS_WRITABLE)
    assert seen is not None
    assert "below" in seen.note
    below = ("/", "/etc", "/proc", "/sys/fs/cgroup", "/home")
    assert [seen.value.covers(path) for path in below] == [NO, NO, UNKNOWN, UNKNOWN, UNKNOWN]
    old = value(container.HOST_PATHS_WRITABLE, bind("/", read_only=True), host_facts=OLD)
    assert [old.covers(path) for path in below] == [NO, NO, YES, YES, UNKNOWN]
    pod = value(container.HOST_PATHS_WRITABLE, {**K8S, **bind("/sys", read_only=True)})
    assert [pod.covers(path) for path in ("/sys", "/sys/fs/cgroup", "/sys/fs/bpf")] == [NO, YES, UNKNOWN]
    assert value(container.HOST_PATHS_WRITABLE, bind("/", read_only=True), host_facts=NEW) == Paths()
    assert value(container.HOST_PATHS_WRITABLE, bind("/etc", read_only=True), host_facts=OLD) == Paths()
    deep = from_declared(made(bind("/", read_only=True, options=frozenset({"rro"}))), NOWHERE)
    assert deep.seen(container.HOST_PATHS_WRITABLE).note == ""


STATE = said({engine.STATE_ON_ROOT: True})


@pytest.mark.parametrize(
    ("change", "host_facts", "same", "writable"),
    [
        ({}, NOWHERE, UNKNOWN_YET, UNKNOWN_YET),
        ({}, STATE, True, True),
        ({declared.READ_ONLY_ROOT: True}, STATE, True, UNKNOWN_YET),
        (bind("/etc/ssl", read_only=True), NOWHERE, True, UNKNOWN_YET),
        (bind("/"), NOWHERE, True, True),
        (bind("/srv/data"), NOWHERE, UNKNOWN_YET, UNKNOWN_YET),
    ],
)
def test_superblock(change, host_facts, same, writable):
    assert value(container.HOST_SUPERBLOCK, change, host_facts=host_facts) == same
    assert value(container.HOST_SUPERBLOCK_WRITABLE, change, host_facts=host_facts) == writable


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), UNKNOWN_YET), (("host",), True), (("remote",), False)],
)
def test_claims(options, expected):
    change = {declared.MOUNTS: (Mount("claim", "shop/data", "/d", options=frozenset(options)),)}
    assert value(container.VOLUME_CLAIMS, change) is True
    assert value(container.VOLUME_CLAIM_ON_HOST, change) == expected
    assert (value(container.VOLUME_CLAIMS), value(container.VOLUME_CLAIM_ON_HOST)) == (False, False)


@pytest.mark.parametrize(
    ("change", "host_facts", "expected"),
    [
        ({}, NOWHERE, False),
        ({declared.PRIVILEGED: True}, NOWHERE, True),
        ({}, REMAP, True),
        ({declared.WRITABLE_CGROUPS: True}, NOWHERE, True),
        (bind("/sys/fs/cgroup"), NOWHERE, True),
        (bind("/sys"), NOWHERE, True),
        (bind("/sys/fs/cgroup", read_only=True), NOWHERE, UNKNOWN_YET),
        (bind("/sys/fs/cgroup", read_only=True), NEW, False),
        # what is mounted below stays as it is, before Docker 25 and where an OCI configuration does not say "rro"
        (bind("/sys", read_only=True), OLD, True),
        (bind("/sys", read_only=True, options=frozenset({"rro"})), OLD, False),
        (bind("/sys/fs/cgroup/memory", read_only=True), OLD, False),
        (bind("/sys", read_only=True), NEW, False),
        (bind("$X"), NOWHERE, UNKNOWN_YET),
    ],
)
def test_cgroup(change, host_facts, expected):
    assert value(container.CGROUP_WRITABLE, change, host_facts=host_facts) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, False),
        (bind("/var/lib/lxcfs"), True),
        (bind("/var/lib/lxcfs", read_only=True), False),
        (bind("/var/lib/lxcfs/proc/cpuinfo", "/proc/cpuinfo"), False),
        (bind("/var/lib"), UNKNOWN_YET),
    ],
)
def test_lxcfs(change, expected):
    assert value(container.LXCFS_WRITABLE, change) == expected


@pytest.mark.parametrize(
    ("driver", "expected"),
    [(None, True), ("overlay2", True), ("btrfs", True), ("zfs", False), ("devicemapper", False)],
)
def test_layer(driver, expected):
    assert value(container.LAYER_PATH_KNOWN, {} if driver is None else {declared.STORAGE_DRIVER: driver}) == expected


# --- files of the kernel ---------------------------------------------------------------------------------------------

CORE = "/proc/sys/kernel/core_pattern"
HELPER = "/sys/kernel/uevent_helper"
EXACT = {
    declared.SYSTEM_PATHS: "exact",
    declared.MASKED_PATHS: ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"),
    declared.READONLY_PATHS: ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"),
}
BARE = {declared.SYSTEM_PATHS: "exact", declared.MASKED_PATHS: (), declared.READONLY_PATHS: ()}


@pytest.mark.parametrize(
    ("change", "masked", "core", "helper"),
    [
        ({}, True, NO, NO),
        ({declared.SYSTEM_PATHS: "unconfined"}, False, YES, NO),
        ({declared.PRIVILEGED: True}, False, YES, YES),
        (EXACT, True, NO, NO),
        (BARE, False, YES, NO),
        ({**BARE, declared.READONLY_PATHS: ("/proc/sys",)}, False, NO, NO),
        (bind("/sys", "/sys"), True, NO, YES),
        (bind("/sys", "/sys", read_only=True), True, NO, NO),
        (bind("/proc", "/proc"), True, NO, NO),
        (bind("/data", "/sys/kernel"), True, NO, NO),
    ],
)
def test_kernel_files(change, masked, core, helper):
    assert value(container.MASKED, change) == masked
    files = value(container.KERNEL_FILES_WRITABLE, change)
    assert (files.has(CORE), files.has(HELPER)) == (core, helper)


def test_files_of_the_kernel_can_be_edited():
    files = value(container.KERNEL_FILES_WRITABLE)
    assert files.having((CORE,)).has(CORE) is YES
    assert files.having((CORE,)).lacking((CORE,)).has(CORE) is NO
    assert files.has("/proc/self/attr/current") is YES
    assert files.has("/etc/passwd") is NO
    assert files.has(7) is NO
    assert value(container.KERNEL_FILES_WRITABLE, {declared.WRITABLE_CGROUPS: True}).has("/sys/fs/cgroup/x") is YES


OCI = {
    **EXACT,
    declared.CAPABILITIES_EXACT: frozenset({"CAP_CHOWN"}),
    declared.USER: "0:0",
    declared.APPARMOR: "unconfined",
    declared.DEVICES: (),
    declared.DEVICE_RULES: ("c 10:229 rwm",),
    declared.MOUNTS: (),
}


def test_an_oci_configuration_spells_everything_out():
    out = from_declared(said(OCI), NOWHERE)
    files = out.value(container.KERNEL_FILES_WRITABLE)
    assert files is not None
    assert (files.has(CORE), files.has(HELPER)) == (NO, YES)
    assert out.value(container.DEVICES) == Members()
    assert out.value(container.DEVICE_ACCESS) == Members.of("fuse", maybe=("tun",))
    assert container.PRIVILEGED not in out
    assert container.CGROUP_WRITABLE not in out
    fixed = {**OCI, declared.READONLY_PATHS: (*EXACT[declared.READONLY_PATHS], "/sys", "/sys/fs/cgroup")}
    out = from_declared(said(fixed), NOWHERE)
    files = out.value(container.KERNEL_FILES_WRITABLE)
    assert files is not None
    assert files.has(HELPER) is NO
    assert out.value(container.CGROUP_WRITABLE) is False


def test_lists_without_an_engine_do_not_tell_about_sys():
    files = value(container.KERNEL_FILES_WRITABLE, EXACT, without=(declared.ENGINE,))
    assert (files.has(CORE), files.has(HELPER)) == (NO, UNKNOWN)


# --- devices ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/dev/sda", "block"), ("/dev/nvme0n1p2", "block"), ("/dev/mapper/vg-root", "block"), ("/dev/loop0", "block"),
        ("/dev/mapper/control", "other"), ("/dev/nvme0", "other"), ("/dev/mem", "mem"), ("/dev/port", "port"),
        ("/dev/kmsg", "kmsg"), ("/dev/tty1", "tty"), ("/dev/ttyUSB0", "other"), ("/dev/uinput", "uinput"),
        ("/dev/input/event0", "input"), ("/dev/vfio/vfio", "vfio"), ("/dev/nvidia0", "gpu"), ("/dev/dri", "gpu"),
        ("/dev/fuse", "fuse"), ("/dev/kvm", "kvm"), ("/dev/sg0", "sg"), ("/dev/cpu/0/msr", "msr"),
        ("/dev/net/tun", "tun"), ("/dev/snd", "other"),
    ],
)  # fmt: skip
def test_granted_devices(path, kind):
    change = {declared.DEVICES: (Device(path, path),)}
    assert value(container.DEVICES, change) == Members.of(kind)
    assert value(container.DEVICE_ACCESS, change).has(kind) is YES


@pytest.mark.parametrize("path", ["/dev/null", "/dev/tty", "/dev/pts/0", "/dev/shm", "/dev/urandom"])
def test_nodes_that_everybody_has_do_not_count(path):
    change = {declared.DEVICES: (Device(path, path),)}
    assert value(container.DEVICES, change) == Members()
    assert value(container.DEVICE_ACCESS, change) == Members.of(maybe=("tun",))


def test_a_bound_dev_gives_nodes_but_no_access():
    assert value(container.DEVICES, bind("/dev", "/dev")).has("block") is YES
    assert value(container.DEVICE_ACCESS, bind("/dev", "/dev")).has("block") is NO
    assert value(container.DEVICES, bind("/dev/sda", "/disk")) == Members.of("block")


@pytest.mark.parametrize(
    ("rule", "kind", "expected"),
    [
        ("a *:* rwm", "block", YES), ("a *:* rwm", "mem", YES), ("b 8:* rwm", "block", YES), ("b 8:* m", "block", NO),
        ("c *:* rwm", "block", NO), ("c *:* rwm", "mem", YES), ("c 1:* r", "kmsg", YES), ("c 10:200 rwm", "tun", YES),
        ("c 1:3 rwm", "mem", NO), ("c 189:* rwm", "other", YES), ("nonsense", "block", UNKNOWN),
    ],
)  # fmt: skip
def test_device_rules(rule, kind, expected):
    assert value(container.DEVICE_ACCESS, {declared.DEVICE_RULES: (rule,)}).has(kind) is expected


def test_privileged_has_every_device_and_a_sandbox_none():
    assert value(container.DEVICE_ACCESS, {declared.PRIVILEGED: True}).has("msr") is YES
    assert value(container.DEVICES, {declared.PRIVILEGED: True}).has("block") is YES
    boxed = {declared.PRIVILEGED: True, declared.RUNTIME: "runsc"}
    assert value(container.DEVICES, boxed) == Members()
    assert value(container.DEVICE_ACCESS, boxed) == Members()


def test_device_access_needs_reading_or_writing():
    only_made = {declared.DEVICES: (Device("/dev/sda", "/dev/sda", "m"),)}
    assert value(container.DEVICES, only_made).has("block") is YES
    assert value(container.DEVICE_ACCESS, only_made).has("block") is NO


def test_a_raw_volume_may_be_a_disk_of_the_host():
    change = {declared.DEVICES: (Device("claim:shop/disk", "/dev/xvda"),)}
    for fact in (container.DEVICES, container.DEVICE_ACCESS):
        assert (value(fact, change).has("block"), value(fact, change).has("mem")) == (UNKNOWN, NO)


def test_a_gpu_by_its_cdi_name():
    assert value(container.DEVICES, {declared.DEVICES: (Device("nvidia.com/gpu=all", ""),)}).has("gpu") is YES


def test_devices_that_were_not_seen_may_be_any():
    assert value(container.DEVICES, without=(declared.DEVICES,)).has("block") is UNKNOWN
    assert value(container.DEVICES, {declared.DEVICES: (Device("$DEV", ""),)}).has("block") is UNKNOWN


# --- the rest --------------------------------------------------------------------------------------------------------


def test_a_process_outside_is_only_seen_through_a_shared_pid_namespace():
    assert value(container.SAME_USER_ON_HOST) is False
    assert value(container.SAME_USER_ON_HOST, {declared.NAMESPACES: Members.of("pid")}) is UNKNOWN_YET


def test_root_groups_of_version_1_need_version_1():
    assert value(container.CGROUP_V1_ROOT, host_facts=said({host.CGROUP_VERSION: "v2"})) is False
    assert value(container.CGROUP_V1_ROOT, host_facts=said({host.CGROUP_VERSION: "hybrid"})) is UNKNOWN_YET


def test_a_user_that_is_not_root_answers_root_s_question():
    seen = value(container.HOST_USER_ID, {declared.RUN_AS_NON_ROOT: True}, without=(declared.USER,))
    assert answer(Op.IS, seen, 0) is NO
    assert answer(Op.IS, seen, 1000) is UNKNOWN
