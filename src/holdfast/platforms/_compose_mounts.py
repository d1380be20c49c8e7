"""Volumes, tmpfs, secrets, configs and devices of a Compose service, in short and long syntax.

Source:
    https://docs.docker.com/reference/compose-file/services/, compose-go ``format/volume.go``, docker/compose
    ``pkg/compose/create.go``.
"""

from __future__ import annotations

from holdfast.model.place import Where
from holdfast.model.words.declared import Device, Mount
from holdfast.platforms._compose_interpolate import interpolate
from holdfast.platforms._compose_tree import Branch, Leaf, Row, Tree
from holdfast.platforms._docker_run_request import Borrowed, Request
from holdfast.platforms._docker_run_values import (
    bound,
    device,
    gpu_devices,
    is_drive,
    is_host_path,
    local_volume,
    pieces,
    volume_parts,
)

SOCKET = "/var/run/docker.sock"
_TRUE = frozenset({"y", "yes", "true", "on"})
_FALSE = frozenset({"n", "no", "false", "off"})


def switch(leaf: Leaf) -> bool | None:
    """Read a boolean as Compose does, which takes ``yes`` and ``on`` as text for true; None for anything else."""
    if isinstance(leaf.value, bool):
        return leaf.value
    if isinstance(leaf.value, str):
        word = leaf.value.lower()
        return True if word in _TRUE else False if word in _FALSE else None
    return None


