"""YAML to trees with lines, from the event stream of libyaml (or of PyYAML's own parser where libyaml is absent).

Scalars keep their text: what ``on`` or ``0o0`` means is for each dialect to say. An alias is the very node of its
anchor, so an alias bomb costs nothing here; but its expanded size is counted, because whoever walks the tree pays it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from yaml.error import YAMLError
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from holdfast.collect.parse_limits import DEPTH, NODES, Refused, aliases_explode, too_deep, too_many
from holdfast.collect.parse_merge import Merge, merge
from holdfast.collect.parse_troubles import explained, line_start, refusal_of
from holdfast.model.tree import Mapping, Node, Scalar, Sequence

_PREFIX = "tag:yaml.org,2002:"
_RESTARTS = 20
"""How often reading goes on after an error in the same file."""
_SLOW_LIMIT = 1024 * 1024
"""Largest text for the pure Python parser, which reads about 100 kB in a second."""
_SEPARATOR = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_MERGE_KEY = "<<"

Events = Callable[[], Any]


def read_yaml(text: str) -> tuple[list[Node], list[Refused]]:
    """Read every YAML document of a text.

    Args:
        text: Decoded, without byte order mark.

    Returns:
        The roots of the documents that could be read, and why others could not. Empty documents have no root.
    """
    roots: list[Node] = []
    refusals: list[Refused] = []
    offset = 0
    lines_before = 0
    while True:
        try:
            _stream(text[offset:] if offset else text, lines_before + 1, roots)
        except Refused as refusal:
            refusals.append(explained(text, refusal))
        else:
            return roots, refusals
        # kubectl cuts a file at its "---" lines before it parses, so a broken document ends there.
        begin = line_start(text, offset, max(refusals[-1].line - 1 - lines_before, 0))
        found = _SEPARATOR.search(text, max(begin, offset + 1))
        if not found:
            return roots, refusals
        lines_before += text.count("\n", offset, found.start())
        offset = found.start()
        if len(refusals) >= _RESTARTS:
            refusals.append(
                Refused(
                    "too many broken documents; the rest of the file was not read",
                    "correct them first",
                    lines_before + 1,
                )
            )
            return roots, refusals


def _events(text: str, first: int) -> Events:
    try:
        from yaml._yaml import CParser  # noqa: PLC0415 - absent where PyYAML was built without libyaml
    except ImportError:
        return _slow_events(text, first)
    try:
        fast: Events = CParser(text).get_event
    except YAMLError as error:
        raise refusal_of(error, text, first) from error
    return fast


def _slow_events(text: str, first: int) -> Events:
    from yaml.parser import Parser  # noqa: PLC0415 - only the fallback needs the pure parser
    from yaml.reader import Reader  # noqa: PLC0415
    from yaml.scanner import Scanner  # noqa: PLC0415

    class _Slow(Reader, Scanner, Parser):
        def __init__(self, stream: str) -> None:
            Reader.__init__(self, stream)
            Scanner.__init__(self)
            Parser.__init__(self)

    if len(text) > _SLOW_LIMIT:
        raise Refused(
            f"PyYAML has no libyaml here and would take minutes for {len(text)} characters",
            "install a PyYAML wheel, which brings libyaml",
            1,
            final=True,
        )
    try:
        slow: Events = _Slow(text).get_event
    except YAMLError as error:
        raise refusal_of(error, text, first) from error
    return slow


def _stream(text: str, first: int, roots: list[Node]) -> None:
    """Append the root of each document; ``first`` is the line number of the text's first line."""
    events = _events(text, first)
    composer = _Composer(events, first)
    while True:
        try:
            event = events()
            if event is None:
                return
            if event.__class__ is DocumentStartEvent:
                root = composer.document()
                if not (isinstance(root, Scalar) and root.plain and not root.text and not root.tag):
                    roots.append(root)
        except YAMLError as error:
            raise refusal_of(error, text, first) from error
        except RecursionError as error:
            raise too_deep(first) from error


