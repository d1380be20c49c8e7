"""YAML to trees in which every node knows its line and column, within bounds.

Source:
    The bounds are those of the house for other YAML: a nesting, a number of nodes, and how much aliases may add.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

DEPTH = 64
"""Deepest nesting. A rules file needs seven."""
NODES = 500_000
"""Most nodes, aliases written out. The three stock files have about 7,000 together."""
SIZE = 16 * 1024 * 1024
"""Longest text, in characters."""
_SLOW_SIZE = 1024 * 1024
"""Longest text for PyYAML's own parser, which is used where libyaml is absent."""

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class NotYaml(ValueError):
    """The text is no YAML, or more than is read.

    Attributes:
        what: One short sentence without a final stop.
        line, column: 1-based.
    """

    def __init__(self, what: str, line: int, column: int) -> None:
        """Keep the three."""
        super().__init__(what)
        self.what = what
        self.line = line
        self.column = column


@dataclass(slots=True, eq=False)
class Scalar:
    """A text.

    Attributes:
        text: What it means.
        line, column: 1-based place of its begin.
        begin, end: Offsets of its begin and end in the document.
        style: The sign of its style: a quote, ``|``, ``>``, or empty for a plain one.
    """

    text: str
    line: int
    column: int
    begin: int
    end: int
    style: str

    @property
    def is_null(self) -> bool:
        """Nothing was written, or the word for it."""
        return not self.style and self.text in _NULL


@dataclass(slots=True, eq=False)
class Row:
    """A sequence."""

    items: list[Node]
    line: int
    column: int


@dataclass(slots=True, eq=False)
class Table:
    """A mapping; of a repeated key the first counts, as in Falco, and ``repeated`` holds the others."""

    entries: dict[str, Node]
    keys: dict[str, Scalar]
    repeated: list[Scalar]
    line: int
    column: int


Node = Scalar | Row | Table


def read(text: str) -> list[Node]:
    """Read every document of a text.

    Raises:
        NotYaml: It is no YAML, or it goes beyond a bound.
    """
    if len(text) > SIZE:
        raise NotYaml(f"more than {SIZE} characters in one file", 1, 1)
    wrong = _NOT_YAML.search(text)
    if wrong is not None:
        at = wrong.start()
        column = at - text.rfind("\n", 0, at)
        raise NotYaml(f"the character U+{ord(wrong[0]):04X} may not stand in YAML", text.count("\n", 0, at) + 1, column)
    events = _events(text)
    documents: list[Node] = []
    try:
        while True:
            event = events()
            if event is None or isinstance(event, StreamEndEvent):
                return documents
            if isinstance(event, DocumentStartEvent):
                documents.append(_Composer(events).compose())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise NotYaml(f"this is no YAML: {error.problem or error.context}", line, column) from error
    except (YAMLError, RecursionError) as error:
        raise NotYaml("this is no YAML", 1, 1) from error


def _events(text: str) -> Callable[[], Any]:
    try:
        from yaml._yaml import CParser  # noqa: PLC0415 - absent where PyYAML was built without libyaml
    except ImportError:
        if len(text) > _SLOW_SIZE:
            raise NotYaml("PyYAML has no libyaml here and would take minutes", 1, 1) from None
        from yaml.loader import SafeLoader  # noqa: PLC0415 - only the fallback needs the pure parser

        slow: Callable[[], Any] = SafeLoader(text).get_event
        return slow
    fast: Callable[[], Any] = CParser(text).get_event
    return fast


class _Composer:
    """Builds one document out of events; nothing here recurses."""

    __slots__ = ("anchors", "count", "events", "sizes")

    def __init__(self, events: Callable[[], Any]) -> None:
        self.events = events
        self.anchors: dict[str, Node] = {}
        self.sizes: dict[int, int] = {}
        self.count = 0

    def compose(self) -> Node:
        open_: list[tuple[Row | Table, list[Node], str | None, int]] = []
        root: Node = Scalar("", 1, 1, 0, 0, "")
        while True:
            event = self.events()
            if isinstance(event, DocumentEndEvent) or event is None:
                return root
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            if isinstance(event, MappingStartEvent | SequenceStartEvent):
                if len(open_) >= DEPTH:
                    raise NotYaml(f"nested deeper than {DEPTH} levels", line, column)
                begun = (
                    Row([], line, column) if isinstance(event, SequenceStartEvent) else Table({}, {}, [], line, column)
                )
                open_.append((begun, [], event.anchor, self.count))
                continue
            if isinstance(event, MappingEndEvent | SequenceEndEvent):
                made, parts, anchor, before = open_.pop()
                _fill(made, parts)
                node: Node = made
                self._made(node, anchor, self.count - before + 1, line, column)
            else:
                node = self._leaf(event, line, column)
            if open_:
                open_[-1][1].append(node)
            else:
                root = node

    def _leaf(self, event: Any, line: int, column: int) -> Node:
        if isinstance(event, AliasEvent):
            name = event.anchor or ""
            found = self.anchors.get(name)
            if found is None:
                raise NotYaml(f"the alias {name[:40]!r} has no anchor before it", line, column)
            self._counted(self.sizes[id(found)], line, column)
            return found
        if not isinstance(event, ScalarEvent):
            raise NotYaml("the YAML ends in the middle", line, column)
        begin, end = (mark.index if mark else 0 for mark in (event.start_mark, event.end_mark))
        node = Scalar(event.value, line, column, begin, end, event.style or "")
        self._made(node, event.anchor, 1, line, column)
        return node

    def _made(self, node: Node, anchor: str | None, size: int, line: int, column: int) -> None:
        self._counted(1, line, column)
        if anchor is not None:
            self.anchors[anchor] = node
            self.sizes[id(node)] = size

    def _counted(self, size: int, line: int, column: int) -> None:
        self.count += size
        if self.count > NODES:
            raise NotYaml(f"more than {NODES} values, aliases written out", line, column)


def _fill(table: Row | Table, parts: list[Node]) -> None:
    if isinstance(table, Row):
        table.items = parts
        return
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        if not isinstance(key, Scalar):
            raise NotYaml("a key is a list or a mapping", key.line, key.column)
        if key.text in table.entries:
            table.repeated.append(key)
        else:
            table.entries[key.text] = value
            table.keys[key.text] = key
