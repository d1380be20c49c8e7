"""Change other containers through the engine's state directory.

What happens: below ``/var/lib/docker``, ``/var/lib/containerd`` or ``/var/lib/containers`` lie the layers, settings,
logs and volumes of every container. Mounted writable, they let root in one container put code into the layers of
another, or make it privileged by an edit of its ``hostconfig.json`` that counts after the engine's next start.

Why the engine allows it: it trusts its own directory, which only root can enter. A bind mount shows the same files,
and file permissions see the container's root as the host's root unless a user namespace maps it to somebody else.

What closes it: not mounting the directory; for logs only ``containers``, read-only; a user namespace; another user
than root; SELinux, which labels layers for the one container they belong to.

How it looks: a process in a container writes below ``overlay2`` or to a ``config.v2.json``, and not through its own
overlay.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_not, starts_with
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import lsm_permits, writes_as_root, writes_below

_STATE = (
    "/var/lib/docker/*",
    "/var/lib/docker/overlay2/*/*",
    "/var/lib/containerd/*/*",
    "/var/lib/containers/storage/*/*",
    "/var/lib/rancher/k3s/agent/containerd/*",
)

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/var/lib/docker",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Change other containers through the engine's directory",
    row=33,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, *_STATE) & writes_as_root() & lsm_permits("host_files"),
    gives=(
        Change(reach.OTHER_CONTAINER, True, "layers and volumes of other containers can be written"),
        Change(reach.HOST_FILE_WRITE, True, "settings decide with which rights a container starts next time"),
    ),
    closed_by=(
        Change(
            container.HOST_PATHS_WRITABLE, without(*_STATE), "do not mount the engine's directory, or only read-only"
        ),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below(
        "/var/lib/docker/",
        "/var/lib/containerd/",
        "/var/lib/containers/storage/",
        "/var/lib/rancher/k3s/agent/containerd/",
    )
    & is_not(event.FILE_SYSTEM, "overlay")
    # An engine mounts volumes, and files such as /etc/hosts, out of its own directory.
    & ~starts_with(event.HOST_MOUNT, "/var/lib/docker/volumes/")
    & ~starts_with(event.HOST_MOUNT, "/var/lib/docker/containers/")
    & ~starts_with(event.HOST_MOUNT, "/var/lib/containers/storage/volumes/"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.WRITE: True,
        event.HOST_PATH: "/var/lib/docker/overlay2/0a1b/diff/usr/bin/app",
        event.HOST_MOUNT: "/var/lib/docker",
        event.FILE_SYSTEM: "ext4",
    },
    drill_class=DrillClass.D3,
    drill=leave_file(
        "/var/lib/docker",
        "/var/lib/docker/overlay2",
        "/var/lib/containerd",
        "/var/lib/containers/storage",
        "/var/lib/rancher/k3s/agent/containerd",
    ),
    examples=(
        Example("/var/lib/docker mounted writable, as root", _OPEN, YES),
        Example("/var as a whole", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/var",))}, YES),
        Example(
            "one named volume",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/var/lib/docker/volumes/a/_data",))},
            NO,
        ),
        Example("mounted read-only, as log shippers do", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example("SELinux container_t", {**_OPEN, container.LSM_DENIES: Members.of("host_files")}, NO),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=(
        "https://docs.docker.com/engine/storage/drivers/overlayfs-driver/",
        "https://github.com/containerd/containerd/blob/main/docs/ops.md",
    ),
)
