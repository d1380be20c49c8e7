"""Changes to the mounts and devices of a Compose service, in short and long syntax."""

from __future__ import annotations

from dataclasses import replace

from holdfast.model.change import Change
from holdfast.model.place import Where
from holdfast.model.words.declared import Device, Mount
from holdfast.platforms._compose_write_service import Service
from holdfast.platforms._docker_run_values import PROPAGATIONS, is_drive, pieces, short_device
from holdfast.platforms._write_changes import Differences, Elsewhere
from holdfast.platforms._yaml_edit import Refused
from holdfast.platforms._yaml_spans import Leaf, Path, Value, found, leaf

_LISTS = frozenset({"volumes", "tmpfs", "secrets", "configs"})
_FOLDERS = {"secrets": "/run/secrets/", "configs": "/"}


def write_mounts(service: Service, change: Change) -> None:
    """Take mounts out, make them read-only, add new ones.

    Raises:
        Refused: It cannot be written here.
        Elsewhere: It must be written in another place.
    """
    service.independent("volumes")
    differences = Differences(service.described.facts, change)
    if differences.gone or differences.swapped or any(mount.kind != "tmpfs" for mount in differences.added):
        service.unborrowed()
    for mount in differences.gone:
        _take_out(service, mount, differences.place(mount))
    for old, new in differences.swapped:
        _exchange(service, old, new, differences.place(old))
    for mount in differences.added:
        _add(service, mount)


def _element(service: Service, where: Where) -> Path | None:
    """Return the element that a mount was read from; None where it is the whole of a key."""
    path = service.relative(where)
    if path in {("use_api_socket",), ("tmpfs",)}:
        return None
    if path is None or len(path) < 2 or path[0] not in _LISTS:
        raise Elsewhere(f"the mount is written at {where}; change it there", where)
    return (*service.base, *path[:2])


def _take_out(service: Service, mount: Mount, where: Where) -> None:
    path = _element(service, where)
    keep = len(service.base)
    if path is None and service.relative(where) == ("tmpfs",):
        service.drop("tmpfs", [])
        return
    if path is None or not isinstance(path[-1], int):
        service.page.put((*service.base, "use_api_socket"), leaf(False))
        return
    wanted = _target(service.page.get(service.lists.now(path) or ()), str(path[-2]))
    for key in ("volumes", "tmpfs", "secrets", "configs"):
        for other, value in service.lists.all((*service.base, key)):
            # A mount further up with the same target would come to light again.
            if other == path or (mount.target and _target(value, key) == wanted == mount.target):
                service.lists.drop(other, keep)


def _target(value: Value | None, key: str) -> str:
    """Return the target of an element as written; empty where it has none."""
    if isinstance(value, dict):
        told = found(value, ("target",))
        told = told if isinstance(told, Leaf) else found(value, ("source",))
        text = told.text if isinstance(told, Leaf) else ""
        return text if text.startswith("/") or key not in _FOLDERS else _FOLDERS[key] + text
    text = value.text if isinstance(value, Leaf) else ""
    if key in _FOLDERS:
        return _FOLDERS[key] + text
    fields = _fields(text)
    return fields[0] if key == "tmpfs" or len(fields) == 1 else fields[1]


def _fields(text: str) -> list[str]:
    """Split a short volume; a Windows drive keeps its colon."""
    parts = pieces(text)
    joined: list[str] = []
    for part in parts:
        if joined and is_drive(joined[-1]) and part[:1] in {"\\", "/"} and not part.startswith("//"):
            joined[-1] += f":{part}"
        else:
            joined.append(part)
    return joined


def _exchange(service: Service, old: Mount, new: Mount, where: Where) -> None:
    plain = replace(new, read_only=old.read_only, propagation=old.propagation)
    if plain != old:
        raise Refused("of a mount only read_only and propagation can be changed", where.line)
    path = _element(service, where)
    path = None if path is None else service.lists.now(path)
    if path is None or path[len(service.base)] != "volumes":
        raise Refused("this mount has no switch for that; take it out instead", where.line)
    value = service.page.get(path)
    if isinstance(value, dict):
        if new.read_only != old.read_only:
            service.page.put((*path, "read_only"), leaf(new.read_only))
        if new.propagation != old.propagation:
            _propagation(service, path, new.propagation)
        return
    if not isinstance(value, Leaf):
        raise Refused("this is no volume", where.line)
    service.page.put(path, Leaf(_short(value.text, new, where)))


