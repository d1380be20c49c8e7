"""Observed facts of a live process against effective ones."""

from __future__ import annotations

import pytest

from effective_made import PLACE, said
from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.words import container, engine, host, observed
from holdfast.model.words.observed import DeviceNode, MountInfo
from holdfast.reason.effective.observed import from_observed

ID = "3f8c3e6620620e2f55c9dbdf8c307277915909b2754f56d814e14e5759234ea5"
UNKNOWN_YET = object()
DISK = "254:0"
RW = "rw,relatime"
RO = "ro,relatime"


def mount(device, root, target, fstype, options=RW, *, host_path="", peers=(), super_options="rw"):
    return MountInfo(
        device, root, target, frozenset(options.split(",")), tuple(peers), fstype, "x",
        frozenset(super_options.split(",")), host_path,
    )  # fmt: skip


ROOT = mount(
    "0:39", "/", "/", "overlay", super_options="rw,lowerdir=/a,upperdir=/var/lib/docker/overlay2/8/diff",
    host_path="/var/lib/docker/overlay2/8/merged", peers=("master:2",),
)  # fmt: skip
DOCKER = (
    ROOT,
    mount("0:42", "/", "/proc", "proc", "rw,nosuid"),
    mount("0:43", "/", "/dev", "tmpfs", "rw,nosuid"),
    mount("0:44", "/", "/dev/pts", "devpts"),
    mount("0:45", "/", "/sys", "sysfs", "ro,nosuid", super_options="ro"),
    mount("0:46", "/", "/sys/fs/cgroup", "tmpfs", "rw,nosuid"),
    mount(
        "0:33", f"/docker/{ID}", "/sys/fs/cgroup/devices", "cgroup", RO, host_path=f"/sys/fs/cgroup/devices/docker/{ID}"
    ),
    mount("0:41", "/", "/dev/mqueue", "mqueue", host_path="/dev/mqueue"),
    mount("0:47", "/", "/dev/shm", "tmpfs"),
    mount(
        DISK,
        f"/var/lib/docker/containers/{ID}/hosts",
        "/etc/hosts",
        "ext4",
        RW,
        host_path=f"/var/lib/docker/containers/{ID}/hosts",
    ),
    mount("0:42", "/bus", "/proc/bus", "proc", RO),
    mount("0:42", "/sys", "/proc/sys", "proc", RO),
    mount("0:48", "/", "/proc/acpi", "tmpfs", RO),
    mount("0:43", "/null", "/proc/keys", "tmpfs"),
)
"""As Docker 20.10 makes it on a host with version 1 control groups."""

PLAIN = {
    observed.PID: 4242,
    observed.RUNTIME: "docker",
    observed.HOST_USER_ID: 0,
    observed.HOST_GROUP_IDS: Members.of(0),
    observed.USER_MAP: ((0, 0, 4294967295),),
    observed.OWN_USER_NAMESPACE: False,
    observed.CAPABILITIES_EFFECTIVE: frozenset({"CAP_CHOWN"}),
    observed.CAPABILITIES_PERMITTED: frozenset({"CAP_CHOWN", "CAP_KILL"}),
    observed.CAPABILITIES_BOUNDING: frozenset({"CAP_CHOWN", "CAP_KILL", "CAP_MKNOD"}),
    observed.NO_NEW_PRIVILEGES: False,
    observed.SECCOMP_MODE: 2,
    observed.LSM_LABEL: "docker-default (enforce)",
    observed.SHARED_NAMESPACES: Members.of("cgroup", "time"),
    observed.MOUNTS: DOCKER,
    observed.DEVICE_RULES: ("c *:* m", "b *:* m", "c 1:3 rwm", "c 136:* rwm", "c 5:2 rwm", "c 10:200 rwm"),
    observed.DEVICE_NODES: (DeviceNode("/dev/null", "char", 1, 3), DeviceNode("/dev/tty", "char", 5, 0)),
    observed.OUTSIDE_FDS: (),
    observed.SAME_USER_ON_HOST: False,
}
HOST = {
    host.ROOT_DEVICE: DISK, host.APPARMOR_ENFORCING: True, host.SELINUX_ENFORCING: False, host.CGROUP_VERSION: "v1",
}  # fmt: skip


def judged(change=None, host_change=None, without=()):
    table = {fact: value for fact, value in {**PLAIN, **(change or {})}.items() if fact not in without}
    return from_observed(said(table), said({**HOST, **(host_change or {})}))


def value(fact, change=None, host_change=None, without=()):
    entry = judged(change, host_change, without).table[fact]
    return UNKNOWN_YET if isinstance(entry, Absent) else entry.value


