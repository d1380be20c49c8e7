"""The running sensor: programs in the kernel, their records in order, and the events that are made of them."""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from holdfast.model.errors import NotUnderstood
from holdfast.model.event import Answer, Event, Process
from holdfast.model.facts import Fact
from holdfast.sensor import bpf_file, interests, layout, pushing, rereading, snapshot, speech
from holdfast.sensor.brief import Brief
from holdfast.sensor.containers import Containers
from holdfast.sensor.decode import CONTAINED, FLOODS, UNTOLD, Call, Decoder, Exec, Fork, Group, Head, Told, Who
from holdfast.sensor.interests import BULK, CRITICAL, LIFE, Interest
from holdfast.sensor.layers import Layers
from holdfast.sensor.loader import Loaded, per_processor, processors
from holdfast.sensor.objects import Objects
from holdfast.sensor.outside import Surroundings
from holdfast.sensor.processes import Life, Processes
from holdfast.sensor.rereading import Rereading
from holdfast.sensor.ring import Ring
from holdfast.sensor.words import answers

_RINGS = ("ring_critical", "ring_life", "ring_bulk")
_TRACED = ("call_returned", "forked", "executed", "ended", "group_made", "group_removed")
_RING_HANDED = {"io_uring_submit_req": "ring_handed", "io_uring_submit_sqe": "ring_handed_before"}
"""What a request is handed over by, from Linux 6.3 on and before, and the program that looks at it."""
_TYPES = Path("/sys/kernel/btf/vmlinux")
_HOST = struct.Struct("<8IQIIII")  # struct host_ids
_EAGER, _EAGER_EXEC, _EAGER_LIFE = 11, 1, 2
_COUNTERS = struct.Struct("<8Q")  # struct counters
_WAIT_MS = 200
_MANY, _ALL = 4096, 1 << 30
_TOGETHER = 1024
_DULLED = 65536
_DISKS = frozenset((0xEF53, 0x58465342, 0x9123683E, 0x794C7630, 0x01021994, 0xF2F52010, 0x2FC12FC1, 0x6969))
"""ext, XFS, Btrfs, overlay, tmpfs, F2FS, ZFS, NFS: what a file is there does not depend on who asks."""
_GAPS_EVERY_NS = 1_000_000_000
_KINDS: tuple[str, ...] = ("mnt", "pid", "user", "net", "ipc", "uts", "cgroup")


