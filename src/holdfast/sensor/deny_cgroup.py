"""What can be denied without BPF LSM and fmod_ret: settings, devices and connections, through control groups.

A supplement for a kernel that allows no better. It stops the write of a setting by any path, since the kernel names
the setting itself; it knows nothing of mounts, files, unix sockets and other processes.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.model.errors import NotReachable
from holdfast.model.technique import Technique
from holdfast.sensor import bpf_file, deny_pins, layout
from holdfast.sensor.btf import Types
from holdfast.sensor.deny_rules import EVERY, PROC, Access, Kind, Object, Rule, rules
from holdfast.sensor.loader import Loaded
from holdfast.sensor.ring import Ring

SYSCTL, PORT, ADDRESS, DEVICE = 1, 2, 3, 4
"""``enum cgroup_kind`` of deny_cgroup.bpf.c."""
SETTINGS = {
    "core_pattern": "kernel/core_pattern",
    "modprobe": "kernel/modprobe",
    "poweroff_cmd": "kernel/poweroff_cmd",
    "hotplug": "kernel/hotplug",
}
"""Last name of a setting's file, and what the kernel calls the setting."""
_EVERY_MINOR = 0xFFFFFFFF
_BLOCK, _CHAR = 1, 2
_NAME = 64
_ASKED = struct.Struct(f"<IIQ{_NAME}s")
_MASK = struct.Struct("<QQ")
_HOME = struct.Struct("<6IQ")
_PROGRAMS = ("setting", "device", "connect_four", "connect_six", "send_four", "send_six")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused call.

    Attributes:
        at_ns: CLOCK_BOOTTIME.
        techniques: Those that were denied by it.
        kind: ``SYSCTL``, ``PORT``, ``ADDRESS`` or ``DEVICE``.
        number: Port, version of the address, or 1 for a block and 2 for a character device.
        name: Of the setting.
        pid, parent, user, start_ns, process: Who acted.
        mnt: Its mount namespace.
    """

    at_ns: int
    techniques: tuple[str, ...]
    kind: int
    number: int
    name: str
    pid: int
    parent: int
    user: int
    start_ns: int
    process: str
    mnt: int


class GroupDenier:
    """The programs, attached to a control group; nothing is denied until ``deny`` says so."""

    def __init__(self, catalogue: Mapping[str, Technique], namespaces: Mapping[str, int], group: Path) -> None:
        """Load and attach.

        Args:
            catalogue: The techniques, in the order of their rows.
            namespaces: The host's own, by ``mnt``, ``pid``, ``user``, ``net``.
            group: The directory of the control group; ``hierarchy()`` for all.

        Raises:
            NotPermitted: The process may not load programs.
            BpfRefused: The kernel refused one of them.
            NotReachable: There is no libbpf, no programs for this machine, or no such group.
        """
        self._names = tuple(catalogue)
        self._bits = {name: bit for bit, name in enumerate(catalogue)}
        self._keys = {name: tuple(_keys(technique)) for name, technique in catalogue.items()}
        image = bpf_file.image("deny_cgroup")
        self._record = layout.record(Types(image), "cgroup_denial")
        self._loaded = Loaded(image, "deny_cgroup")
        try:
            self._start(namespaces, group)
        except BaseException:
            self._loaded.close()
            raise

    def _start(self, namespaces: Mapping[str, int], group: Path) -> None:
        ring = self._loaded.table("cgroup_denials")
        self._ring = Ring(ring.fd, ring.entries)
        self._enabled = self._loaded.table("cgroup_enabled")
        root = _root()
        device = os.major(root.st_dev) << 20 | os.minor(root.st_dev)
        spaces = [namespaces[kind] for kind in ("mnt", "pid", "user", "net")]
        self._loaded.table(".bss").put(b"\0\0\0\0", _HOME.pack(*spaces, device, 0, root.st_ino))
        found: dict[bytes, int] = {}
        for name, keys in self._keys.items():
            for key in keys:
                found[key] = found.get(key, 0) | 1 << self._bits[name]
        conditions = self._loaded.table("cgroup_conditions")
        for key, bits in found.items():
            conditions.put(key, _MASK.pack(bits & EVERY, bits >> 64))
        try:
            directory = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise NotReachable(f"The control group cannot be opened: {error.strerror}", str(group)) from error
        try:
            for name in _PROGRAMS:
                self._loaded.programs[name].attach_to_group(directory)
        finally:
            os.close(directory)

    def deniable(self) -> tuple[str, ...]:
        """Return the techniques of which something can be denied in this way."""
        return tuple(name for name, keys in self._keys.items() if keys)

    @staticmethod
    def wholly(technique: Technique) -> bool:
        """Tell whether all of a technique's ways are denied in this way, and not only some."""
        return all(any(_key(one)) for one in rules(technique))

    def deny(self, container: int, techniques: Collection[str]) -> None:
        """Say what is denied in one mount namespace, 0 for all others; it replaces what was said before."""
        bits = sum(1 << self._bits[name] for name in set(techniques) if self._keys.get(name))
        self._enabled.put(struct.pack("<I", container), _MASK.pack(bits & EVERY, bits >> 64))

    def forget(self, container: int) -> None:
        """Say nothing of a mount namespace any more."""
        self._enabled.remove(struct.pack("<I", container))

    def pin(self, folder: Path) -> None:
        """Keep the programs attached, with what they deny, when this process ends.

        Args:
            folder: As for ``Denier.pin``.

        Raises:
            BpfRefused: There is no BPF file system.
            OSError: It cannot be made: no BPF file system, or no permission.
        """
        with deny_pins.replaced(folder) as fresh:
            for name in _PROGRAMS:
                self._loaded.programs[name].pin(str(fresh / name))

    @property
    def fd(self) -> int:
        """The ring's descriptor, for epoll."""
        return self._ring.fd

    def refusals(self) -> Iterator[Refusal]:
        """Iterate over what was denied since the last time."""
        for record in self._ring.read():
            values = self._record.parser.unpack_from(record)
            told = {name: values[at] for name, at in self._record.places.items()}
            bits = told["low"] | told["high"] << 64
            yield Refusal(
                at_ns=told["at_ns"],
                techniques=tuple(name for bit, name in enumerate(self._names) if bits >> bit & 1),
                kind=told["kind"],
                number=told["number"],
                name=_text(told["name"]) if told["kind"] == SYSCTL else "",
                pid=told["pid"],
                parent=told["parent"],
                user=told["user"],
                start_ns=told["start_ns"],
                process=_text(told["comm"]),
                mnt=told["mnt"],
            )

    def close(self) -> None:
        """Detach everything."""
        self._ring.close()
        self._loaded.close()

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()


