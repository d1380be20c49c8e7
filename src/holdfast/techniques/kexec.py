"""Boot another kernel over the running one.

What happens: the container hands the kernel a second kernel of its own making, to start at the next moment or at the
next crash. What then runs on the machine is the attacker's.

Why the kernel allows it: ``kexec_load`` and ``kexec_file_load`` ask for CAP_SYS_BOOT in the initial user namespace. The
default seccomp profiles refuse both, whatever the capabilities: for CAP_SYS_BOOT they let ``reboot`` through, no more.
So it takes the capability and a container without seccomp.

What closes it: the default seccomp profile; dropping CAP_SYS_BOOT; ``kernel.kexec_load_disabled=1``; lockdown, which
takes signed kernels only; a user namespace.

How it looks: ``kexec_load`` or ``kexec_file_load`` called by a process in a container.
"""

from holdfast.model.change import Change, without
from holdfast.model.logic import has_any, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import EVERYTHING, Members
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_capability

_OPEN: Situation = {
    container.CAPABILITIES: Members.of("CAP_SYS_BOOT"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: EVERYTHING,
    host.KEXEC_LOAD_DISABLED: False,
    host.LOCKDOWN: "none",
}

TECHNIQUE = Technique(
    title="Boot another kernel over the running one",
    row=63,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=host_capability("CAP_SYS_BOOT")
    & has_any(container.SYSCALLS, "kexec_load", "kexec_file_load")
    & is_(host.KEXEC_LOAD_DISABLED, False)
    & is_(host.LOCKDOWN, "none"),
    gives=(Change(reach.HOST_ROOT, True, "the machine runs a kernel that the container chose"),),
    closed_by=(
        Change(container.CAPABILITIES, without("CAP_SYS_BOOT"), "drop CAP_SYS_BOOT"),
        Change(
            container.SYSCALLS, without("kexec_load", "kexec_file_load"), "use the runtime's default seccomp profile"
        ),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: it has a kernel of its own"),
        Change(host.KEXEC_LOAD_DISABLED, True, "set kernel.kexec_load_disabled=1 on the host"),
        Change(host.LOCKDOWN, "integrity", "boot the host with lockdown=integrity"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & one_of(event.SYSCALL, "kexec_load", "kexec_file_load"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "kexec_file_load"},
    drill_class=DrillClass.D0,
    examples=(
        Example("privileged", _OPEN, YES),
        Example(
            "CAP_SYS_BOOT with the default seccomp profile", {**_OPEN, container.SYSCALLS: Members.of("reboot")}, NO
        ),
        Example("no seccomp, default capabilities", {**_OPEN, container.CAPABILITIES: Members.of("CAP_MKNOD")}, NO),
        Example("a locked down kernel", {**_OPEN, host.LOCKDOWN: "integrity"}, NO),
        Example("kexec switched off", {**_OPEN, host.KEXEC_LOAD_DISABLED: True}, NO),
        Example("host not seen", unseen(_OPEN, host.KEXEC_LOAD_DISABLED), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/kexec_load.2.html",
        "https://docs.kernel.org/admin-guide/sysctl/kernel.html#kexec-load-disabled",
        "https://github.com/moby/profiles/blob/main/seccomp/default.json",
    ),
)
