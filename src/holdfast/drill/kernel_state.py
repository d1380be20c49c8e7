"""The global state of the machine that a drill could change, read before and after it, so that a change is found.

Everything is read, nothing is written, and nothing is opened that could make the reader wait: no pipes, no command
lines of other processes (reading one waits for its memory), no automount point. Without root less can be read; what
could not be read before or after is not compared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill import run_folder
from holdfast.drill.sysctls import SYSCTL, read, settings

CGROUP_DEPTH = 5
"""How deep a control group is looked for. Those of containers lie at most four levels down, a drill's one below."""

_ENGINE_MOUNTS = (
    "/run/containerd/", "/run/containers/", "/run/docker/netns/", "/run/netns/", "/run/user/",
    "/var/lib/containerd/", "/var/lib/containers/", "/var/lib/docker/", "/var/lib/kubelet/pods/",
)  # fmt: skip
"""Where engines mount for every container. What other containers do meanwhile is no change that a drill made."""
_PROBE = re.compile(r"(holdfast-)?probe(-x86_64|-aarch64)?( \(deleted\))?")


_OF_A_DRILL = re.compile(r"(?:/drill/|holdfast-)([0-9a-f]{12})")
_NAMELESS = frozenset({"processes of a drill", "System V shm"})
"""What does not show which drill it belongs to."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was.

    Attributes:
        name: What it is, such as ``core_pattern`` or ``loaded modules``.
        before: Its value; for a set, what has gone. Empty where it was not there.
        after: Its value; for a set, what has come.
    """

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.name}: {self.before or 'nothing'} -> {self.after or 'nothing'}"


@dataclass(frozen=True, slots=True)
class State:
    """What was seen.

    Attributes:
        values: Settings by name.
        sets: Sets of names: mounts, modules, loop devices and so on.
        unread: Names of settings and sets that could not be read.
        restless: Settings that changed by themselves while they were looked at.
        runs: Ids of the drills whose folders were there.
    """

    values: dict[str, str]
    sets: dict[str, frozenset[str]]
    unread: frozenset[str]
    restless: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()


def look() -> State:
    """Read the state of the machine. Takes some tens of milliseconds."""
    values: dict[str, str] = {}
    unread: set[str] = set()
    first = settings(unread)
    mounts = _mounts()
    for name, path in {
        "core_pattern": "/proc/sys/kernel/core_pattern",
        "core_pipe_limit": "/proc/sys/kernel/core_pipe_limit",
        "modprobe": "/proc/sys/kernel/modprobe",
        "hotplug": "/proc/sys/kernel/hotplug",
        "poweroff_cmd": "/proc/sys/kernel/poweroff_cmd",
        "uevent_helper": "/sys/kernel/uevent_helper",
        **_hierarchies(mounts),
    }.items():
        _keep(values, unread, name, path)
    sets: dict[str, frozenset[str]] = {}
    for name, found in {
        "mounts": _compared(mounts),
        "binfmt_misc entries": _binfmt(mounts),
        "loaded modules": _modules(),
        "loop devices": _loops(),
        **{f"System V {kind}": _system_v(kind) for kind in ("shm", "sem", "msg")},
        "files in /dev/shm": _memory_files(),
        "control groups of a drill": _groups(mounts),
        "network interfaces": _interfaces(),
        "processes of a drill": _processes(),
    }.items():
        if found is None:
            unread.add(name)
        else:
            sets[name] = frozenset(found)
    second = settings(set())
    values.update(first)
    restless = frozenset(name for name, value in first.items() if second.get(name, value) != value)
    runs = _names(str(run_folder.runs())) or []
    return State(values, sets, frozenset(unread), restless, frozenset(filter(run_folder.NAME.fullmatch, runs)))


def others(before: State, after: State, run: str) -> frozenset[str]:
    """Return the ids of other drills that were there at one of two looks, wherever they have their folders."""
    names = (name for state in (before, after) for found in state.sets.values() for name in found)
    seen = {match[1] for name in names for match in _OF_A_DRILL.finditer(name)}
    return (before.runs | after.runs | seen) - {run}


def differences(before: State, after: State, run: str = "") -> tuple[Difference, ...]:
    """Compare two looks.

    A sysctl that is there only once is passed by: it comes and goes with its module or interface, which are compared.

    Args:
        before: The first look.
        after: The second.
        run: Id of the drill in between. What bears the id of another one is then passed by, and what of a drill bears
            no id at all where there was another one.

    Returns:
        What changed, ordered by name; each setting once, under its short name where it has one.
    """
    unread = before.unread | after.unread
    restless = before.restless | after.restless
    found: list[Difference] = []
    foreign = others(before, after, run) if run else frozenset[str]()
    for name in before.values.keys() | after.values.keys():
        old, new = before.values.get(name, ""), after.values.get(name, "")
        once = name not in before.values or name not in after.values
        if old == new or name in unread or name in restless or (once and name.startswith(SYSCTL)):
            continue
        found.append(Difference(name, old, new))
    for name in before.sets.keys() & after.sets.keys():
        if foreign and name in _NAMELESS:
            continue
        gone, come = (
            frozenset(each for each in change if not any(other in each for other in foreign))
            for change in (before.sets[name] - after.sets[name], after.sets[name] - before.sets[name])
        )
        if gone or come:
            found.append(Difference(name, ", ".join(sorted(gone)), ", ".join(sorted(come))))
    return tuple(sorted(found, key=lambda difference: difference.name))