class Mounts:
    """Gathers the mounts of one service. A later mount of the same target takes the place of the earlier one."""

    def __init__(self, request: Request, root: Branch) -> None:
        """Keep the request that takes the mounts and the project's volumes, secrets and configs."""
        self.request = request
        self.root = root
        self.found: dict[str, tuple[Mount, Where]] = {}

    def tell(self, service: Branch) -> None:
        """Put every mount of the service into the request."""
        for item in self._items(service.get("volumes"), "volumes"):
            self._volume(item)
        for item in self._items(service.get("tmpfs"), "tmpfs"):
            self._tmpfs(item)
        for kind, folder in (("secrets", "/run/secrets/"), ("configs", "/")):
            for item in self._items(service.get(kind), kind):
                self._file(item, kind, folder)
        socket = service.get("use_api_socket")
        if isinstance(socket, Leaf):
            self._socket(socket)
        for item in self._items(service.get("volumes_from"), "volumes_from"):
            self._borrow(item)
        self.request.mounts = list(self.found.values())

    def _items(self, tree: Tree | None, name: str) -> list[Tree]:
        if tree is None:
            return []
        if isinstance(tree, Row):
            return tree.items
        if isinstance(tree, Leaf) and (name == "tmpfs" or tree.unknown):
            return [tree]
        if isinstance(tree, Branch) and name == "tmpfs":
            return []
        self._trouble(f"{name} is a list", tree.where, name)
        return []

    def _trouble(self, what: str, where: Where, shown: str) -> None:
        """Record the trouble, and a mount of which nothing is known in the place of the one that could not be read."""
        self.request.problem(what, where, "compare it with the Compose reference")
        self._put(Mount("bind", f"({shown[:200]})", ""), where)

    def _put(self, mount: Mount, where: Where) -> None:
        key = mount.target or f"\0{len(self.found)}"
        self.found[key] = (mount, where)

    # --- volumes ----------------------------------------------------------------------------------------------------

    def _volume(self, item: Tree) -> None:
        if isinstance(item, Branch):
            self._long_volume(item)
            return
        if not isinstance(item, Leaf) or not (isinstance(item.value, str) or item.unknown):
            self._trouble("a volume is text or a mapping", item.where, "a volume that could not be read")
            return
        if item.unknown:
            self._partly_known(item)
            return
        parts = volume_parts(item.text)
        if parts is None:
            self._trouble(f"{item.text[:80]!r} is no volume", item.where, item.text)
            return
        source, target, options = parts
        if is_host_path(source):
            self._put(bound("bind", item.source.absolute(source), target, options), item.where)
        else:
            self._put(self._named(source, target, options), item.where)

    def _partly_known(self, item: Leaf) -> None:
        """Read a volume of which a variable is not set: its target and options may be known all the same."""
        fields = pieces(item.written)
        if len(fields) > 1 and is_drive(fields[0]):
            fields = [":".join(fields[:2]), *fields[2:]]
        outcomes = [interpolate(part, item.source.lookup) for part in fields]
        source = outcomes[0]
        target = outcomes[1].text if len(outcomes) > 1 and not outcomes[1].reason else ""
        options = outcomes[2].text if len(outcomes) > 2 and not outcomes[2].reason else ""
        if len(outcomes) > 1 and not source.reason and is_host_path(source.text):
            told = item.source.absolute(source.text)
            self._put(bound("bind", told, target, options.split(",")), item.where)
        elif len(outcomes) > 1 and not source.reason:
            self._put(self._named(source.text, target, tuple(options.split(","))), item.where)
        else:
            self._put(bound("bind", f"({fields[0]}: {item.unknown})", target, options.split(",")), item.where)

    def _named(self, name: str, target: str, options: tuple[str, ...], *, read_only: bool = False) -> Mount:
        asked = bound("volume", name, target, options, read_only=read_only)
        volumes = self.root.get("volumes")
        definition = volumes.get(name) if isinstance(volumes, Branch) and name else None
        if not isinstance(definition, Branch):
            return asked
        told = definition.get("driver_opts")
        if not isinstance(told, Branch):
            return asked
        values: dict[str, str] = {}
        for key, child in told.items():
            if isinstance(child, Leaf):
                values[key] = f"({child.written}: {child.unknown})" if child.unknown else child.text
        driver = definition.get("driver")
        driver_name = driver.text if isinstance(driver, Leaf) and not driver.unknown else ""
        if values.get("device") and not values["device"].startswith("("):
            plain = values.get("type", "none").lower() in {"", "none", "bind"}
            values["device"] = told.source.absolute(values["device"]) if plain else values["device"]
        mount = local_volume(name, target, values, driver_name, read_only=asked.read_only)
        if mount.kind == "volume":
            return asked
        return Mount(
            mount.kind, mount.source, mount.target, mount.read_only or asked.read_only,
            asked.propagation or mount.propagation, mount.options | asked.options,
        )  # fmt: skip

    def _long_volume(self, item: Branch) -> None:
        kind, source, target = (item.get(key) for key in ("type", "source", "target"))
        if not all(part is None or isinstance(part, Leaf) for part in (kind, source, target)):
            self._trouble("type, source and target of a volume are text", item.where, "a volume")
            return
        read_only = self._read_only(item)
        options, propagation = self._bind_options(item)
        words = [*options, propagation]
        kind_text = _text(kind)
        target_text = _text(target)
        where = item.where if not isinstance(source, Leaf) else source.where
        if isinstance(source, Leaf) and source.unknown:
            shown = f"({source.written}: {source.unknown})"
            self._put(bound("bind", shown, target_text, words, read_only=read_only), where)
        elif kind_text in {"bind", "npipe"} or (not kind_text and is_host_path(_text(source))):
            told = source.source.absolute(_text(source)) if isinstance(source, Leaf) else ""
            self._put(bound("bind", told or "(no source)", target_text, words, read_only=read_only), where)
        elif kind_text == "tmpfs":
            self._put(Mount("tmpfs", "", target_text, read_only), where)
        elif kind_text in {"volume", "", "cluster", "image"}:
            self._put(self._named(_text(source), target_text, (), read_only=read_only), where)
        else:
            self._trouble(f"{kind_text[:40]!r} is no type of volume", item.where, f"a volume of type {kind_text}")

    def _read_only(self, item: Branch) -> bool:
        flag = item.get("read_only")
        if not isinstance(flag, Leaf):
            return False
        answer = None if flag.unknown else switch(flag)
        if answer is None and not flag.unknown:
            self.request.problem("read_only is neither true nor false", flag.where, "write true or false")
        return answer is True

    def _bind_options(self, item: Branch) -> tuple[list[str], str]:
        bind = item.get("bind")
        if not isinstance(bind, Branch):
            return [], ""
        return [_text(bind.get("selinux"))], _text(bind.get("propagation"))

    def _tmpfs(self, item: Tree) -> None:
        if not isinstance(item, Leaf):
            self._trouble("tmpfs is text", item.where, "tmpfs")
            return
        target, _, options = item.text.partition(":")
        self._put(bound("tmpfs", "", target, options.split(",")), item.where)

    # --- files, the socket, other containers ------------------------------------------------------------------------

    def _file(self, item: Tree, kind: str, folder: str) -> None:
        """Mount a secret or config. Compose binds the file read-only, wherever on the host it lies."""
        name = _text(item.get("source") if isinstance(item, Branch) else item)
        target = _text(item.get("target")) if isinstance(item, Branch) else ""
        if not name:
            self._trouble(f"an entry of {kind} names no source", item.where, kind)
            return
        target = target if target.startswith("/") else folder + (target or name)
        definitions = self.root.get(kind)
        definition = definitions.get(name) if isinstance(definitions, Branch) else None
        file = definition.get("file") if isinstance(definition, Branch) else None
        if target in self.found:
            return
        if not isinstance(file, Leaf):
            self._put(Mount("projected", "", target, read_only=True), item.where)
        elif file.unknown:
            self._put(Mount("bind", f"({file.written}: {file.unknown})", target, read_only=True), item.where)
        else:
            path = file.source.absolute(file.text)
            told = path.startswith("/") or not {"..", "~"} & set(path.split("/"))
            self._put(Mount("projected" if told else "bind", path, target, read_only=True), item.where)

    def _socket(self, leaf: Leaf) -> None:
        answer = None if leaf.unknown else switch(leaf)
        if answer:
            self._put(Mount("bind", SOCKET, SOCKET), leaf.where)
        elif answer is None:
            reason = leaf.unknown or "use_api_socket is neither true nor false"
            if not leaf.unknown:
                self.request.problem(reason, leaf.where, "write true or false")
            self._put(Mount("bind", f"({SOCKET}, perhaps: {reason})", SOCKET), leaf.where)

    def _borrow(self, item: Tree) -> None:
        if not isinstance(item, Leaf) or item.unknown or not item.text:
            self._trouble("an entry of volumes_from names no container", item.where, "volumes of another container")
            return
        name = item.text
        other = name.startswith("container:")
        name, _, mode = name.removeprefix("container:").partition(":")
        self.request.borrowed.append(
            Borrowed(f"container:{name}" if other else name, "ro" in mode.split(","), item.where)
        )


