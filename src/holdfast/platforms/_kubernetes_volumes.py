"""Volumes of a Pod and what its containers mount of them.

A volume that is defined but not mounted reaches no container. A volume or a mount that could not be understood becomes
a ``bind`` mount without a source: it may be any host path, which is what is known of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.model.facts import Absent, Seen
from holdfast.model.place import Where
from holdfast.model.words.declared import Mount
from holdfast.platforms._kubernetes_spot import Spot

NO_OPTIONS: frozenset[str] = frozenset()

_PROJECTED = frozenset(("configMap", "secret", "downwardAPI", "projected"))
_ELSEWHERE = frozenset(
    (
        "nfs", "iscsi", "rbd", "cephfs", "glusterfs", "fc", "cinder", "flocker", "quobyte", "storageos", "scaleIO",
        "portworxVolume", "awsElasticBlockStore", "azureDisk", "azureFile", "gcePersistentDisk", "vsphereVolume",
        "photonPersistentDisk", "csi", "flexVolume", "gitRepo", "image",
    )
)  # fmt: skip
"""Kinds whose data come from the network, or lie in a directory that the kubelet makes for this Pod alone."""
KINDS = _PROJECTED | _ELSEWHERE | {"hostPath", "persistentVolumeClaim", "ephemeral", "emptyDir"}

_PROPAGATION = {"None": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}
_VARIABLE = re.compile(r"\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")

TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of the Pod, before a container mounts it.

    Attributes:
        kind: As in ``declared.Mount``; a ``bind`` without a source is one that was not understood.
        source: As there.
        read_only: The volume itself is read-only, whatever the mount says.
        options: As there.
        token: It holds a service account token.
    """

    kind: str
    source: str
    read_only: bool = False
    options: frozenset[str] = NO_OPTIONS
    token: bool = False


UNCLEAR = Volume("bind", "")


class Volumes:
    """The volumes of one Pod by name; each is read when a container first asks for it."""

    __slots__ = ("_read", "_spots", "broken", "claims", "namespace")

    def __init__(self, spec: Spot, namespace: str, claims: dict[str, str]) -> None:
        """Collect the names.

        Args:
            spec: The Pod's spec.
            namespace: Its namespace, empty where none is named.
            claims: Volumes that come from claim templates: name of the volume, name of the claim.
        """
        self.namespace = namespace
        self.claims = claims
        self._spots: dict[str, Spot] = {}
        self._read: dict[str, Volume] = {}
        listed = spec.entries("volumes")
        self.broken = listed is None
        for spot in listed or ():
            name = spot.get("name")
            if name is None:
                spot.complain("a volume without a name", "give it one")
            elif name.name() in self._spots:
                name.complain(f"two volumes bear the name {name.name()!r}", "the API server refuses that; rename one")
            else:
                self._spots[name.name()] = spot

    def find(self, name: Spot) -> Volume:
        """Return the volume that a mount names."""
        wanted = name.name()
        found = self._read.get(wanted)
        if found is None:
            found = self._read[wanted] = self._found(wanted, name)
        return found

    def _found(self, wanted: str, name: Spot) -> Volume:
        # The claim template of a StatefulSet wins over a volume of the same name.
        if wanted in self.claims:
            return Volume("claim", self._qualified(self.claims[wanted]))
        spot = self._spots.get(wanted)
        if spot is not None:
            return self._source(spot, wanted)
        if not self.broken:
            name.complain(f"no volume bears the name {wanted!r}", "the API server refuses that; define the volume")
        return UNCLEAR

    def _qualified(self, claim: str) -> str:
        return f"{self.namespace}/{claim}" if self.namespace else claim

    def _source(self, spot: Spot, name: str) -> Volume:
        kinds = [key for key in spot.keys() if key != "name"]  # noqa: SIM118 - not a dict; null values do not count
        if not kinds:
            return Volume("volume", name)  # the API server makes it an emptyDir
        known = [kind for kind in kinds if kind in KINDS]
        if len(kinds) > 1:
            spot.complain(f"a volume of several kinds: {', '.join(kinds[:5])}", "the API server refuses that; keep one")
        if not known:
            spot.complain(f"a volume of the unknown kind {kinds[0][:40]!r}", "check the spelling")
            return UNCLEAR
        kind = "hostPath" if "hostPath" in known else known[0]
        body = spot.mapping(kind)
        if body is None:
            return UNCLEAR
        return self._of_kind(kind, body, name)

    def _of_kind(self, kind: str, body: Spot, name: str) -> Volume:
        if kind == "hostPath":
            return Volume("bind", _host_path(body))
        if kind == "persistentVolumeClaim":
            claim = body.get("claimName")
            if claim is None:
                body.complain("names no claim", "set claimName")
                return Volume("claim", "")
            return Volume("claim", self._qualified(claim.name()), _flag(body, "readOnly"))
        if kind == "ephemeral":
            return Volume("claim", self._qualified(f"*-{name}"))
        if kind == "emptyDir":
            medium = body.get("medium")
            return Volume("tmpfs" if medium is not None and medium.value == "Memory" else "volume", name)
        if kind in _PROJECTED:
            return Volume("projected", name, read_only=True, token=kind == "projected" and _holds_token(body))
        driver = body.get("driver") if kind in {"csi", "flexVolume"} else None
        options = frozenset((kind, f"driver:{driver.name()}")) if driver is not None else frozenset((kind,))
        return Volume("volume", name, kind == "image" or _flag(body, "readOnly"), options)


