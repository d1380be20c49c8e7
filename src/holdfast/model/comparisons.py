"""The closed set of comparisons, and how one comparison of one value is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, cast

from holdfast.model.patterns import below, glob
from holdfast.model.regular import regular
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import OtherThan, PathCollection


class Op(Enum):
    """The closed set of comparisons. Negation lives here, so an expression has no "not" node."""

    IS = "is"
    IS_NOT = "is not"
    ONE_OF = "is one of"
    NONE_OF = "is none of"
    HAS = "has"
    LACKS = "lacks"
    COVERS = "covers"
    NOT_COVERS = "does not cover"
    BELOW = "reaches below"
    NOT_BELOW = "does not reach below"
    AT_LEAST = "is at least"
    LESS_THAN = "is less than"
    ABOVE = "is greater than"
    AT_MOST = "is at most"
    STARTS_WITH = "starts with"
    NOT_STARTS_WITH = "does not start with"
    ENDS_WITH = "ends with"
    NOT_ENDS_WITH = "does not end with"
    CONTAINS = "contains"
    NOT_CONTAINS = "does not contain"
    CONTAINS_ANY_CASE = "contains, in any case,"
    NOT_CONTAINS_ANY_CASE = "does not contain, in any case,"
    GLOB = "matches the pattern"
    NOT_GLOB = "does not match the pattern"
    GLOB_ANY_CASE = "matches, in any case, the pattern"
    NOT_GLOB_ANY_CASE = "does not match, in any case, the pattern"
    MATCHES = "matches the regular expression"
    NOT_MATCHES = "does not match the regular expression"
    AT_OR_BELOW = "is or lies below"
    NOT_AT_OR_BELOW = "neither is nor lies below"
    IN_NETWORK = "lies in the network"
    NOT_IN_NETWORK = "lies outside the network"
    SOME = "has a member that"
    NO_MEMBER = "has no member that"
    ONCE = "meets exactly one of"
    NOT_ONCE = "meets none or several of"
    EVERY = "meets each of"
    NOT_EVERY = "fails one of"

    __hash__ = object.__hash__  # a member is one object; Enum's own hash is Python code, and this is the hot path

    @property
    def opposite(self) -> Op:
        """The comparison that is true exactly where this one is false."""
        return _OPPOSITE[self]


_MEMBERS = tuple(Op)
_PAIRS = tuple(zip(_MEMBERS[::2], _MEMBERS[1::2], strict=True))
_OPPOSITE = dict(_PAIRS) | {b: a for a, b in _PAIRS}
NEGATIVE = frozenset(b for _, b in _PAIRS)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What SOME and NO_MEMBER ask of each member, and what ONCE and EVERY ask of the value.

    Attributes:
        op: The comparison.
        value: With what; for ONCE and EVERY a tuple of values, each of them one question.
    """

    op: Op
    value: Any

    def __str__(self) -> str:
        """``starts with nginx``."""
        return f"{self.op.value} {spelled(self.value)}"


