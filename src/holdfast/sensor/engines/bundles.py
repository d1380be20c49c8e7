"""The state folders of runtimes: what containerd, CRI-O, Podman, runc and crun keep on disk of each container.

They need no engine's socket. They are looked at every other second, and at once for a container that the sensor met.
"""

# ruff: noqa: PTH208 - folders of thousands of names, looked at again and again

from __future__ import annotations

import json
import os
import re
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from holdfast.model.event import Container
from holdfast.sensor import snapshot
from holdfast.sensor.containers import Known
from holdfast.sensor.engines.docker import nanoseconds
from holdfast.sensor.engines.registry import Registry

LIMIT = 8 << 20
MOST = 4096
"""Most containers of one folder that are looked at."""
EVERY_S = 2.0
_WANTED = 1024


class Place(NamedTuple):
    """A folder with one entry for each container.

    Attributes:
        folder: Where; ``*`` stands for one name.
        file: The file below an entry that tells of the container.
        runtime: Whose containers they are; empty where the file tells.
    """

    folder: str
    file: str
    runtime: str


PLACES = (
    Place("run/containerd/io.containerd.runtime.v2.task/*", "config.json", "containerd"),
    Place("run/docker/containerd/daemon/io.containerd.runtime.v2.task/*", "config.json", "docker"),
    Place("run/k3s/containerd/io.containerd.runtime.v2.task/*", "config.json", "containerd"),
    Place("run/containers/storage/*-containers", "userdata/config.json", ""),
    Place("var/lib/containers/storage/*-containers", "userdata/config.json", ""),
    Place("run/runc", "state.json", "runc"),
    Place("run/containerd/runc/*", "state.json", "containerd"),
    Place("run/docker/runtime-runc/*", "state.json", "docker"),
    Place("run/crun", "status", "crun"),
)
POD = {
    "io.kubernetes.cri.sandbox-name": "io.kubernetes.pod.name",
    "io.kubernetes.cri.sandbox-namespace": "io.kubernetes.pod.namespace",
    "io.kubernetes.cri.sandbox-uid": "io.kubernetes.pod.uid",
    "io.kubernetes.cri.container-name": "io.kubernetes.container.name",
    "io.kubernetes.cri.sandbox-id": "io.kubernetes.sandbox.id",
    "io.kubernetes.cri-o.SandboxID": "io.kubernetes.sandbox.id",
}
"""What containerd and CRI-O call it -> the label that kubelet sets, which the rest of the sensor asks for."""
_ID = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_+.-]{0,1023}")
"""What runc takes for an id."""
_POWERS = frozenset({"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_NET_ADMIN"})


class Bundles:
    """The state folders, watched.

    Attributes:
        name: ``bundles``.
    """

    def __init__(self, root: str = "/", every_s: float = EVERY_S) -> None:
        """Prepare; nothing is read yet.

        Args:
            root: Where the host's file tree is.
            every_s: How often the folders are listed, in seconds.
        """
        self.name = "bundles"
        self._root = root.rstrip("/")
        self._every_s = every_s
        self._registry: Registry | None = None
        self._wanted: deque[str] = deque(maxlen=_WANTED)
        self._woken = threading.Event()
        self._ended = False
        self._there: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="engine bundles", daemon=True)

    def start(self, registry: Registry) -> None:
        """Begin to tell the registry."""
        self._registry = registry
        self._thread.start()

    def ask(self, identity: str) -> None:
        """Tell of this container soon."""
        self._wanted.append(identity)
        self._woken.set()

    def stop(self) -> None:
        """End the thread."""
        self._ended = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(1)

    def _run(self) -> None:
        while not self._ended:
            self._woken.clear()
            self.look()
            while self._wanted and not self._ended:
                self._answer(self._wanted.popleft())
            self._woken.wait(self._every_s)

    def look(self) -> None:
        """List the folders once; tell of containers that are new, and of those that are gone."""
        there: dict[str, str] = {}
        for place, folder in self._folders():
            for identity in _listed(folder)[:MOST]:
                key = f"{folder}/{identity}"
                known = self._there.get(key)
                if known is None:
                    known = identity if self._read(place, folder, identity) else ""
                if known:
                    there[key] = known
        gone = set(self._there.values()) - set(there.values())
        self._there = there
        for identity in gone:
            self._tell(Known(Container(identity), ended=True))

    def _answer(self, identity: str) -> None:
        found = False
        for place, folder in self._folders() if _ID.fullmatch(identity) else ():
            if self._read(place, folder, identity):
                self._there[f"{folder}/{identity}"] = identity
                found = True
        if not found and self._registry is not None:
            self._registry.unknown(identity, self.name)

    def _read(self, place: Place, folder: str, identity: str) -> bool:
        told = _json(f"{folder}/{identity}/{place.file}")
        if not isinstance(told, dict):
            return False
        if place.file.endswith("config.json"):
            space = os.path.basename(folder)  # noqa: PTH119
            runtime = "docker" if space == "moby" else place.runtime
            known = described(told, identity, runtime, _pid_beside(folder, identity))
            if not place.runtime:
                known = self._stored(known, folder)
        else:
            known = running(told, identity, place.runtime)
        self._tell(known)
        return True

    def _stored(self, known: Known, folder: str) -> Known:
        """Add what Podman and CRI-O keep of names and images in the list beside the containers."""
        for base in {folder, folder.replace("/run/containers/", "/var/lib/containers/", 1)}:
            for name in ("containers.json", "volatile-containers.json"):
                listed = _json(f"{base}/{name}")
                for entry in listed if isinstance(listed, list) else ():
                    if isinstance(entry, dict) and entry.get("id") == known.container.id:
                        _add_stored(known.container, entry)
        return known

    def _folders(self) -> Iterator[tuple[Place, str]]:
        for place in PLACES:
            parts = place.folder.split("*", 1)
            base = f"{self._root}/{parts[0]}"
            if len(parts) == 1:
                yield place, base
                continue
            above, prefix = base.rsplit("/", 1)
            for name in _listed(above):
                if name.startswith(prefix) and name.endswith(parts[1]):
                    yield place, f"{above}/{name}"

    def _tell(self, known: Known) -> None:
        if self._registry is not None:
            self._registry.tell(known)


