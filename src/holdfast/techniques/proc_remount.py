"""Make the settings below /proc/sys writable again, or mount them afresh.

What happens: the runtime mounts ``/proc/sys`` and ``/sys`` read-only and covers other files. A container that may
mount takes that back: it remounts the read-only mount writable, or mounts a second procfs, sysfs or binfmt_misc, which
comes without the covers. Then the machine's settings lie open, for instance ``core_pattern``. AppArmor's rules
against writing them name paths below ``/proc`` and ``/sys``; a second procfs at another place is not meant by them.

Why the kernel allows it: read-only and masked paths are ordinary mounts. Whoever has CAP_SYS_ADMIN over the mount
namespace's own user namespace may change them; they are locked only for a namespace below another one. This does not
depend on the cgroup version.

What closes it: dropping CAP_SYS_ADMIN; a seccomp profile that refuses mount and the newer calls fsopen, fsmount and
move_mount; SELinux; AppArmor docker-default on Linux 6.7 or later (before, its refusal of mount did not reach
move_mount); a user namespace, whose root is not the host's root; a sandbox.

How it looks: a remount below ``/proc`` or ``/sys``, or a mount of type proc or sysfs, in a container that runs already.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import AnyOf, has, is_, one_of, starts_with
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import change_setting, step
from holdfast.model.words import container, event
from holdfast.model.words.conditions import host_root, may_mount

_OPEN: Situation = {
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("mount"),
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
}

TECHNIQUE = Technique(
    title="Make /proc/sys and /sys writable again",
    row=49,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=may_mount() & host_root(),
    gives=(
        Change(
            container.KERNEL_FILES_WRITABLE,
            with_(
                "/proc/sys/kernel/core_pattern",
                "/proc/sys/kernel/modprobe",
                "/proc/sys/kernel/poweroff_cmd",
                "/proc/sysrq-trigger",
                "/sys/kernel/uevent_helper",
            ),
            "the kernel's settings are mounted writable",
        ),
        Change(
            container.LSM_DENIES,
            without("proc_sys_write", "sys_write"),
            "they are mounted at another place than the one that path rules of AppArmor name",
        ),
    ),
    closed_by=(
        Change(container.CAPABILITIES, without("CAP_SYS_ADMIN"), "drop CAP_SYS_ADMIN: nothing can be mounted"),
        Change(container.SYSCALLS, without("mount", "fsopen"), "use a seccomp profile that refuses mount and fsopen"),
        Change(
            container.LSM_DENIES,
            with_("mount", "move_mount"),
            "enforce SELinux container_t, or AppArmor docker-default on Linux 6.7 or later",
        ),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its /proc is its own"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & one_of(event.SYSCALL, "mount", "mount_setattr", "move_mount")
    & AnyOf(
        (
            one_of(event.FILE_SYSTEM, "proc", "sysfs", "binfmt_misc"),
            has(event.FLAGS, "MS_REMOUNT") & starts_with(event.PATH, "/proc"),
            has(event.FLAGS, "MS_REMOUNT") & starts_with(event.PATH, "/sys"),
        )
    ),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "mount",
        event.FLAGS: Members.of("MS_REMOUNT"),
        event.PATH: "/proc/sys",
        event.FILE_SYSTEM: "proc",
    },
    drill_class=DrillClass.D1,
    drill=(
        change_setting(
            "/proc/sys/kernel/core_pattern",
            step("remount", target="/proc/sys", flags="0x1020", undo_flags="0x1021"),  # MS_BIND | MS_REMOUNT, MS_RDONLY
            what="core_pattern after a remount",
        ),
        change_setting(
            "{point}/sys/kernel/core_pattern",
            step("mount", source="holdfast", target="{point}", type="proc", flags="0", data=""),
            what="core_pattern in a fresh procfs",
        ),
        change_setting(
            "{point}/kernel/mm/transparent_hugepage/defrag",
            step("mount", source="holdfast", target="{point}", type="sysfs", flags="0", data=""),
            what="a setting in a fresh sysfs",
        ),
        Way(
            "move a fresh procfs into place",
            (
                step("detached", type="proc", options=""),
                step("attach", slot="0", path="{point}"),
                step("rewrite", path="{point}/sys/kernel/core_pattern"),
            ),
            ProvedBy.SURFACE,
        ),
    ),
    examples=(
        Example("CAP_SYS_ADMIN without AppArmor, default seccomp", _OPEN, YES),
        Example("the same under docker-default", {**_OPEN, container.LSM_DENIES: Members.of("mount")}, NO),
        Example(
            "under docker-default before Linux 6.7, by the newer calls",
            {
                **_OPEN,
                container.SYSCALLS: Members.of("mount", "fsopen", "fsmount", "move_mount"),
                container.LSM_DENIES: Members.of("mount", "proc_sys_write"),
            },
            YES,
        ),
        Example(
            "under docker-default since Linux 6.7",
            {
                **_OPEN,
                container.SYSCALLS: Members.of("mount", "fsopen", "fsmount", "move_mount"),
                container.LSM_DENIES: Members.of("mount", "move_mount"),
            },
            NO,
        ),
        Example("default capabilities", {**_OPEN, container.CAPABILITIES: Members.of("CAP_SYS_CHROOT")}, NO),
        Example("CAP_SYS_ADMIN in a user namespace", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man7/mount_namespaces.7.html",
        "https://man7.org/linux/man-pages/man2/mount.2.html",
        "https://github.com/lxc/lxc/issues/4723",
        "https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#readonly-paths",
    ),
)
