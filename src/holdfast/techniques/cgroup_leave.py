"""Leave the control group that keeps devices away.

What happens: the host's cgroup tree is mounted writable, as recipes for systemd in a container ask. The container
writes its own process number into ``cgroup.procs`` of another group, for instance the root. There nothing keeps
devices away; it makes a node for the host's disk with mknod, opens it, and reads and writes the disk.

Why the kernel allows it: what a container may open is a matter of its control group: a list on version 1, a BPF
program on version 2. To move a process, write permission on the files is enough, which root has. No capability is
asked for, and AppArmor docker-default lets ``/sys/fs/cgroup`` be written. On version 2, a tree mounted with the option
nsdelegate, as systemd does, refuses moves out of a private cgroup namespace; version 1 knows no such bar.

What closes it: the runtime's own cgroup mount, which is read-only, or a read-only one; on version 2 with nsdelegate, a
private cgroup namespace; a user namespace or an ordinary user; SELinux. Without CAP_MKNOD no node can be made.

How it looks: a process of a container writes ``cgroup.procs`` of a group outside its own, then mknod.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, has, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import step
from holdfast.model.words import container, event, host
from holdfast.model.words.conditions import host_root, lsm_permits, named

# the groups at the top; a container's own group, mounted writable, is no way out
_TOP = ("/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/devices/cgroup.procs")

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/sys/fs/cgroup",)),
    container.HOST_USER_ID: 0,
    container.SANDBOX: "none",
    container.LSM_DENIES: Members(),
    container.SHARED_NAMESPACES: Members.of("cgroup"),
    host.CGROUP_VERSION: "v2",
    host.CGROUP_NAMESPACES_DELEGATED: True,
}
_PRIVATE: Situation = {**_OPEN, container.SHARED_NAMESPACES: Members()}

TECHNIQUE = Technique(
    title="Leave the control group that keeps devices away",
    row=36,
    attack=("T1611",),
    evidence=Evidence.DEDUCED,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, *_TOP)
    & host_root()
    & is_(container.SANDBOX, "none")
    & lsm_permits("host_files")
    & (
        one_of(host.CGROUP_VERSION, "v1", "hybrid")
        | has(container.SHARED_NAMESPACES, "cgroup")
        | is_(host.CGROUP_NAMESPACES_DELEGATED, False)
    ),
    gives=(
        Change(
            container.DEVICE_ACCESS,
            with_("block", "mem", "port", "kmsg", "tty", "uinput", "input", "vfio", "sg", "msr"),
            "the process is in a group that every device is open to",
        ),
    ),
    closed_by=(
        Change(
            container.HOST_PATHS_WRITABLE,
            without("/sys/fs/cgroup"),
            "do not mount the host's cgroup tree, or only read-only with all that lies below it",
        ),
        Change(container.HOST_USER_ID, 100000, "run as an ordinary user or in a user namespace"),
        Change(
            container.LSM_DENIES, with_("host_files"), "enforce SELinux: container_t may not write the host's groups"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its control groups are its own"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & (
        (is_(event.WRITE, True) & (named("/cgroup.procs") | (named("/tasks") & is_(event.FILE_SYSTEM, "cgroup"))))
        | (is_(event.SYSCALL, "clone3") & has(event.FLAGS, "CLONE_INTO_CGROUP") & is_(event.TARGET_OUTSIDE, True))
    ),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.PATH: "/sys/fs/cgroup/cgroup.procs"},
    drill_class=DrillClass.D2,
    drill=tuple(
        Way(
            f"move a process into {file}",
            (step("join_cgroup", procs_path=f"{{file:{file}}}"),),
            ProvedBy.SURFACE,
            in_host=frozenset({"user"}),
        )
        for file in _TOP
    ),
    examples=(
        Example("-v /sys/fs/cgroup:/sys/fs/cgroup:rw --cgroupns=host", _OPEN, YES),
        Example(
            "the same under docker-default",
            {**_OPEN, container.LSM_DENIES: Members.of("mount", "proc_sys_write", "sys_write", "ptrace_host")},
            YES,
        ),
        Example(
            "a private cgroup namespace on a host without nsdelegate",
            {**_PRIVATE, host.CGROUP_NAMESPACES_DELEGATED: False},
            YES,
        ),
        Example("a private cgroup namespace on a version 1 host", {**_PRIVATE, host.CGROUP_VERSION: "v1"}, YES),
        Example("a private cgroup namespace on a version 2 host that systemd runs", _PRIVATE, NO),
        Example(
            "its own group alone, mounted writable",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/sys/fs/cgroup/devices/docker/0123",))},
            NO,
        ),
        Example("the runtime's own, read-only mount", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example("an ordinary user", {**_OPEN, container.HOST_USER_ID: 1000}, NO),
        Example(
            "a private cgroup namespace, host not seen",
            unseen(_PRIVATE, host.CGROUP_VERSION, host.CGROUP_NAMESPACES_DELEGATED),
            UNKNOWN,
        ),
    ),
    sources=(
        "https://docs.kernel.org/admin-guide/cgroup-v2.html#delegation",
        "https://docs.kernel.org/admin-guide/cgroup-v2.html#device-controller",
        "https://docs.kernel.org/admin-guide/cgroup-v1/devices.html",
    ),
)
