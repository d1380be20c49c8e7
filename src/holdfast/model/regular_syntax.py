"""The syntax of regular expressions: from text to a tree."""

from __future__ import annotations

from dataclasses import dataclass

DEPTH = 60
"""Deepest nesting of groups."""
REPEATED = 1000
"""Most repetitions that may be counted, as in RE2."""


class Malformed(TypeError):
    """It cannot be read as a regular expression of this syntax.

    Attributes:
        what: One short sentence without a final stop.
    """

    def __init__(self, what: str) -> None:
        """Keep the sentence."""
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class AnyOne:
    """One character of a set.

    Attributes:
        ranges: First and last, both inside.
        negated: Every other character instead.
    """

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def takes(self, sign: str) -> bool:
        """Tell whether the character is in the set."""
        return any(low <= sign <= high for low, high in self.ranges) is not self.negated


@dataclass(frozen=True, slots=True)
class LineStart:
    """The begin of the text or of a line."""


@dataclass(frozen=True, slots=True)
class LineEnd:
    """The end of the text or of a line."""


@dataclass(frozen=True, slots=True)
class Row:
    """Parts one after another."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """One of the parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part several times; ``most`` is None where there is no bound."""

    part: Node
    least: int
    most: int | None


Node = AnyOne | LineStart | LineEnd | Row | Branch | Repeat

_DIGIT = (("0", "9"),)
_WORD = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_SPACE = (("\t", "\n"), ("\f", "\r"), (" ", " "))
_SETS = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_NAMED = {
    "alpha": (("A", "Z"), ("a", "z")),
    "digit": _DIGIT,
    "alnum": (("0", "9"), ("A", "Z"), ("a", "z")),
    "upper": (("A", "Z"),),
    "lower": (("a", "z"),),
    "space": (("\t", "\r"), (" ", " ")),
    "blank": (("\t", "\t"), (" ", " ")),
    "punct": (("!", "/"), (":", "@"), ("[", "`"), ("{", "~")),
    "print": ((" ", "~"),),
    "graph": (("!", "~"),),
    "cntrl": (("\x00", "\x1f"), ("\x7f", "\x7f")),
    "xdigit": (("0", "9"), ("A", "F"), ("a", "f")),
    "word": _WORD,
    "ascii": (("\x00", "\x7f"),),
}
_CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ANY = AnyOne((("\n", "\n"),), negated=True)


def read(pattern: str) -> Node:
    """Read an expression.

    Raises:
        Malformed: It is none of this syntax. Back references and looking around need going back; they are refused.
    """
    reader = _Reader(pattern)
    node = reader.branch(0)
    if reader.at < len(pattern):
        raise Malformed("the regular expression has a ')' too many")
    return node


class _Reader:
    """A place in a pattern."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def next(self) -> str:
        return self.text[self.at : self.at + 1]

    def taken(self, word: str) -> bool:
        if self.text.startswith(word, self.at):
            self.at += len(word)
            return True
        return False

    def branch(self, depth: int) -> Node:
        if depth > DEPTH:
            raise Malformed(f"the regular expression is nested deeper than {DEPTH} levels")
        parts = [self.row(depth)]
        while self.taken("|"):
            parts.append(self.row(depth))
        return parts[0] if len(parts) == 1 else Branch(tuple(parts))

    def row(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.next() not in {"", "|", ")"}:
            part = self.piece(depth)
            repeated = False
            while (bounds := self.bounds()) is not None:
                if repeated or isinstance(part, LineStart | LineEnd):
                    raise Malformed("a repetition of a repetition or of a place in the regular expression")
                part, repeated = Repeat(part, *bounds), True
            parts.append(part)
        return parts[0] if len(parts) == 1 else Row(tuple(parts))

    def bounds(self) -> tuple[int, int | None] | None:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        sign = self.next()
        if sign in simple:
            self.at += 1
            return simple[sign]
        if sign != "{":
            return None
        close = self.text.find("}", self.at)
        words = self.text[self.at + 1 : close].split(",") if close > 0 else []
        if not (1 <= len(words) <= 2 and words[0].isdecimal() and (words[-1].isdecimal() or not words[-1])):
            return None
        if any(len(word) > 4 or int(word or 0) > REPEATED for word in words):
            raise Malformed(f"the regular expression counts more than {REPEATED} repetitions")
        least = int(words[0])
        most = None if len(words) == 2 and not words[1] else int(words[-1])
        if most is not None and most < least:
            raise Malformed("the regular expression counts backwards")
        self.at = close + 1
        return least, most

    def piece(self, depth: int) -> Node:
        sign = self.next()
        self.at += 1
        if sign == "(":
            if self.next() == "?" and not self.taken("?:"):
                raise Malformed("'(?' in the regular expression: only '(?:' is read, nothing that looks around")
            inner = self.branch(depth + 1)
            if not self.taken(")"):
                raise Malformed("the regular expression has a '(' that is not closed")
            return inner
        if sign == "[":
            return self.bracket()
        if sign == "\\":
            return self.escape()
        if sign in {"*", "+", "?"}:
            raise Malformed(f"nothing stands before {sign!r} in the regular expression")
        places: dict[str, Node] = {".": _ANY, "^": LineStart(), "$": LineEnd()}
        return places.get(sign) or AnyOne(((sign, sign),))

    def escape(self) -> AnyOne:
        sign = self.next()
        self.at += 1
        if sign.lower() in _SETS and sign:
            return AnyOne(_SETS[sign.lower()], negated=sign.isupper())
        literal = self.literal(sign)
        return AnyOne(((literal, literal),))

    def literal(self, sign: str) -> str:
        """Return the character that a backslash and this sign stand for; the sign was read already."""
        if sign in _CONTROL and sign:
            return _CONTROL[sign]
        if sign == "x":
            if self.next() == "{":
                close = self.text.find("}", self.at)
                digits, after = self.text[self.at + 1 : close], close + 1
            else:
                digits, after = self.text[self.at : self.at + 2], self.at + 2
            if not (1 <= len(digits) <= 6) or any(one not in "0123456789abcdefABCDEF" for one in digits):
                raise Malformed("'\\x' in the regular expression is not followed by hexadecimal digits")
            self.at = after
            if int(digits, 16) > 0x10FFFF:
                raise Malformed("there is no such character in the regular expression")
            return chr(int(digits, 16))
        if not sign:
            raise Malformed("the regular expression ends with a backslash")
        if sign.isalnum():
            raise Malformed(f"'\\{sign}' in the regular expression is not read; a back reference needs going back")
        return sign

    def bracket(self) -> AnyOne:
        negated = self.taken("^")
        ranges: list[tuple[str, str]] = []
        first = True
        while first or self.next() != "]":
            first = False
            if not self.next():
                raise Malformed("the regular expression has a '[' that is not closed")
            if self.taken("[:"):
                close = self.text.find(":]", self.at)
                name = self.text[self.at : close] if close > 0 else ""
                if name not in _NAMED:
                    raise Malformed("the regular expression names a class of characters that does not exist")
                ranges += _NAMED[name]
                self.at = close + 2
                continue
            low = self.member()
            if isinstance(low, tuple):
                ranges += low
                continue
            high: str | tuple[tuple[str, str], ...] = low
            if self.next() == "-" and self.text[self.at + 1 : self.at + 2] not in {"", "]"}:
                self.at += 1
                high = self.member()
            if isinstance(high, tuple) or high < low:
                raise Malformed("the regular expression has a range that runs backwards")
            ranges.append((low, high))
        self.at += 1
        return AnyOne(tuple(ranges), negated)

    def member(self) -> str | tuple[tuple[str, str], ...]:
        sign = self.next()
        self.at += 1
        if sign != "\\":
            return sign
        sign = self.next()
        self.at += 1
        if sign and sign in _SETS:
            return _SETS[sign]
        return self.literal(sign)
