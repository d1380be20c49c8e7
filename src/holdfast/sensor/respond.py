"""What is done to a container whose attempt was seen: kill, pause, cut off from the network. All of it can be undone.

Only a process that the kernel marked as contained, and that is still the one that was seen (process id and start), is
ever touched. Nothing here decides: the policy does.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.model.errors import Error
from holdfast.model.event import Container, Process
from holdfast.sensor import freezer, network, snapshot
from holdfast.sensor.engine_orders import ordered
from holdfast.sensor.engines.docker import DOCKER, PODMAN
from holdfast.sensor.processes import same_life

FOLDER = Path("/run/holdfast/responses")
"""What was done and can be undone, a file for each container."""
_SOCKETS: Mapping[str, str] = {"docker": DOCKER, "podman": PODMAN}
_ROUNDS = 5
_MINUTE_NS = 60_000_000_000
_NONE_LEFT = "too many responses in this minute"


@dataclass(frozen=True, slots=True)
class Response:
    """What came of one response.

    Attributes:
        done: It was done.
        how: How, or why not; one short sentence without a final stop.
        spent: It was refused because there were too many in this minute.
    """

    done: bool
    how: str
    spent: bool = False


@dataclass(slots=True)
class Undo:
    """What was done to one container, and how it is taken back.

    Attributes:
        container: Its id.
        name: Its name.
        pause: ``docker``, ``podman`` or the path of a freezer's control group; empty where it was not paused.
        stopped: Process id and start of processes outside its control group that were stopped.
        links: Interfaces of the host that were set down.
        routes: Process id and start of one whose network namespace was cut off by a rule; empty where none was.
    """

    container: str
    name: str = ""
    pause: str = ""
    stopped: list[list[int]] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    routes: list[int] = field(default_factory=list)


class Responder:
    """Carries responses out, at most so many in a minute."""

    def __init__(
        self,
        per_minute: int,
        folder: Path = FOLDER,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Begin.

        Args:
            per_minute: Responses in any sixty seconds at most.
            folder: Where it is noted what was done.
            clock: Nanoseconds, never going back.
        """
        self._most = per_minute
        self._folder = folder
        self._clock = clock
        self._times: deque[int] = deque()

    def kill(self, process: Process) -> Response:
        """Kill the process that acted."""
        return self._bounded(lambda: _killed([process]))

    def kill_container(self, process: Process, people: Callable[[], Iterable[Process]]) -> Response:
        """Kill every process of a process's container.

        Args:
            process: Who acted.
            people: Lists the processes that run.
        """
        return self._bounded(lambda: self._kill_all(process, people))

    def pause(self, process: Process, people: Callable[[], Iterable[Process]]) -> Response:
        """Freeze a process's container; processes that left its control group are stopped."""
        return self._bounded(lambda: self._pause(process, people))

    def quarantine(self, process: Process, people: Callable[[], Iterable[Process]]) -> Response:
        """Cut a process's container off from the network."""
        return self._bounded(lambda: self._quarantine(process, people))

    def release(self, name: str) -> list[str]:
        """Take back what was done to a container.

        Args:
            name: Its name, its id, or the beginning of its id.

        Returns:
            A line for each thing that was taken back.

        Raises:
            Error: Nothing was done to such a container, or several are meant.
        """
        found = [
            undo for undo in self.held() if name == undo.name or (len(name) > 3 and undo.container.startswith(name))
        ]
        if len(found) != 1:
            what = "several containers are meant" if found else "nothing is held of such a container"
            told = ", ".join(f"{one.name or '-'} {one.container[:12]}" for one in self.held()) or "none is held"
            raise Error(what, name, told)
        done = _taken_back(found[0])
        self._file(found[0].container).unlink(missing_ok=True)
        return done

    def held(self) -> list[Undo]:
        """Return what can be taken back."""
        return [undo for file in sorted(self._folder.glob("*.json")) if (undo := _read(file)) is not None]

    # --- one response ------------------------------------------------------------------------------------------------

    def _bounded(self, act: Callable[[], str]) -> Response:
        now = self._clock()
        while self._times and now - self._times[0] >= _MINUTE_NS:
            self._times.popleft()
        if len(self._times) >= self._most:
            return Response(False, _NONE_LEFT, spent=True)
        self._times.append(now)
        try:
            return Response(True, act())
        except Error as error:
            return Response(False, error.what)
        except OSError as error:
            return Response(False, error.strerror or str(error))

    def _kill_all(self, process: Process, people: Callable[[], Iterable[Process]]) -> str:
        container = _container(process)
        done: set[tuple[int, int]] = set()
        for _ in range(_ROUNDS):
            members = [process, *(one for one in people() if one.container is container)]
            # The first process of a pid namespace takes all others with it.
            members.sort(key=lambda one: (one.virtual_pid != 1, one.start_ns))
            before = len(done)
            for one in members:
                key = (one.pid, one.start_ns)
                if key not in done:
                    with suppress(Error):
                        _killed([one])
                        done.add(key)
            if len(done) == before:
                break
        if not done:
            raise Error("no process of the container was there any more")
        return f"killed {len(done)} processes of the container" if len(done) > 1 else "killed the container's process"

    def _pause(self, process: Process, people: Callable[[], Iterable[Process]]) -> str:
        container = _container(process)
        members = [process, *(one for one in people() if one.container is container and one is not process)]
        undo = self._undo(container)
        how = ""
        if container.runtime in _SOCKETS and len(container.id) == 64:
            with suppress(Error):
                status = ordered(_SOCKETS[container.runtime], f"/containers/{container.id}/pause")
                if status in {204, 409}:  # 409: it is paused already
                    undo.pause, how = container.runtime, f"paused by {container.runtime}"
        if not how:
            group = _group(container, members)
            freezer.freeze(group, frozen=True)
            undo.pause, how = str(group), "frozen by its control group"
        outside = [one for one in members if not _in_group(container, one)]
        for one in outside:
            with suppress(Error, OSError), _same(one) as handle:
                signal.pidfd_send_signal(handle[0], signal.SIGSTOP)
                undo.stopped.append([one.pid, one.start_ns])
        self._keep(undo)
        return how + (f"; {len(undo.stopped)} processes outside it stopped" if undo.stopped else "")

    def _quarantine(self, process: Process, people: Callable[[], Iterable[Process]]) -> str:
        container = _container(process)
        host = {os.stat("/proc/self/ns/net").st_ino, snapshot.host_namespaces().get("net")}  # noqa: PTH116 - a link
        shares = False
        # The one that acted may have ended by now, and may have entered another network before.
        for one in (process, *(one for one in people() if one.container is container and one is not process)):
            with suppress(Error, OSError), _same(one) as (_, folder):
                if os.stat("ns/net", dir_fd=folder).st_ino in host:
                    shares = True
                    continue
                return self._cut_off(container, one, folder)
        raise Error(
            "the container shares the host's network, which is left alone"
            if shares
            else "none of its processes is left"
        )

    def _cut_off(self, container: Container, process: Process, folder: int) -> str:
        inner = network.inside(folder, network.interfaces)
        outer = network.peers(inner, network.interfaces())
        ends = {other.number for other in outer}
        undo = self._undo(container)
        undo.links = sorted({*undo.links, *ends})
        if not inner or any(one.kind != "veth" or one.peer not in ends for one in inner):
            undo.routes = [process.pid, process.start_ns]
        self._keep(undo)  # first: what is done and not noted could not be undone
        for other in outer:
            network.set_link(other.number, up=False)
        if undo.routes:
            network.inside(folder, lambda: network.refuse_routes(refused=True))
        told = [f"the host's end {other.name} is down" for other in outer]
        told += ["every route is refused"] if undo.routes else []
        return ", ".join(told)

    # --- what is noted -----------------------------------------------------------------------------------------------

    def _undo(self, container: Container) -> Undo:
        return _read(self._file(container.id)) or Undo(container.id, container.name)

    def _keep(self, undo: Undo) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._file(undo.container)
        made = file.with_suffix(".new")
        made.write_text(json.dumps({name: getattr(undo, name) for name in Undo.__dataclass_fields__}), "utf-8")
        made.replace(file)

    def _file(self, identity: str) -> Path:
        safe = "".join(char if char.isalnum() or char in "-_" else "_" for char in identity)
        return self._folder / f"{safe[:80]}.json"


