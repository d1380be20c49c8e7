"""Write the machine's memory or drive its hardware directly.

What happens: the container opens ``/dev/mem``, ``/dev/port``, a processor's model-specific registers or the generic
SCSI device of a disk, and changes kernel memory or disk blocks past every file permission.

Why the kernel allows it: CAP_SYS_RAWIO is the licence for raw hardware access. The device cgroup must let the device
be opened; the node is granted or made with CAP_MKNOD. CONFIG_STRICT_DEVMEM keeps ``/dev/mem`` away from system memory,
``/dev/port`` exists with CONFIG_DEVPORT only (Debian's cloud kernels lack it), and lockdown closes ``/dev/mem``,
``/dev/port`` and the registers altogether. SCSI commands it does not concern.

What closes it: dropping CAP_SYS_RAWIO, which no default set holds; granting none of these devices; lockdown, which
Secure Boot usually brings, except for SCSI; a user namespace.

How it looks: an open of ``/dev/mem``, ``/dev/port`` or ``/dev/cpu/*/msr`` by a process in a container.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import AnyOf, has, is_, one_of, starts_with
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_capability, host_root, may_open_device, may_open_rare_device

_OPEN: Situation = {
    container.CAPABILITIES: Members.of("CAP_SYS_RAWIO"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("mknod"),
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
    container.DEVICES: Members.of("mem"),
    container.DEVICE_ACCESS: Members.of("mem"),
    host.LOCKDOWN: "none",
    host.STRICT_DEVMEM: False,
    host.KERNEL_CONFIG: Members.of("CONFIG_DEVMEM", "CONFIG_DEVPORT"),
}

TECHNIQUE = Technique(
    title="Write the machine's memory or drive its hardware directly",
    row=61,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=host_capability("CAP_SYS_RAWIO")
    & host_root()
    & (
        may_open_rare_device("sg")
        | (
            is_(host.LOCKDOWN, "none")
            & (
                (may_open_device("mem") & is_(host.STRICT_DEVMEM, False))
                | (may_open_device("port") & has(host.KERNEL_CONFIG, "CONFIG_DEVPORT"))
                | may_open_rare_device("msr")
            )
        )
    ),
    gives=(Change(reach.HOST_ROOT, True, "kernel memory, or the disk the host runs from, can be changed"),),
    closed_by=(
        Change(container.CAPABILITIES, without("CAP_SYS_RAWIO"), "drop CAP_SYS_RAWIO"),
        Change(
            container.DEVICE_ACCESS, without("mem", "port", "msr", "sg"), "grant no device that reaches raw hardware"
        ),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.LSM_DENIES, with_("devices"), "enforce an SELinux policy that keeps containers from devices"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox that does not pass devices on"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & AnyOf(
        (
            one_of(event.PATH, "/dev/mem", "/dev/kmem", "/dev/port"),
            is_(event.FILE_KIND, "char") & one_of(event.DEVICE, "1:1", "1:2", "1:4"),  # mem, kmem, port
            is_(event.FILE_KIND, "char") & starts_with(event.DEVICE, "202:"),  # msr
            is_(event.FILE_KIND, "char") & starts_with(event.DEVICE, "21:"),  # sg
            is_(event.FILE_KIND, "char") & starts_with(event.PATH, "/dev/cpu/"),
            is_(event.FILE_KIND, "char") & starts_with(event.PATH, "/dev/sg"),
            one_of(event.SYSCALL, "iopl", "ioperm"),
        )
    ),
    seen_sample={event.IN_CONTAINER: True, event.PATH: "/dev/mem", event.FILE_KIND: "char"},
    drill_class=DrillClass.D1,
    drill=(
        Way(
            "open the memory device",
            (step("open", path="{device:mem}", mode="rw"), step("read_at", slot="0", offset="0x1000000", length="16")),
            ProvedBy.SURFACE,
        ),
        *(
            Way(
                f"make a node for {what} and open it",
                (
                    step(
                        "mknod",
                        path="{work}/{token}",
                        kind="c",
                        major=f"{{device_major:{kind}}}",
                        minor=f"{{device_minor:{kind}}}",
                    ),
                    step("open", path="{work}/{token}", mode="rw"),
                ),
                ProvedBy.SURFACE,
            )
            for kind, what in (("port", "the port device"), ("msr", "a register of the processor"))
        ),
        Way("open the port device", (step("open", path="{device:port}", mode="rw"),), ProvedBy.SURFACE),
        Way("open a register of the processor", (step("open", path="{device:msr}", mode="rw"),), ProvedBy.SURFACE),
        Way("open a SCSI generic device", (step("open", path="{device:sg}", mode="rw"),), ProvedBy.SURFACE),
    ),
    examples=(
        Example("CAP_SYS_RAWIO and /dev/mem on a kernel without strict checks", _OPEN, YES),
        Example(
            "the generic SCSI device of a disk, lockdown or not",
            {
                **_OPEN,
                container.DEVICES: Members.of("sg"),
                container.DEVICE_ACCESS: Members.of("sg"),
                host.LOCKDOWN: "integrity",
            },
            YES,
        ),
        Example("/dev/mem with CONFIG_STRICT_DEVMEM", {**_OPEN, host.STRICT_DEVMEM: True}, NO),
        Example(
            "/dev/port",
            {**_OPEN, container.DEVICES: Members.of("port"), container.DEVICE_ACCESS: Members.of("port")},
            YES,
        ),
        Example(
            "/dev/port, for which the kernel has no driver",
            {
                **_OPEN,
                container.DEVICES: Members.of("port"),
                container.DEVICE_ACCESS: Members.of("port"),
                host.KERNEL_CONFIG: Members.of("CONFIG_DEVMEM"),
            },
            NO,
        ),
        Example(
            "privileged, on a host without a generic SCSI device: there is no node",
            {
                **_OPEN,
                container.PRIVILEGED: True,
                container.CAPABILITIES: Members.of("CAP_SYS_RAWIO", "CAP_MKNOD"),
                container.DEVICES: Members.of("mem"),
                container.DEVICE_ACCESS: Members.of("mem", "sg", "msr"),
                host.STRICT_DEVMEM: True,
            },
            NO,
        ),
        Example("/dev/mem under lockdown", {**_OPEN, host.LOCKDOWN: "integrity"}, NO),
        Example("the device without the capability", {**_OPEN, container.CAPABILITIES: Members()}, NO),
        Example("the capability without a device", {**_OPEN, container.DEVICE_ACCESS: Members()}, NO),
        Example("host not seen", unseen(_OPEN, host.LOCKDOWN, host.STRICT_DEVMEM), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man4/mem.4.html",
        "https://man7.org/linux/man-pages/man7/capabilities.7.html",
        "https://man7.org/linux/man-pages/man7/kernel_lockdown.7.html",
    ),
)
