"""Falco's questions about the descriptor of a call (fd.*) and the paths it was given (fs.path.*).

The name of a file is what the kernel resolved, as the acting process's mounts show it, so that no detour through
links hides it; where a call failed it is what was asked for, made absolute.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from typing import Any

from holdfast.model.event import Event
from holdfast.sensor.answers_socket import SERVERS, tuple_name

Ask = Callable[[Event], Any]
OPENS = frozenset({"open", "openat", "openat2", "open_by_handle_at"})
_O_DIRECTORY = os.O_DIRECTORY
_MAKES = {"bpf": "bpf", "userfaultfd": "userfaultfd", "io_uring_setup": "iouring", "memfd_create": "memfd",
          "pidfd_open": "pidfd"}  # fmt: skip
_KINDS = {"fifo": "pipe", "directory": "directory"}
_CHARS = {"file": "f", "directory": "d", "unix": "u", "pipe": "p", "netlink": "n", "bpf": "b", "userfaultfd": "u",
          "iouring": "r", "memfd": "m", "pidfd": "P", "unknown": "o"}  # fmt: skip
_SOCKETS = {"AF_INET": "ipv4", "AF_INET6": "ipv6", "AF_UNIX": "unix", "AF_NETLINK": "netlink"}
_TWO_PATHS = {
    "rename": ("oldpath", "newpath"), "renameat": ("oldpath", "newpath"), "renameat2": ("oldpath", "newpath"),
    "link": ("oldpath", "newpath"), "linkat": ("oldpath", "newpath"),
    "symlink": ("target", "linkpath"), "symlinkat": ("target", "linkpath"), "mount": ("source", "target"),
}  # fmt: skip
_NO_FD = frozenset({"execve", "execveat", "clone", "clone3", "fork", "procexit", "gap"})
_AT_FDCWD = -100


def has_descriptor(event: Event) -> bool:
    """Tell whether a call takes or makes a descriptor, whether or not it got one."""
    if event.name in _NO_FD:
        return False
    return event.descriptor is not None or event.name in OPENS or event.name == "creat" or event.socket is not None


def _failed_open(event: Event) -> bool:
    return (event.name in OPENS or event.name == "creat") and (event.result or 0) < 0


def kind(event: Event) -> str | None:
    """Return Falco's name for the type of the descriptor."""
    if not has_descriptor(event) and event.name not in _MAKES:
        return None
    if event.socket is not None:
        mapped = tuple_name(event) if event.socket.family == "AF_INET6" else None
        return "ipv4" if mapped and "." in mapped else _SOCKETS.get(event.socket.family, "unknown")
    if (event.result or 0) < 0 and event.descriptor is None:
        return None
    if event.name in _MAKES:
        return _MAKES[event.name]
    if event.name in OPENS and isinstance(flags := event.arguments.get("flags"), int):
        return "directory" if flags & _O_DIRECTORY else "file"
    if event.file is None:
        return None
    if event.file.loose and event.file.path.lstrip("/").startswith("memfd:"):
        return "memfd"
    if event.file.loose:
        return _KINDS.get(event.file.kind, "unknown")
    return _KINDS.get(event.file.kind, "file")


def typechar(event: Event) -> str | None:
    """Return the letter for the type of the descriptor; ``f`` for an open that failed."""
    if _failed_open(event):
        return "f"
    found = kind(event)
    if found in {"ipv4", "ipv6"}:
        return ("2" if found == "ipv4" else "3") if event.name in SERVERS else found[-1]
    return None if found is None else _CHARS.get(found, "o")


def name(event: Event) -> str | None:
    """Return the resolved path of the file, or the connection of the socket."""
    if not has_descriptor(event):
        return None
    if event.socket is not None:
        return tuple_name(event)
    return None if event.file is None else event.file.path or None


def directory(event: Event) -> str | None:
    """Return the directory the file is in; a directory itself where that was opened."""
    path = None if event.socket is not None else name(event)
    if path is None:
        return None
    if not _failed_open(event) and kind(event) == "directory":
        return path
    cut = path.rfind("/")
    if cut <= 0:
        return "/"
    return path[:cut] if cut < len(path) - 1 else path


def filename(event: Event) -> str | None:
    """Return the file's name without its directory."""
    path = None if event.socket is not None else name(event)
    if path is None or (not _failed_open(event) and kind(event) == "directory"):
        return None
    cut = path.rfind("/")
    if cut < 0:
        return "/"
    return path[cut + 1 :] if cut < len(path) - 1 else path


def _number(event: Event) -> int | None:
    if event.descriptor is not None:
        return event.descriptor
    return -1 if has_descriptor(event) else None


def _raw(event: Event) -> str | None:
    return event.file.raw or None if has_descriptor(event) and event.file is not None and not event.socket else None


def _layer(wanted: str) -> Ask:
    def ask(event: Event) -> bool | None:
        layer = event.file.layer if has_descriptor(event) and event.file is not None else ""
        return None if not layer else layer == wanted

    return ask


def _device(read: Callable[[int], int]) -> Ask:
    def ask(event: Event) -> int | None:
        known = has_descriptor(event) and event.file is not None and event.file.device
        return read(event.file.device) if known and event.file is not None else None

    return ask


def _inode(event: Event) -> int | None:
    return event.file.inode or None if has_descriptor(event) and event.file is not None else None


def absolute(event: Event, argument: str) -> str | None:
    """Make a path that a call was given absolute, as the acting process sees it.

    Args:
        event: The call.
        argument: Which of its arguments.

    Returns:
        None where it is relative to a directory that nobody knows.
    """
    given = event.arguments.get(argument)
    if not isinstance(given, str) or not given:
        return None
    if given.startswith("/"):
        return given
    file = event.file
    if file is not None and file.raw == given and file.path.startswith("/"):
        return file.path
    places = {"newpath": "newdirfd", "oldpath": "olddirfd", "linkpath": "newdirfd"}
    number = event.arguments.get(places.get(argument, "dirfd"), _AT_FDCWD)
    here = event.process.directory
    if number != _AT_FDCWD or not here.startswith("/"):
        return None
    return posixpath.normpath(f"{here}/{given}")


def _path(event: Event) -> str | None:
    if event.name in _TWO_PATHS:
        return None
    if event.name in {"umount2", "umount"}:
        return absolute(event, "target")
    return None if event.file is None or event.socket else event.file.path or None


def _path_raw(event: Event) -> str | None:
    if event.name in _TWO_PATHS:
        return None
    return None if event.file is None or event.socket else event.file.raw or None


def _end(index: int, *, raw: bool) -> Ask:
    def ask(event: Event) -> str | None:
        names = _TWO_PATHS.get(event.name)
        if names is None:
            return None
        if raw or names[index] == "source":
            return event.arguments.get(names[index]) or None
        return absolute(event, names[index])

    return ask


ANSWERS: dict[str, Ask] = {
    "fd.num": _number, "fd.type": kind, "fd.typechar": typechar, "fd.name": name, "fd.directory": directory,
    "fd.filename": filename, "fd.nameraw": _raw, "fd.ino": _inode,
    "fd.dev": _device(lambda device: device), "fd.dev.major": _device(os.major), "fd.dev.minor": _device(os.minor),
    "fd.is_upper_layer": _layer("upper"), "fd.is_lower_layer": _layer("lower"),
    "fs.path.name": _path, "fs.path.nameraw": _path_raw,
    "fs.path.source": _end(0, raw=False), "fs.path.sourceraw": _end(0, raw=True),
    "fs.path.target": _end(1, raw=False), "fs.path.targetraw": _end(1, raw=True),
}  # fmt: skip
