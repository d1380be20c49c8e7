"""Find the OCI configurations of running containers in the state directories of engines and runtimes.

They say what the runtime was told, whichever engine told it, and they are there without any engine's socket.
"""

# ruff: noqa: PTH207 - plain paths with wildcards

from __future__ import annotations

import glob
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.collect.reading import read_bytes, read_text
from holdfast.model.errors import Error, NotReachable

LIMIT = 8 << 20
_STORAGES = (
    "/run/containers/storage",
    "/var/lib/containers/storage",
    "/run/user/*/containers",
    "/home/*/.local/share/containers/storage",
    "/root/.local/share/containers/storage",
)
"""Where Podman and CRI-O keep containers: the configuration in one of them, the process id in another."""
FOLDERS = (
    "/run/containerd/io.containerd.runtime.v2.task/*/*/config.json",
    "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/*/*/config.json",
    "/var/run/docker/containerd/*/config.json",
    "/run/k3s/containerd/io.containerd.runtime.v2.task/*/*/config.json",
    *(f"{storage}/*-containers/*/userdata/config.json" for storage in _STORAGES),
)
"""Bundles: the configuration lies in the folder that is named after the container."""
STATES = (
    ("/run/runc/*/state.json", "runc"),
    ("/run/docker/runtime-runc/*/*/state.json", "runc"),
    ("/run/containerd/runc/*/*/state.json", "runc"),
    ("/run/crun/*/status", "crun"),
    ("/run/user/*/crun/*/status", "crun"),
    ("/run/user/*/runc/*/state.json", "runc"),
    ("/run/runsc/*.state", "runsc"),
    ("/run/docker/runtime-runsc/*/*.state", "runsc"),
    ("/run/containerd/runsc/*/*.state", "runsc"),
)
"""States of runtimes: they name the bundle, which may lie anywhere, and the first process."""
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Bundle:
    """The configuration of one container.

    Attributes:
        path: The file.
        data: Its bytes.
        container_id: Name of the container in the runtime's state: 64 hex digits for most engines.
        runtime: Name of the runtime, empty where the folder does not tell.
        pid: Its first process, on the host; of gVisor its kernel. 0 where nothing tells.
        name: As its owner called it, empty where the engine keeps that elsewhere.
    """

    path: str
    data: bytes
    container_id: str
    runtime: str
    pid: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class _State:
    """What a runtime keeps of one container."""

    container_id: str
    runtime: str
    path: str = ""
    pid: int = 0


def bundles(root: str = "/", without: Collection[str] = ()) -> Iterator[Bundle | Error]:
    """Bring the configuration of each container that some runtime has in its state.

    Args:
        root: Where the host's file tree is.
        without: Ids of containers that are known already; nothing of them is read.

    Yields:
        Each configuration once. An Error for one that cannot be read; one that vanished meanwhile is left out.
    """
    base = root.rstrip("/")
    states: dict[str, _State] = {}
    placed: dict[str, _State] = {}
    for state in _states(base, without):
        states[state.container_id] = state
        if state.path:
            placed.setdefault(state.path, state)
    names = _names(base)
    seen: set[str] = set()
    paths = [path for pattern in FOLDERS for path in sorted(glob.iglob(glob.escape(base) + pattern))]
    for path in (*paths, *placed)[:MOST]:
        folder = os.path.dirname(path)  # noqa: PTH120
        identity = os.path.basename(folder.removesuffix("/userdata"))  # noqa: PTH119
        state = placed.get(path) or states.get(identity) or _State(identity, "")
        if state.container_id in without:
            continue
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        data = read_bytes(path, LIMIT)
        if isinstance(data, NotReachable):
            continue
        if isinstance(data, Error):
            yield data
            continue
        pid = state.pid or _first_process(base, folder, identity)
        name = names.get(state.container_id, "")
        yield Bundle(path, data, state.container_id, state.runtime or _shim(folder), pid, name)


def _states(base: str, without: Collection[str]) -> Iterator[_State]:
    """Read which bundle and which process each container of a runtime has."""
    for pattern, runtime in STATES:
        for path in sorted(glob.iglob(glob.escape(base) + pattern))[:MOST]:
            identity = os.path.basename(os.path.dirname(path))  # noqa: PTH119, PTH120
            if identity in without:
                continue
            text = read_text(path, LIMIT)
            try:
                told = json.loads(text) if isinstance(text, str) else None
            except (ValueError, RecursionError):
                told = None
            known: dict[str, Any] = told if isinstance(told, dict) else {}
            if runtime == "runsc":  # one file for each container, in one folder
                identity = str(known.get("id", ""))
                if not identity or identity in without:
                    continue
            bundle = _bundle(known)
            yield _State(identity, runtime, f"{base}{bundle}/config.json" if bundle else "", _pid(known))


def _bundle(state: dict[str, Any]) -> str:
    """Return the bundle's folder: crun and runsc name it, runc keeps it as a label of its configuration."""
    told = state.get("bundle") or state.get("bundleDir")
    config = state.get("config")
    labels = config.get("labels") if isinstance(config, dict) else None
    for label in labels if isinstance(labels, list) else []:
        if isinstance(label, str) and label.startswith("bundle="):
            told = label.removeprefix("bundle=")
    return told if isinstance(told, str) and told.startswith("/") else ""


def _pid(state: dict[str, Any]) -> int:
    """Return the first process: runc, crun and runsc each have a word of their own for it."""
    box = state.get("sandbox")
    inner = box.get("pid") if isinstance(box, dict) else None
    if isinstance(inner, dict):
        inner = inner.get("val")
    found = (state.get("init_process_pid"), state.get("pid"), inner)
    return next((pid for pid in found if type(pid) is int and pid > 0), 0)


def _first_process(base: str, folder: str, identity: str) -> int:
    """Read the process id that containerd keeps in the bundle, and Podman in its folder of passing things."""
    places = [f"{folder}/init.pid"]
    if folder.endswith("/userdata"):
        places += [
            path
            for storage in _STORAGES
            for path in glob.iglob(
                f"{glob.escape(base)}{storage}/*-containers/{glob.escape(identity)}/userdata/pidfile"
            )
        ]
    for path in places:
        text = read_text(path, LIMIT)
        if isinstance(text, str) and text.strip().isdecimal() and len(text) < 16:
            return int(text)
    return 0


def _names(base: str) -> dict[str, str]:
    """Read how the containers of Podman and CRI-O are called: id -> name."""
    found: dict[str, str] = {}
    for storage in _STORAGES:
        for path in sorted(glob.iglob(f"{glob.escape(base)}{storage}/*-containers/containers.json")):
            text = read_text(path, LIMIT)
            try:
                listed = json.loads(text) if isinstance(text, str) else []
            except (ValueError, RecursionError):
                continue
            for entry in listed if isinstance(listed, list) else []:
                names = entry.get("names") if isinstance(entry, dict) else None
                if isinstance(names, list) and names and isinstance(names[0], str):
                    found[str(entry.get("id"))] = names[0]
    return found


def _shim(folder: str) -> str:
    """Tell the runtime by the shim that containerd started: ``containerd-shim-runsc-v1`` runs runsc."""
    text = read_text(f"{folder}/shim-binary-path", LIMIT)
    name = text.strip().rsplit("/", 1)[-1] if isinstance(text, str) else ""
    parts = name.removeprefix("containerd-shim-").rsplit("-", 1)
    return parts[0] if name.startswith("containerd-shim-") and len(parts) == 2 else ""
