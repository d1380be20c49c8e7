"""Draw container configurations: every pair of settings at least once, then at random. The same seed, the same draw.

Each axis is a setting of a container with the values worth trying; a value is a change of a replica. Pure.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.drill.stand_in_paths import is_socket
from holdfast.model.replica import Bind, Neighbour, Node, Replica

Change = Callable[[Replica], Replica]
_CANDIDATES = 30


@dataclass(frozen=True, slots=True)
class Offer:
    """What a place can start.

    Attributes:
        engine: ``docker`` or ``podman``.
        runtimes: OCI runtimes that are asked without an engine: ``runc``, ``crun``, ``runsc``.
        capabilities: Those that can be handed out.
        privileged: The privileged flag works.
        bridge: The engine has a bridge network.
        parts: Parts of the host that few hosts have; see ``OF_A_PART``.
    """

    engine: str
    runtimes: tuple[str, ...]
    capabilities: frozenset[str]
    privileged: bool
    bridge: bool
    parts: frozenset[str] = frozenset()


def _with(**changes: object) -> Change:
    return lambda replica: replace(replica, **changes)  # type: ignore[arg-type]


def _caps(*added: str, dropped: tuple[str, ...] = ()) -> Change:
    names = frozenset(f"CAP_{name}" for name in added)
    return lambda replica: replace(
        replica,
        capabilities_added=replica.capabilities_added | names,
        capabilities_dropped=replica.capabilities_dropped | frozenset(dropped),
    )


def _bound(*binds: Bind) -> Change:
    return lambda replica: replace(replica, binds=(*replica.binds, *binds))


def _paths(*paths: str, read_only: bool = False) -> Change:
    return _bound(*(Bind(path, f"/mnt{path}", read_only) for path in paths))


def _shared(*names: str) -> Change:
    return lambda replica: replace(replica, namespaces=replica.namespaces | frozenset(names))


def _beside(neighbour: Neighbour) -> Change:
    # No other network, so that nobody else has the addresses.
    return lambda replica: replace(replica, network="none", neighbour=neighbour)


def _behind_a_plug_in(replica: Replica) -> Replica:
    return replace(_bound(Bind(_SOCKET, "/var/run/docker.sock"))(replica), guarded=True)


def _same(replica: Replica) -> Replica:
    return replica


_NODE_DIRECTORIES = (
    "/etc/kubernetes/manifests",
    "/opt/cni/bin",
    "/var/lib/kubelet/pods",
    "/var/lib/kubelet/device-plugins",
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
)
_DAEMONS = (
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/run/user/1000/podman/podman.sock",
    "/run/libvirt/libvirt-sock",
    "/run/snapd.socket",
)
_SOCKET = "/run/docker.sock"

LEAKING = "runc, with a directory left open"
GUARDED = "docker.sock behind a plug-in"
AXES: Mapping[str, Mapping[str, Change]] = {
    "user": {
        "root": _same,
        "1000": _with(user="1000:1000"),
        "nobody": _with(user="65534:65534"),
        "1000 in group 0": _with(user="1000:1000", groups=("0",)),
    },
    "capabilities": {
        "default": _same,
        "none": _caps(dropped=("ALL",)),
        "SYS_ADMIN": _caps("SYS_ADMIN"),
        "SYS_PTRACE": _caps("SYS_PTRACE"),
        "SYS_ADMIN and SYS_PTRACE": _caps("SYS_ADMIN", "SYS_PTRACE"),
        "DAC_READ_SEARCH": _caps("DAC_READ_SEARCH"),
        "DAC_READ_SEARCH alone": _caps("DAC_READ_SEARCH", dropped=("ALL",)),
        "SYS_ADMIN alone": _caps("SYS_ADMIN", dropped=("ALL",)),
        "SYS_MODULE": _caps("SYS_MODULE"),
        "SYS_RAWIO": _caps("SYS_RAWIO"),
        "NET_ADMIN": _caps("NET_ADMIN"),
        "SYS_BOOT": _caps("SYS_BOOT"),
        "without MKNOD": _caps(dropped=("MKNOD",)),
        "without DAC_OVERRIDE": _caps(dropped=("DAC_OVERRIDE",)),
    },
    "seccomp": {"default": _same, "unconfined": _with(seccomp="unconfined")},
    "security module": {"default": _same, "unconfined": _with(apparmor="unconfined", selinux=("disable",))},
    "kernel files": {"masked": _same, "unmasked": _with(unmasked=True)},
    "namespaces": {
        "own": _same,
        "pid": _shared("pid"),
        "net": _shared("net"),
        "ipc": _shared("ipc"),
        "cgroup": _shared("cgroup"),
        "pid and ipc": _shared("pid", "ipc"),
    },
    "network": {
        "the engine's": _same,
        "a cloud's": _beside(Neighbour.METADATA),
        "a cloud's, one hop": _beside(Neighbour.METADATA_ONE_HOP),
        "a read-only proxy": _beside(Neighbour.READ_PROXY),
        "a proxy without inspect": _beside(Neighbour.CLOSED_PROXY),
    },
    "mounts": {
        "none": _same,
        "/": _paths("/"),
        "/ read-only": _paths("/", read_only=True),
        "/etc": _paths("/etc"),
        "/etc read-only": _paths("/etc", read_only=True),
        "/proc": _paths("/proc"),
        "/sys": _paths("/sys"),
        "cgroups": _paths("/sys/fs/cgroup"),
        "docker.sock": _bound(Bind(_SOCKET, "/var/run/docker.sock")),
        "docker.sock read-only": _bound(Bind(_SOCKET, "/var/run/docker.sock", read_only=True)),
        GUARDED: _behind_a_plug_in,
        "/run": _paths("/run"),
        "/dev": _paths("/dev"),
        "homes": _paths("/root", "/home"),
        "programs": _paths("/usr", "/boot"),
        "engine's state": _paths("/var/lib/docker", "/var/lib/containerd"),
        "a Kubernetes node": _paths(*_NODE_DIRECTORIES),
        "daemons": _paths(*_DAEMONS),
        "system bus": _paths("/run/dbus/system_bus_socket"),
        "systemd's own socket": _paths("/run/systemd/private"),
        "unit files": _paths("/etc/systemd/system", "/run/systemd/system"),
        "hooks": _paths("/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"),
        "CDI": _paths("/etc/cdi", "/run/cdi"),
        "containerd.sock": _paths("/run/containerd/containerd.sock"),
        "a data directory": _paths("/srv/holdfast"),
        "a data directory, shared": _bound(Bind("/srv/holdfast", "/mnt/srv", propagation="rshared")),
        "tracing": _paths("/sys/kernel/tracing", "/sys/kernel/debug"),
        "logs": _paths("/var/log"),
        "/dev/shm": _paths("/dev/shm"),  # noqa: S108 - a path to mount
    },
    "devices": {
        "none": _same,
        "disk": _with(nodes=(Node("/dev/holdfast-disk", "/dev/holdfast-disk"),)),
        "disk to read": _with(nodes=(Node("/dev/holdfast-disk", "/dev/holdfast-disk", "r"),)),
        "any by rule": _with(device_rules=("a *:* rwm",)),
        "disks by rule": _with(device_rules=("b *:* r",)),
    },
    "root": {"writable": _same, "read-only": _with(read_only=True)},
    "new privileges": {"allowed": _same, "none": _with(no_new_privileges=True)},
    "started by": {
        "engine": _same,
        "runc": _with(engine="oci", runtime="runc"),
        "crun": _with(engine="oci", runtime="crun"),
        "runsc": _with(engine="oci", runtime="runsc"),
        LEAKING: _with(engine="oci", runtime="runc"),
        "privileged": _with(privileged=True),
        "own user namespace": _with(engine="oci", runtime="runc", user_map=((0, 100000, 65536),)),
    },
}
"""Axis -> value -> change. The first value of each axis is the engine's default."""

