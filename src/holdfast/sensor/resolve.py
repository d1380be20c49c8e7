"""Look at an object by the path that a container gave, where the kernel handed none over.

That is so for a call that was refused, and for one that takes a path and returns nothing. It is looked at a moment
later, so the answer may be about something else by then. It adds to what is known of an attempt and is never the
ground on which a successful open is judged: there the kernel's own object is at hand.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
import struct
import time
from dataclasses import dataclass, replace
from pathlib import Path

_OPENAT2 = 437  # the same on every machine since Linux 5.6
_NO_MAGICLINKS, _IN_ROOT, _CACHED = 0x02, 0x10, 0x20
_ANSWERED_BY_OTHERS = ("fuse", "nfs", "cifs", "smb", "9p", "autofs", "ceph", "afs", "virtiofs")
"""File systems for which a server answers; one in the hands of an attacker keeps whoever asks waiting."""
_O_PATH = 0o10000000
_FRESH_S = 0.2
_MOST = 256
_OCTAL = re.compile(r"\\([0-7]{3})")
_COLON = re.compile(r"(?<!\\):")
_KINDS = {
    stat.S_IFREG: "regular", stat.S_IFDIR: "directory", stat.S_IFBLK: "block", stat.S_IFCHR: "char",
    stat.S_IFSOCK: "socket", stat.S_IFIFO: "fifo", stat.S_IFLNK: "symlink",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mounted:
    """One line of a mount table.

    Attributes:
        device: Of the file system.
        root: Path in the file system that is mounted.
        point: Where, as the process sees it.
        peers: Peer group of a shared mount; 0 for a private one.
        kind: File system type.
        layers: Of an overlay its directories, as they were named when it was mounted, the uppermost first.
        beneath: Peer group of the mount that it is mounted on; 0 where that is private, or not to be seen.
    """

    device: int
    root: str
    point: str
    peers: int
    kind: str
    layers: tuple[str, ...] = ()
    beneath: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at a path.

    Attributes:
        path: Resolved, as the process sees it.
        kind: As ``File.kind``.
        device, inode, number: As ``File``'s.
        mount: The mount it lies on; None where the table does not know it.
        inside: Path in that mount's file system.
    """

    path: str
    kind: str
    device: int
    inode: int
    number: int
    mount: Mounted | None
    inside: str


