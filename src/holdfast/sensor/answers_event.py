"""Falco's questions about the event itself (evt.*, syscall.*): when, what, with which result.

Source:
    https://falco.org/docs/reference/rules/supported-fields/#evt-field-class
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from holdfast.model.event import Event
from holdfast.sensor.answers_arguments import PARAMETERS, error_name
from holdfast.sensor.answers_file import OPENS

Ask = Callable[[Event], Any]
_OWN = frozenset({"procexit", "gap", "fork", "exit"})
"""Events of the sensor that are no system calls."""
_READS = frozenset({"read", "pread64", "readv", "preadv", "recv", "recvfrom", "recvmsg", "recvmmsg"})
_WRITES = frozenset({"write", "pwrite64", "writev", "pwritev", "send", "sendto", "sendmsg", "sendmmsg", "sendfile"})
_NS = 1_000_000_000
_EXECUTE = 0o111


def _open_flags(event: Event) -> int | None:
    found = event.arguments.get("flags") if event.name in OPENS else None
    return found if isinstance(found, int) else None


def is_open_read(event: Event) -> bool:
    """Tell whether a path was opened for reading; False for every other event."""
    flags = _open_flags(event)
    return flags is not None and flags & os.O_ACCMODE != os.O_WRONLY


def is_open_write(event: Event) -> bool:
    """Tell whether a path was opened for writing; creat does not count, as with Falco."""
    flags = _open_flags(event)
    return flags is not None and flags & os.O_ACCMODE in {os.O_WRONLY, os.O_RDWR}


def is_open_exec(event: Event) -> bool:
    """Tell whether a file was created that may be executed."""
    mode = event.arguments.get("mode")
    if not isinstance(mode, int) or not mode & _EXECUTE:
        return False
    flags = _open_flags(event)
    made = os.O_CREAT | getattr(os, "O_TMPFILE", 0)
    return event.name == "creat" or (flags is not None and bool(flags & made))


def result_name(event: Event) -> str | None:
    """Return ``SUCCESS``, or the name of the errno."""
    if event.result is None:
        return None
    return error_name(event.result) if event.result < 0 else "SUCCESS"


def arguments(event: Event) -> str | None:
    """Return all arguments as one text, each as ``name=plain(resolved)``."""
    parameters = PARAMETERS.get(event.name)
    if parameters is None:
        return None
    parts = []
    for name, write in parameters:
        found = write(event)
        if found is not None:
            parts.append(f"{name}={found.plain}({found.resolved})" if found.resolved else f"{name}={found.plain}")
    return " ".join(parts)


def argument(wanted: str) -> Ask:
    """Return how one argument is asked, by Falco's name or by its number."""

    def ask(event: Event) -> str | None:
        parameters = PARAMETERS.get(event.name, ())
        for number, (name, write) in enumerate(parameters):
            if name == wanted or str(number) == wanted:
                found = write(event)
                return None if found is None else found.resolved or found.plain
        return None

    return ask


def raw_argument(wanted: str) -> Ask:
    """Return how one argument is asked as it is: a number as a number."""

    def ask(event: Event) -> int | str | None:
        for name, write in PARAMETERS.get(event.name, ()):
            if name == wanted:
                found = write(event)
                if found is None:
                    return None
                digits = found.plain.removeprefix("-")
                return int(found.plain) if digits.isascii() and digits.isdigit() else found.plain
        return None

    return ask


def is_type(wanted: str) -> Ask:
    """Return how it is asked whether an event is of a type: 1 or 0."""
    return lambda event: int(event.name == wanted)


def _when(form: str, *, nanoseconds: bool, utc: bool = False) -> Ask:
    def ask(event: Event) -> str:
        seconds, rest = divmod(event.wall_ns, _NS)
        parts = time.gmtime(seconds) if utc else time.localtime(seconds)
        text = time.strftime(form, parts)
        text = f"{text}.{rest:09d}" if nanoseconds else text
        return f"{text}+0000" if utc else text

    return ask


def _data(event: Event) -> bytes | None:
    found = event.arguments.get("data")
    return found if isinstance(found, bytes) else None


def _length(event: Event) -> int | None:
    found = _data(event)
    return None if found is None else len(found)


def _failed(event: Event) -> bool | None:
    return None if event.result is None else event.result < 0


def _direction(event: Event) -> str | None:
    return "r" if event.name in _READS else "w" if event.name in _WRITES else None


def _host_name() -> Ask:
    name = os.environ.get("FALCO_HOSTNAME") or os.uname().nodename
    return lambda _: name


ANSWERS: dict[str, Ask] = {
    "evt.num": lambda event: event.number,
    "evt.type": lambda event: event.name,
    "syscall.type": lambda event: None if event.name in _OWN else event.name,
    "evt.cpu": lambda event: event.processor,
    "evt.args": arguments, "evt.info": arguments,
    "evt.res": result_name, "evt.rawres": lambda event: event.result, "evt.failed": _failed,
    "evt.is_open_read": is_open_read, "evt.is_open_write": is_open_write, "evt.is_open_exec": is_open_exec,
    "evt.is_io": lambda event: event.name in _READS or event.name in _WRITES,
    "evt.is_io_read": lambda event: event.name in _READS, "evt.is_io_write": lambda event: event.name in _WRITES,
    "evt.io_dir": _direction,
    "evt.buffer": _data, "evt.buflen": _length,
    "evt.count": lambda _: 1, "evt.count.error": lambda event: int(bool(_failed(event))),
    "evt.source": lambda _: "syscall", "evt.is_async": lambda _: False,
    "evt.hostname": _host_name(),
    "evt.rawtime": lambda event: event.wall_ns, "evt.rawtime.s": lambda event: event.wall_ns // _NS,
    "evt.rawtime.ns": lambda event: event.wall_ns % _NS,
    "evt.time": _when("%H:%M:%S", nanoseconds=True), "evt.time.s": _when("%H:%M:%S", nanoseconds=False),
    "evt.time.iso8601": _when("%Y-%m-%dT%H:%M:%S", nanoseconds=True, utc=True),
    "evt.datetime": _when("%Y-%m-%d %H:%M:%S", nanoseconds=True),
    "evt.datetime.s": _when("%Y-%m-%d %H:%M:%S", nanoseconds=False),
}  # fmt: skip
