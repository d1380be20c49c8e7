"""Falco's questions about the container and its pod (container.*, k8s.*), answered from what engines told.

A process of the host has ``host`` for id and name, and nothing else. What no engine has told yet is None.

Source:
    https://github.com/falcosecurity/plugins/tree/main/plugins/container
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from holdfast.model.event import HOST, Container, Event

Ask = Callable[[Event], Any]
Mount = tuple[str, str, str, bool, str]
SHORT = 12
"""Digits of a shortened id."""
POD_LABELS = {
    "k8s.pod.name": "io.kubernetes.pod.name", "k8s.ns.name": "io.kubernetes.pod.namespace",
    "k8s.pod.uid": "io.kubernetes.pod.uid", "k8s.pod.id": "io.kubernetes.pod.uid",
    "k8s.pod.full_sandbox_id": "io.kubernetes.sandbox.id",
}  # fmt: skip
_PARTS: dict[str, Callable[[Mount], str]] = {
    "source": lambda mount: mount[0], "dest": lambda mount: mount[1], "mode": lambda mount: mount[2],
    "rdwr": lambda mount: "true" if mount[3] else "false", "propagation": lambda mount: mount[4],
}  # fmt: skip


def reference(image: str) -> tuple[str, str, str]:
    """Split an image's reference.

    Args:
        image: ``registry:5000/team/app:1.2@sha256:...``; tag and digest may be missing.

    Returns:
        Repository with its registry, tag, digest; empty where there is none.
    """
    rest, _, digest = image.partition("@")
    above, slash, last = rest.rpartition("/")
    bare, _, tag = last.partition(":")
    return f"{above}{slash}{bare}", tag, digest


def _told(read: Callable[[Container], Any]) -> Ask:
    def ask(event: Event) -> Any:
        container = event.process.container
        return None if container is None else read(container)

    return ask


def _some(read: Callable[[Container], Any]) -> Ask:
    """Ask for something that is empty until it is known."""
    return _told(lambda container: read(container) or None)


def _digest(container: Container) -> str:
    return reference(container.image)[2]


def _image_id(container: Container) -> str:
    return container.image_id.removeprefix("sha256:")[:SHORT]


def _mounts(container: Container) -> str | None:
    if container.state == "pending" and not container.mounts:
        return None
    return " ".join(map(shown, container.mounts))


def shown(mount: Mount) -> str:
    """Write one mount as Falco does: ``source:dest:mode:rdrw:propagation``."""
    source, destination, mode, writable, propagation = mount
    return f"{source}:{destination}:{mode}:{'true' if writable else 'false'}:{propagation}"


def label(wanted: str) -> Ask:
    """Return how one label is asked."""
    return _told(lambda container: container.labels.get(wanted))


def _labels(container: Container) -> str | None:
    return ",".join(f"{key}:{value}" for key, value in sorted(container.labels.items())) or None


def _pod_labels(container: Container) -> str | None:
    """Join the labels of the pod; kubelet's own and the runtime's are not among them."""
    own = {key: value for key, value in container.labels.items() if not key.startswith(("io.kubernetes.", "io.cri-"))}
    return ",".join(f"{key}:{value}" for key, value in sorted(own.items())) or None


def mount(part: str, wanted: str) -> Ask:
    """Return how one mount is asked.

    Args:
        part: ``source``, ``dest``, ``mode``, ``rdwr``, ``propagation``; empty for the whole mount.
        wanted: Its number, or a glob over sources; over destinations where the source is asked for.

    Returns:
        A function whose answer, where the container has no such mount, is Falco's: ``none`` for the whole, ``N/A`` for
        a part.
    """
    read = _PARTS.get(part, shown)
    nothing = "N/A" if part else "none"

    def place(one: Mount) -> str:
        return one[1] if part == "source" else one[0]

    def found(container: Container) -> str | None:
        if container.state == "pending" and not container.mounts:
            return None
        if wanted.isdecimal():
            number = int(wanted)
            return read(container.mounts[number]) if number < len(container.mounts) else nothing
        return next((read(one) for one in container.mounts if fnmatchcase(place(one), wanted)), nothing)

    return _told(found)


def _duration(event: Event) -> int | None:
    container = event.process.container
    if container is None or not container.started_ns:
        return None
    return max(0, event.wall_ns - container.started_ns)


def _short(text: str | None) -> str | None:
    return text[:SHORT] if text else None


def _kind(event: Event) -> str | None:
    container = event.process.container
    return HOST if container is None else container.runtime or None


ANSWERS: dict[str, Ask] = {
    "container.id": lambda event: HOST if event.process.container is None else event.process.container.id[:SHORT],
    "container.full_id": _told(lambda container: container.id),
    "container.name": lambda event: HOST if event.process.container is None else event.process.container.name or None,
    "container.image": _some(lambda container: container.image),
    "container.image.id": _some(_image_id),
    "container.image.repository": _some(lambda container: reference(container.image)[0]),
    "container.image.tag": _some(lambda container: reference(container.image)[1]),
    "container.image.digest": _some(_digest),
    "container.type": _kind,
    "container.privileged": _told(lambda container: container.privileged),
    "container.mounts": _told(_mounts),
    "container.start_ts": _some(lambda container: container.started_ns),
    "container.duration": _duration,
    "container.labels": _told(_labels),
    "k8s.pod.labels": _told(_pod_labels),
    "k8s.pod.sandbox_id": lambda event: _short(label("io.kubernetes.sandbox.id")(event)),
    **{name: label(key) for name, key in POD_LABELS.items()},
}  # fmt: skip


def _same(kind: str) -> Ask:
    """Ask whether the container has the host's namespace. Its processes have the fixed inode of the initial one."""

    def ask(event: Event) -> bool | None:
        inode = event.process.namespaces.get(kind)
        if event.process.container is None or not inode:
            return None
        return inode == _INITIAL[kind]

    return ask


_INITIAL = {"pid": 4026531836, "ipc": 4026531839}
ANSWERS["container.host_pid"] = _same("pid")
ANSWERS["container.host_ipc"] = _same("ipc")
