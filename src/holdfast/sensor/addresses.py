"""Whom a socket call named: addresses as the caller's memory holds them. Pure; the memory is somebody else's."""

from __future__ import annotations

import ipaddress
import os.path
from dataclasses import replace

from holdfast.model.event import File, Socket
from holdfast.reason.effective.syscall_table import family_name

Reached = tuple[Socket | None, File | None]
ADDRESSES = frozenset(("connect", "bind", "sendto", "sendmsg", "sendmmsg"))
"""Calls that name the other end, or a socket's own."""
_SLOT = 128
"""Bytes for each name of a sendmmsg (NAME_SLOT of sends.h): its length in two, then the name."""
_DATAGRAMS = frozenset(("SOCK_DGRAM", "SOCK_RAW", "SOCK_RDM"))


def named_file(file: File | None, path: str, base: bytes) -> File | None:
    """Add the path that the call was given; it is all there is where the call returned no file.

    Args:
        file: As the kernel has it.
        path: As it was given; may be relative.
        base: Where a relative one begins.
    """
    if not path:
        return file
    if file is not None:
        file.raw = path
        return file
    return File(path=placed(path, base), raw=path)


def placed(path: str, base: bytes) -> str:
    """Return a path from the root, without dots where that can be had.

    Args:
        path: As it was given; may be relative.
        base: Where a relative one begins; empty where that is not known.
    """
    whole = path if path.startswith("/") else f"{base.decode('utf-8', 'surrogateescape')}/{path}"
    return os.path.normpath(whole) if whole.startswith("/") else whole


def _slots(data: bytes) -> tuple[bytes, ...]:
    return tuple(
        data[at + 2 : at + 2 + int.from_bytes(data[at : at + 2], "little")] for at in range(0, len(data), _SLOT)
    )


def reached(name: str, socket: Socket | None, file: File | None, data: bytes, base: bytes) -> tuple[Reached, ...]:
    """Return whom a call named: for each the socket with its other end, and the file where that is a unix socket's.

    Args:
        name: Of the system call.
        socket: As the kernel has it.
        file: Behind the other end, where the kernel told it.
        data: The address, or for sendmmsg(2) a slot for each.
        base: Where the path of a unix socket begins if it is relative.
    """
    addresses = _slots(data) if name == "sendmmsg" else (data,)
    return tuple(_reached(socket, address, file, base, name) for address in addresses if address)


def _reached(socket: Socket | None, address: bytes, file: File | None, base: bytes, name: str) -> Reached:
    found = replace(socket) if socket is not None else Socket()
    if name != "connect" and found.kind in _DATAGRAMS:  # who is named counts, wherever the socket is connected
        found.remote, found.remote_port = "", 0
    found = _addressed(found, address)
    if found.family == "AF_UNIX" and file is None and name != "bind" and found.remote and found.remote[0] != "@":
        file = named_file(None, found.remote, base)
        if file is not None:
            found.remote = file.path
    return found, file


def _addressed(found: Socket, data: bytes) -> Socket:
    """Add what the caller wrote into the address: the only thing there is where the call failed."""
    if len(data) < 2:
        return found
    family = family_name(int.from_bytes(data[:2], "little"))
    if family == "AF_UNIX" and not found.remote:
        name = data[2:]
        text = b"@" + name[1:] if name[:1] == b"\0" else name
        found.family, found.remote = family, text.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
    elif found.remote_port:
        return found  # the kernel knows where it is connected; the caller's memory may say something else by now
    elif family == "AF_INET" and len(data) >= 8:
        found.family, found.remote_port, found.remote = family, int.from_bytes(data[2:4], "big"), ip_text(data[4:8])
    elif family == "AF_INET6" and len(data) >= 24:
        found.family, found.remote_port, found.remote = family, int.from_bytes(data[2:4], "big"), ip_text(data[8:24])
    return found


def ip_text(data: bytes) -> str:
    """Write an address of 4 or 16 bytes as text."""
    return str(ipaddress.ip_address(data))
