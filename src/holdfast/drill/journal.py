"""The list of what a run will leave on the machine, written before each thing is made.

A run that is killed at any moment leaves this list behind, and ``reaper`` works it off from the end. A thing that is
written down and was then never made costs a look; a thing that was made and not written down would stay for ever.

What a run makes outside its folder carries the run's id in its name or label, so that the reaper can tell it from what
belongs to others. ``Journal.will`` holds that.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from holdfast.drill import run_folder
from holdfast.drill.process_identity import boot_id, pid_namespace, started
from holdfast.model.errors import NotPermitted, NotReachable, NotUnderstood, Unsafe, Usage

FILE = "journal"


class Kind(StrEnum):
    """What a run can leave on the machine."""

    FOLDER = "folder"
    FILE = "file"
    MOUNT = "mount"
    LOOP = "loop"
    PROCESS = "process"
    CONTAINER = "container"
    OCI_CONTAINER = "oci_container"
    IMAGE = "image"
    VOLUME = "volume"
    CONTAINERD_NAMESPACE = "containerd_namespace"
    SETTING = "setting"
    BINFMT = "binfmt"
    CGROUP = "cgroup"
    SHM = "shm"


FACTS: dict[Kind, tuple[frozenset[str], frozenset[str]]] = {
    Kind.FOLDER: (frozenset({"path"}), frozenset()),
    Kind.FILE: (frozenset({"path"}), frozenset()),
    Kind.MOUNT: (frozenset({"path"}), frozenset()),
    Kind.LOOP: (frozenset({"backing"}), frozenset()),
    Kind.PROCESS: (frozenset(), frozenset({"pid", "start", "program"})),
    Kind.CONTAINER: (frozenset({"engine", "name"}), frozenset({"address"})),
    Kind.OCI_CONTAINER: (frozenset({"runtime", "root", "id"}), frozenset()),
    Kind.IMAGE: (frozenset({"engine", "name"}), frozenset({"address"})),
    Kind.VOLUME: (frozenset({"engine", "name"}), frozenset({"address"})),
    Kind.CONTAINERD_NAMESPACE: (frozenset({"address", "name"}), frozenset()),
    Kind.SETTING: (frozenset({"path", "old", "new"}), frozenset()),
    Kind.BINFMT: (frozenset({"name"}), frozenset()),
    Kind.CGROUP: (frozenset({"path"}), frozenset()),
    Kind.SHM: (frozenset({"key"}), frozenset()),
}
"""The facts of each kind: those it must have, those it may have.

