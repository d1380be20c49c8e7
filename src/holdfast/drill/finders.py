"""What each word in braces finds for one replica. See ``places``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.drill.boxes import POINT, PROBE, WORK, Box
from holdfast.drill.genuine import is_device, own_kernel
from holdfast.drill.ground import Ground
from holdfast.drill.mounts_seen import inside
from holdfast.drill.neighbours import Beside, isolated
from holdfast.drill.places import Place, Places
from holdfast.model.replica import Bind
from holdfast.reason.effective.mountinfo import WITHOUT_FILES

_OWN_FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
_DEVICE_NAMES = {
    "mem": ("/dev/mem",),
    "port": ("/dev/port",),
    "msr": ("/dev/cpu/0/msr",),
    "sg": ("/dev/sg0",),
    "uinput": ("/dev/uinput",),
    "input": ("/dev/input/event0",),
    "tty": ("/dev/tty1", "/dev/tty0", "/dev/ttyS0"),
}
_SHM = "/dev/shm"  # noqa: S108 - a path to look for
_NUMBERS = {
    "mem": (1, 1),
    "port": (1, 4),
    "msr": (202, 0),
    "sg": (21, 0),
    "tty": (4, 1),
    "uinput": (10, 223),
    "input": (13, 64),
}
"""Linux allocated devices, Documentation/admin-guide/devices.txt."""
_MOST_MOUNTS = 8
"""Places that one attempt begins from."""
_ONE_OF_A_KIND = frozenset({"mem", "port", "uinput"})
_ETHERTYPE = b"\x88\xb5"
"""IEEE 802 local experimental ethertype 1: no protocol of anybody's."""
_HIERARCHIES = ("rdma", "misc", "memory", "pids", "cpu", "devices", "freezer", "none,name=systemd")


def mount_table(pid: int) -> list[tuple[str, frozenset[str], str]]:
    """Return mount point, options and file system type of a process's mounts; none where it is gone.

    Source:
        https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
    """
    table: list[tuple[str, frozenset[str], str]] = []
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            head, _, tail = line.partition(" - ")
            words = head.split(" ")
            options = frozenset(words[5].split(",")) | (frozenset(tail.split(" ")[2].split(",")) & {"ro"})
            table.append((words[4].replace("\\040", " "), options, tail.split(" ")[0]))
    return table


def mounts_of(pid: int, device: int) -> list[str]:
    """Return where a process sees mounts of one device, those first that may be written; none where it is gone."""
    found: list[tuple[bool, str]] = []
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split(" ")
            if words[2] == f"{os.major(device)}:{os.minor(device)}":
                found.append(("ro" in words[5].split(","), words[4].replace("\\040", " ")))
    return [point for _, point in sorted(found, key=lambda one: one[0])]


