"""Where a file lies in the host's own mounts, when a container reaches it by another way. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.sensor.resolve import Mounted


def table(mounts: Iterable[Mounted]) -> dict[int, tuple[tuple[str, str], ...]]:
    """Order the host's mounts.

    Args:
        mounts: The lines of its mount table, in order.

    Returns:
        By device number: ``(root in the file system, mount point)``, the longest root first. Of two mounts of the same
        root the first is the one that was there before; a bind mount of it comes later.
    """
    found: dict[int, list[tuple[str, str]]] = {}
    for mounted in mounts:
        found.setdefault(mounted.device, []).append((mounted.root, mounted.point))
    return {device: tuple(sorted(places, key=lambda place: -len(place[0]))) for device, places in found.items()}


def host_path(mounts: Mapping[int, tuple[tuple[str, str], ...]], device: int, inside: str) -> str:
    """Return where the host sees a file.

    Args:
        mounts: As ``table`` made it.
        device: Of the file system.
        inside: Path in the file system, ``/`` first.

    Returns:
        The path; empty where the host has no such file system mounted, or not that part of it.
    """
    for root, point in mounts.get(device, ()):
        if root in {"/", inside} or inside.startswith(root + "/"):
            rest = inside if root == "/" else inside[len(root) :]
            return f"{point.rstrip('/')}{rest}" if rest else point
    return ""
