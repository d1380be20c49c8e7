"""A place in a manifest, read field by field the way the API server's types demand it.

A cursor of the model gives values as they come; here every reading checks the type, writes down what is wrong, and
answers None then, so that a caller cannot take a broken value for "no".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from holdfast.model.errors import NotUnderstood
from holdfast.model.place import Where
from holdfast.model.tree import Mapping, Node, Scalar, Sequence
from holdfast.platforms._kubernetes_scalars import PLAIN_BOOLEANS, PLAIN_INTEGER, meaning

_MOST = 500
"""Troubles kept for one document; who has more does not read them one by one."""


class Log:
    """The troubles of one document, each told once."""

    __slots__ = ("document", "problems", "told")

    def __init__(self, document: str) -> None:
        """Start empty."""
        self.document = document
        self.problems: list[NotUnderstood] = []
        self.told: set[tuple[str, int, str]] = set()

    def add(self, pointer: str, line: int, what: str, next_: str) -> None:
        """Write one trouble down.

        Args:
            pointer: Where in the document.
            line: 1-based, 0 where there is none.
            what: Half a sentence that follows the pointer.
            next_: What to do.
        """
        # One value of the wrong type is one trouble, however many fields were looked for in it.
        key = (pointer, line, "must be" if what.startswith("must be") else what)
        if key in self.told or len(self.problems) > _MOST:
            return
        self.told.add(key)
        if len(self.problems) == _MOST:
            what, next_ = "there are more troubles, which are not listed", "correct those above first"
            pointer = ""
        place = f"{self.document}:{line}" if line else self.document
        self.problems.append(NotUnderstood(f"{pointer or 'the document'}: {what}", place, next_, line))


class Spot:
    """A node with its place. Going down never fails: it yields None for what is missing or null."""

    __slots__ = ("_where", "line", "log", "node", "pointer")

    def __init__(self, node: Node, pointer: str, line: int, log: Log) -> None:
        """Keep the four."""
        self.node = node
        self.pointer = pointer
        self.line = line
        self.log = log
        self._where: Where | None = None

    @property
    def where(self) -> Where:
        """The place as facts bear it."""
        if self._where is None:
            self._where = Where(self.log.document, self.pointer, self.line)
        return self._where

    def complain(self, what: str, next_: str) -> None:
        """Write down that something is wrong here."""
        self.log.add(self.pointer, self.line, what, next_)

    def get(self, key: str) -> Spot | None:
        """Return the value of a key; None where it is missing or null, or where this is no mapping."""
        node = self.node
        if not isinstance(node, Mapping):
            return None
        if node.duplicates or node.late:
            self._ambiguous(node)
        child = node.entries.get(key)
        if node.late:
            child = node.late.get(key, child)
        if child is None or (isinstance(child, Scalar) and meaning(child) is None):
            return None
        token = key.replace("~", "~0").replace("/", "~1") if "/" in key or "~" in key else key
        return Spot(child, f"{self.pointer}/{token}", node.key_lines.get(key, child.line), self.log)

    def below(self, *keys: str) -> Spot | None:
        """Go down a chain of keys."""
        here: Spot | None = self
        for key in keys:
            if here is None:
                return None
            here = here.get(key)
        return here

    def mapping(self, key: str) -> Spot | None:
        """Return the mapping below a key; anything else there is a trouble and None."""
        found = self.get(key)
        if found is None or isinstance(found.node, Mapping):
            return found
        found.complain(f"must be a mapping, not {found.kind}", "indent its fields below it, without a dash")
        return None

    def entries(self, key: str) -> list[Spot] | None:
        """Return the elements of the list below a key; an empty list where it is missing, None where it is no list."""
        found = self.get(key)
        return [] if found is None else found.elements()

    def elements(self) -> list[Spot] | None:
        """Return the elements of this list; None, and a trouble, where it is none."""
        node = self.node
        if not isinstance(node, Sequence):
            self.complain(f"must be a list, not {self.kind}", "start each element with a dash")
            return None
        pointer, log = self.pointer, self.log
        return [Spot(child, f"{pointer}/{index}", child.line, log) for index, child in enumerate(node.elements)]

    def keys(self) -> Iterator[str]:
        """Iterate over the keys whose value is not null."""
        if isinstance(self.node, Mapping):
            for key, child in self.node.entries.items():
                if not (isinstance(child, Scalar) and meaning(child) is None):
                    yield key

    @property
    def is_mapping(self) -> bool:
        """A mapping stands here."""
        return isinstance(self.node, Mapping)

    @property
    def value(self) -> Any:
        """What kubectl makes of the scalar; None for mappings and lists."""
        return meaning(self.node) if isinstance(self.node, Scalar) else None

    @property
    def written(self) -> str:
        """The scalar as written; empty for mappings and lists."""
        return self.node.text if isinstance(self.node, Scalar) else ""

    @property
    def kind(self) -> str:
        """What stands here, for a sentence."""
        if isinstance(self.node, Mapping):
            return "a mapping"
        if isinstance(self.node, Sequence):
            return "a list"
        text = self.node.text
        text = text if len(text) <= 40 else text[:37] + "..."
        value = meaning(self.node)
        kind = {bool: "the boolean", int: "the number", float: "the number", str: "the text"}.get(type(value), "")
        return f"{kind} {text!r}".strip()

    def boolean(self) -> bool | None:
        """Read true or false; None, and a trouble, for anything else."""
        value = self.value
        if not isinstance(value, bool):
            self.complain(
                f"must be true or false, not {self.kind}; the API server refuses it", "write true or false, unquoted"
            )
            return None
        self._plainly(value, PLAIN_BOOLEANS.__contains__)
        return value

    def integer(self) -> int | None:
        """Read a whole number; None, and a trouble, for anything else."""
        value = self.value
        if not isinstance(value, int) or isinstance(value, bool):
            self.complain(
                f"must be a whole number, not {self.kind}; the API server refuses it", "write the number, unquoted"
            )
            return None
        self._plainly(value, PLAIN_INTEGER.fullmatch)
        return value

    def text(self) -> str | None:
        """Read text; None, and a trouble, for anything else."""
        value = self.value
        if not isinstance(value, str):
            self.complain(f"must be text, not {self.kind}; the API server refuses it", "write it in quotes")
            return None
        return value

    def name(self) -> str:
        """Read text that only names things: what was written, where the type is wrong."""
        text = self.text()
        return self.written if text is None else text

    def _plainly(self, value: object, usual: Any) -> None:
        node = self.node
        if isinstance(node, Scalar) and not node.typed and not usual(node.text):
            spelled = str(value).lower()
            self.complain(
                f"kubectl reads {node.text!r} as {spelled}; other YAML programs may read it otherwise",
                f"write {spelled}",
            )

    def _ambiguous(self, node: Mapping) -> None:
        times = Counter(key for key, _ in node.duplicates)
        last = dict(node.duplicates)
        for key, count in list(times.items())[:_MOST]:
            often = "twice" if count == 1 else f"{count + 1} times"
            what = f"the key stands here {often}; kubectl takes the last"
            self.log.add(f"{self.pointer}/{key}", last[key], what, "keep only one of them")
        for key in list(node.late or ())[:_MOST]:
            self.log.add(
                f"{self.pointer}/{key}",
                node.key_lines.get(key, node.line),
                "a << further down sets the key again; kubectl takes that one, other programs this one",
                "put << first, or remove the key",
            )
