"""Which host paths a container sees, by what its document asks to mount.

Source:
    mount_namespaces(7); https://docs.docker.com/engine/storage/bind-mounts/
"""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.model.facts import NO_PARTS, Absent, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import NO, UNKNOWN, Truth
from holdfast.model.values import Paths, normal_path
from holdfast.model.words import container, declared, engine, host
from holdfast.model.words.declared import Mount
from holdfast.reason.effective.ground import KUBERNETES, Ground
from holdfast.reason.effective.reading import Table, elements, flag, part, text, texts

NO_PATHS = Paths()
_ON_ROOT = frozenset({"/", "/etc", "/bin", "/sbin", "/lib", "/lib64"})
"""Host paths that cannot be on another file system than the root directory, or the host would not start."""
_ABOVE_CGROUPS = frozenset({"/", "/sys", "/sys/fs", "/sys/fs/cgroup"})
_ALWAYS_BELOW = ("/dev", "/proc", "/run", "/sys", "/sys/fs/cgroup")
"""Places where every host of today has a file system of its own mounted."""
_OFTEN_BELOW = ("/boot", "/home", "/mnt", "/sys/fs/bpf", "/sys/kernel/debug", "/sys/kernel/tracing", "/var")
_LXCFS = "/var/lib/lxcfs"
_UNSEEN = Absent("the mounts were not seen")

_CLOSED = ("/proc/", "/root/", "/var/lib/containerd/", "/var/lib/docker/")
_SOCKETS = (".sock", ".socket", "-sock")


@dataclass(slots=True)
class Reached:
    """Host paths as they are gathered from mounts, with their places.

    Attributes:
        paths: Every path, with the place of its mount.
        writable: Those that are not read-only.
        suid: Those of writable where setuid counts.
        shared: Those whose mounts propagate to the host.
        shallow: Those that are read-only themselves, while file systems mounted below them may be writable.
        perhaps: Those of which nobody knows whether they are writable.
        rest: Unknown where some mount's host path is not known.
    """

    paths: dict[str, Where] = field(default_factory=dict)
    writable: dict[str, Where] = field(default_factory=dict)
    suid: dict[str, Where] = field(default_factory=dict)
    shared: dict[str, Where] = field(default_factory=dict)
    shallow: dict[str, Where] = field(default_factory=dict)
    perhaps: dict[str, Where] = field(default_factory=dict)
    rest: Truth = NO
    rest_writable: Truth = NO
    rest_shared: Truth = NO

    def add(self, path: str, where: Where, *, writable: bool, suid: bool, shared: bool) -> None:
        """Add one mount."""
        self.paths.setdefault(path, where)
        if writable:
            self.writable.setdefault(path, where)
            if suid and _holds_programs(path):
                self.suid.setdefault(path, where)
        if shared:
            self.shared.setdefault(path, where)

    def doubt(self, *, writable: bool, shared: bool) -> None:
        """Note a mount that may reach any host path."""
        self.rest = UNKNOWN
        if writable:
            self.rest_writable = UNKNOWN
        if shared:
            self.rest_shared = UNKNOWN

    def answer(self, out: Table, where: Where, note: str = "") -> None:
        """Answer the four questions about host paths."""
        out[container.HOST_PATHS] = _seen(self.paths, self.rest, where, "")
        out[container.HOST_PATHS_WRITABLE] = _seen(self.writable, self.rest_writable, where, note, self.perhaps)
        out[container.HOST_PATHS_SUID] = _seen(self.suid, self.rest_writable, where, "")
        out[container.HOST_PATHS_SHARED] = _seen(self.shared, self.rest_shared, where, "")


def _holds_programs(path: str) -> bool:
    """Tell whether an ordinary user of the host meets a file with the setuid bit there.

    Not in procfs, not on a socket, and not in a directory that every distribution closes to ordinary users.
    """
    return not f"{path}/".startswith(_CLOSED) and not path.endswith(_SOCKETS)


def _seen(
    found: dict[str, Where], rest: Truth, where: Where, note: str, perhaps: dict[str, Where] | None = None
) -> Seen[Paths]:
    maybe = tuple(perhaps or ())
    if not found:
        return Seen(NO_PATHS if rest is NO and not maybe else Paths((), rest, maybe=maybe), where, note)
    parts: dict[object, Where] = {path: place for path, place in found.items() if place is not where}
    first = next(iter(found.values()))
    value = Paths(tuple(found), rest, maybe=maybe)
    return Seen(value, first if len(found) == 1 else where, note, parts or NO_PARTS)


def _whole(mount: Mount) -> bool:
    """Tell whether a mount that is said to be one has the right shapes inside."""
    return (
        isinstance(mount.kind, str)
        and isinstance(mount.source, str)
        and isinstance(mount.target, str)
        and isinstance(mount.propagation, str)
        and isinstance(mount.options, frozenset)
    )


