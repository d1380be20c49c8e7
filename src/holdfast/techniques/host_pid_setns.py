"""Step into the host's namespaces with setns.

What happens: the container opens ``/proc/1/ns/mnt`` and its siblings and enters them. The process then stands in the
host's file system, with the capabilities it had; that is what nsenter does.

Why the kernel allows it: entering a mount namespace asks for CAP_SYS_ADMIN and CAP_SYS_CHROOT. Opening the namespace
file asks for the right to inspect its process: CAP_SYS_PTRACE, or a process of the same user that has no capability
which the caller lacks. The latter is found on most hosts when the container runs as root, so CAP_SYS_PTRACE is not
always needed. Default seccomp profiles permit setns as soon as CAP_SYS_ADMIN is granted.

What closes it: a process namespace of one's own, the default; dropping CAP_SYS_ADMIN or CAP_SYS_CHROOT; AppArmor
docker-default or SELinux, which refuse to inspect host processes; a user namespace.

How it looks: setns from a container into a namespace that is not the container's.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import contains, has, is_
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import host_capability, lsm_permits, may_call, shares

_OPEN: Situation = {
    container.SHARED_NAMESPACES: Members.of("pid"),
    container.SANDBOX: "none",
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE"),
    container.USER_NAMESPACE: "host",
    container.SYSCALLS: Members.of("setns"),
    container.LSM_DENIES: Members(),
    container.SAME_USER_ON_HOST: False,
}

TECHNIQUE = Technique(
    title="Step into the host's namespaces",
    row=57,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=shares("pid")
    & host_capability("CAP_SYS_ADMIN")
    & has(container.CAPABILITIES, "CAP_SYS_CHROOT")
    & (has(container.CAPABILITIES, "CAP_SYS_PTRACE") | is_(container.SAME_USER_ON_HOST, True))
    & may_call("setns")
    & lsm_permits("ptrace_host"),
    gives=(Change(reach.HOST_ROOT, True, "the process stands in the host's namespaces with its capabilities"),),
    closed_by=(
        Change(container.SHARED_NAMESPACES, without("pid"), "give the container a process namespace of its own"),
        Change(container.CAPABILITIES, without("CAP_SYS_ADMIN"), "drop CAP_SYS_ADMIN"),
        Change(container.CAPABILITIES, without("CAP_SYS_CHROOT"), "drop CAP_SYS_CHROOT"),
        Change(container.SYSCALLS, without("setns"), "use a seccomp profile that refuses setns"),
        Change(container.LSM_DENIES, with_("ptrace_host"), "enforce AppArmor docker-default or SELinux container_t"),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: it sees its own processes only"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.TARGET_OUTSIDE, True)
    & (is_(event.SYSCALL, "setns") | contains(event.PATH, "/ns/")),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "setns", event.TARGET_OUTSIDE: True},
    drill_class=DrillClass.D3,
    drill=tuple(
        Way(
            f"enter the host's mount namespace through {whose}, and leave a file",
            (
                step("open", path=f"/proc/{{pid:{which}}}/ns/mnt", mode="r"),
                step("setns", slot="0", flags="0"),
                step("open", path="{marks}/{token}", mode="wc"),
                step("write", slot="2", text="{token}"),
            ),
            ProvedBy.WRITTEN,
        )
        for which, whose in (("root", "a process of root"), ("same", "one of the same user"))
    ),
    examples=(
        Example("privileged with the host's process namespace", _OPEN, YES),
        Example(
            "no CAP_SYS_PTRACE, but a host process of the same user without further capabilities",
            {
                **_OPEN,
                container.CAPABILITIES: Members.of("CAP_SYS_ADMIN", "CAP_SYS_CHROOT"),
                container.SAME_USER_ON_HOST: True,
            },
            YES,
        ),
        Example(
            "privileged without the host's process namespace", {**_OPEN, container.SHARED_NAMESPACES: Members()}, NO
        ),
        Example(
            "CAP_SYS_CHROOT dropped",
            {**_OPEN, container.CAPABILITIES: Members.of("CAP_SYS_ADMIN", "CAP_SYS_PTRACE")},
            NO,
        ),
        Example("the same under docker-default", {**_OPEN, container.LSM_DENIES: Members.of("ptrace_host")}, NO),
        Example(
            "no CAP_SYS_PTRACE, host processes not seen",
            {
                **unseen(_OPEN, container.SAME_USER_ON_HOST),
                container.CAPABILITIES: Members.of("CAP_SYS_ADMIN", "CAP_SYS_CHROOT"),
            },
            UNKNOWN,
        ),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/setns.2.html",
        "https://man7.org/linux/man-pages/man5/proc_pid_ns.5.html",
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/CE_NSENTER.md",
        "https://github.com/redcanaryco/atomic-red-team/blob/master/atomics/T1611/T1611.md",
    ),
)
