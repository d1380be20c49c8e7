"""Reach release_agent through a user namespace of one's own (CVE-2022-0492).

What happens: a container without CAP_SYS_ADMIN makes a user namespace and a cgroup namespace. Inside them it holds
every capability, mounts a version 1 hierarchy in which its processes are in the root group, and writes
``release_agent`` as in the technique ``cgroup-release-agent``.

Why the kernel allowed it: before the fix, whoever could open the file for writing could set the agent. The file
belongs to host root, and root of an ordinary container is host root; the capabilities that mounting needs came from
the new user namespace. Since the fix the kernel asks for CAP_SYS_ADMIN in the initial user namespace. Distributions
carry the fix in kernels with lower numbers, so a low number alone decides nothing.

What closes it: any single one of: a kernel with the fix; the default seccomp profile of Docker, containerd or CRI-O,
which refuses unshare and clone with new user namespaces; AppArmor or SELinux, which refuse the mount; cgroup version
2; running as an ordinary user; switching unprivileged user namespaces off.

How it looks: unshare with CLONE_NEWUSER and CLONE_NEWCGROUP in a container, or a mount of type cgroup there.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import has, has_any, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_root, lsm_permits, may_call

_OPEN: Situation = {
    host.RELEASE_AGENT_GUARDED: False,
    host.CGROUP_VERSION: "v1",
    host.UNPRIVILEGED_USER_NAMESPACES: True,
    host.STATIC_USERMODE_HELPER: False,
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("mount", "unshare:CLONE_NEWUSER", "clone:CLONE_NEWUSER"),
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
    container.CGROUP_V1_ROOT: True,
}

TECHNIQUE = Technique(
    title="Set release_agent from a user namespace of one's own",
    row=46,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=host_root()
    & has_any(container.SYSCALLS, "unshare:CLONE_NEWUSER", "clone:CLONE_NEWUSER")
    & may_call("mount")
    & is_(container.SANDBOX, "none")
    & lsm_permits("mount")
    & is_(host.RELEASE_AGENT_GUARDED, False)
    & one_of(host.CGROUP_VERSION, "v1", "hybrid")
    & is_(host.UNPRIVILEGED_USER_NAMESPACES, True)
    & is_(container.CGROUP_V1_ROOT, True)
    & is_(host.STATIC_USERMODE_HELPER, False),
    gives=(Change(reach.HOST_ROOT, True, "the kernel starts the release agent as root in the initial namespaces"),),
    closed_by=(
        Change(host.RELEASE_AGENT_GUARDED, True, "update the kernel to one that carries the fix of CVE-2022-0492"),
        Change(
            container.SYSCALLS,
            without("unshare:CLONE_NEWUSER", "clone:CLONE_NEWUSER"),
            "use the runtime's default seccomp profile: it refuses new user namespaces",
        ),
        Change(container.LSM_DENIES, with_("mount"), "enforce an AppArmor or SELinux policy that refuses mount"),
        Change(container.HOST_USER_ID, 100000, "run as an ordinary user, or in a user namespace made by the engine"),
        Change(host.UNPRIVILEGED_USER_NAMESPACES, False, "switch unprivileged user namespaces off on the host"),
        Change(host.CGROUP_VERSION, "v2", "boot the host with cgroup version 2 only: it has no release_agent"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & (
        (has(event.FLAGS, "CLONE_NEWUSER") & has(event.FLAGS, "CLONE_NEWCGROUP"))
        | (is_(event.SYSCALL, "mount") & is_(event.FILE_SYSTEM, "cgroup"))
    ),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "unshare",
        event.FLAGS: Members.of("CLONE_NEWUSER", "CLONE_NEWNS", "CLONE_NEWCGROUP"),
    },
    drill_class=DrillClass.D1,
    drill=(
        Way(
            "write release_agent back as it is from a user namespace of one's own",
            (
                step("user_namespace", flags="0x02020000"),  # CLONE_NEWNS | CLONE_NEWCGROUP
                step("mount", source="holdfast", target="{point}", type="cgroup", flags="0", data="{hierarchy}"),
                step("rewrite", path="{point}/release_agent"),
            ),
            ProvedBy.SURFACE,
        ),
    ),
    examples=(
        Example("root without seccomp and AppArmor on an old kernel", _OPEN, YES),
        Example("the fix is in the kernel", {**_OPEN, host.RELEASE_AGENT_GUARDED: True}, NO),
        Example("the default seccomp profile", {**_OPEN, container.SYSCALLS: Members.of("mknod")}, NO),
        Example("an ordinary user", {**_OPEN, container.HOST_USER_ID: 1000}, NO),
        Example("the container is in no root group", {**_OPEN, container.CGROUP_V1_ROOT: False}, NO),
        Example("an old kernel of a distribution, fixed or not", unseen(_OPEN, host.RELEASE_AGENT_GUARDED), UNKNOWN),
    ),
    sources=(
        "https://nvd.nist.gov/vuln/detail/CVE-2022-0492",
        "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/commit/?id=24f6008564183aa120d07c03d9289519c2fe02af",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/abuse_unpriv_userns.go",
        "https://man7.org/linux/man-pages/man7/user_namespaces.7.html",
    ),
)