def described(told: dict[str, Any], identity: str, runtime: str, pid: int = 0) -> Known:
    """Read an OCI configuration.

    Args:
        told: The parsed ``config.json``; whatever is not as expected is left out.
        identity: Id of the container.
        runtime: Who made it; told by its annotations where it is empty.
        pid: Its first process, 0 where it is not known.

    Returns:
        Complete, unless it is Docker's, which keeps name and image elsewhere. ``privileged`` is what the kernel would
        call so: nothing is masked and the capabilities are there.

    Source:
        https://github.com/opencontainers/runtime-spec/blob/main/config.md
        https://github.com/containerd/containerd/blob/main/internal/cri/annotations/annotations.go
    """
    notes = {str(key): str(value) for key, value in _object(told, "annotations").items()}
    manager = notes.get("io.container.manager", "")
    runtime = runtime or {"libpod": "podman", "cri-o": "cri-o"}.get(manager, "")
    labels = {POD.get(key, key): value for key, value in notes.items() if key in POD or key.startswith(_KUBELET)}
    if notes.get("io.kubernetes.cri.container-type") == "sandbox":
        labels.setdefault("io.kubernetes.sandbox.id", identity)
    image = notes.get("io.kubernetes.cri.image-name") or notes.get("io.kubernetes.cri-o.ImageName", "")
    name = labels.get("io.kubernetes.container.name") or notes.get("nerdctl/name", "") or _given(identity)
    mounts = told.get("mounts")
    container = Container(
        identity, name=name, image=image, runtime=runtime, privileged=_privileged(told), labels=labels,
        mounts=tuple(
            _mount(one) for one in mounts if isinstance(one, dict) and _bound(one)
        ) if isinstance(mounts, list) else (),
        state="pending" if runtime == "docker" else "complete",
    )  # fmt: skip
    return Known(container, pid, snapshot.namespaces_of(pid) if pid else {})


_KUBELET = ("io.kubernetes.pod.", "io.kubernetes.container.")


def running(told: dict[str, Any], identity: str, runtime: str) -> Known:
    """Read the state that runc or crun keeps of a running container: the first process and when it was made."""
    pid = next((told[key] for key in ("init_process_pid", "pid") if type(told.get(key)) is int), 0)
    started = nanoseconds(str(told.get("created", "")))
    state = "complete" if runtime in {"runc", "crun"} else "pending"
    container = Container(identity, runtime="" if state == "complete" else runtime, started_ns=started, state=state)
    if state == "complete":
        container.name = _given(identity)
    return Known(container, pid, snapshot.namespaces_of(pid) if pid > 0 else {})


def _given(identity: str) -> str:
    """Return an id that a person chose; 64 digits are an engine's own."""
    return identity if len(identity) < 64 else ""


def _privileged(told: dict[str, Any]) -> bool | None:
    linux, process = _object(told, "linux"), _object(told, "process")
    held = _object(process, "capabilities").get("bounding")
    if not linux or not isinstance(held, list):
        return None
    return not linux.get("maskedPaths") and not linux.get("seccomp") and _POWERS.issubset(map(str, held))


def _bound(mount: dict[str, Any]) -> bool:
    options = mount.get("options")
    named = options if isinstance(options, list) else []
    return mount.get("type") == "bind" or "bind" in named or "rbind" in named


def _mount(mount: dict[str, Any]) -> tuple[str, str, str, bool, str]:
    options = [str(one) for one in mount["options"]] if isinstance(mount.get("options"), list) else []
    spread = next((one for one in options if one.endswith(("private", "shared", "slave"))), "")
    return str(mount.get("source", "")), str(mount.get("destination", "")), "", "ro" not in options, spread


def _add_stored(container: Container, entry: dict[str, Any]) -> None:
    told = entry.get("metadata")
    try:
        about = json.loads(told) if isinstance(told, str) else {}
    except (ValueError, RecursionError):
        about = {}
    about = about if isinstance(about, dict) else {}
    names = entry.get("names")
    first = str(names[0]) if isinstance(names, list) and names else ""
    container.name = container.name or str(about.get("name") or first)
    container.image = container.image or str(about.get("image-name") or "")
    container.image_id = container.image_id or str(about.get("image-id") or entry.get("image") or "")
    container.started_ns = container.started_ns or nanoseconds(str(entry.get("created", "")))


def _pid_beside(folder: str, identity: str) -> int:
    """Read the first process: containerd keeps it beside the configuration, Podman in its folder for passing things."""
    passing = folder.replace("/var/lib/containers/", "/run/containers/", 1)
    for path in (f"{folder}/{identity}/init.pid", f"{passing}/{identity}/userdata/pidfile"):
        text = _bytes(path, 32).strip()
        if text.isdigit():
            return int(text)
    return 0


def _object(told: dict[str, Any], name: str) -> dict[str, Any]:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _json(path: str) -> Any:
    data = _bytes(path, LIMIT)
    try:
        return json.loads(data) if data and len(data) < LIMIT else None
    except (ValueError, RecursionError):
        return None


def _bytes(path: str, most: int) -> bytes:
    """Read a file that some runtime wrote; nothing that could make the reading wait."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return b""
    try:
        with os.fdopen(handle, "rb") as file:
            return file.read(most)
    except OSError:
        return b""
