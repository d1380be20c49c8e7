"""Where a file lies in the host's own mounts, when a container reaches it by another way. Pure."""

from __future__ import annotations

import os.path
from collections.abc import Mapping


def table(mountinfo: str) -> dict[int, tuple[tuple[str, str], ...]]:
    """Read the host's mount table.

    Args:
        mountinfo: Text of ``/proc/1/mountinfo``.

    Returns:
        By device number: ``(root in the file system, mount point)``, the longest root first. Of two mounts of the same
        root the first is the one that was there before; a bind mount of it comes later.
    """
    found: dict[int, list[tuple[str, str]]] = {}
    for line in mountinfo.splitlines():
        words = line.split(" ")
        if len(words) < 5 or ":" not in words[2]:
            continue
        major, _, minor = words[2].partition(":")
        if major.isdecimal() and minor.isdecimal():
            place = (_plain(words[3]), _plain(words[4]))
            found.setdefault(os.makedev(int(major), int(minor)), []).append(place)
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


def _plain(text: str) -> str:
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, letter)
    return text