PLACES_OF_NOTE: tuple[Mapping[str, str], ...] = (
    *({"mounts": name} for name in AXES["mounts"]),
    *({"devices": name} for name in AXES["devices"]),
    *({"namespaces": name} for name in AXES["namespaces"]),
    *({"network": name} for name in AXES["network"]),
    {"network": "a cloud's", "started by": "crun"},
    {"network": "a read-only proxy", "started by": "runc"},
    {"capabilities": "SYS_ADMIN", "security module": "unconfined"},
    {"capabilities": "SYS_ADMIN", "security module": "unconfined", "mounts": "a data directory, shared"},
    {"capabilities": "SYS_ADMIN and SYS_PTRACE", "security module": "unconfined", "namespaces": "pid"},
    {"namespaces": "pid", "user": "1000", "security module": "unconfined"},
    {"capabilities": "DAC_READ_SEARCH", "security module": "unconfined"},
    {"capabilities": "SYS_MODULE", "security module": "unconfined"},
    {"capabilities": "NET_ADMIN", "namespaces": "net"},
    {"kernel files": "unmasked", "security module": "unconfined"},
    {"started by": LEAKING},
    {"started by": "privileged"},
    {"started by": "privileged", "user": "1000"},
    {"started by": "privileged", "namespaces": "pid and ipc"},
    {"started by": "runsc", "mounts": "/"},
    {"started by": "runsc", "capabilities": "SYS_ADMIN", "kernel files": "unmasked"},
    {"started by": "own user namespace", "capabilities": "SYS_ADMIN", "mounts": "/"},
)
"""Drawn first: each technique meets a container in which it should work, whatever the rest of the draw is."""

