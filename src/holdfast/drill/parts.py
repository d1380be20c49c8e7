"""Whether a part runs on this host that would act on what an attempt leaves behind. Looked at, never assumed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def runs_here(name: str, engine: str = "docker") -> bool:
    """Tell whether a part runs here.

    Args:
        name: ``systemd``, ``kubelet``, ``NRI``, ``CDI``, ``OCI hooks``, ``rootless engine`` or
            ``buildkit with insecure entitlements``.
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
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted
        if name.isdecimal():
            try:
                if Path("/proc", name, "comm").read_text(encoding="utf-8").strip() in {"kubelet", "k3s", "k0s"}:
                    return True
            except OSError:
                continue
    return False


def _nri(_engine: str) -> bool:
    return Path("/var/run/nri/nri.sock").is_socket()


def _hooks(engine: str) -> bool:
    return engine in {"podman", "cri-o"}


_LOOKS: dict[str, Callable[[str], bool]] = {
    "systemd": _systemd,
    "kubelet": _kubelet,
    "NRI": _nri,
    "OCI hooks": _hooks,
    "rootless engine": lambda _engine: bool(os.environ.get("HOLDFAST_AS_USER")),
    # Docker 20.10 reads no CDI specifications, and Podman only for devices that somebody asks for by name.
    "CDI": lambda engine: engine == "podman",
}
