"""Watch and alter processes of the host with BPF programs.

What happens: the container loads a BPF program and attaches it to a tracepoint. It then runs for every process of the
machine: it reads their memory and what they pass to the kernel, writes into their memory with
``bpf_probe_write_user``, or sends them signals.

Why the kernel allows it: tracing programs know no namespaces. The kernel asks for CAP_BPF together with CAP_PERFMON,
or CAP_SYS_ADMIN, in the initial user namespace. Default seccomp profiles let ``bpf`` through as soon as one of them is
granted, and AppArmor docker-default has no rule against it: it stops the mount of a container with CAP_SYS_ADMIN, not
its BPF programs.

What closes it: dropping these capabilities; a seccomp profile that refuses ``bpf``; a user namespace; lockdown. In
mode integrity it forbids writing to other processes, in mode confidentiality reading too.

How it looks: ``bpf`` with the command PROG_LOAD, called by a process in a container.
"""

from holdfast.model.change import Change, without
from holdfast.model.logic import has, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import may_call

_OPEN: Situation = {
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("bpf", "mount"),
    container.LSM_DENIES: Members(),
    host.LOCKDOWN: "none",
}

TECHNIQUE = Technique(
    title="Watch and alter processes of the host with BPF programs",
    row=62,
    attack=("T1611", "T1014"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=(
        has(container.CAPABILITIES, "CAP_SYS_ADMIN")
        | (has(container.CAPABILITIES, "CAP_BPF") & has(container.CAPABILITIES, "CAP_PERFMON"))
    )
    & is_(container.USER_NAMESPACE, "host")
    & is_(container.SANDBOX, "none")
    & may_call("bpf")
    & one_of(host.LOCKDOWN, "none", "integrity"),
    gives=(Change(reach.HOST_PROCESS, True, "BPF programs read the memory of every process of the host"),),
    closed_by=(
        Change(
            container.CAPABILITIES,
            without("CAP_SYS_ADMIN", "CAP_BPF", "CAP_PERFMON"),
            "drop CAP_SYS_ADMIN, CAP_BPF and CAP_PERFMON",
        ),
        Change(container.SYSCALLS, without("bpf"), "use a seccomp profile that refuses bpf"),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: it has no BPF of the host"),
        Change(host.LOCKDOWN, "confidentiality", "boot the host with lockdown=confidentiality"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.SYSCALL, "bpf") & is_(event.COMMAND, "PROG_LOAD"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "bpf", event.COMMAND: "PROG_LOAD"},
    drill_class=DrillClass.D1,
    drill=tuple(
        Way(f"load an empty BPF program of type {name}", (step("bpf_load", type=number),), ProvedBy.SURFACE)
        for name, number in (("kprobe", "2"), ("tracepoint", "5"))
    ),
    examples=(
        Example("CAP_SYS_ADMIN with the default seccomp profile", _OPEN, YES),
        Example("CAP_SYS_ADMIN under docker-default", {**_OPEN, container.LSM_DENIES: Members.of("mount")}, YES),
        Example(
            "CAP_BPF and CAP_PERFMON", {**_OPEN, container.CAPABILITIES: Members.of("CAP_BPF", "CAP_PERFMON")}, YES
        ),
        Example("lockdown in mode integrity still lets it read", {**_OPEN, host.LOCKDOWN: "integrity"}, YES),
        Example("CAP_BPF alone", {**_OPEN, container.CAPABILITIES: Members.of("CAP_BPF")}, NO),
        Example("seccomp refuses bpf", {**_OPEN, container.SYSCALLS: Members.of("mount")}, NO),
        Example("in a user namespace", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example("lockdown in mode confidentiality", {**_OPEN, host.LOCKDOWN: "confidentiality"}, NO),
        Example("host not seen", unseen(_OPEN, host.LOCKDOWN), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/bpf.2.html",
        "https://man7.org/linux/man-pages/man7/bpf-helpers.7.html",
        "https://man7.org/linux/man-pages/man7/kernel_lockdown.7.html",
        "https://www.usenix.org/conference/usenixsecurity23/presentation/he",
    ),
)
