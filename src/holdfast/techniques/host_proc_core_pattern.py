"""Have the kernel run a program by the core_pattern of the host's procfs.

What happens: the host's ``/proc`` is mounted somewhere in the container, writable. Root there writes
``|/path/of/a/program`` into ``sys/kernel/core_pattern``; the next process that crashes, in any container or none,
makes the kernel start that program as root in the host's own namespaces.

Why the kernel allows it: the setting has one value for the whole machine, and the file asks for user id 0 of the
initial user namespace and for no capability. The runtime's read-only ``/proc/sys`` guards the container's own procfs
only, and so do the rules of docker-default, the AppArmor profile, which are written for the path ``/proc``.

What closes it: not mounting the host's ``/proc``, or only read-only; a user namespace or another user, whatever
capabilities it has; SELinux; a kernel with CONFIG_STATIC_USERMODEHELPER or without CONFIG_COREDUMP.

How it looks: a write to a file that ends in ``/sys/kernel/core_pattern``, then a program started by the kernel
itself.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import change_setting, start_helper, step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_root, lsm_permits, named

_FILE = "/proc/sys/kernel/core_pattern"

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/proc",)),
    container.HOST_USER_ID: 0,
    container.SANDBOX: "none",
    container.LSM_DENIES: Members(),
    host.COREDUMP: True,
    host.STATIC_USERMODE_HELPER: False,
}

TECHNIQUE = Technique(
    title="Have the kernel run a program by the host's core_pattern",
    row=34,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, _FILE)
    & host_root()
    & is_(container.SANDBOX, "none")
    & lsm_permits("host_files")
    & is_(host.COREDUMP, True)
    & is_(host.STATIC_USERMODE_HELPER, False),
    gives=(Change(reach.HOST_ROOT, True, "the kernel starts the named program as root in the initial namespaces"),),
    closed_by=(
        Change(container.HOST_PATHS_WRITABLE, without(_FILE), "do not mount the host's /proc, or only read-only"),
        Change(container.HOST_USER_ID, 100000, "run as another user or in a user namespace: the file wants host root"),
        Change(
            container.LSM_DENIES, with_("host_files"), "enforce SELinux: container_t may not write the host's sysctls"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its file server may not write settings of the kernel"),
        Change(host.STATIC_USERMODE_HELPER, True, "use a kernel with CONFIG_STATIC_USERMODEHELPER"),
        Change(host.COREDUMP, False, "use a kernel without CONFIG_COREDUMP"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.WRITE, True) & named("/sys/kernel/core_pattern"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.WRITE: True,
        event.PATH: "/host/proc/sys/kernel/core_pattern",
        event.FILE_SYSTEM: "proc",
    },
    drill_class=DrillClass.D2,
    drill=(
        change_setting("{file:/proc/sys/kernel/core_pattern}"),
        start_helper(
            "have the kernel start a program for a core dump",
            step("set", path="{file:/proc/sys/kernel/core_pattern}", text="|{helper}"),
            step("crash"),
        ),
    ),
    examples=(
        Example("-v /proc:/host/proc as root", _OPEN, YES),
        Example(
            "the same under docker-default, which guards the container's own /proc only",
            {**_OPEN, container.LSM_DENIES: Members.of("mount", "proc_sys_write", "sys_write", "ptrace_host")},
            YES,
        ),
        Example(
            "the host's root directory, with /proc in it", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/",))}, YES
        ),
        Example("the same in gVisor", {**_OPEN, container.SANDBOX: "gvisor"}, NO),
        Example("/proc/sys alone", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/proc/sys",))}, YES),
        Example("mounted read-only, as monitoring does", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example("one harmless file", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/proc/loadavg",))}, NO),
        Example("not root", {**_OPEN, container.HOST_USER_ID: 1000}, NO),
        Example("SELinux container_t", {**_OPEN, container.LSM_DENIES: Members.of("host_files")}, NO),
        Example("kernel's configuration not seen", unseen(_OPEN, host.STATIC_USERMODE_HELPER), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man5/core.5.html",
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/CE_UMH_CORE_PATTERN.md",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/mount_procfs.go",
    ),
)
