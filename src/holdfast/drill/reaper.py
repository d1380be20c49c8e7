"""Undo what runs left behind whose owner is dead or whose time is over.

It may be killed itself at any point and started again, and two at once do not get into each other's way: each run
folder is locked while it is worked on, every undoing looks first, and the journal goes last.
"""

# ruff: noqa: PTH208 - a listing of an open directory handle has no twin in pathlib

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill import remove, run_folder, undo, undo_engine
from holdfast.drill.journal import FILE, Entry, Journal, Kind, Owner, mark_done, read
from holdfast.drill.process_identity import boot_id, pid_namespace, started
from holdfast.drill.undo_engine import Stays
from holdfast.model.errors import Error, NotPermitted, NotReachable, Unsafe

ENGINES = ("docker", "podman")


@dataclass(frozen=True, slots=True)
class Removed:
    """Something that was there and is gone.

    Attributes:
        run: Id of the run it belonged to.
        what: Kind and name.
    """

    run: str
    what: str


@dataclass(frozen=True, slots=True)
class Left:
    """Something that could not be undone. Its journal stays, so that it is tried again.

    Attributes:
        run: Id of the run it belongs to.
        what: Kind and name.
        reason: Why it stays.
    """

    run: str
    what: str
    reason: str


def reap(now: float, only_dead: bool = True, engines: tuple[str, ...] = ENGINES) -> tuple[Removed | Left, ...]:  # noqa: FBT002
    """Undo every run that nobody looks after any more.

    Args:
        now: Seconds since 1970.
        only_dead: Leave alone runs whose owner lives and whose time is not over. With False, all are undone.
        engines: Engines that are asked for labelled containers without a run folder.

    Returns:
        What is gone and what is not, in the order it was done. Nothing where nothing was to be done. A run that
        another reaper works on is passed by.

    Raises:
        Unsafe: The folder of all runs is a link, or somebody else could write it.
        NotPermitted: It cannot be opened.
    """
    done: list[Removed | Left] = []
    known: frozenset[str] = frozenset()
    place = run_folder.runs()
    if os.path.lexists(place):
        above = run_folder.opened(place)
        try:
            # Seen before the containers are: a run that begins meanwhile has its folder first.
            for name in sorted(os.listdir(above)):
                done.extend(_folder(above, place / name, now, only_dead=only_dead))
            known = frozenset(os.listdir(above))
        finally:
            os.close(above)
    for engine, name, run in undo_engine.expired(now, known, engines):
        try:
            if undo_engine.container(run, engine, name):
                done.append(Removed(run, f"container {engine} {name}"))
        except Stays as stays:
            done.append(Left(run, f"container {engine} {name}", str(stays)))
    return tuple(done)


def finish(journal: Journal) -> tuple[Removed | Left, ...]:
    """Undo the run of a journal at its end, and close it. The same is done as the reaper would do.

    Returns:
        What is gone and what is not. An empty run folder counts as nothing.
    """
    journal.close()
    place = journal.folder.parent
    try:
        above = run_folder.opened(place)
    except NotReachable:
        return ()
    try:
        return tuple(_folder(above, journal.folder, 0.0, only_dead=False, wait=True))
    finally:
        os.close(above)


def _folder(above: int, path: Path, now: float, *, only_dead: bool, wait: bool = False) -> Iterator[Removed | Left]:
    run = path.name
    if not run_folder.NAME.fullmatch(run):
        yield Left(run, str(path), "this is no name of a run; look who put it there")
        return
    try:
        handle = run_folder.opened(path)
    except NotReachable:
        return
    except (Unsafe, NotPermitted) as error:
        yield Left(run, str(path), error.what)
        return
    try:
        with run_folder.locked(handle, wait=wait) as mine:
            # The reaper that had the lock before may have removed the folder.
            if not mine or not _still(above, run, handle):
                return
            try:
                owner, entries = _listed(above, handle)
            except Error as error:
                yield Left(run, f"journal {path / FILE}", error.what)
                return
            if owner is None and set(os.listdir(handle)) - {FILE}:
                yield Left(run, str(path), "it has no journal that names an owner; look who put it there")
                return
            if not only_dead or owner is None or _over(owner, now):
                yield from _undone(above, handle, undo.Scene(run, path, owner), entries)
    finally:
        os.close(handle)


def _still(above: int, run: str, handle: int) -> bool:
    try:
        seen = os.stat(run, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(seen, os.fstat(handle))


def _listed(above: int, handle: int) -> tuple[Owner | None, tuple[Entry, ...]]:
    owner, entries = read(handle)
    if owner is None:
        # A run makes its folder and names its owner under this lock, so whoever has it sees both or a dead one.
        with run_folder.locked(above):
            owner, entries = read(handle)
    return owner, entries


def _over(owner: Owner, now: float) -> bool:
    if owner.expires < now or owner.boot != boot_id():
        return True
    # In another PID namespace the number means another process; then only the time tells.
    return owner.namespace == pid_namespace() and (not owner.start or started(owner.pid) != owner.start)


def _asked_for(run: str, entries: tuple[Entry, ...]) -> Iterator[Removed]:
    """Remove containers that no journal names: those that a replica asked an engine for."""
    engines = {
        (str(entry.facts["engine"]), str(entry.facts.get("address", "")))
        for entry in entries
        if entry.kind in {Kind.CONTAINER, Kind.IMAGE}
    }
    for engine, address in sorted(engines):
        # An engine that does not answer is reported with the entry that names it.
        with contextlib.suppress(Stays):
            for name in undo_engine.labelled(run, engine, address):
                if undo_engine.container(run, engine, name, address):
                    yield Removed(run, f"container {engine} {name[:12]}")


def _undone(above: int, handle: int, scene: undo.Scene, entries: tuple[Entry, ...]) -> Iterator[Removed | Left]:
    whole = True
    try:
        undo.prepare(scene)
    except Stays as stays:
        yield Left(scene.run, f"mounts below {scene.folder}", str(stays))
        return
    yield from _asked_for(scene.run, entries)
    for entry in reversed(entries):
        what = f"{entry.kind} {' '.join(str(value) for value in entry.facts.values())}"
        try:
            if undo.entry(scene, entry.kind, entry.facts):
                yield Removed(scene.run, what)
            # On a full disk it is not marked, and only looked for once more where something else stays.
            with contextlib.suppress(OSError):
                mark_done(handle, entry.number)
        except Stays as stays:
            whole = False
            yield Left(scene.run, what, str(stays))
    try:
        for what in undo.leftovers(scene):
            yield Removed(scene.run, what)
    except Stays as stays:
        whole = False
        yield Left(scene.run, "what lies below the run folder", str(stays))
    if whole:
        yield from _emptied(above, handle, scene)


def _emptied(above: int, handle: int, scene: undo.Scene) -> Iterator[Removed | Left]:
    """Remove the run folder, the journal last: as long as it is there, this can be begun again."""
    stayed = remove.below(handle, frozenset({FILE})) or remove.tree(above, scene.run)
    for reason in stayed:
        yield Left(scene.run, f"folder {scene.folder}", reason)
    if not stayed:
        yield Removed(scene.run, f"folder {scene.folder}")
