"""What a document asks for, in no engine's dialect. Platforms answer these; only ``reason/effective`` asks them.

An unanswered word means that the document could not say. Where a document says nothing and its engine has a default,
the platform answers with the literal ``"default"`` and a note, and ``reason/effective`` decides what that means.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.model.facts import Fact
from holdfast.model.place import Where
from holdfast.model.values import Members


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount that a document asks for.

    Attributes:
        kind: ``bind`` (a host path), ``volume`` (a named or anonymous volume of the engine), ``tmpfs``, ``projected``
            (configMap, secret, downwardAPI, Compose configs and secrets), ``claim`` (a PersistentVolumeClaim), ``device``.
        source: Absolute host path for ``bind``, name for ``volume`` and ``claim``; empty otherwise. As written.
            A ``bind`` source that does not start with ``/`` is one that nobody could tell (a variable that is not
            set, ``~``, a path relative to an unknown directory): the mount may reach any host path. The same holds
            for the source of a ``Device``.
            For ``claim``: ``NAMESPACE/NAME``, or ``NAME`` where no namespace is named.
        target: Path inside.
        read_only: As asked for.
        propagation: ``private``, ``rprivate``, ``slave``, ``rslave``, ``shared``, ``rshared``; empty for the default.
        options: Further mount options, e.g. ``nosuid``, ``z``, ``Z``; ``rro`` where mounts below are read-only too.
            A ``claim`` bears ``host`` where a PersistentVolume of type hostPath or local was found behind it (a
            ``bind`` mount at the same target then names the path) and ``remote`` where one of another type was found;
            neither where nobody saw what is behind it.
    """

    kind: str
    source: str
    target: str
    read_only: bool = False
    propagation: str = ""
    options: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class PersistentVolume:
    """A PersistentVolume of Kubernetes.

    Attributes:
        name: Its name.
        kind: ``hostPath``, ``local``, ``csi``, ``nfs``, ...; empty where it could not be read.
        path: Host path of a hostPath or local volume.
        claim: ``NAMESPACE/NAME`` of the claim it is reserved for, empty where there is none.
        storage_class: Name of the class, empty for none.
        modes: Access modes.
        size_bytes: Capacity, 0 where it could not be read.
        labels: Label pairs.
        where: Its place.
    """

    name: str
    kind: str
    path: str
    claim: str
    storage_class: str
    modes: frozenset[str]
    size_bytes: int
    labels: frozenset[tuple[str, str]]
    where: Where


@dataclass(frozen=True, slots=True)
class VolumeClaim:
    """A PersistentVolumeClaim, written out or made from a template.

    Attributes:
        name: ``NAMESPACE/NAME``, or ``NAME``; ``*`` stands for what the cluster will choose.
        volume: Name of the PersistentVolume asked for, empty where the cluster chooses.
        storage_class: Name of the class; None where the cluster's default applies.
        modes: Access modes.
        size_bytes: Capacity asked for, 0 where it could not be read.
        labels: Label pairs that the volume must bear.
        narrowed: True where further conditions choose the volume that nothing here evaluates.
    """

    name: str
    volume: str
    storage_class: str | None
    modes: frozenset[str]
    size_bytes: int
    labels: frozenset[tuple[str, str]]
    narrowed: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """One device node that a document grants.

    Attributes:
        source: Path of the node on the host; where a document names a number instead, the path inside.
        target: Path inside.
        permissions: ``rwm`` or less; empty where the node is made and no rule lets it be opened.
        number: ``c MAJOR:MINOR`` or ``b MAJOR:MINOR`` where the document names it; the source need not exist then.
    """

    source: str
    target: str
    permissions: str = "rwm"
    number: str = field(default="", compare=False)


