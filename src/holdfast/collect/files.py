"""Walk files and folders for documents that may describe containers.

A file that a person names is always brought. Below a folder only likely names count, and what ``.gitignore`` leaves
out is left out. Nothing is opened here: what comes out is paths, one at a time, and an Error for each thing that
could not be entered.
"""

# ruff: noqa: PTH110, PTH114, PTH115, PTH116, PTH118 - ten thousand files go through here; a Path costs more

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from holdfast.collect.ignored import Ignored
from holdfast.collect.reading import failure
from holdfast.model.errors import Error, NotUnderstood

DATA = (".yml", ".yaml", ".json")
"""A file below a folder is a candidate when its name ends so: data ..."""
TEXTS = (".sh", ".bash", ".zsh", ".ksh", ".service", ".mk", ".md", ".markdown", ".rst")
"""... or text that may hold command lines ..."""
NAMES = frozenset({"makefile", "gnumakefile", "justfile"})
"""... or when this is its whole name (in small letters) ..."""
SCRIPT_BYTES = 1 << 20
"""... or when it is an executable file without an ending and not larger than this: a script, perhaps."""
SKIPPED = frozenset({".git", ".hg", ".svn", ".tox", ".venv", "__pycache__", "node_modules", "site-packages", "venv"})
"""Folders that are not walked below a named one: tools put copies of other people's files there."""
LOCKS = frozenset({"package-lock.json", "pnpm-lock.yaml", "composer.lock.json", "npm-shrinkwrap.json"})
"""Names that end like a candidate but never describe a container, and are large."""
_ENDINGS = (*DATA, *TEXTS)
DEPTH = 64

Progress = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """One file to read.

    Attributes:
        path: As reached from the name a person gave.
        size_bytes: Its size when it was found.
        named: A person named this very file.
    """

    path: str
    size_bytes: int
    named: bool


@dataclass(slots=True)
class Walked:
    """What a walk left out. Filled while the walk goes on.

    Attributes:
        files: Files that were brought.
        ignored: Files and folders that ignore rules left out.
        skipped: Folders of tools that were left out.
    """

    files: int = 0
    ignored: int = 0
    skipped: int = 0


def walk(
    paths: Iterable[str], progress: Progress | None = None, walked: Walked | None = None
) -> Iterator[Found | Error]:
    """Bring candidates one at a time.

    Args:
        paths: Files and folders. Folders are walked in order of names, so that two walks bring the same.
        progress: Called with the number of files so far and the path, for each file.
        walked: Counts what was brought and left out.

    Yields:
        A file to read, or an Error for a path that is not there, cannot be entered, is a device, pipe or socket, or
        is a link that leads nowhere. Links to files are followed; below a folder, links to folders are not.
    """
    count = walked if walked is not None else Walked()
    for path in paths:
        for found in _start(path, count):
            if isinstance(found, Found):
                count.files += 1
                if progress is not None:
                    progress(count.files, found.path)
            yield found


def is_data(name: str) -> bool:
    """Tell by its name whether a file is meant as YAML or JSON."""
    return name.lower().endswith(DATA)


def may_hold_documents(name: str, data: bytes) -> bool:
    """Tell whether a file that a walk brought is worth reading: of executable files without an ending, scripts are."""
    return _likely(name.rpartition("/")[2]) or data.startswith(b"#!")


def _start(path: str, count: Walked) -> Iterator[Found | Error]:
    try:
        seen = os.stat(path)
    except OSError as error:
        yield _unreached(path, error)
        return
    if stat.S_ISDIR(seen.st_mode):
        yield from _folder(path, Ignored.above(path), count, 0)
    elif stat.S_ISREG(seen.st_mode):
        yield Found(path, seen.st_size, named=True)
    else:
        yield _no_file(path)


def _folder(path: str, ignored: Ignored, count: Walked, depth: int) -> Iterator[Found | Error]:
    if depth > DEPTH:
        yield NotUnderstood(f"Folders lie deeper than {DEPTH} levels", path, "name the folder you mean")
        return
    try:
        with os.scandir(path) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        yield _unreached(path, error)
        return
    rules = ignored.entering(path, {entry.name for entry in entries})
    for entry in entries:
        place = os.path.join(path, entry.name) if path != "." else entry.name
        try:
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and entry.name in SKIPPED:
                count.skipped += 1
            elif not is_folder and not _likely(entry.name) and not _perhaps_script(entry):
                continue
            elif rules.leaves_out(entry.name, is_folder=is_folder):
                count.ignored += 1
            elif is_folder:
                yield from _folder(place, rules, count, depth + 1)
            else:
                yield from _file(place, entry.stat())
        except OSError as error:
            yield _unreached(place, error)


def _file(path: str, seen: os.stat_result) -> Iterator[Found | Error]:
    if stat.S_ISREG(seen.st_mode):
        yield Found(path, seen.st_size, named=False)
    elif not stat.S_ISDIR(seen.st_mode):
        yield _no_file(path)


def _likely(name: str) -> bool:
    lower = name.lower()
    return (lower.endswith(_ENDINGS) and lower not in LOCKS) or lower in NAMES


def _perhaps_script(entry: os.DirEntry[str]) -> bool:
    """Tell whether a file without an ending may be run; what its first bytes say is for the reader to look at."""
    if "." in entry.name:
        return False
    try:
        seen = entry.stat()
    except OSError:
        return False
    return stat.S_ISREG(seen.st_mode) and bool(seen.st_mode & 0o111) and seen.st_size <= SCRIPT_BYTES


def _no_file(path: str) -> Error:
    return NotUnderstood("This is a device, a pipe or a socket, not a file", path, "name a regular file")


def _unreached(path: str, error: OSError) -> Error:
    if os.path.islink(path) and not os.path.exists(path) and not isinstance(error, PermissionError):
        target = os.readlink(path)
        what = "Symbolic links form a loop" if error.errno == errno.ELOOP else f"A link leads nowhere: {target}"
        return NotUnderstood(what, path, "remove the link or mend it")
    return failure(error, path)