OF_A_PART: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "systemd": (
        {"mounts": "systemd's own socket"},
        {"mounts": "system bus"},
        {"mounts": "system bus", "security module": "unconfined"},
        {"mounts": "unit files"},
    ),
    "OCI hooks": ({"mounts": "hooks"},),
    "authorization plug-ins": ({"mounts": GUARDED},),
}
"""Part of a host -> containers that never fail to be drawn where it runs: few places can show what they can do."""


def draw(offer: Offer, seed: int, count: int) -> list[tuple[str, Replica]]:
    """Draw configurations.

    Args:
        offer: What the place can start; values that it cannot are passed over.
        seed: The same seed and offer draw the same.
        count: How many; what only this place can show comes first, then the configurations of note, then pairwise
            cover, then random ones.

    Returns:
        (name, replica) pairs. The name tells every value that is not the default.
    """
    chance = random.Random(seed)  # noqa: S311 - a draw to be repeated, no secret
    axes = {name: [value for value in values if _offered(name, value, offer)] for name, values in AXES.items()}
    default = {name: values[0] for name, values in axes.items()}
    first = [{**default, **note} for part in sorted(offer.parts) for note in OF_A_PART.get(part, ())]
    rows: list[dict[str, str]] = []
    for note in PLACES_OF_NOTE:
        row = {**default, **note}
        if row not in rows and row not in first and all(value in axes[name] for name, value in note.items()):
            rows.append(row)
    # With another seed the draw begins elsewhere, so that a short one does not try the same few containers for ever.
    chance.shuffle(rows)
    rows = first + rows
    rows = rows[: max(1, len(first), count * 2 // 3)] if count < len(rows) * 3 // 2 else rows
    rows += _pairwise(axes, chance, count - len(rows))
    while len(rows) < count:
        rows.append({name: chance.choice(values) for name, values in axes.items()})
    return [(_name(row, default), _replica(row, offer)) for row in rows[:count]]


def _pairwise(axes: Mapping[str, Sequence[str]], chance: random.Random, most: int) -> list[dict[str, str]]:
    """Cover every pair of values of two axes, greedily (AETG: the best of some random rows, again and again).

    Source:
        Cohen, Dalal, Fredman, Patton: The AETG system, IEEE Transactions on Software Engineering 23 (1997).
    """
    open_ = {
        frozenset({(one, a), (two, b)})
        for one, two in itertools.combinations(axes, 2)
        for a in axes[one]
        for b in axes[two]
    }
    rows: list[dict[str, str]] = []
    while open_ and len(rows) < most:
        first = min(open_, key=sorted) if not rows else chance.choice(sorted(open_, key=sorted))
        best: dict[str, str] = {}
        score = -1
        for _ in range(_CANDIDATES):
            row = {**{name: chance.choice(list(values)) for name, values in axes.items()}, **dict(first)}
            gain = sum(frozenset(pair) in open_ for pair in itertools.combinations(row.items(), 2))
            if gain > score:
                best, score = row, gain
        rows.append(best)
        open_ -= {frozenset(pair) for pair in itertools.combinations(best.items(), 2)}
    return rows


def _offered(axis: str, value: str, offer: Offer) -> bool:
    if axis == "started by":
        if value == "privileged":
            return offer.privileged
        if value in {"own user namespace", LEAKING}:
            return "runc" in offer.runtimes
        return value == "engine" or value in offer.runtimes
    if axis == "capabilities":
        changed = AXES[axis][value](Replica())
        return changed.capabilities_added <= offer.capabilities
    if axis == "network" and "proxy" in value:
        # It stands before a Docker engine.
        return offer.engine == "docker"
    if axis == "mounts" and value == GUARDED:
        return "authorization plug-ins" in offer.parts
    return not (axis == "mounts" and value == "containerd.sock" and offer.engine == "podman")


def _replica(row: Mapping[str, str], offer: Offer) -> Replica:
    replica = Replica(engine=offer.engine, network="bridge" if offer.bridge else "none")
    for axis, value in row.items():
        replica = AXES[axis][value](replica)
    if replica.privileged:
        replica = replace(replica, unmasked=False, device_rules=(), nodes=())
    if replica.runtime == "runsc":
        # gVisor has no cgroups, devices or sockets of the host to hand on, and says so when it is asked for them.
        files = (bind for bind in replica.binds if not is_socket(bind.source))
        binds = tuple(replace(bind, propagation="") for bind in files)
        replica = replace(replica, binds=binds, nodes=(), device_rules=(), namespaces=frozenset(), guarded=False)
    if replica.user_map:
        replica = replace(replica, nodes=(), device_rules=(), namespaces=replica.namespaces - {"net", "pid"})
    if "net" in replica.namespaces:
        replica = replace(replica, neighbour=Neighbour.NONE)
    return replica


def _name(row: Mapping[str, str], default: Mapping[str, str]) -> str:
    told = [f"{name}: {value}" for name, value in row.items() if value != default[name]]
    return ", ".join(told) or "the default container"
