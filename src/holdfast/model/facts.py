"""Facts: questions, answers with their places, and the reasons why an answer is absent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from holdfast.model.place import Where

T = TypeVar("T")

NO_PARTS: Mapping[object, Where] = MappingProxyType({})


def _no_parts() -> Mapping[object, Where]:
    return NO_PARTS


@dataclass(frozen=True, slots=True, eq=False)
class Fact(Generic[T]):
    """One word of the vocabulary: a question with a name.

    Two facts are the same fact only if they are the same object; names are unique (``model/words`` checks).

    Attributes:
        name: ``subject.question`` in the positive sense, with the unit where there is one.
        kind: The type of an answer, for parsing and printing.
        doc: One sentence: what the answer means, in which unit, from where it can be seen.
    """

    name: str
    kind: type
    doc: str

    @property
    def subject(self) -> str:
        """The part before the first dot: container, host, cluster, ..."""
        return self.name.split(".", 1)[0]

    def __repr__(self) -> str:
        """The name alone; it is unique."""
        return f"<{self.name}>"


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """An answer and the place it was read.

    Attributes:
        value: The answer.
        where: The place.
        note: Why the value is what it is, where that is not plain from the place ("engine default").
        parts: For a collection, the places of single members, so that a proof can name the exact line.
    """

    value: T
    where: Where
    note: str = ""
    parts: Mapping[object, Where] = field(default_factory=_no_parts)


@dataclass(frozen=True, slots=True)
class Absent:
    """The reason why there is no answer. It still counts as unknown."""

    reason: str
    where: Where | None = None


class Facts:
    """Immutable answers by fact. A fact that is not inside is unknown."""

    __slots__ = ("table",)

    def __init__(self, table: Mapping[Fact[Any], Seen[Any] | Absent] | None = None) -> None:
        """Keep a private copy of the table."""
        self.table: dict[Fact[Any], Seen[Any] | Absent] = dict(table or {})

    def seen(self, fact: Fact[T]) -> Seen[T] | None:
        """Return the answer, or None where it is unknown."""
        found = self.table.get(fact)
        return found if isinstance(found, Seen) else None

    def value(self, fact: Fact[T]) -> T | None:
        """Return the bare answer, or None where it is unknown."""
        found = self.table.get(fact)
        return found.value if isinstance(found, Seen) else None

    def absent(self, fact: Fact[Any]) -> Absent | None:
        """Return the recorded reason for the missing answer, if there is one."""
        found = self.table.get(fact)
        return found if isinstance(found, Absent) else None

    def joined(self, *others: Facts) -> Facts:
        """Return these facts and those of the others; later answers win, but a reason never hides an answer."""
        table = dict(self.table)
        for other in others:
            for fact, entry in other.table.items():
                if isinstance(entry, Absent) and isinstance(table.get(fact), Seen):
                    continue
                table[fact] = entry
        return Facts(table)

    def saying(self, fact: Fact[T], value: T, where: Where, note: str = "") -> Facts:
        """Return these facts with one answer set."""
        return Facts({**self.table, fact: Seen(value, where, note)})

    def without(self, *facts: Fact[Any]) -> Facts:
        """Return these facts with some questions unanswered."""
        return Facts({fact: entry for fact, entry in self.table.items() if fact not in facts})

    def __iter__(self) -> Iterator[Fact[Any]]:
        """Iterate over the facts that are answered or have a reason not to be."""
        return iter(self.table)

    def __len__(self) -> int:
        """Count the entries."""
        return len(self.table)

    def __contains__(self, fact: object) -> bool:
        """Tell whether a fact is answered."""
        return isinstance(self.table.get(fact), Seen)  # type: ignore[call-overload]

    def __eq__(self, other: object) -> bool:
        """Equal answers at equal places."""
        return isinstance(other, Facts) and self.table == other.table

    __hash__ = None  # type: ignore[assignment]
