"""A Compose file as a tree whose leaves know their file, so that merged files keep the place of every value.

Scalars mean what go-yaml v3 makes of them for Compose: ``true`` and ``True`` are booleans, ``yes`` and ``on`` are
text (which Compose itself then takes for a boolean where it wants one).

Source:
    https://yaml.org/spec/1.2.2/#103-core-schema, compose-go ``loader/interpolate.go``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from holdfast.model.errors import NotUnderstood
from holdfast.model.place import Where
from holdfast.model.tree import Cursor, Mapping, Node, Scalar
from holdfast.platforms._compose_interpolate import Lookup, interpolate
from holdfast.platforms._docker_run_request import Said

RESET, OVERRIDE = "!reset", "!override"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0x[0-9a-fA-F_]+|0o?[0-7_]+|0b[01_]+|[0-9][0-9_]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NUMBER_START = frozenset("0123456789+-.")
_DEPTH = 64
_MOST_NODES = 200_000


@dataclass(slots=True)
class Source:
    """The file a value comes from.

    Attributes:
        name: Its name as a document.
        folder: Directory that relative paths in it start from, as part of a document name.
        base: The same directory as an absolute path, where it is known; otherwise not starting with ``/``.
        lookup: Its variables.
    """

    name: str
    folder: str
    base: str
    lookup: Lookup
    home: str = ""

    def beside(self, path: str) -> str:
        """Return the document name of a path that is written in this file."""
        return path if path.startswith("/") else posixpath.normpath(posixpath.join(self.folder, path))

    def absolute(self, path: str) -> str:
        """Return the host path of a path that is written in this file; as written where that cannot be told."""
        if path == "~" or path.startswith("~/"):
            return self.home.rstrip("/") + path[1:] if self.home.startswith("/") else path
        if not path or path.startswith(("/", "~", "\\")) or path[1:2] == ":":
            return path
        if self.base.startswith("/"):
            return posixpath.normpath(posixpath.join(self.base, path))
        return path


@dataclass(slots=True)
class Leaf:
    """A scalar.

    Attributes:
        value: What it means, variables replaced.
        written: Its text as written.
        where: Its place.
        source: Its file.
        unknown: Why the value cannot be known; empty where it is.
        note: What the value rests on.
        tag: ``!reset``, ``!override`` or empty.
    """

    value: Any
    written: str
    where: Where
    source: Source
    unknown: str = ""
    note: str = ""
    tag: str = ""

    @property
    def text(self) -> str:
        """The value as text; as written where it cannot be known."""
        if self.unknown:
            return self.written
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return "" if self.value is None else str(self.value)

    def said(self) -> Said:
        """Return the value as one that a request takes."""
        return Said(self.text, self.where, self.unknown, self.note)


@dataclass(slots=True)
class Branch:
    """A mapping.

    Attributes:
        entries: In order.
        places: Place of each entry, with the line of its key.
        gap: Why entries that are not here may stand elsewhere; empty where none can.
    """

    entries: dict[str, Tree]
    where: Where
    source: Source
    places: dict[str, Where] = field(default_factory=dict)
    tag: str = ""
    gap: str = ""

    def get(self, key: str) -> Tree | None:
        """Return an entry; None where it is missing, null or reset."""
        found = self.entries.get(key)
        if found is None or found.tag == RESET:
            return None
        if isinstance(found, Leaf) and found.value is None and not found.unknown:
            return None
        return found

    def items(self) -> Iterator[tuple[str, Tree]]:
        """Iterate over what ``get`` would return, nulls included."""
        for key, child in self.entries.items():
            if child.tag != RESET:
                yield key, child

    def place(self, key: str) -> Where:
        """Return the place of an entry."""
        return self.places.get(key, self.where)


@dataclass(slots=True)
class Row:
    """A list."""

    items: list[Tree]
    where: Where
    source: Source
    tag: str = ""


Tree = Leaf | Branch | Row


def meaning(scalar: Scalar) -> Any:
    """Give a scalar the value that Compose sees.

    Source:
        go-yaml v3 ``resolve.go``: the core schema of YAML 1.2, and 0-prefixed octal numbers of YAML 1.1.
    """
    if scalar.typed:
        return scalar.value
    text = scalar.text
    if not scalar.plain or scalar.tag == "!!str":
        return text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] in _NUMBER_START and len(text) <= 64:
        if _INTEGER.match(text):
            return _integer(text)
        if _FLOAT.match(text):
            return float(text.replace("_", ""))
    return text


def _integer(text: str) -> int | str:
    digits = text.replace("_", "").lstrip("+-").lower()
    negative = text.startswith("-")
    try:
        if digits.startswith(("0x", "0o", "0b")):
            number = int(digits, 0)
        elif len(digits) > 1 and digits[0] == "0":
            number = int(digits, 8)
        else:
            number = int(digits)
    except ValueError:
        return text
    return -number if negative else number


class Grower:
    """Builds trees out of parsed documents, with a bound on their size."""

    def __init__(self, problems: list[NotUnderstood]) -> None:
        """Keep the list that takes what could not be understood."""
        self.problems = problems
        self.count = 0

    def grow(self, cursor: Cursor, source: Source) -> Tree:
        """Build the tree below a place.

        Raises:
            NotUnderstood: More nodes, or nested deeper, than Compose itself takes.
        """
        return self._node(cursor.node, cursor.where, source, 0)

    def _node(self, node: Node, where: Where, source: Source, depth: int) -> Tree:
        self.count += 1
        if self.count > _MOST_NODES or depth > _DEPTH:
            raise NotUnderstood(
                "the Compose file is too large or nested too deeply", str(where), "split it", where.line
            )
        if isinstance(node, Scalar):
            return self._leaf(node, where, source)
        if isinstance(node, Mapping):
            places = {key: where.below(key, node.key_lines.get(key, 0)) for key in node.entries}
            entries = {key: self._node(child, places[key], source, depth + 1) for key, child in node.entries.items()}
            branch = Branch(entries, where, source, places, node.tag)
            for key, line in node.duplicates:
                self._duplicate(branch, key, line)
            return branch
        items = [
            self._node(child, where.below(index, child.line), source, depth + 1)
            for index, child in enumerate(node.elements)
        ]
        return Row(items, where, source, node.tag)

    def _duplicate(self, branch: Branch, key: str, line: int) -> None:
        reason = f"the key {key[:40]!r} stands twice; Compose refuses the file"
        place = branch.place(key)
        self.problems.append(NotUnderstood(reason, str(place), "keep one of the two", line))
        branch.entries[key] = Leaf(None, "", place, branch.source, reason)

    def _leaf(self, scalar: Scalar, where: Where, source: Source) -> Leaf:
        value = meaning(scalar)
        tag = scalar.tag if scalar.tag in {RESET, OVERRIDE} else ""
        if not isinstance(value, str) or "$" not in value:
            return Leaf(value, scalar.text, where, source, "", "", tag)
        outcome = interpolate(value, source.lookup)
        if outcome.error:
            self.problems.append(NotUnderstood(outcome.error, str(where), "correct the variable", where.line))
        return Leaf(outcome.text, value, where, source, outcome.reason, outcome.note, tag)
