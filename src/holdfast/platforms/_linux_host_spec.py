"""Doors through which something else writes the OCI configuration: NRI, CDI, hooks; and BuildKit's entitlements."""

from __future__ import annotations

from typing import Any

from holdfast.model.facts import Absent, Fact, Seen
from holdfast.model.place import Where
from holdfast.model.words import engine
from holdfast.platforms._linux_host_records import Answer, Records

_CONTAINERD = "/etc/containerd/config.toml"
_BUILDKIT = "/etc/buildkit/buildkitd.toml"
_INSECURE = frozenset({"security.insecure", "network.host"})
_CRI_PLUGINS = ("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "cri")
_ON_BY_DEFAULT_SINCE = (2, 0)
"""containerd enables NRI and CDI unless told otherwise since 2.0.

Source:
    https://github.com/containerd/containerd/blob/main/docs/containerd-2.0.md
"""
_DOCKER_CDI_SINCE = (25, 0)
_HOOKS, _HOOKS_IN_ETC = "/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"
_CONTAINERS_CONF = ("/etc/containers/containers.conf", "/usr/share/containers/containers.conf")


def spec_answers(records: Records, name: str, version: Answer, info: dict[str, Any]) -> dict[Fact[Any], Answer]:
    """Answer whether NRI, CDI and hooks directories are in use.

    Args:
        records: The host's records.
        name: The engine's name.
        version: The engine's version, or the reason why it is unknown.
        info: Docker's answer to /info, empty where it was not asked.
    """
    return {
        engine.NRI_ENABLED: _nri(records, name, version),
        engine.CDI_ENABLED: _cdi(records, name, version, info),
        engine.OCI_HOOKS_DIR: _hooks(records, name),
        engine.OCI_HOOKS_IN_ETC: _hooks_in_etc(records, name),
    }


def buildkit_answer(records: Records) -> Answer:
    """Answer whether a BuildKit daemon of its own grants builds the host's network or all privileges."""
    lines = records.lines("process:buildkitd")
    for index, argument in enumerate(lines):
        if argument.startswith("--allow-insecure-entitlement"):
            value = argument.partition("=")[2] or (lines[index + 1] if index + 1 < len(lines) else "")
            if value in _INSECURE:
                return Seen(True, Where("process:buildkitd"), value)
    text = records.text(_BUILDKIT)
    if text is None:
        if not records.missing(_BUILDKIT):
            return records.absent(_BUILDKIT)
        if records.text("process:") is None:
            return records.absent("process:")
        return Seen(False, Where(_BUILDKIT), "nothing grants them; that is the default")
    settings = _toml(text)
    if settings is None:
        return records.absent(_BUILDKIT, "is no TOML")
    granted = settings.get("insecure-entitlements", [])
    return Seen(
        isinstance(granted, list) and any(entry in _INSECURE for entry in granted),
        Where(_BUILDKIT).below("insecure-entitlements"),
    )


def _toml(text: str) -> dict[str, Any] | None:
    import tomllib  # noqa: PLC0415 - only hosts with such a file pay for it

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def _plugin(records: Records, *names: str) -> dict[str, Any] | None:
    """Return the settings of one containerd plug-in; None where the file could not be read or understood."""
    if records.missing(_CONTAINERD):
        return {}
    text = records.text(_CONTAINERD)
    settings = _toml(text) if text is not None else None
    if settings is None:
        return None
    plugins = settings.get("plugins")
    for name in names:
        found = plugins.get(name) if isinstance(plugins, dict) else None
        if isinstance(found, dict):
            return found
    return {}


def _at_least(version: Answer, wanted: tuple[int, ...]) -> bool | None:
    return version.value >= wanted if isinstance(version, Seen) else None


def _default(version: Answer, wanted: tuple[int, ...], name: str) -> Answer:
    since = _at_least(version, wanted)
    if since is None or not isinstance(version, Seen):
        return Absent(f"the default depends on the version of {name}, which is not known")
    return Seen(since, version.where, f"default of {name} {'.'.join(str(part) for part in version.value)}")


def _nri(records: Records, name: str, version: Answer) -> Answer:
    names = records.lines("/run/nri/")
    if "nri.sock" in names:
        return Seen(True, Where("/run/nri/nri.sock"))
    if name == "containerd":
        plugin = _plugin(records, "io.containerd.nri.v1.nri")
        if plugin is None:
            return records.absent(_CONTAINERD)
        if isinstance(plugin.get("disable"), bool):
            return Seen(not plugin["disable"], Where(_CONTAINERD).below("plugins").below("io.containerd.nri.v1.nri"))
        return _default(version, _ON_BY_DEFAULT_SINCE, name)
    if records.missing("/run/nri/") or records.text("/run/nri/") is not None:
        return Seen(False, Where("/run/nri"), "there is no NRI socket")
    return records.absent("/run/nri/")


def _cdi(records: Records, name: str, version: Answer, info: dict[str, Any]) -> Answer:
    if name == "docker":
        if "CDISpecDirs" in info:
            return Seen(bool(info["CDISpecDirs"]), Where("docker:/info", "/CDISpecDirs"))
        if _at_least(version, _DOCKER_CDI_SINCE) is False and isinstance(version, Seen):
            return Seen(False, version.where, "Docker reads CDI specs since 25.0")
        return Absent("the engine was not asked", Where("docker:/info", "/CDISpecDirs"))
    if name == "containerd":
        plugin = _plugin(records, *_CRI_PLUGINS)
        if plugin is None:
            return records.absent(_CONTAINERD)
        if isinstance(plugin.get("enable_cdi"), bool):
            return Seen(plugin["enable_cdi"], Where(_CONTAINERD).below("plugins"))
        return _default(version, _ON_BY_DEFAULT_SINCE, name)
    return Seen(True, Where("/etc/cdi"), f"{name} always reads CDI specs")


def _reads_hooks(records: Records, name: str) -> str:
    """Return the engine that runs hooks: the one described, or one whose containers run beside its own."""
    if name in {"podman", "cri-o"}:
        return name
    beside = (("crio", "cri-o"), ("conmon", "podman"))
    return next((engine_name for process, engine_name in beside if records.text(f"process:{process}")), "")


def _hooks(records: Records, name: str) -> Answer:
    reader = _reads_hooks(records, name)
    if reader:
        return Seen(True, Where(_HOOKS), f"{reader} runs the hooks it finds there")
    return Seen(False, Where(_HOOKS), f"{name} has no hooks directory")


def _hooks_in_etc(records: Records, name: str) -> Answer:
    reader = _reads_hooks(records, name)
    if not reader:
        return Seen(False, Where(_HOOKS_IN_ETC), f"{name} has no hooks directory")
    if reader == "cri-o":
        return Absent("whether CRI-O reads it depends on its version and settings", Where(_HOOKS_IN_ETC))
    for file in _CONTAINERS_CONF:
        if records.missing(file):
            continue
        text = records.text(file)
        settings = None if text is None else _toml(text)
        if settings is None:
            return records.absent(file, "" if text is None else "is no TOML")
        table = settings.get("engine")
        if isinstance(table, dict) and isinstance(table.get("hooks_dir"), list):
            named = any(str(each).rstrip("/") == _HOOKS_IN_ETC for each in table["hooks_dir"])
            return Seen(named, Where(file).below("engine").below("hooks_dir"))
    return Seen(False, Where(_HOOKS_IN_ETC), "Podman reads it only where hooks_dir names it")
