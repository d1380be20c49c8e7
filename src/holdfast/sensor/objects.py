"""Where an object lies on the host, and what it is where the kernel handed none over."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from holdfast.model.event import Event, File, Process
from holdfast.sensor import host_mounts, resolve
from holdfast.sensor.resolve import Found

Inside = tuple[str, str, int]
_MOUNTS_EVERY_NS = 1_000_000_000
_VOID_EVERY_NS = 10_000_000_000
_MOVES = frozenset(("unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2"))
"""Calls after which the path names something else, or nothing."""
_LINKS = frozenset(("symlink", "symlinkat", "lchown", "lsetxattr"))
"""Calls about a link itself, not about what it leads to."""
_MOUNTS = frozenset(("mount", "umount2", "move_mount"))
_NODES = frozenset(("mknod", "mknodat"))
_SECOND = frozenset(("rename", "renameat", "renameat2", "link", "linkat"))
"""Calls with a second name for what they are about."""
_NOTHING_THERE = frozenset((-errno.ENOENT, -errno.ENOTDIR, -errno.ELOOP, -errno.ENAMETOOLONG, -errno.EFAULT))
_KINDS = {0o060000: "block", 0o020000: "char"}
_MOST_NODES = 1024
_VIEWS = frozenset((0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x1373, 0x19800202, 0x01021994))
"""procfs, sysfs, cgroup, cgroup2, devpts, mqueue, tmpfs: what a container has of its own besides its root."""
_OWN_TREE = re.compile(r"/(?:var/lib|run)/[^/]*(?:docker|containers|containerd)[^/]*/.*/(?:merged|rootfs)(?:/|$)")
"""Where engines put a container's root; its own views of the kernel may be visible to the host below it."""
_GENERATIONS = 8
_OVERLAY = 0x794C7630
_MOST_OVERLAYS = 1024


