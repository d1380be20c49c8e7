"""What a rules file defines: lists, macros and rules, with their places."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.model.alert import Priority
from holdfast.rules.problems import Place
from holdfast.rules.written import Written

ENGINE = (0, 62, 0)
"""Version of Falco's rule engine that is followed: Falco 0.44.1."""
SOURCE = "syscall"
"""The only source of events there is; others are plug-ins of Falco."""


@dataclass(slots=True)
class ListDefinition:
    """A list.

    Attributes:
        index: Its number in the order of first definition.
        visible: Number of its last definition; only lists with a lower index are written out in its items.
    """

    name: str
    items: list[str]
    place: Place
    index: int = 0
    visible: int = 0


@dataclass(slots=True)
class MacroDefinition:
    """A macro; ``index`` and ``visible`` as for a list."""

    name: str
    condition: Written
    place: Place
    index: int = 0
    visible: int = 0


Entry = str | tuple["Entry", ...]
"""One entry of an exception: a text or a list."""


@dataclass(slots=True)
class RuleException:
    """An exception; ``fields`` and ``comps`` are None where they are not given."""

    name: str
    fields: Entry | None
    comps: Entry | None
    values: list[Entry]
    place: Place


@dataclass(slots=True)
class RuleDefinition:
    """A rule, as written."""

    name: str
    condition: Written
    output: Written
    description: str
    priority: Priority
    place: Place
    source: str = SOURCE
    enabled: bool = True
    tags: list[str] = field(default_factory=list)
    exceptions: list[RuleException] = field(default_factory=list)
    warn_event_types: bool = True
    skip_if_unknown: bool = False
    capture: bool = False
    capture_duration: int = 0
    index: int = 0


@dataclass(slots=True)
class Definitions:
    """Everything that rules files defined, each kind in the order of first definition."""

    lists: dict[str, ListDefinition] = field(default_factory=dict)
    macros: dict[str, MacroDefinition] = field(default_factory=dict)
    rules: dict[str, RuleDefinition] = field(default_factory=dict)
    engine: tuple[int, int, int] = (0, 0, 0)
    plugins: list[tuple[tuple[str, str], ...]] = field(default_factory=list)
    count: int = 0
