"""Conditions as they were written: text in one or several places, and lists written out in it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.rules.problems import Place
from holdfast.rules.yaml_tree import Scalar

LONGEST = 1_000_000
"""Most characters of a condition with its lists written out. The longest stock condition has 8,000."""

_BLANKS = " \t\n\r"
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_DELIMITERS = frozenset(_BLANKS + "(),=")


class TooLong(ValueError):
    """With its lists written out a condition is longer than ``LONGEST``; it holds the name of the list."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document that was read: its name and its text."""

    name: str
    text: str

    def place(self, scalar: Scalar, offset: int) -> Place:
        """Find the place of a character of a scalar's meaning.

        The blanks of a plain or folded scalar are not those of its meaning, all other characters are; they are
        counted. In quotes a character may be escaped; then the place of the scalar has to do.
        """
        if scalar.style in {'"', "'"} and self.text[scalar.begin + 1 : scalar.end - 1] != scalar.text:
            return Place(self.name, scalar.line, scalar.column)
        begin = scalar.begin + (1 if scalar.style in {'"', "'"} else 0)
        if scalar.style in {"|", ">"}:
            header = _BREAK.search(self.text, scalar.begin, scalar.end)
            begin = header.end() if header else scalar.begin
        wanted = sum(not sign.isspace() for sign in scalar.text[: offset + 1])
        seen = 0
        at = begin
        for at in range(begin, min(scalar.end, len(self.text))):
            if not self.text[at].isspace():
                seen += 1
                if seen >= wanted:
                    break
        breaks = list(_BREAK.finditer(self.text, 0, at))
        return Place(self.name, len(breaks) + 1, at - (breaks[-1].end() if breaks else 0) + 1)


@dataclass(frozen=True, slots=True)
class Written:
    """A text and where each part of it was written; parts are joined with one blank."""

    parts: tuple[tuple[Source, Scalar], ...]

    @property
    def text(self) -> str:
        """The whole text."""
        return " ".join(scalar.text for _, scalar in self.parts)

    def place(self, offset: int) -> Place:
        """Find the place of a character of the text; one behind its end is at its end."""
        starts = [0]
        for _, scalar in self.parts:
            starts.append(starts[-1] + len(scalar.text) + 1)
        number = min(max(bisect_right(starts, offset) - 1, 0), len(self.parts) - 1)
        source, scalar = self.parts[number]
        return source.place(scalar, min(offset - starts[number], max(len(scalar.text) - 1, 0)))


@dataclass(slots=True)
class Substituted:
    """A condition with its lists written out.

    Attributes:
        text: The condition.
        used: The lists that were in it.
        origins: For each character its offset in the text before; None unless it was asked for.
    """

    text: str
    used: list[str]
    origins: list[int] | None


def substituted(text: str, lists: Mapping[str, Sequence[str]], *, tracked: bool = False) -> Substituted:
    """Write lists out, the way Falco does: as text, wherever the name stands between blanks or one of ``(),=``.

    An empty list takes a comma beside it away.

    Args:
        text: The condition.
        lists: The items of each list, in the order in which the lists were defined.
        tracked: Also keep where each character comes from.

    Raises:
        TooLong: It grows beyond every use.
    """
    made = Substituted(text, [], list(range(len(text))) if tracked else None)
    for name, items in lists.items():
        if name in made.text and _write_out(made, name, items):
            made.used.append(name)
    return made


def _write_out(made: Substituted, name: str, items: Iterable[str]) -> bool:
    """Write one list out wherever it is named. Blanks around the name are swallowed, one is put on each side."""
    text, written = made.text, ", ".join(items)
    out = _Growing(made.origins)
    done = 0
    start = text.find(name)
    while start >= 0:
        end = start + len(name)
        # Behind a list that was written out stands a blank.
        free = start in {0, done} or text[start - 1] in _DELIMITERS
        if not free or (end < len(text) and text[end] not in _DELIMITERS):
            start = text.find(name, start + 1)
            continue
        while end < len(text) and text[end] in _BLANKS:
            end += 1
        out.copy(text, done, start)
        out.strip(_BLANKS)
        if not written and not out.drop(",") and text[end : end + 1] == ",":
            end += 1
        at_begin = not out.length
        out.add(f"{'' if at_begin else ' '}{written} ", start)
        if out.length > LONGEST:
            raise TooLong(name)
        done = end
        start = text.find(name, end + at_begin)  # as Falco does, which passes over one character there
    if out.length == 0 and not done:
        return False
    out.copy(text, done, len(text))
    made.text = "".join(out.pieces)
    made.origins = out.origins if made.origins is not None else None
    return True


class _Growing:
    """A text that grows at its end, with the origin of each character if that is kept."""

    __slots__ = ("before", "length", "origins", "pieces")

    def __init__(self, before: list[int] | None) -> None:
        self.before = before
        self.pieces: list[str] = []
        self.origins: list[int] = []
        self.length = 0

    def copy(self, text: str, start: int, end: int) -> None:
        self.pieces.append(text[start:end])
        self.length += end - start
        if self.before is not None:
            self.origins += self.before[start:end]

    def add(self, text: str, start: int) -> None:
        self.pieces.append(text)
        self.length += len(text)
        if self.before is not None:
            self.origins += [self.before[start]] * len(text)

    def strip(self, signs: str) -> None:
        while self.pieces:
            last = self.pieces.pop()
            kept = last.rstrip(signs)
            self._shorten(len(last) - len(kept))
            if kept:
                self.pieces.append(kept)
                return

    def drop(self, sign: str) -> bool:
        if not self.pieces or not self.pieces[-1].endswith(sign):
            return False
        self.pieces[-1] = self.pieces[-1][:-1]
        self._shorten(1)
        return True

    def _shorten(self, count: int) -> None:
        self.length -= count
        if self.before is not None and count:
            del self.origins[-count:]
