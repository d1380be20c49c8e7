"""Lift the device cgroup's ban through the devices.allow file of a version 1 control group.

What happens: the container writes ``a *:* rwm`` into ``devices.allow`` of its own group, and from then on it may open
every device of the host. It makes the nodes it wants with mknod; the next step is a disk.

Why the kernel allows it: on version 1 the list of permitted devices is a file of the hierarchy. The kernel asks for
CAP_SYS_ADMIN, and that the parent group permits the device, which the groups of engines and kubelets do. The file
lies in the container's own group, so a private cgroup namespace does not hide it. Version 2 has no such file: there a
BPF program decides, which the container cannot detach.

What closes it: dropping CAP_SYS_ADMIN; a host with cgroup version 2 only; a user namespace. AppArmor docker-default
refuses a fresh mount of the hierarchy by mount(2), but not one made by the newer calls fsopen and fsmount, whose files
can be opened without attaching it, nor a cgroup file system that the container was given writable.

How it looks: a write to ``devices.allow`` by a process in a container, then mknod for a block device.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import has, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, host
from holdfast.model.words.conditions import host_capability, host_root, may_mount, may_use_detached, named

_FILE = "/sys/fs/cgroup/devices/devices.allow"

_OPEN: Situation = {
    host.CGROUP_VERSION: "v1",
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN", "CAP_MKNOD"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("mount", "mknod"),
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
    container.KERNEL_FILES_WRITABLE: Members(),
}

TECHNIQUE = Technique(
    title="Permit oneself every device through the cgroup v1 devices.allow file",
    row=47,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=host_capability("CAP_SYS_ADMIN")
    & host_root()
    & one_of(host.CGROUP_VERSION, "v1", "hybrid")
    & (has(container.KERNEL_FILES_WRITABLE, _FILE) | may_mount() | may_use_detached()),
    gives=(
        Change(
            container.DEVICE_ACCESS,
            with_("block", "mem", "port", "kmsg", "tty", "uinput", "input", "vfio", "sg", "msr"),
            "the device cgroup lets every device be opened",
        ),
    ),
    closed_by=(
        Change(container.CAPABILITIES, without("CAP_SYS_ADMIN"), "drop CAP_SYS_ADMIN: the kernel refuses the write"),
        Change(host.CGROUP_VERSION, "v2", "boot the host with cgroup version 2 only: it has no devices.allow"),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its control groups are its own"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & (
        (is_(event.WRITE, True) & named("/devices.allow"))
        | (one_of(event.SYSCALL, "mount", "fsopen") & is_(event.FILE_SYSTEM, "cgroup"))
    ),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.PATH: "/mnt/docker/1234/devices.allow"},
    drill_class=DrillClass.D2,
    drill=(
        Way(
            "permit itself /dev/null, which is permitted already",
            (
                step("mount", source="holdfast", target="{point}", type="cgroup", flags="0", data="devices"),
                step("open", path="{point}{device_group}/devices.allow", mode="w"),
                step("write", slot="1", text="c 1:3 rwm"),
            ),
            ProvedBy.SURFACE,
        ),
        Way(
            "the same in a mount that is attached nowhere",
            (
                step("detached", type="cgroup", options="devices"),
                step("open_at", slot="0", path=".{device_group}/devices.allow", mode="w"),
                step("write", slot="1", text="c 1:3 rwm"),
            ),
            ProvedBy.SURFACE,
        ),
        Way(
            "the same in the container's own mount",
            (
                step("open", path=_FILE, mode="w"),
                step("write", slot="0", text="c 1:3 rwm"),
            ),
            ProvedBy.SURFACE,
        ),
    ),
    examples=(
        Example("CAP_SYS_ADMIN on a v1 host without AppArmor", _OPEN, YES),
        Example(
            "AppArmor refuses mount, but the file is writable from the start",
            {
                **_OPEN,
                container.LSM_DENIES: Members.of("mount"),
                container.KERNEL_FILES_WRITABLE: Members.of(_FILE),
            },
            YES,
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
        Example("a v2 host", {**_OPEN, host.CGROUP_VERSION: "v2"}, NO),
        Example(
            "a writable file without CAP_SYS_ADMIN",
            {
                **_OPEN,
                container.CAPABILITIES: Members.of("CAP_MKNOD"),
                container.KERNEL_FILES_WRITABLE: Members.of(_FILE),
            },
            NO,
        ),
        Example("host not seen", unseen(_OPEN, host.CGROUP_VERSION), UNKNOWN),
    ),
    sources=(
        "https://docs.kernel.org/admin-guide/cgroup-v1/devices.html",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/rewrite_cgroup_devices.go",
        "https://docs.kernel.org/admin-guide/cgroup-v2.html#device-controller",
    ),
)
