"""Look into a host process of the same user through /proc.

What happens: with the host's process namespace, the container finds a process that runs under its own user id on the
host. It follows ``/proc/PID/root`` and ``cwd`` into the host's file system, reads ``environ``, and opens the process's
files and memory.

Why the kernel allows it: it lets a process inspect another one of the same user and group ids that has no capability
the caller lacks and has not been marked as not dumpable. Namespaces of other kinds do not matter, only the user
namespace does. Containers and services often share ids: 0, 1000, 65534. ``hidepid`` does not help, because it hides
only what may not be inspected anyway.

What closes it: a process namespace of one's own, the default; a user id that nothing else on the host uses; a user
namespace, from which no process outside can be inspected; AppArmor docker-default or SELinux.

How it looks: files are opened along ``/proc/PID/root``, ``cwd``, ``fd`` or ``environ`` of a process outside.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import AnyOf, contains, is_
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import lsm_permits, named, shares

_OPEN: Situation = {
    container.SHARED_NAMESPACES: Members.of("pid"),
    container.SANDBOX: "none",
    container.USER_NAMESPACE: "host",
    container.SAME_USER_ON_HOST: True,
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Look into a host process of the same user",
    row=59,
    attack=("T1611", "T1552"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=shares("pid")
    & is_(container.USER_NAMESPACE, "host")
    & is_(container.SAME_USER_ON_HOST, True)
    & lsm_permits("ptrace_host"),
    gives=(
        Change(reach.HOST_PROCESS, True, "the process's environment, files and memory are open"),
        Change(reach.HOST_FILE_READ, True, "the host's root directory is seen through /proc/PID/root"),
    ),
    closed_by=(
        Change(container.SHARED_NAMESPACES, without("pid"), "give the container a process namespace of its own"),
        Change(container.SAME_USER_ON_HOST, False, "give the container a user id that nothing else on the host uses"),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: host processes cannot be inspected from it"
        ),
        Change(container.LSM_DENIES, with_("ptrace_host"), "enforce AppArmor docker-default or SELinux container_t"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: it sees its own processes only"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.TARGET_OUTSIDE, True)
    & AnyOf(
        (
            contains(event.PATH, "/root/"),
            contains(event.PATH, "/cwd/"),
            contains(event.PATH, "/fd/"),
            named("/environ"),
        )
    ),
    seen_sample={event.IN_CONTAINER: True, event.TARGET_OUTSIDE: True, event.PATH: "/proc/812/environ"},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "read the environment of a host process of the same user",
            (step("open", path="/proc/{pid:same}/environ", mode="r"), step("read", slot="0", length="4096")),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("user 1000 in the container and on the host", _OPEN, YES),
        Example("hidepid on the host's /proc", {**_OPEN, host.PROC_HIDEPID: True}, YES),
        Example("a process namespace of its own", {**_OPEN, container.SHARED_NAMESPACES: Members()}, NO),
        Example("no such process", {**_OPEN, container.SAME_USER_ON_HOST: False}, NO),
        Example("rootless: same user, but another user namespace", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example("under docker-default", {**_OPEN, container.LSM_DENIES: Members.of("ptrace_host")}, NO),
        Example("host processes not seen", unseen(_OPEN, container.SAME_USER_ON_HOST), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/ptrace.2.html",
        "https://man7.org/linux/man-pages/man5/proc_pid_root.5.html",
        "https://github.com/BishopFox/badPods/blob/main/manifests/hostpid/README.md",
    ),
)
