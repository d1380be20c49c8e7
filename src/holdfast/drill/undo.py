"""How each kind of thing in a journal is undone. Each function looks first, and leaves alone what is not the run's."""

from __future__ import annotations

import os
import re
import select
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.drill import kernel_calls, remove, undo_engine
from holdfast.drill.journal import Kind, Owner
from holdfast.drill.process_identity import boot_id, pid_namespace, started
from holdfast.drill.undo_engine import Stays

_PROBE = re.compile(r"(holdfast-)?probe(-x86_64|-aarch64)?")
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What a function needs to know besides the entry's facts.

    Attributes:
        run: Id of the run.
        folder: The run folder, as an absolute path without links.
        owner: Who made the run; None where that was not written down.
    """

    run: str
    folder: Path
    owner: Owner | None

    @property
    def same_boot(self) -> bool:
        """Tell whether the machine has not been started anew since; if it has, the kernel forgot everything."""
        return self.owner is None or self.owner.boot == boot_id()

    @property
    def same_pids(self) -> bool:
        """Tell whether the numbers of processes in the journal mean here what they meant there."""
        return self.same_boot and self.owner is not None and self.owner.namespace == pid_namespace()


def entry(scene: Scene, kind: Kind, facts: dict[str, Any]) -> bool:
    """Undo one entry.

    Returns:
        True where something was there and is gone, False where there was nothing to do.

    Raises:
        Stays: It could not be undone; the text says why.
    """
    try:
        return _KINDS[kind](scene, **facts)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Stays(error.strerror or str(error)) from error


def prepare(scene: Scene) -> None:
    """Part the mounts below the run folder from the host's, so that undoing one undoes nothing else.

    Raises:
        Stays: The kernel refused; then nothing may be unmounted.
    """
    try:
        kernel_calls.part_below(f"{scene.folder}/")
    except OSError as error:
        raise Stays(f"its mounts cannot be made private: {error.strerror}") from error


def leftovers(scene: Scene) -> Iterator[str]:
    """Undo what lies or runs below the run folder and in no journal, such as a mount that came out of a container.

    Yields:
        What was undone.

    Raises:
        Stays: Something could not be undone.
    """
    below = f"{scene.folder}/"
    try:
        for pid in _running(lambda program: program.startswith(below)):
            if _killed(pid, started(pid)):
                yield f"process {pid}"
        # The last mounted comes first: it may lie on another.
        for path in reversed(kernel_calls.mount_points()):
            if path.startswith(below):
                kernel_calls.detach(path)
                yield f"mount {path}"
        for device in kernel_calls.loops_of(below):
            kernel_calls.clear_loop(device)
            yield f"loop {device}"
    except OSError as error:
        raise Stays(f"{error.filename or 'something below the run folder'}: {error.strerror}") from error


def _path(scene: Scene, path: str) -> bool:
    """Remove a file or a folder elsewhere; what lies below the run folder goes with it at the end."""
    if path.startswith(f"{scene.folder}/"):
        return False
    place, _, name = path.rpartition("/")
    if scene.run not in name:
        raise Stays("it does not carry the id of the run")
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not os.path.lexists(f"/proc/self/fd/{handle}/{name}"):
            return False
        if stayed := remove.tree(handle, name):
            raise Stays("; ".join(stayed[:3]))
    finally:
        os.close(handle)
    return True


def _mount(_scene: Scene, path: str) -> bool:
    there = path in kernel_calls.mount_points()
    kernel_calls.detach(path)
    return there


def _loop(_scene: Scene, backing: str) -> bool:
    devices = list(kernel_calls.loops_of(backing))
    for device in devices:
        kernel_calls.clear_loop(device)
    return bool(devices)


def _process(scene: Scene, pid: int = 0, start: int = 0, program: str = "") -> bool:
    if program:
        names = {program, f"{program} (deleted)"}
        killed = [_killed(found, started(found)) for found in _running(lambda name: name in names)]
        return any(killed)
    if not scene.same_pids or not start or started(pid) != start:
        return False
    return _is_ours(scene, pid) and _killed(pid, start)


def _is_ours(scene: Scene, pid: int) -> bool:
    try:
        program = str(Path(f"/proc/{pid}/exe").readlink()).removesuffix(" (deleted)")
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return (
        program.startswith(f"{scene.folder}/")
        or _PROBE.fullmatch(program.rpartition("/")[2]) is not None
        or scene.run.encode() in words
    )


def _running(wanted: Callable[[str], bool]) -> list[int]:
    found: list[int] = []
    for link in Path("/proc").glob("[0-9]*/exe"):
        try:
            if wanted(str(link.readlink())):
                found.append(int(link.parent.name))
        except OSError:
            continue  # ended meanwhile, or a thread of the kernel
    return found


def _killed(pid: int, start: int) -> bool:
    """Kill a process and wait until it has ended; its number cannot be taken by another while it is held."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not start or started(pid) != start:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        if not select.select([handle], [], [], _END_S)[0]:
            raise Stays(f"process {pid} was killed and does not end")
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def _setting(scene: Scene, path: str, old: str, new: str) -> bool:
    if not scene.same_boot and not path.startswith(f"{scene.folder}/"):
        return False
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise Stays(f"{path} is not there any more; it held {old!r} before the drill") from error
    try:
        now = os.read(handle, 1 << 16).decode("utf-8", "surrogateescape").rstrip("\n")
        if now == old.rstrip("\n"):
            return False
        if now != new.rstrip("\n"):
            raise Stays(f"it holds {now!r}, which the drill did not write; before the drill it held {old!r}")
        # An empty write is no write at all to the kernel, so the end of the line is always written.
        os.pwrite(handle, old.rstrip("\n").encode("utf-8", "surrogateescape") + b"\n", 0)
        now = os.pread(handle, 1 << 16, 0).decode("utf-8", "surrogateescape").rstrip("\n")
        if now != old.rstrip("\n"):
            raise Stays(f"the kernel keeps {now!r} although {old!r} was written back")
    finally:
        os.close(handle)
    return True


