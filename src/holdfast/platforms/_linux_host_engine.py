"""The container engine of a host: what it says of itself, what its files say, and what its processes show."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from holdfast.model.facts import Absent, Fact, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members
from holdfast.model.words import engine
from holdfast.platforms._linux_host_packages import database, installed, upstream
from holdfast.platforms._linux_host_records import Answer, Records
from holdfast.platforms._linux_host_spec import buildkit_answer, spec_answers

_ENGINE_PACKAGES = {
    "docker": ("docker-ce", "docker.io", "moby-engine", "docker-engine", "docker"),
    "containerd": ("containerd.io", "containerd", "moby-containerd"),
    "cri-o": ("cri-o",),
    "podman": ("podman",),
}
_PROCESSES = (("dockerd", "docker"), ("crio", "cri-o"), ("containerd", "containerd"), ("podman", "podman"))
_STATE = {"docker": "/var/lib/docker", "containerd": "/var/lib/containerd", "podman": "/var/lib/containers"}
_STATE["cri-o"] = _STATE["podman"]
_CONFIG = "/etc/docker/daemon.json"


@dataclass
class Engine:
    """What is known of the engine before a single word is answered.

    Attributes:
        records: Everything that was read.
        name: The engine's name, empty where none was found.
        name_where: Where that was read.
        version: Answer of /version; empty where the engine was not asked.
        info: Answer of /info.
        config: Docker's configuration file; None where it could not be read or is no JSON object.
        arguments: Command line of dockerd; None where no such process was seen.
    """

    records: Records
    name: str = ""
    name_where: Where = field(default_factory=lambda: Where(""))
    version: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] | None = None
    arguments: tuple[str, ...] | None = None

    @cached_property
    def packages(self) -> dict[str, str]:
        """Version by package."""
        return installed(self.records)


def engine_answers(records: Records) -> dict[Fact[Any], Answer]:
    """Answer the engine's words. Where several engines run, Docker is the one described, with a note."""
    known = _known(records)
    if not known.name:
        reason = "no engine was found: none answered, none runs, none is installed as a package"
        if records.text("process:") is None:
            return dict.fromkeys(_WORDS, records.absent("process:"))
        return dict.fromkeys(_WORDS, Absent(reason, Where("/proc")))
    table: dict[Fact[Any], Answer] = {
        engine.NAME: _name(known),
        engine.VERSION: _version(known),
        engine.CONTAINERD_VERSION: _containerd_version(known),
        engine.STATE_ON_ROOT: _state_on_root(known),
        engine.INSECURE_ENTITLEMENT: buildkit_answer(records),
    }
    table.update(spec_answers(records, known.name, table[engine.VERSION], known.info))
    if known.name == "docker":
        table.update(_docker(known))
    else:
        table.update(_other(known))
    return table


_WORDS: tuple[Fact[Any], ...] = (
    engine.NAME, engine.VERSION, engine.CONTAINERD_VERSION, engine.ROOTLESS, engine.USERNS_REMAP,
    engine.AUTHZ_PLUGINS, engine.TCP_UNAUTHENTICATED, engine.SECCOMP_DEFAULT, engine.NRI_ENABLED, engine.CDI_ENABLED,
    engine.OCI_HOOKS_DIR, engine.OCI_HOOKS_IN_ETC, engine.STATE_ON_ROOT, engine.INSECURE_ENTITLEMENT, engine.DESKTOP,
    engine.DESKTOP_VERSION, engine.MODEL_RUNNER, engine.ICC, engine.PLUGINS,
)  # fmt: skip