class Resolver:
    """Looks at paths as processes see them; mount tables are kept for a moment."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._tables: dict[int, tuple[float, dict[int, Mounted]]] = {}
        self._call = ctypes.CDLL(None, use_errno=True).syscall

    def at(self, pid: int, namespace: int, path: str, *, parent: bool = False) -> Found | None:
        """Look at a path.

        Args:
            pid: The process that gave it.
            namespace: Inode of its mount namespace; mount tables are kept by it.
            path: Absolute, from the process's root.
            parent: Look at the directory it lies in, and put its last part behind; for what may be gone.

        Returns:
            None where the process or the object is gone, or may not be looked at.
        """
        folder, _, last = path.rstrip("/").rpartition("/")
        try:
            root = os.open(f"/proc/{pid}/root", _O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            found = self._opened(root, (folder or "/") if parent else path, pid, namespace)
        finally:
            os.close(root)
        if found < 0:
            return None
        try:
            shown = str(Path(f"/proc/self/fd/{found}").readlink())
            information = Path(f"/proc/self/fdinfo/{found}").read_text("ascii")
            number = next((line.split()[1] for line in information.splitlines() if line.startswith("mnt_id:")), "0")
            mount = self.table(pid, namespace).get(int(number)) or self.table(pid, namespace, old=False).get(
                int(number)
            )
            if mount is not None and mount.kind.startswith(_ANSWERED_BY_OTHERS):
                return None
            seen = os.fstat(found)
        except OSError:
            return None
        finally:
            os.close(found)
        whole = f"{shown.rstrip('/')}/{last}" if parent else shown
        inside = ""
        if mount is not None:
            below = whole if mount.point == "/" else whole[len(mount.point) :]
            inside = below if mount.root == "/" else mount.root + below
        kind = "" if parent else _KINDS.get(stat.S_IFMT(seen.st_mode), "")
        return Found(
            whole, kind, seen.st_dev, 0 if parent else seen.st_ino, 0 if parent else seen.st_rdev, mount, inside
        )

    def table(self, pid: int, namespace: int, *, old: bool = True) -> dict[int, Mounted]:
        """Return the mounts that a process sees, by their number; ``old`` ones, of a moment ago, where they will do."""
        known = self._tables.get(namespace)
        now = time.monotonic()
        if old and known is not None and now - known[0] < _FRESH_S:
            return known[1]
        try:
            text = Path(f"/proc/{pid}/mountinfo").read_text("utf-8", "surrogateescape")
        except OSError:
            return known[1] if known else {}
        table = read(text)
        if not table:  # a process that has ended and is not yet waited for sees nothing
            return known[1] if known else {}
        self._tables.pop(namespace, None)
        self._tables[namespace] = now, table
        if len(self._tables) > _MOST:
            del self._tables[next(iter(self._tables))]
        return table

    def remember(self, pid: int, namespace: int) -> None:
        """Read the mounts of a namespace that is new, while there is somebody who sees them."""
        if namespace not in self._tables:
            self.table(pid, namespace)

    def by_name(self, namespace: int, path: str) -> Found | None:
        """Place a path by the mounts that its namespace had when it was last looked at; links are not followed.

        Returns:
            None where nothing is known of the namespace. What lies there is not looked at.
        """
        known = self._tables.get(namespace)
        if known is None:
            return None
        above = [one for one in known[1].values() if one.point == "/" or f"{path}/".startswith(f"{one.point}/")]
        if not above:
            return None
        mount = max(above, key=lambda one: len(one.point))
        below = path if mount.point == "/" else path[len(mount.point) :]
        return Found(path, "", mount.device, 0, 0, mount, below if mount.root == "/" else mount.root + below)

    def _opened(self, root: int, path: str, pid: int, namespace: int) -> int:
        name = os.fsencode(path).split(b"\0", 1)[0]
        found = self._open(root, name, _CACHED)
        if found < 0 and ctypes.get_errno() == errno.EAGAIN and not self._may_hang(pid, namespace, path):
            found = self._open(root, name, 0)
        return found

    def _open(self, root: int, name: bytes, more: int) -> int:
        how = struct.pack("<QQQ", _O_PATH | os.O_CLOEXEC, 0, _NO_MAGICLINKS | _IN_ROOT | more)
        found: int = self._call(_OPENAT2, root, name, how, len(how))
        return found

    def _may_hang(self, pid: int, namespace: int, path: str) -> bool:
        """Tell whether somebody else answers for a file system on the way: he may never do so."""
        table = self.table(pid, namespace)
        return not table or any(
            one.kind.startswith(_ANSWERED_BY_OTHERS) and (path + "/").startswith(one.point.rstrip("/") + "/")
            for one in table.values()
        )


def read(mountinfo: str) -> dict[int, Mounted]:
    """Read a mount table; lines that are none are left out.

    Args:
        mountinfo: Text of ``/proc/PID/mountinfo``.
    """
    found: dict[int, Mounted] = {}
    parents: dict[int, int] = {}
    for line in mountinfo.split("\n"):  # not splitlines: a name may hold the other signs that end a line there
        words = line.split(" ")
        major, _, minor = words[2].partition(":") if len(words) > 6 else ("", "", "")
        if not (words[0].isdecimal() and major.isdecimal() and minor.isdecimal() and "-" in words):
            continue
        behind = words.index("-", 6)
        shared = next((word[7:] for word in words[6:behind] if word.startswith("shared:")), "0")
        device = os.makedev(int(major), int(minor))
        kind, options = words[behind + 1], words[behind + 3] if len(words) > behind + 3 else ""
        layers = _layers(options) if kind == "overlay" else ()
        found[int(words[0])] = Mounted(device, _plain(words[3]), _plain(words[4]), int(shared), kind, layers)
        parents[int(words[0])] = int(words[1]) if words[1].isdecimal() else 0
    for number, mounted in found.items():
        parent = found.get(parents[number])
        if parent is not None and parent.peers:
            found[number] = replace(mounted, beneath=parent.peers)
    return found


def _layers(options: str) -> tuple[str, ...]:
    """Read the directories of an overlay from its options: ``upperdir``, then ``lowerdir`` or each ``lowerdir+``."""
    upper: list[str] = []
    lower: list[str] = []
    for option in options.split(","):
        name, _, value = option.partition("=")
        plain = _OCTAL.sub(lambda found: chr(int(found[1], 8)), value)
        if name == "upperdir":
            upper.append(plain)
        elif name in {"lowerdir+", "datadir+"}:
            lower.append(plain)
        elif name == "lowerdir":
            lower += [one.replace("\\:", ":") for one in _COLON.split(plain) if one]
    return (*upper, *lower)


def _plain(text: str) -> str:
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, letter)
    return text
