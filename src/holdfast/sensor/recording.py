"""Events written down so that they can be judged again: one JSON value a line, versioned, of bounded size.

The first line says who recorded where. Then come containers (``c``), processes (``p``) and long texts (``t``) as they
become known, each under a number, and events (``e``) that name them. What is not there has its usual value.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from holdfast.model.errors import NotPermitted, NotReachable, Usage
from holdfast.model.event import Container, Event, Executable, File, Process, Socket
from holdfast.model.facts import Fact

VERSION = "1.0"
"""MAJOR.MINOR: MINOR grows with a new key, MAJOR with one that changes its meaning or goes."""
TEXTS = 8192
"""Argument lists and environments that are remembered, so that they stand in the file once."""
PLAIN_EVENT = ("name", "at_ns", "wall_ns", "number", "processor", "result", "descriptor", "contained", "write")
PLAIN_PROCESS = tuple(
    one.name
    for one in fields(Process)
    if one.name not in {"arguments", "environment", "executable", "namespaces", "parent", "container"}
)
_dumps = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_ROOM = 4096
_DEEPEST = 32


class Recorder:
    """Writes events to a file. When the file is as large as it may be the recording ends, and says so."""

    def __init__(
        self,
        path: Path,
        head: Mapping[str, Any],
        largest: int,
        asked: Iterable[Fact[Any]] = (),
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin a recording.

        Args:
            path: The file. It is made anew; one that is there is never written over.
            head: What ``replaying`` needs of the machine: ``node``, ``boot``, ``namespaces``, ``proc``.
            largest: Bytes.
            asked: Questions that only this machine can answer, such as names of users; their answers are written too.
            say: Is told when the recording ends early.

        Raises:
            Usage: The file is there already.
            NotReachable, NotPermitted: It cannot be made.
        """
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError as error:
            raise Usage("the recording is there already", str(path), "name a new file, or move it away") from error
        except PermissionError as error:
            raise NotPermitted("the recording cannot be made", str(path), "choose another folder") from error
        except OSError as error:
            raise NotReachable(f"the recording cannot be made: {error.strerror}", str(path)) from error
        self._file = os.fdopen(handle, "wb", buffering=1 << 16)
        self._path = path
        self._largest = largest
        self._asked = tuple(asked)
        self._say = say
        self._size = 0
        self._events = 0
        self._processes: dict[tuple[int, int], tuple[int, object]] = {}
        self._containers: dict[str, tuple[int, object]] = {}
        self._texts: dict[tuple[str, ...], int] = {}
        self._next = 0
        self._shared: object = None
        self._ended = False
        self._line({"holdfast_events": VERSION, **head})

    def write(self, event: Event, shared: Iterable[int] = ()) -> None:
        """Write an event, and what it names.

        Args:
            event: It.
            shared: Peer groups of the host's shared mounts.
        """
        if self._ended:
            return
        if self._size > self._largest - _ROOM:
            self.close(complete=False)
            self._say(f"the recording has reached its largest size and ends: {self._path}")
            return
        groups = sorted(shared)
        if groups != self._shared:
            self._shared = groups
            self._line({"s": groups})
        record: dict[str, Any] = {name: getattr(event, name) for name in PLAIN_EVENT}
        record["p"] = self._process(event.process)
        if event.arguments:
            record["arguments"] = {key: _plain(value) for key, value in event.arguments.items()}
        for name, part in (("file", event.file), ("socket", event.socket)):
            if part is not None:
                record[name] = _different(part)
        if event.before:
            record["before"] = dict(event.before)
        answers = {fact.name: value for fact in self._asked if (value := event.get(fact)) is not None}
        if answers:
            record["a"] = {name: _plain(value) for name, value in answers.items()}
        self._line({"e": record})
        self._events += 1

    def enter(self, processes: Iterable[Process]) -> None:
        """Write processes that run already."""
        for process in processes:
            self._process(process)

    def close(self, *, complete: bool = True) -> None:
        """End the recording.

        Args:
            complete: It was not cut off by its largest size.
        """
        if not self._ended:
            self._line({"end": {"events": self._events, "complete": complete}})
            self._ended = True
            self._close_file()

    def _process(self, process: Process, depth: int = 0) -> int:
        key = (process.pid, process.start_ns)
        number, former = self._processes.get(key, (-1, None))
        container = process.container
        stamp = (
            process.executed_ns, getattr(process, "refreshed_ns", 0), process.name, process.user,
            process.effective_user,
            process.effective, tuple(process.namespaces.values()), container.id if container else "",
            container.state if container else "", process.parent.pid if process.parent else 0,
        )  # fmt: skip
        if number < 0:
            number = self._numbered()
        elif former == stamp:
            if process.parent is not None and depth < _DEEPEST:
                self._process(process.parent, depth + 1)
            return number
        self._processes[key] = (number, stamp)
        record: dict[str, Any] = {name: getattr(process, name) for name in PLAIN_PROCESS}
        record["arguments"] = self._text(process.arguments)
        record["environment"] = self._text(process.environment)
        record["executable"] = _different(process.executable)
        record["namespaces"] = dict(process.namespaces)
        if process.parent is not None and depth < _DEEPEST:
            record["parent"] = self._process(process.parent, depth + 1)
        if container is not None:
            record["container"] = self._container(container)
        self._line({"p": [number, record]})
        if len(self._processes) > 4 * TEXTS:
            del self._processes[next(iter(self._processes))]
        return number

    def _container(self, container: Container) -> int:
        number, former = self._containers.get(container.id, (-1, None))
        stamp = (container.state, container.name, container.image, len(container.labels), len(container.mounts))
        if number < 0:
            number = self._numbered()
        elif former == stamp:
            return number
        self._containers[container.id] = (number, stamp)
        record = {one.name: getattr(container, one.name) for one in fields(Container)}
        self._line({"c": [number, {**record, "labels": dict(container.labels)}]})
        return number

    def _text(self, texts: tuple[str, ...]) -> int:
        number = self._texts.get(texts)
        if number is None:
            if len(self._texts) > TEXTS:
                self._texts.clear()
            number = self._texts[texts] = self._numbered()
            self._line({"t": [number, list(texts)]})
        return number

    def _numbered(self) -> int:
        self._next += 1
        return self._next

    def _line(self, value: Mapping[str, Any]) -> None:
        data = _dumps(value).encode("ascii") + b"\n"
        self._size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            self._ended = True
            self._close_file()
            self._say(f"the recording ends: {error.strerror}: {self._path}")

    def _close_file(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            self._say(f"the recording may lack its end: {error.strerror}: {self._path}")


def _different(part: File | Socket | Executable) -> dict[str, Any]:
    """Return what of a plain object differs from its usual value."""
    return {one.name: value for one in fields(part) if (value := getattr(part, one.name)) != one.default}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
