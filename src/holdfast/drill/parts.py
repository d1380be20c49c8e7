"""Whether a part runs on this host that would act on what an attempt leaves behind. Looked at, never assumed."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path

from holdfast.drill.guarded_engine import can_be_started


def runs_here(name: str, engine: str = "docker") -> bool:
    """Tell whether a part runs here.

    Args:
        name: ``systemd``, ``kubelet``, ``NRI``, ``CDI``, ``OCI hooks``, ``OCI hooks in /etc``, ``rootless engine``,
            ``authorization plug-ins`` or ``buildkit with insecure entitlements``.
        engine: The engine that starts the replicas, of which some parts belong to.
    """
    look = _LOOKS.get(name)
    return look is not None and look(engine)


def _systemd(_engine: str) -> bool:
    return Path("/run/systemd/private").is_socket() and _first_process() == "systemd"


def _first_process() -> str:
    try:
        return Path("/proc/1/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _kubelet(_engine: str) -> bool:
    return _runs("kubelet", "k3s", "k0s")


def _runs(*wanted: str) -> bool:
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted
        if name.isdecimal():
            try:
                if Path("/proc", name, "comm").read_text(encoding="utf-8").strip() in wanted:
                    return True
            except OSError:
                continue
    return False


def _nri(_engine: str) -> bool:
    return Path("/var/run/nri/nri.sock").is_socket()


def _hooks(engine: str) -> bool:
    return engine in {"podman", "cri-o"} or _runs("conmon", "crio")


def _hooks_in_etc(engine: str) -> bool:
    if not _hooks(engine):
        return False
    for name in ("/etc/containers/containers.conf", "/usr/share/containers/containers.conf"):
        try:
            settings = tomllib.loads(Path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        named = settings.get("engine", {}).get("hooks_dir")
        if named is not None:
            return "/etc/containers/oci/hooks.d" in named
    return False


_LOOKS: dict[str, Callable[[str], bool]] = {
    "systemd": _systemd,
    "kubelet": _kubelet,
    "NRI": _nri,
    "OCI hooks": _hooks,
    "OCI hooks in /etc": _hooks_in_etc,
    "rootless engine": lambda _engine: bool(os.environ.get("HOLDFAST_AS_USER")),
    # Those of an engine that a drill begins itself.
    "authorization plug-ins": can_be_started,
    # Docker 20.10 reads no CDI specifications, and Podman only for devices that somebody asks for by name.
    "CDI": lambda engine: engine == "podman",
}
