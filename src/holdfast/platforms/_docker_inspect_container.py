"""One container of ``docker inspect`` as a request: the engine's own words, wrong types told apart from absent fields.

Source:
    https://docs.docker.com/reference/api/engine/ (ContainerInspect), ``podman inspect``.
"""

from __future__ import annotations

import posixpath
from typing import Any

from holdfast.model.facts import Fact
from holdfast.model.tree import Cursor
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.platforms._docker_run_request import Request, Said
from holdfast.platforms._docker_run_security import tell_security
from holdfast.platforms._docker_run_values import bound, gpu_devices, local_volume, volume_parts

_LISTS: tuple[tuple[str, Fact[Any]], ...] = (
    ("CapAdd", declared.CAPABILITIES_ADDED), ("CapDrop", declared.CAPABILITIES_DROPPED),
    ("GroupAdd", declared.GROUPS), ("DeviceCgroupRules", declared.DEVICE_RULES),
)  # fmt: skip
_MODES = (
    ("PidMode", "pid"), ("IpcMode", "ipc"), ("UTSMode", "uts"), ("UsernsMode", "user"), ("CgroupnsMode", "cgroup"),
    ("CgroupMode", "cgroup"), ("NetworkMode", "net"),
)  # fmt: skip
_PODMAN = ("OCIRuntime", "ConmonPidFile", "BoundingCaps", "ImageName")
_REFERENCE = "take the output of docker inspect unchanged"
_MOST_ENTRIES = 4096


def request_of(container: Cursor) -> Request:
    """Turn one inspected container into a request."""
    engine = "podman" if any(container.present(key) for key in _PODMAN) else "docker"
    return Container(container, engine).read()