def _container(process: Process) -> Container:
    if process.container is None:
        raise Error("the process's container is not known")
    return process.container


def _killed(processes: Iterable[Process]) -> str:
    for process in processes:
        with _same(process) as (handle, _):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            return f"killed {process.name}({process.pid})"
    raise Error("the process is gone")


@contextmanager
def _same(process: Process) -> Iterator[tuple[int, int]]:
    """Hold on to a process if it is still the one that was seen, and may be touched.

    Yields:
        A pidfd, and its open /proc/PID.

    Raises:
        Error: It is gone, its number belongs to another, or it is one that is never touched.
    """
    if process.pid <= 1 or process.pid == os.getpid() or not process.start_ns:
        raise Error("this process is never touched")
    try:
        handle = os.pidfd_open(process.pid)
    except OSError as error:
        raise Error("the process is gone") from error
    try:
        folder = os.open(f"/proc/{process.pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        os.close(handle)
        raise Error("the process is gone") from error
    try:
        seen = snapshot.one(process.pid)
        if seen is None or not same_life(process.start_ns, seen.life.start_ns):
            raise Error("the process is gone, and its number belongs to another")
        yield handle, folder
    finally:
        os.close(folder)
        os.close(handle)


def _group(container: Container, members: Iterable[Process]) -> Path:
    for one in members:
        with suppress(Error), _same(one) as (_, folder):
            group = freezer.group(folder, container.id)
            if group is not None:
                return group
    raise Error("no control group of the container was found that can be frozen")


def _in_group(container: Container, process: Process) -> bool:
    with suppress(Error), _same(process) as (_, folder):
        return freezer.belongs(folder, container.id)
    return True  # it is gone


def _taken_back(undo: Undo) -> list[str]:
    done = []
    if undo.pause in _SOCKETS:
        status = ordered(_SOCKETS[undo.pause], f"/containers/{undo.container}/unpause")
        done.append(f"{undo.pause} unpaused it" if status == 204 else "it was not paused any more")
    elif undo.pause:
        with suppress(OSError):
            freezer.freeze(Path(undo.pause), frozen=False)
            done.append("its control group runs again")
    for pid, start_ns in undo.stopped:
        with suppress(Error, OSError), _same(Process(pid, start_ns)) as (handle, _):
            signal.pidfd_send_signal(handle, signal.SIGCONT)
            done.append(f"process {pid} goes on")
    there = {one.number: one for one in network.interfaces()} if undo.links else {}
    for index in undo.links:
        if index in there:
            network.set_link(index, up=True)
            done.append(f"{there[index].name} is up")
    if undo.routes:
        with suppress(Error, OSError), _same(Process(undo.routes[0], undo.routes[1])) as (_, folder):
            network.inside(folder, lambda: network.refuse_routes(refused=False))
            done.append("its routes are back")
    return done or ["nothing was left to take back"]


def _read(file: Path) -> Undo | None:
    try:
        told: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return Undo(**{name: told[name] for name in Undo.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None
