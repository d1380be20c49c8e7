"""Take over a process of the host by writing to its memory.

What happens: with the host's process namespace, the container sees every process of the machine. It attaches to one
that runs as root, or opens its ``/proc/PID/mem``, and puts code of its own into it.

Why the kernel allows it: CAP_SYS_PTRACE in the initial user namespace lifts every condition on whose memory may be
touched. A seccomp filter that refuses ``ptrace`` and ``process_vm_writev`` does not end it: writing to
``/proc/PID/mem`` is an ordinary write.

What closes it: a process namespace of one's own, the default; dropping CAP_SYS_PTRACE; AppArmor docker-default, which
lets a container trace its own kind only, or SELinux; ``kernel.yama.ptrace_scope=3``, which forbids it to everybody; a
user namespace.

How it looks: ptrace, process_vm_writev or a write to ``/proc/PID/mem`` whose target is not in the container.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import is_, less_than, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_capability, lsm_permits, named, shares

_OPEN: Situation = {
    container.SHARED_NAMESPACES: Members.of("pid"),
    container.SANDBOX: "none",
    container.CAPABILITIES: Members.of("CAP_SYS_PTRACE"),
    container.USER_NAMESPACE: "host",
    container.SYSCALLS: Members.of("ptrace", "process_vm_writev"),
    container.LSM_DENIES: Members(),
    host.YAMA_PTRACE_SCOPE: 1,
}

TECHNIQUE = Technique(
    title="Put code into a process of the host",
    row=56,
    attack=("T1611", "T1055.008"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=shares("pid")
    & host_capability("CAP_SYS_PTRACE")
    & lsm_permits("ptrace_host")
    & less_than(host.YAMA_PTRACE_SCOPE, 3),
    gives=(
        Change(reach.HOST_ROOT, True, "code is put into a process that runs as root on the host"),
        Change(reach.HOST_PROCESS, True, "the memory of every host process can be read and written"),
    ),
    closed_by=(
        Change(container.SHARED_NAMESPACES, without("pid"), "give the container a process namespace of its own"),
        Change(container.CAPABILITIES, without("CAP_SYS_PTRACE"), "drop CAP_SYS_PTRACE"),
        Change(container.LSM_DENIES, with_("ptrace_host"), "enforce AppArmor docker-default or SELinux container_t"),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: it sees its own processes only"),
        Change(host.YAMA_PTRACE_SCOPE, 3, "set kernel.yama.ptrace_scope=3: nobody may attach to a process"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.TARGET_OUTSIDE, True)
    & (
        one_of(event.SYSCALL, "ptrace", "process_vm_writev", "process_vm_readv", "pidfd_getfd")
        | (is_(event.WRITE, True) & named("/mem"))
    ),
    seen_sample={event.IN_CONTAINER: True, event.TARGET_OUTSIDE: True, event.SYSCALL: "ptrace"},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "attach to a host process and read its memory",
            (step("ptrace_read", pid="{pid:root}", address="{address:root}", length="64"),),
            ProvedBy.READ,
        ),
        Way(
            "read the memory of a host process",
            (step("process_vm_read", pid="{pid:root}", address="{address:root}", length="64"),),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("the host's process namespace and CAP_SYS_PTRACE, without AppArmor", _OPEN, YES),
        Example(
            "seccomp refuses ptrace; /proc/PID/mem remains", {**_OPEN, container.SYSCALLS: Members.of("openat")}, YES
        ),
        Example("the same under docker-default", {**_OPEN, container.LSM_DENIES: Members.of("ptrace_host")}, NO),
        Example("CAP_SYS_PTRACE alone", {**_OPEN, container.SHARED_NAMESPACES: Members()}, NO),
        Example("the host's process namespace alone", {**_OPEN, container.CAPABILITIES: Members()}, NO),
        Example("ptrace_scope 2 asks for the capability that is there", {**_OPEN, host.YAMA_PTRACE_SCOPE: 2}, YES),
        Example("ptrace_scope 3", {**_OPEN, host.YAMA_PTRACE_SCOPE: 3}, NO),
        Example("host not seen", unseen(_OPEN, host.YAMA_PTRACE_SCOPE), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/ptrace.2.html",
        "https://docs.kernel.org/admin-guide/LSM/Yama.html",
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/CE_SYS_PTRACE.md",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/check_ptrace.go",
    ),
)
