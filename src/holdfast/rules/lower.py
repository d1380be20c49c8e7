"""From a condition to an expression over facts, with Falco's meaning.

A comparison of a value that is missing is "no", whatever the operator; its negation is "yes".

Source:
    falcosecurity/libs, ``userspace/libsinsp/{filter_compare,sinsp_filtercheck}.cpp``
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from holdfast.model.comparisons import Comparison
from holdfast.model.logic import All, AnyOf, Atom, Expr, Op, answer, known, settled
from holdfast.model.regular import regular
from holdfast.model.regular_syntax import Malformed
from holdfast.model.truth import UNKNOWN, YES
from holdfast.rules.event_names import EVENT_NAMES
from holdfast.rules.fields import Field, Kind, UnknownField
from holdfast.rules.meaning import Meaning, derived, meaning
from holdfast.rules.nodes import And, Changed, Check, Condition, Exists, FieldUse, Not, Operand, Or
from holdfast.rules.spelling import spelled

_OPS = {
    "=": Op.IS, "==": Op.IS, "!=": Op.IS_NOT, "<": Op.LESS_THAN, "<=": Op.AT_MOST, ">": Op.ABOVE, ">=": Op.AT_LEAST,
    "contains": Op.CONTAINS, "icontains": Op.CONTAINS_ANY_CASE, "bcontains": Op.CONTAINS, "startswith": Op.STARTS_WITH,
    "bstartswith": Op.STARTS_WITH, "endswith": Op.ENDS_WITH, "glob": Op.GLOB, "iglob": Op.GLOB_ANY_CASE,
    "regex": Op.MATCHES, "in": Op.ONE_OF, "intersects": Op.ONE_OF, "pmatch": Op.AT_OR_BELOW,
}  # fmt: skip
_EQUAL = frozenset(("=", "==", "!=", "in", "intersects"))
_ORDER = frozenset(("<", "<=", ">", ">="))
_ON_TEXT = frozenset(_OPS) - {"bcontains", "bstartswith"}
_ALLOWED: dict[Kind, frozenset[str]] = {
    Kind.TEXT: _ON_TEXT,
    Kind.DYNAMIC: _EQUAL | _ORDER,
    Kind.NUMBER: _EQUAL | _ORDER,
    Kind.FRACTION: _EQUAL | _ORDER,
    Kind.PORT: _EQUAL | _ORDER,
    Kind.FLAG: _EQUAL,
    Kind.ADDRESS: _EQUAL,
    Kind.NETWORK: _EQUAL,
    Kind.BYTES: _EQUAL | frozenset(("contains", "bcontains", "startswith", "bstartswith", "endswith")),
}
_LISTED = frozenset(("in", "intersects"))
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_LONGEST = 40
"""Longest text that is tried as a number."""


class Meaningless(ValueError):
    """A comparison cannot be made.

    Attributes:
        what: One short sentence without a final stop.
        at: Offset in the condition.
        unknown: The reason is a field that does not exist.
    """

    def __init__(self, what: str, at: int, *, unknown: bool = False) -> None:
        """Keep the three."""
        super().__init__(what)
        self.what = what
        self.at = at
        self.unknown = unknown


class Lowering:
    """Turns conditions into expressions. What came from one object becomes one object."""

    __slots__ = ("_kept", "_made")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._made: dict[tuple[int, bool], Expr] = {}
        self._kept: list[Condition] = []

    def expression(self, condition: Condition, *, negated: bool = False) -> Expr:
        """Return the expression of a condition without macros, or of its opposite.

        Raises:
            Meaningless: A comparison in it cannot be made.
        """
        key = (id(condition), negated)
        found = self._made.get(key)
        if found is not None:
            return found
        self._kept.append(condition)  # an id is only good while its object lives
        made: Expr
        if isinstance(condition, Not):
            made = self.expression(condition.part, negated=not negated)
        elif isinstance(condition, And | Or):
            parts = tuple(self.expression(part, negated=negated) for part in condition.parts)
            made = All(parts) if isinstance(condition, And) is not negated else AnyOf(parts)
        elif isinstance(condition, Check | Exists):
            made = ~comparison(condition) if negated else comparison(condition)
        else:
            raise Meaningless(f"there is no macro {condition.name!r}", condition.at)
        self._made[key] = made
        return made


def comparison(check: Check | Exists) -> Expr:
    """Return the expression of one comparison.

    Raises:
        Meaningless: It cannot be made: no such field, an operator the field does not take, a value of another type.
    """
    left = _meaning(check.left)
    if isinstance(check, Exists):
        return settled(known(left.fact))
    at = check.left.at
    if check.op not in _ALLOWED[left.kind]:
        raise Meaningless(f"{left.fact.name!r} is a {left.kind.value}; {check.op!r} cannot be asked of it", at)
    if left.listed and check.op not in _LISTED:
        raise Meaningless(f"{left.fact.name!r} is a list; only exists, in and intersects can be asked of it", at)
    if isinstance(check.value, FieldUse | Changed):
        return settled(_against_field(check, left, check.value))
    values = check.value if isinstance(check.value, tuple) else (check.value,)
    try:
        read = tuple(one for value in values for one in _values(left, check.op, value))
    except ValueError as error:
        raise Meaningless(str(error), check.at) from error
    op, wanted = _shape(left, check, read)
    return settled(Atom(left.fact, op, wanted))


def _meaning(use: Operand) -> Meaning:
    try:
        return meaning(use)
    except UnknownField as error:
        raise Meaningless(error.what, use.at, unknown=True) from error


# --- which comparison -----------------------------------------------------------------------------------------------


def _shape(left: Meaning, check: Check, values: tuple[Any, ...]) -> tuple[Op, Any]:
    """Return the comparison of the whole answer, which may be a list, with these values."""
    op = _OPS[check.op]
    if left.listed:
        if check.op == "intersects":
            return Op.SOME, Comparison(Op.ONE_OF, values)
        return Op.NO_MEMBER, Comparison(Op.NONE_OF, values)
    if left.ends and not check.how and op is Op.IS_NOT:
        one_op, one_value = _single(left, check, Op.IS, values)
        return Op.NO_MEMBER, Comparison(one_op, one_value)
    one_op, one_value = _single(left, check, op, values)
    if left.lineage or left.ends:
        return Op.SOME, Comparison(one_op, one_value)
    return one_op, one_value


def _single(left: Meaning, check: Check, op: Op, values: tuple[Any, ...]) -> tuple[Op, Any]:
    """Return the comparison of one answer with these values."""
    if left.kind is Kind.NETWORK:
        op = Op.NOT_IN_NETWORK if op is Op.IS_NOT else Op.IN_NETWORK
        if not check.how:
            return op, values
    if check.how == "allof":
        return Op.EVERY, Comparison(op, values)
    if check.how == "anyof":
        return Op.NOT_EVERY, Comparison(op.opposite, values)
    if check.how == "oneof":
        return Op.ONCE, Comparison(op, values)
    if op in {Op.ONE_OF, Op.AT_OR_BELOW}:
        return op, values
    first, *others = values
    if others:  # a number that is meant both ways
        return (Op.ONE_OF if op is Op.IS else Op.NONE_OF), values
    return op, first


def _against_field(check: Check, left: Meaning, value: Operand) -> Expr:
    right = _meaning(value)
    if not right.right:
        raise Meaningless(f"the field {right.fact.name!r} cannot stand on the right-hand side", value.at)
    if left.kind is not right.kind and {left.kind, right.kind} not in _ALIKE:
        raise Meaningless(
            f"{left.fact.name!r} is a {left.kind.value} and {right.fact.name!r} a {right.kind.value}", value.at
        )
    if check.how or (right.listed and check.op not in _LISTED):
        raise Meaningless(f"the list {right.fact.name!r} can only stand behind in and intersects", value.at)
    compare = _comparer(left, check, listed=right.listed)
    fact = derived(spelled(check), bool, (left.fact, right.fact), compare)
    return Atom(fact, Op.IS, True)


_ALIKE = ({Kind.NUMBER, Kind.PORT}, {Kind.TEXT, Kind.DYNAMIC}, {Kind.NUMBER, Kind.FRACTION})


def _comparer(left: Meaning, check: Check, *, listed: bool) -> Callable[[Any, Any], bool | None]:
    def compare(one: Any, other: Any) -> bool | None:
        op, wanted = _shape(left, check, other if listed else (other,))
        truth = answer(op, one, wanted)
        return None if truth is UNKNOWN else truth is YES

    return compare


# --- which value ----------------------------------------------------------------------------------------------------


def _values(left: Meaning, op: str, text: str) -> tuple[Any, ...]:
    """Read a value; for a field whose answers are numbers or texts a number is meant both ways."""
    if left.kind is not Kind.DYNAMIC:
        return (_value(left, op, text),)
    try:
        number = _number(left, text)
    except ValueError:
        if op in _ORDER:
            raise
        return (text,)
    return (number,) if op in _ORDER else (number, text)


def _value(left: Meaning, op: str, text: str) -> Any:
    """Read a value as the kind of answer that it is compared with.

    Raises:
        ValueError: It is none; its text is the sentence.
    """
    if left.kind is Kind.TEXT:
        return _text(left, op, text)
    if left.kind is Kind.BYTES:
        return _bytes(op, text)
    if left.kind is Kind.FLAG:
        if text not in {"true", "false"}:
            raise ValueError(f"{left.fact.name!r} is true or false, not {text[:40]!r}")
        return text == "true"
    if left.kind is Kind.ADDRESS:
        return _address(text)
    return _network(text) if left.kind is Kind.NETWORK else _number(left, text)


def _text(left: Meaning, op: str, text: str) -> str:
    if op == "regex":
        try:
            regular(text)
        except Malformed as error:
            raise ValueError(error.what) from error
    if isinstance(left.fact, Field) and left.fact.name == "evt.type" and op in _EQUAL and text not in EVENT_NAMES:
        raise ValueError(f"there is no event {text[:40]!r}")
    return text


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no network such as 10.0.0.0/8") from None


def _bytes(op: str, text: str) -> bytes:
    if op not in {"bcontains", "bstartswith"}:
        return text.encode("utf-8", "surrogateescape")
    digits = text[2:] if text[:2] in {"0x", "0X"} else text
    if len(digits) % 2 or not digits or not set(digits) <= _HEXADECIMAL:
        raise ValueError(f"{text[:40]!r} is not an even number of hexadecimal digits")
    return bytes.fromhex(digits)


def _address(text: str) -> str:
    try:
        found = ip_address(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no address") from None
    return str(getattr(found, "ipv4_mapped", None) or found)


def _number(left: Meaning, text: str) -> int | float:
    plain = text.lower() if len(text) <= _LONGEST and text.isascii() and "_" not in text else ""
    try:
        if plain.lstrip("+-").startswith("0x"):
            return int(plain, 16)
        if left.kind is Kind.FRACTION:
            return float(plain)
        return int(plain)
    except ValueError:
        raise ValueError(f"{left.fact.name!r} is a {left.kind.value}, and {text[:40]!r} is no number") from None
