"""Run a program on the host through the kernel's modprobe setting.

What happens: ``/proc/sys/kernel/modprobe`` names the program that the kernel starts when it wants a module. The
container writes the host path of one of its own files there and then asks for something that only a module could
provide, such as an unknown socket family or file system.

Why the kernel allows it: the setting is one for the whole machine and asks for no capability, only for the host's root
user. Forbidding modules (``kernel.modules_disabled``) does not help: the kernel still starts the program, and it is
the program, not a module, that does the harm. ``poweroff_cmd`` beside it is of the same kind.

What closes it: leaving the default masked and read-only paths in force; a user namespace or an ordinary user; AppArmor
docker-default or SELinux; CONFIG_STATIC_USERMODEHELPER, which starts one fixed program whatever the setting says.

How it looks: a write to that file from a container, then a program started by the kernel itself.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import AnyOf, has, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import change_setting, start_helper, step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_root, lsm_permits, named

_FILE = "/proc/sys/kernel/modprobe"

_OPEN: Situation = {
    container.KERNEL_FILES_WRITABLE: Members.of(_FILE),
    container.HOST_USER_ID: 0,
    container.SANDBOX: "none",
    container.LSM_DENIES: Members(),
    host.STATIC_USERMODE_HELPER: False,
}

TECHNIQUE = Technique(
    title="Run a host program through the kernel's modprobe setting",
    row=51,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=has(container.KERNEL_FILES_WRITABLE, _FILE)
    & host_root()
    & is_(container.SANDBOX, "none")
    & lsm_permits("proc_sys_write")
    & is_(host.STATIC_USERMODE_HELPER, False),
    gives=(Change(reach.HOST_ROOT, True, "the kernel starts the program as root in the initial namespaces"),),
    closed_by=(
        Change(container.KERNEL_FILES_WRITABLE, without(_FILE), "keep the default masked and read-only paths of /proc"),
        Change(container.HOST_USER_ID, 100000, "run as an ordinary user, or in a user namespace"),
        Change(container.LSM_DENIES, with_("proc_sys_write"), "enforce AppArmor docker-default or SELinux container_t"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its /proc is its own"),
        Change(host.STATIC_USERMODE_HELPER, True, "use a kernel that starts one fixed helper program only"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.WRITE, True)
    & AnyOf(
        (
            named("/sys/kernel/modprobe"),
            named("/sys/kernel/poweroff_cmd"),
            named("/sys/kernel/hotplug"),
        )
    ),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.PATH: _FILE},
    drill_class=DrillClass.D2,
    drill=(
        change_setting(_FILE),
        change_setting("/proc/sys/kernel/poweroff_cmd"),
        start_helper(
            "have the kernel start a program to find a module",
            step("set", path=_FILE, text="{helper}"),
            step("want_module"),
        ),
    ),
    examples=(
        Example("privileged, or /proc unmasked, as root", _OPEN, YES),
        Example("loading modules is forbidden, which does not help", {**_OPEN, host.MODULES_DISABLED: True}, YES),
        Example("the default read-only paths", {**_OPEN, container.KERNEL_FILES_WRITABLE: Members()}, NO),
        Example("an ordinary user", {**_OPEN, container.HOST_USER_ID: 1000}, NO),
        Example("one fixed helper program", {**_OPEN, host.STATIC_USERMODE_HELPER: True}, NO),
        Example("host not seen", unseen(_OPEN, host.STATIC_USERMODE_HELPER), UNKNOWN),
    ),
    sources=(
        "https://docs.kernel.org/admin-guide/sysctl/kernel.html#modprobe",
        "https://github.com/torvalds/linux/blob/master/kernel/module/kmod.c",
    ),
)