class Container:
    """Reads the parts of one container into a request."""

    def __init__(self, container: Cursor, engine: str) -> None:
        """Keep the places of the container, its configuration and its host configuration."""
        self.container = container
        self.request = Request(container.where, engine)
        self.config = self._mapping(container, "Config")
        self.host = self._mapping(container, "HostConfig")

    def read(self) -> Request:
        """Read everything."""
        request = self.request
        self._flag(self.host, "Privileged", declared.PRIVILEGED)
        self._flag(self.host, "ReadonlyRootfs", declared.READ_ONLY_ROOT)
        self._flag(self.config, "Tty", declared.TERMINAL)
        for key, fact in _LISTS:
            request.add(fact, *self._texts(self.host, key, fact))
        for key, name in _MODES:
            said = self._text(self.host, key)
            if said is not None and (said.text or said.unknown or name != "user"):
                request.modes[name] = said
        self._user()
        self._networks()
        self._sysctls()
        request.runtime = self._text(self.container, "OCIRuntime") or self._text(self.host, "Runtime")
        self._system()
        self._mounts()
        self._devices()
        self._system_paths()
        self._podman()
        driver = self._text(self.container, "Driver") or self._text(
            self._mapping(self.container, "GraphDriver"), "Name"
        )
        if driver is not None and driver.text:
            request.say(declared.STORAGE_DRIVER, driver.text, driver.where)
        request.security = self._texts(self.host, "SecurityOpt", declared.SECCOMP)
        self._labels()
        tell_security(request, lambda path: f"{path} lies with whoever started the container")
        return request

    # --- types ------------------------------------------------------------------------------------------------------

    def _mapping(self, parent: Cursor | None, key: str) -> Cursor | None:
        found = parent.get(key) if parent is not None else None
        if found is None or found.is_mapping:
            return found
        self.request.problem(f"{key} is no object", found.where, _REFERENCE)
        return None

    def _text(self, parent: Cursor | None, key: str) -> Said | None:
        found = parent.get(key) if parent is not None else None
        if found is None:
            return None
        if isinstance(found.value, str):
            return Said(found.value, found.where)
        self.request.problem(f"{key} is no text", found.where, _REFERENCE)
        return Said("", found.where, f"{key} is no text")

    def _flag(self, parent: Cursor | None, key: str, fact: Fact[bool]) -> None:
        found = parent.get(key) if parent is not None else None
        if found is None:
            if parent is None:
                self.request.withhold(fact, f"{key} is missing", self.request.where)
            return
        if isinstance(found.value, bool):
            self.request.say(fact, found.value, found.where)
        else:
            self.request.problem(f"{key} is neither true nor false", found.where, _REFERENCE)
            self.request.withhold(fact, f"{key} is neither true nor false", found.where)

    def _texts(self, parent: Cursor | None, key: str, fact: Fact[Any]) -> list[Said]:
        found = parent.get(key) if parent is not None else None
        if found is None:
            missing = parent is None
            return [Said(key, self.request.where, f"{key} is missing")] if missing else []
        if not found.is_sequence:
            self.request.problem(f"{key} is no list", found.where, _REFERENCE)
            return [Said(key, found.where, f"{key} is no list")]
        said: list[Said] = []
        for item in found.elements():
            if isinstance(item.value, str):
                said.append(Said(item.value, item.where))
            else:
                self.request.problem(f"{key} holds what is no text", item.where, _REFERENCE)
                said.append(Said(key, item.where, f"{fact.name} holds what is no text"))
        return said

    # --- parts ------------------------------------------------------------------------------------------------------

    def _user(self) -> None:
        said = self._text(self.config, "User")
        if said is None or said.unknown:
            reason = said.unknown if said is not None else "User is missing"
            self.request.withhold(declared.USER, reason, self.request.where)
        elif said.text:
            self.request.user = said
        else:
            self.request.say(declared.USER, "", said.where, "neither the image nor the command names one")

    def _networks(self) -> None:
        mode = self.request.modes.get("net")
        connected = self._mapping(self._mapping(self.container, "NetworkSettings"), "Networks")
        names = [Said(name, place.where) for name, place in connected.items()] if connected is not None else []
        if names:
            self.request.add(declared.NETWORKS, *names)
        elif mode is not None and mode.text:
            self.request.add(declared.NETWORKS, Said("bridge" if mode.text == "default" else mode.text, mode.where))

    def _sysctls(self) -> None:
        sysctls = self._mapping(self.host, "Sysctls")
        for name, value in sysctls.items() if sysctls is not None else ():
            text = value.text
            unknown = "" if text is not None else f"the value of {name} is no text"
            self.request.add(declared.SYSCTLS, Said(f"{name}={text or ''}", value.where, unknown))

    def _system(self) -> None:
        for parent, key in ((self.container, "Platform"), (self.container, "Os")):
            said = self._text(parent, key)
            if said is not None and said.text:
                self.request.system = said
                return
        isolation = self._text(self.host, "Isolation")
        if isolation is not None and isolation.text in {"hyperv", "process"}:
            self.request.system = Said("windows", isolation.where)

    def _system_paths(self) -> None:
        host = self.host
        if host is None or not (host.present("MaskedPaths") or host.present("ReadonlyPaths")):
            return
        masked = self._texts(host, "MaskedPaths", declared.MASKED_PATHS)
        fixed = self._texts(host, "ReadonlyPaths", declared.READONLY_PATHS)
        where = host.where.below("MaskedPaths")
        place = host.get("MaskedPaths") or host.get("ReadonlyPaths")
        where = place.where if place is not None else where
        broken = next((said for said in (*masked, *fixed) if said.unknown), None)
        if broken is not None:
            self.request.withhold(declared.SYSTEM_PATHS, broken.unknown, broken.where)
        elif not masked and not fixed:
            privileged = self.request.table.get(declared.PRIVILEGED)
            note = "privileged" if getattr(privileged, "value", False) is True else "systempaths=unconfined"
            self.request.say(declared.SYSTEM_PATHS, "unconfined", where, note)
        else:
            self.request.say(declared.SYSTEM_PATHS, "exact", where)
            for fact, said in ((declared.MASKED_PATHS, masked), (declared.READONLY_PATHS, fixed)):
                parts = {one.text: one.where for one in said}
                self.request.say(fact, tuple(parts), said[0].where if said else where, "", parts)

    def _labels(self) -> None:
        """Take AppArmor and SELinux from what the engine says is in force, where nothing was asked for."""
        asked = [said.text.replace(":", "=", 1) for said in self.request.security]
        profile = self._text(self.container, "AppArmorProfile")
        if profile is not None and profile.text and not any(text.startswith("apparmor=") for text in asked):
            value = "default" if profile.text == "docker-default" else profile.text
            self.request.say(declared.APPARMOR, value, profile.where, "as the engine reports it")
        label = self._text(self.container, "ProcessLabel")
        if label is not None and label.text.count(":") >= 3 and not any(text.startswith("label=") for text in asked):
            _, _, kind, level = label.text.split(":", 3)
            parts = {f"type:{kind}": label.where, f"level:{level}": label.where}
            self.request.say(declared.SELINUX, tuple(parts), label.where, "as the engine reports it", parts)

    def _podman(self) -> None:
        for key, fact in (
            ("EffectiveCaps", declared.CAPABILITIES_EXACT),
            ("BoundingCaps", declared.CAPABILITIES_BOUNDING),
        ):
            if not self.container.present(key):
                continue
            said = self._texts(self.container, key, fact)
            place = self.container.get(key)
            where = place.where if place is not None else self.request.where
            if any(one.unknown for one in said):
                self.request.withhold(fact, f"{key} could not be read", where)
            else:
                parts = {one.text: one.where for one in said}
                self.request.say(fact, frozenset(parts), where, "as Podman reports it", parts)
        maps = self._mapping(self.host, "IDMappings")
        if maps is None:
            return
        rows = [_row(said.text) for said in self._texts(maps, "UidMap", declared.USER_NAMESPACE_MAP)]
        if rows and all(row is not None for row in rows):
            self.request.say(declared.USER_NAMESPACE, "private", maps.where)
            self.request.say(declared.USER_NAMESPACE_MAP, tuple(row for row in rows if row), maps.where)

    # --- mounts and devices -----------------------------------------------------------------------------------------

    def _mounts(self) -> None:
        options = self._volume_options()
        mounts = self.container.get("Mounts")
        if mounts is not None and not mounts.is_sequence:
            self.request.problem("Mounts is no list", mounts.where, _REFERENCE)
            self.request.withhold(declared.MOUNTS, "Mounts is no list", mounts.where)
            return
        for place in list(mounts.elements())[:_MOST_ENTRIES] if mounts is not None else ():
            self._one_mount(place, options)
        self._asked_mounts({posixpath.normpath(mount.target) for mount, _ in self.request.mounts if mount.target})
        tmpfs = self._mapping(self.host, "Tmpfs")
        for target, place in tmpfs.items() if tmpfs is not None else ():
            mount = bound("tmpfs", "", target, (place.text or "").split(","))
            self.request.mounts.append((mount, place.where))

    def _one_mount(self, place: Cursor, options: dict[str, dict[str, str]]) -> None:
        kind, source, target, name = (self._text(place, key) for key in ("Type", "Source", "Destination", "Name"))
        writable = place.get("RW")
        read_only = writable is not None and writable.value is False
        mode = self._text(place, "Mode")
        propagation = self._text(place, "Propagation")
        words = [*_text_of(mode).split(","), _text_of(propagation)]
        target_text = _text_of(target)
        if kind is None or kind.unknown or (target is not None and target.unknown):
            self.request.problem("a mount has no type or no target", place.where, _REFERENCE)
            self.request.mounts.append((Mount("bind", "(a mount that could not be read)", target_text), place.where))
            return
        if kind.text == "volume":
            driver = _text_of(self._text(place, "Driver"))
            mount = local_volume(_text_of(name), target_text, options.get(target_text, {}), driver, read_only=read_only)
            mount = Mount(mount.kind, mount.source, target_text, mount.read_only, _text_of(propagation), mount.options)
        elif kind.text == "tmpfs":
            mount = bound("tmpfs", "", target_text, words, read_only=read_only)
        elif kind.text in {"bind", "npipe"}:
            known = source is not None and not source.unknown
            mount = bound("bind", _text_of(source) if known else "(no source)", target_text, words, read_only=read_only)
        elif kind.text in {"cluster", "image"}:
            mount = bound("volume", _text_of(name) or _text_of(source), target_text, words, read_only=read_only)
        else:
            self.request.problem(f"unknown type of mount {kind.text[:40]!r}", kind.where, _REFERENCE)
            mount = Mount("bind", f"(a mount of type {kind.text[:40]})", target_text, read_only)
        self.request.mounts.append((mount, place.where))

    def _volume_options(self) -> dict[str, dict[str, str]]:
        """Return by target the options with which anonymous or new volumes were made."""
        found: dict[str, dict[str, str]] = {}
        mounts = self.host.get("Mounts") if self.host is not None else None
        for place in list(mounts.elements())[:_MOST_ENTRIES] if mounts is not None else ():
            target = place.get("Target")
            options = place.get("VolumeOptions", "DriverConfig", "Options")
            if target is not None and isinstance(target.value, str) and options is not None:
                found[target.value] = {key: child.text or "" for key, child in options.items()}
        return found

    def _asked_mounts(self, told: set[str]) -> None:
        """Read the mounts that were asked for, as far as the engine does not tell what became of them."""
        for said in self._texts(self.host, "Binds", declared.MOUNTS):
            parts = None if said.unknown else volume_parts(said.text)
            if parts is not None and posixpath.normpath(parts[1]) in told:
                continue
            if parts is None:
                mount = Mount("bind", f"({said.unknown or said.text[:80]})", "")
            else:
                source, target, flags = parts
                mount = bound("bind" if source.startswith("/") else "volume", source, target, flags)
            self.request.mounts.append((mount, said.where))
        mounts = self.host.get("Mounts") if self.host is not None else None
        for place in list(mounts.elements())[:_MOST_ENTRIES] if mounts is not None else ():
            kind, path, into = (self._text(place, key) for key in ("Type", "Source", "Target"))
            if into is None or into.unknown or posixpath.normpath(into.text) in told:
                continue
            flag, spread = place.get("ReadOnly"), place.get("BindOptions", "Propagation")
            read_only = flag is not None and flag.value is True
            if _text_of(kind) == "bind":
                known = path is not None and not path.unknown
                words = ["" if spread is None else spread.text or ""]
                shown = _text_of(path) if known else "(no source)"
                asked = bound("bind", shown, into.text, words, read_only=read_only)
            elif _text_of(kind) == "volume":
                options = self._volume_options().get(into.text, {})
                asked = local_volume(_text_of(path), into.text, options, read_only=read_only)
            else:
                continue
            self.request.mounts.append((asked, place.where))

    def _devices(self) -> None:
        devices = self.host.get("Devices") if self.host is not None else None
        if devices is not None and not devices.is_sequence:
            self.request.problem("Devices is no list", devices.where, _REFERENCE)
            self.request.withhold(declared.DEVICES, "Devices is no list", devices.where)
            return
        for place in list(devices.elements())[:_MOST_ENTRIES] if devices is not None else ():
            source = self._text(place, "PathOnHost")
            target, permissions = self._text(place, "PathInContainer"), self._text(place, "CgroupPermissions")
            if source is None or source.unknown:
                self.request.problem("a device has no path", place.where, _REFERENCE)
                self.request.devices.append((Device("(a device that could not be read)", ""), place.where))
                continue
            node = Device(source.text, _text_of(target) or source.text, _text_of(permissions) or "rwm")
            self.request.devices.append((node, place.where))
        requests = self.host.get("DeviceRequests") if self.host is not None else None
        for place in list(requests.elements())[:_MOST_ENTRIES] if requests is not None else ():
            names = [said.text for said in self._texts(place, "DeviceIDs", declared.DEVICES)]
            for node in gpu_devices(_text_of(self._text(place, "Driver")), names):
                self.request.devices.append((node, place.where))


def _text_of(said: Said | None) -> str:
    return "" if said is None else said.text


def _row(text: str) -> tuple[int, int, int] | None:
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 12 for part in parts):
        return None
    return int(parts[0]), int(parts[1]), int(parts[2])
