"""The hash chain: every record is bound to all records before it."""

from __future__ import annotations

import hashlib
import struct

_WHOLE = 1 << 256
_PLACE = struct.Struct(">QqBB")


def genesis(stream: str) -> bytes:
    """Return the hash that stands before the first record of a stream."""
    return hashlib.sha256(b"holdfast spool 1\n" + stream.encode("ascii")).digest()


def link(previous: bytes, place: tuple[int, int, int, int], body: bytes) -> bytes:
    """Return the hash of one record.

    Args:
        previous: The hash before it, 32 bytes.
        place: Its number from 1; when it was accepted, nanoseconds since 1970; its kind, 0 to 255; its severity, 0 to
            255.
        body: The record.

    Returns:
        32 bytes. All that stands before the body has a fixed length, so no two records spell the same input.
    """
    return hashlib.sha256(previous + _PLACE.pack(*place) + body).digest()


def mark(first: int, last: int, hash_: bytes) -> int:
    """Return what one gap adds to the sum that stands for all gaps.

    The sum can be kept up to date gap by gap; a digest over the table would have to read it whole for every drop.

    Args:
        first: Number of its first record.
        last: Number of its last record.
        hash_: That one's hash.
    """
    return int.from_bytes(hashlib.sha256(b"gap" + struct.pack(">QQ", first, last) + hash_).digest(), "big")


def summed(total: int) -> bytes:
    """Return a sum of marks as it is kept, 32 bytes."""
    return (total % _WHOLE).to_bytes(32, "big")
