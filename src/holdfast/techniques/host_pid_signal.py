"""Stop or end processes of the host with signals.

What happens: with the host's process namespace, the container sees the command lines of all processes of the machine
and sends signals to them: it ends a service, a monitoring agent, or other containers.

Why the kernel allows it: a signal may be sent by a process of the same user id, whatever the capabilities of the
target; for host root that is every process of root. CAP_KILL, which Docker grants by default, opens all the others. A
container that runs as root therefore needs nothing besides the namespace, not even a capability.

What closes it: a process namespace of one's own, the default; AppArmor docker-default, which lets a container signal
its own kind only, or SELinux. Running as an ordinary user narrows it to processes of that user.

How it looks: a signal from a container to a process that is not in it; the same asked of the kernel, by F_SETOWN or by
a limit of processor time.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import host_capability, host_root, lsm_permits, shares

_OPEN: Situation = {
    container.SHARED_NAMESPACES: Members.of("pid"),
    container.SANDBOX: "none",
    container.CAPABILITIES: Members.of("CAP_KILL"),
    container.USER_NAMESPACE: "host",
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
    container.SAME_USER_ID_ON_HOST: False,
}

TECHNIQUE = Technique(
    title="Stop or end processes of the host",
    row=60,
    attack=("T1057", "T1489"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=shares("pid")
    & (host_root() | host_capability("CAP_KILL") | is_(container.SAME_USER_ID_ON_HOST, True))
    & lsm_permits("ptrace_host"),  # docker-default and container_t refuse signals wherever they refuse ptrace
    gives=(Change(reach.HOST_PROCESS, True, "processes of the host can be stopped and ended"),),
    closed_by=(
        Change(container.SHARED_NAMESPACES, without("pid"), "give the container a process namespace of its own"),
        Change(container.LSM_DENIES, with_("ptrace_host"), "enforce AppArmor docker-default or SELinux container_t"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: it sees its own processes only"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.TARGET_OUTSIDE, True)
    & (
        one_of(event.SYSCALL, "kill", "tkill", "tgkill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
        | is_(event.SYSCALL, "prlimit64")
        | (is_(event.SYSCALL, "fcntl") & one_of(event.COMMAND, "F_SETOWN", "F_SETOWN_EX"))
        | (is_(event.SYSCALL, "ioctl") & one_of(event.COMMAND, "FIOSETOWN", "SIOCSPGRP"))
    ),
    seen_sample={event.IN_CONTAINER: True, event.TARGET_OUTSIDE: True, event.SYSCALL: "kill"},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "ask whether root's process could be sent a signal",
            (step("signal_check", pid="{pid:root}"),),
            ProvedBy.SURFACE,
            in_host=frozenset({"pid"}),
        ),
        Way(
            "ask whether a process of the same user could be sent a signal",
            (step("signal_check", pid="{pid:same}"),),
            ProvedBy.SURFACE,
            in_host=frozenset({"pid"}),
        ),
    ),
    examples=(
        Example("root with the host's process namespace", _OPEN, YES),
        Example("the same with every capability dropped", {**_OPEN, container.CAPABILITIES: Members()}, YES),
        Example(
            "user 1000 in the container and on the host",
            {
                **_OPEN,
                container.CAPABILITIES: Members(),
                container.HOST_USER_ID: 1000,
                container.SAME_USER_ID_ON_HOST: True,
            },
            YES,
        ),
        Example("a process namespace of its own", {**_OPEN, container.SHARED_NAMESPACES: Members()}, NO),
        Example("under docker-default", {**_OPEN, container.LSM_DENIES: Members.of("ptrace_host")}, NO),
        Example(
            "an ordinary user that no other process runs under",
            {**_OPEN, container.CAPABILITIES: Members(), container.HOST_USER_ID: 54321},
            NO,
        ),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/kill.2.html",
        "https://github.com/BishopFox/badPods/blob/main/manifests/hostpid/README.md",
        "https://github.com/moby/profiles/blob/main/apparmor/template.go",
    ),
)
