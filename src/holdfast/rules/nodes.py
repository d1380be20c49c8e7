"""Conditions of Falco's language as trees, before any field has a meaning."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FieldUse:
    """A field, with the argument in brackets or None; ``at`` is its offset in the condition."""

    name: str
    argument: str | None = None
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Changed:
    """A transformer and what it is given; texts are quoted literals, tuples are lists of them."""

    name: str
    given: tuple[Given, ...]
    argument: str | None = None
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Number:
    """A number that was given to a transformer, as it was written."""

    text: str


Operand = FieldUse | Changed
Given = FieldUse | Changed | Number | str | tuple[str, ...]
Value = str | tuple[str, ...] | FieldUse | Changed
"""What stands on the right: a text, a list, or another field (``val(field)``, or a transformer)."""


@dataclass(frozen=True, slots=True)
class Check:
    """A comparison.

    Attributes:
        left: The field that is asked.
        op: As written, without blanks around it.
        value: What it is compared with.
        how: ``oneof``, ``anyof``, ``allof``, or empty.
        at: Offset of the value in the condition.
    """

    left: Operand
    op: str
    value: Value
    how: str = ""
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value."""

    left: Operand


@dataclass(frozen=True, slots=True)
class Name:
    """A macro."""

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: Condition


@dataclass(frozen=True, slots=True)
class And:
    """Every part."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part."""

    parts: tuple[Condition, ...]


Condition = Check | Exists | Name | Not | And | Or
