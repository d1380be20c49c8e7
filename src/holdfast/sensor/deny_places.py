"""Where the places that are denied lie: from paths of the host to paths inside its file systems. Pure.

A container reaches a place through a mount of its own, at any path. What stays the same is the file system and the path
inside it, so that is what the kernel compares.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from holdfast.sensor.deny_rules import Place
from holdfast.sensor.resolve import Mounted, read

_NEVER = frozenset(("overlay", "nsfs", "proc", "sysfs", "cgroup", "cgroup2", "fuse.lxcfs"))
"""File systems that lie below a place and are something else: a container's own root, what a namespace is kept by."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the map ``places``.

    Attributes:
        device: As the kernel numbers it.
        path: Inside the file system.
        on: By access, the techniques that are denied; a bit each.
        wide: Of these, those that ask how much the mount shows.
        depth: Directories above what a mount may show at most for that.
    """

    device: int
    path: str
    on: tuple[int, int, int, int]
    wide: int
    depth: int

    @property
    def every(self) -> int:
        """All techniques of the row."""
        return self.on[0] | self.on[1] | self.on[2] | self.on[3]


def entries(named: Mapping[int, Iterable[Place]], mountinfo: str, stand_ins: Mapping[str, str]) -> Iterator[Row]:
    """Work out the rows.

    Args:
        named: By technique's bit, its places.
        mountinfo: The host's ``/proc/1/mountinfo``.
        stand_ins: Folders and what they stand for.

    Yields:
        Rows, of which the one with the longest path holds for a file; each says everything that shorter ones say.
    """
    mounts = list(read(mountinfo).values())
    known: dict[int, list[tuple[str, int, Place]]] = {}
    for bit, places in named.items():
        for place in places:
            for one in (place, *_standing_in(place, stand_ins)):
                for device, path in _inside(one, mounts):
                    known.setdefault(device, []).append((path, bit, one))
    for device, found in known.items():
        for path in dict.fromkeys(path for path, _, _ in found):
            yield _row(device, path, [(bit, place) for prefix, bit, place in found if path.startswith(prefix)])


def _row(device: int, path: str, holding: Iterable[tuple[int, Place]]) -> Row:
    on, wide, spared = [0, 0, 0, 0], 0, 0
    for bit, place in holding:
        if place.spared:
            spared |= 1 << bit
            continue
        on[place.access] |= 1 << bit
        if place.wide:
            wide |= 1 << bit
    depth = len([piece for piece in path.split("/") if piece])
    read_, write, link, connect = (bits & ~spared for bits in on)
    return Row(device, path, (read_, write, link, connect), wide, depth)


def _standing_in(place: Place, stand_ins: Mapping[str, str]) -> Iterator[Place]:
    for folder, real in stand_ins.items():
        below = f"{real.rstrip('/')}/"
        if place.path.startswith(below):
            yield Place(f"{folder.rstrip('/')}/{place.path[len(below) :]}", place.access, place.wide, place.spared)
        elif below.startswith(place.path):
            yield Place(f"{folder.rstrip('/')}/", place.access, place.wide, place.spared)


def _inside(place: Place, mounts: Iterable[Mounted]) -> Iterator[tuple[int, str]]:
    """Iterate over the file systems that a place lies in, and the paths there."""
    holding: Mounted | None = None
    for one in mounts:
        point = "/" if one.point == "/" else f"{one.point}/"
        if place.path.startswith(point) and (holding is None or len(one.point) >= len(holding.point)):
            holding = one
        elif point.startswith(place.path) and one.kind not in _NEVER and not place.wide and not place.spared:
            yield _number(one.device), f"{one.root.rstrip('/')}/"
    if holding is not None:
        point = "" if holding.point == "/" else holding.point
        root = "" if holding.root == "/" else holding.root
        yield _number(holding.device), root + place.path[len(point) :]


def _number(device: int) -> int:
    return os.major(device) << 20 | os.minor(device)
