"""Run a program on the host through the core_pattern setting.

What happens: a line that starts with ``|`` in ``/proc/sys/kernel/core_pattern`` names a program that the kernel starts
when a process dumps core. The container writes the host path of one of its own files there, or ``/proc/%P/root/FILE``,
in which the kernel itself fills in the right process id; then it lets a process of its own crash.

Why the kernel allows it: the setting is one for the whole machine, whatever the namespaces. The file asks for no
capability, only for the host's root user. What keeps an ordinary container off is that the runtime mounts
``/proc/sys`` read-only.

What closes it: leaving the default masked and read-only paths in force; a user namespace or an ordinary user; AppArmor
docker-default or SELinux, which refuse the write; a kernel without core dumps or with CONFIG_STATIC_USERMODEHELPER.
CAP_SYS_ADMIN with a permitted mount opens the read-only mount again: technique ``proc-remount``.

How it looks: a write to ``core_pattern`` from a container, then a program started by the kernel itself.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import has, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import change_setting, start_helper, step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_root, lsm_permits, named

_FILE = "/proc/sys/kernel/core_pattern"

_OPEN: Situation = {
    container.KERNEL_FILES_WRITABLE: Members.of(_FILE),
    container.HOST_USER_ID: 0,
    container.SANDBOX: "none",
    container.LSM_DENIES: Members(),
    host.COREDUMP: True,
    host.STATIC_USERMODE_HELPER: False,
}

TECHNIQUE = Technique(
    title="Run a host program through the core_pattern setting",
    row=48,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=has(container.KERNEL_FILES_WRITABLE, _FILE)
    & host_root()
    & is_(container.SANDBOX, "none")
    & lsm_permits("proc_sys_write")
    & is_(host.COREDUMP, True)
    & is_(host.STATIC_USERMODE_HELPER, False),
    gives=(Change(reach.HOST_ROOT, True, "the kernel starts the handler as root in the initial namespaces"),),
    closed_by=(
        Change(container.KERNEL_FILES_WRITABLE, without(_FILE), "keep the default masked and read-only paths of /proc"),
        Change(container.HOST_USER_ID, 100000, "run as an ordinary user, or in a user namespace"),
        Change(container.LSM_DENIES, with_("proc_sys_write"), "enforce AppArmor docker-default or SELinux container_t"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its /proc is its own"),
        Change(host.STATIC_USERMODE_HELPER, True, "use a kernel that starts one fixed helper program only"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.WRITE, True) & named("/sys/kernel/core_pattern"),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.PATH: _FILE},
    drill_class=DrillClass.D2,
    drill=(
        change_setting(_FILE),
        start_helper(
            "have the kernel start a program for a core dump",
            step("set", path="/proc/sys/kernel/core_pattern", text="|{helper}"),
            step("crash"),
        ),
    ),
    examples=(
        Example("privileged, or /proc unmasked, as root", _OPEN, YES),
        Example("the default read-only paths", {**_OPEN, container.KERNEL_FILES_WRITABLE: Members()}, NO),
        Example("root of a user namespace", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example("unmasked, but docker-default", {**_OPEN, container.LSM_DENIES: Members.of("proc_sys_write")}, NO),
        Example("a kernel that dumps no core", {**_OPEN, host.COREDUMP: False}, NO),
        Example("host not seen", unseen(_OPEN, host.COREDUMP, host.STATIC_USERMODE_HELPER), UNKNOWN),
    ),
    sources=(
        "https://docs.kernel.org/admin-guide/sysctl/kernel.html#core-pattern",
        "https://man7.org/linux/man-pages/man5/core.5.html",
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/CE_UMH_CORE_PATTERN.md",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/mount_procfs.go",
    ),
)
