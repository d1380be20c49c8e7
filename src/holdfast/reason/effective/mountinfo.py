"""Which host paths a live process sees, by its mount table.

A mount is the host's where the host shows the same place of the same file system, or where it is a part of a file
system that holds the host's root. What the engine itself puts into every container does not count.

Source:
    proc_pid_mountinfo(5)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import normal_path
from holdfast.model.words import container, observed
from holdfast.model.words.observed import MountInfo
from holdfast.reason.effective.devices import kind_of_path
from holdfast.reason.effective.kernel_files import HIDDEN, KernelFiles
from holdfast.reason.effective.mounts import NO_PATHS, Reached, root_device
from holdfast.reason.effective.reading import Table, elements, members, part, told

_KERNEL = frozenset(
    {
        "proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "bpf", "configfs", "pstore",
        "efivarfs", "binfmt_misc", "fusectl", "selinuxfs",
    }
)  # fmt: skip
_CGROUP = frozenset({"cgroup", "cgroup2"})
_ENGINE = re.compile(
    r"(/volumes/([^/]+/){1,2}_data(/.*)?"  # volumes of Docker, Podman and nerdctl
    r"|/((overlay-)?containers|etchosts)/([^/]+/)?[0-9a-f]{64}/.+"  # resolv.conf, hosts, shm of Docker, Podman
    r"|/(sandboxes|containers)/[0-9a-f]{64}/.+"  # the same of containerd and CRI-O
    r"|/kubelet/pods/[0-9a-f][0-9a-f-]{31,35}/.+"  # volumes that the kubelet made for one Pod
    r"|/(docker|containerd|containers|crio)/.*/(merged|rootfs|userdata|shm)(/.*)?)$"
)
_THREE = frozenset({"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"})
_SOCKET = re.compile(r"/([^/]+/){0,2}[^/]*(\.sock|socket|\.socket)")
_GONE = "//deleted"
"""What the kernel appends to the path of a mounted file or directory that was removed or replaced since."""
_DISK = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs"})
_TOKEN = "run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path, no secret
_SUBJECTS = (
    container.HOST_PATHS, container.HOST_PATHS_WRITABLE, container.HOST_PATHS_SUID, container.HOST_PATHS_SHARED,
    container.HOST_SUPERBLOCK, container.HOST_SUPERBLOCK_WRITABLE, container.HOST_PATHS_PERMITTED,
    container.LAYER_PATH_KNOWN, container.MASKED, container.KERNEL_FILES_WRITABLE, container.CGROUP_WRITABLE,
    container.LXCFS_WRITABLE, container.SERVICE_ACCOUNT_TOKEN,
)  # fmt: skip

_MOUNT_POINTS = frozenset(
    {"/sys/fs/bpf", "/sys/fs/cgroup", "/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/tracing"}
)
"""Empty directories of sysfs: where nothing else is mounted on them there is nothing to reach."""
WITHOUT_FILES = frozenset(
    {
        "binfmt_misc", "bpf", "cgroup", "cgroup2", "debugfs", "devpts", "efivarfs", "mqueue", "proc", "pstore",
        "securityfs", "sysfs", "tracefs",
    }
)  # fmt: skip
"""File systems that hold no programs: nobody can leave a setuid file there."""


def writable(mount: MountInfo) -> bool:
    """Tell whether neither the mount nor its superblock is read-only."""
    return "ro" not in mount.options and "ro" not in mount.super_options


def answer_mountinfo(out: Table, facts: Facts, host_facts: Facts) -> None:
    """Answer everything that the mount table shows."""
    entry = elements(facts, observed.MOUNTS, MountInfo)
    if entry is None:
        told(out, facts.absent(observed.MOUNTS) or Absent("the mount table was not seen"), *_SUBJECTS)
        return
    table = [(mount, part(entry, index, mount)) for index, mount in enumerate(entry.value) if _whole(mount)]
    if len(table) != len(entry.value):
        told(out, Absent("the mount table is not understood", entry.where), *_SUBJECTS)
        return
    visible = _visible(table)
    disk = root_device(host_facts)
    own = frozenset(m.device for m, _ in table if m.root == "/" and not m.host_path and m.device != disk)
    reached = _host_paths(visible, own, disk, _shared_kernel(facts))
    reached.answer(out, entry.where)
    if not reached.paths and reached.rest is NO:
        out[container.HOST_PATHS_PERMITTED] = Seen(NO_PATHS, entry.where, "no host path is inside")
    else:
        out[container.HOST_PATHS_PERMITTED] = Absent("owner and mode of the host's files were not seen")
    _superblock(out, visible, disk, entry.where)
    _kernel_files(out, visible, entry.where)
    _single(out, visible, entry.where)


def _whole(mount: MountInfo) -> bool:
    words = (mount.device, mount.root, mount.target, mount.fstype, mount.source, mount.host_path)
    sets = (mount.options, mount.super_options)
    return (
        all(isinstance(word, str) for word in words)
        and all(isinstance(one, frozenset) for one in sets)
        and isinstance(mount.peers, tuple)
        and all(isinstance(peer, str) for peer in mount.peers)
    )


def _shared_kernel(facts: Facts) -> frozenset[str]:
    """Return the file systems whose superblock follows a namespace that is, or may be, the host's."""
    shared = members(facts, observed.SHARED_NAMESPACES)
    follows = {"proc": "pid", "sysfs": "net"}
    return frozenset(fs for fs, name in follows.items() if shared is None or shared.value.has(name) is not NO)


