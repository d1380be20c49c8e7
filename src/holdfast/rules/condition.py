"""From the text of a condition to its tree: the grammar as Falco's parser reads it, traps included.

Keywords are prefixes: ``or(`` needs no blank. Operators that are words need one blank behind them, only ``in``,
``intersects``, ``pmatch`` and ``exists`` do not.

Source:
    falcosecurity/libs, ``userspace/libsinsp/filter/parser.cpp``
"""

from __future__ import annotations

import re
from re import Pattern

from holdfast.rules.escapes import BadEscape, unescaped
from holdfast.rules.nodes import (
    And,
    Changed,
    Check,
    Condition,
    Exists,
    FieldUse,
    Given,
    Name,
    Not,
    Number,
    Operand,
    Or,
    Value,
)

DEPTH = 1000
"""Falco's limit inside rules. One pair of parentheses takes five."""

ORDER_OPERATORS = ("<=", "<", ">=", ">")
TEXT_OPERATORS = (
    "==", "=", "!=", "glob ", "iglob ", "contains ", "icontains ", "bcontains ", "startswith ", "bstartswith ",
    "endswith ", "regex ",
)  # fmt: skip
LIST_OPERATORS = ("intersects", "in", "pmatch")
OPERATORS = frozenset(("exists", *ORDER_OPERATORS, *(op.strip() for op in TEXT_OPERATORS), *LIST_OPERATORS))
TRANSFORMERS = ("tolower", "toupper", "b64", "basename", "len", "join", "concat", "getopt")

_SPACE = r" \t\n\r\f\v"
_BLANK = re.compile(r"[ \t\b\r\n]+")
_NOT = re.compile(rf"not[{_SPACE}]+")
_IDENTIFIER = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
_FIELD = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*(?:\.[a-zA-Z][a-zA-Z0-9_]*)+")
_ARGUMENT = re.compile(rf"[^\]\[\"'{_SPACE}]+")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
_NUMBER = re.compile(r"[+-]?[0-9]+\.?[0-9]*(?:[eE][+-][0-9]+)?")
_BARE = re.compile(rf"[^()\"'{_SPACE}=,]+")
_HOW = ("oneof ", "anyof ", "allof ")
_TRANSFORMER = re.compile(rf"(?:{'|'.join(TRANSFORMERS)})\(")
_TRANSFORMER_COST = 10  # keeps transformers in transformers far from Python's own limit
_SHOWN = 30


class NotACondition(ValueError):
    """The text is no condition.

    Attributes:
        what: One short sentence without a final stop.
        at: Offset of the place in the text.
    """

    def __init__(self, what: str, at: int) -> None:
        """Keep both."""
        super().__init__(what)
        self.what = what
        self.at = at


def parse(text: str, depth: int = DEPTH) -> Condition:
    """Read a condition.

    Args:
        text: With its lists written out.
        depth: How deeply the grammar's rules may stand inside each other.

    Raises:
        NotACondition: It is none.
    """
    parser = _Parser(text, depth)
    if not text:
        raise NotACondition("the condition is empty", 0)
    found = parser.either(1)
    if parser.at < len(text):
        raise NotACondition(f"'or' or 'and' must follow here, not {parser.shown()}", parser.at)
    return found