def bound(path, target="/x", **more):
    """A directory or file of the host's disk, bound as the host shows it."""
    return mount(DISK, path, target, "ext4", host_path=path, **more)


def with_mounts(*more):
    return {observed.MOUNTS: (*DOCKER, *more)}


def test_an_ordinary_container():
    out = judged()
    assert out.value(container.SANDBOX) == "none"
    assert out.value(container.USER_ID) == 0
    assert out.value(container.HOST_USER_ID) == 0
    assert out.value(container.USER_NAMESPACE) == "host"
    assert out.value(container.CAPABILITIES) == Members.of("CAP_CHOWN", "CAP_KILL")
    assert out.value(container.BOUNDING_CAPABILITIES) == Members.of("CAP_CHOWN", "CAP_KILL", "CAP_MKNOD")
    assert out.value(container.HOST_PATHS) == Paths()
    assert out.value(container.HOST_PATHS_PERMITTED) == Paths()
    assert out.value(container.HOST_SUPERBLOCK) is True
    assert out.value(container.HOST_SUPERBLOCK_WRITABLE) is True
    assert out.value(container.LAYER_PATH_KNOWN) is True
    assert out.value(container.MASKED) is True
    assert out.value(container.PRIVILEGED) is False
    assert out.value(container.CGROUP_WRITABLE) is False
    assert out.value(container.DEVICES) == Members()
    assert out.value(container.DEVICE_ACCESS) == Members.of("tun")
    assert out.value(container.LEAKED_HOST_FD) is False
    files = out.value(container.KERNEL_FILES_WRITABLE)
    assert files is not None
    assert [
        files.has(path)
        for path in (
            "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/proc/keys",
            "/sys/fs/cgroup/devices/devices.allow", "/sys/fs/cgroup/x",
        )
    ] == [NO, YES, NO, NO, NO, NO]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        (mount("0:21", "/", "/host/proc", "proc", host_path="/proc"), ("/proc",)),
        (mount("0:21", "/", "/proc", "proc", host_path="/proc"), ("/proc",)),
        (mount("0:22", "/", "/host/sys", "sysfs", host_path="/sys"), ("/sys",)),
        (mount("0:22", "/", "/sys", "sysfs", host_path="/sys"), ("/sys",)),
        (bound("/"), ("/",)),
        (bound("/etc"), ("/etc",)),
        (mount(DISK, "/etc", "/e", "ext4"), ("/etc",)),
        (mount("0:50", "/docker.sock", "/s", "tmpfs", host_path="/run/docker.sock"), ("/run/docker.sock",)),
        (mount("0:50", "/docker.sock", "/x", "tmpfs"), ("/run/docker.sock",)),
        (mount("0:6", "/", "/dev", "devtmpfs", host_path="/dev"), ("/dev",)),
        (mount("0:6", "/sda", "/disk", "devtmpfs", host_path="/dev/sda"), ("/dev/sda",)),
        (mount("0:6", "/null", "/dev/null", "devtmpfs", host_path="/dev/null"), ()),
        (mount("0:33", "/", "/cg", "cgroup", host_path="/sys/fs/cgroup/devices"), ("/sys/fs/cgroup/devices",)),
        (bound("/etc/hosts", "/etc/hosts"), ("/etc/hosts",)),
        (bound("/opt/lxc/hosts", "/etc/hosts"), ()),
        (bound("/opt/names", "/etc/hosts"), ("/opt/names",)),
        (bound("/var/lib/docker/volumes/db/_data"), ()),
        (bound("/var/lib/docker/volumes"), ("/var/lib/docker/volumes",)),
        (
            mount(DISK, "/home/u/.local/share/containers/storage/volumes/a/_data", "/v", "ext4"),
            (),
        ),
        (
            mount(
                "0:60", "/", "/run/secrets/kubernetes.io/serviceaccount", "tmpfs",
                host_path="/var/lib/kubelet/pods/0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f/volumes/t",
            ),
            (),
        ),
        (bound("/var/lib/kubelet/pods"), ("/var/lib/kubelet/pods",)),
        (mount("0:61", "/", "/cache", "tmpfs"), ()),
    ],
)  # fmt: skip
def test_host_paths(line, paths):
    assert value(container.HOST_PATHS, with_mounts(line)) == Paths(paths)


def test_a_part_of_an_unknown_file_system_may_be_any_path():
    strange = mount("9:9", "/data", "/x", "xfs")
    assert value(container.HOST_PATHS, with_mounts(strange)).covers("/etc") is UNKNOWN