def _visible(table: list[tuple[MountInfo, Where]]) -> list[tuple[MountInfo, Where]]:
    """Leave out mounts that a later mount at the same place hides."""
    last = {mount.target: index for index, (mount, _) in enumerate(table)}
    return [pair for index, pair in enumerate(table) if last[pair[0].target] == index]


# --- host paths ---


def _host_paths(
    table: list[tuple[MountInfo, Where]], own: frozenset[str], disk: str | None, shared_kernel: frozenset[str]
) -> Reached:
    reached = Reached()
    # a container that made its whole tree shared within itself tells nothing about the host's peers
    inner = any(mount.target == "/" and any(p.startswith("shared:") for p in mount.peers) for mount, _ in table)
    for seen, where in table:
        gone = seen.root.endswith(_GONE)
        mount = _as_it_was(seen) if gone else seen
        path = _host_path(mount, own, disk, shared_kernel)
        if gone and path and path.endswith((".sock", "socket")):
            continue  # the daemon listens at another one by now
        shared = any(peer.startswith("shared:") for peer in mount.peers)
        if path == "" or (mount.fstype == "sysfs" and path in _MOUNT_POINTS):
            continue
        if path is None:
            reached.doubt(writable=writable(mount), shared=shared)
            continue
        if shared and inner:
            reached.rest_shared = UNKNOWN
        suid = "nosuid" not in mount.options and mount.fstype not in WITHOUT_FILES
        reached.add(path, where, writable=writable(mount), suid=suid, shared=shared and not inner)
    return reached


def _as_it_was(mount: MountInfo) -> MountInfo:
    """Name a mounted file that the host has replaced since. What it held is still read; a write reaches nobody."""
    return replace(
        mount,
        root=mount.root.removesuffix(_GONE),
        host_path=mount.host_path.removesuffix(_GONE),
        options=mount.options | {"ro"},
    )


def _host_path(mount: MountInfo, own: frozenset[str], disk: str | None, shared: frozenset[str]) -> str | None:
    """Return the host path behind a mount, empty where it is the container's own, None where nobody can tell."""
    target, shown = mount.target, mount.host_path
    if target == "/":
        # its own root directory, unless that is the host's
        return "/" if shown == "/" or (mount.root == "/" and mount.device == disk) else ""
    if mount.fstype in {"mqueue", "devpts", "nsfs"}:
        return ""
    if mount.fstype in {"proc", "sysfs"}:
        # who shares the namespace behind it may have the host's superblock without anybody having bound it
        place = "/proc" if mount.fstype == "proc" else "/sys"
        own_place = mount.fstype in shared and (target == place or target.startswith(place + "/"))
        return normal_path(shown) if shown and not own_place else ""
    if mount.fstype in _CGROUP:
        own_place = target == "/sys/fs/cgroup" or target.startswith("/sys/fs/cgroup/")
        own_tree = own_place and (mount.root != "/" or not writable(mount))
        return normal_path(shown) if shown and not own_tree else ""
    path = shown or _guessed(mount, own, disk)
    if path is None or path == "":
        return path
    path = normal_path(path)
    return "" if _engine_made(path, mount) else path


