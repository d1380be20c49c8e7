"""Mount a disk of the host.

What happens: the container mounts a block device of the host, for instance the partition that holds the host's root
directory, and then reads and writes the host's files as if they were its own.

Why the kernel allows it: mounting a disk needs CAP_SYS_ADMIN in the initial user namespace, a node for the device and
the device cgroup's consent, nothing else. A privileged container has all three. With CAP_MKNOD, a Docker default, the
node can be made inside; it need not be granted. That a file system is mounted elsewhere already does not matter.

What closes it: not running privileged, or dropping CAP_SYS_ADMIN; an AppArmor or SELinux policy that refuses mount
(docker-default does); a user namespace; granting no block device. A device that was granted read-only can still be
mounted read-only.

How it looks: a mount of a block device by a process in a container, after the container was started.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import host_root, may_mount, may_open_device

_OPEN: Situation = {
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN", "CAP_MKNOD"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("mount", "mknod"),
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
    container.DEVICES: Members.of("block"),
    container.DEVICE_ACCESS: Members.of("block"),
}

TECHNIQUE = Technique(
    title="Mount a disk of the host",
    row=43,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=may_mount() & host_root() & may_open_device("block"),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "the host's file system is mounted inside, writable"),
        Change(reach.HOST_FILE_READ, True, "the host's file system is mounted inside"),
    ),
    closed_by=(
        Change(container.CAPABILITIES, without("CAP_SYS_ADMIN"), "drop CAP_SYS_ADMIN: nothing can be mounted"),
        Change(container.DEVICE_ACCESS, without("block"), "grant no block device and do not run privileged"),
        Change(container.LSM_DENIES, with_("mount"), "enforce an AppArmor or SELinux policy that refuses mount"),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: the mount never reaches the host's kernel"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.SYSCALL, "mount") & is_(event.FILE_KIND, "block"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "mount", event.FILE_KIND: "block", event.PATH: "/dev/sda1"},
    drill_class=DrillClass.D3,
    examples=(
        Example("privileged", _OPEN, YES),
        Example("no node inside, but mknod makes one", {**_OPEN, container.DEVICES: Members()}, YES),
        Example("CAP_SYS_ADMIN without any device", {**_OPEN, container.DEVICE_ACCESS: Members()}, NO),
        Example("the same under docker-default", {**_OPEN, container.LSM_DENIES: Members.of("mount")}, NO),
        Example("root in a user namespace", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example(
            "no node inside and no CAP_MKNOD",
            {**_OPEN, container.DEVICES: Members(), container.CAPABILITIES: Members.of("CAP_SYS_ADMIN")},
            NO,
        ),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=(
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/mount_device.go",
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/CE_PRIV_MOUNT.md",
        "https://github.com/redcanaryco/atomic-red-team/blob/master/atomics/T1611/T1611.md",
        "https://man7.org/linux/man-pages/man2/mount.2.html",
    ),
)
