"""How large the spool may grow, and what goes first. Nothing goes silently.

Dropped are, in this order: what every sink has, the oldest first; what lies among the dead letters, the oldest first;
what some sink still waits for, the least urgent first and of these the oldest; records about earlier drops. The reason
for urgency before age: who floods the spool with noise must not thereby push out the alert that told of him.

Each drop appends a record to the chain, in the same transaction as the drop itself, that says how many and which
numbers went. The table ``gap`` keeps, for each run of dropped records, the hash of its last one, so that the chain
can be recomputed across it; the record carries a sum over that table.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.model.alert import Alert, Origin, Priority, Verdict
from holdfast.model.errors import Usage
from holdfast.store.chain import mark, summed

_SLICE = 64
"""At least this part of the quota is made free at once, so that drops are rare."""

_RESERVE = 8
"""The part of the quota that is kept free where that takes one drop for each call."""

_RUNS = 500
"""One record names at most so many runs of numbers."""

_ROW = 160
"""Bytes that a record costs beside its body."""

_RECORD = 16384
"""Room for the record about a drop."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """One drop.

    Attributes:
        runs: First and last number of each run, in order.
        count: How many records.
        undelivered: How many of them some sink still waited for.
        urgent: The most urgent severity among the undelivered ones, 0 to 7; None where there was none.
        total: How many have been dropped since the spool was made.
        digest: Sum over all gaps, 64 hex digits.
        quota_bytes: The quota.
    """

    runs: tuple[tuple[int, int], ...]
    count: int
    undelivered: int
    urgent: int | None
    total: int
    digest: str
    quota_bytes: int


def made_room(connection: sqlite3.Connection, size: int, count: int, quota_bytes: int) -> Iterator[Dropped]:
    """Drop records, inside the caller's transaction, until new ones fit.

    Args:
        connection: In a transaction that writes.
        size: Bytes of the new bodies.
        count: How many there are.
        quota_bytes: The quota.

    Yields:
        Each drop; the caller appends ``record`` of it before asking for the next.

    Raises:
        Usage: All was dropped that may be, and the new ones still do not fit.
        sqlite3.Error: The file cannot be changed.
    """
    need = size + count * _ROW + _RECORD
    if need > quota_bytes // 2:
        raise Usage("the quota of the spool leaves no room for these alerts", str(quota_bytes), "give a larger quota")
    # One slice for each call once the last part of the quota is touched: so no call has to make much room at once.
    allowed = quota_bytes - quota_bytes // _RESERVE
    while _used(connection) + need > allowed:
        dropped = _drop(connection, max(2 * need, quota_bytes // _SLICE), quota_bytes)
        if dropped is None:
            raise Usage("the quota of the spool is used up", str(quota_bytes), "give a larger quota")
        yield dropped
        allowed = quota_bytes


def record(dropped: Dropped, stream: str, sequence: int, node: str, at_ns: int) -> Alert:
    """Say in the chain what was dropped.

    Args:
        dropped: The drop.
        stream: The spool's stream.
        sequence: The number that this record gets.
        node: Host name.
        at_ns: Wall clock, nanoseconds since 1970.
    """
    runs = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in dropped.runs)
    waited = f"; {dropped.undelivered} of them had not reached every sink" if dropped.undelivered else ""
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return Alert(
        id=f"{stream}:{sequence}:evidence-dropped",
        at_ns=at_ns,
        boot_ns=boot_ns,
        seen_ns=boot_ns,
        node=node,
        origin=Origin.SENSOR,
        rule="evidence-dropped",
        title="Records were dropped from the spool because its quota was used up",
        output=f"{dropped.count} records were dropped from the spool{waited}",
        priority=Priority.CRITICAL if dropped.undelivered else Priority.INFORMATIONAL,
        verdict=Verdict.OBSERVED,
        backend="",
        fields={
            "dropped.count": dropped.count,
            "dropped.undelivered": dropped.undelivered,
            "dropped.most_urgent": None if dropped.urgent is None else Priority(dropped.urgent).title,
            "dropped.numbers": runs,
            "dropped.total": dropped.total,
            "gaps.digest": dropped.digest,
            "quota.bytes": dropped.quota_bytes,
        },
    )


def given_back(connection: sqlite3.Connection, quota_bytes: int) -> None:
    """Give the disk back what lies above the quota, as after the quota was made smaller.

    Raises:
        sqlite3.Error: The file cannot be changed.
    """
    page, pages, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _PAGES)
    over = pages - quota_bytes // page
    if over > 0 and free:
        # Not execute: this statement has no columns, so that would make one step of it and free one page.
        connection.executescript(f"PRAGMA incremental_vacuum({min(over, free)})")


_PAGES = ("page_size", "page_count", "freelist_count")


def _used(connection: sqlite3.Connection) -> int:
    page, pages, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _PAGES)
    return int(page * (pages - free))


def _drop(connection: sqlite3.Connection, goal: int, quota_bytes: int) -> Dropped | None:
    positions = dict(connection.execute("SELECT name, position FROM sink WHERE active").fetchall())
    everywhere = min(positions.values(), default=None)
    if everywhere is None:
        everywhere = connection.execute("SELECT coalesce(max(sequence), 0) FROM record").fetchone()[0]
    numbers: list[int] = []
    urgent: int | None = None
    freed = runs = 0
    before = -1
    for sequence, priority, size in _candidates(connection, everywhere):
        runs += sequence != before + 1
        if freed >= goal or runs > _RUNS:
            break
        before = sequence
        numbers.append(sequence)
        freed += size + _ROW
        if sequence > everywhere:
            urgent = priority if urgent is None else min(urgent, priority)
    if not numbers:
        return None
    numbers.sort()
    missed = [(sum(number > position for number in numbers), name) for name, position in positions.items()]
    connection.executemany("UPDATE sink SET missed = missed + ? WHERE name = ?", missed)
    joined = tuple(_runs(numbers))
    total, gaps = connection.execute("SELECT dropped, gaps FROM head").fetchone()
    change = sum(_leave_gap(connection, first, last) for first, last in joined)
    total += len(numbers)
    gaps = summed(int.from_bytes(gaps, "big") + change)
    connection.execute("UPDATE head SET dropped = ?, gaps = ?", (total, gaps))
    undelivered = sum(number > everywhere for number in numbers)
    return Dropped(joined, len(numbers), undelivered, urgent, total, gaps.hex(), quota_bytes)


def _candidates(connection: sqlite3.Connection, everywhere: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, severity and size of what may go, in the order it goes. Read it while nothing is deleted."""
    columns = "sequence, priority, length(body)"
    dead = "sequence IN (SELECT sequence FROM dead)"
    for condition in (f"NOT {dead}", dead):
        yield from connection.execute(
            f"SELECT {columns} FROM record WHERE sequence <= ? AND {condition} ORDER BY sequence",  # noqa: S608
            (everywhere,),
        )
    for kind in (0, 1):
        for priority in reversed(Priority):
            yield from connection.execute(
                f"SELECT {columns} FROM record"  # noqa: S608 - the words are ours
                " WHERE kind = ? AND priority = ? AND sequence > ? ORDER BY sequence",
                (kind, priority.value, everywhere),
            )


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


def _leave_gap(connection: sqlite3.Connection, first: int, last: int) -> int:
    """Delete a run of records and return how that changes the sum over all gaps."""
    hash_ = connection.execute("SELECT hash FROM record WHERE sequence = ?", (last,)).fetchone()[0]
    connection.execute("DELETE FROM record WHERE sequence BETWEEN ? AND ?", (first, last))
    connection.execute("DELETE FROM dead WHERE sequence BETWEEN ? AND ?", (first, last))
    change = 0
    behind = connection.execute("SELECT last, hash FROM gap WHERE first = ?", (last + 1,)).fetchone()
    if behind is not None:
        change -= mark(last + 1, *behind)
        connection.execute("DELETE FROM gap WHERE first = ?", (last + 1,))
        last, hash_ = behind
    before = connection.execute(
        "SELECT first, last, hash FROM gap WHERE first < ? ORDER BY first DESC LIMIT 1", (first,)
    ).fetchone()
    if before is not None and before[1] == first - 1:
        change -= mark(*before)
        first = before[0]
    connection.execute("INSERT OR REPLACE INTO gap VALUES (?, ?, ?)", (first, last, hash_))
    return change + mark(first, last, hash_)
