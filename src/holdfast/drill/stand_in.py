"""What is mounted into a replica in place of a host path: the same names, kinds, modes and owners, and no contents.

Everything is made through descriptors of folders, so that a link that an attacked container left in the tree leads
nowhere.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.drill import kernel_calls, stand_in_paths
from holdfast.drill.listener import Listener
from holdfast.model.errors import NotReachable, Unsafe

DEPTH = 2
MOST = 4000
"""Most entries that are copied from one host folder."""
_HARMLESS = frozenset(os.makedev(1, minor) for minor in (3, 5, 7, 8, 9))
"""null, zero, full, random, urandom: every container has them."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Listen = Callable[[int, str, str, int], Listener]
"""Makes a listening socket: descriptor of the folder, name, how it is called, mode."""


class StandIn:
    """A tree that stands in for the host's root.

    Attributes:
        tree: Its root.
        listeners: What listens behind its sockets, by host path.
        cut: Host folders of which not every entry was copied.
    """

    def __init__(self, tree: Path, listen: Listen) -> None:
        """Make the tree's root; ``listen`` makes the listeners."""
        self.tree = tree
        self.listeners: dict[str, Listener] = {}
        self.cut: set[str] = set()
        self._listen = listen
        self._mounts: dict[str, str] = {}
        self._budget = 0
        tree.mkdir()
        tree.chmod(0o755)

    def add(self, host_path: str) -> Path:
        """Make the stand-in of a host path.

        Args:
            host_path: Absolute. Links in it are followed, as the mount of the original followed them.

        Returns:
            A folder, a file or a listening socket below the tree. Below a folder stand the entries that the host has
            there, two levels deep, those that techniques use, and a home.

        Raises:
            Unsafe: The path is a view of the kernel, such as /proc, or not absolute.
            NotReachable: It cannot be made.
        """
        try:
            path = os.path.realpath(host_path)
        except OSError as error:
            raise NotReachable(f"A link cannot be followed: {error.strerror}", host_path) from error
        if not host_path.startswith("/"):
            raise Unsafe("A host path is absolute", host_path)
        if any(path == top or path.startswith(f"{top}/") for top in stand_in_paths.PSEUDO):
            raise Unsafe("A view of the kernel has no stand-in", path, "drill it in a virtual machine")
        self._mounts = kernel_calls.mounts()
        self._budget = MOST
        try:
            if path != "/":
                with self._parent(path) as folder:
                    self._one(folder, path, stand_in_paths.FILES.get(path, 0))
                    self._harmless(folder, path)
            self._shape(path, DEPTH)
            for pattern in stand_in_paths.well_known():
                for known in stand_in_paths.expanded(pattern):
                    self._known(path, known, pattern)
        except OSError as error:
            raise NotReachable(f"The stand-in cannot be made: {error.strerror}", f"{self.tree}{path}") from error
        return self.place(path)

    def place(self, host_path: str) -> Path:
        """Return where a host path lies in the tree, made or not."""
        return Path(f"{self.tree}{host_path}") if host_path != "/" else self.tree

    @contextmanager
    def opened(self, host_path: str) -> Iterator[int]:
        """Open a folder of the tree, making what is absent on the way as it is on the host; no link is followed."""
        handle = os.open(self.tree, _FOLDER)
        path = ""
        try:
            for part in filter(None, host_path.split("/")):
                path += f"/{part}"
                with contextlib.suppress(FileExistsError):
                    self._folder(handle, path, self._seen(path))
                inner = os.open(part, _FOLDER, dir_fd=handle)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)

    def _parent(self, path: str) -> contextlib.AbstractContextManager[int]:
        return self.opened(path.rpartition("/")[0])

    def _seen(self, path: str) -> os.stat_result | None:
        """Look at what the host has there; None where nothing is, or where a look could hang."""
        place = path
        while place not in self._mounts and place not in {"", "/"}:
            place = place.rpartition("/")[0]
        if self._mounts.get(place or "/", "ext4") not in kernel_calls.PLAIN:
            return None
        try:
            return os.lstat(path)
        except OSError:
            return None

    def _shape(self, path: str, depth: int) -> None:
        seen = self._seen(path)
        if depth == 0 or seen is None or not stat.S_ISDIR(seen.st_mode):
            return
        try:
            names = sorted(entry.name for entry in Path(path).iterdir())
        except OSError:
            return
        with self.opened(path) as folder:
            for name in names:
                if self._budget <= 0:
                    self.cut.add(path)
                    return
                self._budget -= 1
                inside = f"{path.rstrip('/')}/{name}"
                self._one(folder, inside, 0)
        for name in names:
            inside = f"{path.rstrip('/')}/{name}"
            self._shape(inside, 0 if inside in stand_in_paths.PSEUDO else depth - 1)

    def _known(self, path: str, known: str, pattern: str) -> None:
        real = os.path.realpath(known) if os.path.lexists(known) else known
        below = path.rstrip("/") + "/"
        if not os.path.lexists(known) and not known.startswith("/home/"):
            # What the host has not, nobody on it would act on: an attempt there must not look like a success.
            return
        if real != path and not real.startswith(below):
            return
        # A link or a file of the host's stands on the way: then what lies behind it is not below this path.
        with contextlib.suppress(NotADirectoryError, PermissionError), self._parent(real) as folder:
            self._one(folder, real, stand_in_paths.FILES.get(pattern, 0))

    def _one(self, folder: int, path: str, file_mode: int) -> None:
        """Make one entry like the host's; where the host has none, a socket, a file of this mode, or a folder."""
        name, seen = path.rpartition("/")[2], self._seen(path)
        if os.path.lexists(f"/proc/self/fd/{folder}/{name}"):
            return
        if seen is None and stand_in_paths.is_socket(path) and not file_mode:
            self._socket(folder, path, None)
        elif seen is None and file_mode:
            self._file(folder, path, file_mode, None)
        elif seen is None or stat.S_ISDIR(seen.st_mode):
            self._folder(folder, path, seen)
        elif stat.S_ISREG(seen.st_mode):
            # A copy with the setuid bit would be a way up for whoever can write to it.
            self._file(folder, path, seen.st_mode & 0o777, seen)
        elif stat.S_ISLNK(seen.st_mode):
            with contextlib.suppress(OSError):
                os.symlink(Path(path).readlink(), name, dir_fd=folder)
        elif stat.S_ISSOCK(seen.st_mode):
            self._socket(folder, path, seen)

    def _harmless(self, folder: int, path: str) -> None:
        """Make a node that every container has, where that node itself is mounted: people hide files behind it."""
        name, seen = path.rpartition("/")[2], self._seen(path)
        if seen is None or not stat.S_ISCHR(seen.st_mode) or seen.st_rdev not in _HARMLESS or os.geteuid() != 0:
            return
        with contextlib.suppress(FileExistsError):
            os.mknod(name, seen.st_mode, seen.st_rdev, dir_fd=folder)
            os.chmod(f"/proc/self/fd/{folder}/{name}", stat.S_IMODE(seen.st_mode))  # noqa: PTH101 - made just now

    def _folder(self, folder: int, path: str, seen: os.stat_result | None) -> None:
        name = path.rpartition("/")[2]
        mode = 0o700 if name in stand_in_paths.CLOSED else 0o755
        if seen is not None and stat.S_ISDIR(seen.st_mode):
            mode = stat.S_IMODE(seen.st_mode)
        os.mkdir(name, 0o700, dir_fd=folder)
        handle = os.open(name, _FOLDER, dir_fd=folder)
        try:
            _owned(handle, seen)
            # Without root the run must be able to empty its own folders again.
            os.fchmod(handle, mode if os.geteuid() == 0 else mode | 0o700)
        finally:
            os.close(handle)

    @staticmethod
    def _file(folder: int, path: str, mode: int, seen: os.stat_result | None) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(path.rpartition("/")[2], flags, 0o600, dir_fd=folder)
        try:
            _owned(handle, seen)
            os.fchmod(handle, mode)
        finally:
            os.close(handle)

    def _socket(self, folder: int, path: str, seen: os.stat_result | None) -> None:
        name = path.rpartition("/")[2]
        # Whom a socket that the host has not would let in, nobody knows: root alone.
        mode = 0o600 if seen is None else stat.S_IMODE(seen.st_mode)
        self.listeners[path] = self._listen(folder, name, str(self.place(path)), mode)
        if seen is not None and os.geteuid() == 0:
            os.chown(name, seen.st_uid, seen.st_gid, dir_fd=folder, follow_symlinks=False)


def _owned(handle: int, seen: os.stat_result | None) -> None:
    if seen is not None and os.geteuid() == 0:
        os.fchown(handle, seen.st_uid, seen.st_gid)
