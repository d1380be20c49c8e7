"""Options of the host's mounts that decide what a file on them can do, and the same for what stands in for them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from holdfast.drill import kernel_calls
from holdfast.drill.journal import Journal, Kind

_MS_REMOUNT = 0x20
_FLAGS = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8}
_VIEWS = ("/proc/", "/sys/")


def options_at(path: str, table: Iterable[str] | None = None) -> frozenset[str]:
    """Return the options of the mount that a host path lies on.

    Args:
        path: Absolute; it need not exist.
        table: Lines of a mountinfo; this process's own by default.

    Returns:
        ``ro``, ``nosuid`` and so on, of the mount and, for ``ro``, of the file system below it.

    Source:
        https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
    """
    lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines() if table is None else table
    best, found = -1, frozenset[str]()
    for line in lines:
        head, _, tail = line.partition(" - ")
        words = head.split(" ")
        point = _point(line)
        # Of several at one place the last one lies on top.
        if f"{path}/".startswith(f"{point.rstrip('/')}/") and len(point) >= best:
            best = len(point)
            found = frozenset(words[5].split(",")) | (frozenset(tail.split(" ")[2].split(",")) & {"ro"})
    return found


def mounts_below(path: str, table: Iterable[str] | None = None) -> list[str]:
    """Return where something is mounted below a host path, outermost first; views of the kernel are left out."""
    top = path.rstrip("/")
    points = kernel_calls.mount_points() if table is None else [_point(line) for line in table]
    found = {
        point
        for point in points
        if point.startswith(f"{top}/") and point != "/" and not any(f"{point}/".startswith(each) for each in _VIEWS)
    }
    return sorted(found)


def like_the_hosts(path: str, place: Path, journal: Journal) -> None:
    """Give a stand-in the mounts that the host has there, with ``nosuid`` and what else decides about its files.

    A mount that is read-only does not make those below it read-only, and without ``nosuid`` a program that is left
    there could do what it cannot do on the host.

    Args:
        path: The host's.
        place: What stands in for it.
        journal: Every mount is written down in it first.

    Raises:
        NotReachable: The kernel refuses.
    """
    mounted = set(kernel_calls.mount_points())
    folder = os.path.realpath(journal.folder)
    for point in (path, *mounts_below(path)):
        spot = place if point == path else Path(f"{place}{point[len(path.rstrip('/')) :]}")
        wanted = options_at(point) & frozenset(_FLAGS)
        if point == path:
            # That it is read-only is asked of the replica's mount; here canaries have yet to be planted.
            wanted -= {"ro"}
        elif f"{folder}/".startswith(f"{point}/"):
            continue
        if not spot.is_dir() or (point == path and not wanted):
            continue
        if not f"{os.path.realpath(spot)}/".startswith(f"{folder}/"):
            # A replica before this one may have left a link there.
            continue
        if str(spot) not in mounted:
            journal.will(Kind.MOUNT, path=str(spot))
            kernel_calls.mount(str(spot), str(spot), kernel_calls.MS_BIND | kernel_calls.MS_REC)
            kernel_calls.mount("none", str(spot), kernel_calls.MS_PRIVATE | kernel_calls.MS_REC)
        has = options_at(str(spot)) & frozenset(_FLAGS)
        if not wanted <= has:
            flags = sum(_FLAGS[option] for option in wanted | has)
            kernel_calls.mount("none", str(spot), kernel_calls.MS_BIND | _MS_REMOUNT | flags)


def _point(line: str) -> str:
    word = line.split(" ")[4]
    return word.encode().decode("unicode_escape") if "\\" in word else word
