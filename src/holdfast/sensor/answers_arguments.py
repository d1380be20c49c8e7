"""Falco's questions about the arguments of a call (evt.arg.*, evt.args): its names for them, its way to write them.

Each argument has two spellings, the plain one (a number, the text as given) and the resolved one (flags by name, a
path made absolute, the file behind a descriptor); a question gets the resolved one where there is one.

Source:
    ``falco --list-events`` for names and flags, in their order.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from holdfast.model.event import Event
from holdfast.reason.effective.syscall_table import CLONE_FLAGS, family_name
from holdfast.sensor import answers_file, answers_socket
from holdfast.sensor.answers_process import args, exe

_CLONE_ORDER = (
    "CLONE_FILES", "CLONE_FS", "CLONE_IO", "CLONE_NEWIPC", "CLONE_NEWNET", "CLONE_NEWNS", "CLONE_NEWPID",
    "CLONE_NEWUTS", "CLONE_PARENT", "CLONE_PARENT_SETTID", "CLONE_PTRACE", "CLONE_SIGHAND", "CLONE_SYSVSEM",
    "CLONE_THREAD", "CLONE_UNTRACED", "CLONE_VM", "CLONE_NEWUSER", "CLONE_CHILD_CLEARTID", "CLONE_CHILD_SETTID",
    "CLONE_SETTLS", "CLONE_VFORK", "CLONE_NEWCGROUP",
)  # fmt: skip
_CLONE: Mapping[str, int] = {
    **CLONE_FLAGS, "CLONE_IO": 0x80000000, "CLONE_PARENT": 0x8000, "CLONE_PARENT_SETTID": 0x100000,
    "CLONE_PTRACE": 0x2000, "CLONE_SIGHAND": 0x800, "CLONE_UNTRACED": 0x800000, "CLONE_CHILD_CLEARTID": 0x200000,
    "CLONE_CHILD_SETTID": 0x1000000, "CLONE_SETTLS": 0x80000, "CLONE_VFORK": 0x4000, "CLONE_NEWNET": 0x40000000,
}  # fmt: skip
_O_LARGEFILE = 0o100000
"""As the kernel has it on x86-64; os.O_LARGEFILE is 0 where every file may be large."""
_TMPFILE = getattr(os, "O_TMPFILE", 0o20200000)
_OPEN = (
    ("O_LARGEFILE", _O_LARGEFILE), ("O_DIRECTORY", os.O_DIRECTORY), ("O_DIRECT", os.O_DIRECT),
    ("O_TRUNC", os.O_TRUNC), ("O_SYNC", os.O_SYNC), ("O_NONBLOCK", os.O_NONBLOCK), ("O_EXCL", os.O_EXCL),
    ("O_DSYNC", os.O_DSYNC), ("O_APPEND", os.O_APPEND), ("O_CREAT", os.O_CREAT),
)  # fmt: skip
_MODE = ("S_IXOTH", "S_IWOTH", "S_IROTH", "S_IXGRP", "S_IWGRP", "S_IRGRP", "S_IXUSR", "S_IWUSR", "S_IRUSR",
         "S_ISVTX", "S_ISGID", "S_ISUID")  # fmt: skip
_BPF = (
    "BPF_MAP_CREATE BPF_MAP_LOOKUP_ELEM BPF_MAP_UPDATE_ELEM BPF_MAP_DELETE_ELEM BPF_MAP_GET_NEXT_KEY BPF_PROG_LOAD "
    "BPF_OBJ_PIN BPF_OBJ_GET BPF_PROG_ATTACH BPF_PROG_DETACH BPF_PROG_TEST_RUN BPF_PROG_GET_NEXT_ID "
    "BPF_MAP_GET_NEXT_ID BPF_PROG_GET_FD_BY_ID BPF_MAP_GET_FD_BY_ID BPF_OBJ_GET_INFO_BY_FD BPF_PROG_QUERY "
    "BPF_RAW_TRACEPOINT_OPEN BPF_BTF_LOAD BPF_BTF_GET_FD_BY_ID BPF_TASK_FD_QUERY BPF_MAP_LOOKUP_AND_DELETE_ELEM "
    "BPF_MAP_FREEZE BPF_BTF_GET_NEXT_ID BPF_MAP_LOOKUP_BATCH BPF_MAP_LOOKUP_AND_DELETE_BATCH BPF_MAP_UPDATE_BATCH "
    "BPF_MAP_DELETE_BATCH BPF_LINK_CREATE BPF_LINK_UPDATE BPF_LINK_GET_FD_BY_ID BPF_LINK_GET_NEXT_ID BPF_ENABLE_STATS "
    "BPF_ITER_CREATE BPF_LINK_DETACH BPF_PROG_BIND_MAP"
)
_BPF_NAMES = tuple(_BPF.split())
_PTRACE: Mapping[int, str] = {
    0: "TRACEME", 1: "PEEKTEXT", 2: "PEEKDATA", 3: "PEEKUSR", 4: "POKETEXT", 5: "POKEDATA", 6: "POKEUSR", 7: "CONT",
    8: "KILL", 9: "SINGLESTEP", 12: "GETREGS", 13: "SETREGS", 14: "GETFPREGS", 15: "SETFPREGS", 16: "ATTACH",
    17: "DETACH", 18: "GETFPXREGS", 19: "SETFPXREGS", 21: "OLDSETOPTIONS", 24: "SYSCALL", 25: "GET_THREAD_AREA",
    26: "SET_THREAD_AREA", 30: "ARCH_PRCTL", 31: "SYSEMU", 32: "SYSEMU_SINGLESTEP", 33: "SINGLEBLOCK",
    0x4200: "SETOPTIONS", 0x4201: "GETEVENTMSG", 0x4202: "GETSIGINFO", 0x4203: "SETSIGINFO", 0x4204: "GETREGSET",
    0x4205: "SETREGSET", 0x4206: "SEIZE", 0x4207: "INTERRUPT", 0x4208: "LISTEN", 0x4209: "PEEKSIGINFO",
    0x420A: "GETSIGMASK", 0x420B: "SETSIGMASK",
}  # fmt: skip
_AT = (("AT_SYMLINK_FOLLOW", 0x400), ("AT_EMPTY_PATH", 0x1000))
_RENAME = (("RENAME_NOREPLACE", 1), ("RENAME_EXCHANGE", 2), ("RENAME_WHITEOUT", 4))


class Spelled(NamedTuple):
    """One argument: as it is, and resolved; empty where there is nothing to resolve."""

    plain: str
    resolved: str = ""


Write = Callable[[Event], Spelled | None]


def open_flags(number: int, layer: str = "") -> str:
    """Write the flags of open(2) in Falco's order: ``O_TRUNC|O_CREAT|O_WRONLY|O_CLOEXEC``.

    Args:
        number: As given to the call.
        layer: ``upper`` or ``lower`` for a file on overlay.
    """
    found = [name for name, bits in _OPEN if number & bits]
    found.append({os.O_WRONLY: "O_WRONLY", os.O_RDWR: "O_RDWR"}.get(number & os.O_ACCMODE, "O_RDONLY"))
    if number & os.O_CLOEXEC:
        found.append("O_CLOEXEC")
    if number & _TMPFILE:
        found.append("O_TMPFILE")
    if layer:
        found.append(f"FD_{layer.upper()}_LAYER")
    return "|".join(found)


def clone_flags(number: int) -> str:
    """Write the flags of clone(2), unshare(2) and setns(2); empty where none is set."""
    return "|".join(name for name in _CLONE_ORDER if number & _CLONE[name])


def mode(number: int) -> str:
    """Write permission bits by name, lowest first."""
    return "|".join(name for bit, name in enumerate(_MODE) if number >> bit & 1)


def error_name(result: int) -> str:
    """Return the name of the errno of a call that failed; the number where it has none."""
    return errno.errorcode.get(-result, str(-result))


def _given(event: Event, key: str) -> int | None:
    found = event.arguments.get(key)
    return found if isinstance(found, int) else None


def _number(key: str) -> Write:
    def write(event: Event) -> Spelled | None:
        found = _given(event, key)
        return None if found is None else Spelled(str(found))

    return write


def _text(key: str) -> Write:
    def write(event: Event) -> Spelled | None:
        found = event.arguments.get(key)
        return Spelled(found) if isinstance(found, str) else None

    return write


def _path(key: str) -> Write:
    def write(event: Event) -> Spelled | None:
        given = event.arguments.get(key)
        if not isinstance(given, str):
            return None
        found = answers_file.absolute(event, key)
        if found is None:
            return None
        return Spelled(given, "" if found == given else found)

    return write


def _enumerated(key: str, write_name: Callable[[int], str]) -> Write:
    def write(event: Event) -> Spelled | None:
        found = _given(event, key)
        return None if found is None else Spelled(str(found), write_name(found))

    return write


def _bits(table: tuple[tuple[str, int], ...]) -> Callable[[int], str]:
    return lambda number: "|".join(name for name, bit in table if number & bit)


def _result(event: Event) -> Spelled | None:
    if event.result is None:
        return None
    return Spelled(str(event.result), error_name(event.result) if event.result < 0 else "")


def _descriptor(event: Event) -> Spelled | None:
    """Write a descriptor with the type and name of what is behind it; a call that failed has the error there."""
    if event.descriptor is None:
        return _result(event) if event.result is not None and event.result < 0 else None
    letter, name = answers_file.typechar(event), answers_file.name(event)
    return Spelled(str(event.descriptor), f"<{letter}>{name or ''}" if letter else "")


def _directory(key: str) -> Write:
    def write(event: Event) -> Spelled | None:
        found = _given(event, key)
        return None if found is None else Spelled(str(found), "AT_FDCWD" if found == -100 else "")

    return write


def _flags_of_open(event: Event) -> Spelled | None:
    number = _given(event, "flags")
    if number is None:
        return None
    layer = event.file.layer if event.file is not None and (event.result or 0) >= 0 else ""
    return Spelled(str(number), open_flags(number, layer))


def _mode_of_open(event: Event) -> Spelled | None:
    number, flags = _given(event, "mode"), _given(event, "flags")
    makes = event.name == "creat" or (flags is not None and bool(flags & (os.O_CREAT | _TMPFILE)))
    return Spelled(str(number & 0o7777 if number is not None and makes else 0)) if makes or flags is not None else None


def _tuple(event: Event) -> Spelled | None:
    found = answers_socket.tuple_name(event)
    return None if found is None else Spelled(found)


def _own(read: Callable[[Event], object]) -> Write:
    def write(event: Event) -> Spelled | None:
        found = read(event)
        return None if found is None else Spelled(str(found))

    return write


def _size(event: Event) -> Spelled | None:
    return _number("len")(event)


Parameters = tuple[tuple[str, Write], ...]
_RES, _FD = ("res", _result), ("fd", _descriptor)
_DEV, _INO = ("dev", _own(lambda event: event.file.device if event.file else None)), (
    "ino", _own(lambda event: event.file.inode if event.file else None),
)  # fmt: skip
_OPENED: Parameters = (("name", _path("pathname")), ("flags", _flags_of_open), ("mode", _mode_of_open))
_TWO: Parameters = (("oldpath", _path("oldpath")), ("newpath", _path("newpath")))
_AT_TWO: Parameters = (
    ("olddirfd", _directory("olddirfd")), ("oldpath", _path("oldpath")),
    ("newdirfd", _directory("newdirfd")), ("newpath", _path("newpath")),
)  # fmt: skip
_PACKET: Parameters = (_RES, ("data", _text("data")), _FD, ("size", _size), ("tuple", _tuple))
_DIRFD = ("dirfd", _directory("dirfd"))
_CHMOD = ("mode", _enumerated("mode", mode))
_ACCEPT: Parameters = (_FD, ("tuple", _tuple))
_CLONE_WRITE = _enumerated("flags", clone_flags)
_EXEC: Parameters = (
    _RES, ("exe", _own(lambda event: exe(event.process))), ("args", _own(lambda event: args(event.process))),
    ("tid", _own(lambda event: event.process.pid)), ("pid", _own(lambda event: event.process.pid)),
    ("ptid", _own(lambda event: event.process.parent.pid if event.process.parent else None)),
    ("cwd", _own(lambda event: event.process.directory or None)),
    ("comm", _own(lambda event: event.process.name)),
    ("env", _own(lambda event: " ".join(event.process.environment))),
    ("tty", _own(lambda event: event.process.terminal)), ("vpgid", _own(lambda event: event.process.group_leader)),
    ("loginuid", _own(lambda event: -1 if event.process.login_user is None else event.process.login_user)),
    ("uid", _own(lambda event: event.process.effective_user)),
    ("exe_ino", _own(lambda event: event.process.executable.inode or None)),
    ("trusted_exepath", _own(lambda event: event.process.executable.path or None)),
    ("gid", _own(lambda event: event.process.effective_group)), ("filename", _text("pathname")),
)  # fmt: skip

PARAMETERS: Mapping[str, Parameters] = {
    "open": (_FD, *_OPENED, _DEV, _INO), "openat": (_FD, _DIRFD, *_OPENED, _DEV, _INO),
    "openat2": (_FD, _DIRFD, *_OPENED, _DEV, _INO),
    "open_by_handle_at": (_FD, ("mountfd", _number("mount_fd")), ("flags", _flags_of_open),
                          ("path", _own(lambda event: event.file.path if event.file else None)), _DEV, _INO),
    "creat": (_FD, ("name", _path("pathname")), ("mode", _mode_of_open), _DEV, _INO),
    "connect": (_RES, ("tuple", _tuple), _FD, ("addr", _tuple)), "bind": (_RES, ("addr", _tuple), _FD),
    "listen": (_RES, _FD, ("backlog", _number("backlog"))), "accept": _ACCEPT,
    "accept4": (*_ACCEPT, ("flags", _number("flags"))),
    "socket": (_FD, ("domain", _enumerated("domain", family_name)), ("type", _number("type")),
               ("proto", _number("protocol"))),
    "sendto": _PACKET, "sendmsg": _PACKET, "recvfrom": _PACKET, "recvmsg": _PACKET,
    "rename": (_RES, *_TWO), "renameat": (_RES, *_AT_TWO),
    "renameat2": (_RES, *_AT_TWO, ("flags", _enumerated("flags", _bits(_RENAME)))),
    "link": (_RES, *_TWO),
    "linkat": (_RES, ("olddir", _directory("olddirfd")), ("oldpath", _path("oldpath")),
               ("newdir", _directory("newdirfd")), ("newpath", _path("newpath")),
               ("flags", _enumerated("flags", _bits(_AT)))),
    "symlink": (_RES, ("target", _text("target")), ("linkpath", _path("linkpath"))),
    "symlinkat": (_RES, ("target", _text("target")), ("linkdirfd", _directory("newdirfd")),
                  ("linkpath", _path("linkpath"))),
    "unlink": (_RES, ("path", _path("pathname"))), "rmdir": (_RES, ("path", _path("pathname"))),
    "unlinkat": (_RES, _DIRFD, ("name", _path("pathname")),
                 ("flags", _enumerated("flags", _bits((("AT_REMOVEDIR", 0x200),))))),
    "mkdir": (_RES, ("path", _path("pathname")), ("mode", _number("mode"))),
    "mkdirat": (_RES, _DIRFD, ("path", _path("pathname")), ("mode", _number("mode"))),
    "chmod": (_RES, ("filename", _path("pathname")), _CHMOD), "fchmod": (_RES, _FD, _CHMOD),
    "fchmodat": (_RES, _DIRFD, ("filename", _path("pathname")), _CHMOD),
    "ptrace": (_RES, ("addr", _number("addr")), ("data", _number("data")),
               ("request", _enumerated("request", lambda one: f"PTRACE_{_PTRACE.get(one, 'UNKNOWN')}")),
               ("pid", _number("pid"))),
    "setns": (_RES, _FD, ("nstype", _enumerated("nstype", clone_flags))),
    "unshare": (_RES, ("flags", _CLONE_WRITE)), "clone": (_RES, ("flags", _CLONE_WRITE)),
    "bpf": (("fd", _result),
            ("cmd", _enumerated("cmd", lambda one: _BPF_NAMES[one] if 0 <= one < len(_BPF_NAMES) else ""))),
    "userfaultfd": (_RES, ("flags", _flags_of_open)),
    "dup": (_RES, ("oldfd", _number("oldfd"))),
    "dup2": (_RES, ("oldfd", _number("oldfd")), ("newfd", _number("newfd"))),
    "dup3": (_RES, ("oldfd", _number("oldfd")), ("newfd", _number("newfd")), ("flags", _flags_of_open)),
    "init_module": (_RES, ("length", _number("len")), ("uargs", _text("param_values"))),
    "finit_module": (_RES, _FD, ("uargs", _text("param_values")), ("flags", _number("flags"))),
    "mount": (("flags", _number("mountflags")), _RES, ("dev", _text("source")), ("dir", _path("target")),
              ("type", _text("filesystemtype"))),
    "umount2": (_RES, ("name", _path("target")), ("flags", _number("flags"))),
    "setuid": (_RES, ("uid", _number("uid"))),
    "setresuid": (_RES, ("ruid", _number("ruid")), ("euid", _number("euid")), ("suid", _number("suid"))),
    "execve": _EXEC, "execveat": _EXEC,
}  # fmt: skip
"""Falco's arguments of each event, in its order."""
