"""A replica: the settings of a container that is made to be attacked, in no engine's dialect."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Neighbour(Enum):
    """What a drill places beside a replica, on a network that it makes for the two of them."""

    NONE = ""
    METADATA = "a cloud's metadata service that answers containers"
    METADATA_ONE_HOP = "a cloud's metadata service whose answers end at the node"
    READ_PROXY = "a read-only proxy of the Docker API"
    CLOSED_PROXY = "a proxy of the Docker API that refuses inspect and archive"


@dataclass(frozen=True, slots=True)
class Bind:
    """One mount of the replica.

    Attributes:
        source: Path on the host that the original mounts; empty for a tmpfs.
        target: Path inside.
        read_only: Mounted read-only.
        propagation: ``rshared`` and so on; empty for the engine's default.
        nosuid: setuid files do not count on it.
        stand_in: Path on the host that is mounted in place of ``source``; empty where it is the source itself.
    """

    source: str
    target: str
    read_only: bool = False
    propagation: str = ""
    nosuid: bool = False
    stand_in: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """One device node of the replica.

    Attributes:
        source: Path of the node on the host.
        target: Path inside.
        permissions: ``rwm`` or less.
        stand_in: Path of the node that is granted in place of ``source``; empty where it is the source itself.
        number: ``c MAJOR:MINOR`` or ``b MAJOR:MINOR`` where that is known, and not where the host has the node.
    """

    source: str
    target: str
    permissions: str = "rwm"
    stand_in: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True)
class Replica:
    """What a replica is started with. Every default is the engine's own.

    Attributes:
        engine: ``docker``, ``podman`` or ``oci`` (a bundle that an OCI runtime starts without an engine).
        runtime: OCI runtime by name; empty for the engine's default.
        image: Image whose files the replica has; empty for an image that holds nothing but the probe.
        user: ``UID``, ``UID:GID`` or a name; empty for the image's own.
        groups: Further groups.
        capabilities_added: With ``CAP_``, or ``ALL``.
        capabilities_dropped: The same.
        privileged: The privileged flag.
        seccomp: ``default``, ``unconfined`` or the profile's JSON text.
        apparmor: ``default``, ``unconfined`` or the profile's name.
        selinux: Label options, such as ``disable``.
        no_new_privileges: The flag.
        namespaces: Of ``pid``, ``net``, ``ipc``, ``uts``, ``cgroup``, ``user``: those shared with the host.
        own_namespaces: Those that are asked to be private although the engine's default may differ.
        network: ``none`` or ``bridge`` where the network is not the host's.
        neighbour: What it finds on a further network; it has one only beside a network namespace of its own.
        guarded: The Docker socket that it is given is that of an engine of the drill's own, behind a plug-in.
        binds: Mounts.
        nodes: Device nodes.
        device_rules: Device cgroup rules beyond the default.
        unmasked: Nothing in /proc and /sys is masked or read-only.
        masked_paths: Exactly these are masked, where a list is named; only an OCI runtime can be asked for it.
        read_only_paths: Exactly these are read-only; the same.
        writable_cgroups: The cgroup file systems are mounted writable; the same.
        capabilities_ambient: Kept by a process that is not root; the same.
        read_only: The root file system is.
        sysctls: (name, value) pairs.
        user_map: uid and gid mappings (inside, outside, length); only where an OCI runtime is asked directly.
    """

    engine: str = "docker"
    runtime: str = ""
    image: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    capabilities_added: frozenset[str] = frozenset()
    capabilities_dropped: frozenset[str] = frozenset()
    privileged: bool = False
    seccomp: str = "default"
    apparmor: str = "default"
    selinux: tuple[str, ...] = ()
    no_new_privileges: bool = False
    namespaces: frozenset[str] = frozenset()
    own_namespaces: frozenset[str] = frozenset()
    network: str = "none"
    neighbour: Neighbour = Neighbour.NONE
    guarded: bool = False
    binds: tuple[Bind, ...] = ()
    nodes: tuple[Node, ...] = ()
    device_rules: tuple[str, ...] = ()
    unmasked: bool = False
    masked_paths: tuple[str, ...] | None = None
    read_only_paths: tuple[str, ...] | None = None
    writable_cgroups: bool = False
    capabilities_ambient: frozenset[str] = frozenset()
    read_only: bool = False
    sysctls: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    user_map: tuple[tuple[int, int, int], ...] = ()
