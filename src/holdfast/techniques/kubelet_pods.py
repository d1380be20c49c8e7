"""Take the tokens and volumes of other Pods from the kubelet's directory.

What happens: the kubelet keeps, below ``/var/lib/kubelet/pods``, the volumes of every Pod of the node: service
account tokens, Secrets, ConfigMaps, data. A container in which that directory, or one above it, is mounted reads all
of them as root.

Why the kernel allows it: Secrets and tokens are ordinary files on a tmpfs that the host mounted. Only file
permissions guard them, and those see the container's root as the host's root unless a user namespace maps it to
somebody else. Read-only is enough to read.

What closes it: not mounting the directory; a user namespace, where the file systems allow one; another user than
root; SELinux, which keeps one Pod's files from another.

How it looks: a container opens a token below ``pods/`` that is not its own, or anything there through a mount of the
whole directory.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import contains, covers, is_, one_of, starts_with
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import read_secret
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import lsm_permits, on_kubernetes_node, reads_as_root

_PODS = "/var/lib/kubelet/pods"
_ABOVE = ("/", "/var", "/var/lib", "/var/lib/kubelet", _PODS)
"""Mounts that show every Pod's files. A Pod's own volumes are mounts of their own."""

_OPEN: Situation = {
    container.HOST_PATHS: Paths(("/var/lib/kubelet",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Take the tokens of other Pods from the kubelet's directory",
    row=28,
    attack=("T1552.001",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS, _PODS)
    & reads_as_root()
    & lsm_permits("host_files")
    & on_kubernetes_node(container.HOST_PATHS, "/var/lib"),
    gives=(
        Change(reach.OTHER_CONTAINER, True, "volumes and Secrets of every Pod of the node can be read"),
        Change(reach.NODE_CREDENTIALS, True, "so can the service account tokens of every Pod of the node"),
    ),
    closed_by=(
        Change(container.HOST_PATHS, without(_PODS), "do not mount the kubelet's directory"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & starts_with(event.HOST_PATH, "/var/lib/kubelet/pods/")
    & (contains(event.PATH, "/volumes/kubernetes.io~") | one_of(event.HOST_MOUNT, *_ABOVE)),
    seen_sample={
        event.IN_CONTAINER: True,
        event.PATH: "/host/pods/0a1b/volumes/kubernetes.io~projected/kube-api-access-x/token",
        event.HOST_PATH: "/var/lib/kubelet/pods/0a1b/volumes/kubernetes.io~projected/kube-api-access-x/token",
    },
    drill_class=DrillClass.D3,
    drill=read_secret(_PODS, wide_needs=("kubelet",)),
    examples=(
        Example("the kubelet's directory, read-only or not, as root", _OPEN, YES),
        Example("/var mounted on a node", {**_OPEN, container.HOST_PATHS: Paths(("/var",)), host.KUBELET: True}, YES),
        Example("only its plug-in sockets", {**_OPEN, container.HOST_PATHS: Paths(("/var/lib/kubelet/plugins",))}, NO),
        Example(
            "not root and without capabilities",
            {
                **_OPEN,
                container.USER_ID: 1000,
                container.HOST_USER_ID: 1000,
                container.CAPABILITIES: Members(),
            },
            NO,
        ),
        Example("SELinux container_t", {**_OPEN, container.LSM_DENIES: Members.of("host_files")}, NO),
        Example(
            "/var mounted on a host that may have no kubelet",
            {**_OPEN, container.HOST_PATHS: Paths(("/var",))},
            UNKNOWN,
        ),
        Example("user not seen", unseen(_OPEN, container.USER_ID, container.HOST_USER_ID), UNKNOWN),
    ),
    sources=(
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/EXPLOIT_HOST_TRAVERSE.md",
        "https://kubernetes.io/docs/concepts/storage/volumes/#hostpath",
    ),
)
