"""What a drill plants on the host's side: stand-ins, canaries, a disk, processes, listeners. All of it is journaled."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.drill import kernel_calls, loop_disk, planted_process
from holdfast.drill.journal import Journal, Kind
from holdfast.drill.listener import Console, Listener, Switchboard
from holdfast.drill.loop_disk import Disk
from holdfast.drill.planted_process import Planted
from holdfast.drill.probe_file import probe
from holdfast.drill.stand_in import StandIn
from holdfast.model.errors import NotPermitted, NotReachable

__all__ = ["Console", "Disk", "Listener", "Planted", "Stage"]

_CHUNK = 1 << 20


class Stage:
    """Everything planted for one run, each thing when it is asked for. A context manager.

    Leaving it ends the processes and closes the sockets. The files stay until ``reaper.finish(journal)`` removes the
    run folder, which does all the rest too if this process dies before.

    Attributes:
        folder: Below the run folder, mode 0711.
    """

    def __init__(self, journal: Journal) -> None:
        """Make the folder.

        Raises:
            NotReachable: It cannot be made.
        """
        self.folder = journal.folder / "stage"
        self._journal = journal
        self._switchboard = Switchboard()
        self._processes: list[Planted] = []
        self._disk: Disk | None = None
        self._program: Path | None = None
        self._shared: set[str] = set()
        journal.will(Kind.FOLDER, path=str(self.folder))
        try:
            self.folder.mkdir()
            self.folder.chmod(0o711)
            self._stand_in = StandIn(self.folder / "tree", self._listen)
        except OSError as error:
            self._switchboard.close()
            raise NotReachable(f"The stage cannot be made: {error.strerror}", str(self.folder)) from error
        journal.boundary("stage")

    def token(self) -> str:
        """Return a token that was never used, 28 letters and digits; it begins with the run's id."""
        return f"{self._journal.id}{secrets.token_hex(8)}"

    # --- files ------------------------------------------------------------------------------------------------------
    def stand_in(self, host_path: str) -> Path:
        """Return what is mounted in place of a host path: same kind, mode, owner and names, no contents.

        Raises:
            Unsafe: The path is a view of the kernel (/proc, /sys) or not absolute.
            NotReachable: It cannot be made.
        """
        return self._stand_in.add(host_path)

    def listeners(self) -> dict[str, Listener]:
        """Return the listeners behind the stand-in sockets, by host path."""
        return dict(self._stand_in.listeners)

    def shared(self, host_path: str) -> Path:
        """Return the stand-in of a folder as a mount that is shared with nobody yet, for ``rshared`` propagation.

        Raises:
            NotPermitted: Only root may mount.
            NotReachable: It cannot be mounted.
        """
        path = str(self.stand_in(host_path))
        if path not in self._shared:
            # Docker looks at the lowest of several mounts at one place, so there must be one only.
            mounted = path in kernel_calls.mount_points()
            if not mounted:
                self._journal.will(Kind.MOUNT, path=path)
            try:
                if not mounted:
                    kernel_calls.mount(path, path, kernel_calls.MS_BIND)
                # Private first: a bind mount joins the group of what it was made from, which may be the host's root.
                kernel_calls.mount("none", path, kernel_calls.MS_PRIVATE)
                kernel_calls.mount("none", path, kernel_calls.MS_SHARED)
            except PermissionError as error:
                raise NotPermitted("A stand-in cannot be mounted", path, "run as root") from error
            except OSError as error:
                raise NotReachable(f"A stand-in cannot be mounted: {error.strerror}", path) from error
            self._shared.add(path)
            self._journal.boundary("shared")
        return Path(path)

    def secret(self, host_path: str) -> str:
        """Put a canary, mode 0600, into the stand-in of a folder, or into that of a file, and return its token.

        Raises:
            Unsafe: The path is a view of the kernel or not absolute.
            NotReachable: It cannot be written.
        """
        place, token = self.stand_in(host_path), self.token()
        inside = place.is_dir()
        real = str(place)[len(str(self._stand_in.tree)) :]
        folder, name = (real, f"holdfast-{token}") if inside else (real.rpartition("/")[0], place.name)
        try:
            with self._stand_in.opened(folder) as handle:
                flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_TRUNC
                file = os.open(name, flags | (os.O_CREAT | os.O_EXCL if inside else 0), 0o600, dir_fd=handle)
                try:
                    os.fchmod(file, 0o600)
                    os.write(file, token.encode())
                finally:
                    os.close(file)
        except OSError as error:
            raise NotReachable(f"A canary cannot be planted: {error.strerror}", str(place)) from error
        return token

    def token_written(self, token: str) -> list[Path]:
        """Return what lies below the stage, or on its disk, and has the token in its name or content."""
        wanted = token.encode()
        found: list[Path] = []
        if self._disk is not None:
            self._disk.sync()
            if _contains(str(self._disk.image), wanted):
                found.append(self._disk.image)
        found.extend(
            Path(path)
            for path in _below(str(self.folder))
            if token in path.rpartition("/")[2] or _contains(path, wanted)
        )
        return found

    def helper(self) -> Path:
        """Return a copy of the probe that the kernel can start: mode 0755, at most 100 bytes of path without spaces.

        Raises:
            Unsafe: The path of the run folder is not of that kind.
            NotReachable: There is no probe, or nothing may be started from the run folder.
        """
        if self._program is None:
            place = self._journal.folder / "probe"
            self._journal.will(Kind.PROCESS, program=str(place))
            self._program = planted_process.copied(Path(probe()), place)
        return self._program

    # --- what runs --------------------------------------------------------------------------------------------------
    def disk(self) -> Disk:
        """Attach a loop device of 8 MiB, once for the run.

        Raises:
            NotReachable: This machine has no loop devices.
            NotPermitted: Only root may attach one.
        """
        if self._disk is None:
            self._disk = loop_disk.attached(self._journal, self.token(), self.token())
        return self._disk

    def process(self, user: int = 0, *, capabilities: bool = True) -> Planted:
        """Start a process on the host with a secret in its memory.

        It dies with the thread that calls this: call it from one that lives as long as the run.

        Raises:
            NotReachable: It does not start.
        """
        planted = planted_process.planted(self._journal, self.helper(), self.token(), user, capabilities=capabilities)
        self._processes.append(planted)
        self._journal.boundary("process")
        return planted

    def listen_tcp(self) -> Listener:
        """Listen on a free port of 127.0.0.1, in the network namespace of this process."""
        return self._switchboard.tcp(self.token())

    def listen_abstract(self) -> Listener:
        """Listen on an abstract unix socket, in the network namespace of this process."""
        return self._switchboard.abstract(f"holdfast-{self.token()}", self.token())

    def console(self) -> Console:
        """Open a terminal."""
        return self._switchboard.console()

    # --- memory -----------------------------------------------------------------------------------------------------
    def shared_memory(self) -> tuple[int, str]:
        """Make a System V segment of 4096 bytes, mode 0600; return its key and the secret at its beginning.

        Raises:
            NotReachable: The kernel makes none.
        """
        try:
            taken = {key for key, _, _ in kernel_calls.segments()}
            key = next(key for key in iter(lambda: secrets.randbelow((1 << 31) - 1) + 1, 0) if key not in taken)
            number, token = self._journal.will(Kind.SHM, key=key), self.token()
            try:
                kernel_calls.make_segment(key, token.encode())
            except FileExistsError:
                self._journal.done(number)
                raise
        except OSError as error:
            raise NotReachable(f"There is no System V shared memory: {error.strerror}", "shmget") from error
        self._journal.boundary("shm")
        return key, token

    def shm_file(self) -> tuple[Path, str]:
        """Make a file in /dev/shm, mode 0600; return its path and the secret in it.

        Raises:
            NotReachable: It cannot be made.
        """
        token = self.token()
        path = Path(f"/dev/shm/holdfast-{token}")  # noqa: S108 - its name cannot be guessed
        self._journal.will(Kind.FILE, path=str(path))
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise NotReachable(f"There is no shared memory: {error.strerror}", str(path)) from error
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(token)
        self._journal.boundary("shm_file")
        return path, token

    def close(self) -> None:
        """End the processes, close the sockets, let go of the disk."""
        for planted in self._processes:
            planted.end()
        self._processes.clear()
        self._switchboard.close()
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self, folder: int, name: str, address: str, mode: int) -> Listener:
        bus = name == "system_bus_socket"
        return self._switchboard.unix(folder, name, address, self.token(), mode, takes_orders=bus)


def _below(folder: str) -> Iterator[str]:
    """Walk a tree; the kernel's views, which a replica may have been given below it, are not entered."""
    views = {point for point, fstype in kernel_calls.mounts().items() if fstype not in kernel_calls.PLAIN}
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if f"{place}/{name}" not in views]
        for name in (*folders, *files):
            yield f"{place}/{name}"


def _contains(path: str, wanted: bytes) -> bool:
    """Tell whether a regular file, or a link's target, holds the bytes. Nothing else is opened: a device could act."""
    try:
        kind = os.lstat(path).st_mode
        if stat.S_ISLNK(kind):
            return wanted in os.fsencode(Path(path).readlink())
        if not stat.S_ISREG(kind):
            return False
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as file:
        rest = b""
        while part := file.read(_CHUNK):
            if wanted in rest + part:
                return True
            rest = part[-len(wanted) :]
    return False
