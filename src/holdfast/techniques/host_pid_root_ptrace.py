"""Walk into the host's file system through /proc/PID/root, as root.

What happens: ``/proc/1/root`` is a link to the root directory of process 1. With the host's process namespace that is
the host's root directory, and the container, running as root, reads and writes below it.

Why the kernel allows it: following the link asks for the right to inspect the process, once. Behind it ordinary file
permissions apply, and host root passes them. The right comes from CAP_SYS_PTRACE for every process, or without it for
a process of the same user that has no capability which the container lacks; such a root process runs on most hosts.
No mount call and no CAP_SYS_ADMIN is needed, and seccomp sees only ordinary opens.

What closes it: a process namespace of one's own, the default; AppArmor docker-default or SELinux; running as an
ordinary user, or in a user namespace. Dropping CAP_SYS_PTRACE helps where no such process runs on the host.

How it looks: files are opened along ``/proc/PID/root`` of a process that is not in the container.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import contains, has, is_
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import host_root, lsm_permits, shares

_OPEN: Situation = {
    container.SHARED_NAMESPACES: Members.of("pid"),
    container.SANDBOX: "none",
    container.CAPABILITIES: Members.of("CAP_SYS_PTRACE"),
    container.USER_NAMESPACE: "host",
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
    container.SAME_USER_ON_HOST: False,
}

TECHNIQUE = Technique(
    title="Walk into the host's file system through /proc/PID/root as root",
    row=58,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=shares("pid")
    & host_root()
    & is_(container.USER_NAMESPACE, "host")
    & (has(container.CAPABILITIES, "CAP_SYS_PTRACE") | is_(container.SAME_USER_ON_HOST, True))
    & lsm_permits("ptrace_host"),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "the host's root directory is open to its own root user"),
        Change(reach.HOST_FILE_READ, True, "the host's root directory is open to its own root user"),
    ),
    closed_by=(
        Change(container.SHARED_NAMESPACES, without("pid"), "give the container a process namespace of its own"),
        Change(container.LSM_DENIES, with_("ptrace_host"), "enforce AppArmor docker-default or SELinux container_t"),
        Change(container.HOST_USER_ID, 100000, "run as an ordinary user, or in a user namespace"),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: host processes cannot be inspected from it"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: it sees its own processes only"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.TARGET_OUTSIDE, True)
    & (contains(event.PATH, "/root/") | contains(event.PATH, "/cwd/")),
    seen_sample={event.IN_CONTAINER: True, event.TARGET_OUTSIDE: True, event.PATH: "/proc/1/root/etc/hostname"},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "read a canary through the root of a host process",
            (
                step("open", path="/proc/{pid:root}/root{canary}", mode="r"),
                step("read", slot="0", length="256"),
            ),
            ProvedBy.READ,
        ),
        Way(
            "read a canary through the root of a host process of the same user",
            (
                step("open", path="/proc/{pid:same}/root{canary}", mode="r"),
                step("read", slot="0", length="256"),
            ),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("root with the host's process namespace and CAP_SYS_PTRACE", _OPEN, YES),
        Example(
            "without the capability, but a root process with few capabilities runs on the host",
            {**_OPEN, container.CAPABILITIES: Members(), container.SAME_USER_ON_HOST: True},
            YES,
        ),
        Example("without both", {**_OPEN, container.CAPABILITIES: Members()}, NO),
        Example("the same under docker-default", {**_OPEN, container.LSM_DENIES: Members.of("ptrace_host")}, NO),
        Example("an ordinary user", {**_OPEN, container.HOST_USER_ID: 1000}, NO),
        Example("a process namespace of its own", {**_OPEN, container.SHARED_NAMESPACES: Members()}, NO),
        Example(
            "without the capability, host processes not seen",
            {**unseen(_OPEN, container.SAME_USER_ON_HOST), container.CAPABILITIES: Members()},
            UNKNOWN,
        ),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man5/proc_pid_root.5.html",
        "https://man7.org/linux/man-pages/man2/ptrace.2.html",
    ),
)