class Sensor:
    """The sensor with the tracepoint back end.

    Attributes:
        processes: Who runs.
        containers: Who is in which container.
        around: What answers need of the world beyond an event.
        gaps: Records that the kernel could not hand over, by ring.
        told: Records that were read, by ring.
        objects: What they act on, and where that lies on the host.
        layers: Where containers' programs lie.
    """

    def __init__(self, wanted: Mapping[str, Interest], more: Mapping[Fact[Any], Answer] | None = None) -> None:
        """Load the programs and attach them.

        Args:
            wanted: What is wanted of which system call.
            more: How further facts are answered, besides the house's own words.

        Raises:
            NotPermitted: The process may not load programs.
            BpfRefused: The kernel refused one of them.
            NotReachable: There is no libbpf, or no programs for this machine.
        """
        image = bpf_file.image("watch")
        laid_out = layout.read(image)
        self._decoder = Decoder(laid_out)
        self._brief = Brief(laid_out)
        self._every_life = True
        traced = (*_TRACED, *_ring_programs())
        self._loaded = Loaded(image, "watch", (*traced, "take_stock"))
        try:
            self._start(wanted, more or {}, traced)
        except BaseException:
            self._loaded.close()
            raise

    def _start(self, wanted: Mapping[str, Interest], more: Mapping[Fact[Any], Answer], traced: Sequence[str]) -> None:
        programs = self._loaded.programs
        self._rings = [self._ring(name) for name in _RINGS]
        self._counting = self._loaded.table("counting")
        self._dull = self._loaded.table("dull")
        self._cookie = 0
        self._dulled: set[bytes] = set()
        self._next: dict[tuple[int, int], int] = {}
        self.gaps = [0, 0, 0]
        self.told = [0, 0, 0]
        self.unreadable = 0
        self._untold = [0, 0, 0]
        self._told_at = [0, 0, 0]
        self._rereading = Rereading()
        self._stale = False
        for device, inode, kind in runtimes():
            key = struct.pack("<QII", inode, _kernel_device(device), 0)
            self._loaded.table("runtimes").put(key, struct.pack("<I", kind))
        programs["take_stock"].run_through()
        table = self._loaded.table(".bss")
        held = bytearray(table.take(b"\0\0\0\0") or b"")
        ids = list(_HOST.unpack_from(held))
        self.namespaces: dict[str, int] = dict(zip(_KINDS, ids[:7], strict=True))
        root = _root()
        ids[7:11] = _kernel_device(root.st_dev), root.st_ino, os.getpid(), 1
        _HOST.pack_into(held, 0, *ids)
        table.put(b"\0\0\0\0", bytes(held))
        self.containers = Containers(self.namespaces, look=snapshot.root_of, host_root=snapshot.root_of(1))
        self._inner: dict[tuple[int, int], Life] = {}
        self.processes = Processes(placed=self._placed, left=self._left)
        self.around = Surroundings(self.namespaces, self.processes.alive.get, _device("/proc"))
        self.around.inside = lambda space, number: self._inner.get((space, number))
        self._answers: dict[Fact[Any], Answer] = {**answers(self.around), **more}
        self.objects = Objects(self.namespaces["mnt"])
        self.layers = Layers()
        self.want(wanted)
        for name in traced:
            programs[name].attach()
        # Marks were set before the programs saw forks: whoever was born in between is found now.
        programs["take_stock"].run_through()
        for seen in snapshot.running():
            self.containers.placed(self.processes.entered(seen.life, seen.parent_pid), seen.groups)
        self._poll = select.epoll()
        for ring in self._rings:
            self._poll.register(ring.fd, select.EPOLLIN)

    def want(self, wanted: Mapping[str, Interest]) -> None:
        """Tell the kernel's program what is wanted; what was wanted before stays unless it is named again."""
        table, values = self._loaded.table("interests"), self._loaded.table("values")
        for key in interests.values(wanted):
            values.put(key, b"\1\0\0\0")
        for key, value in interests.entries(wanted):
            table.put(key, value)

    def want_paths(self, heads: Mapping[bytes, int], tails: Mapping[bytes, int]) -> None:
        """Tell the kernel's program which paths are wanted, by how they begin and how they end."""
        for name, patterns, size in (("path_heads", heads, pushing.HEAD), ("path_tails", tails, pushing.TAIL)):
            table = self._loaded.table(name)
            for key, value in pushing.trie(dict(patterns), size):
                table.put(key, value)

    def want_soon(self, *, starts: bool, ends: bool) -> None:
        """Ask to be told at once of programs that the host's own processes start, and of processes that end.

        Who is not asked for is told with the next look at the latest, or before whatever it does that is wanted. A
        process of the host that began and ended in between, and did nothing of the kind, is then not told at all.
        """
        self._every_life = starts or ends
        table = self._loaded.table(".bss")
        held = bytearray(table.take(b"\0\0\0\0") or b"")
        ids = list(_HOST.unpack_from(held))
        ids[_EAGER] = (_EAGER_EXEC if starts else 0) | (_EAGER_LIFE if ends else 0)
        _HOST.pack_into(held, 0, *ids)
        table.put(b"\0\0\0\0", bytes(held))

    def events(self, wait_ms: int = _WAIT_MS) -> Iterator[Event]:
        """Wait for records, at most so long, and iterate over the events that they make."""
        try:
            self._poll.poll(wait_ms / 1000)
        except InterruptedError:
            return
        now = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if self.objects.refresh():
            self._forget_paths()
        self.around.shared = self.objects.shared
        for ring in (CRITICAL, BULK):
            for record in self._rings[ring].read():
                # A process is told before what it does; what began later can wait.
                if self._rings[LIFE].waiting():
                    yield from self._lives(self._decoder.at_ns(record), now)
                yield from self._read((record,), now)
                if ring == BULK and self._rings[CRITICAL].waiting():
                    break
        yield from self._lives(None, now)
        self._silent_gaps()
        yield from self._told_gaps(now)
        self._catch_up()

    def _catch_up(self) -> None:
        """Have the table say again who lives, after records of that were lost."""
        found = self._rereading.news()
        if found is not None:
            rereading.apply(found, self.processes, self.containers)
        if self._stale and self._rereading.begin(
            self.processes.alive.values(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        ):
            self._stale = False

    def _lives(self, until_ns: int | None, now: int) -> Iterator[Event]:
        """Iterate over what became of processes until a moment (CLOCK_BOOTTIME), or over all that is there."""
        if until_ns is None and not self._every_life:
            yield from self._lives_together(now)
            return
        for record in self._rings[LIFE].read(_MANY if until_ns is None else _ALL):
            at_ns = self._decoder.at_ns(record)
            yield from self._read((record,), now)
            if until_ns is not None and at_ns > until_ns:
                break

    def _lives_together(self, now: int) -> Iterator[Event]:
        """Iterate over all that is there, without processes that nobody will ask for."""
        records = [bytes(record) for record in self._rings[LIFE].read(_TOGETHER)]
        needless = self._brief.among(records)
        for index, record in enumerate(records):
            if index in needless:
                self._noted(self._decoder.head(memoryview(record)))
            else:
                yield from self._read((memoryview(record),), now)

    def _read(self, records: Iterable[memoryview], now: int) -> Iterator[Event]:
        for record in records:
            if self._dulled and self._decoder.cookie(record) in self._dulled:
                # It was on its way when the verdict on its like was given.
                self._noted(self._decoder.head(record))
                continue
            try:
                told = self._decoder.decode(record)
            except NotUnderstood:
                self.unreadable += 1
                continue
            self._noted(told.head)
            event = self._event(told, now)
            if event is not None:
                self._cookie = told.cookie if isinstance(told, Call) else 0
                yield event
                if isinstance(told, Call | Fork) and told.who.flags & FLOODS:
                    yield self._flood(event)
                other = self.objects.other_name(event)
                if other is not None:
                    yield other
                further = told.further if isinstance(told, Call) else ()
                for one in speech.others(event, further):
                    if one.file is not None:
                        self.objects.complete(one, None)
                    yield one

    def dull(self, event: Event) -> None:
        """Say of the event that was handed out last that no technique is about it; its like is not told again soon.

        Only opens of ordinary files can be called dull: what is judged of those is a matter of the file, of the path
        from the process's root and of what it is opened for. The kernel's program forgets it when something moves, and
        after ten seconds at the latest.
        """
        if self._cookie and event.file is not None and event.file.magic in _DISKS:
            cookie = struct.pack("<Q", self._cookie)
            self._dull.put(cookie, b"\1\0\0\0")
            if len(self._dulled) > _DULLED:
                self._dulled.clear()
            self._dulled.add(cookie)
        self._cookie = 0

    def _noted(self, head: Head) -> None:
        self.told[head.ring] += 1
        gap = self._counted(head)
        if gap:
            self._untold[head.ring] += gap

    def _flood(self, event: Event) -> Event:
        return Event(
            "flood", event.at_ns, event.wall_ns, event.process, event.number, event.processor,
            arguments={"call": event.name}, contained=True, answers=self._answers,
        )  # fmt: skip

    def _forget_paths(self) -> None:
        """Void what the kernel's program remembers of paths; it does so itself after each call that moves something."""
        table = self._loaded.table(".data.generation")
        (now,) = struct.unpack("<I", (table.take(b"\0\0\0\0") or bytes(4))[:4])
        table.put(b"\0\0\0\0", struct.pack("<I", (now + 1) & 0xFFFFFFFF).ljust(table.value_size, b"\0"))

    def waiting(self) -> bool:
        """Tell whether records wait to be read."""
        return any(ring.waiting() for ring in self._rings)

    def lost(self) -> list[int]:
        """Return how many records each ring had no room for, as the kernel counts."""
        value = self._counting.take(b"\0\0\0\0", processors() * _COUNTERS.size) or b""
        rows = list(per_processor(value, _COUNTERS))
        return [sum(row[3 + ring] for row in rows) for ring in range(3)]

    def close(self) -> None:
        """Detach everything."""
        self._poll.close()
        for ring in self._rings:
            ring.close()
        self._loaded.close()

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def _ring(self, name: str) -> Ring:
        table = self._loaded.table(name)
        return Ring(table.fd, table.entries)

    def _counted(self, head: Head) -> int:
        """Return how many records of a ring and processor are missing before this one."""
        key = (head.ring, head.processor)
        missing = head.number - self._next.get(key, head.number if key not in self._next else 0)
        self._next[key] = head.number + 1
        if missing > 0:
            self.gaps[head.ring] += missing
            return missing
        return 0

    def _gap(self, head: Head, missing: int, offset: int) -> Event:
        return Event(
            "gap", head.at_ns, head.at_ns + offset, Process(0), head.number, head.processor,
            arguments={"missing": missing, "ring": _RINGS[head.ring].removeprefix("ring_")}, answers=self._answers,
        )  # fmt: skip

    def _told_gaps(self, offset: int) -> Iterator[Event]:
        """Say what is missing, at most once a second for each ring: in a flood each is followed by the next."""
        at = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        for ring, missing in enumerate(self._untold):
            if missing and at - self._told_at[ring] >= _GAPS_EVERY_NS:
                self._told_at[ring], self._untold[ring] = at, 0
                self._stale |= ring == LIFE
                yield self._gap(Head(at, self.told[ring], 0, 0, ring, 0), missing, offset)

    def _silent_gaps(self) -> None:
        """Find what was lost at the end of a burst, after which no record came that would show it."""
        lost = self.lost()
        for ring, count in enumerate(lost):
            hidden = count - self.gaps[ring]
            if hidden > 0 and not self._rings[ring].waiting():
                self.gaps[ring] += hidden
                self._untold[ring] += hidden
                for key in [key for key in self._next if key[0] == ring]:
                    del self._next[key]

    def _event(self, told: Told, offset: int) -> Event | None:
        head = told.head
        if isinstance(told, Group):
            if told.hierarchy == 0 and told.gone:
                self.containers.removed(told.id)
            elif not told.gone:
                self.containers.made(told.id if told.hierarchy == 0 else -told.id, told.path)
            return None
        who = told.who
        if who.flags & UNTOLD:
            self.processes.forked(who.parent, who.pid, who.start_ns, who.values)
        if isinstance(told, Call):
            process, before = self._acting(who, head)
            event = Event(
                told.name, head.at_ns, head.at_ns + offset, process, head.number, head.processor, told.result,
                told.arguments, told.file, told.socket, told.descriptor, bool(who.flags & CONTAINED), told.write,
                before, self._answers,
            )  # fmt: skip
            self.objects.complete(event, told.inside)
            self.around.shared = self.objects.shared
            return event
        if isinstance(told, Exec):
            life = self.processes.executed(who.pid, who.start_ns, head.at_ns, told.values)
            event = Event(
                "execve", head.at_ns, head.at_ns + offset, life, head.number, head.processor, 0,
                {"pathname": told.file.path}, told.file, contained=bool(who.flags & CONTAINED), answers=self._answers,
            )  # fmt: skip
            self.objects.complete(event, told.inside)
            return event
        if isinstance(told, Fork):
            life = self.processes.forked(told.parent, who.pid, who.start_ns, who.values)
            name, result = "clone", who.pid
        else:
            gone = self.processes.exited(who.pid, who.start_ns, head.at_ns, told.code)
            if gone is None:
                return None
            life, name, result = gone, "procexit", told.code
        return Event(
            name, head.at_ns, head.at_ns + offset, life, head.number, head.processor, result,
            contained=bool(who.flags & CONTAINED), answers=self._answers,
        )  # fmt: skip

    def _placed(self, life: Life) -> None:
        self._inner[life.namespaces.get("pid", 0), life.virtual_pid] = life
        self.containers.placed(life)

    def _left(self, life: Life) -> None:
        key = life.namespaces.get("pid", 0), life.virtual_pid
        if self._inner.get(key) is life:
            del self._inner[key]
        self.containers.ended(life)

    def _acting(self, who: Who, head: Head) -> tuple[Life, Mapping[str, int]]:
        """Return who acted, and the namespaces it was in before the call."""
        known = self.processes.alive.get(who.pid)
        if known is None and (who.pid, who.start_ns) not in self.processes.ended:
            seen = snapshot.one(who.pid)
            if seen is not None:
                self.containers.placed(self.processes.entered(seen.life, seen.parent_pid), seen.groups)
        before = known.namespaces if known is not None else who.values["namespaces"]
        return self.processes.seen(who.pid, who.start_ns, head.at_ns, who.values), before


RUNTIMES = (
    "runc", "crun", "runsc", "youki", "kata-runtime", "containerd-shim-kata-v2", "containerd-shim",
    "containerd-shim-runc-v1", "containerd-shim-runc-v2", "containerd-shim-runsc-v1", "containerd", "dockerd",
    "docker-proxy", "podman", "conmon", "crio", "buildkitd", "buildah",
)  # fmt: skip
FOLDERS = (
    "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin", "/usr/libexec/podman",
    "/usr/lib/podman", "/opt/containerd/bin",
)  # fmt: skip


SANDBOXES = frozenset(("runsc", "containerd-shim-runsc-v1"))
_SETS_UP, _SANDBOX = 1, 2


def runtimes(folders: Iterable[str] = FOLDERS) -> Iterator[tuple[int, int, int]]:
    """Iterate over device, inode and kind (``enum`` in maps.h) of the container runtimes' own programs on this host."""
    found: set[tuple[int, int]] = set()
    for folder in folders:
        for name in RUNTIMES:
            try:
                stat = Path(folder, name).stat()
            except OSError:
                continue
            if (stat.st_dev, stat.st_ino) not in found:
                found.add((stat.st_dev, stat.st_ino))
                yield stat.st_dev, stat.st_ino, _SANDBOX if name in SANDBOXES else _SETS_UP


def _ring_programs() -> tuple[str, ...]:
    """Return the programs that this kernel has a tracepoint of io_uring for; none without io_uring."""
    try:
        types = _TYPES.read_bytes()
    except OSError:
        return ()
    return tuple(program for name, program in _RING_HANDED.items() if f"\0btf_trace_{name}\0".encode() in types)


def _root() -> os.stat_result:
    """Return what the host's root directory is; the sensor's own where that of process 1 may not be looked at."""
    try:
        return Path("/proc/1/root/").stat()
    except OSError:
        return Path("/").stat()


def _kernel_device(device: int) -> int:
    return os.major(device) << 20 | os.minor(device)


def _device(path: str) -> int:
    try:
        return Path(path).stat().st_dev
    except FileNotFoundError:
        return 0
