"""The time of an alert as text."""

from __future__ import annotations

import time

_YEAR_10000_S = 253402300800
_BILLION = 1_000_000_000


def rfc3339(at_ns: int, digits: int = 9) -> str:
    """Write a time as RFC 3339 in UTC.

    Args:
        at_ns: Nanoseconds since 1970. What lies outside the years 1970 to 9999 is moved to that border: a clock may
            stand anywhere, and an alert is written all the same.
        digits: Of the fraction, 1 to 9; the rest is cut off, never rounded up.

    Returns:
        ``2026-01-31T23:59:59.123456789Z``.

    Source:
        RFC 3339, section 5.6.
    """
    at_ns = min(max(at_ns, 0), _YEAR_10000_S * _BILLION - 1)
    seconds, rest = divmod(at_ns, _BILLION)
    year, month, day, hour, minute, second = time.gmtime(seconds)[:6]
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{f'{rest:09}'[:digits]}Z"