ENGINE: Fact[str] = Fact(
    "declared.engine", str, '"docker", "podman", "containerd", "cri-o", or "cri" where any CRI runtime may run it.'
)
RUNTIME: Fact[str] = Fact(
    "declared.runtime", str, 'OCI runtime or RuntimeClass by name; "default" where none is named.'
)
PRIVILEGED: Fact[bool] = Fact("declared.privileged", bool, "The privileged flag.")
USER: Fact[str] = Fact(
    "declared.user", str, '"UID", "UID:GID", "name"; "" where the image decides and the image was seen to set none.'
)
USER_BY_IMAGE: Fact[bool] = Fact(
    "declared.user_by_image", bool, "The document names no user, so that the image decides which it is."
)
RUN_AS_NON_ROOT: Fact[bool] = Fact("declared.run_as_non_root", bool, "The engine refuses to start user 0.")
GROUPS: Fact[tuple[str, ...]] = Fact(
    "declared.groups", tuple, "Further groups, by id or name. One in parentheses is one that nobody could tell."
)
CAPABILITIES_ADDED: Fact[tuple[str, ...]] = Fact(
    "declared.capabilities_added", tuple, "As written. One in parentheses is one that nobody could tell."
)
CAPABILITIES_DROPPED: Fact[tuple[str, ...]] = Fact(
    "declared.capabilities_dropped", tuple, "As written. One in parentheses is one that nobody could tell."
)
CAPABILITIES_EXACT: Fact[frozenset[str]] = Fact(
    "declared.capabilities_exact", frozenset, "Effective set as the OCI configuration spells it; defaults do not apply."
)
CAPABILITIES_BOUNDING: Fact[frozenset[str]] = Fact("declared.capabilities_bounding", frozenset, "OCI bounding set.")
CAPABILITIES_AMBIENT: Fact[frozenset[str]] = Fact("declared.capabilities_ambient", frozenset, "OCI ambient set.")
NO_NEW_PRIVILEGES: Fact[bool] = Fact("declared.no_new_privileges", bool, "As asked for.")
SECCOMP: Fact[str] = Fact(
    "declared.seccomp",
    str,
    '"default" (nothing asked), "runtime/default", "unconfined", "builtin", or "localhost:NAME" / "profile" (a file; '
    "its content is seccomp_profile where it could be read).",
)
SECCOMP_PROFILE: Fact[object] = Fact(
    "declared.seccomp_profile", object, "The profile's JSON (Docker's or OCI's shape) as plain dicts and lists."
)
APPARMOR: Fact[str] = Fact("declared.apparmor", str, '"default", "unconfined", or a profile\'s name.')
SELINUX: Fact[tuple[str, ...]] = Fact(
    "declared.selinux", tuple, 'Label options: "disable", "type:spc_t", "level:..."; empty where none is asked for.'
)
NAMESPACES: Fact[Members] = Fact(
    "declared.namespaces", Members, "Namespaces asked to be shared with the host: pid, net, ipc, uts, cgroup."
)
PROCESS_PEERS: Fact[str] = Fact(
    "declared.process_peers",
    str,
    'Containers in sight, in a process namespace that is not the host\'s: "none", "same" (one has this one\'s user and '
    'rights), "unsure" (one perhaps has), "apart" (none has).',
)
USER_NAMESPACE: Fact[str] = Fact("declared.user_namespace", str, '"host", "private" or "default".')
USER_NAMESPACE_MAP: Fact[tuple[tuple[int, int, int], ...]] = Fact(
    "declared.user_namespace_map", tuple, "uid mappings (inside, outside, length) as the OCI configuration spells them."
)
MOUNTS: Fact[tuple[Mount, ...]] = Fact("declared.mounts", tuple, "In order; parts give the place of each.")
DEVICES: Fact[tuple[Device, ...]] = Fact("declared.devices", tuple, "In order; parts give the place of each.")
DEVICE_RULES: Fact[tuple[str, ...]] = Fact(
    "declared.device_rules", tuple, 'Device cgroup rules beyond the default: "b 8:* rwm", "a *:* rwm".'
)
SYSTEM_PATHS: Fact[str] = Fact(
    "declared.system_paths", str, '"default", "unconfined" (nothing masked or read-only), or "exact".'
)
MASKED_PATHS: Fact[tuple[str, ...]] = Fact("declared.masked_paths", tuple, "Exact list, with system_paths=exact.")
READONLY_PATHS: Fact[tuple[str, ...]] = Fact("declared.readonly_paths", tuple, "Exact list, with system_paths=exact.")
READ_ONLY_ROOT: Fact[bool] = Fact("declared.read_only_root", bool, "Root file system mounted read-only.")
SYSCTLS: Fact[tuple[tuple[str, str], ...]] = Fact("declared.sysctls", tuple, "(name, value) pairs.")
SERVICE_ACCOUNT_TOKEN: Fact[bool] = Fact("declared.service_account_token", bool, "A token is mounted.")
TERMINAL: Fact[bool] = Fact("declared.terminal", bool, "A pseudo-terminal is attached.")
NETWORKS: Fact[tuple[str, ...]] = Fact("declared.networks", tuple, 'Network names; "none" where there is none.')
STORAGE_DRIVER: Fact[str] = Fact("declared.storage_driver", str, "overlay2, btrfs, ...")
CONTAINER_OS: Fact[str] = Fact("declared.container_os", str, '"linux" or "windows".')
WRITABLE_CGROUPS: Fact[bool] = Fact(
    "declared.writable_cgroups", bool, "The cgroup file system is asked to be mounted writable (writable-cgroups=true)."
)

# --- what other documents of a cluster say; platforms answer these in ``Reading.shared`` -----------------------------
SERVICE_ACCOUNT: Fact[str] = Fact(
    "declared.service_account", str, "NAMESPACE/NAME of the Kubernetes service account, or NAME."
)
PERSISTENT_VOLUMES: Fact[tuple[PersistentVolume, ...]] = Fact(
    "declared.persistent_volumes", tuple, "PersistentVolumes that the documents describe."
)
VOLUME_CLAIMS: Fact[tuple[VolumeClaim, ...]] = Fact(
    "declared.volume_claims", tuple, "PersistentVolumeClaims that the documents describe."
)
TOKENLESS_ACCOUNTS: Fact[tuple[str, ...]] = Fact(
    "declared.tokenless_accounts", tuple, "Service accounts (NAMESPACE/NAME) that switch the automatic token off."
)
RUNTIME_HANDLERS: Fact[tuple[tuple[str, str], ...]] = Fact(
    "declared.runtime_handlers", tuple, "(RuntimeClass, handler) pairs."
)
