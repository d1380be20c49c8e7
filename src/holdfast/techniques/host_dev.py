"""Use the host's disks through a mount of its /dev.

What happens: the host's ``/dev`` is mounted, so the nodes of its disks are there. Where the device cgroup lets the
container open them too, root reads and writes the disk below the file system, past every file permission.

Why the kernel allows it: a device node is a name; permission to open it comes from the file's mode and from the
device cgroup. Runtimes refuse all but a few harmless devices by default, so the mount alone gives nothing; a
privileged container or a rule such as ``b *:* rwm`` opens the rest.

What closes it: no device rules beyond the few that are needed; not mounting ``/dev`` as a whole; a user namespace or
another user, whom the node's mode refuses; a sandbox with a kernel of its own.

How it looks: a process in a container opens a block device.
"""

from holdfast.model.change import Change, without
from holdfast.model.logic import covers, has, is_
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import step
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import lsm_permits, writes_as_root

_OPEN: Situation = {
    container.HOST_PATHS: Paths(("/dev",)),
    container.DEVICE_ACCESS: Members.of("block"),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
}

TECHNIQUE = Technique(
    title="Use the host's disks through a mount of /dev",
    row=38,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    # what lies in the container's own /dev does not matter: the host's has the host's disks
    exposed_when=covers(container.HOST_PATHS, "/dev")
    & has(container.DEVICE_ACCESS, "block")
    & writes_as_root()
    & lsm_permits("devices")
    & is_(container.SANDBOX, "none"),
    gives=(
        Change(reach.HOST_FILE_READ, True, "the disk can be read below its file system"),
        Change(reach.HOST_FILE_WRITE, True, "the disk can be written below its file system"),
    ),
    closed_by=(
        Change(container.DEVICE_ACCESS, without("block"), "allow only the devices that are needed; not privileged"),
        Change(container.HOST_PATHS, without("/dev"), "do not mount /dev as a whole"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: the nodes' modes refuse container root"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: the host's devices are not there"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.FILE_KIND, "block"),
    seen_sample={event.IN_CONTAINER: True, event.FILE_KIND: "block", event.PATH: "/host/dev/sda1"},
    drill_class=DrillClass.D1,
    drill=(
        Way(
            "read a disk through a mount of /dev",
            (
                step("open", path="{disk_in_dev}", mode="r"),
                step("read_at", slot="0", offset="0", length="512"),
            ),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("/dev mounted, the device cgroup allows all", _OPEN, YES),
        Example("/dev mounted, the runtime's default device rules", {**_OPEN, container.DEVICE_ACCESS: Members()}, NO),
        Example("only one harmless node", {**_OPEN, container.HOST_PATHS: Paths(("/dev/snd",))}, NO),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example("device rules not seen", unseen(_OPEN, container.DEVICE_ACCESS), UNKNOWN),
    ),
    sources=(
        "https://docs.kernel.org/admin-guide/cgroup-v1/devices.html",
        "https://github.com/docker/docker-bench-security",
    ),
)
