"""Read and write a disk of the host through its device node, without mounting it.

What happens: the container opens the node of a block device and reads the disk's blocks. Tools such as debugfs find
files in them; writing the blocks changes the host's files behind its back. No mount is made and no CAP_SYS_ADMIN is
needed.

Why the kernel allows it: a device node is guarded by its file permissions, usually ``root:disk 0660``, and by the
device cgroup, not by a capability. Root of the container is root there unless a user namespace is in the way. A rule
of the device cgroup alone is enough too: with CAP_MKNOD, a Docker default, the node is made inside. A Kata sandbox
does not help: it plugs the granted disk into the guest, and it is still the host's disk.

What closes it: not granting the device; running as an ordinary user outside group disk, or in a user namespace; an
SELinux policy, which keeps container_t from disks. A device granted read-only gives reading alone, which is bad
enough: password hashes and keys are in it.

How it looks: a process in a container opens a block device.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import has, is_, is_not, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import host_root, may_open_device

_OPEN: Situation = {
    container.CAPABILITIES: Members(),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("mknod"),
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
    container.DEVICES: Members.of("block"),
    container.DEVICES_PERMITTED: Members(),
    container.DEVICE_ACCESS: Members.of("block"),
}

TECHNIQUE = Technique(
    title="Read and write a disk of the host through its device node",
    row=44,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=may_open_device("block")
    & is_not(container.SANDBOX, "gvisor")
    & (host_root() | has(container.DEVICES_PERMITTED, "block")),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "blocks of the host's disk are written unless it was granted read-only"),
        Change(reach.HOST_FILE_READ, True, "every file on the disk can be read from its blocks"),
    ),
    closed_by=(
        Change(container.DEVICE_ACCESS, without("block"), "grant no block device"),
        Change(container.HOST_USER_ID, 100000, "run as an ordinary user, or in a user namespace"),
        Change(container.LSM_DENIES, with_("devices"), "enforce an SELinux policy that keeps containers from disks"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox that does not pass devices on"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.FILE_KIND, "block")
    & one_of(event.SYSCALL, "open", "openat", "openat2"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.FILE_KIND: "block",
        event.SYSCALL: "openat",
        event.PATH: "/dev/sda1",
    },
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "read the first block of a disk",
            (step("open", path="{disk}", mode="r"), step("read_at", slot="0", offset="0", length="512")),
            ProvedBy.READ,
        ),
        Way(
            "make a node for a disk and read its first block",
            (
                step("mknod", path="{work}/{token}", kind="b", major="{disk_major}", minor="{disk_minor}"),
                step("open", path="{work}/{token}", mode="r"),
                step("read_at", slot="1", offset="0", length="512"),
            ),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("a disk granted to a container that runs as root, without any capability", _OPEN, YES),
        Example(
            "a device cgroup rule and CAP_MKNOD, but no node",
            {**_OPEN, container.DEVICES: Members(), container.CAPABILITIES: Members.of("CAP_MKNOD")},
            YES,
        ),
        Example("a disk granted to a Kata guest", {**_OPEN, container.SANDBOX: "kata"}, YES),
        Example("no node and no CAP_MKNOD", {**_OPEN, container.DEVICES: Members()}, NO),
        Example("a node that the device cgroup refuses", {**_OPEN, container.DEVICE_ACCESS: Members()}, NO),
        Example("an ordinary user", {**_OPEN, container.HOST_USER_ID: 1000}, NO),
        Example("root of a user namespace", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example(
            "an ordinary user whose groups were not seen",
            {**unseen(_OPEN, container.DEVICES_PERMITTED), container.HOST_USER_ID: 1000},
            UNKNOWN,
        ),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=(
        "https://github.com/cdk-team/CDK/issues/33",
        "https://github.com/falcosecurity/rules/blob/main/rules/falco_rules.yaml",
        "https://docs.kernel.org/admin-guide/cgroup-v1/devices.html",
        "https://github.com/kata-containers/kata-containers/blob/main/docs/how-to/privileged.md",
    ),
)