def _binfmt(scene: Scene, name: str) -> bool:
    if scene.run not in name or "/" in name:
        raise Stays("it does not carry the id of the run")
    file = Path("/proc/sys/fs/binfmt_misc") / name
    handle = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(handle, b"-1")
    finally:
        os.close(handle)
    return True


def _cgroup(scene: Scene, path: str) -> bool:
    if scene.run not in Path(path).name:
        raise Stays("it does not carry the id of the run")
    there = False
    for folder, _, _ in os.walk(path, topdown=False):
        Path(folder).rmdir()
        there = True
    return there


def _shm(_scene: Scene, key: int) -> bool:
    there = False
    for found, number, creator in kernel_calls.segments():
        if found == key and creator == os.geteuid():
            kernel_calls.remove_segment(number)
            there = True
    return there


_KINDS: dict[Kind, Callable[..., bool]] = {
    Kind.FOLDER: _path,
    Kind.FILE: _path,
    Kind.MOUNT: _mount,
    Kind.LOOP: _loop,
    Kind.PROCESS: _process,
    Kind.CONTAINER: lambda scene, **facts: undo_engine.container(scene.run, **facts),
    Kind.OCI_CONTAINER: lambda _scene, **facts: undo_engine.oci_container(facts["runtime"], facts["root"], facts["id"]),
    Kind.IMAGE: lambda scene, **facts: undo_engine.image(scene.run, **facts),
    Kind.VOLUME: lambda scene, **facts: undo_engine.volume(scene.run, **facts),
    Kind.CONTAINERD_NAMESPACE: lambda _scene, **facts: undo_engine.containerd_namespace(**facts),
    Kind.SETTING: _setting,
    Kind.BINFMT: _binfmt,
    Kind.CGROUP: _cgroup,
    Kind.SHM: _shm,
}