def tell_devices(request: Request, service: Branch) -> None:
    """Put the devices of a service, and the nodes that its GPU requests bring, into the request."""
    found: dict[str, tuple[Device, Where]] = {}
    devices = service.get("devices")
    for item in devices.items if isinstance(devices, Row) else ():
        told: Device | None = None
        if isinstance(item, Branch):
            source, target = _text(item.get("source")), _text(item.get("target"))
            told = Device(source, target or source, _text(item.get("permissions")) or "rwm") if source else None
        elif isinstance(item, Leaf) and item.unknown:
            told = Device(f"({item.written}: {item.unknown})", "")
        elif isinstance(item, Leaf):
            told = device(item.text)
        if told is None:
            request.problem("a device could not be read", item.where, "write source:target:permissions")
            told = Device("(a device that could not be read)", "")
        found[told.target or f"\0{len(found)}"] = (told, item.where)
    if devices is not None and not isinstance(devices, Row):
        request.problem("devices is a list", devices.where, "compare it with the Compose reference")
        found["\0"] = (Device("(devices that could not be read)", ""), devices.where)
    request.devices = list(found.values())
    for tree in (service.get("gpus"), _reserved(service)):
        _gpus(request, tree)


def _reserved(service: Branch) -> Tree | None:
    tree: Tree | None = service
    for key in ("deploy", "resources", "reservations", "devices"):
        tree = tree.get(key) if isinstance(tree, Branch) else None
    return tree


def _gpus(request: Request, tree: Tree | None) -> None:
    if isinstance(tree, Leaf):
        request.devices += [(node, tree.where) for node in gpu_devices("")]
    elif isinstance(tree, Row):
        for item in tree.items:
            driver = item.get("driver") if isinstance(item, Branch) else None
            names = item.get("device_ids") if isinstance(item, Branch) else None
            ids = [_text(name) for name in names.items] if isinstance(names, Row) else []
            request.devices += [(node, item.where) for node in gpu_devices(_text(driver), ids)]
    elif tree is not None:
        request.problem("gpus is a list or all", tree.where, "compare it with the Compose reference")


def _text(tree: Tree | None) -> str:
    return tree.text if isinstance(tree, Leaf) else ""
