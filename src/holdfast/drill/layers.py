"""The layers that can stop an attempt, and how each is taken away from a replica. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from holdfast.model.drill import Layer
from holdfast.model.logic import Op, atoms
from holdfast.model.replica import Bind, Node, Replica
from holdfast.model.technique import Technique
from holdfast.model.words import container
from holdfast.reason.effective.capabilities import NAMES
from holdfast.reason.effective.namespaces import sandbox_of

_IN_SYS_ADMIN = frozenset({"CAP_BPF", "CAP_PERFMON", "CAP_CHECKPOINT_RESTORE"})
"""What CAP_SYS_ADMIN allowed before they were named by themselves, and allows still."""


@dataclass(frozen=True, slots=True)
class Gifts:
    """What a replica can be given at most on this host.

    Attributes:
        capabilities: Those the engine can hand out here.
        binds: Mounts of the host, or of what stands in for it.
        nodes: Device nodes.
        user_namespace: The host's user namespace can be shared.
        remapped: The engine puts every container into a user namespace, unless it is asked not to.
        security_module: A security module of the host's confines containers.
    """

    capabilities: frozenset[str]
    binds: tuple[Bind, ...] = ()
    nodes: tuple[Node, ...] = ()
    user_namespace: bool = True
    remapped: bool = False
    security_module: bool = True


def _capability(replica: Replica, gifts: Gifts) -> Replica:
    if replica.privileged:
        # It has every capability there is, and without the flag it would lose more than it could be given.
        return replica
    return replace(replica, capabilities_added=gifts.capabilities, capabilities_dropped=frozenset())


def _user(replica: Replica, _gifts: Gifts) -> Replica:
    if replica.user.partition(":")[0] in {"0", "root"} or not (replica.user or replica.image):
        return replica
    # Groups only ever add to what a user may do.
    return replace(replica, user="0:0")


def _seccomp(replica: Replica, _gifts: Gifts) -> Replica:
    if replica.privileged and replica.seccomp == "default":
        return replica
    return replace(replica, seccomp="unconfined")


def _lsm(replica: Replica, gifts: Gifts) -> Replica:
    if not gifts.security_module or (replica.privileged and replica.apparmor == "default"):
        return replica
    return replace(replica, apparmor="unconfined", selinux=("disable",))


def _kernel_files(replica: Replica, _gifts: Gifts) -> Replica:
    if replica.unmasked or replica.privileged:
        return replica
    return replace(replica, unmasked=True, masked_paths=None, read_only_paths=())


def _read_only(replica: Replica, _gifts: Gifts) -> Replica:
    binds = tuple(replace(bind, read_only=False, nosuid=False) for bind in replica.binds)
    nodes = tuple(replace(node, permissions="rwm") for node in replica.nodes)
    return replace(replica, binds=binds, nodes=nodes, read_only=False)


def _user_namespace(replica: Replica, gifts: Gifts) -> Replica:
    own = bool(replica.user_map) or (gifts.remapped and replica.engine != "oci" and "user" not in replica.namespaces)
    if not gifts.user_namespace or not own:
        return replica
    return replace(replica, namespaces=replica.namespaces | {"user"}, user_map=())


def _device_cgroup(replica: Replica, _gifts: Gifts) -> Replica:
    if replica.privileged or "a *:* rwm" in replica.device_rules:
        return replica
    return replace(replica, device_rules=(*replica.device_rules, "a *:* rwm"))


def _sandbox(replica: Replica, _gifts: Gifts) -> Replica:
    if sandbox_of(replica.runtime or "runc") == "none":
        return replica
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
    """Return the replica with layers taken away, as far as it can still be started."""
    wanted = set(layers)
    first = replica
    if Layer.NOT_MOUNTED in wanted and Layer.READ_ONLY not in wanted and any(bind.read_only for bind in replica.binds):
        # Otherwise a second, writable mount would hide that the first is read-only.
        gifts = replace(gifts, binds=tuple(replace(bind, read_only=True) for bind in gifts.binds))
    for layer, lift in _LIFTS.items():
        if layer in wanted:
            replica = lift(replica, gifts)
    return _startable(replica, first) if wanted else replica


def _startable(replica: Replica, first: Replica) -> Replica:
    """Take back what a sandbox refuses to be given: it has no device, namespace or later mount of the host."""
    if sandbox_of(replica.runtime or "runc") != "none":
        binds = tuple(bind if bind in first.binds else replace(bind, propagation="") for bind in replica.binds)
        replica = replace(replica, binds=binds, nodes=first.nodes)
        return replace(replica, device_rules=first.device_rules, namespaces=first.namespaces)
    return replica


def ungiven(technique: Technique, gifts: Gifts) -> tuple[str, ...]:
    """Return the capabilities that a technique may need and that no replica can be given here."""
    asked = {
        str(name)
        for atom in atoms(technique.exposed_when)
        if atom.fact is container.CAPABILITIES and atom.op is Op.HAS
        for name in (atom.value if isinstance(atom.value, (tuple, frozenset)) else (atom.value,))
    }
    held = gifts.capabilities | (_IN_SYS_ADMIN if "CAP_SYS_ADMIN" in gifts.capabilities else frozenset())
    return tuple(name for name in NAMES if name in asked - held)
