"""Run a program on the host through the release_agent file of a version 1 control group.

What happens: a version 1 cgroup hierarchy names, in its ``release_agent`` file, a program that the kernel starts when
the last process leaves a group. Whoever can mount such a hierarchy writes the host path of a file of the container
into it, empties a child group, and the kernel runs that file as root in the host's own namespaces. The host path is
in the container's mountinfo (the upper directory of overlay), or ``/proc/PID/root/FILE`` with a guessed PID: a hidden
layer path does not help.

Why the kernel allows it: the file belongs to the hierarchy, not to the container's view of it. Since Linux 5.17 the
write needs CAP_SYS_ADMIN in the initial user namespace, which a container with that capability and no user namespace
of its own has. Only the root group has the file. With the host's cgroup namespace, Docker's default on version 1, a
mount shows the root group; with a private one only where the runtime left the container in the root group.

A host that uses version 2 only is not safe from it: a version 1 hierarchy with a name and no controllers can still be
made, in the host's cgroup namespace.

What closes it: not granting CAP_SYS_ADMIN; a private cgroup namespace on a version 2 host; SELinux; a user namespace; a
kernel built with CONFIG_STATIC_USERMODEHELPER. AppArmor docker-default refuses mount, but not fsopen and fsmount.

How it looks: a mount of type cgroup after the container has started, then a write to ``release_agent``, then a program
started by the kernel itself.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import has, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import start_helper, step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_root, may_mount, may_use_detached, named

_OPEN: Situation = {
    host.CGROUP_VERSION: "v1",
    host.STATIC_USERMODE_HELPER: False,
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("mount"),
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
    container.SHARED_NAMESPACES: Members.of("cgroup"),
    container.CGROUP_V1_ROOT: False,
}

TECHNIQUE = Technique(
    title="Run a host program through the cgroup v1 release_agent file",
    row=45,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=(may_mount() | may_use_detached())
    & host_root()
    & (
        has(container.SHARED_NAMESPACES, "cgroup")
        | (one_of(host.CGROUP_VERSION, "v1", "hybrid") & is_(container.CGROUP_V1_ROOT, True))
    )
    & is_(host.STATIC_USERMODE_HELPER, False),
    gives=(Change(reach.HOST_ROOT, True, "the kernel starts the release agent as root in the initial namespaces"),),
    closed_by=(
        Change(container.CAPABILITIES, without("CAP_SYS_ADMIN"), "drop CAP_SYS_ADMIN: the hierarchy cannot be mounted"),
        Change(
            container.LSM_DENIES,
            with_("mount", "move_mount", "detached_mount"),
            "enforce SELinux container_t; AppArmor docker-default refuses mount, but not all the newer calls",
        ),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: the mount never reaches the host's kernel"),
        Change(host.STATIC_USERMODE_HELPER, True, "use a kernel that starts one fixed helper program only"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & (
        (is_(event.WRITE, True) & named("/release_agent"))
        | (one_of(event.SYSCALL, "mount", "fsopen") & is_(event.FILE_SYSTEM, "cgroup"))
    ),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.PATH: "/mnt/release_agent"},
    drill_class=DrillClass.D2,
    drill=(
        Way(
            "mount a hierarchy and write its release_agent back as it is",
            (
                step("mount", source="holdfast", target="{point}", type="cgroup", flags="0", data="{hierarchy}"),
                step("rewrite", path="{point}/release_agent"),
            ),
            ProvedBy.SURFACE,
        ),
        Way(
            "write release_agent of a hierarchy that is attached nowhere back as it is",
            (
                step("detached", type="cgroup", options="{hierarchy}"),
                step("rewrite_at", slot="0", path="release_agent"),
            ),
            ProvedBy.SURFACE,
        ),
        start_helper(
            "have the kernel start a program when a group is empty",
            step("mount", source="holdfast", target="{point}", type="cgroup", flags="0", data="{hierarchy}"),
            step("mkdir", path="{point}/{token}"),
            step("set", path="{point}/{token}/notify_on_release", text="1"),
            step("set", path="{point}/release_agent", text="{helper}"),
            step("leave_cgroup", procs_path="{point}/{token}/cgroup.procs"),
        ),
    ),
    examples=(
        Example("CAP_SYS_ADMIN on a v1 host without AppArmor", _OPEN, YES),
        Example("the same on a hybrid host", {**_OPEN, host.CGROUP_VERSION: "hybrid"}, YES),
        Example(
            "a private cgroup namespace, but one hierarchy (rdma) shows its root group",
            {**_OPEN, container.SHARED_NAMESPACES: Members(), container.CGROUP_V1_ROOT: True},
            YES,
        ),
        Example("a private cgroup namespace", {**_OPEN, container.SHARED_NAMESPACES: Members()}, NO),
        Example(
            "the host's cgroup namespace on a v2 host: a named hierarchy can be made",
            {**_OPEN, host.CGROUP_VERSION: "v2"},
            YES,
        ),
        Example(
            "a private cgroup namespace on a v2 host",
            {**_OPEN, host.CGROUP_VERSION: "v2", container.SHARED_NAMESPACES: Members()},
            NO,
        ),
        Example(
            "under docker-default, where seccomp refuses the newer calls",
            {**_OPEN, container.LSM_DENIES: Members.of("mount")},
            NO,
        ),
        Example(
            "under docker-default, with a mount that is attached nowhere",
            {
                **_OPEN,
                container.SYSCALLS: Members.of("mount", "fsopen", "fsmount", "move_mount"),
                container.LSM_DENIES: Members.of("mount", "move_mount"),
            },
            YES,
        ),
        Example("root in a user namespace", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example("cgroup namespace not seen", unseen(_OPEN, container.SHARED_NAMESPACES), UNKNOWN),
        Example(
            "a private cgroup namespace, groups not seen",
            {**unseen(_OPEN, container.CGROUP_V1_ROOT), container.SHARED_NAMESPACES: Members()},
            UNKNOWN,
        ),
    ),
    sources=(
        "https://docs.kernel.org/admin-guide/cgroup-v1/cgroups.html#what-does-notify-on-release-do",
        "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/commit/?id=24f6008564183aa120d07c03d9289519c2fe02af",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/mount_cgroup.go",
        "https://ajxchapman.github.io/containers/2020/11/19/privileged-container-escape.html",
        "https://man7.org/linux/man-pages/man7/cgroup_namespaces.7.html",
    ),
)