def _engine_made(path: str, mount: MountInfo) -> bool:
    """Tell whether the engine puts such a mount into every container."""
    if _ENGINE.search(path):
        return True
    if mount.target in _THREE and path not in _THREE and path.endswith(mount.target.removeprefix("/etc")):
        return True
    if mount.fstype == "devtmpfs" and mount.root != "/":
        return kind_of_path("/dev" + mount.root) is None
    return path == "/dev/null"


def _guessed(mount: MountInfo, own: frozenset[str], disk: str | None) -> str | None:
    """Say where on the host a mount lies that the host's table does not show."""
    if mount.device in own:
        return ""  # a part of a file system that was made for this container
    if mount.root == "/":
        return "" if mount.device != disk else "/"
    if mount.device == disk:
        return mount.root
    if mount.fstype == "devtmpfs":
        return "/dev" + mount.root
    if mount.fstype == "tmpfs" and _SOCKET.fullmatch(mount.root):
        return "/run" + mount.root  # sockets of daemons live in the tmpfs on /run
    if disk is None and mount.fstype in _DISK:
        return mount.root
    return None


def _superblock(out: Table, table: list[tuple[MountInfo, Where]], disk: str | None, where: Where) -> None:
    if disk is None:
        absent = Absent("which device holds the host's root was not seen")
        told(out, absent, container.HOST_SUPERBLOCK, container.HOST_SUPERBLOCK_WRITABLE)
        return
    same = [(mount, place) for mount, place in table if mount.device == disk]
    open_ = [place for mount, place in same if writable(mount)]
    out[container.HOST_SUPERBLOCK] = Seen(bool(same), same[0][1] if same else where)
    out[container.HOST_SUPERBLOCK_WRITABLE] = Seen(bool(open_), open_[0] if open_ else where)


# --- the kernel's files ---


def _kernel_files(out: Table, table: list[tuple[MountInfo, Where]], where: Where) -> None:
    rules: list[tuple[str, Truth]] = []
    cgroup: Where | None = None
    for mount, place in table:
        kernel = mount.fstype in _KERNEL
        if kernel and mount.fstype in _CGROUP and writable(mount):
            cgroup = cgroup or place
        if mount.target in {"/proc", "/sys"} or mount.target.startswith(("/proc/", "/sys/")):
            rules.append((mount.target, YES if kernel and writable(mount) else NO))
    files = KernelFiles(tuple(rules))
    out[container.CGROUP_WRITABLE] = Seen(cgroup is not None, cgroup or where)
    out[container.KERNEL_FILES_WRITABLE] = Seen(files, where)
    targets = {path for path, _ in rules}
    if "/proc" not in targets:
        out[container.MASKED] = Absent("no procfs is mounted at /proc", where)
    elif files.has("/proc/sys/kernel/core_pattern") is YES:
        out[container.MASKED] = Seen(False, where, "/proc/sys is writable")
    elif targets & set(HIDDEN):
        out[container.MASKED] = Seen(True, where)
    else:
        out[container.MASKED] = Absent("/proc/sys is read-only, but nothing is hidden", where)


def _single(out: Table, table: Iterable[tuple[MountInfo, Where]], where: Where) -> None:
    lxcfs = token = layer = None
    for mount, place in table:
        if (mount.fstype == "fuse.lxcfs" or mount.source == "lxcfs") and writable(mount):
            # the files of lxcfs that engines bind over /proc lead nowhere; its cgroup tree does
            lxcfs = lxcfs or (place if mount.root == "/" or mount.root.startswith("/cgroup") else None)
        if mount.target.endswith(_TOKEN):
            token = token or place
        if mount.target == "/":
            upper = any(one.startswith("upperdir=/") for one in mount.super_options)
            layer = Seen(upper or (mount.root != "/" and mount.fstype in _DISK), place)
    out[container.LXCFS_WRITABLE] = Seen(lxcfs is not None, lxcfs or where)
    out[container.SERVICE_ACCOUNT_TOKEN] = Seen(token is not None, token or where)
    out[container.LAYER_PATH_KNOWN] = layer or Absent("no mount of the root directory is shown", where)
