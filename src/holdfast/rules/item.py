"""One item of a rules file: its keys, read with their types."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.model.alert import Priority
from holdfast.rules.definitions import Entry, RuleException
from holdfast.rules.problems import Place, Problem, Wrong
from holdfast.rules.written import Source, Written
from holdfast.rules.yaml_tree import Node, Row, Scalar, Table

_TRUE = frozenset(("y", "yes", "true", "on"))
_FALSE = frozenset(("n", "no", "false", "off"))
_PRIORITIES = {one.name.lower(): one for one in Priority} | {"info": Priority.INFORMATIONAL}
_NEST = 3


@dataclass(frozen=True, slots=True)
class Item:
    """A mapping of a rules file.

    Attributes:
        source: The document.
        table: The mapping.
        kind: ``rule``, ``macro``, ``list``, or another word for messages.
        name: Of the rule, macro or list.
        problems: Where warnings go.
    """

    source: Source
    table: Table
    kind: str
    name: str
    problems: list[Problem]

    @property
    def place(self) -> Place:
        """Where the item begins."""
        return self.at(self.table)

    def at(self, node: Node) -> Place:
        """Return the place of a node."""
        return Place(self.source.name, node.line, node.column)

    def has(self, key: str) -> bool:
        """Tell whether a key is there."""
        return key in self.table.entries

    def warn(self, what: str, place: Place | None = None, next: str = "") -> None:  # noqa: A002 - the words of the house
        """Note a warning."""
        self.problems.append(Problem(what, place or self.place, self.kind, self.name, next, warning=True))

    def scalar(self, key: str) -> Scalar:
        """Return the text of a key that must be there.

        Raises:
            Wrong: It is missing, empty, or no text.
        """
        node = self.table.entries.get(key)
        if node is None:
            raise Wrong(f"the key {key!r} is missing", self.place)
        if not isinstance(node, Scalar):
            raise Wrong(f"the value of {key!r} must be a text, not a list or a mapping", self.at(node))
        if node.is_null or not node.text:
            raise Wrong(f"the value of {key!r} is empty", self.at(self.table.keys[key]))
        return node

    def written(self, key: str) -> Written:
        """Return the text of a key with its place."""
        return Written(((self.source, self.scalar(key)),))

    def flag(self, key: str, *, otherwise: bool) -> bool:
        """Return a yes or no."""
        if not self.has(key):
            return otherwise
        node = self.scalar(key)
        word = node.text.lower()
        if word not in _TRUE | _FALSE:
            raise Wrong(f"the value of {key!r} must be true or false", self.at(node))
        return word in _TRUE

    def count(self, key: str, *, otherwise: int) -> int:
        """Return a number that is not negative."""
        if not self.has(key):
            return otherwise
        node = self.scalar(key)
        if not node.text.isascii() or not node.text.isdecimal() or len(node.text) > 10:
            raise Wrong(f"the value of {key!r} must be a number", self.at(node))
        return int(node.text)

    def texts(self, key: str) -> list[str]:
        """Return the texts of a list that must be there."""
        node = self.table.entries.get(key)
        if node is None:
            raise Wrong(f"the key {key!r} is missing", self.place)
        if not isinstance(node, Row):
            raise Wrong(f"the value of {key!r} must be a list", self.at(node))
        texts: list[str] = []
        for one in node.items:
            if not isinstance(one, Scalar):
                raise Wrong(f"{key!r} holds something that is no text", self.at(one))
            texts.append(one.text)
        return texts

    def priority(self) -> Priority:
        """Return the severity."""
        node = self.scalar("priority")
        found = _PRIORITIES.get(node.text.lower())
        if found is None:
            raise Wrong(
                f"there is no priority {node.text[:30]!r}",
                self.at(node),
                f"use one of {', '.join(one.title for one in Priority)}",
            )
        return found

    def exceptions(self) -> list[RuleException]:
        """Return the exceptions; none where the key is missing or empty."""
        node = self.table.entries.get("exceptions")
        if node is None or (isinstance(node, Scalar) and node.is_null):
            return []
        if not isinstance(node, Row):
            raise Wrong("the exceptions must be a list", self.at(node))
        found: list[RuleException] = []
        for one in node.items:
            if not isinstance(one, Table):
                raise Wrong("an exception must be a mapping", self.at(one))
            part = Item(self.source, one, "exception", "", self.problems)
            name = part.scalar("name").text
            if any(other.name == name for other in found):
                raise Wrong(f"there are two exceptions {name!r} in one item", part.place)
            for key in one.keys.keys() - {"name", "fields", "comps", "values"}:
                self.warn(f"the exception {name!r} has an unknown key {key!r}", self.at(one.keys[key]))
            values = one.entries.get("values")
            if values is not None and not isinstance(values, Row):
                raise Wrong(f"the values of the exception {name!r} must be a list", self.at(values))
            found.append(
                RuleException(
                    name,
                    part.entry("fields"),
                    part.entry("comps"),
                    [part.entry_of(value, _NEST) for value in values.items] if values is not None else [],
                    part.place,
                )
            )
        return found

    def entry(self, key: str) -> Entry | None:
        """Return a text or a list of texts, None where the key is missing."""
        node = self.table.entries.get(key)
        return None if node is None else self.entry_of(node, _NEST)

    def entry_of(self, node: Node, depth: int) -> Entry:
        """Return a text, or a list of entries."""
        if isinstance(node, Scalar):
            if not node.text:
                raise Wrong("a value of an exception is empty", self.at(node))
            return node.text
        if isinstance(node, Table) or depth == 0:
            raise Wrong("a value of an exception is neither a text nor a list", self.at(node))
        return tuple(self.entry_of(one, depth - 1) for one in node.items)
