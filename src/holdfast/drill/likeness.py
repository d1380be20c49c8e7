"""From what a document asks for to a replica. Pure; every dialect answers the same words, so one file serves all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from holdfast.model.facts import Facts
from holdfast.model.replica import Bind, Node, Replica
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.words import declared
from holdfast.reason.effective.capabilities import EVERY, NAMES, granted, spelled
from holdfast.reason.effective.ground import KUBERNETES
from holdfast.reason.effective.namespaces import sandbox_of

_SHARED = ("pid", "net", "ipc", "uts", "cgroup")
_MADE_BY_ENGINE = frozenset({"volume", "tmpfs", "projected", "claim"})
_SANDBOXES = {"runsc": "runsc", "gvisor": "runsc"}
_PLAIN_RUNTIMES = frozenset({"", "default", "runc", "io.containerd.runc.v2", "io.containerd.runc.v1"})
_ORDINARY = frozenset(
    {
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
    }
)  # fmt: skip
_NOBODY = "65534:65534"
_SUBORDINATE = ((0, 100000, 65536),)
"""Where shadow-utils begins to hand out subordinate users, for a user namespace of which no mapping is known."""
_FOREIGN_FILES = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})
"""Mounted by every engine for itself; the replica's engine does so too."""


def replica_of(
    facts: Facts, image: str = "", runtimes: frozenset[str] = frozenset(), *, engine: str = "docker"
) -> tuple[Replica, tuple[str, ...]]:
    """Build the replica of a container.

    Args:
        facts: What a document or engine declares (``declared.*``).
        image: The target's image, if the engine has it; its files then stand in the replica too.
        runtimes: OCI runtimes that can be used here, by name.
        engine: What starts the replica: ``docker``, ``podman`` or ``oci``.

    Returns:
        The replica, and in what it is not like the target, one line each.
    """
    differs: list[str] = []
    value = facts.value
    spaces = value(declared.NAMESPACES)
    shared = frozenset(name for name in _SHARED if spaces is not None and spaces.has(name) is YES)
    if spaces is not None:
        doubtful = [name for name in _SHARED if spaces.has(name) is UNKNOWN and name not in {"cgroup", "uts"}]
        if doubtful:
            differs.append(f"namespaces that may be the host's or another container's: {', '.join(doubtful)}")
    # A Pod has no word for it, and the engine's default is that of the CRI runtimes: by the host's cgroup version.
    says_cgroup = spaces is not None and spaces.has("cgroup") is NO and (value(declared.ENGINE) or "") not in KUBERNETES
    if value(declared.USER_NAMESPACE) == "host":
        shared |= {"user"}
    networks = value(declared.NETWORKS)
    engine, user_map = _user_map(facts, engine, runtimes, differs)
    if engine == "oci":
        # A bundle lists every namespace that is the container's own.
        shared -= {"user"}
    added, dropped, ambient = _capabilities(facts, engine, differs)
    replica = Replica(
        engine=engine,
        runtime=_runtime(value(declared.RUNTIME) or "", runtimes, differs),
        image=image if engine != "oci" else "",
        user=_user(facts, image, differs),
        groups=_groups(facts, image, differs),
        capabilities_added=added,
        capabilities_dropped=dropped,
        capabilities_ambient=ambient,
        privileged=value(declared.PRIVILEGED) is True,
        seccomp=_seccomp(facts, engine, differs),
        apparmor=value(declared.APPARMOR) or "default",
        selinux=value(declared.SELINUX) or (),
        no_new_privileges=value(declared.NO_NEW_PRIVILEGES) is True,
        namespaces=shared,
        own_namespaces=frozenset({"cgroup"} if says_cgroup else ()),
        network="none" if networks is not None and tuple(networks) == ("none",) else "bridge",
        binds=tuple(_binds(facts, engine, differs)),
        nodes=tuple(
            Node(each.source, each.target or each.source, each.permissions, number=each.number)
            for each in value(declared.DEVICES) or ()
            if _absolute(each.source, "device", differs)
        ),
        device_rules=value(declared.DEVICE_RULES) or (),
        read_only=value(declared.READ_ONLY_ROOT) is True,
        writable_cgroups=value(declared.WRITABLE_CGROUPS) is True,
        sysctls=value(declared.SYSCTLS) or (),
        user_map=user_map,
    )
    replica = _with_paths(replica, facts, differs)
    if replica.writable_cgroups and engine != "oci" and not replica.privileged:
        differs.append("the cgroup file systems are writable: the replica has them read-only")
    if replica.privileged and replica.nodes:
        differs.append("the devices that are named one by one: a privileged container has them all")
    return replica, tuple(dict.fromkeys(differs))