def _propagation(service: Service, path: Path, wanted: str) -> None:
    place = (*path, "bind", "propagation")
    if wanted:
        service.page.put(place, leaf(wanted))
    else:
        service.page.drop(place, leaf("rprivate"), len(path))


def _short(text: str, new: Mount, where: Where) -> str:
    """Return a short volume with its options changed."""
    fields = _fields(text)
    if len(fields) < 2:
        raise Refused("an anonymous volume in short syntax has no options; write it in long syntax", where.line)
    if len(fields) > 2 and "$" in fields[2]:
        raise Refused("the options of this mount are a variable", where.line)
    old = [one for one in (fields[2].split(",") if len(fields) > 2 else []) if one]
    kept = [one for one in old if one not in {"ro", "rw", "readonly"} and one not in PROPAGATIONS]
    if "O" in kept and not new.read_only:
        raise Refused("an overlay mount never writes to the host", where.line)
    told = [one for one in old if one in {"ro", "readonly"}][:1] or ["ro"]
    options = [*(told if new.read_only else []), *([new.propagation] if new.propagation else []), *kept]
    return ":".join([*fields[:2], ",".join(options)] if options else fields[:2])


def _add(service: Service, mount: Mount) -> None:
    extra = [] if not mount.options else sorted(mount.options)
    if mount.kind == "tmpfs":
        options = [*(["ro"] if mount.read_only else []), *extra]
        text = mount.target + (f":{','.join(options)}" if options else "")
        present = service.page.get((*service.base, "tmpfs"))
        if isinstance(present, Leaf) and present.text:
            service.page.put((*service.base, "tmpfs"), [present, Leaf(text)])
        else:
            service.page.append((*service.base, "tmpfs"), Leaf(text))
        return
    named = mount.kind == "volume" and mount.source
    if not named and not (mount.kind == "bind" and mount.source.startswith("/")):
        raise Refused("only tmpfs, named volumes and host paths can be added")
    if named and mount.source not in _volumes(service):
        raise Refused(f"the volume {mount.source} is not defined in this file; define it below volumes first")
    options = [*(["ro"] if mount.read_only else []), *([mount.propagation] if mount.propagation else []), *extra]
    text = ":".join([mount.source, mount.target, *([",".join(options)] if options else [])])
    service.page.append((*service.base, "volumes"), Leaf(text))


def _volumes(service: Service) -> set[str]:
    defined = service.page.get(("volumes",))
    return set(defined) if isinstance(defined, dict) else set()


def write_devices(service: Service, change: Change) -> None:
    """Take devices out of a service, or add some.

    Raises:
        Refused: It cannot be written here.
        Elsewhere: It must be written in another place.
    """
    service.independent("devices")
    differences = Differences(service.described.facts, change)
    if differences.swapped or any(not _by_path(one) for one in differences.added):
        raise Refused("only devices by their path can be added")
    for device in differences.gone:
        where = differences.place(device)
        path = service.relative(where)
        if path is None or not path or path[0] != "devices" or len(path) < 2:
            raise Elsewhere(f"the device is asked for at {where}; change it there", where)
        wanted = device.target if isinstance(device, Device) else ""
        mine = (*service.base, *path[:2])
        for other, value in service.lists.all((*service.base, "devices")):
            if other == mine or (wanted and _device_target(value) == wanted):
                service.lists.drop(other, len(service.base))
    for device in differences.added:
        service.page.append((*service.base, "devices"), Leaf(short_device(device)))


def _by_path(one: object) -> bool:
    return isinstance(one, Device) and one.source.startswith("/")


def _device_target(value: Value) -> str:
    if isinstance(value, dict):
        told = found(value, ("target",)) or found(value, ("source",))
        return told.text if isinstance(told, Leaf) else ""
    fields = pieces(value.text) if isinstance(value, Leaf) else [""]
    if len(fields) > 1 and fields[1] and not set(fields[1]) <= set("rwm"):
        return fields[1]
    return fields[0]
