"""Attack the driver of a graphics card or accelerator that was granted.

What happens: the container sends crafted requests to ``/dev/nvidia*``, ``/dev/dri/*`` or ``/dev/kfd``. A hole in the
driver, which runs in the kernel, then gives it the machine.

Why the kernel allows it: the nodes are open to everybody by design, and the drivers behind them offer a great number
of requests. Namespaces, capabilities and seccomp do not tell a good request from a bad one. Whether there is such a
hole cannot be seen from a configuration: without ``--assume assumed.vulnerable_driver=yes`` this stays open.

What closes it: an updated driver; not granting the device; a virtual machine that has the card for itself (Kata with
vfio), where the driver runs in the guest.

How it looks: like ordinary use; no single call tells it apart.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import NEVER, is_, is_not
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.words import assumed, container, reach
from holdfast.model.words.conditions import may_open_device

_OPEN: Situation = {
    container.DEVICES: Members.of("gpu"),
    container.DEVICE_ACCESS: Members.of("gpu"),
    container.CAPABILITIES: Members(),
    container.SYSCALLS: Members.of("mknod"),
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
    assumed.VULNERABLE_DRIVER: True,
}

TECHNIQUE = Technique(
    title="Attack the driver of a granted graphics card",
    row=69,
    attack=("T1068",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=may_open_device("gpu") & is_not(container.SANDBOX, "kata") & is_(assumed.VULNERABLE_DRIVER, True),
    gives=(Change(reach.HOST_ROOT, True, "code runs in the host's kernel through the driver"),),
    closed_by=(
        Change(container.DEVICE_ACCESS, without("gpu"), "grant no graphics card"),
        Change(assumed.VULNERABLE_DRIVER, False, "update the driver"),
        Change(container.SANDBOX, "kata", "run in a virtual machine that has the card for itself"),
        Change(container.LSM_DENIES, with_("devices"), "enforce an SELinux policy that keeps containers from devices"),
    ),
    seen_as=NEVER,
    seen_sample={},
    drill_class=DrillClass.D0,
    examples=(
        Example("a graphics card whose driver has a known hole", _OPEN, YES),
        Example("an updated driver", {**_OPEN, assumed.VULNERABLE_DRIVER: False}, NO),
        Example("no graphics card", {**_OPEN, container.DEVICES: Members(), container.DEVICE_ACCESS: Members()}, NO),
        Example("driver not known", unseen(_OPEN, assumed.VULNERABLE_DRIVER), UNKNOWN),
    ),
    sources=(
        "https://www.nvidia.com/en-us/security/",
        "https://docs.kernel.org/gpu/drm-uapi.html",
        "https://gvisor.dev/docs/user_guide/gpu/",
    ),
)
