"""What becomes of a text when changes are written into it."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.model.change import Change
from holdfast.model.place import Where


@dataclass(frozen=True, slots=True)
class Unwritten:
    """A change that a dialect could not write.

    Attributes:
        change: The change.
        why: Why not, and where it must be made instead, as a person reads it.
        where: The place that holds the value now, or the one where the change must be made.
    """

    change: Change
    why: str
    where: Where


@dataclass(frozen=True, slots=True)
class Written:
    """A text with changes written into it.

    Attributes:
        text: The whole new text. Outside the lines that had to change it is the old one, character for character.
        left: Changes that are not in it, in the order in which they were asked for.
    """

    text: str
    left: tuple[Unwritten, ...] = ()