class Objects:
    """Adds to an event's object what the record does not say.

    Attributes:
        disguise: Changes a host path before it is judged; a drill's stand-ins are judged as what they stand in for.
        shared: Peer groups of the host's shared mounts.
    """

    def __init__(self, host_mount_namespace: int) -> None:
        """Know nothing yet."""
        self.disguise: Callable[[str], str] = str
        self.shared: frozenset[int] = frozenset()
        self._host = host_mount_namespace
        self._mounts: dict[int, tuple[tuple[str, str], ...]] = {}
        self._mounts_at = 0
        self._void_at = 0
        self._read = ""
        self._resolver = resolve.Resolver()
        # Who sees the host's files: its first process, or the sensor where that may not be looked through.
        self._somebody = 1 if os.access("/proc/1/root/", os.X_OK) else os.getpid()
        self._overlays: dict[tuple[int, int], tuple[tuple[str, str], ...]] = {}
        self._nodes: dict[tuple[int, str], tuple[str, int]] = {}

    def refresh(self) -> bool:
        """Read the host's mounts again, at most once a second.

        Returns:
            Whether what was said of paths may be out of date: the mounts are others, or it was said long ago.
        """
        now = time.monotonic_ns()
        if now - self._mounts_at < _MOUNTS_EVERY_NS:
            return False
        self._mounts_at = now
        late = now - self._void_at >= _VOID_EVERY_NS
        if late:
            self._void_at = now
        try:
            text = Path("/proc/1/mountinfo").read_text("utf-8", "surrogateescape")
        except OSError:
            return True
        if text == self._read:
            return late
        self._read = text
        lines = resolve.read(text)
        self._mounts = host_mounts.table(lines.values())
        self.shared = frozenset(one.peers for one in lines.values() if one.peers)
        return True

    def complete(self, event: Event, inside: Inside | None) -> None:
        """Say where an event's object lies on the host, and look at it where the kernel told none.

        Args:
            event: Its object is added to.
            inside: Paths above and below the root of the mount that it was reached through, and the device; None for
                a file of the process's own root file system.
        """
        file = event.file
        if event.contained and event.name == "execve" and event.result == 0:
            self._resolver.remember(event.process.pid, event.process.namespaces.get("mnt", 0))
        if event.contained and event.name in _MOUNTS:
            self._mounted(event)
        elif event.contained and event.name == "fsconfig":
            self._configured(event)
        elif file is None or file.loose:
            return
        elif not file.resolved:
            self._looked_up(event, file)
        elif not event.contained:
            file.host_path = file.path
        elif inside is not None:
            self._reached(event, file, inside)

    def _reached(self, event: Event, file: File, inside: Inside) -> None:
        """Place a file that the kernel resolved, on another mount than the process's root."""
        above, below, device = inside
        file.inner_path = (above + below) or "/"
        if file.outside and file.mount_namespace == self._host:
            file.host_path, file.host_mount = file.path, "/"
        else:
            file.host_path = self._on_host(device, file.inner_path)
            file.host_mount = self._on_host(device, above or "/")
        if file.magic == _OVERLAY and not file.host_path:
            self._layered(event.process, file, device)
        if file.magic in _VIEWS and _OWN_TREE.match(file.host_path):
            file.host_path = file.host_mount = ""

    def other_name(self, event: Event) -> Event | None:
        """Return the same event about the second name that it was given: what it was moved or linked to."""
        path = str(event.arguments.get("second", "")) if event.name in _SECOND else ""
        if not path.startswith("/") or not event.contained:
            return None
        second = replace(event, file=File(path, raw=path), known={})
        self.complete(second, None)
        return second

    def _on_host(self, device: int, inside: str) -> str:
        found = host_mounts.host_path(self._mounts, device, inside)
        return self.disguise(found) if found else ""

    def _mounted(self, event: Event) -> None:
        source = event.file.path if event.name == "mount" and event.file else ""  # a device's path may be relative
        given = str(event.arguments.get("target") or event.arguments.get("to_path") or "")
        target = event.file.path if event.name == "umount2" and event.file else event.arguments.get("second") or given
        file = event.file = File(target, raw=given)
        found = self._looked_up(event, file)
        if event.contained and not event.result:
            self._beneath(event, file, found)
        if file.file_system == "overlay" and not event.result:  # now its layers are where it was told they are
            self._overlays.pop((event.process.namespaces.get("mnt", 0), file.device), None)
            self._layers(event.process, file.device)
        if source.startswith("/"):
            file.kind = self._kind(event, source)

    def _beneath(self, event: Event, file: File, found: Found | None) -> None:
        """At its place lies now what was mounted. Whether the host has it too is told by what lies beneath."""
        if found is None or found.mount is None:  # it is gone again
            found = self._at(event.process, file.path, parent=True)
        if found is not None and found.mount is not None:
            mounted = event.name != "umount2" and found.mount.point == found.path
            file.peers = found.mount.beneath if mounted else found.mount.peers
        if file.peers and file.peers not in self.shared:
            self._mounts_at = 0  # the host's part of it may be newer than what is known
            self.refresh()

    def _configured(self, event: Event) -> None:
        path = str(event.arguments.get("second") or "")
        if event.arguments.get("key") == "source" and path.startswith("/"):
            event.file = File(path, raw=str(event.arguments.get("value") or ""), kind=self._kind(event, path))

    def _layered(self, process: Process, file: File, device: int) -> None:
        """Say where on the host a file of a mounted overlay lies: in the first layer that has it."""
        for layer, host in self._layers(process, device):
            if host:
                if self._resolver.at(self._somebody, self._host, host + file.inner_path) is None:
                    continue
                file.host_path = self.disguise(host + file.inner_path)
                file.host_mount = self.disguise(host)
            elif self._at(process, layer + file.inner_path) is None:
                continue
            return

    def _layers(self, process: Process, device: int) -> tuple[tuple[str, str], ...]:
        """Return an overlay's layers as the container sees them and as the host does; empty where it does not."""
        namespace = process.namespaces.get("mnt", 0)
        known = self._overlays.get((namespace, device))
        if known is not None:
            return known
        step: Process | None = process
        found: tuple[tuple[str, str], ...] = ()
        while step is not None and step.namespaces.get("mnt", 0) == namespace and not found:
            table = self._resolver.table(step.pid, namespace, old=False).values()
            named = next((one.layers for one in table if one.device == device and one.layers), ())
            found = tuple((layer, self._layer(process, layer)) for layer in named)
            step = step.parent
        self._overlays[namespace, device] = found
        if len(self._overlays) > _MOST_OVERLAYS:
            del self._overlays[next(iter(self._overlays))]
        return found

    def _layer(self, process: Process, path: str) -> str:
        found = self._at(process, path)
        if found is None or found.mount is None or found.mount.point == "/":
            return ""
        return host_mounts.host_path(self._mounts, found.mount.device, found.inside)

    def _kind(self, event: Event, path: str) -> str:
        found = self._at(event.process, path)
        namespace = event.process.namespaces.get("mnt", 0)
        known = found.kind if found else self._nodes.get((namespace, path), ("", 0))[0]
        # What was refused before anybody looked for it may not be there at all; its name is all there is.
        return known or ("block" if path.startswith("/dev/") else "")

    def _at(self, process: Process, path: str, *, parent: bool = False) -> Found | None:
        """Look with the eyes of the process, or of an ancestor that sees the same mounts: it may have ended."""
        namespace = process.namespaces.get("mnt", 0)
        step: Process | None = process
        best: Found | None = None
        for _ in range(_GENERATIONS):
            if step is None or step.namespaces.get("mnt", 0) != namespace:
                return best
            found = self._resolver.at(step.pid, namespace, path, parent=parent)
            if found is not None and found.mount is not None:
                return found
            best = best or found
            step = step.parent
        return best

    def _looked_up(self, event: Event, file: File) -> Found | None:
        if not event.contained or not file.path.startswith("/") or event.result in _NOTHING_THERE:
            return None
        process = event.process
        namespace = process.namespaces.get("mnt", 0)
        if event.name in _NODES:
            mode, number = event.arguments.get("mode", 0), event.arguments.get("dev", 0)
            self._remember((namespace, file.path), (_KINDS.get(mode & 0o170000, ""), number))
        gone = (not event.result and event.name in _MOVES) or event.name in _LINKS
        found = None if gone else self._at(process, file.path)
        if found is None:  # not made, or gone since: its folder is there
            found = self._at(process, file.path, parent=True)
            file.kind, file.number = self._nodes.get((namespace, file.path), ("", 0))
        else:
            file.kind, file.number, file.device, file.inode = found.kind, found.number, found.device, found.inode
        found = found or self._resolver.by_name(namespace, file.path)  # nobody is left who sees those mounts
        if found is not None:
            self._placed(file, found)
        return found

    def _placed(self, file: File, found: Found) -> None:
        file.path = found.path
        mount = found.mount
        if mount is None:
            return
        file.peers, file.inner_path, file.file_system = mount.peers, found.inside, mount.kind
        if mount.point != "/":
            file.host_path = self._on_host(mount.device, found.inside)
            file.host_mount = self._on_host(mount.device, mount.root)

    def _remember(self, place: tuple[int, str], node: tuple[str, int]) -> None:
        self._nodes.pop(place, None)
        self._nodes[place] = node
        if len(self._nodes) > _MOST_NODES:
            del self._nodes[next(iter(self._nodes))]
