"""What tells one process from another that has its number later: when it started, in which run of which kernel."""

from __future__ import annotations

import os
from pathlib import Path


def boot_id() -> str:
    """Return the id of the kernel's present run; empty where it cannot be read."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def started(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 where there is none, or only its zombie.

    Source:
        https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The name in parentheses may hold anything, so count from its end.
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in {"Z", "X"} else int(fields[19])


def pid_namespace() -> int:
    """Return the inode of this process's PID namespace; 0 where it cannot be told."""
    try:
        return int(os.stat("/proc/self/ns/pid").st_ino)  # noqa: PTH116 - the link's target, which has no path
    except OSError:
        return 0
