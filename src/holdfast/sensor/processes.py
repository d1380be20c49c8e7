"""The process table: who runs, who ran a moment ago, and who started whom. No I/O; the sensor's records feed it.

A process is named by its number and its start, so that a number which is given out again never mixes two lives. A
process that ended is kept for a while: records of another ring may still name it, and its children need an ancestor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from heapq import nsmallest
from operator import attrgetter
from typing import Any

from holdfast.model.event import Process

MOST = 65_536
"""Most entries, living and ended together. A machine with more loses the oldest, and ``dropped`` counts them."""
KEPT_NS = 60_000_000_000
"""How long a process that ended stays, in nanoseconds: longer than a ring can lag behind."""
ENDED = 16_384
"""Most processes that ended and are kept. At 1,000 short processes a second that is 16 s."""
WHOLE = 1024
"""How many of those that ended last keep their environment; kilobytes each, and asked for at the exec."""
GENERATIONS = 32
"""Longest ancestry that is kept. A chain of processes that each start the next and end would grow for ever."""
EARLIER = 4
"""Most programs a process ran before its present one that are remembered, for records that arrive late."""
TICK_NS = 10_000_000
"""procfs gives a start in hundredths of a second (USER_HZ), rounded down; records give it in nanoseconds."""

Values = Mapping[str, Any]
"""New values by the name of an attribute of ``Process``, or ``own_root``. A name that is not there keeps its value."""

_NAMES = frozenset(field.name for field in fields(Process)) | {"own_root"}


@dataclass(slots=True, eq=False)
class Life(Process):
    """One process of the table.

    Attributes:
        refreshed_ns: When what is known of it was last told, CLOCK_BOOTTIME.
        ended_ns: When it ended, CLOCK_BOOTTIME; 0 while it runs.
        entered_ns: When it came into its container from outside, CLOCK_BOOTTIME; 0 for one that was born there.
        own_root: Its root directory is not the host's, as the kernel told; None where it was not told.
        counted: Its container counts it among its living processes.
        status: Wait status it ended with, as wait(2) gives it; None while it runs or where it was not told.
        earlier: What it was before each of its last exec calls, newest last.
    """

    refreshed_ns: int = 0
    ended_ns: int = 0
    entered_ns: int = 0
    own_root: bool | None = None
    counted: bool = False
    status: int | None = None
    earlier: tuple[Life, ...] = ()

    @property
    def visits(self) -> bool:
        """It came from the host into a container's namespaces and has run no program since."""
        return self.entered_ns > self.executed_ns


_ATTRIBUTES = attrgetter(*(field.name for field in fields(Life)))


def _copied(life: Life) -> Life:
    """Copy it, four times as fast as ``dataclasses.replace``: each start of a program makes two."""
    return Life(*_ATTRIBUTES(life))


Hook = Callable[[Life], None]


def _nothing(_: Life) -> None:
    """Do nothing."""


