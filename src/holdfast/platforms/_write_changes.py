"""What every writer of a dialect does alike: one change after the other, each wholly or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdfast.model.change import Change, Instead, edited
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.workload import Described
from holdfast.model.written import Unwritten, Written
from holdfast.platforms._yaml_edit import Page, Refused
from holdfast.platforms._yaml_spans import Key, Path, Value


class Elsewhere(Exception):
    """A change that must be made at another place.

    Attributes:
        why: As a person reads it.
        where: That place.
    """

    def __init__(self, why: str, where: Where) -> None:
        """Keep both."""
        super().__init__(why)
        self.why = why
        self.where = where


class Lists:
    """Takes elements out of lists by the places they had when the document was read."""

    def __init__(self, page: Page) -> None:
        """Start with nothing taken out."""
        self.page = page
        self.gone: dict[Path, tuple[int, ...]] = {}

    def now(self, path: Path) -> Path | None:
        """Return the path that an element has now; None where it was taken out."""
        parent, index = path[:-1], int(path[-1])
        gone = self.gone.get(parent, ())
        return None if index in gone else (*parent, index - sum(one < index for one in gone))

    def drop(self, path: Path, keep: int) -> None:
        """Take an element out, and the list when it was the last one."""
        now = self.now(path)
        if now is None:
            return
        rest = self.page.get(now[:-1])
        if isinstance(rest, list) and len(rest) == 1:
            self.page.drop(now[:-1], [], keep)
        else:
            self.page.drop(now, None, keep)
        self.gone[path[:-1]] = (*self.gone.get(path[:-1], ()), int(path[-1]))

    def all(self, path: Path) -> list[tuple[Path, Value]]:
        """Return the elements that are still there, with the paths they had at first."""
        present = self.page.get(path)
        if not isinstance(present, list):
            return []
        gone = set(self.gone.get(path, ()))
        first = [index for index in range(len(present) + len(gone)) if index not in gone]
        return [((*path, index), value) for index, value in zip(first, present, strict=True)]


Handler = Callable[[Change], None]


def write_all(
    described: Described,
    changes: Sequence[Change],
    lists: Lists,
    handlers: Mapping[Fact[Any], Handler],
    first: Sequence[Fact[Any]],
) -> Written:
    """Write changes one after the other.

    Args:
        described: The workload as it was read from the text.
        changes: What to change.
        lists: Of the document that describes the workload.
        handlers: What writes a change of each fact that the dialect can write. It raises Refused or Elsewhere.
        first: Facts that are written before the others, because others follow from them.
    """
    source, page = described.workload.source, lists.page
    left: dict[int, Unwritten] = {}
    order = sorted(
        range(len(changes)), key=lambda at: first.index(changes[at].fact) if changes[at].fact in first else 99
    )
    for at in order:
        change = changes[at]
        entry = described.facts.table.get(change.fact)
        place = (entry.where if entry is not None else None) or source
        if isinstance(entry, Seen) and edited(entry.value, change.value) == entry.value:
            continue
        handler = handlers.get(change.fact)
        if handler is None:
            what = f"{change.fact.name} cannot be written into this kind of document"
            left[at] = Unwritten(change, what, source)
            continue
        state, gone = page.state(), dict(lists.gone)
        try:
            handler(change)
        except Refused as refusal:
            page.restore(state)
            lists.gone = gone
            line = refusal.line or place.line
            left[at] = Unwritten(change, refusal.why, Where(source.document, place.pointer, line))
        except Elsewhere as other:
            page.restore(state)
            lists.gone = gone
            left[at] = Unwritten(change, other.why, other.where)
    return Written(page.whole, tuple(left[at] for at in sorted(left)))


def nothing_written(text: str, changes: Sequence[Change], why: str, where: Where) -> Written:
    """Leave every change, for one reason."""
    return Written(text, tuple(Unwritten(change, why, where) for change in changes))


def tokens(pointer: str) -> Path:
    """Split an RFC 6901 pointer into keys and indices."""
    if not pointer:
        return ()
    return tuple(_key(part.replace("~1", "/").replace("~0", "~")) for part in pointer[1:].split("/"))


def _key(token: str) -> Key:
    return int(token) if token.isascii() and token.isdigit() and len(token) < 10 else token


class Differences:
    """What a change of a list fact takes out, adds and exchanges."""

    def __init__(self, facts: Facts, change: Change) -> None:
        """Compare the list as it was read with what the change makes of it.

        Raises:
            Refused: The list is not known and the change does not only add to it.
        """
        entry = facts.table.get(change.fact)
        self.parts: Mapping[object, Where] = entry.parts if isinstance(entry, Seen) else {}
        present = entry.value if isinstance(entry, Seen) else ()
        self.where = entry.where if entry is not None else None
        if isinstance(entry, Absent) or entry is None:
            reason = entry.reason if isinstance(entry, Absent) else "nothing was read"
            raise Refused(f"it is not known what it holds now: {reason}", self.where.line if self.where else 0)
        wanted = edited(present, change.value)
        wanted = wanted if isinstance(wanted, tuple) else present
        self.gone = [one for one in dict.fromkeys(present) if one not in wanted]
        self.added = [one for one in dict.fromkeys(wanted) if one not in present]
        self.swapped: list[tuple[Any, Any]] = []
        if isinstance(change.value, Instead) and self.gone and self.added:
            self.swapped = [(change.value.old, change.value.new)]
            self.gone = self.added = []
        kept = tuple(one for one in present if one in wanted)
        if not self.swapped and wanted != (*kept, *self.added):
            raise Refused("the order of a list cannot be changed", self.where.line if self.where else 0)

    def place(self, member: object) -> Where:
        """Return where a member was read.

        Raises:
            Refused: Nobody wrote that down.
        """
        found = self.parts.get(member)
        if found is None:
            raise Refused("the place of one element is not known", self.where.line if self.where else 0)
        return found
