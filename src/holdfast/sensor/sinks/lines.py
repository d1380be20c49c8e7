"""Records as lines."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.sensor.sinks.outcome import Permanent


def lines(records: Sequence[bytes]) -> bytes:
    r"""Join records, each ended with ``\n``.

    Raises:
        Permanent: A record holds the end of a line, and would be read as two.
    """
    for record in records:
        if b"\n" in record or b"\r" in record:
            raise Permanent("the record holds the end of a line")
    return b"".join(record + b"\n" for record in records)
