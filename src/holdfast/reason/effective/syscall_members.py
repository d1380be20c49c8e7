"""What a technique may ask of a filter: a call, or a call with one argument that matters.

A member such as ``socket:AF_ALG`` stands for every call that makes the kernel do the same. The kernel looks at part of
a register only: ``socket(2)`` takes an int, so the upper half of the argument is free, and a filter that compares all
64 bits can be passed by with a family the kernel cuts down to the denied one (CVE-2019-7303 was of this kind). And a
32-bit program reaches ``socket(2)`` through ``socketcall(2)``, whose arguments no filter can see.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from holdfast.reason.effective.seccomp_paths import ANY, ANY_ARGUMENTS, Bits, exactly
from holdfast.reason.effective.syscall_table import CONSTANTS, known, numbers

_FULL = (1 << 64) - 1
_LOW = 0xFFFFFFFF


class _Shape(NamedTuple):
    """Which argument counts, which of its bits the kernel looks at, and whether the constant is a flag among others.

    Attributes:
        argument: 0 to 5.
        reads: Mask of the bits the kernel looks at.
        strict: Bits outside of a flag's own that must be 0 for the call to work.
    """

    argument: int
    reads: int = _LOW
    flag: bool = False
    strict: int = 0


_SHAPES = {
    "clone": _Shape(0, _LOW, flag=True),
    "unshare": _Shape(0, _FULL, flag=True, strict=_FULL & ~_LOW),
    "setns": _Shape(1, _LOW, flag=True),
    "mount": _Shape(3, _FULL, flag=True),
    "socket": _Shape(0),
    "socketpair": _Shape(0),
    "ioctl": _Shape(1),
    "personality": _Shape(0, _LOW, flag=True),
    "bpf": _Shape(0),
    "keyctl": _Shape(0),
    "prctl": _Shape(0),
    "ptrace": _Shape(0, _FULL),
    "mknod": _Shape(1, 0o170000),
    "mknodat": _Shape(2, 0o170000),
}
# Where a machine lacks an older call, the newer one does the same.
_SUCCESSORS = {
    "chmod": "fchmodat",
    "chown": "fchownat",
    "link": "linkat",
    "mkdir": "mkdirat",
    "mknod": "mknodat",
    "open": "openat",
    "rename": "renameat2",
    "symlink": "symlinkat",
    "umount": "umount2",
    "unlink": "unlinkat",
}
# Calls whose arguments lie in memory, where no filter sees them: allowed at all is allowed with any flag.
_HIDDEN = frozenset({"clone3"})
_SYS_SOCKET = 1


class Question(NamedTuple):
    """One call by one way into the kernel, ready for a filter.

    Attributes:
        name: System call.
        entry: ``x86_64``, ``i386``, ``x32``, ``aarch64``.
        number: Its number there.
        args: What is known of its arguments.
    """

    name: str
    entry: str
    number: int
    args: tuple[Bits, ...]


@lru_cache(maxsize=4096)
def understood(member: str) -> bool:
    """Tell whether a member names a call, and a constant that this call takes."""
    call, _, constant = member.partition(":")
    if not known(call):
        return False
    return not constant or call in _HIDDEN or (call in _SHAPES and _number(constant) is not None)


@lru_cache(maxsize=4096)
def questions(member: str, entry: str) -> tuple[Question, ...]:
    """Return the calls that serve a member by one way into the kernel; none where it has no such call.

    Args:
        member: ``mount``, ``unshare:CLONE_NEWUSER``, ``socket:38``; one that is ``understood``.
        entry: ``x86_64``, ``i386``, ``x32``, ``aarch64``.
    """
    call, _, constant = member.partition(":")
    wide = entry != "i386"
    found: list[Question] = []
    args = [ANY] * 6
    shape = _SHAPES.get(call)
    value = _number(constant) if constant else None
    if value is not None and shape is not None:
        looked_at = value if shape.flag else shape.reads
        args[shape.argument] = Bits(looked_at | shape.strict, value)
    table = numbers(entry)
    if call not in table and call in _SUCCESSORS:
        return questions(_SUCCESSORS[call] + (f":{constant}" if constant else ""), entry)
    if call in table:
        found.append(Question(call, entry, table[call], _narrowed(args, wide=wide)))
    if call == "socket" and "socketcall" in table:
        behind = (exactly(_SYS_SOCKET), *ANY_ARGUMENTS[1:])
        found.append(Question("socketcall", entry, table["socketcall"], _narrowed(behind, wide=wide)))
    return tuple(found)


def _narrowed(args: list[Bits] | tuple[Bits, ...], *, wide: bool) -> tuple[Bits, ...]:
    """Set the upper half to 0 where registers are 32 bits wide."""
    if wide:
        return tuple(args)
    return tuple(Bits(one.known | _FULL & ~_LOW, one.value & _LOW) for one in args)


def _number(constant: str) -> int | None:
    found = CONSTANTS.get(constant)
    if found is not None:
        return found
    try:
        value = int(constant, 0)
    except ValueError:
        return None
    return value if 0 <= value <= _FULL else None