def spelled(value: object) -> str:
    """Spell a value for a person: plain words, sorted sets, dotted versions, no Python syntax."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "nothing"
    if isinstance(value, tuple):
        if value and all(isinstance(part, int) for part in value):
            return ".".join(str(part) for part in value)
        return ", ".join(spelled(part) for part in value) or "nothing"
    if isinstance(value, frozenset | set):
        return ", ".join(sorted(spelled(part) for part in value)) or "nothing"
    text = str(value)
    return text or '""'


def _covers(value: PathCollection, wanted: Any) -> Truth:
    return max((value.covers(p) for p in _each(wanted)), default=NO)


def _below(value: PathCollection, wanted: Any) -> Truth:
    return max((value.below(p) for p in _each(wanted)), default=NO)


def _each(wanted: Any) -> tuple[Any, ...]:
    return wanted if isinstance(wanted, tuple) else (wanted,)


def _has(value: Any, wanted: Any) -> Truth:
    try:
        asked = value.has  # asking first is far cheaper than a runtime protocol check, and this is the hot path
    except AttributeError:
        return Truth.of(wanted in value)
    return cast("Truth", asked(wanted))


def _is(value: Any, wanted: Any) -> Truth:
    return value.equals(wanted) if value.__class__ is OtherThan else Truth.of(value == wanted)


def _one_of(value: Any, wanted: Any) -> Truth:
    if value.__class__ is OtherThan:
        return max((value.equals(one) for one in wanted), default=NO)
    return Truth.of(value in wanted)


def _some(value: Any, wanted: Any) -> Truth:
    asked: Comparison = wanted
    return max((answer(asked.op, member, asked.value) for member in value), default=NO)


def _once(value: Any, wanted: Any) -> Truth:
    asked: Comparison = wanted
    truths = [answer(asked.op, value, one) for one in asked.value]
    return UNKNOWN if UNKNOWN in truths else Truth.of(truths.count(YES) == 1)


def _every(value: Any, wanted: Any) -> Truth:
    asked: Comparison = wanted
    return min((answer(asked.op, value, one) for one in asked.value), default=YES)


def in_network(value: object, wanted: Any) -> bool:
    """Tell whether an address, as text, lies in one of these networks. An address of another version does not."""
    seen = address(cast("str", value))
    return any(seen.version == net.version and seen in net for net in _each(wanted))


@lru_cache(maxsize=16384)
def address(text: str) -> IPv4Address | IPv6Address:
    """Parse an address; the same few come again and again.

    Raises:
        TypeError: It is no address.
    """
    try:
        found = ip_address(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if found is None:
        raise TypeError("not an address")
    return getattr(found, "ipv4_mapped", None) or found


_POSITIVE: dict[Op, Callable[[Any, Any], Truth]] = {
    Op.IS: _is,
    Op.ONE_OF: _one_of,
    Op.HAS: _has,
    Op.COVERS: _covers,
    Op.BELOW: _below,
    Op.AT_LEAST: lambda value, wanted: Truth.of(value >= wanted),
    Op.ABOVE: lambda value, wanted: Truth.of(value > wanted),
    Op.STARTS_WITH: lambda value, wanted: Truth.of(value.startswith(wanted)),
    Op.ENDS_WITH: lambda value, wanted: Truth.of(value.endswith(wanted)),
    Op.CONTAINS: lambda value, wanted: Truth.of(wanted in value),
    Op.CONTAINS_ANY_CASE: lambda value, wanted: Truth.of(wanted.lower() in value.lower()),
    Op.GLOB: lambda value, wanted: Truth.of(glob(wanted).match(value) is not None),
    Op.GLOB_ANY_CASE: lambda value, wanted: Truth.of(glob(wanted, any_case=True).match(value) is not None),
    Op.MATCHES: lambda value, wanted: Truth.of(regular(wanted).matches(value)),
    Op.AT_OR_BELOW: lambda value, wanted: Truth.of(below(_each(wanted)).match(value) is not None),
    Op.IN_NETWORK: lambda value, wanted: Truth.of(in_network(value, wanted)),
    Op.SOME: _some,
    Op.ONCE: _once,
    Op.EVERY: _every,
}


def answer(op: Op, value: object, wanted: object) -> Truth:
    """Answer one comparison.

    Args:
        op: The comparison.
        value: What was seen.
        wanted: What the condition asks for. COVERS, BELOW, AT_OR_BELOW and IN_NETWORK take one path or network, or a
            tuple of them (any of them); SOME, ONCE, EVERY and their opposites take a ``Comparison``.

    Returns:
        YES, NO, or UNKNOWN where a collection is known only in part. A value of a type the comparison does not
        take is UNKNOWN too: a malformed answer must never read as "no".
    """
    positive = _POSITIVE.get(op)
    try:
        if positive is not None:
            return positive(value, wanted)
        return ~_POSITIVE[op.opposite](value, wanted)
    except (TypeError, AttributeError):
        return UNKNOWN
