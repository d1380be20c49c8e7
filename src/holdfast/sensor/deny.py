"""The back end that denies: its programs, what is denied to whom, and what was denied.

Who is in a container is marked by this object's own programs, not by those that watch. What is pinned must go on
marking while no sensor runs, so it may share nothing with a process that ends.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.model.technique import Technique
from holdfast.reason.effective.syscall_table import numbers
from holdfast.sensor import bpf_file, deny_pins
from holdfast.sensor.deny_decode import CANARY_BIT, COMPAT, Decoder, Denial
from holdfast.sensor.deny_places import Row, entries
from holdfast.sensor.deny_rules import EVERY, NAME_SIZE, Ability, Kind, Object, Place, rules
from holdfast.sensor.loader import Loaded, per_processor, processors
from holdfast.sensor.ring import Ring
from holdfast.sensor.watching import runtimes

CANARY = 0xFFFFFFFF
"""In place of a container's mount namespace: the sensor's own proof."""
EVERY_CONTAINER = 0
_MASK = struct.Struct("<QQ")
_CONDITION = struct.Struct(f"<IIQ{NAME_SIZE}s")
_PLACE_KEY = struct.Struct("<II200s")
_PLACE = struct.Struct("<10QII")
_HOME = struct.Struct("<6IQII")
_TALLY = struct.Struct("<3Q")
_LIFE = ("forked", "executed")
_BTF = Path("/sys/kernel/btf/vmlinux")


class Grade(Enum):
    """How a call is refused; the value is what an alert names as its back end."""

    LSM = "lsm"
    FMOD_RET = "fmod_ret"
    NONE = "tracepoint"


_PREFIX = {Grade.LSM: "lsm_", Grade.FMOD_RET: "mod_"}
_CALLED = {"create_user_ns": "userns_create"}
"""LSM hooks that are not called as the function that asks them."""


class Denier:
    """The programs, loaded and attached; nothing is denied until ``deny`` says so.

    Attributes:
        grade: How calls are refused.
        missing: Hooks that this kernel does not have.
    """

    def __init__(
        self, grade: Grade, catalogue: Mapping[str, Technique], stand_ins: Mapping[str, str] | None = None
    ) -> None:
        """Load and attach.

        Args:
            grade: LSM or FMOD_RET.
            catalogue: The techniques, in the order of their rows; at most 127.
            stand_ins: Folders of the host and what they stand for, so that a drill need not touch the real ones.

        Raises:
            NotPermitted: The process may not load programs.
            BpfRefused: The kernel refused one of them.
            NotReachable: There is no libbpf, or no programs for this machine.
        """
        self.grade = grade
        self._bits = {name: bit for bit, name in enumerate(catalogue)}
        self._rules = {name: rules(technique) for name, technique in catalogue.items()}
        self._stand_ins = dict(stand_ins or {})
        self._rows: dict[bytes, bytes] = {}
        image = bpf_file.image("deny")
        self._decoder = Decoder(image, tuple(catalogue))
        offered = {name.decode() for name in re.findall(rb"\0((?:lsm|mod)_[a-z0-9_]+)(?=\0)", image)}
        wanted, self.missing = available(grade, sorted(offered))
        self._attached = (*wanted, *_LIFE)
        self._loaded = Loaded(image, "deny", (*self._attached, "take_stock"))
        try:
            self._start()
        except BaseException:
            self._loaded.close()
            raise

    def _start(self) -> None:
        programs, table = self._loaded.programs, self._loaded.table
        ring = table("denials")
        self._ring = Ring(ring.fd, ring.entries)
        self._enabled, self._conditions, self._places = table("enabled"), table("conditions"), table("places")
        for device, inode, *_ in runtimes():
            table("runtimes").put(struct.pack("<QII", inode, _kernel_device(device), 0), b"\1\0\0\0")
        programs["take_stock"].run_through()
        bss = table(".bss")
        home = list(_HOME.unpack_from(bss.take(b"\0\0\0\0") or b""))
        root = _root()
        home[5:8] = _kernel_device(root.st_dev), root.st_ino, 1
        held = bytearray(bss.take(b"\0\0\0\0") or b"")
        _HOME.pack_into(held, 0, *home)
        bss.put(b"\0\0\0\0", bytes(held))
        self.host_mount_namespace = home[0]
        self._roots(root)
        for key, bits in self._keys():
            self._conditions.put(key, _MASK.pack(bits & EVERY, bits >> 64))
        self.refresh()
        for name in self._attached:
            programs[name].attach()
        # Marks were set before the programs saw forks: whoever was born in between is found now.
        programs["take_stock"].run_through()

    def deny(self, container: int, techniques: Collection[str]) -> None:
        """Say what is denied to one container; it replaces what was said before.

        Args:
            container: Mount namespace in which it executed its first program; ``EVERY_CONTAINER`` for all those of
                which nothing was said.
            techniques: Ids; those that cannot be denied are passed by.
        """
        bits = sum(1 << self._bits[name] for name in set(techniques) if self._rules.get(name))
        self._enabled.put(struct.pack("<I", container), _MASK.pack(bits & EVERY, bits >> 64))

    def forget(self, container: int) -> None:
        """Say nothing of a container any more."""
        self._enabled.remove(struct.pack("<I", container))

    def canary(self, process: int, name: str) -> None:
        """Deny one process to open files of one name.

        Args:
            process: A pidfd.
            name: Last part of the path; shorter than ``NAME_SIZE`` bytes.
        """
        bit = _MASK.pack(0, 1 << (CANARY_BIT - 64))
        self._enabled.put(struct.pack("<I", CANARY), bit)
        self._conditions.put(_CONDITION.pack(Kind.CANARY, 0, 0, name.encode()), bit)
        marks = self._loaded.table("marks")
        marks.put(struct.pack("<i", process), struct.pack("<I", CANARY).ljust(marks.value_size, b"\0"))

    def uncanary(self, name: str) -> None:
        """Undo ``canary``; its process has ended."""
        self._enabled.remove(struct.pack("<I", CANARY))
        self._conditions.remove(_CONDITION.pack(Kind.CANARY, 0, 0, name.encode()))

    def stand_in(self, folder: str, real: str) -> None:
        """Deny what lies in a folder of the host as if it were another one; a drill makes one as it starts."""
        self._stand_ins[folder] = real
        if real == "/":
            self._roots(Path(folder).stat())
        self.refresh()

    def refresh(self) -> None:
        """Read the host's mounts again: where the places lie that are denied."""
        named = {
            self._bits[name]: [one for one in found if isinstance(one, Place)] for name, found in self._rules.items()
        }
        try:
            mountinfo = Path("/proc/1/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        rows: dict[bytes, bytes] = {}
        about: dict[int, int] = {}
        for row in entries(named, mountinfo, self._stand_ins):
            text = row.path.encode("utf-8", "surrogateescape")[:200]
            key = _PLACE_KEY.pack((4 + len(text)) * 8, row.device, text)
            rows[key] = _value(row)
            about[row.device] = about.get(row.device, 0) | row.every
        for key, value in rows.items():
            if self._rows.get(key) != value:
                self._places.put(key, value)
        for key in self._rows.keys() - rows.keys():
            self._places.remove(key)
        self._rows = rows
        for device, bits in about.items():
            self._conditions.put(_CONDITION.pack(Kind.DEVICE, 0, device, b""), _MASK.pack(bits & EVERY, bits >> 64))

    def denials(self) -> Iterator[Denial]:
        """Iterate over what was denied since the last time."""
        for record in self._ring.read():
            yield self._decoder.decode(record)

    @property
    def fd(self) -> int:
        """The ring's descriptor, for epoll."""
        return self._ring.fd

    def tally(self) -> tuple[int, int, int]:
        """Return how often was denied, how often that could not be told, and how many tasks could not be marked."""
        found = self._loaded.table("tallies").take(b"\0\0\0\0", processors() * _TALLY.size) or b""
        rows = list(per_processor(found, _TALLY))
        return sum(row[0] for row in rows), sum(row[1] for row in rows), sum(row[2] for row in rows)

    def pin(self, folder: Path) -> None:
        """Keep the programs attached, with what they deny, when this process ends.

        Args:
            folder: Of a BPF file system; made if absent. What was pinned there is let go afterwards, so that there is
                no moment without.

        Raises:
            OSError: It cannot be made: no BPF file system, or no permission.
        """
        with deny_pins.replaced(folder) as fresh:
            for name in self._attached:
                self._loaded.programs[name].pin(str(fresh / name))

    def close(self) -> None:
        """Let go; what was not pinned is detached."""
        self._ring.close()
        self._loaded.close()

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def _roots(self, root: os.stat_result) -> None:
        key = _CONDITION.pack(Kind.ROOT, _kernel_device(root.st_dev), root.st_ino, b"")
        self._conditions.put(key, _MASK.pack(EVERY, EVERY))

    def _keys(self) -> Iterator[tuple[bytes, int]]:
        found: dict[bytes, int] = {}
        calls = [(numbers("x86_64"), 0), (numbers("i386"), COMPAT)]
        for name, every in self._rules.items():
            for one in every:
                if isinstance(one, Object):
                    keys = [_CONDITION.pack(one.kind, one.number, one.more, one.name)]
                elif isinstance(one, Ability):
                    keys = [
                        _CONDITION.pack(Kind.CAPABILITY, one.number, table[one.call] | offset, b"")
                        for table, offset in calls
                        if one.call in table
                    ]
                else:
                    continue
                for key in keys:
                    found[key] = found.get(key, 0) | 1 << self._bits[name]
        yield from found.items()


def available(grade: Grade, offered: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Choose the programs that this kernel has a place for.

    Args:
        grade: LSM or FMOD_RET.
        offered: Names of the programs.

    Returns:
        Programs, and hooks that are missing.
    """
    prefix = _PREFIX[grade]
    functions = [name.removeprefix(prefix) for name in offered if name.startswith(prefix)]
    try:
        known = _BTF.read_bytes()
    except OSError:
        return tuple(prefix + name for name in functions), ()
    found: list[str] = []
    missing: list[str] = []
    for name in functions:
        target = f"bpf_lsm_{_CALLED.get(name, name)}" if grade is Grade.LSM else f"security_{name}"
        (found if f"\0{target}\0".encode() in known else missing).append(name)
    return tuple(prefix + name for name in found), tuple(missing)


def _value(row: Row) -> bytes:
    words = [half for bits in (*row.on, row.wide) for half in (bits & EVERY, bits >> 64)]
    return _PLACE.pack(*words, row.depth, 0)


def _root() -> os.stat_result:
    try:
        return Path("/proc/1/root/").stat()
    except OSError:
        return Path("/").stat()


def _kernel_device(device: int) -> int:
    return os.major(device) << 20 | os.minor(device)


__all__ = ["CANARY", "CANARY_BIT", "EVERY_CONTAINER", "Denial", "Denier", "Grade", "available"]
