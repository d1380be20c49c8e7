"""What procfs shows of a live process. The procfs platform answers these; only ``reason/effective`` asks them."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.model.facts import Fact
from holdfast.model.values import Members


@dataclass(frozen=True, slots=True)
class MountInfo:
    """One line of mountinfo(5).

    Attributes:
        device: ``major:minor`` of the superblock.
        root: Path inside that superblock which forms the root of the mount.
        target: Mount point, relative to the process's root.
        options: Options of this mount.
        peers: Optional fields: ``shared:N``, ``master:N``, ...
        fstype: File system type.
        source: Source as the kernel prints it.
        super_options: Options of the superblock.
        host_path: The same place on the host, where the host's own mount table shows it; empty where it does not.
    """

    device: str
    root: str
    target: str
    options: frozenset[str]
    peers: tuple[str, ...]
    fstype: str
    source: str
    super_options: frozenset[str]
    host_path: str = ""


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device node below the container's /dev.

    Attributes:
        path: Path inside the container.
        kind: ``block`` or ``char``.
        major: Its number.
        minor: Its number.
        owner: User id of its owner, as the host sees it.
        group: Group id, as the host sees it.
        mode: Permission bits.
    """

    path: str
    kind: str
    major: int
    minor: int
    owner: int = 0
    group: int = 0
    mode: int = 0


PID: Fact[int] = Fact("observed.pid", int, "Process id in the observer's pid namespace.")
CONTAINER_ID: Fact[str] = Fact(
    "observed.container_id", str, "64 hex digits, from the cgroup path or the runtime's state."
)
RUNTIME: Fact[str] = Fact(
    "observed.runtime", str, 'What started it, as far as procfs tells: "docker", "podman", "runsc", ...'
)
HOST_USER_ID: Fact[int] = Fact("observed.host_user_id", int, "Effective uid, in the observer's user namespace.")
HOST_GROUP_IDS: Fact[Members] = Fact(
    "observed.host_group_ids", Members, "Effective gid and supplementary groups, there."
)
USER_MAP: Fact[tuple[tuple[int, int, int], ...]] = Fact("observed.user_map", tuple, "/proc/PID/uid_map.")
CAPABILITIES_EFFECTIVE: Fact[frozenset[str]] = Fact("observed.capabilities_effective", frozenset, "CapEff by name.")
CAPABILITIES_PERMITTED: Fact[frozenset[str]] = Fact("observed.capabilities_permitted", frozenset, "CapPrm by name.")
CAPABILITIES_BOUNDING: Fact[frozenset[str]] = Fact("observed.capabilities_bounding", frozenset, "CapBnd by name.")
CAPABILITIES_AMBIENT: Fact[frozenset[str]] = Fact("observed.capabilities_ambient", frozenset, "CapAmb by name.")
NO_NEW_PRIVILEGES: Fact[bool] = Fact("observed.no_new_privileges", bool, "NoNewPrivs.")
SECCOMP_MODE: Fact[int] = Fact("observed.seccomp_mode", int, "0 none, 1 strict, 2 filter.")
SECCOMP_FILTERS: Fact[tuple[bytes, ...]] = Fact(
    "observed.seccomp_filters",
    tuple,
    "Classic BPF programs read from the kernel, newest first; 8 bytes an instruction.",
)
LSM_LABEL: Fact[str] = Fact("observed.lsm_label", str, "/proc/PID/attr/current.")
SHARED_NAMESPACES: Fact[Members] = Fact("observed.shared_namespaces", Members, "Same inode as the host's namespaces.")
OWN_USER_NAMESPACE: Fact[bool] = Fact("observed.own_user_namespace", bool, "Its user namespace is not the host's.")
MOUNTS: Fact[tuple[MountInfo, ...]] = Fact("observed.mounts", tuple, "mountinfo(5), in order.")
CGROUP: Fact[str] = Fact("observed.cgroup", str, "Cgroup path: the v2 line, else that of the devices controller.")
DEVICE_RULES: Fact[tuple[str, ...]] = Fact("observed.device_rules", tuple, "devices.list of a v1 device cgroup.")
DEVICE_NODES: Fact[tuple[DeviceNode, ...]] = Fact("observed.device_nodes", tuple, "Nodes below /proc/PID/root/dev.")
OUTSIDE_FDS: Fact[tuple[str, ...]] = Fact("observed.outside_fds", tuple, "Open directories outside the root, by path.")
SAME_USER_ON_HOST: Fact[bool] = Fact("observed.same_user_on_host", bool, "See container.same_user_on_host.")
SAME_USER_ID_ON_HOST: Fact[bool] = Fact("observed.same_user_id_on_host", bool, "See container.same_user_id_on_host.")
SAME_USER_IN_CONTAINER: Fact[bool] = Fact(
    "observed.same_user_in_container", bool, "See container.same_user_in_container."
)
CGROUP_V1_ROOT: Fact[bool] = Fact(
    "observed.cgroup_v1_root", bool, "A version 1 line of /proc/PID/cgroup, read from the host, names the root group."
)