@dataclass
class Finders:
    """Finds places for one running replica.

    Attributes:
        ground: What is planted on the host.
        box: The replica.
        peer: A process in another container: its number and the secret in its environment.
        leaked: Secret in the directory that was left open for it.
        beside: What the drill placed on the network for it.
    """

    ground: Ground
    box: Box
    peer: tuple[int, str] = (0, "")
    leaked: tuple[str, str] = ("", "")
    beside: Beside = field(default_factory=Beside)

    def places(self) -> Places:
        """Return what fills in the words."""
        finders: dict[str, Callable[[str], list[Place]]] = {
            "in": lambda path: self._seen(path, folder=True),
            "file": lambda path: self._seen(path, folder=None),
            "socket": self._socket,
            "engine": self._engine,
            "guarded": self._guarded,
            "systemd": self._systemd,
            "secret": lambda path: self._secret(path, 0o600),
            "open_secret": lambda path: self._secret(path, 0o644),
            "canary": lambda _: [self.ground.canary()],
            "marks": lambda _: [Place(str(self.ground.marks), self.ground.marks)],
            "helper": lambda _: [Place(self.ground.helper_word)],
            "pid": self._pid,
            "address": self._address,
            "point": lambda _: [Place(POINT)],
            "work": lambda _: [Place(WORK), Place("/dev")],
            "disk": lambda _: self._disks(),
            "disk_in_dev": lambda _: self._disks_in_dev(),
            "disk_type": lambda _: [Place(self.ground.disk().fstype or "ext4", secret=self.ground.disk().file_secret)],
            "disk_flags": lambda _: [Place("1")],  # MS_RDONLY, as the host has it mounted
            "disk_option": lambda _: [Place(",ro")],
            "disk_major": lambda _: [Place(str(self._disk_number()[0]), secret=self.ground.disk().raw_secret)],
            "disk_minor": lambda _: [Place(str(self._disk_number()[1]))],
            "device": self._device,
            "device_major": lambda kind: [Place(str(_NUMBERS[kind][0]))],
            "device_minor": lambda kind: [Place(str(_NUMBERS[kind][1]))],
            "handle": lambda _: [self.ground.handle()],
            "handle_type": lambda _: [Place(str(self.ground.handle_type))],
            "same_fs": lambda _: self._same_fs(),
            "shared": lambda _: self._bound(lambda bind: bind.propagation in {"shared", "rshared"}),
            "suid": lambda _: self._programs(),
            "hierarchy": lambda _: [Place(name) for name in _HIERARCHIES],
            "device_group": lambda _: [Place(self._device_group()), Place("")],
            "port": lambda _: [self.ground.port()],
            "engine_port": lambda _: self.ground.engine_port(),
            "abstract": lambda _: [self.ground.abstract()],
            "role": lambda _: self._neighbour(self.beside.role),
            "proxy": lambda _: self._neighbour(self.beside.proxy),
            "other": lambda _: self._neighbour(self.beside.other),
            "shm_key": lambda _: [self.ground.shared_memory()],
            "shm_file": lambda _: self._shm_file(),
            "interface": lambda _: self._interfaces(),
            "frame": lambda _: [self.ground.frame(_ETHERTYPE)],
            "leaked": lambda _: [Place("3", real=bool(self.leaked[1]))],
            "leaked_secret": lambda _: [Place(self.leaked[0] or "secret", secret=self.leaked[1])],
            "engine_request": lambda _: [self.ground.engine_request(self.box.replica.engine)],
            "hooks": self._hooks,
            "hook": lambda _: [self.ground.hook()],
            "unit_request": lambda kind: [self.ground.unit_request(kind)],
            "namespace_request": lambda _: [self.ground.namespace_request()],
            "own_group": lambda _: [Place("", secret=self._own_group())],
        }
        return Places(finders, self.ground.new_token)

    def _seen(self, path: str, *, folder: bool | None) -> list[Place]:
        found = [
            Place(text, outside, direct=any(bind.target == text for bind in self.box.replica.binds))
            for text, outside in inside(self.box.replica.binds, path, folder=folder)
        ]
        return found or [Place(path.replace("*", "holdfast"), real=False)]

    def _socket(self, path: str) -> list[Place]:
        found = [
            Place(text, hearing=self.ground.listener(outside))
            for text, outside in inside(self.box.replica.binds, path, folder=False)
        ]
        return found or [Place(path.replace("*", "0"), real=False)]

    def _engine(self, path: str) -> list[Place]:
        return [Place(place.text, hearing=self.ground.containerd(), real=place.real) for place in self._socket(path)]

    def _guarded(self, path: str) -> list[Place]:
        """Return the socket of an engine of the drill's own; an engine of anybody else's is not tried."""
        found = self._socket(path)
        if not any(place.real for place in found):
            return found
        ours = self.ground.guarded() if self.box.replica.guarded else None
        binds = {bind.target for bind in self.box.replica.binds if ours and bind.stand_in == str(ours.socket)}
        return [replace(place, hearing=ours) for place in found if place.text in binds]

    def _systemd(self, path: str) -> list[Place]:
        """Return the host's own socket; none where a start of a unit would be one too many, or one of ours listens."""
        found = self._socket(path) if self.ground.real else []
        return [place for place in found if place.real and place.hearing is None]

    def _hooks(self, path: str) -> list[Place]:
        """Return the host's own directory; none where its engine is not to be touched, or takes nothing from there."""
        found = self._seen(path, folder=True) if self.ground.real else []
        return [place for place in found if place.real]

    def _secret(self, path: str, mode: int, owner: int = 0) -> list[Place]:
        found: list[Place] = []
        for text, outside in inside(self.box.replica.binds, path, folder=None):
            planted = self.ground.plant(outside, mode, owner)
            if planted is not None:
                name, secret = planted
                direct = any(bind.target == text for bind in self.box.replica.binds)
                found.append(Place(f"{text.rstrip('/')}/{name}" if name else text, secret=secret, direct=direct))
        return found or [Place(f"{path.replace('*', '0').rstrip('/')}/holdfast", real=False)]

    def _neighbour(self, found: Callable[[], Place]) -> list[Place]:
        """Return what the drill placed there. Where it placed nothing, whoever else has the address is left alone."""
        place = found()
        return [place] if place.real or isolated(self.box.replica, disposable=self.ground.real) else []

    def _pid(self, who: str) -> list[Place]:
        if who == "peer":
            pid, secret = self.peer
            return [Place(str(pid or 1), secret=secret)]
        pid, _, secret = self._planted(who)
        return [Place(str(pid), secret=secret)]

    def _address(self, who: str) -> list[Place]:
        return [Place(f"{self._planted(who)[1]:x}")]

    def _planted(self, who: str) -> tuple[int, int, str]:
        if who == "root":
            return self.ground.process(0, capabilities=True)
        return self.ground.process(self.ground.user_of(self.box.pid), capabilities=False)

    def _disks(self) -> list[Place]:
        disk = self.ground.disk()
        found = [
            Place(node.target, secret=secret)
            for node in self.box.replica.nodes
            if node.stand_in == str(disk.device)
            for secret in (disk.raw_secret,)
        ]
        if self.box.replica.privileged:
            # Its /dev has the host's nodes, made anew.
            found.append(Place(f"/dev/{disk.device.name}", secret=disk.raw_secret))
        return [*found, *self._disks_in_dev(), Place("/dev/holdfast-disk", secret=disk.raw_secret)]

    def _programs(self) -> list[Place]:
        """Return directories of the host in which a program can be left that others start: as mountinfo shows them.

        A mount that is read-only itself may have others below it that are not.
        """
        found: list[Place] = []
        tops = [
            (bind.target.rstrip("/"), Path(bind.stand_in or bind.source))
            for bind in self.box.replica.binds
            if bind.source and not (self.sandbox and (bind.read_only or bind.nosuid))
        ]
        if "ipc" in self.box.replica.namespaces:
            # An engine that shares the IPC namespace mounts the host's shared memory too.
            tops.append((_SHM, Path(_SHM)))
        for target, options, fstype in mount_table(self.box.pid):
            if options & {"ro", "nosuid"} or fstype in WITHOUT_FILES:
                continue
            below = [(top, outside) for top, outside in tops if f"{target}/".startswith(f"{top}/")]
            places = [(target, Path(f"{str(outside).rstrip('/')}{target[len(top) :]}")) for top, outside in below]
            found += [Place(text, place) for text, place in places if place.is_dir()]
        if self.sandbox:
            # A sandbox has a mount table of its own; what it was given is all that can be told.
            found = [Place(top, place) for top, place in tops if place.is_dir()]
        return found or [Place(WORK, real=False)]

    def _disk_number(self) -> tuple[int, int]:
        number = self.ground.disk().device.stat().st_rdev
        return os.major(number), os.minor(number)

    def _disks_in_dev(self) -> list[Place]:
        disk = self.ground.disk()
        seen = inside(self.box.replica.binds, str(disk.device), folder=False)
        found = [Place(text, secret=disk.raw_secret) for text, _ in seen]
        return found or [Place(f"/dev/{disk.device.name}", secret=disk.raw_secret, real=False)]

    def _device(self, kind: str) -> list[Place]:
        names = _DEVICE_NAMES.get(kind, ())
        granted = [node.target for node in self.box.replica.nodes if node.source in names]
        through = [text for name in names for text, _ in inside(self.box.replica.binds, name, folder=False)]
        found = list(dict.fromkeys((*granted, *through, *names)))
        if self.sandbox:
            # The files of a sandbox cannot be looked at from here, and an answer of its kernel does not count.
            return [Place(name) for name in found]
        return [Place(name, real=self._is_device(kind, name)) for name in found]

    def _is_device(self, kind: str, path: str) -> bool:
        major, minor = _NUMBERS[kind]
        return is_device(self.box.pid, path, major, minor if kind in _ONE_OF_A_KIND else None)

    @property
    def sandbox(self) -> bool:
        """The replica has a kernel of its own."""
        return own_kernel(self.box.replica.runtime, self.box.pid, PROBE)

    def _same_fs(self) -> list[Place]:
        """Return what lies on the file system of the canaries: where it may be written first, whatever it is called."""
        binds = [bind.target for bind in self.box.replica.binds if bind.source]
        mounted = [] if self.sandbox else mounts_of(self.box.pid, self.ground.device())[:_MOST_MOUNTS]
        return [Place(name) for name in dict.fromkeys((*mounted, *_OWN_FILES, "/", *binds))]

    def _bound(self, fits: Callable[[Bind], bool]) -> list[Place]:
        found = [
            Place(bind.target, Path(bind.stand_in or bind.source))
            for bind in self.box.replica.binds
            if bind.source and fits(bind) and Path(bind.stand_in or bind.source).is_dir()
        ]
        return found or [Place(WORK, real=False)]

    def _shm_file(self) -> list[Place]:
        owners = {self.ground.owner(self.box.pid), 0}
        mounted = [place for owner in owners for place in self._secret(_SHM, 0o600, owner)]
        return [*(place for place in mounted if place.real), *map(self.ground.shm_file, owners)]

    def _interfaces(self) -> list[Place]:
        """Return the numbers of the replica's interfaces, loopback last; 1 is always the loopback."""
        numbers: list[int] = []
        with contextlib.suppress(OSError, ValueError):
            entries = sorted(Path(f"/proc/{self.box.pid}/root/sys/class/net").iterdir())
            numbers += [int((entry / "ifindex").read_text(encoding="ascii")) for entry in entries if entry.name != "lo"]
        return [Place(str(number)) for number in (*numbers[:3], 1)]

    def _device_group(self) -> str:
        return self.ground.cgroup_of(self.box.pid, "devices")

    def _own_group(self) -> str:
        return self.ground.cgroup_of(self.box.pid, "")
