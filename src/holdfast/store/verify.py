"""The chain recomputed: where is the first place that does not hold?"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.store.chain import genesis, link, mark, summed

_EVERY = 4096


@dataclass(frozen=True, slots=True)
class Verified:
    """What came out.

    Attributes:
        first: Number of the oldest record that is there, 0 where there is none.
        last: Number of the newest record, dropped ones included.
        records: How many are there.
        dropped: How many were dropped for the quota, as the chain itself says.
        broken: Number of the first record that does not hold, None where all do.
        why: What is wrong there, in one line; empty where nothing is.
    """

    first: int
    last: int
    records: int
    dropped: int
    broken: int | None = None
    why: str = ""


def attested(connection: sqlite3.Connection) -> str:
    """Return the sum over all gaps, 64 hex digits; the newest record about a drop carries it."""
    rows = connection.execute("SELECT first, last, hash FROM gap")
    return summed(sum(mark(first, last, hash_) for first, last, hash_ in rows)).hex()


def verified(connection: sqlite3.Connection, stream: str, progress: Callable[[int], None]) -> Verified:
    """Recompute the chain from its beginning.

    Args:
        connection: For reading; one transaction holds everything still.
        stream: The name of the chain.
        progress: Called with the sequence number reached, now and then.

    Raises:
        sqlite3.Error: SQLite cannot read the file.
    """
    connection.execute("BEGIN")
    try:
        return _walked(connection, stream, progress)
    finally:
        connection.execute("ROLLBACK")


def _walked(connection: sqlite3.Connection, stream: str, progress: Callable[[int], None]) -> Verified:
    gaps = {first: (last, hash_) for first, last, hash_ in connection.execute("SELECT first, last, hash FROM gap")}
    dropped = sum(last - first + 1 for first, (last, _) in gaps.items())
    first, last, records = 0, 0, 0
    hash_ = genesis(stream)
    attesting: bytes | None = None
    rows = connection.execute("SELECT sequence, accepted_ns, kind, priority, hash, body FROM record ORDER BY sequence")
    for sequence, accepted_ns, kind, priority, found, body in rows:
        while last + 1 in gaps and last + 1 < sequence:
            last, hash_ = gaps.pop(last + 1)
        if sequence != last + 1:
            return Verified(first, last, records, dropped, last + 1, "it is missing, and no record says it was dropped")
        if link(hash_, (sequence, accepted_ns, kind, priority), body) != found:
            return Verified(first, last, records, dropped, sequence, "it is not what was accepted")
        last, hash_, records, first = sequence, found, records + 1, first or sequence
        if kind:
            attesting = body
        if sequence % _EVERY == 0:
            progress(sequence)
    if gaps:
        return Verified(first, last, records, dropped, min(gaps), "it counts as dropped, and stands outside the chain")
    if dropped and _said(attesting) != attested(connection):
        return Verified(first, last, records, dropped, last, "what the chain says was dropped is not what is missing")
    return Verified(first, last, records, dropped)


def _said(body: bytes | None) -> str:
    try:
        return str(json.loads(body or b"{}")["fields"]["gaps.digest"])
    except (ValueError, KeyError, TypeError):
        return ""
