"""Objects that are no workload but bear on Pods: volumes, claims, service accounts, runtime classes.

They may stand in the same file as the Pod, in another, or in none; so they are gathered as shared facts first and
joined with the workloads when all files were read (``_kubernetes_others``).
"""

from __future__ import annotations

import re
from typing import Any

from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.words import declared
from holdfast.model.words.declared import PersistentVolume, VolumeClaim
from holdfast.platforms._kubernetes_spot import Spot

_NOT_KINDS = frozenset(
    (
        "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
        "storageClassName", "volumeAttributesClassName", "volumeMode",
    )
)  # fmt: skip
ON_HOST = ("hostPath", "local")
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?)([KMGTPE]i|[kMGTPE]|)", re.ASCII)
_SUFFIX = {"": 1, "k": 10**3}
_SUFFIX.update({letter: 1000 ** (index + 2) for index, letter in enumerate("MGTPE")})
_SUFFIX.update({f"{letter}i": 1024 ** (index + 1) for index, letter in enumerate("KMGTPE")})


def qualified(metadata: Spot | None) -> str:
    """Return ``NAMESPACE/NAME``, or ``NAME`` where no namespace is named; empty without a name."""
    name = None if metadata is None else metadata.get("name")
    if metadata is None or name is None:
        return ""
    namespace = metadata.get("namespace")
    return f"{namespace.name()}/{name.name()}" if namespace is not None else name.name()


class Gathered:
    """The shared facts of one document while it is read."""

    def __init__(self) -> None:
        """Start empty."""
        self.found: dict[Fact[Any], list[Any]] = {}
        self.places: dict[Fact[Any], Where] = {}

    def add(self, fact: Fact[Any], value: object, where: Where) -> None:
        """Keep one more."""
        self.found.setdefault(fact, []).append(value)
        self.places.setdefault(fact, where)

    def facts(self) -> Facts:
        """Return them as facts."""
        return Facts({fact: Seen(tuple(values), self.places[fact]) for fact, values in self.found.items()})

    def take(self, kind: str, root: Spot) -> bool:
        """Read an object that is no workload but bears on others; tell whether it was one."""
        metadata, spec = root.mapping("metadata"), root.get("spec")
        name = qualified(metadata)
        if kind == "PersistentVolume":
            self.add(declared.PERSISTENT_VOLUMES, _volume(name.rpartition("/")[2], metadata, spec, root), root.where)
        elif kind == "PersistentVolumeClaim":
            self.add(declared.VOLUME_CLAIMS, claim_of(name, spec), root.where)
        elif kind == "ServiceAccount":
            token = root.get("automountServiceAccountToken")
            if token is not None and token.boolean() is False:
                self.add(declared.TOKENLESS_ACCOUNTS, name, token.where)
        elif kind == "RuntimeClass":
            handler = root.get("handler")
            if handler is not None:
                self.add(declared.RUNTIME_HANDLERS, (name, handler.name()), handler.where)
        else:
            return False
        return True


def claim_of(name: str, spec: Spot | None) -> VolumeClaim:
    """Read the spec of a claim or of a claim template."""
    if spec is None:
        return VolumeClaim(name, "", None, frozenset(), 0, frozenset())
    volume, storage_class = spec.get("volumeName"), spec.get("storageClassName")
    labels = spec.below("selector", "matchLabels")
    narrowed = any(spec.get(key) is not None for key in ("dataSource", "dataSourceRef"))
    narrowed = narrowed or spec.below("selector", "matchExpressions") is not None
    return VolumeClaim(
        name,
        "" if volume is None else volume.name(),
        None if storage_class is None else storage_class.name(),
        _modes(spec),
        _bytes(spec.below("resources", "requests", "storage")),
        _pairs(labels),
        narrowed,
    )


def _volume(name: str, metadata: Spot | None, spec: Spot | None, root: Spot) -> PersistentVolume:
    if spec is None:
        return PersistentVolume(name, "", "", "", "", frozenset(), 0, frozenset(), root.where)
    kinds = [key for key in spec.keys() if key not in _NOT_KINDS]  # noqa: SIM118 - not a dict
    kind = next((key for key in ON_HOST if key in kinds), kinds[0] if kinds else "")
    path = spec.below(kind, "path") if kind in ON_HOST else None
    reserved, storage_class = spec.get("claimRef"), spec.get("storageClassName")
    return PersistentVolume(
        name,
        kind,
        "" if path is None else path.name(),
        qualified(reserved),
        "" if storage_class is None else storage_class.name(),
        _modes(spec),
        _bytes(spec.below("capacity", "storage")),
        _pairs(None if metadata is None else metadata.get("labels")),
        root.where if path is None else path.where,
    )


def _modes(spec: Spot) -> frozenset[str]:
    return frozenset(mode.name() for mode in spec.entries("accessModes") or ())


def _pairs(table: Spot | None) -> frozenset[tuple[str, str]]:
    if table is None:
        return frozenset()
    found = ((key, table.get(key)) for key in table.keys())  # noqa: SIM118 - not a dict
    return frozenset((key, spot.written) for key, spot in found if spot is not None)


def _bytes(spot: Spot | None) -> int:
    match = None if spot is None else _QUANTITY.fullmatch(spot.written[:40])
    return int(float(match[1]) * _SUFFIX[match[2]]) if match else 0
