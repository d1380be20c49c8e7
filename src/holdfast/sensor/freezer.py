"""The freezer of a container's control group, version 1 and 2.

Source:
    Documentation/admin-guide/cgroup-v2.rst (cgroup.freeze), cgroup-v1/freezer-subsystem.rst
"""

from __future__ import annotations

import os
from pathlib import Path

from holdfast.model.errors import Error
from holdfast.platforms._linux_host_records import mounts_of


def group(folder: int, container: str) -> Path | None:
    """Find the control group by which a process's container can be frozen.

    Args:
        folder: The process's open /proc/PID.
        container: Its container's id; a group whose path does not hold it is never taken.

    Returns:
        The directory of the group; None where the process is in none of its container's.
    """
    for controllers, path in _memberships(folder):
        if container not in path:
            continue
        # Below a container's own group there may be others that it made; the container's is the one to freeze.
        at = path.index(container)
        whole = path[:at] + path[at:].partition("/")[0]
        for mounted, version in _mounted():
            place = Path(mounted + whole)
            fits = not controllers if version == 2 else "freezer" in controllers
            if fits and (place / ("cgroup.freeze" if version == 2 else "freezer.state")).is_file():
                return place
    return None


def belongs(folder: int, container: str) -> bool:
    """Tell whether a process is in a control group of its container that freezing the container freezes."""
    rows = _memberships(folder)
    freezing = [path for controllers, path in rows if "freezer" in controllers] or [path for _, path in rows]
    return any(container in path for path in freezing)


def freeze(place: Path, *, frozen: bool) -> None:
    """Freeze a control group, or let it go on.

    Args:
        place: From ``group``.
        frozen: Which.

    Raises:
        Error: It cannot be frozen.
        OSError: It is gone.
    """
    newer = place / "cgroup.freeze"
    if newer.is_file():
        newer.write_text("1" if frozen else "0", "ascii")
        return
    older = place / "freezer.state"
    if not older.is_file():
        raise Error("the control group has no freezer", str(place))
    older.write_text("FROZEN" if frozen else "THAWED", "ascii")


def _memberships(folder: int) -> list[tuple[tuple[str, ...], str]]:
    try:
        handle = os.open("cgroup", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(handle, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(16_384)
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            found.append((tuple(one for one in parts[1].split(",") if one), parts[2]))
    return found


def _mounted() -> list[tuple[str, int]]:
    """List where the freezer is: mount point and version of the control groups."""
    try:
        text = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return []
    return [
        (one.target, 2 if one.fstype == "cgroup2" else 1)
        for one in mounts_of(text)
        if one.root == "/" and (one.fstype == "cgroup2" or (one.fstype == "cgroup" and "freezer" in one.super_options))
    ]
