"""Mount a disk of the host.

What happens: the container mounts a block device of the host, for instance the partition that holds the host's root
directory, and then reads and writes the host's files as if they were its own.

Why the kernel allows it: mounting a disk needs CAP_SYS_ADMIN in the initial user namespace and a node for the device,
which CAP_MKNOD, a Docker default, makes inside. The device cgroup is asked when the disk is opened; since Linux 6.6 the
kernel looks first whether the disk is mounted already, as the host's root directory always is, and then opens nothing:
no device need be granted. Btrfs is an exception. Before 6.6 the device cgroup had to agree.

AppArmor docker-default refuses mount, yet the newer calls fsopen and fsmount make a mount whose files can be opened
without attaching it anywhere; its rules have no say over that.

What closes it: not running privileged, or dropping CAP_SYS_ADMIN; granting no block device; a seccomp profile that
refuses mount and fsopen; SELinux; a user namespace. A device that was granted read-only can still be mounted
read-only.

How it looks: a mount of a block device by a process in a container, after the container was started.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import at_least, has, has_any, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import (
    host_root,
    lsm_permits,
    may_make_device,
    may_mount,
    may_open_device,
    may_use_detached,
)

_OPEN: Situation = {
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN", "CAP_MKNOD"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("mount", "mknod"),
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
    container.DEVICES: Members.of("block"),
    container.DEVICE_ACCESS: Members.of("block"),
    host.KERNEL_VERSION: (6, 1, 0),
    host.MOUNTED_FILE_SYSTEMS: Members.of("ext4", "proc"),
}

# file systems of one block device, which the kernel finds by its number when they are mounted already
_MOUNTED_ALREADY = at_least(host.KERNEL_VERSION, (6, 6)) & has_any(
    host.MOUNTED_FILE_SYSTEMS, "ext4", "xfs", "ext3", "ext2", "f2fs", "vfat"
)
_NODE = has(container.DEVICES, "block") | may_make_device()

TECHNIQUE = Technique(
    title="Mount a disk of the host",
    row=43,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=(may_mount() | may_use_detached())
    & host_root()
    & (may_open_device("block") | (_MOUNTED_ALREADY & _NODE & lsm_permits("devices"))),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "the host's file system is mounted inside, writable"),
        Change(reach.HOST_FILE_READ, True, "the host's file system is mounted inside"),
    ),
    closed_by=(
        Change(container.CAPABILITIES, without("CAP_SYS_ADMIN"), "drop CAP_SYS_ADMIN: nothing can be mounted"),
        Change(
            container.LSM_DENIES,
            with_("mount", "move_mount", "detached_mount"),
            "enforce SELinux container_t; AppArmor docker-default refuses mount, but not all the newer calls",
        ),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: the mount never reaches the host's kernel"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & one_of(event.SYSCALL, "mount", "fsconfig") & is_(event.FILE_KIND, "block"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "mount", event.FILE_KIND: "block", event.PATH: "/dev/sda1"},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "mount a disk and read a canary",
            (
                step("mount", source="{disk}", target="{point}", type="{disk_type}", flags="{disk_flags}", data=""),
                step("open", path="{point}/secret", mode="r"),
                step("read", slot="1", length="256"),
            ),
            ProvedBy.READ,
        ),
        Way(
            "make a node for a disk, mount it and read a canary",
            (
                step("mknod", path="{work}/{token}", kind="b", major="{disk_major}", minor="{disk_minor}"),
                step(
                    "mount",
                    source="{work}/{token}",
                    target="{point}",
                    type="{disk_type}",
                    flags="{disk_flags}",
                    data="",
                ),
                step("open", path="{point}/secret", mode="r"),
                step("read", slot="2", length="256"),
            ),
            ProvedBy.READ,
        ),
        Way(
            "read a canary of a disk that is mounted and attached nowhere",
            (
                step("detached", type="{disk_type}", options="source={disk}{disk_option}"),
                step("open_at", slot="0", path="secret", mode="r"),
                step("read", slot="1", length="256"),
            ),
            ProvedBy.READ,
        ),
        Way(
            "make a node for a disk and read a canary of it, attached nowhere",
            (
                step("mknod", path="{work}/{token}", kind="b", major="{disk_major}", minor="{disk_minor}"),
                step("detached", type="{disk_type}", options="source={work}/{token}{disk_option}"),
                step("open_at", slot="1", path="secret", mode="r"),
                step("read", slot="2", length="256"),
            ),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("privileged", _OPEN, YES),
        Example("no node inside, but mknod makes one", {**_OPEN, container.DEVICES: Members()}, YES),
        Example(
            "CAP_SYS_ADMIN without any device, before Linux 6.6", {**_OPEN, container.DEVICE_ACCESS: Members()}, NO
        ),
        Example(
            "the same since Linux 6.6: a mounted disk is not opened again",
            {**_OPEN, container.DEVICE_ACCESS: Members(), host.KERNEL_VERSION: (6, 12, 107)},
            YES,
        ),
        Example(
            "since Linux 6.6, the host's /dev mounted inside, without CAP_MKNOD and without a grant",
            {
                **_OPEN,
                container.CAPABILITIES: Members.of("CAP_SYS_ADMIN"),
                container.DEVICE_ACCESS: Members(),
                host.KERNEL_VERSION: (6, 12, 107),
            },
            YES,
        ),
        Example(
            "the same on a host whose root directory lies on btrfs",
            {
                **_OPEN,
                container.DEVICE_ACCESS: Members(),
                host.KERNEL_VERSION: (6, 12, 107),
                host.MOUNTED_FILE_SYSTEMS: Members.of("btrfs", "proc"),
            },
            NO,
        ),
        Example(
            "under docker-default, where seccomp refuses the newer calls",
            {**_OPEN, container.LSM_DENIES: Members.of("mount")},
            NO,
        ),
        Example(
            "under docker-default, with a mount that is attached nowhere",
            {
                **_OPEN,
                container.SYSCALLS: Members.of("mount", "mknod", "fsopen", "fsmount", "move_mount"),
                container.LSM_DENIES: Members.of("mount", "move_mount"),
            },
            YES,
        ),
        Example("root in a user namespace", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example(
            "no node inside and no CAP_MKNOD",
            {
                **_OPEN,
                container.DEVICES: Members(),
                container.CAPABILITIES: Members.of("CAP_SYS_ADMIN"),
                host.KERNEL_VERSION: (6, 12, 107),
            },
            NO,
        ),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=(
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/mount_device.go",
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/CE_PRIV_MOUNT.md",
        "https://github.com/redcanaryco/atomic-red-team/blob/master/atomics/T1611/T1611.md",
        "https://man7.org/linux/man-pages/man2/mount.2.html",
        "https://github.com/torvalds/linux/blob/v6.6/fs/super.c",
    ),
)