def answer_mounts(out: Table, facts: Facts, at: Ground) -> None:
    """Answer which host paths are visible, writable and shared, and what follows from single mounts."""
    mounts = elements(facts, declared.MOUNTS, Mount)
    if mounts is None:
        for fact in (
            container.HOST_PATHS, container.HOST_PATHS_WRITABLE, container.HOST_PATHS_SUID, container.HOST_PATHS_SHARED,
            container.VOLUME_CLAIMS, container.VOLUME_CLAIM_ON_HOST,
        ):  # fmt: skip
            out[fact] = _UNSEEN
        reached = Reached(rest=UNKNOWN, rest_writable=UNKNOWN)
        _follow(out, facts, at, reached, at.where)
        return
    reached = Reached()
    claims: list[tuple[Mount, Where]] = []
    shallow = ""
    for index, mount in enumerate(mounts.value):
        if not _whole(mount):
            reached.doubt(writable=True, shared=True)
            continue
        where = part(mounts, index, mount)
        if mount.kind == "claim":
            claims.append((mount, where))
        elif mount.kind == "bind":
            shallow = _bind(reached, mount, where) or shallow
        elif mount.kind == "projected" and mount.source.startswith("/"):
            # a file the user names as source of a Compose secret or config: that one file, read-only
            reached.add(normal_path(mount.source), where, writable=False, suid=False, shared=False)
    _below_shallow(reached, _binds_shallowly(at))
    reached.answer(out, mounts.where, shallow)
    _claims(out, claims, mounts.where)
    _follow(out, facts, at, reached, mounts.where)


def _below_shallow(reached: Reached, shallowly: bool | None) -> None:
    """Add what stays writable below a read-only bind: the file systems that the host has mounted there."""
    if shallowly is False:
        return
    for path, where in reached.shallow.items():
        above = path.rstrip("/") + "/"
        for below in (*_ALWAYS_BELOW, *_OFTEN_BELOW):
            if below.startswith(above) and below not in reached.writable:
                kind = reached.writable if shallowly and below in _ALWAYS_BELOW else reached.perhaps
                kind.setdefault(below, where)


def _claims(out: Table, claims: list[tuple[Mount, Where]], where: Where) -> None:
    """Answer whether PersistentVolumeClaims are mounted, and whether a host path lies behind one."""
    out[container.VOLUME_CLAIMS] = Seen(bool(claims), claims[0][1] if claims else where)
    on_host = [place for mount, place in claims if "host" in mount.options]
    unseen = [place for mount, place in claims if not mount.options & {"host", "remote"}]
    if on_host:
        out[container.VOLUME_CLAIM_ON_HOST] = Seen(True, on_host[0])
    elif unseen:
        out[container.VOLUME_CLAIM_ON_HOST] = Absent("what the claim is bound to was not seen", unseen[0])
    else:
        out[container.VOLUME_CLAIM_ON_HOST] = Seen(False, where)


def _bind(reached: Reached, mount: Mount, where: Where) -> str:
    """Add one bind mount; return a remark where read-only may not mean what it says."""
    writable = not (mount.read_only or "ro" in mount.options or "rro" in mount.options)
    shared = mount.propagation in {"shared", "rshared"}
    if not mount.source.startswith("/"):
        reached.doubt(writable=writable, shared=shared)
        return ""
    path = normal_path(mount.source)
    reached.add(path, where, writable=writable, suid="nosuid" not in mount.options, shared=shared)
    if not writable and "rro" not in mount.options:
        reached.shallow.setdefault(path, where)
    if path in reached.shallow and path in {"/", "/var", "/var/lib", "/run", "/mnt", "/sys"}:
        return f"read-only covers {path} itself; file systems mounted below it may stay writable"
    return ""


def _follow(out: Table, facts: Facts, at: Ground, reached: Reached, where: Where) -> None:
    """Answer what single host paths decide beyond themselves."""
    state = flag(at.engine_facts, engine.STATE_ON_ROOT)
    out[container.HOST_SUPERBLOCK] = _superblock(state, reached.paths)
    out[container.HOST_SUPERBLOCK_WRITABLE] = _superblock_writable(state, facts, reached.writable)
    if not reached.paths and reached.rest is NO:
        out[container.HOST_PATHS_PERMITTED] = Seen(NO_PATHS, where, "no host path is inside")
    else:
        out[container.HOST_PATHS_PERMITTED] = Absent("owner and mode of the host's files were not seen")
    asked = flag(facts, declared.WRITABLE_CGROUPS)
    if asked is not None and asked.value:
        out[container.CGROUP_WRITABLE] = Seen(True, asked.where)
    else:
        out[container.CGROUP_WRITABLE] = _cgroup(out, facts, at, reached, where)
    out[container.LXCFS_WRITABLE] = _lxcfs(reached, where)
    out[container.LAYER_PATH_KNOWN] = _layer(facts, at)


