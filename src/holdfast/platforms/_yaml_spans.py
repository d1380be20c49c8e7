"""YAML as nodes that know which characters of the text they are, so that a text can be changed in place.

The trees of the model know lines; whoever writes must know offsets. Only what the writers need is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

Key = str | int
Path = tuple[Key, ...]

_SPECIAL = re.compile(r"(?:|~|null|true|false|yes|no|on|off|y|n|<<|=|[-+]?\.?(?:inf|nan))\Z", re.IGNORECASE)
_TEXT = re.compile(r"[A-Za-z_/](?:[A-Za-z0-9_./@=-]|:(?=[A-Za-z0-9_./@=-])| (?=[A-Za-z0-9_./@=-]))*\Z")
_MERGE = "tag:yaml.org,2002:merge"
_STRING = "tag:yaml.org,2002:str"


class Leaf(NamedTuple):
    """A scalar by what it says.

    Attributes:
        text: Without quotes.
        string: It is text to every program that reads YAML, whatever the text is.
    """

    text: str
    string: bool = True


Value = Leaf | dict[str, Any] | list[Any]
"""A tree of leaves, aliases and merge keys resolved."""

NULL = Leaf("null", string=False)


def leaf(value: bool | str | int) -> Leaf:
    """Make a leaf of a plain value."""
    if isinstance(value, bool):
        return Leaf("true" if value else "false", string=False)
    return Leaf(str(value), string=not isinstance(value, int))


def is_null(value: Value | None) -> bool:
    """Tell whether a value is missing or null."""
    return value is None or (
        isinstance(value, Leaf) and not value.string and value.text in {"", "~", "null", "Null", "NULL"}
    )


def plainly_text(text: str) -> bool:
    """Tell whether a text may stand without quotes and is text to every program that reads YAML."""
    return bool(_TEXT.match(text)) and not _SPECIAL.match(text)


@dataclass(slots=True, eq=False)
class Node:
    """A part of the text.

    Attributes:
        kind: ``scalar``, ``mapping``, ``sequence`` or ``alias``.
        start: Offset of its first character, an anchor or a tag before it included.
        end: Offset behind its last character; comments and line ends behind it are outside.
        flow: It is written in brackets.
        anchor: Its anchor, or the name that an alias refers to.
        text: Of a scalar.
        plain: A scalar without quotes.
        quote: The quote of a quoted scalar.
        tag: An explicit tag.
        entries: Keys and values of a mapping.
        items: Elements of a sequence.
        target: What an alias stands for.
        shared: An alias refers to it.
    """

    kind: str
    start: int
    end: int
    flow: bool = False
    anchor: str = ""
    text: str = ""
    plain: bool = True
    quote: str = ""
    tag: str = ""
    entries: list[tuple[Node, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)
    target: Node | None = None
    shared: bool = False

    @property
    def is_merge(self) -> bool:
        """It is the key of a merge."""
        return self.kind == "scalar" and self.text == "<<" and (self.plain if not self.tag else self.tag == _MERGE)

    @property
    def resolved(self) -> Node:
        """What an alias stands for; otherwise the node itself."""
        return self.target if self.target is not None else self


@lru_cache(maxsize=4)
def compose(text: str) -> list[Node]:  # noqa: C901, PLR0912 - one loop over a closed set of events
    """Read every document of a text. Nobody changes the nodes; several edits of one text begin with the same ones.

    Raises:
        yaml.YAMLError: It is no YAML.
    """
    import yaml  # noqa: PLC0415 - only who writes pays for it

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    roots: list[Node] = []
    stack: list[Node] = []
    keys: list[Node | None] = []
    anchors: dict[str, Node] = {}
    events: Iterator[Any] = yaml.parse(text, Loader=loader)
    for event in events:
        name = type(event).__name__
        if name == "DocumentStartEvent":
            anchors = {}
            continue
        if name in {"MappingEndEvent", "SequenceEndEvent"}:
            node = stack.pop()
            keys.pop()
            if node.flow:
                node.end = event.end_mark.index
            else:
                node.end = max(
                    [node.end, *(v.end for pair in node.entries for v in pair), *(i.end for i in node.items)]
                )
            continue
        if name not in {"ScalarEvent", "AliasEvent", "MappingStartEvent", "SequenceStartEvent"}:
            continue
        node = _node(name, event, text)
        if name == "AliasEvent":
            node.target = anchors.get(event.anchor)
            if node.target is None:
                raise yaml.YAMLError(f"the alias {event.anchor!r} has no anchor")
            node.target.shared = True
        elif event.anchor:
            anchors[event.anchor] = node
        if not stack:
            roots.append(node)
        elif stack[-1].kind == "sequence":
            stack[-1].items.append(node)
        elif keys[-1] is None:
            keys[-1] = node
        else:
            stack[-1].entries.append((keys[-1], node))
            keys[-1] = None
        if node.kind in {"mapping", "sequence"}:
            stack.append(node)
            keys.append(None)
    return roots


def _node(name: str, event: Any, text: str) -> Node:
    start, end = event.start_mark.index, event.end_mark.index
    anchor = event.anchor or ""
    if name == "AliasEvent":
        return Node("alias", start, end, anchor=anchor)
    if name == "ScalarEvent":
        if event.style in {"|", ">"}:
            end = start + len(text[start:end].rstrip())
        tag = event.tag or ""
        quote = event.style if event.style in {"'", '"'} else ""
        return Node("scalar", start, end, False, anchor, event.value, not event.style, quote, "" if tag == "!" else tag)
    kind = "mapping" if name == "MappingStartEvent" else "sequence"
    return Node(kind, start, end, bool(event.flow_style), anchor, tag=event.tag or "")


def value_of(node: Node, *, late: bool) -> Value:
    """Return what a node says, aliases and merge keys resolved.

    Args:
        node: Where to begin.
        late: A ``<<`` behind a key wins over it, as kubectl reads; otherwise what is written out wins.
    """
    node = node.resolved
    if node.kind == "scalar":
        return Leaf(node.text, not node.plain or node.tag == _STRING or plainly_text(node.text))
    if node.kind == "sequence":
        return [value_of(item, late=late) for item in node.items]
    written: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key, child in node.entries:
        if not key.is_merge:
            written[key.resolved.text] = value_of(child, late=late)
            continue
        brought: dict[str, Any] = {}
        for source in reversed(list(_sources(child))):
            found = value_of(source, late=late)
            brought.update(found if isinstance(found, dict) else {})
        if late:
            written.update(brought)
        else:
            merged = {**merged, **brought}
    return {**merged, **written}


def _sources(node: Node) -> Iterator[Node]:
    node = node.resolved
    if node.kind == "sequence":
        for item in node.items:
            yield item.resolved
    else:
        yield node


def merged_key(node: Node, key: str, *, late: bool) -> bool:
    """Tell whether a merge key of this very mapping brings a key."""
    for merge, child in node.entries:
        if merge.is_merge:
            for source in _sources(child):
                found = value_of(source, late=late)
                if isinstance(found, dict) and key in found:
                    return True
    return False


def found(value: Value | None, path: Path) -> Value | None:
    """Go down a tree; None where something is missing."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and str(step).isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def changed(value: Value | None, path: Path, new: Value | None) -> Value | None:
    """Return a tree with one part set, or taken out where ``new`` is None. The given tree stays as it is."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        index = int(step)
        if index >= len(value):
            return value if new is None else [*value, changed(None, rest, new)]
        if not rest and new is None:
            return [*value[:index], *value[index + 1 :]]
        return [*value[:index], changed(value[index], rest, new), *value[index + 1 :]]
    if is_null(value) and isinstance(step, int):
        return None if new is None else [changed(None, rest, new)]
    table: dict[str, Any] = dict(value) if isinstance(value, dict) else {}
    if not rest and new is None:
        table.pop(str(step), None)
    else:
        table[str(step)] = changed(table.get(str(step)), rest, new)
    return table
