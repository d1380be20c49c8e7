"""Mounts and devices that a workload can do without, or may only read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from holdfast.model.change import Change, Instead, without
from holdfast.model.facts import Facts
from holdfast.model.remedy import Remedy
from holdfast.model.values import normal_path
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.reason.effective.reading import elements
from holdfast.reason.remedies import costs
from holdfast.reason.remedies.wishes import one_spelling

_Found = TypeVar("_Found", Mount, Device)
_SOCKETS = (".sock", ".socket", "-sock", "_socket")


def mount_remedies(facts: Facts) -> Iterator[Remedy]:
    """Propose to take out each mount of the host's, to make it read-only, and to stop sharing what is mounted in it."""
    mounts = elements(facts, declared.MOUNTS, Mount)
    for mount in () if mounts is None else _distinct(mounts.value):
        if not all(isinstance(one, str) for one in (mount.kind, mount.source, mount.target, mount.propagation)):
            continue
        from_host = mount.kind in {"bind", "device"} or (mount.kind == "projected" and mount.source.startswith("/"))
        if from_host:
            yield from _of_the_host(mount)
        elif mount.kind == "claim":
            yield _gone(mount, "claim", costs.CLAIM)


def _distinct(found: Iterable[_Found]) -> Iterator[_Found]:
    """Bring each once; what a malformed document put a list into cannot be told from another, and is passed over."""
    met: set[_Found] = set()
    for one in found:
        try:
            new = one not in met
        except TypeError:
            continue
        if new:
            met.add(one)
            yield one


def _of_the_host(mount: Mount) -> Iterator[Remedy]:
    socket = mount.source.endswith(_SOCKETS)
    yield _gone(mount, "socket" if socket else "mount", costs.SOCKET if socket else costs.MOUNT)
    plain = mount.kind == "bind" and isinstance(mount.options, frozenset)
    if plain and not socket and not mount.read_only and not mount.options & {"ro", "rro"}:
        yield Remedy(
            f"{_label(mount)} read-only",
            f"mount {mount.source} at {mount.target} read-only",
            (Change(declared.MOUNTS, Instead(mount, replace(mount, read_only=True)), "mounted read-only"),),
            costs.MOUNT_READ_ONLY,
            costs.EDIT,
            touches=_touched(mount.source, mount.target),
        )
    if plain and mount.propagation in {"shared", "rshared"}:
        yield Remedy(
            f"{_label(mount)} unshared",
            f"do not share what is mounted below {mount.target} with the host",
            (Change(declared.MOUNTS, Instead(mount, replace(mount, propagation="")), "propagation left out"),),
            costs.MOUNT_UNSHARED,
            costs.EDIT,
            touches=_touched(mount.source, mount.target),
        )


def _gone(mount: Mount, what: str, cost: int) -> Remedy:
    return Remedy(
        f"{_label(mount)} gone",
        f"do not mount the {what} {mount.source} at {mount.target}".replace("the mount ", ""),
        (Change(declared.MOUNTS, without(mount), "not mounted"),),
        cost,
        costs.EDIT,
        touches=_touched(mount.source, mount.target),
    )


def _label(mount: Mount) -> str:
    return f"{mount.source}:{mount.target}"


def _touched(*words: str) -> frozenset[str]:
    return frozenset(word for one in words if one for word in (one_spelling(one), one))


def device_remedies(facts: Facts) -> Iterator[Remedy]:
    """Propose to take out each device and each rule for devices."""
    devices = elements(facts, declared.DEVICES, Device)
    for device in () if devices is None else _distinct(devices.value):
        if not isinstance(device.source, str):
            continue
        path = normal_path(device.source) if device.source.startswith("/") else device.source
        yield Remedy(
            f"device {device.source}:{device.target}",
            f"do not hand out the device {device.source}",
            (Change(declared.DEVICES, without(device), "not handed out"),),
            costs.DEVICE,
            costs.EDIT,
            touches=_touched(path, device.target),
        )
    rules = elements(facts, declared.DEVICE_RULES, str)
    for rule in () if rules is None else dict.fromkeys(rules.value):
        yield Remedy(
            f"device rule {rule}",
            f"take out the device rule {rule!r}",
            (Change(declared.DEVICE_RULES, without(rule), "no devices beyond the engine's own"),),
            costs.DEVICE_RULE,
            costs.EDIT,
            touches=frozenset({rule.lower(), "device-rules"}),
        )
