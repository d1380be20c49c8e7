"""Values of an OCI configuration, with a problem entry for each that is not of the kind the specification asks for."""

from __future__ import annotations

from typing import Any, TypeVar

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.tree import Cursor, Mapping, Sequence

T = TypeVar("T")
NEXT = "see the OCI runtime specification, config.md"
_DEEPEST = 100


class Answers:
    """Facts that are being collected, and what stood in the way."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.table: dict[Fact[Any], Seen[Any] | Absent] = {}
        self.problems: list[NotUnderstood] = []

    def say(
        self, fact: Fact[Any], value: Any, where: Where, note: str = "", parts: dict[Any, Where] | None = None
    ) -> None:
        """Answer a word."""
        self.table[fact] = Seen(value, where, note, parts) if parts else Seen(value, where, note)

    def withhold(self, fact: Fact[Any], reason: str, where: Where) -> None:
        """Leave a word unanswered, with the reason."""
        self.table[fact] = Absent(reason, where)

    def wrong(self, here: Cursor, what: str) -> None:
        """Note that a value is not what it should be."""
        place = str(here.where)
        if not any(problem.what == what and problem.where == place for problem in self.problems):
            self.problems.append(NotUnderstood(what, place, NEXT, here.where.line))

    def facts(self) -> Facts:
        """Return what was answered."""
        return Facts(self.table)

    # --- typed looks: None where there is nothing, or something else than asked for ------------------------------

    def text(self, parent: Cursor | None, *keys: str) -> str | None:
        """Return a text."""
        return self._typed(parent, keys, str, "a text")

    def flag(self, parent: Cursor | None, *keys: str) -> bool | None:
        """Return a truth value."""
        return self._typed(parent, keys, bool, "true or false")

    def number(self, parent: Cursor | None, *keys: str) -> int | None:
        """Return a whole number."""
        return self._typed(parent, keys, int, "a whole number")

    def _typed(self, parent: Cursor | None, keys: tuple[str, ...], kind: type[T], name: str) -> T | None:
        here = parent.get(*keys) if parent is not None else None
        if here is None:
            return None
        value = here.value
        if type(value) is kind:
            return value
        self.wrong(here, f"{keys[-1]} is not {name}")
        return None

    def texts(self, parent: Cursor | None, *keys: str) -> tuple[str, ...] | None:
        """Return a list of texts; None where there is none, or where an element is no text."""
        here = parent.get(*keys) if parent is not None else None
        if here is None:
            return None
        if not here.is_sequence:
            self.wrong(here, f"{keys[-1]} is not a list")
            return None
        found: list[str] = []
        for element in here.elements():
            value = element.value
            if not isinstance(value, str):
                self.wrong(element, f"{keys[-1]} holds something that is not a text")
                return None
            found.append(value)
        return tuple(found)

    def entries(self, parent: Cursor | None, *keys: str) -> list[Cursor]:
        """Return the objects of a list; what is no object is a problem and is left out."""
        here = parent.get(*keys) if parent is not None else None
        if here is None:
            return []
        if not here.is_sequence:
            self.wrong(here, f"{keys[-1]} is not a list")
            return []
        found: list[Cursor] = []
        for element in here.elements():
            if element.is_mapping:
                found.append(element)
            else:
                self.wrong(element, f"{keys[-1]} holds something that is not an object")
        return found


def plain(here: Cursor, depth: int = 0) -> Any:
    """Turn a part of the document into plain dicts, lists and scalars; deeper than a hundred levels is cut to None."""
    if depth > _DEEPEST:
        return None
    if isinstance(here.node, Mapping):
        return {key: plain(child, depth + 1) for key, child in here.items()}
    if isinstance(here.node, Sequence):
        return [plain(child, depth + 1) for child in here.elements()]
    return here.value
