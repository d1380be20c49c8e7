"""From what a document asks for to a replica. Pure; every dialect answers the same words, so one file serves all."""

from __future__ import annotations

import json
from collections.abc import Iterator

from holdfast.model.facts import Facts
from holdfast.model.replica import Bind, Node, Replica
from holdfast.model.truth import YES
from holdfast.model.words import declared

_SHARED = ("pid", "net", "ipc", "uts", "cgroup")
_MADE_BY_ENGINE = frozenset({"volume", "tmpfs", "projected", "claim"})
_SANDBOXES = {"runsc": "runsc", "gvisor": "runsc"}
_PLAIN_RUNTIMES = frozenset({"", "default", "runc", "io.containerd.runc.v2", "io.containerd.runc.v1"})
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
    groups = value(declared.GROUPS) or ()
    exact = value(declared.CAPABILITIES_EXACT)
    bounding = value(declared.CAPABILITIES_BOUNDING)
    added = frozenset(_known(value(declared.CAPABILITIES_ADDED) or (), "capability", differs))
    dropped = frozenset(_known(value(declared.CAPABILITIES_DROPPED) or (), "capability", differs))
    if exact is not None:
        added, dropped = frozenset(exact | (bounding or frozenset())), frozenset({"ALL"})
    spaces = value(declared.NAMESPACES)
    shared = frozenset(name for name in _SHARED if spaces is not None and spaces.has(name) is YES)
    if value(declared.USER_NAMESPACE) == "host":
        shared |= {"user"}
    own = frozenset({"cgroup"} if spaces is not None and "cgroup" not in shared else ())
    networks = value(declared.NETWORKS)
    network = "none" if networks is not None and tuple(networks) == ("none",) else "bridge"
    replica = Replica(
        engine=engine,
        runtime=_runtime(value(declared.RUNTIME) or "", runtimes, differs),
        image=image,
        user=value(declared.USER) or "",
        groups=tuple(_known(groups, "group", differs)),
        capabilities_added=added,
        capabilities_dropped=dropped,
        privileged=value(declared.PRIVILEGED) is True,
        seccomp=_seccomp(facts, differs),
        apparmor=value(declared.APPARMOR) or "default",
        selinux=value(declared.SELINUX) or (),
        no_new_privileges=value(declared.NO_NEW_PRIVILEGES) is True,
        namespaces=shared,
        own_namespaces=own,
        network=network,
        binds=tuple(_binds(facts, differs)),
        nodes=tuple(
            Node(each.source, each.target or each.source, each.permissions)
            for each in value(declared.DEVICES) or ()
            if _absolute(each.source, "device", differs)
        ),
        device_rules=value(declared.DEVICE_RULES) or (),
        unmasked=_unmasked(facts, differs),
        read_only=value(declared.READ_ONLY_ROOT) is True,
        sysctls=value(declared.SYSCTLS) or (),
        user_map=value(declared.USER_NAMESPACE_MAP) or (),
    )
    if replica.privileged and replica.nodes:
        differs.append("the devices that are named one by one: a privileged container has them all")
    return replica, tuple(dict.fromkeys(differs))


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
    if name not in known:
        differs.append(f"the runtime {name}: it is not set up here, the engine's default takes its place")
        return ""
    return name


def _seccomp(facts: Facts, differs: list[str]) -> str:
    asked = facts.value(declared.SECCOMP) or "default"
    profile = facts.value(declared.SECCOMP_PROFILE)
    if profile is not None:
        return json.dumps(profile)
    if asked in {"default", "runtime/default", "builtin"}:
        return "default"
    if asked == "unconfined":
        return "unconfined"
    differs.append(f"the seccomp profile {asked}: it could not be read, the engine's default takes its place")
    return "default"


def _unmasked(facts: Facts, differs: list[str]) -> bool:
    asked = facts.value(declared.SYSTEM_PATHS)
    if asked != "exact":
        return asked == "unconfined"
    masked, read_only = facts.value(declared.MASKED_PATHS) or (), facts.value(declared.READONLY_PATHS) or ()
    if masked and read_only:
        return False
    if masked or read_only:
        differs.append("masked and read-only paths of its own: the replica has none of them")
    return True


def _binds(facts: Facts, differs: list[str]) -> Iterator[Bind]:
    mounts = facts.value(declared.MOUNTS) or ()
    bound = {mount.target for mount in mounts if mount.kind == "bind"}
    for mount in mounts:
        if mount.target in _FOREIGN_FILES and mount.source.rsplit("/", 1)[-1] in {"hosts", "hostname", "resolv.conf"}:
            continue
        if mount.kind == "bind":
            if _absolute(mount.source, "mount", differs):
                yield Bind(mount.source, mount.target, mount.read_only, mount.propagation, "nosuid" in mount.options)
        elif mount.kind in _MADE_BY_ENGINE and mount.target not in bound:
            # What the engine makes for this container alone holds nothing of the host.
            yield Bind("", mount.target, mount.read_only)
            if mount.kind == "claim":
                differs.append(f"the claim at {mount.target}: an empty tmpfs takes its place")