def _capabilities(
    facts: Facts, engine: str, differs: list[str]
) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return what is added, dropped and ambient; spelled out where the target's engine has other defaults."""
    value = facts.value
    exact, bounding = value(declared.CAPABILITIES_EXACT), value(declared.CAPABILITIES_BOUNDING)
    ambient = value(declared.CAPABILITIES_AMBIENT) or frozenset()
    if exact is not None:
        # What root has after execve(2) is the bounding set, whatever the effective set was before.
        return frozenset(bounding if bounding is not None else exact), frozenset({"ALL"}), frozenset(ambient)
    added = tuple(_known(value(declared.CAPABILITIES_ADDED) or (), "capability", differs))
    dropped = tuple(_known(value(declared.CAPABILITIES_DROPPED) or (), "capability", differs))
    asked = value(declared.ENGINE) or engine
    if asked == engine:
        return frozenset(added), frozenset(dropped), frozenset()
    # Engines disagree in their defaults, and in whether an addition or a drop of the same name wins.
    names = granted(asked, added, dropped, EVERY)
    if "ALL" in {spelled(name) for name in added}:
        # Engines differ in the newest names they know, so none is spelled out that is not taken away.
        return frozenset({"ALL"}), frozenset(name for name in NAMES if names.has(name) is NO), frozenset()
    doubtful = [name for name in NAMES if names.has(name) is UNKNOWN]
    if doubtful:
        differs.append(
            f"capabilities on which the engines disagree that may run it: {', '.join(doubtful)}; it has them"
        )
    return frozenset(name for name in NAMES if names.has(name) is not NO), frozenset({"ALL"}), frozenset()


def _user(facts: Facts, image: str, differs: list[str]) -> str:
    user = facts.value(declared.USER)
    name = (user or "").partition(":")[0]
    if facts.value(declared.RUN_AS_NON_ROOT) is True and name in {"", "0", "root"}:
        differs.append(
            f"the user: the engine refuses to start it as root, {_NOBODY} takes the place of the image's own"
        )
        return _NOBODY
    if image:
        return user or ""
    if user is None:
        differs.append("the user: the image decides which it is, root takes its place")
        return ""
    if name and not name.isdecimal() and name not in {"root", "nobody"}:
        differs.append(f"the user {name}: the image that knows it is not here, {_NOBODY} takes its place")
        return _NOBODY
    return user


def _groups(facts: Facts, image: str, differs: list[str]) -> tuple[str, ...]:
    groups = tuple(_known(facts.value(declared.GROUPS) or (), "group", differs))
    if image:
        return groups
    unknown = [name for name in groups if not name.isdecimal() and name != "root"]
    if unknown:
        differs.append(f"groups by name: the image that knows them is not here: {', '.join(unknown)}")
    return tuple(name for name in groups if name not in unknown)


def _user_map(
    facts: Facts, engine: str, runtimes: frozenset[str], differs: list[str]
) -> tuple[str, tuple[tuple[int, int, int], ...]]:
    """Return the engine and the user mapping; Docker gives a single container no user namespace of its own."""
    mapping = facts.value(declared.USER_NAMESPACE_MAP) or ()
    if facts.value(declared.USER_NAMESPACE) != "private":
        return engine, mapping
    if engine == "docker" and facts.value(declared.ENGINE) != "docker":
        if "runc" not in runtimes:
            differs.append("the user namespace of its own: it has the host's, and its root is root on the host")
            return engine, ()
        differs.append("the engine: an OCI runtime starts it, which gives it a user namespace")
        engine = "oci"
    return engine, mapping or (_SUBORDINATE if engine != "docker" else ())