class _Parser:
    """A place in a condition. ``depth`` counts the grammar's rules that are being read, as Falco counts them."""

    __slots__ = ("at", "limit", "text")

    def __init__(self, text: str, limit: int) -> None:
        self.text = text
        self.at = 0
        self.limit = limit

    def shown(self) -> str:
        rest = self.text[self.at : self.at + _SHOWN]
        return repr(rest) if rest else "the end"

    def wrong(self, expected: str) -> NotACondition:
        return NotACondition(f"expected {expected}, not {self.shown()}", self.at)

    def deeper(self, depth: int) -> None:
        if depth >= self.limit:
            raise NotACondition(
                f"nested too deeply: more than {self.limit} rules of the grammar in each other", self.at
            )

    def blank(self) -> bool:
        found = _BLANK.match(self.text, self.at)
        if found is None:
            return False
        self.at = found.end()
        return True

    def blank_and(self, sign: str) -> bool:
        self.blank()
        return self.sign(sign)

    def word(self, pattern: Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]

    def sign(self, sign: str) -> bool:
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def first_of(self, words: tuple[str, ...]) -> str | None:
        return next((word for word in words if self.sign(word)), None)

    # One method reads "or", "and" and "not": a condition that nests 190 deep stays far from Python's own limit.

    def either(self, depth: int) -> Condition:
        alternatives: list[Condition] = []
        first = True
        while True:
            if first or self.blank():
                alternatives.append(self.both(depth + 1))
            elif self.sign("("):
                alternatives.append(self.inner(depth + 1))
            else:
                raise self.wrong("a blank or '(' after 'or'")
            first = False
            self.blank()
            if not self.sign("or"):
                return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))

    def both(self, depth: int) -> Condition:
        self.deeper(depth)
        parts: list[Condition] = []
        self.blank()
        first = True
        while True:
            if first or self.blank():
                negated = False
                self.blank()
                while self.word(_NOT):
                    negated = not negated
                if self.sign("not("):
                    negated = not negated
                    part = self.inner(depth + 2)
                elif self.blank_and("("):
                    part = self.inner(depth + 3)
                else:
                    part = self.check(depth + 2)
                parts.append(Not(part) if negated else part)
            elif self.sign("("):
                parts.append(self.inner(depth + 1))
            else:
                raise self.wrong("a blank or '(' after 'and'")
            first = False
            self.blank()
            if not self.sign("and"):
                return parts[0] if len(parts) == 1 else And(tuple(parts))

    def inner(self, depth: int) -> Condition:
        """Read what follows an opening parenthesis."""
        self.deeper(depth)
        self.blank()
        found = self.either(depth + 1)
        self.blank()
        if not self.sign(")"):
            raise self.wrong("')'")
        return found

    def check(self, depth: int) -> Condition:
        self.deeper(depth)
        left = self.operand(depth)
        if left is None:
            at = self.at
            name = self.word(_IDENTIFIER)
            if name is None:
                raise self.wrong("'(', a field or the name of a macro")
            return Name(name, at)
        self.blank()
        if self.sign("exists"):
            return Exists(left)
        self.deeper(depth + 1)
        return self.comparison(left, depth + 1)

    def comparison(self, left: Operand, depth: int) -> Condition:
        op = self.first_of(ORDER_OPERATORS)
        if op is not None:
            self.blank()
            at = self.at
            number = self.word(_HEX) or self.word(_NUMBER)
            value: Value | None = number if number is not None else self.right(depth)
            if value is None:
                raise self.wrong("a number")
            return Check(left, op, value, "", at)
        op = self.first_of(TEXT_OPERATORS)
        if op is not None:
            self.blank()
            how = self.first_of(_HOW)
            self.blank()
            at = self.at
            value = self.members(depth) if how else self.value(depth)
            return Check(left, op.strip(), value, (how or "").strip(), at)
        op = self.first_of(LIST_OPERATORS)
        if op is None:
            raise self.wrong(f"an operator ({', '.join(sorted(OPERATORS))})")
        self.blank()
        at = self.at
        right = None if self.text.startswith("(", at) else self.right(depth)
        return Check(left, op, self.members(depth) if right is None else right, "", at)

    def value(self, depth: int) -> Value:
        right = self.right(depth)
        if right is not None:
            return right
        found = self.quoted()
        if found is None:
            found = self.word(_BARE)
        if found is None:
            raise self.wrong("a value")
        return found

    def members(self, depth: int) -> tuple[str, ...]:
        """Read a list, or a name that no list has, which Falco takes for a list of itself."""
        if not self.sign("("):
            name = self.word(_IDENTIFIER)
            if name is None:
                raise self.wrong("a list or its name")
            return (name,)
        self.deeper(depth + 1)
        values: list[str] = []
        self.blank()
        while not values or self.sign(","):
            self.blank()
            found = self.quoted()
            if found is None:
                found = self.word(_BARE)
            if found is None:
                if not values:
                    break
                raise self.wrong("a value")
            values.append(found)
            self.blank()
        if not self.sign(")"):
            raise self.wrong("',' or ')'")
        return tuple(values)

    def right(self, depth: int) -> Operand | None:
        """Read a field or transformer on the right-hand side."""
        if self.sign("val("):
            self.blank()
            found = self.field()
            if found is None:
                raise self.wrong("a field")
            self.blank()
            if not self.sign(")"):
                raise self.wrong("')'")
            return found
        if _TRANSFORMER.match(self.text, self.at):
            return self.operand(depth)
        return None

    def operand(self, depth: int) -> Operand | None:
        at = self.at
        opened = self.word(_TRANSFORMER)
        if opened is None:
            return self.field()
        depth += _TRANSFORMER_COST
        self.deeper(depth)
        given = [self.given(depth)]
        self.blank()
        while self.sign(","):
            given.append(self.given(depth))
            self.blank()
        if not self.sign(")"):
            raise self.wrong("',' or ')'")
        return Changed(opened[:-1], tuple(given), self.argument(), at)

    def given(self, depth: int) -> Given:
        self.blank()
        if self.text.startswith("(", self.at):
            return self.members(depth)
        quoted = self.quoted()
        if quoted is not None:
            return quoted
        operand = self.operand(depth)
        if operand is not None:
            return operand
        number = self.word(_NUMBER)
        if number is None:
            raise self.wrong("a field, a quoted text, a number or a list")
        return Number(number)

    def field(self) -> FieldUse | None:
        at = self.at
        name = self.word(_FIELD)
        return None if name is None else FieldUse(name, self.argument(), at)

    def argument(self) -> str | None:
        if not self.sign("["):
            return None
        found = self.quoted()
        if found is None:
            found = self.word(_ARGUMENT)
        if found is None:
            raise self.wrong("the argument of a field")
        if not self.sign("]"):
            raise self.wrong("']'")
        return found

    def quoted(self) -> str | None:
        """Read a quoted text. It ends at the first quote of its kind that has no backslash before it."""
        quote = self.text[self.at : self.at + 1]
        if quote not in {'"', "'"}:
            return None
        end = self.at
        while True:
            end = self.text.find(quote, end + 1)
            if end < 0:
                raise NotACondition("a quote is not closed", self.at)
            if self.text[end - 1] != "\\":
                break
        begin, self.at = self.at, end + 1
        try:
            return unescaped(self.text[begin : end + 1])
        except BadEscape as error:
            raise NotACondition(error.what, begin + error.at) from error


def operand_at(text: str, at: int) -> tuple[Operand, int]:
    """Read a field or transformer that stands at a place in another text, and return the place behind it.

    Raises:
        NotACondition: None stands there.
    """
    parser = _Parser(text, DEPTH)
    parser.at = at
    found = parser.operand(1)
    if found is None:
        raise parser.wrong("a field or transformer")
    return found, parser.at
