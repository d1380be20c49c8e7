"""JSON to trees with lines. The json module knows no lines; its C string scanner does the greater part of the work."""

from __future__ import annotations

import re
from collections.abc import Callable
from json import decoder
from json.decoder import JSONDecodeError

from holdfast.collect.parse_limits import DEPTH, NODES, Refused, too_deep, too_many
from holdfast.model.tree import Mapping, Node, Scalar, Sequence

_scan_string: Callable[[str, int, bool], tuple[str, int]] = vars(decoder)["scanstring"]
"""The string scanner of the json module, in C where there is one. The type stubs do not know it."""

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS: tuple[tuple[str, object], ...] = (("true", True), ("false", False), ("null", None))
_DIGITS = 400
"""Longer integers are beyond every engine's types; Python refuses to convert very long ones at all."""


def read_json(text: str) -> tuple[list[Node], Refused | None]:
    """Read a stream of JSON texts.

    Args:
        text: One JSON text, or several one after another, as kubectl takes them.

    Returns:
        The roots in order, up to the first error, and the error.
    """
    roots: list[Node] = []
    reader = _Reader(text)
    try:
        reader.skip_space()
        while reader.at < len(text):
            roots.append(reader.value())
            reader.skip_space()
    except Refused as refusal:
        return roots, refusal
    return roots, None


class _Reader:
    """A position in the text. No recursion: depth is a number here, not a stack of calls."""

    __slots__ = ("at", "count", "line", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.count = 0

    def skip_space(self) -> str:
        """Move to the next character that counts and return it, empty at the end."""
        match = _SPACE.match(self.text, self.at)
        end = match.end() if match else self.at
        if end != self.at:
            self.line += self.text.count("\n", self.at, end)
            self.at = end
        return self.text[end : end + 1]

    def refuse(self, what: str) -> Refused:
        found = self.text[self.at : self.at + 1]
        return Refused(
            f"not JSON: {what}, found {found!r}" if found else f"not JSON: {what}, found the end",
            "correct the JSON here",
            self.line,
        )

    def value(self) -> Node:  # noqa: C901, PLR0912 - one loop instead of recursion
        """Read one value with everything below it."""
        stack: list[tuple[Mapping | Sequence, str, int]] = []
        here: Mapping | Sequence | None = None
        key = ""
        key_line = 0
        while True:
            first = self.skip_space()
            node = self._opened(first, len(stack) + 1)
            if node is not None:
                closing = "}" if first == "{" else "]"
                if self.skip_space() != closing:
                    stack.append((here, key, key_line) if here is not None else (node, "", 0))
                    here = node
                    if first == "{":
                        key, key_line = self._key()
                    continue
                self.at += 1
                done: Node = node
            else:
                done = self._leaf(first)
            # A value is complete: hang it where it belongs, and close what ends with it.
            while True:
                if here is None:
                    return done
                if isinstance(here, Mapping):
                    if key in here.entries:
                        here.duplicates.append((key, key_line))
                    here.entries[key] = done
                    here.key_lines[key] = key_line
                else:
                    here.elements.append(done)
                sign = self.skip_space()
                if sign == ",":
                    self.at += 1
                    if isinstance(here, Mapping):
                        key, key_line = self._key()
                    break
                if sign != ("}" if isinstance(here, Mapping) else "]"):
                    raise self.refuse("expected a comma or the closing bracket")
                self.at += 1
                done = here
                parent, key, key_line = stack.pop()
                here = None if parent is done else parent

    def _opened(self, first: str, depth: int) -> Mapping | Sequence | None:
        if first not in {"{", "["} or not first:
            return None
        if depth > DEPTH:
            raise too_deep(self.line)
        self._counted()
        self.at += 1
        return Mapping({}, self.line) if first == "{" else Sequence([], self.line)

    def _counted(self) -> None:
        self.count += 1
        if self.count > NODES:
            raise too_many(self.line)

    def _key(self) -> tuple[str, int]:
        if self.skip_space() != '"':
            raise self.refuse("expected a key in double quotes")
        line = self.line
        self._counted()
        key = self._string()
        if self.skip_space() != ":":
            raise self.refuse("expected a colon")
        self.at += 1
        return key, line

    def _leaf(self, first: str) -> Scalar:
        self._counted()
        text, start = self.text, self.at
        if first == '"':
            line = self.line
            string = self._string()
            return Scalar(string, line, False, "", string, True)
        for word, meaning in _WORDS:
            if text.startswith(word, start):
                self.at += len(word)
                return Scalar(word, self.line, True, "", meaning, True)
        match = _NUMBER.match(text, start)
        if not match:
            raise self.refuse("expected a value")
        self.at = match.end()
        number = match.group()
        whole = match.group(1) is None and match.group(2) is None and len(number) < _DIGITS
        return Scalar(number, self.line, True, "", int(number) if whole else float(number), True)

    def _string(self) -> str:
        try:
            string, self.at = _scan_string(self.text, self.at + 1, True)
        except JSONDecodeError as error:
            self.line += self.text.count("\n", self.at, error.pos)
            raise Refused(f"not JSON: {error.msg}", "correct the string here", self.line) from error
        if not string.isascii():
            # Half of a surrogate pair is no character; Go and Docker print the replacement character for it.
            string = string.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _broken(string) else string
        return string


def _broken(string: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in string)
