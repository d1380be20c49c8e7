"""What this machine's libseccomp makes of a profile: the program that runtimes hand to the kernel. Nothing is loaded.

runc and crun do the same with the same library: they skip names it does not know, and rules that do what the default
does; a rule with two comparisons of one argument becomes one rule for each.

Source:
    https://github.com/seccomp/libseccomp (include/seccomp.h.in), seccomp_init(3), seccomp_export_bpf(3)
    https://github.com/opencontainers/runc/blob/main/libcontainer/seccomp/seccomp_linux.go
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from holdfast.model.errors import NotReachable, NotUnderstood
from holdfast.reason.effective.bpf import RETURN_VALUES, Action
from holdfast.reason.effective.seccomp_document import ACTIONS, OPERATORS, read

_NAME = "libseccomp.so.2"
_TOKENS = {
    "SCMP_ARCH_X86_64": 0xC000003E,
    "SCMP_ARCH_X86": 0x40000003,
    "SCMP_ARCH_X32": 0x4000003E,
    "SCMP_ARCH_AARCH64": 0xC00000B7,
}
_NOT_KNOWN = -1  # __NR_SCMP_ERROR
_PRESENT = -17  # EEXIST
_LONGEST = 4096 * 8


class _Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


class _Version(ctypes.Structure):
    _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))


@cache
def _library() -> ctypes.CDLL:
    try:
        found = ctypes.CDLL(_NAME)
    except OSError as error:
        raise NotReachable("libseccomp is not here", _NAME, "install the package libseccomp2") from error
    found.seccomp_init.restype = ctypes.c_void_p
    found.seccomp_version.restype = ctypes.POINTER(_Version)
    return found


def version() -> tuple[int, int, int]:
    """Return the library's version.

    Raises:
        NotReachable: It is not installed.
    """
    seen = _library().seccomp_version().contents
    return int(seen.major), int(seen.minor), int(seen.micro)


def unknown(names: Iterable[str]) -> frozenset[str]:
    """Return those names that this library does not know; a runtime skips them.

    Raises:
        NotReachable: It is not installed.
    """
    resolve = _library().seccomp_syscall_resolve_name
    return frozenset(name for name in names if resolve(name.encode(errors="replace")) == _NOT_KNOWN)


def compiled(document: Mapping[str, Any]) -> bytes:
    """Compile a profile for this machine.

    Args:
        document: A profile without gates (``includes``, ``excludes``), as the OCI runtimes get it.

    Returns:
        ``struct sock_filter`` after ``struct sock_filter``, 8 bytes each.

    Raises:
        NotReachable: libseccomp is not installed.
        NotUnderstood: A runtime, or libseccomp, would refuse the profile; or it has gates.
    """
    read(document, "x86_64")
    for entry in document.get("syscalls") or ():
        if any(entry.get(key) for key in ("includes", "excludes")):
            raise NotUnderstood(
                "the seccomp profile has gates", "syscalls", "hand over the profile that an engine made"
            )
    library = _library()
    default = _value(document["defaultAction"], document.get("defaultErrnoRet"))
    with _context(library, default) as context:
        for name in document.get("architectures") or ():
            status = library.seccomp_arch_add(context, ctypes.c_uint32(_token(name)))
            if status not in {0, _PRESENT}:
                raise _refused(f"the architecture {name}", status)
        for entry in document.get("syscalls") or ():
            action = _value(entry["action"], entry.get("errnoRet"))
            if action != default:
                for name in entry.get("names") or [entry["name"]]:
                    _add(library, context, action, name, entry.get("args") or ())
        return _exported(library, context)


def _add(
    library: ctypes.CDLL, context: ctypes.c_void_p, action: int, name: str, args: Iterable[Mapping[str, Any]]
) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number == _NOT_KNOWN:
        return
    parts = [
        _Comparison(
            one.get("index", 0),
            OPERATORS.index(one["op"].removeprefix("SCMP_CMP_")) + 1,
            one.get("value", 0),
            one.get("valueTwo", 0),
        )
        for one in args
    ]
    twice = len({one.arg for one in parts}) < len(parts)
    for group in [[one] for one in parts] if twice else [parts]:
        array = (_Comparison * max(len(group), 1))(*group)
        status = library.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(group), array)
        if status:
            raise _refused(f"the rule for {name}", status)


@contextmanager
def _context(library: ctypes.CDLL, default: int) -> Iterator[ctypes.c_void_p]:
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))
    if not context:
        raise _refused("the default action", -22)
    try:
        yield context
    finally:
        library.seccomp_release(context)


def _exported(library: ctypes.CDLL, context: ctypes.c_void_p) -> bytes:
    descriptor = os.memfd_create("filter")
    try:
        status = library.seccomp_export_bpf(context, descriptor)
        if status:
            raise _refused("the profile as a whole", status)
        return os.pread(descriptor, _LONGEST + 8, 0)
    finally:
        os.close(descriptor)


def _value(action: str, errno: int | None) -> int:
    named = ACTIONS[action]
    return RETURN_VALUES[named] | ((1 if errno is None else errno) if named is Action.ERRNO else 0)


def _token(name: str) -> int:
    if name not in _TOKENS:
        raise NotUnderstood(f"the architecture {name} is not known here", "architectures", "leave it out")
    return _TOKENS[name]


def _refused(what: str, status: int) -> NotUnderstood:
    return NotUnderstood(f"libseccomp refuses {what}: {os.strerror(-status)}", _NAME, "correct the profile")