def _superblock(state: Seen[bool] | None, paths: dict[str, Where]) -> Seen[bool] | Absent:
    if state is not None and state.value:
        return Seen(True, state.where, "the engine binds /etc/hosts from its state directory")
    for path, where in paths.items():
        if path in _ON_ROOT or path.startswith("/etc/"):
            return Seen(True, where, "the path lies on the file system of the host's root")
    return Absent("whether the engine's state lies on the host's root file system was not seen")


def _superblock_writable(state: Seen[bool] | None, facts: Facts, writable: dict[str, Where]) -> Seen[bool] | Absent:
    for path, where in writable.items():
        if path in _ON_ROOT or path.startswith("/etc/"):
            return Seen(True, where, "the path lies on the file system of the host's root")
    fixed = flag(facts, declared.READ_ONLY_ROOT)
    if state is not None and state.value and fixed is not None and not fixed.value:
        return Seen(True, state.where, "the engine binds /etc/hosts writable")
    return Absent("whether such a mount is writable was not seen")


def _cgroup(out: Table, facts: Facts, at: Ground, reached: Reached, where: Where) -> Seen[bool] | Absent:
    bound = _bound_cgroups(reached, at)
    if bound is not None:
        return bound
    if at.spelled_out:
        fixed = texts(facts, declared.READONLY_PATHS)
        if fixed is not None and "/sys/fs/cgroup" in fixed.value:
            return Seen(False, fixed.where)
        return Absent("how the cgroup file system is mounted was not seen")
    if at.privileged is None:
        return Absent("whether it is privileged was not seen")
    if at.privileged.value:
        return Seen(True, at.privileged.where, "privileged")
    space = out.get(container.USER_NAMESPACE)
    if at.engine == "docker" and isinstance(space, Seen) and space.value == "private":
        return Seen(True, space.where, "Docker leaves the cgroup mount writable in a user namespace")
    if reached.rest_writable is UNKNOWN or not at.engine:
        return Absent("not every mount was seen")
    if at.engine == "docker" and isinstance(space, Absent):
        return Absent("whether it has a user namespace was not seen")
    return Seen(False, where, "the engine mounts cgroups read-only")


def _bound_cgroups(reached: Reached, at: Ground) -> Seen[bool] | Absent | None:
    """Answer for a container that the host's own cgroup file systems are bound into; None for every other."""
    for path, place in reached.writable.items():
        if path in _ABOVE_CGROUPS or path.startswith("/sys/fs/cgroup/"):
            return Seen(True, place, "the host's cgroup file system is bound writable")
    below = next((place for path, place in reached.shallow.items() if path in _ABOVE_CGROUPS), None)
    if below is not None and _binds_shallowly(at) is not False:
        return Absent("cgroup hierarchies mounted below the read-only directory may stay writable", below)
    return None


def _binds_shallowly(at: Ground) -> bool | None:
    """Tell whether this engine leaves what is mounted below a read-only bind as it is; None where nobody knows.

    An OCI configuration says so itself (``rro``), and so does Kubernetes (``recursiveReadOnly``). Podman never does it
    unasked. Docker does it by itself since version 25, where kernel and runtime can.
    """
    if at.spelled_out or at.engine in KUBERNETES or at.engine == "podman":
        return True
    version = elements(at.engine_facts, engine.VERSION, int)
    return version.value < (25,) if at.engine == "docker" and version is not None else None


def _lxcfs(reached: Reached, where: Where) -> Seen[bool] | Absent:
    above = reached.rest_writable is UNKNOWN
    for path, place in reached.writable.items():
        if path == _LXCFS or path.startswith(_LXCFS + "/cgroup"):
            return Seen(True, place)
        above = above or path in {"/", "/var", "/var/lib"}
    if above:
        return Absent("whether lxcfs is mounted on the host below a bound directory was not seen")
    return Seen(False, where)


def _layer(facts: Facts, at: Ground) -> Seen[bool] | Absent:
    driver = text(facts, declared.STORAGE_DRIVER)
    if driver is None:
        if at.engine in KUBERNETES or at.engine in {"docker", "podman"}:
            return Seen(True, at.where, "overlay is the engine's default storage")
        return Absent("the storage driver was not seen")
    name = driver.value.lower()
    # btrfs and vfs show the directory as the root of the mount, overlay as its upperdir
    return Seen("overlay" in name or name in {"btrfs", "vfs", "aufs"}, driver.where)


def root_device(seen_host: Facts) -> str | None:
    """Return ``major:minor`` of the host's root file system, None where it was not seen."""
    found = text(seen_host, host.ROOT_DEVICE)
    return None if found is None else found.value
