"""Events for tests of the sensor, as its records would make them."""

from __future__ import annotations

from holdfast.model.event import Container, Event, Executable, File, Process
from holdfast.sensor.outside import Surroundings
from holdfast.sensor.words import answers

HOST = {"mnt": 1, "pid": 2, "user": 3, "net": 4, "ipc": 5, "uts": 6, "cgroup": 7}
INSIDE = {"mnt": 101, "pid": 102, "user": 3, "net": 104, "ipc": 105, "uts": 106, "cgroup": 107}
BEGAN = 1_000_000_000_000
WALL = 1_790_000_000_000_000_000
PROC, DISK = 0x9FA0, 0xEF53
AROUND = Surroundings(HOST, lambda _: None, 5)
ANSWERS = answers(AROUND)


def container(name="web", **parts):
    """A container that an engine described."""
    given = {"id": (name.encode().hex() * 64)[:64], "name": name, "image": "shop/web:1", "runtime": "docker"}
    return Container(**{"state": "complete", **given, **parts})


def process(pid=500, inside=None, **parts):
    """A process, in a container where one is given."""
    spaces = INSIDE if inside is not None else HOST
    usual = {"start_ns": BEGAN + pid, "name": "sh", "arguments": ("sh", "-c", "x"), "namespaces": spaces}
    usual["executable"] = Executable("/bin/sh", 64, 12, origin="image" if inside is not None else "host")
    return Process(pid, **{**usual, "container": inside, **parts})


_NUMBER = iter(range(1, 1 << 30))


def event(name, who, ms=0.0, **parts):
    """Something that a process did so many milliseconds after the beginning."""
    at = BEGAN + int(ms * 1e6)
    usual = {"result": 0, "contained": who.container is not None, "number": next(_NUMBER), "answers": ANSWERS}
    return Event(name, at, WALL + int(ms * 1e6), who, **{**usual, **parts})


def opened(path, who, ms=0.0, *, write=False, magic=PROC, result=3, **parts):
    """A file that was opened."""
    file = File(path, path, inode=9, device=5, magic=magic, kind=parts.pop("kind", "regular"), resolved=True)
    file.outside = parts.pop("outside", False)
    return event("openat", who, ms, file=file, write=write, result=result, **parts)


def mounted(who, ms=0.0, kind="proc", target="/mnt", result=0):
    """A mount."""
    given = {"source": kind, "target": target, "filesystemtype": kind, "mountflags": 0}
    return event("mount", who, ms, arguments=given, result=result)
