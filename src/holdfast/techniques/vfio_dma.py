"""Let a device write the host's memory by DMA.

What happens: through ``/dev/vfio`` the container drives a PCI device itself and tells it to read and write main memory
at any address. The device does so past the processor's page tables: the kernel's memory lies open.

Why the kernel allows it: vfio exists to hand devices to programs. It is safe as long as an IOMMU translates the
device's addresses. In no-IOMMU mode nothing translates them; the kernel is then marked as tainted and asks for
CAP_SYS_RAWIO, but it obeys. Not every kernel has that mode: without CONFIG_VFIO_NOIOMMU, and without an IOMMU, vfio
hands out nothing.

What closes it: not granting the device; an IOMMU, with no-IOMMU mode switched off; dropping CAP_SYS_RAWIO; a user
namespace.

How it looks: an open of ``/dev/vfio/noiommu-*`` by a process in a container.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import has, is_, starts_with
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_capability, host_root, may_open_rare_device

_OPEN: Situation = {
    container.DEVICES: Members.of("vfio"),
    container.DEVICE_ACCESS: Members.of("vfio"),
    container.CAPABILITIES: Members.of("CAP_SYS_RAWIO"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("mknod"),
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
    host.IOMMU: False,
    host.KERNEL_CONFIG: Members.of("CONFIG_VFIO", "CONFIG_VFIO_NOIOMMU"),
}

TECHNIQUE = Technique(
    title="Let a device write the host's memory by DMA",
    row=68,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=host_capability("CAP_SYS_RAWIO")
    & may_open_rare_device("vfio")
    & host_root()
    & is_(host.IOMMU, False)
    & has(host.KERNEL_CONFIG, "CONFIG_VFIO_NOIOMMU"),
    gives=(Change(reach.HOST_ROOT, True, "the device changes the kernel's memory"),),
    closed_by=(
        Change(container.DEVICE_ACCESS, without("vfio"), "grant no vfio device"),
        Change(host.IOMMU, True, "switch the IOMMU on and vfio's no-IOMMU mode off"),
        Change(container.CAPABILITIES, without("CAP_SYS_RAWIO"), "drop CAP_SYS_RAWIO"),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.LSM_DENIES, with_("devices"), "enforce an SELinux policy that keeps containers from devices"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & starts_with(event.PATH, "/dev/vfio/noiommu-"),
    seen_sample={event.IN_CONTAINER: True, event.PATH: "/dev/vfio/noiommu-0", event.FILE_KIND: "char"},
    drill_class=DrillClass.D0,
    examples=(
        Example("a vfio device in no-IOMMU mode", _OPEN, YES),
        Example("behind an IOMMU", {**_OPEN, host.IOMMU: True}, NO),
        Example("a kernel without no-IOMMU mode", {**_OPEN, host.KERNEL_CONFIG: Members.of("CONFIG_VFIO")}, NO),
        Example(
            "privileged, on a host that gives no device to vfio: there is no node",
            {
                **_OPEN,
                container.PRIVILEGED: True,
                container.CAPABILITIES: Members.of("CAP_SYS_RAWIO", "CAP_MKNOD"),
                container.DEVICES: Members.of("block"),
            },
            NO,
        ),
        Example("no such device", {**_OPEN, container.DEVICE_ACCESS: Members(), container.DEVICES: Members()}, NO),
        Example("the device without CAP_SYS_RAWIO", {**_OPEN, container.CAPABILITIES: Members()}, NO),
        Example("host not seen", unseen(_OPEN, host.IOMMU), UNKNOWN),
    ),
    sources=(
        "https://docs.kernel.org/driver-api/vfio.html",
        "https://github.com/torvalds/linux/blob/master/drivers/vfio/Kconfig",
    ),
)
