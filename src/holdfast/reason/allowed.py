"""What an answer may be for a condition to hold: sets of values that are never too small."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Any

MOST = 2000
"""Most patterns of one set; a larger one becomes "any"."""


class Shape(Enum):
    """What a pattern says of an answer."""

    EXACT = "is"
    PREFIX = "starts with"
    SUFFIX = "ends with"
    CONTAINS = "contains"
    RANGE = "lies between"
    NETWORK = "lies in"
    MEMBER = "has the member"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern; ``value`` is a pair of bounds for a range, each of them None where there is none."""

    shape: Shape
    value: Any

    def matches(self, answer: Any) -> bool:
        """Tell whether an answer may match. An answer of a kind that the shape does not know may."""
        try:
            return _TESTS[self.shape](answer, self.value)
        except (TypeError, AttributeError, ValueError):
            return True

    def __str__(self) -> str:
        """``/etc/*`` for a text, ``>= 0`` for a range."""
        if self.shape is Shape.RANGE:
            low, high = self.value
            return " and ".join([f">= {low}"] * (low is not None) + [f"<= {high}"] * (high is not None))
        before = "*" if self.shape in {Shape.SUFFIX, Shape.CONTAINS} else ""
        after = "*" if self.shape in {Shape.PREFIX, Shape.CONTAINS} else ""
        text = {True: "true", False: "false"}[self.value] if isinstance(self.value, bool) else str(self.value)
        return f"{before}{text}{after}"


def _between(answer: Any, bounds: Any) -> bool:
    low, high = bounds
    return (low is None or answer >= low) and (high is None or answer <= high)


def _in_network(answer: Any, network: Any) -> bool:
    seen = ip_address(answer)
    seen = getattr(seen, "ipv4_mapped", None) or seen
    return seen.version == network.version and seen in network


_TESTS: dict[Shape, Callable[[Any, Any], bool]] = {
    Shape.EXACT: lambda answer, value: bool(answer == value),
    Shape.PREFIX: lambda answer, value: bool(answer.startswith(value)),
    Shape.SUFFIX: lambda answer, value: bool(answer.endswith(value)),
    Shape.CONTAINS: lambda answer, value: value in answer,
    Shape.RANGE: _between,
    Shape.NETWORK: _in_network,
    Shape.MEMBER: lambda answer, value: value in answer,
}


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an answer may be.

    Attributes:
        patterns: It matches one of these; None where it may be anything.
        excluded: It is none of these values; only where ``patterns`` is None.
        missing: There may be no answer.
    """

    patterns: frozenset[Pattern] | None = None
    excluded: frozenset[Any] = frozenset()
    missing: bool = False

    @property
    def anything(self) -> bool:
        """Every answer is allowed, and none at all too."""
        return self.patterns is None and not self.excluded and self.missing

    @property
    def nothing(self) -> bool:
        """No answer is allowed."""
        return self.patterns is not None and not self.patterns and not self.missing

    def allows(self, answer: Any) -> bool:
        """Tell whether an answer, None where there is none, is allowed."""
        if answer is None:
            return self.missing
        if self.patterns is None:
            return not any(answer == value for value in self.excluded)
        return any(pattern.matches(answer) for pattern in self.patterns)

    def __or__(self, other: Allowed) -> Allowed:
        """What is allowed by one of them; rather more than less."""
        missing = self.missing or other.missing
        if self.patterns is not None and other.patterns is not None:
            both = self.patterns | other.patterns
            return Allowed(both if len(both) <= MOST else None, frozenset(), missing)
        excluded = frozenset(
            one for one in self.excluded | other.excluded if not (self.allows(one) or other.allows(one))
        )
        return Allowed(None, excluded, missing)

    def __and__(self, other: Allowed) -> Allowed:
        """What is allowed by both; rather more than less."""
        missing = self.missing and other.missing
        if self.patterns is None and other.patterns is None:
            return Allowed(None, self.excluded | other.excluded, missing)
        if self.patterns is None or other.patterns is None:
            patterns = self.patterns if self.patterns is not None else other.patterns
            free = other if self.patterns is not None else self
            kept = frozenset(one for one in patterns or () if one.shape is not Shape.EXACT or free.allows(one.value))
            return Allowed(kept, frozenset(), missing)
        return Allowed(_common(self.patterns, other.patterns), frozenset(), missing)


ANYTHING = Allowed(missing=True)
PRESENT = Allowed()
IMPOSSIBLE = Allowed(frozenset())


def some(patterns: Iterable[Pattern], *, missing: bool = False) -> Allowed:
    """Return what matches one of these patterns."""
    found = frozenset(patterns)
    return Allowed(found if len(found) <= MOST else None, frozenset(), missing)


def _common(one: frozenset[Pattern], other: frozenset[Pattern]) -> frozenset[Pattern]:
    """Return patterns for what matches both sets; where that cannot be written, the smaller set."""
    for these, those in ((one, other), (other, one)):
        if all(pattern.shape is Shape.EXACT for pattern in these):
            return frozenset(each for each in these if any(pattern.matches(each.value) for pattern in those))
    if all(pattern.shape is Shape.RANGE for pattern in one | other):
        met = {_narrowed(a.value, b.value) for a in one for b in other}
        return frozenset(Pattern(Shape.RANGE, bounds) for bounds in met if bounds is not None)
    return min(one, other, key=_width)


def _narrowed(a: Any, b: Any) -> tuple[Any, Any] | None:
    lows = [low for low in (a[0], b[0]) if low is not None]
    highs = [high for high in (a[1], b[1]) if high is not None]
    try:
        low, high = max(lows, default=None), min(highs, default=None)
        empty = low is not None and high is not None and low > high
    except TypeError:
        return a[0], a[1]
    return None if empty else (low, high)


def _width(patterns: frozenset[Pattern]) -> tuple[int, int]:
    """Order sets by how much they let through: containing is wider than beginning or ending."""
    worst = max((_WIDTH.get(pattern.shape, 1) for pattern in patterns), default=0)
    return worst, len(patterns)


_WIDTH = {Shape.EXACT: 0, Shape.PREFIX: 1, Shape.SUFFIX: 2, Shape.CONTAINS: 3}
