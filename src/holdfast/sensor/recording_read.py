"""Read a recording back: the same events, with the same questions answered, and nothing asked of this machine."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

from holdfast.model.errors import NotReachable, NotUnderstood
from holdfast.model.event import Answer, Container, Event, Executable, File, Process, Socket
from holdfast.model.facts import Fact
from holdfast.sensor.outside import Surroundings
from holdfast.sensor.recording import PLAIN_EVENT, PLAIN_PROCESS, VERSION
from holdfast.sensor.words import answers

LONGEST = 8 << 20
"""Longest line, bytes."""
_T = TypeVar("_T")
_KINDS: Mapping[str, type] = {"int": int, "str": str, "bool": bool}


class _Wrong(ValueError):
    """A line does not hold what it should."""


@dataclass(slots=True)
class Replay:
    """A recording that is being read.

    Attributes:
        node: Host name.
        boot: Boot id.
        around: What answers need of the world beyond an event; it follows the recording.
        cut: The recording ended early: it lacks its end, or had reached its largest size.
        table: How facts are answered; more may be added before the first event is read.
        asked: Facts whose answers stand in the recording, by name.
    """

    node: str
    boot: str
    around: Surroundings
    cut: bool = False
    table: dict[Fact[Any], Answer] = field(default_factory=dict)
    asked: dict[str, Fact[Any]] = field(default_factory=dict)
    _file: BinaryIO | None = None
    _name: str = ""
    _running: dict[int, Process] = field(default_factory=dict)

    def inside(self, space: int, number: int) -> Process | None:
        """Find who runs under a number in a pid namespace, named by its inode."""
        running = self._running.values()
        return next((one for one in running if (one.namespaces.get("pid"), one.virtual_pid) == (space, number)), None)

    def events(self) -> Iterator[Event]:
        """Iterate over the events.

        Raises:
            NotUnderstood: A line is none of a recording; the error says which.
        """
        if self._file is None:
            return
        reader = _Reader(self)
        ended = False
        with self._file as file:
            number = 1
            while line := file.readline(LONGEST + 1):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) > LONGEST:
                        _refuse(f"the line has more than {LONGEST} bytes", self._name, number)
                    break  # whoever wrote it was ended in the middle of it
                try:
                    event, ended = reader.line(line)
                except (_Wrong, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
                    _refuse(f"the line is none of a recording: {str(error)[:120]}", self._name, number)
                if ended:
                    break
                if event is not None:
                    yield event
                    if event.name == "procexit":
                        self._running.pop(event.process.pid, None)
        self.cut |= not ended


def opened(path: Path) -> Replay:
    """Open a recording.

    Raises:
        NotReachable: It is not there or cannot be read.
        NotUnderstood: It is no recording, or of another major version.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise NotReachable(f"the recording cannot be read: {error.strerror}", str(path), "check its name") from error
    try:
        line = file.readline(LONGEST)
        head = json.loads(line)
        version = head["holdfast_events"]
        if not isinstance(version, str) or version.partition(".")[0] != VERSION.partition(".")[0]:
            _refuse(f"the recording has version {str(version)[:20]!r}, and this program reads {VERSION}", str(path), 1)
        namespaces = {str(kind): _number(inode) for kind, inode in head["namespaces"].items()}
        replay = Replay(
            str(head["node"]), str(head["boot"]), Surroundings(namespaces, lambda _: None, _number(head["proc"]))
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError):
        file.close()
        _refuse("this is no recording of events", str(path), 1)
    except NotUnderstood:
        file.close()
        raise
    replay._file, replay._name = file, str(path)  # noqa: SLF001 - made here
    replay.around.process = replay._running.get  # noqa: SLF001 - the same
    replay.around.inside = replay.inside
    replay.table = answers(replay.around)
    return replay


