"""Joins workloads with what other documents of the cluster say about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from holdfast.model.facts import Facts, Seen
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount, PersistentVolume, VolumeClaim
from holdfast.model.workload import Described
from holdfast.platforms._kubernetes_claims import ON_HOST
from holdfast.platforms._kubernetes_pod import DEFAULT_TOKEN
from holdfast.platforms._kubernetes_security import Table

_RESOLVED = frozenset(("host", "remote"))
_COMPARISONS = 1_000_000
"""Pairs of claim and volume that are compared in one scan; what is left then stays unknown."""

Bound = tuple[PersistentVolume, str]
"""A volume, and how it is known to be the one."""


def waits(described: Described) -> bool:
    """Tell whether documents still to come may bear on a workload.

    A service account that nobody named is not waited for: nearly every Pod would have to be kept in memory then.
    """
    facts = described.facts
    mounted, given = facts.value(declared.MOUNTS) or (), facts.value(declared.DEVICES) or ()
    token, runtime = facts.seen(declared.SERVICE_ACCOUNT_TOKEN), facts.value(declared.RUNTIME)
    account = facts.seen(declared.SERVICE_ACCOUNT)
    return (
        any(mount.kind == "claim" and not mount.options & _RESOLVED for mount in mounted)
        or any(device.source.startswith("claim:") for device in given)
        or (token is not None and token.note == DEFAULT_TOKEN and account is not None and not account.note)
        or runtime not in {None, "default"}
    )


class Others:
    """What all documents of one cluster say, arranged for looking up."""

    def __init__(self, shared: Iterable[Facts]) -> None:
        """Arrange the shared facts of every document."""
        self._reserved: dict[str, list[PersistentVolume]] = {}
        self._volumes: dict[str, PersistentVolume] = {}
        self._classes: dict[str, list[PersistentVolume]] = {}
        self._claims: dict[str, list[VolumeClaim]] = {}
        self._tokenless: dict[str, list[str]] = {}
        self._handlers: dict[str, str] = {}
        self._known: dict[str, Bound | None] = {}
        self._comparisons = _COMPARISONS
        self._any = False
        for facts in shared:
            self._any = self._any or len(facts) > 0
            self._take(facts)
        for volumes in self._classes.values():
            volumes.sort(key=lambda volume: (volume.size_bytes, volume.name))

    def _take(self, facts: Facts) -> None:
        for volume in facts.value(declared.PERSISTENT_VOLUMES) or ():
            self._volumes[volume.name] = volume
            if volume.claim:
                self._reserved.setdefault(_short(volume.claim), []).append(volume)
            else:
                self._classes.setdefault(volume.storage_class, []).append(volume)
        for claim in facts.value(declared.VOLUME_CLAIMS) or ():
            self._claims.setdefault(_short(claim.name), []).append(claim)
        for account in facts.value(declared.TOKENLESS_ACCOUNTS) or ():
            self._tokenless.setdefault(_short(account), []).append(account)
        handlers = facts.value(declared.RUNTIME_HANDLERS)
        self._handlers.update(handlers or ())

    def joined(self, described: Described) -> Described:
        """Return a workload with what the documents say about it."""
        if not self._any:
            return described
        table = dict(described.facts.table)
        mounted, given = table.get(declared.MOUNTS), table.get(declared.DEVICES)
        if self._volumes and isinstance(mounted, Seen) and mounted.value:
            table[declared.MOUNTS] = self._mounts(mounted)
        if self._volumes and isinstance(given, Seen) and given.value:
            table[declared.DEVICES] = self._devices(given)
        self._token(table)
        runtime = table.get(declared.RUNTIME)
        if isinstance(runtime, Seen) and not runtime.note and runtime.value in self._handlers:
            note = f"handler of the RuntimeClass {runtime.value}"
            table[declared.RUNTIME] = Seen(self._handlers[runtime.value], runtime.where, note)
        return Described(described.workload, Facts(table))

    def _token(self, table: Table) -> None:
        token, account = table.get(declared.SERVICE_ACCOUNT_TOKEN), table.get(declared.SERVICE_ACCOUNT)
        if isinstance(token, Seen) and token.note == DEFAULT_TOKEN and isinstance(account, Seen):
            for other in self._tokenless.get(_short(account.value), ()):
                if _same_space(account.value, other):
                    note = f"the service account {other} switches the token off"
                    table[declared.SERVICE_ACCOUNT_TOKEN] = Seen(False, token.where, note)

    def _mounts(self, seen: Seen[tuple[Mount, ...]]) -> Seen[tuple[Mount, ...]]:
        found: list[Mount] = []
        parts = dict(seen.parts)
        notes: list[str] = []
        for mount in seen.value:
            open_claim = mount.kind == "claim" and not mount.options & _RESOLVED
            bound = self._bound(mount.source) if open_claim else None
            if bound is None or not bound[0].kind:
                found.append(mount)
                continue
            volume, how = bound
            where = parts.get(mount, seen.where)
            on_host = volume.kind in ON_HOST
            claim = replace(mount, options=mount.options | {"host" if on_host else "remote"})
            found.append(claim)
            parts[claim] = where
            if on_host:
                bind = _bind(mount, volume)
                found.append(bind)
                parts[bind] = where
            notes.append(f"{mount.source} is {how} {volume.name} ({volume.kind}, {volume.where})")
        return Seen(tuple(found), seen.where, "; ".join(notes[:5]) or seen.note, parts)

    def _devices(self, seen: Seen[tuple[Device, ...]]) -> Seen[tuple[Device, ...]]:
        found: list[Device] = []
        parts: dict[Any, Any] = dict(seen.parts)
        for device in seen.value:
            name = device.source.removeprefix("claim:")
            bound = self._bound(name) if name != device.source else None
            known = replace(device, source=bound[0].path) if bound and bound[0].path else device
            found.append(known)
            parts[known] = parts.get(device, seen.where)
        return Seen(tuple(found), seen.where, seen.note, parts)

    def _bound(self, name: str) -> Bound | None:
        if name not in self._known:
            self._known[name] = self._look_up(name) if name else None
        return self._known[name]

    def _look_up(self, name: str) -> Bound | None:
        """Return the volume behind a claim.

        Source:
            pkg/controller/volume/persistentvolume/index.go of Kubernetes: a volume fits by class, modes, size and
            labels; of several the smallest is taken.
        """
        short = _short(name)
        for claimed in self._reservations(short):
            for volume in self._reserved[claimed]:
                if _same_space(name, volume.claim):
                    return volume, "bound by claimRef to"
        for claim in self._claims.get(short, ()):
            if _same_space(name, claim.name):
                return self._asked_for(claim)
        return None

    def _asked_for(self, claim: VolumeClaim) -> Bound | None:
        if claim.volume:
            named = self._volumes.get(claim.volume)
            return None if named is None else (named, "bound by volumeName to")
        if claim.storage_class is None or claim.narrowed:
            return None
        for volume in self._classes.get(claim.storage_class, ()):
            self._comparisons -= 1
            if self._comparisons < 0:
                return None
            if _fits(claim, volume):
                return volume, "by its storage class bound to"
        return None

    def _reservations(self, short: str) -> list[str]:
        """Return the names of claims that volumes are reserved for and that this one may be."""
        if "*" not in short:
            return [short] if short in self._reserved else []
        self._comparisons -= len(self._reserved)
        return [] if self._comparisons < 0 else [claimed for claimed in self._reserved if fnmatchcase(claimed, short)]


def _bind(mount: Mount, volume: PersistentVolume) -> Mount:
    below = next((option.removeprefix("subpath:") for option in mount.options if option.startswith("subpath:")), "")
    path = "" if "$(" in below else f"{volume.path.rstrip('/')}/{below}" if below else volume.path
    options = frozenset(option for option in mount.options if not option.startswith("subpath:"))
    return replace(mount, kind="bind", source=path, options=options)


def _fits(claim: VolumeClaim, volume: PersistentVolume) -> bool:
    return claim.modes <= volume.modes and claim.size_bytes <= volume.size_bytes and claim.labels <= volume.labels


def _short(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition("/")[2]


def _same_space(one: str, other: str) -> bool:
    """Tell whether two names may lie in one namespace: one that is not named may be any."""
    space, other_space = one.rpartition("/")[0], other.rpartition("/")[0]
    return not space or not other_space or space == other_space
