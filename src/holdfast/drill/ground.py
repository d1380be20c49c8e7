"""What lies on the host's side of every replica of one run: canaries, processes, a disk, and what listens."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from holdfast.drill import kernel_calls, planting, stand_in_paths
from holdfast.drill.boxes import PROBE
from holdfast.drill.guarded_engine import GuardedEngine
from holdfast.drill.hearings import CONTAINERD, ContainerdNamespaces, Frames, Heard
from holdfast.drill.journal import Journal, Kind
from holdfast.drill.listening import Hearing
from holdfast.drill.mount_options import like_the_hosts
from holdfast.drill.places import Filled, Place
from holdfast.drill.real_paths import ENGINE_SOCKETS, KERNEL_TREES
from holdfast.drill.relay import Relay
from holdfast.drill.stage import Disk, Planted, Stage
from holdfast.drill.system_bus import unit_request
from holdfast.drill.undo_engine import EXPIRES, LABEL
from holdfast.model.errors import Error, NotPermitted, NotReachable, Unsafe

_PATIENCE_S = 1.5
"""How long a program that the kernel starts may take to leave its token."""
_AT_FDCWD = -100
_HANDLE_BYTES = 128
_HEAD = 40
"""Bytes at the beginning of a host's file that tell that it was read."""
MS_RDONLY = 1
_T = TypeVar("_T")