class Processes:
    """The table. One thread owns it.

    Attributes:
        alive: The newest life by process id.
        ended: Lives that ended, by process id and start, in the order in which they ended.
        dropped: How many living ones were given up because there were too many.
    """

    def __init__(
        self, *, most: int = MOST, ended: int = ENDED, kept_ns: int = KEPT_NS, placed: Hook = _nothing,
        left: Hook = _nothing,
    ) -> None:  # fmt: skip
        """Make an empty table.

        Args:
            most: Most entries, the ended ones among them.
            ended: Most ended ones.
            kept_ns: How long an ended one stays at most.
            placed: Told of a life that is new, or whose namespaces, control group or program are new.
            left: Told of a life that ended.
        """
        self.alive: dict[int, Life] = {}
        self.ended: dict[tuple[int, int], Life] = {}
        self.dropped = 0
        self._whole: deque[tuple[int, int]] = deque()
        self._most = most
        self._most_ended = ended
        self._kept_ns = kept_ns
        self._placed = placed
        self._left = left

    def forked(self, parent_pid: int, pid: int, start_ns: int, values: Values | None = None) -> Life:
        """Enter a child. It has what its parent has until something else is told.

        Args:
            parent_pid: Who called fork or clone; it stays the parent in the table, whoever adopts the child later.
            pid: The child.
            start_ns: Its start, CLOCK_BOOTTIME.
            values: What the record tells of the child.
        """
        parent = self.alive.get(parent_pid)
        known = self.alive.get(pid)
        if known is not None and same_life(known.start_ns, start_ns):  # its own record overtook that of the fork
            self._adopted(known, parent)
            return self._refresh(known, start_ns, values, start_ns)
        self._replaced(pid, start_ns)
        if parent is None:
            child = Life(pid, start_ns, executed_ns=start_ns, refreshed_ns=start_ns)
        else:
            child = _copied(parent)
            child.pid, child.start_ns, child.virtual_pid = pid, start_ns, 0
            child.parent = self._linked(parent)
            child.entered_ns = start_ns + 1 if parent.visits else 0
            child.executed_ns = child.refreshed_ns = start_ns
            child.ended_ns, child.status = 0, None
            child.counted, child.earlier = False, ()
        self.alive[pid] = child
        _write(child, values)
        self._placed(child)
        self._bound(start_ns)
        return child

    def executed(self, pid: int, start_ns: int, at_ns: int, values: Values) -> Life:
        """Note that a process runs another program from now on.

        Args:
            pid: The process.
            start_ns: Its start, CLOCK_BOOTTIME.
            at_ns: When, CLOCK_BOOTTIME.
            values: What the record tells: name, arguments, executable, credentials.
        """
        life = self.seen(pid, start_ns, at_ns)
        if at_ns < life.executed_ns:
            return life
        former = _copied(life)
        former.earlier = ()
        life.earlier = (*life.earlier, former)[-EARLIER:]
        _write(life, values)
        life.executed_ns = at_ns
        life.refreshed_ns = max(life.refreshed_ns, at_ns)
        self._placed(life)
        return life

    def exited(self, pid: int, start_ns: int, at_ns: int, status: int | None = None) -> Life | None:
        """Note that a process ended. Its children keep it as their parent.

        Returns:
            The life that ended; None where nobody knew it.
        """
        life = self.alive.get(pid)
        if life is None or not (start_ns == 0 or same_life(life.start_ns, start_ns)):
            return None
        life.status = status
        del self.alive[pid]
        self._end(life, at_ns)
        self._bound(at_ns)
        return life

    def seen(self, pid: int, start_ns: int, at_ns: int, values: Values | None = None) -> Life:
        """Find who acted, and refresh what a record's header tells of it.

        Args:
            pid: The process.
            start_ns: Its start, CLOCK_BOOTTIME; 0 where it is not known.
            at_ns: When the record was made, CLOCK_BOOTTIME.
            values: Credentials, namespaces and whatever else the header holds.

        Returns:
            The life as it was then: a record that is older than the last exec gets what the process was before it.
        """
        life = self.alive.get(pid)
        if life is None or not (start_ns == 0 or same_life(life.start_ns, start_ns)):
            gone = self._ended_life(pid, start_ns)
            if gone is not None:
                return gone
            if life is not None and start_ns < life.start_ns:  # it ended before anybody wrote of it
                return self._unlisted(pid, start_ns, at_ns, values)
            self._replaced(pid, start_ns or at_ns)
            life = Life(pid, start_ns, executed_ns=start_ns, refreshed_ns=at_ns)
            self.alive[pid] = life
            _write(life, values)
            self._placed(life)
            self._bound(at_ns)
            return life
        if at_ns < life.executed_ns and life.earlier:
            return _before(life, at_ns)
        return self._refresh(life, start_ns, values, at_ns)

    def entered(self, life: Life, parent_pid: int = 0) -> Life:
        """Enter a process that runs already, as procfs shows it. What records told counts more."""
        known = self.alive.get(life.pid)
        parent = self.alive.get(parent_pid)
        if known is not None and same_life(known.start_ns, life.start_ns):
            _fill(known, life)
            self._adopted(known, parent)
            self._placed(known)
            return known
        if known is not None and known.start_ns > life.start_ns:
            return known
        self._replaced(life.pid, life.start_ns)
        self._adopted(life, parent)
        self.alive[life.pid] = life
        self._placed(life)
        self._bound(life.refreshed_ns)
        return life

    def missed(self, living: Collection[int], at_ns: int) -> int:
        """End those of whom no record told that they ended, after a gap.

        Args:
            living: Process ids that procfs listed.
            at_ns: When the listing began, CLOCK_BOOTTIME; who started later is left alone.

        Returns:
            How many.
        """
        lost = [life for pid, life in self.alive.items() if pid not in living and life.refreshed_ns < at_ns]
        for life in lost:
            del self.alive[life.pid]
            self._end(life, at_ns)
        self._bound(at_ns)
        return len(lost)

    def __len__(self) -> int:
        """Count the entries."""
        return len(self.alive) + len(self.ended)

    def _refresh(self, life: Life, start_ns: int, values: Values | None, at_ns: int) -> Life:
        if start_ns > life.start_ns:  # procfs rounds down; the record is exact
            if life.executed_ns == life.start_ns:
                life.executed_ns = start_ns
            life.start_ns = start_ns
        if values is None or at_ns < life.refreshed_ns:
            return life
        life.refreshed_ns = at_ns
        moved = (
            values.get("cgroup", life.cgroup) != life.cgroup
            or values.get("namespaces", life.namespaces) != life.namespaces
            or values.get("own_root", life.own_root) != life.own_root
        )
        _write(life, values)
        if moved:
            self._placed(life)
        return life

    def _unlisted(self, pid: int, start_ns: int, at_ns: int, values: Values | None) -> Life:
        """Enter a process that ended already, since its number belongs to another by now."""
        life = Life(pid, start_ns, executed_ns=start_ns, refreshed_ns=at_ns)
        _write(life, values)
        self._placed(life)
        self._end(life, at_ns)
        self._bound(at_ns)
        return life

    def _ended_life(self, pid: int, start_ns: int) -> Life | None:
        found = self.ended.get((pid, start_ns))
        if found is None and start_ns:
            found = self.ended.get((pid, start_ns - start_ns % TICK_NS))
        return found

    def _replaced(self, pid: int, at_ns: int) -> None:
        """End the former owner of a number: its own end was not told."""
        former = self.alive.pop(pid, None)
        if former is not None:
            self._end(former, at_ns)

    def _end(self, life: Life, at_ns: int) -> None:
        life.ended_ns = at_ns
        life.earlier = ()
        self.ended[life.pid, life.start_ns] = life
        self._whole.append((life.pid, life.start_ns))
        if len(self._whole) > WHOLE:
            older = self.ended.get(self._whole.popleft())
            if older is not None:
                older.environment = ()
        self._left(life)

    def _adopted(self, child: Life, parent: Life | None) -> None:
        """Give a child that has none its parent, and its container; nobody becomes his own ancestor."""
        if child.parent is not None or parent is None or parent is child:
            return
        if parent.start_ns >= child.start_ns + TICK_NS:  # that number is another's by now
            return
        if any(one is child for one in ancestors(parent)):
            return
        child.parent = self._linked(parent)
        if child.container is None and parent.container is not None:
            child.container = parent.container
            self._placed(child)

    def _linked(self, parent: Life | None) -> Life | None:
        """Return a parent whose own ancestry is short enough for one more generation."""
        step: Process | None = parent
        for _ in range(GENERATIONS - 2):
            if step is None:
                return parent
            step = step.parent
        if step is not None:
            step.parent = None
        return parent

    def _bound(self, now_ns: int) -> None:
        """Forget whom nobody will ask for any more: the ended ones first, oldest first."""
        ended = self.ended
        while ended:
            oldest = next(iter(ended.values()))
            crowded = len(ended) > self._most_ended or len(ended) + len(self.alive) > self._most
            if not crowded and now_ns - oldest.ended_ns <= self._kept_ns:
                break
            del ended[oldest.pid, oldest.start_ns]
            oldest.environment = ()  # its children may hold it for long
        if len(self.alive) > self._most:  # many at once, so that the search is not made for each new process
            many = max(1, self._most // 16) + len(self.alive) - self._most - 1
            for life in nsmallest(many, self.alive.values(), key=_refreshed):
                del self.alive[life.pid]
                self.dropped += 1
                self._left(life)


def same_life(known_ns: int, told_ns: int) -> bool:
    """Tell whether two starts of one process id are the same: equal, or one of them rounded down by procfs."""
    if known_ns == told_ns:
        return True
    low, high = (known_ns, told_ns) if known_ns < told_ns else (told_ns, known_ns)
    return low % TICK_NS == 0 and high - low < TICK_NS


def ancestors(process: Process, most: int = GENERATIONS) -> Iterator[Process]:
    """Iterate over who started a process, its parent first. It ends, whatever the table holds."""
    step = process.parent
    for _ in range(most):
        if step is None:
            return
        yield step
        step = step.parent


def _before(life: Life, at_ns: int) -> Life:
    """Return what a process was at a time before its last exec."""
    for former in reversed(life.earlier):
        if at_ns >= former.executed_ns:
            return former
    return life.earlier[0]


def _refreshed(life: Life) -> int:
    return life.refreshed_ns


def _write(life: Life, values: Values | None) -> None:
    if values:
        for name, value in values.items():
            if name not in _NAMES:
                raise KeyError(name)
            if name == "namespaces" and value == life.namespaces:
                continue  # most processes share their parent's; one table of numbers serves them all
            setattr(life, name, value)


def _fill(known: Life, told: Life) -> None:
    """Take over what is known of a process from procfs where no record told it."""
    for name in _FILLED:
        if not getattr(known, name):
            setattr(known, name, getattr(told, name))
    if not known.executable.path and told.executable.path:
        known.executable = told.executable
    if known.login_user is None:
        known.login_user = told.login_user


_OTHERWISE = {"pid", "start_ns", "parent", "container", "executable", "login_user", "executed_ns", "own_root"}
_FILLED = tuple(sorted(_NAMES - _OTHERWISE))