def test_sysfs_of_the_host_s_network_is_the_container_s_own():
    shared = {
        **with_mounts(mount("0:22", "/", "/sys", "sysfs", RO, host_path="/sys")),
        observed.SHARED_NAMESPACES: Members.of("net"),
    }
    assert value(container.HOST_PATHS, shared) == Paths()


@pytest.mark.parametrize(
    ("options", "super_options", "writes", "suid"),
    [(RW, "rw", True, True), (RO, "rw", False, False), (RW, "ro", False, False), ("rw,nosuid", "rw", True, False)],
)
def test_flags(options, super_options, writes, suid):
    change = with_mounts(mount(DISK, "/srv", "/s", "ext4", options, host_path="/srv", super_options=super_options))
    assert (value(container.HOST_PATHS_WRITABLE, change).covers("/srv") is YES) is writes
    assert (value(container.HOST_PATHS_SUID, change).covers("/srv") is YES) is suid


def test_propagation():
    line = mount(DISK, "/srv", "/s", "ext4", host_path="/srv", peers=("shared:7",))
    assert value(container.HOST_PATHS_SHARED, with_mounts(line)) == Paths(("/srv",))
    slave = mount(DISK, "/srv", "/s", "ext4", host_path="/srv", peers=("master:7",))
    assert value(container.HOST_PATHS_SHARED, with_mounts(slave)) == Paths()
    inner = (mount("0:39", "/", "/", "overlay", peers=("shared:90",)), line)
    assert value(container.HOST_PATHS_SHARED, {observed.MOUNTS: inner}).covers("/srv") is UNKNOWN


@pytest.mark.parametrize(
    ("root", "paths"),
    [
        ("/etc/shadow", ("/etc/shadow",)),
        ("/etc/shadow//deleted", ("/etc/shadow",)),  # passwd(1) writes a new file; the old one is still read
        ("/run/docker.sock//deleted", ()),  # the engine listens at a new one since it was started again
    ],
)
def test_a_mounted_file_that_the_host_has_replaced(root, paths):
    change = with_mounts(bound(root, "/s"))
    assert value(container.HOST_PATHS, change) == Paths(paths)
    writes = value(container.HOST_PATHS_WRITABLE, change)
    assert writes == (Paths() if root.endswith("deleted") else Paths(paths))


def test_a_later_mount_hides_an_earlier_one():
    lines = (mount(DISK, "/etc", "/e", "ext4", host_path="/etc"), mount("0:70", "/", "/e", "tmpfs"))
    assert value(container.HOST_PATHS, with_mounts(*lines)) == Paths()


def test_unmasked_and_writable():
    open_ = (
        ROOT,
        mount("0:42", "/", "/proc", "proc"),
        mount("0:45", "/", "/sys", "sysfs"),
        mount("0:33", f"/docker/{ID}", "/sys/fs/cgroup", "cgroup2"),
    )
    out = judged({observed.MOUNTS: open_})
    assert out.value(container.MASKED) is False
    assert out.value(container.CGROUP_WRITABLE) is True
    assert container.PRIVILEGED not in out
    files = out.value(container.KERNEL_FILES_WRITABLE)
    assert files is not None
    assert files.has("/sys/kernel/uevent_helper") is YES
    assert out.value(container.HOST_SUPERBLOCK) is False


def test_lxcfs_and_token():
    files = mount("0:80", "/proc/cpuinfo", "/proc/cpuinfo", "fuse.lxcfs")
    tree = mount("0:80", "/", "/lxcfs", "fuse.lxcfs")
    token = mount("0:81", "/", "/run/secrets/kubernetes.io/serviceaccount", "tmpfs")
    assert value(container.LXCFS_WRITABLE, with_mounts(files)) is False
    assert value(container.LXCFS_WRITABLE, with_mounts(tree)) is True
    assert value(container.SERVICE_ACCOUNT_TOKEN, with_mounts(token)) is True
    assert value(container.SERVICE_ACCOUNT_TOKEN) is False


