"""Values that can be partly known: sets of names and sets of host paths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol, runtime_checkable

from holdfast.model.truth import NO, UNKNOWN, YES, Truth


@runtime_checkable
class Collection(Protocol):
    """Anything that answers, for one name, whether it is inside. Answers may be unknown."""

    def has(self, member: object, /) -> Truth:
        """Tell whether the name is inside."""
        ...


@runtime_checkable
class PathCollection(Protocol):
    """Anything that answers, for one absolute path, whether the path is reached."""

    def covers(self, path: str, /) -> Truth:
        """Tell whether the path itself or an ancestor of it is inside."""
        ...

    def below(self, path: str, /) -> Truth:
        """Tell whether something strictly below the path is inside."""
        ...


@runtime_checkable
class Editable(Protocol):
    """A collection that a change can edit."""

    def having(self, names: Iterable[object], /) -> object:
        """Return the collection with these names inside."""
        ...

    def lacking(self, names: Iterable[object], /) -> object:
        """Return the collection with these names outside."""
        ...


@dataclass(frozen=True, slots=True)
class Members:
    """A set of names of which some may be unknown.

    Attributes:
        yes: Names known to be inside.
        maybe: Names nobody could decide.
        no: Names known to be outside; only needed where ``rest`` is not NO.
        rest: The answer for every name in none of the three sets.
    """

    yes: frozenset[object] = frozenset()
    maybe: frozenset[object] = frozenset()
    no: frozenset[object] = frozenset()
    rest: Truth = NO

    @classmethod
    def of(cls, *names: object, maybe: Iterable[object] = ()) -> Members:
        """Build a closed set: everything not named is outside."""
        return cls(frozenset(names), frozenset(maybe) - frozenset(names))

    def has(self, member: object, /) -> Truth:
        """Tell whether a name is inside."""
        if member in self.yes:
            return YES
        if member in self.maybe:
            return UNKNOWN
        if member in self.no:
            return NO
        return self.rest

    def having(self, names: Iterable[object], /) -> Members:
        """Return the set with these names inside."""
        added = frozenset(names)
        return Members(self.yes | added, self.maybe - added, self.no - added, self.rest)

    def lacking(self, names: Iterable[object], /) -> Members:
        """Return the set with these names outside."""
        gone = frozenset(names)
        return Members(
            self.yes - gone, self.maybe - gone, self.no | gone if self.rest is not NO else self.no, self.rest
        )


EVERYTHING = Members(rest=YES)


@dataclass(frozen=True, slots=True)
class OtherThan:
    """A value nobody knows, except that it is not this one: the user id of a container that must not run as root.

    Attributes:
        value: What it is not.
    """

    value: object

    def equals(self, wanted: object, /) -> Truth:
        """Tell whether it is the wanted value: NO for the excluded one, unknown for every other."""
        if isinstance(wanted, OtherThan):
            return UNKNOWN
        return NO if wanted == self.value else UNKNOWN

    def __str__(self) -> str:
        """``not 0``."""
        return f"not {self.value}"


def normal_path(path: str) -> str:
    """Give an absolute path one spelling: no ``.``, ``..``, doubled or trailing slash; ``/var/run`` is ``/run``.

    ``/var/run`` and ``/var/lock`` are symbolic links on every distribution in use, so the mount of one is the
    mount of the other (file-hierarchy(7)).
    """
    parts: list[str] = []
    for part in path.split("/"):
        if part in {"", "."}:
            continue
        if part == "..":
            if parts:
                parts.pop()
            continue
        parts.append(part)
    if parts[:2] == ["var", "run"]:
        parts = ["run", *parts[2:]]
    elif parts[:2] == ["var", "lock"]:
        parts = ["run", "lock", *parts[2:]]
    return "/" + "/".join(parts)


def _components(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


@dataclass(frozen=True, slots=True)
class Paths:
    """A set of host paths that are reached, each with everything below it.

    Attributes:
        items: Absolute paths, already normal (see ``normal_path``).
        rest: The answer where no item matches; UNKNOWN where some mounts could not be read.
        outside: Paths known not to be reached; only needed where ``rest`` is not NO.
        maybe: Paths of which nobody could decide, each with everything below it.
    """

    items: tuple[str, ...] = ()
    rest: Truth = NO
    outside: frozenset[str] = frozenset()
    maybe: tuple[str, ...] = ()
    _split: tuple[tuple[str, ...], ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        """Split the items once; they are compared by component."""
        object.__setattr__(self, "_split", tuple(_components(item) for item in self.items))

    def matching(self, path: str) -> tuple[str, ...]:
        """Return the items that are the path or an ancestor of it. ``*`` in the path stands for one component."""
        wanted = _components(path)
        return tuple(
            item
            for item, parts in zip(self.items, self._split, strict=True)
            if len(parts) <= len(wanted)
            and all(p == w or fnmatchcase(p, w) for p, w in zip(parts, wanted, strict=False))
        )

    def matching_below(self, path: str) -> tuple[str, ...]:
        """Return the items strictly below the path."""
        wanted = _components(path)
        return tuple(
            item
            for item, parts in zip(self.items, self._split, strict=True)
            if len(parts) > len(wanted)
            and all(p == w or fnmatchcase(p, w) for p, w in zip(parts, wanted, strict=False))
        )

    def covers(self, path: str, /) -> Truth:
        """Tell whether the path itself or an ancestor of it is inside."""
        if self.items and self.matching(path):
            return YES
        if self.maybe and Paths(self.maybe).matching(path):
            return UNKNOWN
        return NO if path in self.outside else self.rest

    def below(self, path: str, /) -> Truth:
        """Tell whether something strictly below the path is inside."""
        if self.items and self.matching_below(path):
            return YES
        return UNKNOWN if self.maybe and Paths(self.maybe).matching_below(path) else self.rest

    def having(self, paths: Iterable[object], /) -> Paths:
        """Return the set with these paths inside."""
        added = tuple(str(path) for path in paths)
        items = tuple(dict.fromkeys((*self.items, *added)))
        return Paths(items, self.rest, self.outside - frozenset(added), self.maybe)

    def lacking(self, paths: Iterable[object], /) -> Paths:
        """Return the set without the items that reach any of these paths (the item, its ancestors, what is below)."""
        gone: set[str] = set()
        for path in paths:
            gone.update(self.matching(str(path)))
            gone.update(self.matching_below(str(path)))
        rest = NO if self.rest is UNKNOWN else self.rest
        kept = tuple(item for item in self.items if item not in gone)
        left = Paths(self.maybe).lacking(paths).items if self.maybe else ()
        return Paths(kept, rest, self.outside, left)
