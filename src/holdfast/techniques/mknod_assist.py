"""Make a device node inside and let an ordinary account of the host open it.

What happens: root of the container makes a node for the host's disk, readable by everybody. The container itself may
not open it: the device cgroup forbids that, but not the making. An attacker who also has an ordinary account on the
host opens the node through ``/proc/PID/root`` of a container process that runs under the same user id, which root of
the container can start. No device cgroup holds this account back.

Why the kernel allows it: CAP_MKNOD, a default of Docker, permits mknod, and engines permit it in the device cgroup too.
The node carries no mark of where it was made, and the container's file system is not mounted nodev.

What closes it: dropping CAP_MKNOD (Podman does by default); a user namespace, in which mknod of devices is refused; a
sandbox; nobody untrusted with an account on the host.

How it looks: mknod of a block device by a process in a container.
"""

from holdfast.model.change import Change, without
from holdfast.model.logic import is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import assumed, container, event, reach
from holdfast.model.words.conditions import host_root, may_make_device

_OPEN: Situation = {
    assumed.HOST_USER: True,
    container.CAPABILITIES: Members.of("CAP_MKNOD", "CAP_SETUID"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("mknod", "mknodat"),
    container.HOST_USER_ID: 0,
}

TECHNIQUE = Technique(
    title="Make a device node for an accomplice on the host",
    row=64,
    attack=("T1611", "T1548"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=host_root() & may_make_device() & is_(assumed.HOST_USER, True),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "the account on the host writes the disk through the node"),
        Change(reach.HOST_FILE_READ, True, "the account on the host reads the disk through the node"),
    ),
    closed_by=(
        Change(container.CAPABILITIES, without("CAP_MKNOD"), "drop CAP_MKNOD"),
        Change(container.SYSCALLS, without("mknod", "mknodat"), "use a seccomp profile that refuses mknod"),
        Change(container.HOST_USER_ID, 100000, "run as an ordinary user, or in a user namespace"),
        Change(container.USER_NAMESPACE, "private", "run in a user namespace: it may not make device nodes"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its device nodes are its own"),
        Change(assumed.HOST_USER, False, "give nobody untrusted an account on the host"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & one_of(event.SYSCALL, "mknod", "mknodat") & is_(event.FILE_KIND, "block"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "mknodat", event.FILE_KIND: "block"},
    drill_class=DrillClass.D1,
    drill=(
        Way(
            "make a device node and open it on the host as an ordinary user would",
            (step("mknod", path="{work}/{token}", kind="b", major="{disk_major}", minor="{disk_minor}"),),
            ProvedBy.SURFACE,
            in_host=frozenset({"user"}),
        ),
    ),
    examples=(
        Example("default capabilities, and the attacker has an account on the host", _OPEN, YES),
        Example("nobody untrusted has an account", {**_OPEN, assumed.HOST_USER: False}, NO),
        Example("CAP_MKNOD dropped", {**_OPEN, container.CAPABILITIES: Members.of("CAP_SETUID")}, NO),
        Example("in a user namespace", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example("accounts not known", unseen(_OPEN, assumed.HOST_USER), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/mknod.2.html",
        "https://docs.kernel.org/admin-guide/cgroup-v1/devices.html",
        "https://man7.org/linux/man-pages/man7/user_namespaces.7.html",
    ),
)