@pytest.mark.parametrize(
    ("label", "host_change", "apparmor", "selinux", "mounts"),
    [
        ("docker-default (enforce)", {}, "docker-default", "none", YES),
        ("docker-default (complain)", {}, "unconfined", "none", NO),
        ("unconfined", {}, "unconfined", "none", NO),
        ("mine (enforce)", {}, "mine", "none", UNKNOWN),
        ("", {host.APPARMOR_ENFORCING: False}, "none", "none", NO),
        ("system_u:system_r:container_t:s0:c1,c2", {host.APPARMOR_ENFORCING: False, host.SELINUX_ENFORCING: True},
         "none", "container_t", YES),
        ("system_u:system_r:spc_t:s0", {host.APPARMOR_ENFORCING: False, host.SELINUX_ENFORCING: True},
         "none", "spc_t", NO),
        ("system_u:system_r:container_t:s0:c1,c2", {host.APPARMOR_ENFORCING: False, host.SELINUX_ENFORCING: False},
         "none", "none", NO),
    ],
)  # fmt: skip
def test_labels(label, host_change, apparmor, selinux, mounts):
    change = {observed.LSM_LABEL: label}
    assert value(container.APPARMOR, change, host_change) == apparmor
    assert value(container.SELINUX, change, host_change) == selinux
    assert value(container.LSM_DENIES, change, host_change).has("mount") is mounts


@pytest.mark.parametrize(
    ("kernel", "system", "refused"),
    [((6, 12, 107), "debian-12", YES), ((6, 1, 0), "debian-12", NO), ((6, 1, 0), "other-1", UNKNOWN)],
)
def test_apparmor_over_the_newer_mount_calls(kernel, system, refused):
    """Seen in virtual machines: docker-default lets fsopen, fsmount and move_mount through on Debian's 6.1."""
    change = {observed.LSM_LABEL: "docker-default (enforce)"}
    denies = value(
        container.LSM_DENIES,
        change,
        {host.APPARMOR_ENFORCING: True, host.KERNEL_VERSION: kernel, host.DISTRIBUTION: system},
    )
    assert (denies.has("mount"), denies.has("move_mount")) == (YES, refused)


def test_a_label_that_was_not_read_leaves_open_what_is_refused():
    assert value(container.LSM_DENIES, without=(observed.LSM_LABEL,)).has("mount") is UNKNOWN


@pytest.mark.parametrize(
    ("lines", "own", "uid", "inside", "space"),
    [
        (((0, 100000, 65536),), True, 100033, 33, "private"),
        (((0, 100000, 65536),), None, 100000, 0, "private"),
        (((0, 0, 4294967295),), None, 0, 0, UNKNOWN_YET),
        (((0, 100000, 65536),), True, 5, UNKNOWN_YET, "private"),
        (((0, 0, 4294967295),), False, 7, 7, "host"),
    ],
)
def test_user_maps(lines, own, uid, inside, space):
    change = {observed.USER_MAP: lines, observed.HOST_USER_ID: uid}
    change |= {} if own is None else {observed.OWN_USER_NAMESPACE: own}
    without = (observed.OWN_USER_NAMESPACE,) if own is None else ()
    assert value(container.USER_ID, change, without=without) == inside
    assert value(container.HOST_USER_ID, change, without=without) == uid
    assert value(container.USER_NAMESPACE, change, without=without) == space


@pytest.mark.parametrize(
    ("node", "kinds"),
    [
        (DeviceNode("/dev/sda", "block", 8, 0), ("block",)),
        (DeviceNode("/dev/x", "char", 1, 1), ("mem",)),
        (DeviceNode("/dev/fuse", "char", 10, 229), ("fuse",)),
        (DeviceNode("/dev/nvidia-uvm", "char", 509, 0), ("gpu",)),
        (DeviceNode("/dev/tty1", "char", 4, 1), ("tty",)),
        (DeviceNode("/dev/console", "char", 136, 0), ()),
        (DeviceNode("/dev/sda", "char", 300, 0), ("other",)),
    ],
)
def test_device_nodes(node, kinds):
    assert value(container.DEVICES, {observed.DEVICE_NODES: (node,)}) == Members.of(*kinds)


@pytest.mark.parametrize(
    ("source", "kinds", "maybe"),
    [
        ("/", ("block", "mem", "port", "kmsg", "tty"), True),
        ("/dev", ("block", "mem", "port", "kmsg", "tty"), True),
        ("/dev/sda", ("block",), False),
        ("/dev/null", (), False),
        ("/srv", (), False),
    ],
)
def test_nodes_that_are_mounted_elsewhere_than_in_dev_count(source, kinds, maybe):
    seen = (*DOCKER, mount("0:5", source, "/mnt/it", "devtmpfs", host_path=source))
    found = value(container.DEVICES, {observed.DEVICE_NODES: (), observed.MOUNTS: seen})
    assert found.yes == frozenset(kinds)
    assert found.has("vfio") is (UNKNOWN if maybe else NO)


