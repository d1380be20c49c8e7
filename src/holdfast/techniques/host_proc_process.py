"""Look into a host process through the host's /proc, mounted into the container.

What happens: the host's ``/proc`` lies inside, often read-only, for monitoring. The container has a process namespace
of its own and still finds every process of the host below the mount. It follows ``root`` and ``cwd`` of a process that
runs under its own user id into the host's file system, and reads its ``environ``, open files and memory.

Why the kernel allows it: the numbers below a procfs belong to the namespace it was mounted for, and the right to
inspect a process asks neither for the same process namespace nor for the same mount. It asks for CAP_SYS_PTRACE, or
for the same user and group ids, no capability that the caller lacks, and the same user namespace. Behind the link
ordinary file permissions apply; a read-only mount of ``/proc`` does not reach that far.

What closes it: not mounting ``/proc``, or a user id that nothing else on the host uses; a user namespace; SELinux or
AppArmor docker-default, which refuse to inspect processes outside.

How it looks: files are opened along ``PID/root``, ``PID/cwd`` or ``PID/environ`` below a mount of procfs.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import AnyOf, contains, covers, has, is_
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import step
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import lsm_permits, named

_OPEN: Situation = {
    container.HOST_PATHS: Paths(("/proc",)),
    container.SANDBOX: "none",
    container.USER_NAMESPACE: "host",
    container.CAPABILITIES: Members(),
    container.SAME_USER_ON_HOST: True,
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Look into a host process through a mount of the host's /proc",
    row=59,
    attack=("T1611", "T1552"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS, "/proc")
    & is_(container.SANDBOX, "none")
    & is_(container.USER_NAMESPACE, "host")
    & (has(container.CAPABILITIES, "CAP_SYS_PTRACE") | is_(container.SAME_USER_ON_HOST, True))
    & lsm_permits("ptrace_host"),
    gives=(
        Change(reach.HOST_PROCESS, True, "the process's environment, files and memory are open"),
        Change(reach.HOST_FILE_READ, True, "the host's root directory is seen through PID/root"),
    ),
    closed_by=(
        Change(container.HOST_PATHS, without("/proc"), "do not mount the host's /proc"),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: host processes cannot be inspected from it"
        ),
        Change(container.LSM_DENIES, with_("ptrace_host"), "enforce AppArmor docker-default or SELinux container_t"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its kernel does not follow the host's links"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.TARGET_OUTSIDE, True)
    & AnyOf((contains(event.PATH, "/root/"), contains(event.PATH, "/cwd/"), named("/environ"))),
    seen_sample={event.IN_CONTAINER: True, event.TARGET_OUTSIDE: True, event.PATH: "/host/proc/812/root/etc/hostname"},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "read the environment of a host process",
            (step("open", path="{file:/proc}/{pid:root}/environ", mode="r"), step("read", slot="0", length="4096")),
            ProvedBy.READ,
        ),
        Way(
            "read the environment of a host process of the same user",
            (step("open", path="{file:/proc}/{pid:same}/environ", mode="r"), step("read", slot="0", length="4096")),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("/proc mounted read-only, and a host process of the same user", _OPEN, YES),
        Example(
            "no such process, but CAP_SYS_PTRACE",
            {**_OPEN, container.SAME_USER_ON_HOST: False, container.CAPABILITIES: Members.of("CAP_SYS_PTRACE")},
            YES,
        ),
        Example("the host's root directory mounted", {**_OPEN, container.HOST_PATHS: Paths(("/",))}, YES),
        Example("no such process", {**_OPEN, container.SAME_USER_ON_HOST: False}, NO),
        Example("/proc not mounted", {**_OPEN, container.HOST_PATHS: Paths(("/srv",))}, NO),
        Example("in a user namespace", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example("under docker-default", {**_OPEN, container.LSM_DENIES: Members.of("ptrace_host")}, NO),
        Example("host processes not seen", unseen(_OPEN, container.SAME_USER_ON_HOST), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/ptrace.2.html",
        "https://man7.org/linux/man-pages/man5/proc_pid_root.5.html",
    ),
)