def mounts(container: Spot, volumes: Volumes, place: Where) -> tuple[Seen[tuple[Mount, ...]] | Absent, bool, bool]:
    """Read what a container mounts.

    Returns:
        The mounts; whether a token is among them; whether one of them takes the place of the automatic token.
    """
    listed = container.get("volumeMounts")
    if listed is None:
        return Seen((), place, "no volume is mounted"), False, False
    spots = listed.elements()
    if spots is None:
        return Absent("volumeMounts could not be read", listed.where), False, False
    found: list[Mount] = []
    parts: dict[object, Where] = {}
    token = replaced = False
    variables = _Variables(container)
    for spot in spots:
        if not spot.is_mapping:
            spot.complain(f"must be a mapping, not {spot.kind}", "give name and mountPath")
        name = spot.get("name")
        if name is None and spot.is_mapping:
            spot.complain("names no volume", "set name")
        volume = UNCLEAR if name is None else volumes.find(name)
        mount = _mount(spot, volume, variables)
        token = token or volume.token
        replaced = replaced or mount.target.rstrip("/") == TOKEN_FOLDER
        found.append(mount)
        parts[mount] = spot.where
    return Seen(tuple(found), listed.where, parts=parts), token, replaced


def _mount(spot: Spot, volume: Volume, variables: _Variables) -> Mount:
    target = spot.get("mountPath")
    if target is None and spot.is_mapping:
        spot.complain("names no path inside", "set mountPath")
    source, options = volume.source, volume.options
    below = spot.get("subPath")
    if below is not None:
        below_path = below.name()
    else:
        below = spot.get("subPathExpr")
        below_path = "" if below is None else variables.expanded(below.name())
    if below_path:
        if volume.kind == "bind":
            # Which directory below the path it is, nobody can tell before the variables have values.
            source = "" if "$(" in below_path or not source else f"{source.rstrip('/')}/{below_path}"
        elif volume.kind == "claim":
            options |= {f"subpath:{below_path}"}
    read_only = volume.read_only or _flag(spot, "readOnly")
    recursive = spot.get("recursiveReadOnly")
    if recursive is not None and recursive.text() == "Enabled" and read_only:
        options |= {"rro"}
    return Mount(volume.kind, source, "" if target is None else target.name(), read_only, _propagation(spot), options)


def _propagation(spot: Spot) -> str:
    asked = spot.get("mountPropagation")
    if asked is None:
        return ""
    found = _PROPAGATION.get(asked.name())
    if found is None:
        asked.complain(f"is {asked.kind}", "write None, HostToContainer or Bidirectional")
        return "rshared"  # the widest that it can have been meant to be
    return found


class _Variables:
    """The environment of one container, as far as its values are written in the manifest; read when first asked."""

    __slots__ = ("_container", "_values")

    def __init__(self, container: Spot) -> None:
        self._container = container
        self._values: dict[str, str] | None = None

    def expanded(self, path: str) -> str:
        """Put in the values that are known; ``$(NAME)`` stays for the others."""
        if "$(" not in path:
            return path
        if self._values is None:
            self._values = {}
            for entry in self._container.entries("env") or ():
                name, value = entry.get("name"), entry.get("value")
                if name is not None and value is not None and "$" not in value.written:
                    self._values[name.written] = value.written
        values = self._values
        return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), path)


def _host_path(body: Spot) -> str:
    path = body.get("path")
    if path is None:
        body.complain("names no path", "set path")
        return ""
    written = path.text()
    if written is not None and ".." in written.split("/"):
        path.complain("holds '..', which the API server refuses", "write the path without it")
    return path.written


def _flag(spot: Spot, key: str) -> bool:
    """Read a boolean that restricts: a broken one restricts nothing."""
    found = spot.get(key)
    return found is not None and found.boolean() is True


def _holds_token(body: Spot) -> bool:
    return any(source.get("serviceAccountToken") is not None for source in body.entries("sources") or ())
