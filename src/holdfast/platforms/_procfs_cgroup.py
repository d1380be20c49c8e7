"""Cgroup paths: which container a process belongs to, and what started it."""

from __future__ import annotations

import re
from typing import NamedTuple

_ID = re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])")
_MONITORS = ("libpod-conmon-", "crio-conmon-", "/libpod_parent/conmon")
_STARTERS = (
    (re.compile(r"(?:^|/)crio-"), "cri-o"),
    (re.compile(r"(?:^|/)cri-containerd-|:cri-containerd:"), "containerd"),
    (re.compile(r"(?:^|/)libpod(?:-|_parent/)"), "podman"),
    (re.compile(r"(?:^|/)docker[-/]"), "docker"),
    (re.compile(r"(?:^|/)nerdctl-|:nerdctl:"), "nerdctl"),
    (re.compile(r"(?:^|/)buildkit/"), "buildkit"),
    (re.compile(r"(?:^|/)lxc(?:\.payload\.|/|\.payload/)"), "lxc"),
    (re.compile(r"(?:^|/)systemd-nspawn@|(?:^|/)machine-[^/]+\.scope"), "systemd-nspawn"),
    (re.compile(r"(?:^|/)kubepods"), "cri"),
    (re.compile(r"(?:^|/)garden/"), "garden"),
)
_NAMES = (
    re.compile(r"(?:^|/)lxc\.payload[./]([^/]+)"),
    re.compile(r"(?:^|/)lxc/([^/]+)"),
    re.compile(r"(?:^|/)systemd-nspawn@([^/]+)\.service"),
    re.compile(r"(?:^|/)machine-([^/]+)\.scope"),
)


class Membership(NamedTuple):
    """What a cgroup file tells.

    Attributes:
        container_id: 64 hex digits, empty where there are none.
        starter: Engine or runtime by name, empty where the path names none.
        name: Name of a system container (LXC, nspawn), empty where there is none.
        path: The version 2 path where it says something, else that of the devices controller, else any other.
        monitor: The process watches a container from outside (conmon); it is not inside.
    """

    container_id: str
    starter: str
    name: str
    path: str
    monitor: bool


def membership(text: str) -> Membership:
    """Read /proc/PID/cgroup.

    Args:
        text: Lines ``hierarchy:controllers:path``.

    Returns:
        What the paths tell. The last id of a path counts: a container inside a container has both.

    Source:
        https://man7.org/linux/man-pages/man7/cgroups.7.html
    """
    unified = devices = longest = ""
    for line in text.splitlines():
        fields = line.split(":", 2)
        if len(fields) < 3:
            continue
        _, controllers, path = fields
        if not controllers:
            unified = path
        elif "devices" in controllers.split(","):
            devices = path
        if len(path) > len(longest):
            longest = path
    chosen = next((path for path in (unified, devices) if path not in {"", "/"}), unified or devices or longest)
    spoken = longest if chosen in {"", "/"} else chosen
    ids = _ID.findall(spoken) or _ID.findall(longest)
    starter = next((name for pattern, name in _STARTERS if pattern.search(spoken)), "")
    name = next((found[1] for pattern in _NAMES if (found := pattern.search(spoken))), "")
    return Membership(ids[-1] if ids else "", starter, name, chosen, any(mark in spoken for mark in _MONITORS))