class _Composer:
    """Builds one tree after another out of one event stream."""

    __slots__ = ("anchors", "by_alias", "count", "events", "expanded", "first", "open", "sizes")

    def __init__(self, events: Events, first: int) -> None:
        self.events = events
        self.first = first
        self.count = 0

    def document(self) -> Node:  # noqa: C901, PLR0912, PLR0915 - one loop over a closed set of events, kept flat for speed
        """Compose the document whose start was just read, up to its end."""
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.open: dict[str, Node] = {}
        self.expanded = self.by_alias = 0
        events, first, anchors, limit = self.events, self.first, self.anchors, NODES - self.count
        # A frame holds what was being built when a deeper container began: container, its entries or elements,
        # pending key, line of that key, name of its anchor, expanded count at its start, merges.
        stack: list[tuple[Any, Any, str | None, int, str | None, int, list[Merge] | None]] = []
        here: Mapping | Sequence | None = None
        entries: Any = None
        mapping = False
        key: str | None = None
        key_line = line = 0
        anchor: str | None = None
        started = 0
        merges: list[Merge] | None = None
        node: Node = Scalar("")
        while True:
            event = events()
            kind = event.__class__
            if kind is ScalarEvent:
                self.expanded += 1
                line = event.start_mark.line + first
                tag = event.tag
                if mapping and key is None and event.anchor is None:
                    key = event.value
                    key_line = line
                    if key == _MERGE_KEY and (event.implicit[0] if tag is None else tag == _PREFIX + "merge"):
                        merges = merges if merges is not None else []
                        merges.append(Merge(frozenset(entries), len(here.duplicates), line))  # type: ignore[union-attr]
                    continue
                if tag is None:
                    node = Scalar(event.value, line, event.implicit[0])
                elif tag == "!":
                    # The non-specific tag: libyaml drops it and lets the plain rules apply.
                    node = Scalar(event.value, line, True)
                else:
                    node = Scalar(event.value, line, not event.style, _short(tag))
                if event.anchor is not None:
                    anchors[event.anchor] = (node, 1)
                    self.open.pop(event.anchor, None)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                line = event.start_mark.line + first
                if len(stack) >= DEPTH:
                    raise too_deep(line)
                self.expanded += 1
                stack.append((here, entries, key, key_line, anchor, started, merges))
                anchor, started, merges, key = event.anchor, self.expanded, None, None
                tag = "" if event.tag is None else _short(event.tag)
                if kind is MappingStartEvent:
                    entries, mapping = {}, True
                    here = Mapping(entries, line, {}, [], tag)
                else:
                    entries, mapping = [], False
                    here = Sequence(entries, line, tag)
                if anchor is not None:
                    anchors.pop(anchor, None)
                    self.open[anchor] = here
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                if merges is not None:
                    merge(here, merges)  # type: ignore[arg-type]
                node = here  # type: ignore[assignment]
                if anchor is not None and self.open.get(anchor) is node:
                    anchors[anchor] = (node, self.expanded - started + 1)
                    del self.open[anchor]
                here, entries, key, key_line, anchor, started, merges = stack.pop()
                mapping = here.__class__ is Mapping
            elif kind is AliasEvent:
                line = event.start_mark.line + first
                node = self._alias(event.anchor, line)
            elif kind is DocumentEndEvent:
                self.count += self.expanded - self.by_alias
                return node
            else:
                raise Refused("the YAML ends in the middle", "complete it", first)

            if self.expanded - self.by_alias > limit:
                raise too_many(first)
            if here is None:
                continue
            if not mapping:
                entries.append(node)
            elif key is None:
                if not isinstance(node, Scalar):
                    raise Refused("a key is a list or a mapping", "engines take plain text as keys only", node.line)
                key, key_line = node.text, line
            elif merges and merges[-1].value is None:
                merges[-1].value = node
                key = None
            else:
                if key in entries:
                    here.duplicates.append((key, key_line))  # type: ignore[union-attr]
                entries[key] = node
                here.key_lines[key] = key_line  # type: ignore[union-attr]
                key = None

    def _alias(self, name: str, line: int) -> Node:
        found = self.anchors.get(name)
        if found is None:
            if name in self.open:
                raise Refused(
                    f"the anchor {name[:40]!r} contains itself", "no engine takes that; write the value out", line
                )
            raise Refused(f"the alias {name[:40]!r} has no anchor", "define it before it is used", line)
        node, size = found
        self.expanded += size
        self.by_alias += size
        if aliases_explode(self.expanded, self.by_alias):
            raise Refused(
                "aliases expand to far more than is written", "kubectl and Compose refuse that too; write it out", line
            )
        return node


def _short(tag: str) -> str:
    if tag.startswith(_PREFIX):
        return "!!" + tag[len(_PREFIX) :]
    return "" if tag == "!" else tag
