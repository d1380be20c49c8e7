"""Whether an answer to a step came from the host's kernel, and not from a filter or from what is mounted over it."""

from __future__ import annotations

import errno as errno_module
import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from holdfast.model.technique import Step
from holdfast.reason.effective.namespaces import sandbox_of

_VIEWS = ("/proc/", "/sys/")
_KERNEL = frozenset(
    {
        "proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "bpf", "binfmt_misc", "configfs",
        "efivarfs", "pstore", "mqueue", "fusectl",
    }
)  # fmt: skip
_CALLS: Mapping[str, tuple[str, ...]] = {
    "attach": ("move_mount",),
    "bpf_load": ("bpf",),
    "copy_self": ("open", "openat", "write"),
    "crash": (),
    "delete_absent_route": ("socket", "sendto", "sendmsg", "recvfrom", "recvmsg"),
    "detached": ("fsopen", "fsconfig", "fsmount"),
    "finit_module": ("finit_module",),
    "join_cgroup": ("open", "openat", "write"),
    "mkdir": ("mkdir", "mkdirat"),
    "mknod": ("mknod", "mknodat"),
    "mount": ("mount",),
    "open": ("open", "openat", "openat2"),
    "open_at": ("open", "openat", "openat2"),
    "remount": ("mount",),
    "rewrite": ("open", "openat", "read", "write", "pwrite64"),
    "rewrite_at": ("open", "openat", "read", "write", "pwrite64"),
    "signal_check": ("kill",),
    "tiocsti": ("ioctl",),
    "user_namespace": ("unshare", "clone"),
    "write": ("write",),
}
_FEIGNING = frozenset({"SCMP_ACT_TRACE", "SCMP_ACT_NOTIFY"})
"""Somebody else answers, with whatever number he likes."""


def feigned(profile: str, steps: Iterable[Step], answers: frozenset[str]) -> str:
    """Return the system call that a seccomp profile answers itself, with what counts as success; empty for none.

    Args:
        profile: ``default``, ``unconfined`` or JSON in Docker's or the OCI's shape.
        steps: What was performed.
        answers: What counts as success: ``ok`` or names of errors.
    """
    if not profile.startswith("{"):
        return ""
    rules = _rules(profile)
    for step in steps:
        for call in _CALLS.get(step.act, ()):
            if rules.get(call, rules[""]) & (answers | {"ok"} | {"*"}):
                return call
    return ""


@lru_cache(maxsize=64)
def _rules(profile: str) -> Mapping[str, frozenset[str]]:
    """Return for each call, and for "" the rest, the answers that a filter may give in the kernel's place."""
    document = json.loads(profile)
    fallback = document.get("defaultErrnoRet")
    found: dict[str, frozenset[str]] = {}
    for rule in document.get("syscalls") or ():
        answer = _answer(rule.get("action"), rule.get("errnoRet"), fallback)
        for name in rule.get("names") or ([rule["name"]] if rule.get("name") else []):
            found[name] = found.get(name, frozenset()) | answer
    return {**found, "": _answer(document.get("defaultAction"), fallback, None)}


def _answer(action: Any, number: Any, fallback: Any) -> frozenset[str]:
    if action in _FEIGNING:
        return frozenset({"*"})
    number = fallback if number is None else number
    if action != "SCMP_ACT_ERRNO" or not isinstance(number, int):
        return frozenset()
    return frozenset({"ok"} if number == 0 else {errno_module.errorcode.get(number, "")})


def kernels_own(path: str, mounts: Sequence[tuple[str, frozenset[str], str]]) -> bool:
    """Tell whether a path in /proc or /sys is the kernel's, and not something that was mounted over it.

    Args:
        path: As the container sees it; a path elsewhere is taken as it is.
        mounts: The container's: mount point, options, file system type, in order; where none were seen, yes.
    """
    if not path.startswith(_VIEWS) or not mounts:
        return True
    # Of those with the longest name the last one lies on top.
    point, _, fstype = max(
        (mount for mount in mounts if f"{path}/".startswith(f"{mount[0].rstrip('/')}/")),
        key=lambda mount: len(mount[0]),
        default=("", frozenset(), ""),
    )
    top = [mount[2] for mount in mounts if mount[0] == point]
    return (top[-1] if top else fstype) in _KERNEL


def own_kernel(runtime: str, pid: int, program: str) -> bool:
    """Tell whether a replica has a kernel of its own.

    Args:
        runtime: Its OCI runtime by name; empty for the engine's default.
        pid: Its first process, as the host counts.
        program: What runs in it, a path inside. Of an unknown runtime this decides: the host's kernel shows the files
            of a process of its own, and of a sandbox's process those of the sandbox.
    """
    kind = sandbox_of(runtime or "runc")
    return not os.path.lexists(f"/proc/{pid}/root{program}") if kind is None else kind != "none"


def is_device(pid: int, path: str, major: int, minor: int | None = None) -> bool:
    """Tell whether a path inside is the character device of a number; anybody can give its name to something else.

    Args:
        pid: A process of the container.
        path: As it sees it.
        major: Its major number.
        minor: Its minor number; None for any.
    """
    try:
        seen = os.stat(f"/proc/{pid}/root{path}")  # noqa: PTH116 - the number is what is asked for
    except OSError:
        return False
    return stat.S_ISCHR(seen.st_mode) and os.major(seen.st_rdev) == major and minor in {None, os.minor(seen.st_rdev)}
