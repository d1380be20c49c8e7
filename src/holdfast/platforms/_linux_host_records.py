"""Raw records of a host, asked by name, and the answers and reasons that come of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from holdfast.model.errors import Error, NotPermitted, NotReachable
from holdfast.model.facts import Absent, Seen
from holdfast.model.place import Where

Answer = Seen[Any] | Absent


class Records:
    """What ``collect/host`` brought: texts by path, or the reason why there is none."""

    def __init__(self, entries: Mapping[str, str | Error]) -> None:
        """Keep the entries."""
        self.entries = entries

    def text(self, name: str) -> str | None:
        """Return the text without surrounding white space, or None where it was not read."""
        entry = self.entries.get(name)
        return entry.strip() if isinstance(entry, str) else None

    def number(self, name: str) -> int | None:
        """Return the text as a decimal number, or None where it is none."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return int(text)
        except ValueError:
            return None

    def lines(self, name: str) -> tuple[str, ...]:
        """Return the lines that are not empty; none where it was not read."""
        return tuple(line for line in (self.text(name) or "").splitlines() if line.strip())

    def missing(self, name: str) -> bool:
        """Tell whether somebody looked and nothing was there (not: was refused, or was never asked)."""
        return isinstance(self.entries.get(name), NotReachable)

    def matching(self, start: str, end: str) -> Iterator[tuple[str, str]]:
        """Iterate over (name, text) of the records whose name starts and ends so."""
        for name, entry in self.entries.items():
            if name.startswith(start) and name.endswith(end) and isinstance(entry, str):
                yield name, entry.strip()

    def absent(self, name: str, reason: str = "") -> Absent:
        """Say why a record gives no answer."""
        entry = self.entries.get(name)
        if reason:
            return Absent(reason, Where(name))
        if entry is None:
            return Absent(f"{name} was not asked for", Where(name))
        if isinstance(entry, NotPermitted):
            return Absent(f"{name} cannot be read without more privilege: {entry.next or 'run as root'}", Where(name))
        if isinstance(entry, Error):
            return Absent(f"{name}: {entry.what}", Where(name))
        return Absent(f"{name} holds something that is not understood", Where(name))

    @cached_property
    def proc_seen(self) -> bool:
        """/proc/sys was there to be read, so a file that is missing below it does not exist in this kernel."""
        return self.text("/proc/sys/kernel/osrelease") is not None

    @cached_property
    def sys_seen(self) -> bool:
        """/sys was there to be read."""
        return bool(self.text("/sys/module/"))

    @cached_property
    def mounts(self) -> tuple[Mount, ...]:
        """The mount table: that of the first process where it could be read, else the collector's own."""
        return tuple(mounts_of(self.text(self.mounts_name) or ""))

    @cached_property
    def mounts_name(self) -> str:
        """The record the mount table came from."""
        return "/proc/1/mountinfo" if self.text("/proc/1/mountinfo") else "/proc/self/mountinfo"

    def mount_at(self, target: str) -> Mount | None:
        """Return the mount that shows at exactly this place; the last one hides those before."""
        return next((mount for mount in reversed(self.mounts) if mount.target == target), None)

    def mount_over(self, path: str) -> Mount | None:
        """Return the mount that holds this path."""
        best: Mount | None = None
        for mount in self.mounts:
            target = mount.target.rstrip("/")
            if (path == target or path.startswith(f"{target}/")) and (
                best is None or len(mount.target) >= len(best.target)
            ):
                best = mount
        return best

    @cached_property
    def config_name(self) -> str:
        """The record that holds the kernel's options, empty where none was read."""
        if self.text("/proc/config.gz"):
            return "/proc/config.gz"
        release = self.text("/proc/sys/kernel/osrelease") or ""
        names = (f"/boot/config-{release}", f"/lib/modules/{release}/config")
        return next((name for name in names if self.text(name)), "")

    @cached_property
    def config(self) -> dict[str, str]:
        """Kernel options that are set, by name with CONFIG_; empty where the configuration was not read."""
        found: dict[str, str] = {}
        for line in self.lines(self.config_name) if self.config_name else ():
            if line.startswith("CONFIG_"):
                name, sign, value = line.partition("=")
                if sign:
                    found[name] = value
        return found

    def option(self, name: str) -> bool | None:
        """Tell whether a kernel option is y or m; None where the configuration was not read."""
        return self.config.get(name) in {"y", "m"} if self.config else None


class Mount:
    """One line of mountinfo(5), as far as the host's facts need it."""

    __slots__ = ("device", "fstype", "options", "root", "source", "super_options", "target")

    def __init__(self, fields: list[str], dash: int) -> None:
        """Take the fields of the line; ``dash`` is the index of the lone hyphen."""
        self.device = fields[2]
        self.root = unescaped(fields[3])
        self.target = unescaped(fields[4])
        self.options = frozenset(fields[5].split(","))
        self.fstype = fields[dash + 1]
        self.source = unescaped(fields[dash + 2])
        self.super_options = frozenset(fields[dash + 3].split(",")) if len(fields) > dash + 3 else frozenset()


def mounts_of(text: str) -> Iterator[Mount]:
    """Iterate over the mounts of a mountinfo text; lines that are none are left out."""
    for line in text.split("\n"):  # not splitlines: a name may hold the other signs that end a line there
        fields = line.split(" ")
        if len(fields) > 9 and "-" in fields[6:]:
            dash = fields.index("-", 6)
            if len(fields) > dash + 2:
                yield Mount(fields, dash)


def unescaped(text: str) -> str:
    """Undo the octal escapes of mountinfo(5): space, tab, line feed, backslash, ``#``."""
    if "\\" not in text:
        return text
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\")):
        text = text.replace(code, sign)
    return text