def _known(records: Records) -> Engine:
    known = Engine(records)
    known.version = _json_object(records.text("docker:/version"))
    known.info = _json_object(records.text("docker:/info"))
    if records.missing(_CONFIG):
        known.config = {}
    elif records.text(_CONFIG) is not None:
        known.config = _json_object(records.text(_CONFIG)) or None
        if records.text(_CONFIG) in {"", "{}"}:
            known.config = {}
    paragraph = records.lines("process:dockerd")
    if paragraph:
        known.arguments = paragraph[1:]
    if known.version:
        podman = any("podman" in str(part.get("Name", "")).lower() for part in _objects(known.version, "Components"))
        known.name, known.name_where = "podman" if podman else "docker", Where("docker:/version")
        return known
    # conmon is the monitor of a container: of Podman, where no CRI-O runs
    for process, name in (*_PROCESSES, ("conmon", "podman")):
        if records.text(f"process:{process}"):
            known.name, known.name_where = name, Where(f"process:{process}")
            return known
    # Of several that are installed Podman alone starts containers without a daemon.
    order = sorted(_ENGINE_PACKAGES, key=lambda name: name != "podman" or records.text("process:") is None)
    for name in order:
        if any(package in known.packages for package in _ENGINE_PACKAGES[name]):
            known.name, known.name_where = name, Where(database(records))
            return known
    return known


