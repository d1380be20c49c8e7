"""Run a program on the host through the uevent_helper file.

What happens: ``/sys/kernel/uevent_helper`` names a program that the kernel starts for every device event. The container
writes the host path of one of its own files there and sets off an event by writing to some ``uevent`` file below
``/sys``.

Why the kernel allows it: the file is one for the whole machine, asks for no capability and belongs to host root. It is
what hotplug used before udev; kernels of today's distributions are mostly built without it (CONFIG_UEVENT_HELPER), but
kernels of appliances and older ones have it.

What closes it: a kernel without CONFIG_UEVENT_HELPER; the read-only ``/sys`` that every runtime gives to a container
that is not privileged; a user namespace or an ordinary user; AppArmor docker-default, which refuses most writes below
``/sys``; CONFIG_STATIC_USERMODEHELPER.

How it looks: a write to ``uevent_helper`` from a container, then a program started by the kernel itself.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import has, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import change_setting
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_root, lsm_permits, named

_FILE = "/sys/kernel/uevent_helper"

_OPEN: Situation = {
    container.KERNEL_FILES_WRITABLE: Members.of(_FILE),
    container.HOST_USER_ID: 0,
    container.SANDBOX: "none",
    container.LSM_DENIES: Members(),
    host.UEVENT_HELPER: True,
    host.STATIC_USERMODE_HELPER: False,
}

TECHNIQUE = Technique(
    title="Run a host program through the uevent_helper file",
    row=50,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=has(container.KERNEL_FILES_WRITABLE, _FILE)
    & host_root()
    & is_(host.UEVENT_HELPER, True)
    & is_(container.SANDBOX, "none")
    & lsm_permits("sys_write")
    & is_(host.STATIC_USERMODE_HELPER, False),
    gives=(Change(reach.HOST_ROOT, True, "the kernel starts the helper as root in the initial namespaces"),),
    closed_by=(
        Change(container.KERNEL_FILES_WRITABLE, without(_FILE), "do not run privileged: /sys stays read-only"),
        Change(container.HOST_USER_ID, 100000, "run as an ordinary user, or in a user namespace"),
        Change(container.LSM_DENIES, with_("sys_write"), "enforce AppArmor docker-default or SELinux container_t"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its /sys is its own"),
        Change(host.UEVENT_HELPER, False, "use a kernel without CONFIG_UEVENT_HELPER"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.WRITE, True) & named("/kernel/uevent_helper"),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.PATH: _FILE},
    drill_class=DrillClass.D2,
    drill=(change_setting(_FILE),),
    examples=(
        Example("privileged, on a kernel that has the file", _OPEN, YES),
        Example("privileged, on a kernel without it", {**_OPEN, host.UEVENT_HELPER: False}, NO),
        Example("the default read-only /sys", {**_OPEN, container.KERNEL_FILES_WRITABLE: Members()}, NO),
        Example("root of a user namespace", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example("host not seen", unseen(_OPEN, host.UEVENT_HELPER, host.STATIC_USERMODE_HELPER), UNKNOWN),
    ),
    sources=(
        "https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-uevent",
        "https://github.com/torvalds/linux/blob/master/drivers/base/Kconfig",
        "https://github.com/cdk-team/CDK/issues/58",
    ),
)
