"""Run a program on the host through a version 1 cgroup file system that is mounted writable.

What happens: the host's ``/sys/fs/cgroup`` is mounted writable, as some recipes for systemd in a container ask. On a
host with version 1 hierarchies root writes a path into ``release_agent`` of a hierarchy's root and empties a group;
the kernel starts the program as root in the host's own namespaces. No mount call is needed, so neither seccomp nor
AppArmor is asked.

Why the kernel allows it: before Linux 5.17 (CVE-2022-0492) writing the file took nothing but permission to open it.
Since then it also takes CAP_SYS_ADMIN in the initial user namespace, which the runtimes' default set does not hold.

What closes it: the runtime's read-only mount; not granting CAP_SYS_ADMIN on a kernel that has the change; a user
namespace; SELinux; a host with cgroup version 2 only; CONFIG_STATIC_USERMODEHELPER.

How it looks: a write to ``release_agent`` without a mount before it, then a program started by the kernel itself.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_, less_than, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_capability, host_root, lsm_permits, named

# the file is in the root of a hierarchy alone; a container's own group, which a privileged one may write, has none
_FILES = tuple(
    f"/sys/fs/cgroup/{hierarchy}/release_agent"
    for hierarchy in (
        "blkio", "cpu", "cpu,cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory", "misc", "net_cls",
        "net_cls,net_prio", "perf_event", "pids", "rdma", "systemd",
    )
)  # fmt: skip

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/sys/fs/cgroup",)),
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.LAYER_PATH_KNOWN: True,
    host.CGROUP_VERSION: "hybrid",
    host.KERNEL_VERSION: (6, 1, 0),
    host.STATIC_USERMODE_HELPER: False,
}
_DEFAULT: Situation = {**_OPEN, container.CAPABILITIES: Members.of("CAP_CHOWN", "CAP_MKNOD")}

TECHNIQUE = Technique(
    title="Run a host program through a writable cgroup v1 mount",
    row=36,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, *_FILES)
    & host_root()
    & lsm_permits("host_files")
    & one_of(host.CGROUP_VERSION, "v1", "hybrid")
    & (
        host_capability("CAP_SYS_ADMIN")
        | (less_than(host.KERNEL_VERSION, (5, 17)) & is_(host.RELEASE_AGENT_GUARDED, False))
    )
    & is_(container.LAYER_PATH_KNOWN, True)
    & is_(host.STATIC_USERMODE_HELPER, False),
    gives=(Change(reach.HOST_ROOT, True, "the kernel starts the release agent as root in the initial namespaces"),),
    closed_by=(
        Change(
            container.HOST_PATHS_WRITABLE,
            without("/sys/fs/cgroup"),
            "leave the cgroup file system read-only or unmounted",
        ),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(
            container.LSM_DENIES, with_("host_files"), "enforce SELinux: container_t may not write the host's cgroups"
        ),
        Change(host.CGROUP_VERSION, "v2", "boot the host with cgroup version 2 only: it has no release_agent"),
        Change(host.STATIC_USERMODE_HELPER, True, "use a kernel with CONFIG_STATIC_USERMODEHELPER"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.WRITE, True) & named("/release_agent"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.WRITE: True,
        event.PATH: "/sys/fs/cgroup/memory/release_agent",
        event.FILE_SYSTEM: "cgroup",
    },
    drill_class=DrillClass.D2,
    drill=(
        Way(
            "write release_agent of a mounted hierarchy back as it is",
            (step("rewrite", path="{file:/sys/fs/cgroup/*/release_agent}"),),
            ProvedBy.SURFACE,
        ),
    ),
    examples=(
        Example(
            "privileged: its own group is writable, which is not the root of the hierarchy",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/sys/fs/cgroup/memory/docker/0123",))},
            NO,
        ),
        Example("mounted writable, with CAP_SYS_ADMIN", _OPEN, YES),
        Example(
            "default capabilities on a kernel without the change",
            {**_DEFAULT, host.KERNEL_VERSION: (5, 4, 0), host.RELEASE_AGENT_GUARDED: False},
            YES,
        ),
        Example("default capabilities on a kernel with the change", _DEFAULT, NO),
        Example("a host with version 2 only", {**_OPEN, host.CGROUP_VERSION: "v2"}, NO),
        Example("mounted read-only", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example(
            "default capabilities on an old kernel whose patches nobody knows",
            {**_DEFAULT, host.KERNEL_VERSION: (5, 10, 0)},
            UNKNOWN,
        ),
        Example("host not seen", unseen(_OPEN, host.CGROUP_VERSION), UNKNOWN),
    ),
    sources=(
        "https://docs.kernel.org/admin-guide/cgroup-v1/cgroups.html#what-does-notify-on-release-do",
        "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/commit/?id=24f6008564183aa120d07c03d9289519c2fe02af",
    ),
)
