"""Changes to what a container mounts, and to the volumes of its Pod that nothing mounts any more."""

from __future__ import annotations

import re
from dataclasses import replace

from holdfast.model.change import Change
from holdfast.model.place import Where
from holdfast.model.words.declared import Mount
from holdfast.platforms._kubernetes_write_pod import Container
from holdfast.platforms._write_changes import Differences
from holdfast.platforms._yaml_edit import Refused
from holdfast.platforms._yaml_spans import Leaf, Path, Value, found, leaf

_PROPAGATION = {"rprivate": "None", "private": "None", "rslave": "HostToContainer", "rshared": "Bidirectional"}
_NOT_A_NAME = re.compile(r"[^a-z0-9-]+")


def write_mounts(container: Container, change: Change) -> None:
    """Take mounts out, make them read-only, add empty directories.

    A claim and the host path behind it are one mount of the manifest; they change together.

    Raises:
        Refused: It cannot be written here.
        Elsewhere: It must be written in another place.
    """
    differences = Differences(container.described.facts, change)
    places = {differences.place(mount) for mount in differences.gone}
    for where in sorted(places, key=lambda place: place.pointer):
        _take_out(container, where, "volumeMounts")
    for old, new in differences.swapped:
        _exchange(container, old, new, differences.place(old))
    for mount in differences.added:
        _add(container, mount)


def write_devices(container: Container, change: Change) -> None:
    """Take raw block volumes out of a container.

    Raises:
        Refused: It cannot be written here.
        Elsewhere: It must be written in another place.
    """
    differences = Differences(container.described.facts, change)
    if differences.added or differences.swapped:
        raise Refused("devices can be taken out only")
    for device in differences.gone:
        where = differences.place(device)
        path = container.relative(where)
        if path and path[0] == "resources":
            raise Refused("a device plug-in hands it out; take the resource away from limits and requests", where.line)
        _take_out(container, where, "volumeDevices")


def _take_out(container: Container, where: Where, key: str) -> None:
    path = container.mine(where, key)
    now = container.lists.now(path)
    name = None if now is None else found(container.page.get(now), ("name",))
    container.lists.drop(path, len(container.base))
    if isinstance(name, Leaf):
        _forget(container, name.text)


def _forget(container: Container, name: str) -> None:
    """Take a volume out of the Pod when no container uses it."""
    for path in container.containers():
        for key in ("volumeMounts", "volumeDevices"):
            if any(_name(item) == name for item in _items(container, (*path, key))):
                return
    for index, item in enumerate(_items(container, (*container.spec, "volumes"))):
        if _name(item) == name:
            listed = (*container.spec, "volumes")
            container.page.drop((*listed, index), None, len(container.spec))
            return


def _items(container: Container, path: Path) -> list[Value]:
    listed = container.page.get(path)
    return listed if isinstance(listed, list) else []


def _name(item: Value) -> str | None:
    name = found(item, ("name",))
    return name.text if isinstance(name, Leaf) else None


def _exchange(container: Container, old: Mount, new: Mount, where: Where) -> None:
    if replace(new, read_only=old.read_only, propagation=old.propagation) != old:
        raise Refused("of a mount only read_only and propagation can be changed", where.line)
    path = container.lists.now(container.mine(where, "volumeMounts"))
    if path is None:
        raise Refused("the mount was taken away", where.line)
    if new.read_only != old.read_only:
        container.page.put((*path, "readOnly"), leaf(new.read_only))
    if new.propagation != old.propagation:
        if not new.propagation:
            container.page.drop((*path, "mountPropagation"), None, len(path))
        elif new.propagation in _PROPAGATION:
            container.page.put((*path, "mountPropagation"), leaf(_PROPAGATION[new.propagation]))
        else:
            raise Refused(f"Kubernetes has no word for the propagation {new.propagation}", where.line)


def _add(container: Container, mount: Mount) -> None:
    if mount.kind not in {"tmpfs", "volume"} or mount.options or mount.propagation:
        raise Refused("only empty directories can be added to a Pod")
    volumes = _items(container, (*container.spec, "volumes"))
    plain = mount.source or _NOT_A_NAME.sub("-", mount.target.lower()).strip("-") or "scratch"
    name, taken, number = plain, {_name(item) for item in volumes}, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    body: Value = {"medium": Leaf("Memory")} if mount.kind == "tmpfs" else {}
    container.page.append((*container.spec, "volumes"), {"name": Leaf(name), "emptyDir": body})
    flag: dict[str, Value] = {"readOnly": leaf(True)} if mount.read_only else {}
    item: Value = {"name": Leaf(name), "mountPath": Leaf(mount.target), **flag}
    container.page.append((*container.base, "volumeMounts"), item)
