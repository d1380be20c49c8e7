"""The layers that can stop an attempt, and how each is taken away from a replica. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from holdfast.model.drill import Layer
from holdfast.model.replica import Bind, Node, Replica


@dataclass(frozen=True, slots=True)
class Gifts:
    """What a replica can be given at most on this host.

    Attributes:
        capabilities: Those the engine can hand out here.
        binds: Mounts of the host, or of what stands in for it.
        nodes: Device nodes.
        user_namespace: The host's user namespace can be shared.
    """

    capabilities: frozenset[str]
    binds: tuple[Bind, ...] = ()
    nodes: tuple[Node, ...] = ()
    user_namespace: bool = True


def _capability(replica: Replica, gifts: Gifts) -> Replica:
    return replace(replica, capabilities_added=gifts.capabilities, capabilities_dropped=frozenset(), privileged=False)


def _user(replica: Replica, _gifts: Gifts) -> Replica:
    return replace(replica, user="0:0", groups=())


def _seccomp(replica: Replica, _gifts: Gifts) -> Replica:
    return replace(replica, seccomp="unconfined")


def _lsm(replica: Replica, _gifts: Gifts) -> Replica:
    return replace(replica, apparmor="unconfined", selinux=("disable",))


def _kernel_files(replica: Replica, _gifts: Gifts) -> Replica:
    return replace(replica, unmasked=True)


def _read_only(replica: Replica, _gifts: Gifts) -> Replica:
    binds = tuple(replace(bind, read_only=False, nosuid=False) for bind in replica.binds)
    nodes = tuple(replace(node, permissions="rwm") for node in replica.nodes)
    return replace(replica, binds=binds, nodes=nodes, read_only=False)


def _user_namespace(replica: Replica, gifts: Gifts) -> Replica:
    if not gifts.user_namespace:
        return replica
    return replace(replica, namespaces=replica.namespaces | {"user"}, user_map=())


def _device_cgroup(replica: Replica, _gifts: Gifts) -> Replica:
    return replace(replica, device_rules=(*replica.device_rules, "a *:* rwm"))


def _sandbox(replica: Replica, _gifts: Gifts) -> Replica:
    return replace(replica, runtime="runc" if replica.engine == "oci" else "")


def _namespace(replica: Replica, _gifts: Gifts) -> Replica:
    return replace(replica, namespaces=replica.namespaces | {"pid", "net", "ipc", "cgroup"})


def _mounts(replica: Replica, gifts: Gifts) -> Replica:
    return replace(replica, binds=(*replica.binds, *gifts.binds), nodes=(*replica.nodes, *gifts.nodes))


_LIFTS: dict[Layer, Callable[[Replica, Gifts], Replica]] = {
    Layer.SANDBOX: _sandbox,
    Layer.USER_NAMESPACE: _user_namespace,
    Layer.USER: _user,
    Layer.CAPABILITY: _capability,
    Layer.SECCOMP: _seccomp,
    Layer.LSM: _lsm,
    Layer.NOT_MOUNTED: _mounts,
    Layer.READ_ONLY: _read_only,
    Layer.KERNEL_FILES: _kernel_files,
    Layer.DEVICE_CGROUP: _device_cgroup,
    Layer.NAMESPACE: _namespace,
}


def in_force(replica: Replica, gifts: Gifts) -> tuple[Layer, ...]:
    """Return the layers that a replica has and that can be taken away from it here."""
    return tuple(layer for layer, lift in _LIFTS.items() if lift(replica, gifts) != replica)


def without(replica: Replica, layers: Iterable[Layer], gifts: Gifts) -> Replica:
    """Return the replica with layers taken away."""
    wanted = set(layers)
    # The order is fixed: what is mounted first is made writable afterwards.
    for layer, lift in _LIFTS.items():
        if layer in wanted:
            replica = lift(replica, gifts)
    return replica
