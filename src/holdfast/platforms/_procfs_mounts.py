"""Mount tables: every line of a process's own, and which path of the host lies behind it."""

from __future__ import annotations

from functools import lru_cache

from holdfast.model.words.observed import MountInfo
from holdfast.platforms._linux_host_records import unescaped

_MOST = 100_000
"""Lines of one table that are read; the kernel's own limit (fs.mount-max) is the same."""


def mounts(text: str, host: str) -> tuple[MountInfo, ...]:
    """Read a mountinfo table.

    Args:
        text: The process's own table. Lines that are none are left out.
        host: The host's table; empty where it could not be read.

    Returns:
        Mounts in order, each with the path at which the host shows the same place.

    Source:
        https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
    """
    shown = _shown(host)
    found: list[MountInfo] = []
    for line in text.splitlines()[:_MOST]:
        fields = line.split(" ")
        if len(fields) < 10 or "-" not in fields[6:]:
            continue
        dash = fields.index("-", 6)
        if len(fields) < dash + 3:
            continue
        device, root = fields[2], unescaped(fields[3])
        fstype = fields[dash + 1]
        found.append(
            MountInfo(
                device=device,
                root=root,
                target=unescaped(fields[4]),
                options=frozenset(fields[5].split(",")),
                peers=tuple(fields[6:dash]),
                fstype=fstype,
                source=unescaped(fields[dash + 2]),
                super_options=frozenset(unescaped(fields[dash + 3]).split(","))
                if len(fields) > dash + 3
                else frozenset(),
                host_path=_host_path(device, root, shown),
            )
        )
    return tuple(found)


def mount_ids(text: str) -> frozenset[str]:
    """Return the ids of the mounts of a table: those the process reaches from its root directory."""
    return frozenset(line.split(" ", 1)[0] for line in text.splitlines()[:_MOST])


@lru_cache(maxsize=2)
def _shown(host: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return for each device the (root, target) pairs at which the host shows it.

    A mount that a later one hides at the same place shows nothing any more, and is left out.
    """
    last: dict[str, tuple[str, str]] = {}
    for line in host.splitlines()[:_MOST]:
        fields = line.split(" ", 6)
        if len(fields) > 5:
            last[unescaped(fields[4])] = (fields[2], unescaped(fields[3]))
    found: dict[str, list[tuple[str, str]]] = {}
    for target, (device, root) in last.items():
        found.setdefault(device, []).append((root, target))
    return {device: tuple(pairs) for device, pairs in found.items()}


def _host_path(device: str, root: str, shown: dict[str, tuple[tuple[str, str], ...]]) -> str:
    """Return the path of the host at which a place lies.

    A host may show one place at several paths: a bind mount, or a volume of an engine that is one, shows ``/etc`` once
    more below the engine's directory. The path through the mount of the root directory counts, else the shortest.
    """
    found: list[tuple[bool, int, str]] = []
    for base, target in shown.get(device, ()):
        trimmed = base.rstrip("/")
        if root in {base, trimmed} or root.startswith(f"{trimmed}/"):
            rest = root[len(trimmed) :].strip("/")
            path = (f"{target.rstrip('/')}/{rest}" if rest else target).rstrip("/") or "/"
            found.append((target != "/", len(path), path))
    return min(found)[2] if found else ""