class Ground:
    """The host's side of a run.

    Attributes:
        stage: What is planted and stood in.
        real: Replicas get the host's own paths. Only in a disposable virtual machine.
        marks: Folder in which programs leave tokens.
        helper_word: What stands for ``{helper}``; the program is made for each token.
        handle_type: Type of the last file handle.
    """

    def __init__(self, stage: Stage, journal: Journal, *, real: bool, image: Callable[[str], str]) -> None:
        """Prepare; what a drill needs is planted when it is first asked for.

        Args:
            stage: Of the run.
            journal: Of the run.
            real: See above.
            image: Returns the image with the probe, by engine.
        """
        self.stage = stage
        self.real = real
        self.marks = journal.folder / "marks"
        self.marks.mkdir(mode=0o711, exist_ok=True)
        self.helper_word = str(journal.folder / "h-{token}")
        self.handle_type = 1
        self._journal = journal
        self._image = image
        self._processes: dict[tuple[int, bool], Planted] = {}
        self._made: dict[str, Any] = {}
        self._disk: Disk | None = None
        self._no_disk: NotReachable | NotPermitted | None = None
        self._planted_files: list[Path] = []
        self._shown: set[str] = set()

    # --- stand-ins -----------------------------------------------------------------------------------------------
    def stand_in(self, path: str, *, shared: bool = False) -> Path:
        """Return what is mounted in place of a host path."""
        place = self.stage.shared(path) if shared else self.stage.stand_in(path)
        like_the_hosts(path, place, self._journal)
        for real in (*KERNEL_TREES, *ENGINE_SOCKETS):
            if path == "/" or real.startswith(f"{path}/"):
                self._show(real, Path(f"{str(place).rstrip('/')}/{real[len(path.rstrip('/')) + 1 :]}"))
        if path in {"/", "/dev"} and os.geteuid() == 0:
            self._disk_in(place / "dev" if path == "/" else place)
        return place

    def _disk_in(self, folder: Path) -> None:
        """Make the node of the drill's disk where a host has those of its own."""
        disk = self.disk().device
        with planting.opened(self._journal.folder, folder, make=True) as handle, contextlib.suppress(FileExistsError):
            os.mknod(disk.name, stat.S_IFBLK | 0o600, disk.stat().st_rdev, dir_fd=handle)

    def _show(self, real: str, place: Path) -> None:
        """Mount what has no stand-in where it belongs in a stand-in tree, so that the tree has the host's shape."""
        if str(place) in self._shown or not Path(real).exists():
            return
        # A replica before this one may have left a link there.
        with planting.opened(self._journal.folder, place.parent, make=True) as folder:
            if Path(real).is_dir():
                with contextlib.suppress(FileExistsError):
                    os.mkdir(place.name, 0o755, dir_fd=folder)
            elif not planting.kind(self._journal.folder, place):
                planting.written(self._journal.folder, place, "", 0o600)
        if planting.kind(self._journal.folder, place) not in {stat.S_IFDIR, stat.S_IFREG, stat.S_IFSOCK}:
            raise Unsafe("Something else stands in the stand-in", str(place), "run the drill again")
        self._journal.will(Kind.MOUNT, path=str(place))
        kernel_calls.mount(real, str(place), kernel_calls.MS_BIND | kernel_calls.MS_REC)
        # A change below must not come back to the host.
        kernel_calls.mount("none", str(place), kernel_calls.MS_PRIVATE | kernel_calls.MS_REC)
        self._shown.add(str(place))

    def missing(self, path: str) -> Path | None:
        """Make a missing directory of a disposable machine, as Docker does for a mount that names one.

        Returns:
            What is mounted in its place where a socket is missing: one of ours; None otherwise.
        """
        if Path(path).exists():
            return None
        if stand_in_paths.is_socket(path):
            return self.stage.stand_in(path)
        Path(path).mkdir(parents=True, exist_ok=True)
        return None

    # --- tokens and what they leave ---------------------------------------------------------------------------------
    def new_token(self) -> str:
        """Return a token that was never used; it carries the run's id, so that what it names can be told as ours."""
        return f"{self._journal.id}{os.urandom(8).hex()}"

    def make_helper(self, token: str) -> None:
        """Write the program that the kernel is to start for a token."""
        path = self._journal.folder / f"h-{token}"
        path.write_text(f"#!/bin/sh\numask 077\necho {token} > {self.marks}/{token}\n", encoding="ascii")
        path.chmod(0o755)

    def written(self, token: str, paths: Iterable[Path]) -> bool:
        """Tell whether a token was written where it proves something; waits a moment for what the kernel starts."""
        places = [self.marks / token, *paths]
        helper = (self._journal.folder / f"h-{token}").exists()
        until = time.monotonic() + (_PATIENCE_S if helper else 0)
        while True:
            if any(_holds(place, token) for place in places):
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)

    def cleanup(self, token: str, paths: Iterable[Path]) -> None:
        """Remove what an attempt left, as far as it bears the token."""
        for path in (self.marks / token, self._journal.folder / f"h-{token}", *paths):
            if token in path.name:
                with contextlib.suppress(OSError):
                    path.unlink()

    def owner(self, pid: int) -> int:
        """Return the user of a replica, where a process of that user was planted on the host; else root."""
        user = self.user_of(pid)
        return user if (user, False) in self._processes else 0

    def plant(self, outside: Path, mode: int, owner: int = 0) -> tuple[str, str] | None:
        """Put a canary into a directory of the host, or of what stands in for it.

        Args:
            outside: The directory, or a file.
            mode: Of the canary.
            owner: User of the canary.

        Returns:
            Its name in the directory and its token; None where it cannot be planted.
        """
        token = self.new_token()
        path = outside / f"holdfast-{token[:16]}-{token[-6:]}"
        try:
            # Only what a replica could have changed is walked without links; the host's own links are meant.
            top = self._journal.folder if outside.is_relative_to(self._journal.folder) else outside.resolve()
            if top != self._journal.folder:
                path = top / path.name
            there = planting.kind(top, path.parent)
            if self.real and outside.is_file():
                # The file is the host's own and stays as it is; how it begins is secret enough.
                head = outside.read_bytes()[:_HEAD].decode("ascii", errors="ignore")
                return ("", head) if len(head) == _HEAD else None
            if there == stat.S_IFREG and top == self._journal.folder:
                planting.overwritten(top, outside, token)
                return "", token
            if there != stat.S_IFDIR or not path.parent.is_dir():
                return None
            self._journal.will(Kind.FILE, path=str(path))
            planting.written(top, path, token, mode)
            if owner:
                os.chown(path, owner, -1, follow_symlinks=False)
        except (OSError, Error):
            return None
        self._planted_files.append(path)
        return path.name, token

    def forget_files(self) -> None:
        """Remove the canaries that were planted for one replica."""
        for path in self._planted_files:
            inside = path.is_relative_to(self._journal.folder)
            planting.removed(self._journal.folder if inside else path.parent, path)
        self._planted_files.clear()

    def canary(self) -> Place:
        """Return a canary on the host's root file system that only root may read."""
        path = self._canary()
        return Place(str(path), path, path.read_text(encoding="ascii"))

    def device(self) -> int:
        """Return the device of the file system that canaries and handles lie on."""
        return self._journal.folder.stat().st_dev

    def handle(self) -> Place:
        """Return the file handle of such a canary, in hexadecimal digits.

        Source:
            https://man7.org/linux/man-pages/man2/open_by_handle_at.2.html
        """
        path = self._canary()
        kind, handle = file_handle(path)
        self.handle_type = kind
        return Place(handle, path, path.read_text(encoding="ascii"))

    def _canary(self) -> Path:
        path = self._journal.folder / f"canary-{os.urandom(6).hex()}"
        path.write_text(self.new_token(), encoding="ascii")
        path.chmod(0o600)
        return path

    def shared_folder(self) -> Path:
        """Return a folder of the run whose mounts the host shares; beside the stand-ins, which have none of it."""
        folder = self._journal.folder / "shared"
        if not folder.exists():
            folder.mkdir(mode=0o755)
            self._journal.will(Kind.MOUNT, path=str(folder))
            kernel_calls.mount(str(folder), str(folder), kernel_calls.MS_BIND)
            # A mount made in it must not come back to whoever else sees the state folder.
            kernel_calls.mount("none", str(folder), kernel_calls.MS_PRIVATE)
            kernel_calls.mount("none", str(folder), kernel_calls.MS_SHARED)
        return folder

    def open_folder(self) -> Path:
        """Return a folder that a careless launcher would leave open for a container."""
        folder = self._journal.folder / "open"
        folder.mkdir(mode=0o755, exist_ok=True)
        return folder

    # --- processes and memory ---------------------------------------------------------------------------------------
    def process(self, user: int, *, capabilities: bool) -> tuple[int, int, str]:
        """Return a planted process: number, address of its secret, secret."""
        key = (user, capabilities)
        if key not in self._processes:
            self._processes[key] = self.stage.process(user, capabilities=capabilities)
        planted = self._processes[key]
        return planted.pid, planted.address, planted.secret

    @staticmethod
    def user_of(pid: int) -> int:
        """Return the effective user of a process, as the host counts."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
                if line.startswith("Uid:"):
                    return int(line.split()[2])
        return 0

    @staticmethod
    def cgroup_of(pid: int, controller: str) -> str:
        """Return a process's cgroup: in a v1 hierarchy by controller, else the first that is not the root."""
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
            for line in lines:
                _, names, path = line.split(":", 2)
                if controller in names.split(",") if controller else path != "/":
                    return path
        return ""

    def shared_memory(self) -> Place:
        """Return the key of a System V segment of the host's."""
        key, secret = self._once("shm", self.stage.shared_memory)
        return Place(str(key), secret=secret)

    def shm_file(self, owner: int) -> Place:
        """Return a file in the host's /dev/shm that belongs to a user."""
        path, secret = self._once(f"shm_file {owner}", self.stage.shm_file)
        if owner:
            os.chown(path, owner, -1)
        return Place(str(path), path, secret)

    # --- disks --------------------------------------------------------------------------------------------------
    def disk(self) -> Disk:
        """Return the disk that stands in for the host's. The host has it mounted, as it has its own."""
        if self._no_disk is not None:
            raise self._no_disk
        if self._disk is None:
            try:
                self._disk = self.stage.disk()
            except (NotReachable, NotPermitted) as error:
                self._no_disk = error
                raise
            place = self._journal.folder / "mounted"
            if self._disk.fstype:
                place.mkdir(mode=0o700, exist_ok=True)
                self._journal.will(Kind.MOUNT, path=str(place))
                with contextlib.suppress(OSError):
                    kernel_calls.mount(str(self._disk.device), str(place), MS_RDONLY, self._disk.fstype)
        return self._disk

    # --- what listens -----------------------------------------------------------------------------------------------
    def port(self) -> Place:
        """Return a TCP port on the host's loopback."""
        listener = self._once("tcp", self.stage.listen_tcp)
        return Place(listener.address.rpartition(":")[2], hearing=Heard(listener))

    def abstract(self) -> Place:
        """Return an abstract socket of the host's."""
        listener = self._once("abstract", self.stage.listen_abstract)
        return Place(listener.address, hearing=Heard(listener))

    def listener(self, outside: Path) -> Hearing | None:
        """Return what listens behind a stand-in socket."""
        for path, listener in self.stage.listeners().items():
            if str(outside) in {path, listener.address}:
                return Heard(listener)
        return None

    def containerd(self) -> Hearing:
        """Return what knows the namespaces of the host's containerd."""
        return ContainerdNamespaces()

    def guarded(self) -> GuardedEngine:
        """Return an engine that an authorization plug-in guards.

        Raises:
            NotReachable: None can be started here.
        """
        return self._once("guarded", lambda: GuardedEngine(self._journal))

    def refused(self, token: str) -> bool:
        """Tell whether the plug-in of a guarded engine refused what carried a token."""
        made = self._made.get("guarded")
        return isinstance(made, GuardedEngine) and made.refused(token)

    def frame(self, ethertype: bytes) -> Place:
        """Return a broadcast frame that carries the token, and who hears it."""
        head = b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01" + ethertype
        heard = self._once("frames", lambda: Frames(ethertype))
        return Place(head.decode(errors="surrogateescape") + "{token}" + " " * 32, hearing=heard)

    def engine_port(self) -> list[Place]:
        """Return a TCP port of the host's loopback behind which its engine listens; none where that would harm."""
        path = Path(ENGINE_SOCKETS[0])
        if not self.real or not path.is_socket():
            return []
        return [Place(str(self._once("relay", lambda: Relay(str(path))).port))]

    # --- requests to engines ----------------------------------------------------------------------------------------
    def engine_request(self, engine: str) -> Place:
        """Return what asks an engine for a container that leaves the token in the folder of marks."""
        request = {
            "Image": self._image(engine if engine in {"docker", "podman"} else "docker"),
            "Entrypoint": [PROBE],
            "Cmd": ["mark", "/holdfast-marks/{token}", "{token}"],
            "User": "0:0",
            "Labels": {LABEL: self._journal.id, EXPIRES: str(int(self._journal.expires))},
            "HostConfig": {
                "Binds": [f"{self.marks}:/holdfast-marks"],
                "NetworkMode": "none",
                "UsernsMode": "host",
                "SecurityOpt": ["label=disable"],
            },
        }
        return Place(json.dumps(request))

    def namespace_request(self) -> Place:
        """Return the message that asks containerd for a namespace that bears the token, in hexadecimal digits.

        Source:
            ``CreateNamespaceRequest`` of https://github.com/containerd/containerd/tree/main/api: field 1 is a
            namespace, whose field 1 is its name.
        """
        head = "holdfast-"
        length = len(head) + len(self.new_token())
        return Place(f"0a{length + 2:02x}0a{length:02x}{head.encode().hex()}{{token_hex}}")

    def hook(self) -> Place:
        """Return a hook with which an engine leaves the token in the folder of marks.

        Source:
            https://github.com/containers/common/blob/main/pkg/hooks/docs/oci-hooks.5.md
        """
        hook = {"path": self.helper_word}
        return Place(
            json.dumps({"version": "1.0.0", "hook": hook, "when": {"always": True}, "stages": ["createRuntime"]})
        )

    def unit_request(self, kind: str) -> Place:
        """Return what asks systemd for a unit that leaves the token in the folder of marks.

        Args:
            kind: ``bus`` where it is said to the message bus, else ``private``.
        """
        token = self.new_token()
        program = self.helper_word.replace("{token}", token)
        said = unit_request(f"holdfast-{token}.service", program, bus=kind == "bus")
        return Place(said.decode("ascii", "surrogateescape").replace(token, "{token}"))

    def prepare(self, filled: Filled, *, global_effect: bool) -> None:
        """Write down what the steps will leave outside the run folder, and make what they point to.

        Raises:
            Error: The journal cannot be written; then no step may be performed.
        """
        helper = str(self._journal.folder / f"h-{filled.token}")
        if any(helper in value for step in filled.steps for value in step.args.values()):
            self.make_helper(filled.token)
        for left in filled.outside:
            if not str(left).startswith(f"{self._journal.folder}/") and self._journal.id in left.name:
                self._journal.will(Kind.FILE, path=str(left))
        for step in filled.steps:
            path = step.args.get("path", "")
            if step.act == "grpc" and Path(CONTAINERD).is_socket():
                self._journal.will(Kind.CONTAINERD_NAMESPACE, address=CONTAINERD, name=f"holdfast-{filled.token}")
            elif step.act == "set" and global_effect:
                name = path[path.find("/sys/kernel/") :]
                host = Path(f"/proc{name}")
                if name.startswith("/sys/kernel/") and host.is_file():
                    old = host.read_text(encoding="utf-8").rstrip("\n")
                    self._journal.will(Kind.SETTING, path=str(host), old=old, new=step.args["text"])

    def close(self) -> None:
        """Close what listens here; the stage closes its own."""
        for made in self._made.values():
            if isinstance(made, Frames | Relay | GuardedEngine):
                made.close()
        self._made.clear()

    def _once(self, name: str, make: Callable[[], _T]) -> _T:
        if name not in self._made:
            self._made[name] = make()
        made: _T = self._made[name]
        return made


def file_handle(path: Path) -> tuple[int, str]:
    """Return type and bytes, in hexadecimal digits, of a file's handle.

    Raises:
        OSError: The file system gives none.
    """
    buffer = ctypes.create_string_buffer(8 + _HANDLE_BYTES)
    ctypes.memmove(buffer, _HANDLE_BYTES.to_bytes(4, "little"), 4)
    mount = ctypes.c_int()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.name_to_handle_at(_AT_FDCWD, os.fsencode(path), buffer, ctypes.byref(mount), 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    length = int.from_bytes(buffer.raw[:4], "little")
    return int.from_bytes(buffer.raw[4:8], "little", signed=True), buffer.raw[8 : 8 + length].hex()


def _holds(path: Path, token: str) -> bool:
    try:
        # Opening a device could act.
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as file:
        return stat.S_ISREG(os.fstat(handle).st_mode) and token.encode() in file.read(4096)
