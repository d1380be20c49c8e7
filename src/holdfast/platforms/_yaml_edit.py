"""Changes one YAML document of a text in place. Nothing is written out anew but the lines that must change.

Every edit is one splice of the text, and is checked: the new text is read again, and must say what the old one said
with that one value changed. A splice that fails the check is never taken; of several ways to spell an edit the first
that passes is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain

from holdfast.platforms import _yaml_splice as splice
from holdfast.platforms._yaml_render import Style
from holdfast.platforms._yaml_spans import (
    Key,
    Node,
    Path,
    Value,
    changed,
    compose,
    found,
    is_null,
    merged_key,
    value_of,
)

_SEPARATOR = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_BOM = "\ufeff"
_NOT_ALONE = "the text is written in a way in which this value cannot be changed alone"


class Refused(Exception):
    """An edit that cannot be made in this text.

    Attributes:
        why: As a person reads it.
        line: Of the whole text, 1-based; 0 where no line is meant.
    """

    def __init__(self, why: str, line: int = 0) -> None:
        """Keep both."""
        super().__init__(why)
        self.why = why
        self.line = line


class Page:
    """One document of a text."""

    def __init__(self, text: str, line: int, *, late: bool) -> None:
        """Find and read it.

        Args:
            text: The whole text; a byte order mark at its start is allowed.
            line: A line of the document, 1-based.
            late: As for ``value_of``.

        Raises:
            Refused: That part of the text is no YAML.
        """
        bom = _BOM if text.startswith(_BOM) else ""
        text = text[len(bom) :]
        at = _offset(text, line)
        cuts = [0, *(match.start() for match in _SEPARATOR.finditer(text) if match.start()), len(text)]
        begin = max(cut for cut in cuts[:-1] if cut <= at)
        end = min((cut for cut in cuts if cut > begin), default=len(text))
        self.before, self.text, self.after = bom + text[:begin], text[begin:end], text[end:]
        self.first = text.count("\n", 0, begin) + 1
        self.late = late
        self.crossed: Node | None = None
        self.style = Style()
        roots = self._roots(self.text)
        if not roots:
            raise Refused("nothing stands there", line)
        starts = [root.start for root in roots]
        self.number = max([0, *(index for index, start in enumerate(starts) if start <= at - begin)])
        json_text = not self.before.strip(_BOM + " \r\n\t") and not self.after and _is_json(self.text)
        self._adopt(self.text, roots)
        self.style = splice.style_of(self.text, self.root, json_text=json_text)

    @property
    def whole(self) -> str:
        """The whole text as it is now."""
        return self.before + self.text + self.after

    def holds(self, line: int) -> bool:
        """Tell whether a line of the text as it was given is one of this document. Counts only before any edit."""
        return self.first <= line <= self.first + self.text.count("\n")

    def get(self, path: Path) -> Value | None:
        """Return what stands at a path, aliases and merge keys resolved; None where nothing does."""
        return found(self.value, path)

    # --- edits ------------------------------------------------------------------------------------------------------

    def put(self, path: Path, value: Value) -> None:
        """Let a path hold a value. What is missing on the way is made.

        Args:
            path: Keys and indices from the root. An index as long as the list appends to it.
            value: The value.

        Raises:
            Refused: It stands in a part that others refer to, or cannot be changed alone.
        """
        present = self.get(path)
        if present == value and not isinstance(present, list | dict):
            return
        wanted = changed(self.value, path, value)
        node, depth, why = self._walk(path)
        crossed = self.crossed
        if why in {"", "target"}:
            self._take(splice.replaced(self.text, node, value, self.style, self._key_of(path)), wanted, crossed)
            return
        step = path[depth]
        part = changed(found(self.value, path[: depth + 1]), path[depth + 1 :], value)
        if part is None:
            raise Refused(_NOT_ALONE, self._line(node))
        if why == "null":
            whole: Value = [part] if isinstance(step, int) else {str(step): part}
            self._take(splice.replaced(self.text, node, whole, self.style, self._key_of(path[:depth])), wanted, crossed)
        elif why == "alias":
            whole = found(wanted, path[:depth]) or {}
            plain = splice.replaced(self.text, node, whole, self.style, self._key_of(path[:depth]))
            merging = splice.over_alias(self.text, node, str(step), part, self.style)
            self._take(chain(merging if isinstance(whole, dict) else (), plain), wanted, crossed)
        elif node.kind == "mapping":
            self._take(splice.key_added(self.text, node, str(step), part, self.style), wanted, crossed)
        elif node.kind == "sequence":
            self._take(splice.item_added(self.text, node, part, self.style), wanted, crossed)
        else:
            raise Refused("something else than a mapping stands where a key must be written", self._line(node))

    def append(self, path: Path, value: Value) -> None:
        """Add an element to the list at a path; the list is made where there is none."""
        present = self.get(path)
        if is_null(present):
            self.put(path, [value])
        elif isinstance(present, list) and present:
            self.put((*path, len(present)), value)
        elif isinstance(present, list):
            self.put(path, [value])
        else:
            raise Refused("something else than a list stands where an element must be added", 0)

    def drop(self, path: Path, neutral: Value | None = None, keep: int = 0) -> None:
        """Let nothing stand at a path.

        Args:
            path: Keys and indices from the root.
            neutral: What to write where the value cannot be taken away because a merge key or an alias brings it.
            keep: How many steps of the path stay even if they become empty; what is empty below them goes too.

        Raises:
            Refused: It stands in a part that others refer to, or cannot be changed alone.
        """
        if self.get(path) is None:
            return
        node, _, why = self._walk(path)
        crossed = self.crossed
        parent_node, _, parent_why = self._walk(path[:-1])
        if parent_why or why not in {"", "target"} or self._shines_through(parent_node, path[-1]):
            if isinstance(path[-1], int):
                rest = found(changed(self.value, path, None), path[:-1])
                self.put(path[:-1], rest if isinstance(rest, list) else [])
            elif neutral is None and parent_why:
                self.put(path[:-1], found(changed(self.value, path, None), path[:-1]) or {})
            elif neutral is None:
                raise Refused(_NOT_ALONE + "; it comes by an alias or a merge key", self._line(node))
            else:
                self.put(path, neutral)
            return
        count = len(parent_node.items) + len(parent_node.entries)
        if count == 1 and len(path) - 1 > keep and not parent_node.shared:
            empty: Value = [] if parent_node.kind == "sequence" else {}
            self.drop(path[:-1], empty, keep)
            return
        wanted = changed(self.value, path, None)
        self._take(splice.removed(self.text, parent_node, self._place(parent_node, path[-1])), wanted, crossed)

    # --- looking ----------------------------------------------------------------------------------------------------

    def _shines_through(self, node: Node, key: object) -> bool:
        return node.kind == "mapping" and merged_key(node, str(key), late=self.late)

    def _place(self, node: Node, key: object) -> int:
        if node.kind == "sequence":
            return int(str(key))
        places = [index for index, (name, _) in enumerate(node.entries) if name.resolved.text == key]
        if len(places) != 1:
            raise Refused(f"the key {key!r} stands more than once", self._line(node))
        return places[0]

    def _walk(self, path: Path) -> tuple[Node, int, str]:
        """Go down as far as the text is this path's own.

        Returns:
            The last node that is; how many steps lead to it; and why it goes no further: empty where the path ends,
            ``missing``, ``null``, ``alias`` (the node is one), ``merged`` (a merge key brings the next step), or
            ``target`` where the path ends at an alias.

        A part that others refer to is gone through: they may all say otherwise themselves, which the check of the new
        text finds out. The first such part is kept for the sentence that is needed if they do not.

        Raises:
            Refused: A key stands twice, or something else than a mapping or a list stands on the way.
        """
        node = self.root
        self.crossed = None
        for depth, step in enumerate((*path, None)):
            if node.kind == "alias":
                return node, depth, "target" if step is None else "alias"
            if node.shared and self.crossed is None:
                self.crossed = node
            if step is None:
                break
            child = self._below(node, step)
            if isinstance(child, str):
                return node, depth, child
            node = child
        return node, len(path), ""

    def _below(self, node: Node, step: Key) -> Node | str:
        """Return what stands one step below a node, or why nothing does."""
        if node.kind == "mapping":
            child = self._child(node, str(step))
            if child is None:
                return "merged" if merged_key(node, str(step), late=self.late) else "missing"
            return child
        if node.kind == "sequence":
            if not str(step).isdigit():
                raise Refused("a list stands where a key must be written", self._line(node))
            return "missing" if int(step) >= len(node.items) else node.items[int(step)]
        if is_null(value_of(node, late=self.late)):
            return "null"
        raise Refused("a plain value stands where a key must be written", self._line(node))

    def _child(self, node: Node, key: str) -> Node | None:
        places = [child for name, child in node.entries if not name.is_merge and name.resolved.text == key]
        if len(places) > 1:
            raise Refused(f"the key {key!r} stands {len(places)} times", self._line(places[0]))
        return places[0] if places else None

    def _key_of(self, path: Path) -> Node | None:
        """Return the key of the entry that a path leads to, whose column a block below it is measured from."""
        if not path:
            return None
        node, depth, why = self._walk(path[:-1])
        if why or depth != len(path) - 1 or node.kind != "mapping":
            return None
        return next((name for name, _ in node.entries if name.resolved.text == str(path[-1])), None)

    def _shared(self, node: Node) -> str:
        lines = [self._line(one) for one in _aliases(self.root) if one.target is node]
        told = f"line {lines[0]}" if lines else "another place"
        return f"it stands below the anchor &{node.anchor}, which {told} refers to; the change would change that too"

    def _line(self, node: Node) -> int:
        return self.first + self.text.count("\n", 0, node.start)

    # --- taking -----------------------------------------------------------------------------------------------------

    def _roots(self, text: str) -> list[Node]:
        from yaml import YAMLError  # noqa: PLC0415 - only who writes pays for it

        try:
            roots = compose(text)
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = self.first + mark.line if mark is not None else self.first
            raise Refused("this part of the file is no YAML that can be edited", line) from error
        if self.style.json and not _is_json(text):
            raise Refused("it would be JSON no more")
        return roots

    def _adopt(self, text: str, roots: list[Node]) -> None:
        self.text = text
        self.roots = roots
        self.root = roots[self.number]
        try:
            self.values = [value_of(root, late=self.late) for root in roots]
        except RecursionError as error:
            raise Refused("it is nested too deeply, or an alias contains itself") from error
        self.value = self.values[self.number]

    def _take(self, ways: Iterator[str], wanted: Value | None, crossed: Node | None) -> None:
        """Take the first way to spell an edit that says what is wanted and nothing else.

        Raises:
            Refused: None does; where a part that others refer to was gone through, with its name.
        """
        before = self.text, self.roots
        values: list[Value | None] = [*self.values]
        values[self.number] = wanted
        for way in ways:
            try:
                self._adopt(way, self._roots(way))
            except (Refused, IndexError):
                continue
            if self.values == values:
                return
        self._adopt(*before)
        if crossed is not None:
            raise Refused(self._shared(crossed), self._line(crossed))
        raise Refused(_NOT_ALONE, self._line(self.root))

    def state(self) -> str:
        """Return what ``restore`` takes back."""
        return self.text

    def restore(self, state: str) -> None:
        """Undo every edit since the state."""
        if state != self.text:
            self._adopt(state, self._roots(state))


def _aliases(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if here.kind == "alias":
            yield here
        waiting += [*here.items, *(one for pair in here.entries for one in pair)]


def _offset(text: str, line: int) -> int:
    at = 0
    for _ in range(line - 1):
        following = text.find("\n", at)
        if following < 0:
            break
        at = following + 1
    return at


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
