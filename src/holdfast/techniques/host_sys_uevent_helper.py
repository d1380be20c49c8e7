"""Have the kernel run a program by the uevent_helper of the host's sysfs.

What happens: the host's ``/sys`` is mounted writable. Root in the container writes a program's path into
``/sys/kernel/uevent_helper`` and then ``change`` into any device's ``uevent`` file; the kernel starts the program as
root in the host's own namespaces.

Why the kernel allows it: before udev this was how devices were announced, and kernels built with CONFIG_UEVENT_HELPER
still have the file. It asks for root and for no capability.

What closes it: not mounting the host's ``/sys``, or only read-only; a user namespace; another user than root;
SELinux; a kernel without CONFIG_UEVENT_HELPER, which is what most distributions ship, or with
CONFIG_STATIC_USERMODEHELPER. docker-default, the AppArmor profile, refuses it only where the host's ``/sys`` is
mounted on ``/sys`` itself.

How it looks: a write to a file that ends in ``/kernel/uevent_helper``, then a program started by the kernel itself.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import change_setting
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import lsm_permits, named, writes_as_root

_FILE = "/sys/kernel/uevent_helper"

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/sys",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    host.UEVENT_HELPER: True,
    host.STATIC_USERMODE_HELPER: False,
}

TECHNIQUE = Technique(
    title="Have the kernel run a program by the host's uevent_helper",
    row=35,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, _FILE)
    & writes_as_root()
    & lsm_permits("host_files")
    & is_(host.UEVENT_HELPER, True)
    & is_(host.STATIC_USERMODE_HELPER, False),
    gives=(Change(reach.HOST_ROOT, True, "the kernel starts the helper as root in the initial namespaces"),),
    closed_by=(
        Change(container.HOST_PATHS_WRITABLE, without(_FILE), "do not mount the host's /sys, or only read-only"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(
            container.LSM_DENIES, with_("host_files"), "enforce SELinux: container_t may not write the host's sysfs"
        ),
        Change(host.UEVENT_HELPER, False, "use a kernel without CONFIG_UEVENT_HELPER"),
        Change(host.STATIC_USERMODE_HELPER, True, "use a kernel with CONFIG_STATIC_USERMODEHELPER"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.WRITE, True) & named("/kernel/uevent_helper"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.WRITE: True,
        event.PATH: "/host/sys/kernel/uevent_helper",
        event.FILE_SYSTEM: "sysfs",
    },
    drill_class=DrillClass.D2,
    drill=(change_setting("{file:/sys/kernel/uevent_helper}"),),
    examples=(
        Example("-v /sys:/host/sys as root, on a kernel with the file", _OPEN, YES),
        Example("a kernel without the file", {**_OPEN, host.UEVENT_HELPER: False}, NO),
        Example("mounted read-only", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example("only a class of devices", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/sys/class/gpio",))}, NO),
        Example("not seen whether the file exists", unseen(_OPEN, host.UEVENT_HELPER), UNKNOWN),
    ),
    sources=(
        "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/drivers/base/Kconfig",
        "https://github.com/cdk-team/CDK/issues/58",
    ),
)
