"""Outputs of rules: a text with fields in it, compiled once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.model.derived import bare
from holdfast.model.facts import Fact
from holdfast.rules.condition import TRANSFORMERS, NotACondition, operand_at
from holdfast.rules.field_table import Kind
from holdfast.rules.fields import Field, UnknownField, longest
from holdfast.rules.meaning import asked, meaning, shown
from holdfast.rules.nodes import Changed
from holdfast.rules.spelling import operand

MISSING = "<NA>"
_DROPPED = "%container.info"
_WIDEST = 1000
Get = Callable[[Fact[Any]], Any]


class BadOutput(ValueError):
    """An output cannot be read.

    Attributes:
        what: One short sentence without a final stop.
        at: Offset of the place.
    """

    def __init__(self, what: str, at: int) -> None:
        """Keep both."""
        super().__init__(what)
        self.what = what
        self.at = at


@dataclass(frozen=True, slots=True)
class Slot:
    """A field in an output.

    Attributes:
        name: As Falco prints it among the fields of the output.
        fact: To be asked.
        width: The text is filled up or cut to so many characters; 0 leaves it alone.
        lineage: The answer is that of several processes; they are joined with blanks.
    """

    name: str
    fact: Fact[Any]
    width: int = 0
    lineage: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """A compiled output.

    Attributes:
        pieces: Texts and slots, in order.
        slots: The slots alone, each name once.
    """

    pieces: tuple[str | Slot, ...]
    slots: tuple[Slot, ...]

    def render(self, get: Get) -> str:
        """Fill the output in.

        Args:
            get: From a fact to its bare answer, None where there is none.

        Returns:
            The text, ``<NA>`` where an answer is missing. Control characters stay; whoever writes it down escapes.
        """
        return "".join(
            piece if isinstance(piece, str) else _filled(piece, bare(get, piece.fact)) for piece in self.pieces
        )

    def values(self, get: Get) -> dict[str, Any]:
        """Return the answers by name, None where one is missing; JSON values."""
        return {slot.name: _plain(slot, bare(get, slot.fact)) for slot in self.slots}


def _filled(slot: Slot, value: Any) -> str:
    if value is None:
        text = MISSING
    elif slot.lineage and isinstance(value, tuple):
        text = " ".join(shown(one) for one in value)
    else:
        text = shown(value)
    return text if not slot.width else text[: slot.width].ljust(slot.width)


def _plain(slot: Slot, value: Any) -> Any:
    if slot.lineage and isinstance(value, tuple):
        return " ".join(shown(one) for one in value)
    if isinstance(value, bytes):
        return shown(value)
    if isinstance(value, tuple):
        return [_plain(slot, one) for one in value]
    return value


def compile_output(text: str) -> Output:
    """Compile an output.

    The longest field that can be read wins, so a dot or comma may stand behind it. ``%container.info`` becomes nothing.

    Raises:
        BadOutput: A ``%`` has no field behind it; ``%%`` is one of those.
    """
    pieces: list[str | Slot] = []
    slots: dict[str, Slot] = {}
    at = 0
    while True:
        sign = text.find("%", at)
        if sign < 0:
            pieces.append(text[at:])
            break
        pieces.append(text[at:sign])
        if text.startswith(_DROPPED, sign) and longest(text, sign + 1) is None:
            at = sign + len(_DROPPED)
            continue
        slot, at = _slot(text, sign)
        pieces.append(slot)
        slots.setdefault(slot.name, slot)
    return Output(tuple(piece for piece in pieces if piece != ""), tuple(slots.values()))


def _slot(text: str, sign: int) -> tuple[Slot, int]:
    at = sign + 1
    while text[at : at + 1].isdecimal() and text[at : at + 1].isascii() and at - sign < 6:
        at += 1
    width = int(text[sign + 1 : at] or 0)
    if width > _WIDEST:
        raise BadOutput(f"a width of more than {_WIDEST} characters", sign)
    if text.startswith(_OPENED, at):
        return _transformed(text, at, width)
    found = longest(text, at)
    if found is None:
        shown_text = text[sign : sign + 40].partition(" ")[0]
        raise BadOutput(f"{shown_text!r} in the output is no field", sign)
    field, end = found
    if not field.row.shown:
        raise BadOutput(f"the field {field.name!r} can only be asked in conditions", sign)
    several = field.row.lineage or (field.row.ends and field.row.kind is Kind.TEXT)
    return Slot(field.name, asked(field), width, several and field.many), end


_OPENED = tuple(f"{name}(" for name in TRANSFORMERS)


def _transformed(text: str, at: int, width: int) -> tuple[Slot, int]:
    try:
        use, end = operand_at(text, at)
        if not isinstance(use, Changed):
            raise BadOutput("a field must stand here", at)
        found = meaning(use)
    except NotACondition as error:
        raise BadOutput(error.what, error.at) from error
    except UnknownField as error:
        raise BadOutput(error.what, at) from error
    return Slot(operand(use), found.fact, width), end


def fields_of(output: Output) -> Sequence[Field]:
    """Return the fields that an output shows, without those inside transformers."""
    return [slot.fact for slot in output.slots if isinstance(slot.fact, Field)]