``loop`` names the backing file, since the device's number is known too late. ``process`` has ``pid`` and ``start``
(clock ticks since boot, /proc/PID/stat field 22) of a process that runs, or ``program``, a file below the run folder
that nobody else runs, written down before the process is started. ``setting`` has the value before (``old``) and the
value that the drill writes (``new``). ``shm`` has the System V key, which must not be in use when it is written down.
"""

_SETTINGS = ("/proc/sys/", "/sys/")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that is to be undone.

    Attributes:
        number: Its place in the journal, from 1.
        kind: What it is.
        facts: What names it; see ``FACTS``.
    """

    number: int
    kind: Kind
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that makes the run.

    Attributes:
        pid: Its number.
        start: When it started, in clock ticks since boot.
        boot: The kernel's boot id; after a restart of the machine no process of the run is left.
        namespace: Inode of its PID namespace, in which alone the number means anything; 0 where unknown.
        expires: When the run is over whatever its owner does, in seconds since 1970.
    """

    pid: int
    start: int
    boot: str
    namespace: int
    expires: float


def new_id() -> str:
    """Return an id for a run: 12 hexadecimal digits, not to be guessed."""
    return secrets.token_hex(6)


class Journal:
    """The open list of one run. One process, one thread at a time.

    Attributes:
        id: The run's id.
        folder: The run folder, mode 0711. Everything that the run plants lies below it.
        expires: When the run is over whatever happens, in seconds since 1970.
    """

    def __init__(self, run: str, folder: Path, handle: int, expires: float, hook: Callable[[str], None] | None) -> None:
        """Keep what ``open`` has made."""
        self.id = run
        self.folder = folder
        self.expires = expires
        self._handle = handle
        self._hook = hook
        self._number = 0

    @classmethod
    def open(cls, run: str, expires_s: float, hook: Callable[[str], None] | None = None) -> Self:
        """Make the run folder and write down who owns it.

        Args:
            run: The run's id, 8 to 32 small letters and digits; see ``new_id``.
            expires_s: Seconds from now after which the reaper undoes the run even if its owner lives.
            hook: Called with the name of each boundary; tests kill the process there.

        Raises:
            Usage: The id is not well-formed or taken.
            NotReachable: The folder cannot be made.
            NotPermitted: The kernel refuses.
            Unsafe: Somebody else could write the folder that the run folder lies in.
        """
        if not run_folder.NAME.fullmatch(run):
            raise Usage("This is no id of a run", run, "use 8 to 32 small letters and digits")
        place = run_folder.made()
        folder = place / run
        lock = run_folder.opened(place)
        expires = time.time() + expires_s
        try:
            # A reaper takes the same lock before it judges a folder without an owner, so it never sees this one so.
            with run_folder.locked(lock):
                folder.mkdir(mode=run_folder.MODE)
                folder.chmod(run_folder.MODE)
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                handle = os.open(folder / FILE, flags, 0o600)
                journal = cls(run, folder, handle, expires, hook)
                me = os.getpid()
                journal._write(
                    {
                        "owner": me,
                        "start": started(me),
                        "boot": boot_id(),
                        "namespace": pid_namespace(),
                        "expires": expires,
                        "run": run,
                    }
                )
                os.fsync(lock)
        except FileExistsError as error:
            raise Usage("There is a run of this id", str(folder), "take another id") from error
        except PermissionError as error:
            raise NotPermitted("The run folder cannot be made", str(folder), "run as root") from error
        except OSError as error:
            raise NotReachable(f"The run folder cannot be made: {error.strerror}", str(folder)) from error
        finally:
            os.close(lock)
        journal.boundary("open")
        return journal

    def will(self, kind: Kind | str, **facts: str | int) -> int:
        """Write down, durably, what is about to be made. Call it BEFORE the thing is made.

        Args:
            kind: What it is.
            facts: What names it; see ``FACTS``.

        Returns:
            The entry's number, for ``done``.

        Raises:
            Usage: A fact is missing or not known.
            Unsafe: It would let the reaper touch what does not carry the run's id.
            NotReachable: The disk does not take it; then the thing must not be made.
        """
        kind = Kind(kind)
        must, may = FACTS[kind]
        if not must <= facts.keys() <= must | may or (kind is Kind.PROCESS and not facts):
            raise Usage(f"These facts do not name one {kind}", ", ".join(sorted(facts)), f"give {sorted(must | may)}")
        self._ours(kind, {name: str(value) for name, value in facts.items()})
        self._number += 1
        self._write({"number": self._number, "kind": str(kind), "facts": facts})
        self.boundary(f"will {kind}")
        return self._number

    def done(self, number: int) -> None:
        """Write down that an entry is undone, or that the thing was never made because the name was taken."""
        self._write({"done": number})

    def boundary(self, name: str) -> None:
        """Mark the border between two steps. It does nothing but call the hook."""
        if self._hook is not None:
            self._hook(name)

    def close(self) -> None:
        """Close the list. Nothing is undone by this: see ``reaper.finish``."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ours(self, kind: Kind, facts: dict[str, str]) -> None:
        below = f"{self.folder}/"
        for name in ("path", "backing", "program"):
            path = facts.get(name)
            if path is None or kind is Kind.SETTING:
                continue
            if not path.startswith("/") or os.path.normpath(path) != path:
                raise Unsafe("A path of the journal must be absolute and plain", path)
            carries = self.id in os.path.basename(path)  # noqa: PTH119 - a text, not a file
            outside = kind is Kind.CGROUP or (kind in {Kind.FILE, Kind.FOLDER} and carries)
            if not path.startswith(below) and not outside:
                raise Unsafe(f"A {kind} of a drill lies below its run folder", path, f"plant it below {self.folder}")
        names = facts.get("path", "") if kind is Kind.CGROUP else facts.get("id", facts.get("name", self.id))
        if kind in {Kind.OCI_CONTAINER, Kind.CONTAINERD_NAMESPACE, Kind.BINFMT, Kind.CGROUP} and self.id not in names:
            raise Unsafe(f"The name of a {kind} must carry the id of the run", names, f"add {self.id} to it")
        if kind is Kind.SETTING and not facts["path"].startswith((*_SETTINGS, below)):
            raise Unsafe("This is no setting of the kernel", facts["path"])

    def _write(self, line: dict[str, Any]) -> None:
        # A line begins afresh, so that one that was cut off by a full disk does not take the next one with it.
        data = b"\n" + json.dumps(line, separators=(",", ":")).encode() + b"\n"
        where = str(self.folder / FILE)
        try:
            written = os.write(self._handle, data)
            os.fdatasync(self._handle)
        except OSError as error:
            raise NotReachable(
                f"The journal cannot be written: {error.strerror}", where, "make room on the disk"
            ) from error
        if written != len(data):
            raise NotReachable("The journal cannot be written: the disk is full", where, "make room on the disk")


def read(folder: int) -> tuple[Owner | None, tuple[Entry, ...]]:
    """Read the list of a run.

    Args:
        folder: Descriptor of the run folder, from ``run_folder.opened``.

    Returns:
        The owner, None where the run died before it wrote down anything; and what is not yet undone, in the order it
        was made. A torn last line counts as not written: the thing it names was not made.

    Raises:
        NotReachable: The file cannot be read.
        NotUnderstood: A whole line is not of this version; nothing may be dropped silently.
        Unsafe: It is not a regular file of ours.
    """
    try:
        handle = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None, ()
    except OSError as error:
        raise NotReachable(f"The journal cannot be read: {error.strerror}", FILE) from error
    with os.fdopen(handle, "rb") as file:
        seen = os.fstat(handle)
        if seen.st_uid not in {0, os.geteuid()} or seen.st_mode & 0o022 or not seen.st_mode & 0o100000:
            raise Unsafe("The journal belongs to somebody else", FILE, "look who put it there and remove it")
        data = file.read()
    owner: Owner | None = None
    entries: dict[int, Entry] = {}
    for number, text in enumerate(data.split(b"\n"), 1):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        try:
            if "owner" in line:
                owner = Owner(line["owner"], line["start"], line["boot"], line["namespace"], line["expires"])
            elif "done" in line:
                entries.pop(line["done"], None)
            else:
                entries[line["number"]] = Entry(line["number"], Kind(line["kind"]), dict(line["facts"]))
        except (ValueError, KeyError, TypeError) as error:
            raise NotUnderstood(
                "A line of the journal is not understood", FILE, "let the version that wrote it clean up", number
            ) from error
    return owner, tuple(entries.values())


def mark_done(folder: int, number: int) -> None:
    """Write down, in the list of a run that has no owner any more, that an entry is undone.

    A line is begun afresh first: the owner may have died in the middle of one.
    """
    handle = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(handle, b'\n{"done":%d}\n' % number)
    finally:
        os.close(handle)
