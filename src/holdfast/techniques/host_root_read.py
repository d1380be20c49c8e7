"""Read the host's secrets through a mount of its root directory or of a directory that holds them.

What happens: the host's root directory lies inside the container, often "only read-only" for monitoring. Root reads
password hashes, private keys, the kubelet's credentials, the volumes and environment of every other container.
Another user reads what is readable for all, which on most hosts is still the larger part. Root also finds secrets
through a mount of a single directory such as ``/etc``, ``/root`` or ``/var/lib/kubelet``.

Why the kernel allows it: read-only forbids writing and nothing else. File permissions see the container's root as the
host's root unless a user namespace maps it to somebody else; CAP_DAC_READ_SEARCH or CAP_DAC_OVERRIDE do the same for
other users.

What closes it: mounting only the directories that the application needs; SELinux, for files that were not labelled
for containers. A user namespace or another user shuts out what only root may read, not the rest.

How it looks: a process in a container opens ``/etc/shadow``, a key or a token of the host.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import AnyOf, covers, is_, is_not, one_of, starts_with
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import read_secret
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import lsm_permits, reads_as_root

_SECRETS = (
    "/etc/shadow",
    "/etc/kubernetes/pki",
    "/etc/kubernetes/admin.conf",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssl/private",
    "/root/.ssh",
    "/root/.docker",
    "/root/.kube",
    "/var/lib/kubelet/pki",
    "/var/lib/etcd",
    "/var/lib/rancher",
    "/var/lib/docker/overlay2",
    "/var/lib/docker/volumes",
    "/var/lib/containerd/*",
    "/var/lib/containers/storage",
)

_SEEN = (
    "/etc/shadow", "/etc/kubernetes/", "/etc/ssh/ssh_host_", "/etc/ssl/private/", "/root/.", "/var/lib/kubelet/pki/",
)  # fmt: skip
_WHOLE = (
    "/", "/root", "/var", "/var/lib", "/var/lib/docker", "/var/lib/docker/volumes", "/var/lib/containers",
    "/var/lib/containers/storage", "/var/lib/rancher", "/var/lib/etcd",
)  # fmt: skip
"""Mounts that show more than one workload's files. What lies below a narrower one may be meant for the container."""
_SEEN_LAYERS = ("/var/lib/docker/overlay2/", "/var/lib/containerd/", "/var/lib/containers/storage/overlay")
"""Files of other containers; a container's own come through its own root, of type overlay."""

_OPEN: Situation = {
    container.HOST_PATHS: Paths(("/",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
}
_ORDINARY: Situation = {
    **_OPEN,
    container.USER_ID: 65534,
    container.HOST_USER_ID: 65534,
    container.CAPABILITIES: Members(),
}

TECHNIQUE = Technique(
    title="Read the host's secrets through a mount",
    row=21,
    attack=("T1611", "T1552.001"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=(covers(container.HOST_PATHS, "/") | (covers(container.HOST_PATHS, *_SECRETS) & reads_as_root()))
    & lsm_permits("host_files"),
    gives=(Change(reach.HOST_FILE_READ, True, "files of the host lie inside the container"),),
    closed_by=(
        Change(
            container.HOST_PATHS,
            without(*_SECRETS),
            "mount only the directories the application needs",
        ),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & AnyOf(
        (
            *(starts_with(event.HOST_PATH, prefix) for prefix in _SEEN),
            *(starts_with(event.HOST_PATH, prefix) & is_not(event.FILE_SYSTEM, "overlay") for prefix in _SEEN_LAYERS),
            one_of(event.HOST_MOUNT, *_WHOLE) & is_(event.FILE_KIND, "regular"),
        )
    ),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: False, event.HOST_PATH: "/etc/shadow"},
    drill_class=DrillClass.D3,
    drill=read_secret("/", readable=True) + read_secret(*_SECRETS, "/root"),
    examples=(
        Example("-v /:/host:ro as root", _OPEN, YES),
        Example("the same as nobody: what all may read", _ORDINARY, YES),
        Example("/etc read-only, as root", {**_OPEN, container.HOST_PATHS: Paths(("/etc",))}, YES),
        Example(
            "/var/lib/docker read-only, as root", {**_OPEN, container.HOST_PATHS: Paths(("/var/lib/docker",))}, YES
        ),
        Example("/etc read-only, as nobody", {**_ORDINARY, container.HOST_PATHS: Paths(("/etc",))}, NO),
        Example(
            "single harmless files",
            {**_OPEN, container.HOST_PATHS: Paths(("/etc/localtime", "/etc/timezone", "/etc/ssl/certs"))},
            NO,
        ),
        Example("the application's own directory", {**_OPEN, container.HOST_PATHS: Paths(("/srv/app",))}, NO),
        Example("SELinux container_t", {**_OPEN, container.LSM_DENIES: Members.of("host_files")}, NO),
        Example(
            "/etc mounted, user not seen",
            unseen({**_OPEN, container.HOST_PATHS: Paths(("/etc",))}, container.USER_ID, container.HOST_USER_ID),
            UNKNOWN,
        ),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=(
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/EXPLOIT_HOST_READ.md",
        "https://man7.org/linux/man-pages/man7/capabilities.7.html",
    ),
)
