"""Files that a document names, asked for all at once instead of one after the other."""

from __future__ import annotations

from typing import Any

from holdfast.model.errors import NotUnderstood
from holdfast.model.tree import Cursor, Document
from holdfast.model.workload import Needs, Surroundings

_DEPTH = 200
_MOST_FILES = 256


class Files:
    """What was handed over, and what is still missing.

    A reader goes on with a missing file as if it were unreadable; ``settle`` then asks for everything that was missing
    on the way, and the reading is done again. So a document with ten included files costs a few rounds, not ten.
    """

    __slots__ = ("_known", "_wanted", "closed")

    def __init__(self, surroundings: Surroundings | None) -> None:
        """Keep the files; without surroundings every file is unreadable and none is asked for."""
        self._known = surroundings.files if surroundings is not None else {}
        self._wanted: dict[str, None] = {}
        self.closed = surroundings is None

    def get(self, name: str) -> Document | str:
        """Return the document, or the reason why there is none."""
        if name in self._known:
            found = self._known[name]
            if found is None:
                return f"{name} does not exist"
            if isinstance(found, NotUnderstood):
                return f"{name} could not be read: {found.what}"
            return found
        if self.closed or len(self._wanted) >= _MOST_FILES:
            return f"{name} was not read"
        self._wanted[name] = None
        return f"{name} was not read"

    def exists(self, name: str) -> bool:
        """Tell whether the file was handed over and exists; asks for it where that is open."""
        return isinstance(self.get(name), Document) or isinstance(self._known.get(name), NotUnderstood)

    def settle(self) -> None:
        """Ask for what was missing.

        Raises:
            Needs: At least one file was missing.
        """
        if self._wanted:
            raise Needs(*self._wanted)


def plain(cursor: Cursor, depth: int = 0) -> Any:
    """Turn a tree into plain dicts, lists and values.

    Raises:
        NotUnderstood: Nested deeper than any profile is.
    """
    if depth > _DEPTH:
        raise NotUnderstood("nested too deeply", str(cursor.where), "look at the file by hand")
    if cursor.is_mapping:
        return {key: plain(child, depth + 1) for key, child in cursor.items()}
    if cursor.is_sequence:
        return [plain(child, depth + 1) for child in cursor.elements()]
    return cursor.value
