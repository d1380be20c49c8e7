"""What is wrong with rules, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a rules file; line and column are 1-based, 0 where there is none."""

    document: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """``rules.yaml:12:3``."""
        return ":".join([self.document, *(str(number) for number in (self.line, self.column) if number)])


@dataclass(frozen=True, slots=True)
class Problem:
    """Something is wrong.

    Attributes:
        what: What, one short sentence without a final stop.
        place: Where.
        subject: ``rule``, ``macro``, ``list`` or empty.
        name: Of the subject.
        next: What to do now.
        warning: The rule loads nevertheless.
    """

    what: str
    place: Place
    subject: str = ""
    name: str = ""
    next: str = ""
    warning: bool = False


class Wrong(Exception):
    """An item cannot be read; its reader turns this into a problem."""

    def __init__(self, what: str, place: Place, next: str = "") -> None:  # noqa: A002 - the words of the house
        """Keep the three."""
        super().__init__(what)
        self.what = what
        self.place = place
        self.next = next
