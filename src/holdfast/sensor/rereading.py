"""After a gap: who lives is read from procfs again, since births, ends and new programs may have gone untold.

It runs in a thread of its own that nobody waits for: a hostile process can make whoever reads its arguments wait.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from holdfast.sensor import snapshot
from holdfast.sensor.containers import Containers
from holdfast.sensor.processes import TICK_NS, Life, Processes, same_life

_PROGRAMMED = (
    "name", "arguments", "environment", "directory", "executable", "user", "effective_user", "group", "effective_group",
    "effective", "permitted", "session", "group_leader", "terminal", "login_user", "namespaces",
)  # fmt: skip


class Known(NamedTuple):
    """What the table says of a process: enough to see whether that still holds.

    Attributes:
        start_ns: Its start, CLOCK_BOOTTIME.
        inode: Of its program; 0 where it is not known.
    """

    start_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Reread:
    """What procfs showed.

    Attributes:
        at_ns: When the look began, CLOCK_BOOTTIME; what records told later counts more.
        living: Process ids in use.
        seen: Processes that the table did not know, or knew with another program.
    """

    at_ns: int
    living: frozenset[int]
    seen: tuple[snapshot.Seen, ...]


def look(known: Mapping[int, Known], at_ns: int, proc: str = snapshot.PROC) -> Reread:
    """Read what differs from a table.

    Args:
        known: The table, by process id.
        at_ns: Now, CLOCK_BOOTTIME.
        proc: Where procfs is mounted.
    """
    living = snapshot.living(proc)
    fresh = [pid for pid in living if not _as_told(known.get(pid), Path(proc, str(pid)))]
    found = [one for pid in fresh if (one := snapshot.one(pid, proc)) is not None]
    found.sort(key=lambda one: (one.life.start_ns, one.life.pid))
    return Reread(at_ns, living, tuple(found))


def apply(told: Reread, processes: Processes, containers: Containers) -> None:
    """Bring a table up to date with what procfs showed."""
    processes.missed(told.living, told.at_ns)
    for seen in told.seen:
        life = processes.alive.get(seen.life.pid)
        if life is None or not same_life(life.start_ns, seen.life.start_ns):
            life = processes.entered(seen.life, seen.parent_pid)
        elif life.executed_ns < told.at_ns:
            values = {name: getattr(seen.life, name) for name in _PROGRAMMED}
            life = processes.executed(life.pid, life.start_ns, told.at_ns, values)
        containers.placed(life, seen.groups)


class Rereading:
    """Looks, one time after another, while others go on."""

    def __init__(self) -> None:
        """Look at nothing yet."""
        self._thread: threading.Thread | None = None
        self._found: Reread | None = None

    def begin(self, lives: Iterable[Life], at_ns: int) -> bool:
        """Begin to look, unless a look is still under way.

        Args:
            lives: Who lives as far as the table knows.
            at_ns: Now, CLOCK_BOOTTIME.
        """
        if self._thread is not None and self._thread.is_alive():
            return False
        known = {life.pid: Known(life.start_ns, life.executable.inode) for life in lives}
        self._thread = threading.Thread(target=self._run, args=(known, at_ns), name="holdfast-rereading", daemon=True)
        self._thread.start()
        return True

    def news(self) -> Reread | None:
        """Return what was found, once."""
        found, self._found = self._found, None
        return found

    def _run(self, known: Mapping[int, Known], at_ns: int) -> None:
        self._found = look(known, at_ns)


def _as_told(known: Known | None, folder: Path) -> bool:
    if known is None:
        return False
    try:
        stat = (folder / "stat").read_bytes()
        if not same_life(known.start_ns, int(stat.rpartition(b")")[2].split()[19]) * TICK_NS):
            return False
        return not known.inode or (folder / "exe").stat().st_ino == known.inode
    except (OSError, ValueError, IndexError):
        return True  # a thread of the kernel, or it has ended