class _Reader:
    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._running = replay._running  # noqa: SLF001 - of one piece
        self._processes: dict[int, Process] = {}
        self._containers: dict[int, Container] = {}
        self._texts: dict[int, tuple[str, ...]] = {}

    def line(self, line: bytes) -> tuple[Event | None, bool]:
        value = json.loads(line)
        if not isinstance(value, dict) or len(value) != 1:
            raise _Wrong("it must be an object with one key")
        ((kind, told),) = value.items()
        if kind == "end":
            self._replay.cut |= not told["complete"]
            return None, True
        if kind == "e":
            return self._event(told), False
        if kind == "s":
            self._replay.around.shared = frozenset(_number(one) for one in told)
            return None, False
        number, record = told
        read: Callable[[int, Any], None] | None = {
            "t": self._text, "c": self._container, "p": self._process
        }.get(kind)  # fmt: skip
        if read is not None:
            read(_number(number), record)
        return None, False  # a key that a later version added

    def _text(self, number: int, record: Any) -> None:
        self._texts[number] = tuple(_typed(one, str) for one in record)

    def _container(self, number: int, record: Any) -> None:
        labels = {str(key): _typed(one, str) for key, one in record.get("labels", {}).items()}
        mounts = tuple(
            (_typed(one[0], str), _typed(one[1], str), _typed(one[2], str), _typed(one[3], bool), _typed(one[4], str))
            for one in record.get("mounts", ())
        )
        privileged = record.get("privileged")
        if privileged is not None:
            _typed(privileged, bool)
        made = self._containers.get(number)
        if made is None:
            made = self._containers[number] = Container(_typed(record["id"], str))
        for name in ("id", "name", "image", "image_id", "runtime", "state"):
            setattr(made, name, _typed(record.get(name, ""), str))
        made.labels, made.mounts, made.privileged = labels, mounts, privileged
        made.started_ns = _number(record.get("started_ns", 0))

    def _process(self, number: int, record: Any) -> None:
        made = self._processes.get(number)
        if made is None:
            made = self._processes[number] = Process(_number(record["pid"]))
        for name in PLAIN_PROCESS:
            if name in record:
                value = record[name]
                if name == "login_user":
                    value = None if value is None else _number(value)
                else:
                    value = _typed(value, str) if name in {"name", "directory"} else _number(value)
                setattr(made, name, value)
        made.arguments = self._texts[record["arguments"]]
        made.environment = self._texts[record["environment"]]
        made.executable = _made(Executable, record["executable"])
        made.namespaces = {str(kind): _number(inode) for kind, inode in record["namespaces"].items()}
        parent = record.get("parent")
        made.parent = None if parent is None else self._processes[parent]
        self._acyclic(made)
        container = record.get("container")
        made.container = None if container is None else self._containers[container]
        self._running[made.pid] = made

    def _acyclic(self, process: Process) -> None:
        seen = {id(process)}
        step = process.parent
        while step is not None:
            if id(step) in seen:
                process.parent = None
                raise _Wrong("a process is its own ancestor")
            seen.add(id(step))
            step = step.parent

    def _event(self, record: Any) -> Event:
        made = Event("", 0, 0, self._processes[record["p"]], answers=self._replay.table)
        for name in PLAIN_EVENT:
            if name in record:
                setattr(made, name, _event_value(name, record[name]))
        if not made.name:
            raise _Wrong("the event has no name")
        made.arguments = {str(key): _bare(value) for key, value in record.get("arguments", {}).items()}
        if "file" in record:
            made.file = _made(File, record["file"])
        if "socket" in record:
            made.socket = _made(Socket, record["socket"])
        made.before = {str(kind): _number(inode) for kind, inode in record.get("before", {}).items()}
        for name, value in record.get("a", {}).items():
            fact = self._replay.asked.get(name)
            if fact is not None:
                bare = _bare(value)
                made.known[fact] = tuple(bare) if isinstance(bare, list) else bare
        return made


def _event_value(name: str, value: Any) -> Any:
    if name == "name":
        return _typed(value, str)
    if name == "contained":
        return _typed(value, bool)
    if name == "write":
        return None if value is None else _typed(value, bool)
    if name in {"result", "descriptor"}:
        return None if value is None else _number(value)
    return _number(value)


def _made(kind: type[_T], record: Any) -> _T:
    if not isinstance(record, dict):
        raise _Wrong("it must be an object")
    made = kind()
    for one in fields(kind):  # type: ignore[arg-type]
        if one.name in record:
            wanted = type(one.default) if one.default is not MISSING else str
            setattr(made, one.name, _typed(record[one.name], wanted))
    return made


def _typed(value: Any, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _Wrong(f"{str(value)[:40]!r} is no {kind.__name__}")
    return value


def _number(value: Any) -> int:
    return _typed(value, int)


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return base64.b64decode(_typed(value["base64"], str), validate=True)
        return {str(key): _bare(one) for key, one in value.items()}
    return [_bare(one) for one in value] if isinstance(value, list) else value


def _refuse(what: str, where: str, line: int) -> NoReturn:
    raise NotUnderstood(what, f"{where}:{line}", "name a file that holdfast watch --record wrote", line)