def _whole(path: str) -> str | None:
    """Read a text that grows with the machine; None where that fails."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


def _keep(values: dict[str, str], unread: set[str], name: str, path: str) -> None:
    found = read(path)
    if isinstance(found, str):
        values[name] = found
    elif not isinstance(found, FileNotFoundError):
        unread.add(name)


@dataclass(frozen=True, slots=True)
class _Mount:
    target: str
    fstype: str
    source: str
    propagation: str
    device: str


def _mounts() -> list[_Mount] | None:
    text = _whole("/proc/self/mountinfo")
    if text is None:
        return None
    found: list[_Mount] = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, rest = left.split(), right.split(" ")
        # Numbers of peer groups are given anew with every mount; only the kind of propagation says something.
        kinds = sorted(field.partition(":")[0] for field in fields[6:] if not field.startswith("propagate_from"))
        found.append(_Mount(fields[4], rest[0], rest[1], "+".join(kinds) or "private", fields[2]))
    return found


def _compared(mounts: list[_Mount] | None) -> Iterable[str] | None:
    if mounts is None:
        return None
    return (
        f"{mount.target} {mount.fstype} {mount.source} {mount.propagation}"
        for mount in mounts
        if mount.fstype != "nsfs" and not mount.target.startswith(_ENGINE_MOUNTS)
    )


def _once(mounts: list[_Mount], *fstypes: str) -> Iterable[_Mount]:
    """Return the first mount of each file system: a replica may be given a second one of the same hierarchy."""
    found: dict[str, _Mount] = {}
    for mount in mounts:
        if mount.fstype in fstypes:
            found.setdefault(mount.device, mount)
    return found.values()


def _hierarchies(mounts: list[_Mount] | None) -> dict[str, str]:
    return {
        f"{file} of {mount.target}": f"{mount.target}/{file}"
        for mount in _once(mounts or [], "cgroup")
        for file in ("release_agent", "notify_on_release")
    }


def _binfmt(mounts: list[_Mount] | None) -> Iterable[str] | None:
    """List the entries where the file system is mounted; asking an automount point would mount it."""
    if mounts is None:
        return None
    found: set[str] = set()
    for mount in mounts:
        if mount.fstype == "binfmt_misc":
            names = _names(mount.target)
            if names is None:
                return None
            for name in set(names) - {"register"}:
                text = read(f"{mount.target}/{name}")
                found.add(f"{name}: {' '.join(text.split()) if isinstance(text, str) else ''}")
    return found


def _names(folder: str) -> list[str] | None:
    try:
        return os.listdir(folder)  # noqa: PTH208 - texts are wanted, not paths
    except FileNotFoundError:
        return []
    except OSError:
        return None


def _memory_files() -> list[str] | None:
    """List /dev/shm without the locks that Podman makes at any call and leaves."""
    found = _names("/dev/shm")  # noqa: S108 - it is looked at, not used
    return None if found is None else [name for name in found if not name.startswith("libpod_")]


def _modules() -> Iterable[str] | None:
    text = _whole("/proc/modules")
    if text is not None:
        return (line.partition(" ")[0] for line in text.splitlines())
    # A kernel without modules has no such file.
    return () if not Path("/proc/modules").exists() else None


def _loops() -> Iterable[str] | None:
    names = _names("/sys/block")
    if names is None:
        return None
    backed = ((name, read(f"/sys/block/{name}/loop/backing_file")) for name in names if name.startswith("loop"))
    return (f"{name} {file}" for name, file in backed if isinstance(file, str))


def _system_v(kind: str) -> Iterable[str] | None:
    text = _whole(f"/proc/sysvipc/{kind}")
    return None if text is None else (" ".join(line.split()[:2]) for line in text.splitlines()[1:])


def _groups(mounts: list[_Mount] | None) -> Iterable[str] | None:
    if mounts is None:
        return None
    found: set[str] = set()
    folders = [(mount.target, 0) for mount in _once(mounts, "cgroup", "cgroup2")]
    while folders:
        folder, depth = folders.pop()
        try:
            with os.scandir(folder) as entries:
                below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # gone meanwhile
        found.update(path for path in below if path.rpartition("/")[2].startswith("holdfast"))
        if depth < CGROUP_DEPTH:
            folders.extend((path, depth + 1) for path in below)
    return found


def _interfaces() -> Iterable[str] | None:
    """List the interfaces but those whose other end lies elsewhere: engines make and remove them all the time."""
    names = _names("/sys/class/net")
    if names is None:
        return None
    return (name for name in names if read(f"/sys/class/net/{name}/iflink") == read(f"/sys/class/net/{name}/ifindex"))


def _processes() -> Iterable[str] | None:
    names = _names("/proc")
    if names is None:
        return None
    ours = f"{run_folder.runs()}/"
    found: set[str] = set()
    for pid in names:
        if not pid.isdecimal():
            continue
        comm = read(f"/proc/{pid}/comm")
        try:
            program = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - a text is wanted, " (deleted)" and all
        except OSError:
            program = comm if isinstance(comm, str) else ""
        if program.startswith(ours) or _PROBE.fullmatch(program.rpartition("/")[2]):
            found.add(f"{pid} {program}")
    return found