def _json_object(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _objects(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = parent.get(key)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _strings(parent: dict[str, Any], key: str) -> tuple[str, ...]:
    value = parent.get(key)
    return tuple(part for part in value if isinstance(part, str)) if isinstance(value, list) else ()


def _name(known: Engine) -> Answer:
    others = [name for process, name in _PROCESSES if known.records.text(f"process:{process}") and name != known.name]
    return Seen(known.name, known.name_where, f"{', '.join(others)} runs too" if others else "")


def _version(known: Engine) -> Answer:
    numbers = upstream(str(known.version.get("Version", "")))
    if numbers:
        return Seen(numbers, Where("docker:/version", "/Version"))
    return _package_version(known, known.name)


def _containerd_version(known: Engine) -> Answer:
    for index, part in enumerate(_objects(known.version, "Components")):
        numbers = upstream(str(part.get("Version", "")))
        if part.get("Name") == "containerd" and numbers:
            return Seen(numbers, Where("docker:/version", f"/Components/{index}/Version"))
    return _package_version(known, "containerd")


def _package_version(known: Engine, name: str) -> Answer:
    for package in _ENGINE_PACKAGES[name]:
        numbers = upstream(known.packages.get(package, ""))
        if numbers:
            return Seen(
                numbers, Where(database(known.records)).below(package), "upstream part of the package's version"
            )
    return Absent(f"no answer and no package tells the version of {name}", known.name_where)


def _state_on_root(known: Engine) -> Answer:
    records = known.records
    folder = known.info.get("DockerRootDir")
    if not isinstance(folder, str):
        folder = (known.config or {}).get("data-root")
    if not isinstance(folder, str):
        folder = _STATE[known.name]
        if records.text(f"{folder}/") is None:
            return records.absent(f"{folder}/")
    root, over = records.mount_at("/"), records.mount_over(folder)
    where = Where(records.mounts_name)
    if root is None or over is None:
        return records.absent(records.mounts_name, "the mount table does not show the root directory")
    # btrfs gives each subvolume a device number of its own, so an equal source counts as well.
    same = over.device == root.device or (over.fstype == root.fstype == "btrfs" and over.source == root.source)
    return Seen(same, where, f"{folder} lies on {over.source}, the root directory on {root.source}")


# --- Docker -----------------------------------------------------------------------------------------------------


def _docker(known: Engine) -> dict[Fact[Any], Answer]:
    options = _strings(known.info, "SecurityOptions")
    info = Where("docker:/info", "/SecurityOptions")
    asked = bool(known.info)
    return {
        engine.ROOTLESS: (Seen("name=rootless" in options, info) if asked else _user_of(known, "process:dockerd")),
        engine.USERNS_REMAP: Seen("name=userns" in options, info) if asked else _switch(known, "userns-remap", ""),
        engine.AUTHZ_PLUGINS: _authorization(known),
        engine.TCP_UNAUTHENTICATED: _tcp(known),
        engine.SECCOMP_DEFAULT: _seccomp(known, options),
        engine.ICC: _switch(known, "icc", True),
        engine.PLUGINS: _plugins(known),
        **_desktop(known),
    }


def _user_of(known: Engine, name: str) -> Answer:
    first = (known.records.lines(name) or ("",))[0].split()
    if len(first) == 2 and first[1].isdecimal():
        return Seen(first[1] != "0", Where(f"/proc/{first[0]}/status"))
    return known.records.absent(name)


def _switch(known: Engine, key: str, default: object) -> Answer:
    """Answer a daemon setting that both the configuration file and the command line can hold."""
    arguments = known.arguments or ()
    for index, argument in enumerate(arguments):
        if argument == f"--{key}" or argument.startswith(f"--{key}="):
            value = argument.partition("=")[2] or (arguments[index + 1] if index + 1 < len(arguments) else "")
            chosen = value.lower() not in {"false", "0", "f", ""} if isinstance(default, str) else value != "false"
            return Seen(chosen, Where("process:dockerd"))
    if known.config and key in known.config:
        value = known.config[key]
        return (
            Seen(value not in {"", False}, Where(_CONFIG).below(key))
            if isinstance(value, str | bool)
            else (known.records.absent(_CONFIG, f"{key} is neither text nor a truth value"))
        )
    if known.config is None:
        return known.records.absent(_CONFIG)
    if known.arguments is None:
        return Absent("the command line of dockerd was not seen", Where("process:dockerd"))
    return Seen(bool(default), Where(_CONFIG), "engine default")


def _authorization(known: Engine) -> Answer:
    plugins = known.info.get("Plugins")
    if isinstance(plugins, dict):
        return Seen(bool(plugins.get("Authorization")), Where("docker:/info", "/Plugins/Authorization"))
    if known.arguments is not None and any(part.startswith("--authorization-plugin") for part in known.arguments):
        return Seen(True, Where("process:dockerd"))
    if known.config is None or known.arguments is None:
        return known.records.absent(_CONFIG, "neither the engine's answer nor its settings were seen")
    return Seen(bool(known.config.get("authorization-plugins")), Where(_CONFIG))


def _tcp(known: Engine) -> Answer:
    for index, warning in enumerate(_strings(known.info, "Warnings")):
        if "API is accessible on" in warning and "without" in warning.lower():
            return Seen(True, Where("docker:/info", f"/Warnings/{index}"), warning)
    if known.config is None or known.arguments is None:
        return Absent("the listening addresses of dockerd were not seen", Where("process:dockerd"))
    addresses = [(address, Where(_CONFIG).below("hosts")) for address in _strings(known.config, "hosts")]
    for index, argument in enumerate(known.arguments):
        value = ""
        if argument in {"-H", "--host"} and index + 1 < len(known.arguments):
            value = known.arguments[index + 1]
        elif argument.startswith(("-H", "--host=")):
            value = argument.removeprefix("--host=").removeprefix("-H").removeprefix("=")
        if value:
            addresses.append((value, Where("process:dockerd")))
    checked = known.config.get("tlsverify") is True or any(
        argument in {"--tlsverify", "--tlsverify=true"} for argument in known.arguments
    )
    for address, where in addresses:
        if not address.startswith(("unix:", "fd:", "npipe:", "/")):
            return Seen(not checked, where, f"listens on {address}")
    note = "sockets handed over by systemd were not looked at" if any(a.startswith("fd:") for a, _ in addresses) else ""
    return Seen(False, Where("process:dockerd"), note)


def _seccomp(known: Engine, options: tuple[str, ...]) -> Answer:
    where = Where("docker:/info", "/SecurityOptions")
    if not known.info:
        profile = (known.config or {}).get("seccomp-profile")
        if profile == "unconfined":
            return Seen("unconfined", Where(_CONFIG).below("seccomp-profile"))
        arguments = known.arguments
        if known.config is not None and arguments is not None and not profile:
            if any(argument.startswith("--seccomp-profile") for argument in arguments):
                return Absent("dockerd was started with a profile of its own, which was not read", Where(_CONFIG))
            return Seen("default", Where(_CONFIG), "engine default")
        return Absent("the engine's default profile was not seen", Where(_CONFIG))
    for option in options:
        pairs = {part.partition("=")[0]: part.partition("=")[2] for part in option.split(",")}
        if pairs.get("name") == "seccomp":
            profile = pairs.get("profile", "default")
            if profile in {"default", "builtin"}:
                return Seen("default", where)
            if profile == "unconfined":
                return Seen("unconfined", where)
            return Absent(f"the engine's default is a profile of its own, {profile}, which was not read", where)
    return Seen("unconfined", where, "the engine does not use seccomp")


def _plugins(known: Engine) -> Answer:
    plugins = known.info.get("Plugins")
    if not isinstance(plugins, dict):
        return Absent("the engine was not asked", Where("docker:/info"))
    names = {name for kind in plugins for name in _strings(plugins, kind)}
    return Seen(Members.of(*names), Where("docker:/info", "/Plugins"))


def _desktop(known: Engine) -> dict[Fact[Any], Answer]:
    platform = known.version.get("Platform")
    text = str(platform.get("Name", "")) if isinstance(platform, dict) else ""
    where = Where("docker:/version", "/Platform/Name")
    if not text.startswith("Docker Desktop") and known.info.get("OperatingSystem") == "Docker Desktop":
        text, where = "Docker Desktop", Where("docker:/info", "/OperatingSystem")
    if text.startswith("Docker Desktop"):
        numbers = upstream(text.removeprefix("Docker Desktop").strip())
        return {
            engine.DESKTOP: Seen(True, where),
            engine.DESKTOP_VERSION: Seen(numbers, where) if numbers else Absent("no version in the name", where),
            engine.MODEL_RUNNER: Absent("the engine does not tell whether Model Runner is enabled", where),
        }
    if not known.version and not known.info and known.arguments is None:
        return dict.fromkeys(
            (engine.DESKTOP, engine.DESKTOP_VERSION, engine.MODEL_RUNNER), Absent("the engine was not asked", where)
        )
    note = "the engine is not Docker Desktop"
    return {
        engine.DESKTOP: Seen(False, where),
        engine.DESKTOP_VERSION: Absent(note, where),
        engine.MODEL_RUNNER: Seen(False, where, note),
    }


def _other(known: Engine) -> dict[Fact[Any], Answer]:
    """Answer what is true of every engine that is not Docker, or say that nobody tells."""
    process = next((name for name, engine_name in _PROCESSES if engine_name == known.name), "")
    none = Seen(False, known.name_where, f"{known.name} has no such thing")
    rootless: Answer = _user_of(known, f"process:{process}")
    host_info = known.info.get("Rootless")
    if known.name == "podman":
        rootless = (
            Seen("name=rootless" in _strings(known.info, "SecurityOptions"), Where("docker:/info", "/SecurityOptions"))
            if known.info
            else Absent("each user runs an own Podman; the one asked for was not seen", known.name_where)
        )
        if isinstance(host_info, bool):
            rootless = Seen(host_info, Where("docker:/info", "/Rootless"))
    unseen = Absent(f"the settings of {known.name} do not tell", known.name_where)
    return {
        engine.ROOTLESS: rootless,
        engine.USERNS_REMAP: unseen,
        engine.AUTHZ_PLUGINS: none,
        engine.TCP_UNAUTHENTICATED: unseen,
        engine.SECCOMP_DEFAULT: unseen,
        engine.DESKTOP: none,
        engine.DESKTOP_VERSION: Absent("the engine is not Docker Desktop", known.name_where),
        engine.MODEL_RUNNER: none,
        engine.ICC: unseen,
        engine.PLUGINS: unseen,
    }