def hierarchy(mountinfo: str = "/proc/self/mountinfo") -> Path:
    """Return where the root of the version 2 hierarchy is mounted.

    Raises:
        NotReachable: It is mounted nowhere.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in Path(mountinfo).read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            words = line.split(" ")
            if len(words) > 9 and words[words.index("-") + 1] == "cgroup2" and words[3] == "/":
                return Path(words[4])
    raise NotReachable("No control groups of version 2 are mounted", mountinfo, "mount -t cgroup2 none /sys/fs/cgroup")


def _keys(technique: Technique) -> Iterator[bytes]:
    for one in rules(technique):
        yield from _key(one)


def _key(one: Rule) -> Iterator[bytes]:
    if isinstance(one, Object):
        if one.kind is Kind.NAME and one.number == Access.WRITE and one.more == PROC:
            setting = SETTINGS.get(one.name.decode())
            if setting:
                yield _ASKED.pack(SYSCTL, 0, 0, setting.encode())
        elif one.kind is Kind.PORT:
            yield _ASKED.pack(PORT, one.number, 0, b"")
        elif one.kind is Kind.ADDRESS and one.number == 4:
            yield _ASKED.pack(ADDRESS, 4, int.from_bytes(one.name, "little"), b"")
        elif one.kind is Kind.ADDRESS:
            yield _ASKED.pack(ADDRESS, 6, 0, one.name)
        elif one.kind is Kind.BLOCK:
            yield _ASKED.pack(DEVICE, _BLOCK, 0, b"")
        elif one.kind is Kind.CHAR:
            minor = _EVERY_MINOR if one.more == EVERY else one.more
            yield _ASKED.pack(DEVICE, _CHAR, one.number << 32 | minor, b"")


def _text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _root() -> os.stat_result:
    try:
        return Path("/proc/1/root/").stat()
    except OSError:
        return Path("/").stat()
