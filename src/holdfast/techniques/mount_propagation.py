"""Make a mount appear on the host through a shared mount.

What happens: a host directory is mounted with propagation ``rshared`` (``Bidirectional`` in Kubernetes). Whatever the
container mounts below it appears on the host and in every other container that shares the tree: other contents over a
directory that programs of the host read, or over the volume of another Pod.

Why the kernel allows it: shared mounts form a peer group, and a mount in one peer is made in all. That is how storage
drivers hand volumes to the kubelet. It takes CAP_SYS_ADMIN in the host's user namespace; from a namespace with fewer
rights the kernel makes propagation one-way.

What closes it: ``rslave`` or ``rprivate`` (``HostToContainer`` or ``None``); not granting CAP_SYS_ADMIN; SELinux;
AppArmor docker-default on Linux 6.7 or later (before, its refusal of mount did not reach move_mount); a user namespace;
a sandbox with a kernel of its own.

How it looks: a mount by a running container on a mount point that has peers on the host.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import below, covers, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import step
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import may_mount

_OPEN: Situation = {
    container.HOST_PATHS_SHARED: Paths(("/mnt/storage",)),
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("mount"),
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Make a mount appear on the host",
    row=40,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=(below(container.HOST_PATHS_SHARED, "/") | covers(container.HOST_PATHS_SHARED, "/")) & may_mount(),
    gives=(Change(reach.HOST_FILE_WRITE, True, "the container decides what the host sees below the shared directory"),),
    closed_by=(
        Change(container.HOST_PATHS_SHARED, Paths(), "mount with rslave or rprivate: nothing travels back to the host"),
        Change(container.CAPABILITIES, without("CAP_SYS_ADMIN"), "drop CAP_SYS_ADMIN: nothing can be mounted"),
        Change(
            container.LSM_DENIES,
            with_("mount", "move_mount"),
            "enforce SELinux container_t, or AppArmor docker-default on Linux 6.7 or later",
        ),
        Change(container.USER_NAMESPACE, "private", "run in a user namespace: propagation becomes one-way"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: the mount never reaches the host's kernel"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & one_of(event.SYSCALL, "mount", "move_mount")
    & is_(event.TARGET_OUTSIDE, True),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "mount",
        event.PATH: "/mnt/storage/x",
        event.TARGET_OUTSIDE: True,
    },
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "mount a tmpfs on a shared directory and leave a file in it",
            (
                step("mkdir", path="{shared}/{token}"),
                step("mount", source="holdfast", target="{shared}/{token}", type="tmpfs", flags="0", data="size=4096"),
                step("open", path="{shared}/{token}/{token}", mode="wc"),
                step("write", slot="2", text="{token}"),
            ),
            ProvedBy.WRITTEN,
        ),
        Way(
            "the same with the newer calls",
            (
                step("mkdir", path="{shared}/{token}"),
                step("detached", type="tmpfs", options="size=4096"),
                step("attach", slot="1", path="{shared}/{token}"),
                step("open", path="{shared}/{token}/{token}", mode="wc"),
                step("write", slot="3", text="{token}"),
            ),
            ProvedBy.WRITTEN,
        ),
    ),
    examples=(
        Example("rshared mount and CAP_SYS_ADMIN, no AppArmor", _OPEN, YES),
        Example("the host's root directory, rshared", {**_OPEN, container.HOST_PATHS_SHARED: Paths(("/",))}, YES),
        Example("rslave", {**_OPEN, container.HOST_PATHS_SHARED: Paths()}, NO),
        Example("without CAP_SYS_ADMIN", {**_OPEN, container.CAPABILITIES: Members()}, NO),
        Example("under docker-default", {**_OPEN, container.LSM_DENIES: Members.of("mount")}, NO),
        Example("seccomp not seen", unseen(_OPEN, container.SYSCALLS), UNKNOWN),
    ),
    sources=(
        "https://docs.kernel.org/filesystems/sharedsubtree.html",
        "https://man7.org/linux/man-pages/man7/mount_namespaces.7.html",
        "https://kubernetes.io/docs/concepts/storage/volumes/#mount-propagation",
    ),
)
