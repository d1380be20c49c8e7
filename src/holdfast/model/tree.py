"""Documents as trees with lines, before any dialect has said what a scalar means.

``on`` is true to kubectl and a string to Compose; so a tree keeps the text and the way it was written, and each
platform brings the function that gives it a meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from holdfast.model.place import Where


@dataclass(slots=True)
class Scalar:
    """A leaf.

    Attributes:
        text: As written, without quotes.
        line: 1-based.
        plain: True where the document wrote it without quotes, so that the dialect's typing rules apply.
        tag: Explicit YAML tag such as ``!!str``, empty where there is none.
        value: For documents that are typed already (JSON): the value. Otherwise None.
        typed: True where ``value`` counts.
    """

    text: str
    line: int = 0
    plain: bool = True
    tag: str = ""
    value: Any = None
    typed: bool = False


@dataclass(slots=True)
class Mapping:
    """Keys in order. ``duplicates`` lists repeated keys with the line of each repetition; the last one wins.

    ``late`` holds what a merge key ``<<`` brings for keys that were written out before it. ``entries`` keeps the
    written value, as the merge key's specification and go-yaml v3 (Compose) do; go-yaml v2 (kubectl) lets the later
    one win.
    """

    entries: dict[str, Node]
    line: int = 0
    key_lines: dict[str, int] = field(default_factory=dict)
    duplicates: list[tuple[str, int]] = field(default_factory=list)
    tag: str = ""
    late: dict[str, Node] | None = None


@dataclass(slots=True)
class Sequence:
    """Elements in order."""

    elements: list[Node]
    line: int = 0
    tag: str = ""


Node = Scalar | Mapping | Sequence
Meaning = Callable[[Scalar], Any]


def typed_meaning(scalar: Scalar) -> Any:
    """Give a scalar of an already typed document its value, any other its text."""
    return scalar.value if scalar.typed else scalar.text


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a document, with the dialect that gives scalars their meaning. Moving never fails: it yields None.

    Attributes:
        node: What stands here.
        where: Its place. The line is that of the key where there is one.
        meaning: What a scalar is worth in this dialect.
    """

    node: Node
    where: Where
    meaning: Meaning = typed_meaning

    def get(self, *keys: str) -> Cursor | None:
        """Go down a chain of mapping keys; None where one is missing or is null."""
        here: Cursor = self
        for key in keys:
            node = here.node
            if not isinstance(node, Mapping):
                return None
            child = node.entries.get(key)
            if child is None:
                return None
            here = Cursor(child, here.where.below(key, node.key_lines.get(key, child.line)), self.meaning)
        return None if here.is_null else here

    def present(self, key: str) -> bool:
        """Tell whether a mapping has this key, even with a null value."""
        return isinstance(self.node, Mapping) and key in self.node.entries

    def items(self) -> Iterator[tuple[str, Cursor]]:
        """Iterate over the entries of a mapping; nothing for other nodes."""
        if isinstance(self.node, Mapping):
            for key, child in self.node.entries.items():
                line = self.node.key_lines.get(key, child.line)
                yield key, Cursor(child, self.where.below(key, line), self.meaning)

    def elements(self) -> Iterator[Cursor]:
        """Iterate over the elements of a sequence; nothing for other nodes."""
        if isinstance(self.node, Sequence):
            for index, child in enumerate(self.node.elements):
                yield Cursor(child, self.where.below(index, child.line), self.meaning)

    @property
    def is_mapping(self) -> bool:
        """A mapping stands here."""
        return isinstance(self.node, Mapping)

    @property
    def is_sequence(self) -> bool:
        """A sequence stands here."""
        return isinstance(self.node, Sequence)

    @property
    def is_null(self) -> bool:
        """A scalar stands here that means nothing (null)."""
        return isinstance(self.node, Scalar) and self.meaning(self.node) is None

    @property
    def value(self) -> Any:
        """The scalar's value in this dialect; None for mappings and sequences."""
        return self.meaning(self.node) if isinstance(self.node, Scalar) else None

    @property
    def text(self) -> str | None:
        """The scalar as text: the string itself, or a number or boolean as it was written."""
        if not isinstance(self.node, Scalar):
            return None
        value = self.meaning(self.node)
        if value is None:
            return None
        return value if isinstance(value, str) else (self.node.text or str(value))


@dataclass(frozen=True, slots=True)
class Document:
    """One file or answer of an engine.

    Attributes:
        name: Path or address.
        text: The text, where it matters as text (command lines); empty for parsed trees.
        roots: One tree for each YAML document in it; one for JSON.
    """

    name: str
    text: str = ""
    roots: tuple[Cursor, ...] = ()