def _with_paths(replica: Replica, facts: Facts, differs: list[str]) -> Replica:
    asked = facts.value(declared.SYSTEM_PATHS)
    if asked != "exact":
        return replace(replica, unmasked=asked == "unconfined")
    masked, read_only = facts.value(declared.MASKED_PATHS), facts.value(declared.READONLY_PATHS)
    if replica.engine == "oci":
        return replace(replica, masked_paths=masked, read_only_paths=read_only)
    if masked and read_only and facts.value(declared.ENGINE) == "docker" and {*masked, *read_only} <= _ORDINARY:
        # What Docker reports of a container that asked for nothing; the list grows with its releases.
        return replica
    if masked and read_only:
        differs.append("masked and read-only paths of its own: the replica has the engine's")
        return replica
    if masked or read_only:
        differs.append("masked and read-only paths of its own: the replica has none of them")
    return replace(replica, unmasked=True)


def _known(names: tuple[str, ...], kind: str, differs: list[str]) -> Iterator[str]:
    for name in names:
        if name.startswith("("):
            differs.append(f"a {kind} that nobody could tell: {name}")
        else:
            yield name


def _absolute(path: str, kind: str, differs: list[str]) -> bool:
    if path.startswith("/"):
        return True
    differs.append(f"a {kind} whose host path nobody could tell: {path}")
    return False


def _runtime(name: str, known: frozenset[str], differs: list[str]) -> str:
    if name in _PLAIN_RUNTIMES:
        return ""
    name = _SANDBOXES.get(name, name)
    if name not in known and sandbox_of(name) == "none":
        differs.append(f"the runtime {name}: it is not set up here, the engine's default takes its place")
        return ""
    # A sandbox that is not here is asked for all the same: without it the replica would be another container.
    return name


def _seccomp(facts: Facts, engine: str, differs: list[str]) -> str:
    asked = facts.value(declared.SECCOMP) or "default"
    profile = facts.value(declared.SECCOMP_PROFILE)
    if profile is not None:
        return json.dumps(profile)
    if asked == "unconfined":
        return "unconfined"
    if asked == "default" and (facts.value(declared.ENGINE) or "") in KUBERNETES:
        # A kubelet asks for no filter where a Pod names none, unless it was told otherwise.
        return "unconfined"
    if engine == "oci":
        differs.append("the engine's seccomp profile: an OCI runtime has none of its own, the replica has no filter")
        return "unconfined"
    if asked not in {"default", "runtime/default", "builtin"}:
        differs.append(f"the seccomp profile {asked}: it could not be read, the engine's default takes its place")
    return "default"


def _binds(facts: Facts, engine: str, differs: list[str]) -> Iterator[Bind]:
    mounts = facts.value(declared.MOUNTS) or ()
    bound = {mount.target for mount in mounts if mount.kind == "bind"}
    for mount in mounts:
        if mount.target in _FOREIGN_FILES and mount.source.rsplit("/", 1)[-1] in {"hosts", "hostname", "resolv.conf"}:
            continue
        if mount.target == "/dev" and mount.kind == "tmpfs":
            # A bundle lists what every engine mounts by itself.
            continue
        if mount.kind == "bind":
            if _absolute(mount.source, "mount", differs):
                nosuid = "nosuid" in mount.options
                if nosuid and engine != "oci":
                    differs.append(f"the mount at {mount.target} is nosuid: the replica's is not")
                yield Bind(mount.source, mount.target, mount.read_only, mount.propagation, nosuid)
        elif mount.kind in _MADE_BY_ENGINE and mount.target not in bound:
            # What the engine makes for this container alone holds nothing of the host.
            yield Bind("", mount.target, mount.read_only)
            if mount.kind == "claim":
                differs.append(f"the claim at {mount.target}: an empty tmpfs takes its place")
            elif mount.kind == "volume":
                differs.append(f"the volume at {mount.target}: an empty tmpfs takes its place")
