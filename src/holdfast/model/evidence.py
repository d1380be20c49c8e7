"""Evidence: the place of an alert in the spool's chain, and an alert as the spool gives it back. Plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamp:
    """The place of one record in one chain. Stream and sequence name it for good: a receiver knows a copy by them.

    Attributes:
        stream: 32 hex digits, drawn when the spool was made.
        sequence: From 1, without gaps, in the order of acceptance. It orders records where clocks jump.
        chain: 64 hex digits, SHA-256 over the record and all before it. A receiver that keeps it can tell later whether
            the spool was rewritten.
    """

    stream: str
    sequence: int
    chain: str


@dataclass(frozen=True, slots=True)
class Kept:
    """One record of the spool.

    Attributes:
        stamp: Its place.
        accepted_ns: Wall clock when it was accepted, nanoseconds since 1970. It may jump; the sequence does not.
        body: The alert as native JSON, without the stamp.
    """

    stamp: Stamp
    accepted_ns: int
    body: bytes
