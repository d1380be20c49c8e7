"""All settings below /proc/sys, but for those that move by themselves. Nothing is written, and no reading waits."""

from __future__ import annotations

import os
import re

LIMIT = 1 << 16
SYSCTL = "sysctl "
RESTLESS = re.compile(
    r"fs/(aio-nr|dentry-state|file-nr|inode-nr|inode-state|quota/.*|binfmt_misc(/.*)?)"
    r"|kernel/(ns_last_pid|random/.*|pty/nr|perf_event_max_sample_rate|hung_task_detect_count|acct)"
    r"|net/netfilter/nf_conntrack_count|net/nf_conntrack_count|net/ipv4/tcp_fastopen_key"
    r"|net/ipv6/conf/[^/]+/stable_secret|sunrpc/transports|vm/stat_refresh|dev/cdrom/info"
)
"""Below /proc/sys: counters that move by themselves, secrets, and files whose reading does something."""
_NAMED = frozenset(
    f"kernel/{name}" for name in ("core_pattern", "core_pipe_limit", "modprobe", "hotplug", "poweroff_cmd")
)
"""Settings that are looked at under a name of their own."""


def read(path: str) -> str | OSError:
    """Read one file of the kernel's, at most 64 KiB, without its last line end; the error where that fails."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        return error
    try:
        return os.read(handle, LIMIT).decode("utf-8", "replace").rstrip("\n")
    except OSError as error:
        return error
    finally:
        os.close(handle)


def settings(unread: set[str]) -> dict[str, str]:
    """Read every setting.

    Args:
        unread: The names of those that could not be read are added here.

    Returns:
        Values by name; a name is ``sysctl`` and the path below /proc/sys.
    """
    found: dict[str, str] = {}
    folders = ["/proc/sys"]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    name = entry.path[len("/proc/sys/") :]
                    if RESTLESS.fullmatch(name) or name in _NAMED:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                        continue
                    value = read(entry.path)
                    if isinstance(value, str):
                        found[SYSCTL + name] = value
                    else:
                        unread.add(SYSCTL + name)
        except OSError:
            continue  # an interface that went away
    return found