def test_device_rules_of_version_2_are_unknown():
    assert value(container.DEVICE_ACCESS, without=(observed.DEVICE_RULES,)) is UNKNOWN_YET
    every = value(container.DEVICE_ACCESS, {observed.DEVICE_RULES: ("a *:* rwm",)})
    assert every.has("block") is YES


def test_of_a_sandbox_only_the_sandbox_is_told():
    out = judged({observed.RUNTIME: "runsc"})
    assert out.value(container.SANDBOX) == "gvisor"
    assert list(out) == [container.SANDBOX]


@pytest.mark.parametrize(
    ("rows", "rootless"),
    [
        (((0, 1000, 1), (1, 100000, 65536)), True),
        (((0, 1000, 1),), True),
        (((0, 100000, 65536),), None),  # a rootful engine that remaps users
        (((0, 0, 4294967295),), None),
        (((0, 0, 1),), None),
        (((0, 100000, 1000), (1000, 1000, 1)), None),
    ],
)
def test_the_engine_of_an_ordinary_user_is_known_by_the_user_map(rows, rootless):
    out = judged({observed.USER_MAP: rows, observed.OWN_USER_NAMESPACE: True, observed.HOST_USER_ID: rows[0][1]})
    assert out.value(engine.ROOTLESS) is rootless


def test_a_program_out_of_sight_may_be_a_sandbox():
    unseen = Absent("run as root to see it", Where("/proc/7/exe"))
    out = from_observed(Facts({**said(PLAIN).table, observed.RUNTIME: unseen}), said(HOST))
    assert out.table[container.SANDBOX] == unseen
    elsewhere = Absent("the cgroup path names no runtime", Where("/proc/7/cgroup"))
    out = from_observed(Facts({**said(PLAIN).table, observed.RUNTIME: elsewhere}), said(HOST))
    assert out.value(container.SANDBOX) == "none"


def test_reasons_are_passed_on():
    gone = Absent("no permission", PLACE)
    facts = Facts({**said(PLAIN).table, observed.MOUNTS: gone, observed.CAPABILITIES_EFFECTIVE: gone})
    out = from_observed(facts, said(HOST))
    for fact in (container.HOST_PATHS, container.MASKED, container.CAPABILITIES):
        assert out.table[fact] is gone


def test_nothing_is_known_of_nothing():
    out = from_observed(Facts(), Facts())
    known = {fact.name for fact, entry in out.table.items() if isinstance(entry, Seen)}
    assert known == {"container.lsm_denies"}
    assert out.value(container.LSM_DENIES) == Members(maybe=out.value(container.LSM_DENIES).maybe)


def test_root_group_of_version_1():
    assert value(container.CGROUP_V1_ROOT, {observed.CGROUP_V1_ROOT: True}) is True
    assert value(container.CGROUP_V1_ROOT) is UNKNOWN_YET
    assert value(container.CGROUP_V1_ROOT, host_change={host.CGROUP_VERSION: "v2"}) is False


@pytest.mark.parametrize(
    ("node", "change", "expected"),
    [
        ((0, 6, 0o660), {observed.HOST_GROUP_IDS: Members.of(1000, 6)}, YES),
        ((0, 6, 0o660), {}, NO),
        ((0, 0, 0o600), {observed.HOST_GROUP_IDS: Members.of(1000, 6)}, NO),
        ((0, 0, 0o604), {}, YES),
        ((1000, 0, 0o400), {}, YES),
        (
            (1000, 0, 0o040),
            {observed.HOST_GROUP_IDS: Members.of(1000, 0)},
            NO,
        ),  # of the owner only the owner's bits count
        ((0, 0, 0o600), {observed.CAPABILITIES_EFFECTIVE: frozenset({"CAP_DAC_OVERRIDE"})}, YES),
        (
            (0, 0, 0o600),
            {observed.CAPABILITIES_EFFECTIVE: frozenset({"CAP_DAC_OVERRIDE"}), observed.OWN_USER_NAMESPACE: True},
            NO,
        ),
    ],
)
def test_a_node_opens_by_owner_group_and_mode(node, change, expected):
    owner, group, mode = node
    disk = DeviceNode("/dev/sda", "block", 8, 0, owner, group, mode)
    user = {observed.HOST_USER_ID: 1000, observed.HOST_GROUP_IDS: Members.of(1000)}
    bare = {observed.CAPABILITIES_EFFECTIVE: frozenset(), observed.CAPABILITIES_PERMITTED: frozenset()}
    permitted = value(container.DEVICES_PERMITTED, {observed.DEVICE_NODES: (disk,), **user, **bare, **change})
    assert permitted.has("block") is expected
