"""Find the OCI configurations of running containers in the state directories of engines and runtimes.

They say what the runtime was told, whichever engine told it, and they are there without any engine's socket.
"""

# ruff: noqa: PTH207 - plain paths with wildcards

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.collect.reading import read_bytes, read_text
from holdfast.model.errors import Error, NotReachable

LIMIT = 8 << 20
FOLDERS = (
    "/run/containerd/io.containerd.runtime.v2.task/*/*/config.json",
    "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/*/*/config.json",
    "/var/run/docker/containerd/*/config.json",
    "/run/k3s/containerd/io.containerd.runtime.v2.task/*/*/config.json",
    "/run/containers/storage/overlay-containers/*/userdata/config.json",
    "/var/lib/containers/storage/overlay-containers/*/userdata/config.json",
    "/run/user/*/containers/overlay-containers/*/userdata/config.json",
    "/home/*/.local/share/containers/storage/overlay-containers/*/userdata/config.json",
)
"""Bundles: the configuration lies in the folder that is named after the container."""
STATES = (
    ("/run/runc/*/state.json", "runc"),
    ("/run/docker/runtime-runc/*/*/state.json", "runc"),
    ("/run/containerd/runc/*/*/state.json", "runc"),
    ("/run/crun/*/status", "crun"),
    ("/run/user/*/crun/*/status", "crun"),
    ("/run/user/*/runc/*/state.json", "runc"),
)
"""States of runtimes: they name the bundle, which may lie anywhere."""
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Bundle:
    """The configuration of one container.

    Attributes:
        path: The file.
        data: Its bytes.
        container_id: Name of the container in the runtime's state: 64 hex digits for most engines.
        runtime: Name of the runtime, empty where the folder does not tell.
    """

    path: str
    data: bytes
    container_id: str
    runtime: str


def bundles(root: str = "/") -> Iterator[Bundle | Error]:
    """Bring the configuration of each container that some runtime has in its state.

    Args:
        root: Where the host's file tree is.

    Yields:
        Each configuration once. An Error for one that cannot be read; one that vanished meanwhile is left out.
    """
    base = root.rstrip("/")
    runtimes = dict(_states(base))
    seen: set[str] = set()
    paths = [path for pattern in FOLDERS for path in sorted(glob.iglob(glob.escape(base) + pattern))]
    paths += [path for path, _ in runtimes.values() if path]
    for path in paths[:MOST]:
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        folder = os.path.dirname(path)  # noqa: PTH120
        identity = os.path.basename(folder.removesuffix("/userdata"))  # noqa: PTH119
        data = read_bytes(path, LIMIT)
        if isinstance(data, NotReachable):
            continue
        if isinstance(data, Error):
            yield data
            continue
        named = next((key for key, (config, _) in runtimes.items() if config == path), identity)
        runtime = runtimes[named][1] if named in runtimes else _shim(folder)
        yield Bundle(path, data, named, runtime)


def _states(base: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Read which bundle each container of a runtime has: id -> (path of the configuration, runtime)."""
    for pattern, runtime in STATES:
        for path in sorted(glob.iglob(glob.escape(base) + pattern))[:MOST]:
            identity = os.path.basename(os.path.dirname(path))  # noqa: PTH119, PTH120
            text = read_text(path, LIMIT)
            bundle = _bundle(text) if isinstance(text, str) else ""
            yield identity, (f"{base}{bundle}/config.json" if bundle else "", runtime)


def _bundle(text: str) -> str:
    """Return the bundle's folder: crun names it, runc keeps it as a label of its configuration."""
    try:
        state = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(state, dict):
        return ""
    told = state.get("bundle")
    config = state.get("config")
    labels = config.get("labels") if isinstance(config, dict) else None
    for label in labels if isinstance(labels, list) else []:
        if isinstance(label, str) and label.startswith("bundle="):
            told = label.removeprefix("bundle=")
    return told if isinstance(told, str) and told.startswith("/") else ""


def _shim(folder: str) -> str:
    """Tell the runtime by the shim that containerd started: ``containerd-shim-runsc-v1`` runs runsc."""
    text = read_text(f"{folder}/shim-binary-path", LIMIT)
    name = text.strip().rsplit("/", 1)[-1] if isinstance(text, str) else ""
    parts = name.removeprefix("containerd-shim-").rsplit("-", 1)
    return parts[0] if name.startswith("containerd-shim-") and len(parts) == 2 else ""
