"""Classic BPF as seccomp runs it: read a program, check it as the kernel does, run it on one system call.

What a filter is worth follows from running it, not from the profile it was once made of: the kernel hands out the
program that is in force, and this file says what that program answers.

Source:
    https://docs.kernel.org/userspace-api/seccomp_filter.html
    kernel/seccomp.c (seccomp_check_filter, seccomp_run_filters), net/core/filter.c (bpf_check_classic)
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from holdfast.model.errors import NotUnderstood

MAX_INSTRUCTIONS = 4096
DATA_WORDS = 16
WORD = 0xFFFFFFFF

Words = tuple[int, ...]


class Action(IntEnum):
    """What the kernel does with the call. The order is the kernel's: of several filters the lowest action wins."""

    KILL_PROCESS = 0
    KILL_THREAD = 1
    TRAP = 2
    ERRNO = 3
    USER_NOTIF = 4
    TRACE = 5
    LOG = 6
    ALLOW = 7


_VALUES = {
    0x80000000: Action.KILL_PROCESS,
    0x00000000: Action.KILL_THREAD,
    0x00030000: Action.TRAP,
    0x00050000: Action.ERRNO,
    0x7FC00000: Action.USER_NOTIF,
    0x7FF00000: Action.TRACE,
    0x7FFC0000: Action.LOG,
    0x7FFF0000: Action.ALLOW,
}
RETURN_VALUES = {action: value for value, action in _VALUES.items()}


class Op(IntEnum):
    """The instructions seccomp permits, decoded. ``_X`` compares or computes with register X instead of a constant."""

    LOAD = 0
    LOAD_MEMORY = 1
    CONSTANT = 2
    X_CONSTANT = 3
    X_MEMORY = 4
    STORE = 5
    STORE_X = 6
    TO_X = 7
    FROM_X = 8
    RETURN = 9
    RETURN_A = 10
    JUMP = 11
    EQUAL = 12
    GREATER = 13
    AT_LEAST = 14
    ANY_BIT = 15
    EQUAL_X = 16
    GREATER_X = 17
    AT_LEAST_X = 18
    ANY_BIT_X = 19
    ADD = 20
    SUBTRACT = 21
    MULTIPLY = 22
    DIVIDE = 23
    OR = 24
    AND = 25
    SHIFT_LEFT = 26
    SHIFT_RIGHT = 27
    XOR = 28
    NEGATE = 29
    ADD_X = 30
    SUBTRACT_X = 31
    MULTIPLY_X = 32
    DIVIDE_X = 33
    OR_X = 34
    AND_X = 35
    SHIFT_LEFT_X = 36
    SHIFT_RIGHT_X = 37
    XOR_X = 38


# linux/bpf_common.h: code = class | size or operation | mode or source.
_CODES = {
    0x20: Op.LOAD,
    0x60: Op.LOAD_MEMORY,
    0x00: Op.CONSTANT,
    0x01: Op.X_CONSTANT,
    0x61: Op.X_MEMORY,
    0x02: Op.STORE,
    0x03: Op.STORE_X,
    0x07: Op.TO_X,
    0x87: Op.FROM_X,
    0x06: Op.RETURN,
    0x16: Op.RETURN_A,
    0x05: Op.JUMP,
    0x15: Op.EQUAL,
    0x25: Op.GREATER,
    0x35: Op.AT_LEAST,
    0x45: Op.ANY_BIT,
    0x1D: Op.EQUAL_X,
    0x2D: Op.GREATER_X,
    0x3D: Op.AT_LEAST_X,
    0x4D: Op.ANY_BIT_X,
    0x04: Op.ADD,
    0x14: Op.SUBTRACT,
    0x24: Op.MULTIPLY,
    0x34: Op.DIVIDE,
    0x44: Op.OR,
    0x54: Op.AND,
    0x64: Op.SHIFT_LEFT,
    0x74: Op.SHIFT_RIGHT,
    0xA4: Op.XOR,
    0x84: Op.NEGATE,
    0x0C: Op.ADD_X,
    0x1C: Op.SUBTRACT_X,
    0x2C: Op.MULTIPLY_X,
    0x3C: Op.DIVIDE_X,
    0x4C: Op.OR_X,
    0x5C: Op.AND_X,
    0x6C: Op.SHIFT_LEFT_X,
    0x7C: Op.SHIFT_RIGHT_X,
    0xAC: Op.XOR_X,
}
# LD|LEN and LDX|LEN give the size of seccomp_data, which is a constant.
_LENGTHS = {0x80: Op.CONSTANT, 0x81: Op.X_CONSTANT}


class Point(NamedTuple):
    """A place in a program: the next instruction, the two registers, the sixteen memory cells."""

    at: int
    a: int
    x: int
    memory: tuple[int, ...]


START = Point(0, 0, 0, (0,) * 16)


@dataclass(frozen=True, slots=True)
class Program:
    """A checked filter.

    Attributes:
        code: Instructions as (operation, k, jt, jf). For ``LOAD``, k is the index of the 32-bit word in seccomp_data;
            jump distances are counted from the next instruction, as the kernel counts them.
    """

    code: tuple[tuple[Op, int, int, int], ...]


@lru_cache(maxsize=1024)
def read(raw: bytes) -> Program:
    """Read a filter and check it as the kernel does before it takes one.

    Args:
        raw: ``struct sock_filter`` after ``struct sock_filter``, 8 bytes each, little-endian.

    Raises:
        NotUnderstood: The kernel would have refused this program.
    """
    if not raw or len(raw) % 8:
        raise _refused(f"a filter of {len(raw)} bytes is not a whole number of 8-byte instructions")
    count = len(raw) // 8
    if count > MAX_INSTRUCTIONS:
        raise _refused(f"a filter has {count} instructions, the kernel takes at most {MAX_INSTRUCTIONS}")
    code = tuple(_decoded(at, count, fields) for at, fields in enumerate(struct.iter_unpack("<HBBI", raw)))
    if code[-1][0] not in {Op.RETURN, Op.RETURN_A}:
        raise _refused("a filter does not end in a return")
    _check_memory(code)
    return Program(code)


def _decoded(at: int, count: int, fields: tuple[int, ...]) -> tuple[Op, int, int, int]:
    code, jt, jf, k = fields
    if code in _LENGTHS:
        return _LENGTHS[code], DATA_WORDS * 4, 0, 0
    op = _CODES.get(code)
    if op is None:
        raise _refused(f"instruction {at} has the code {code:#x}, which seccomp does not permit")
    if op is Op.LOAD:
        if k % 4 or k >= DATA_WORDS * 4:
            raise _refused(f"instruction {at} loads from offset {k}, outside of seccomp_data or not aligned")
        return op, k // 4, 0, 0
    if op in {Op.LOAD_MEMORY, Op.X_MEMORY, Op.STORE, Op.STORE_X} and k >= 16:
        raise _refused(f"instruction {at} uses memory cell {k} of 16")
    if (op is Op.DIVIDE and k == 0) or (op in {Op.SHIFT_LEFT, Op.SHIFT_RIGHT} and k >= 32):
        raise _refused(f"instruction {at} divides by zero or shifts by {k} bits")
    if op is Op.JUMP and at + 1 + k >= count:
        raise _refused(f"instruction {at} jumps out of the program")
    if Op.EQUAL <= op <= Op.ANY_BIT_X and at + 1 + max(jt, jf) >= count:
        raise _refused(f"instruction {at} jumps out of the program")
    return op, k, jt, jf


def _check_memory(code: tuple[tuple[Op, int, int, int], ...]) -> None:
    """Refuse a load from a memory cell that was not stored to on every way there (bpf_check_classic does)."""
    stored = 0
    reach = [0xFFFF] * (len(code) + 1)
    for at, (op, k, jt, jf) in enumerate(code):
        stored &= reach[at]
        if op in {Op.STORE, Op.STORE_X}:
            stored |= 1 << k
        elif op in {Op.LOAD_MEMORY, Op.X_MEMORY}:
            if not stored & (1 << k):
                raise _refused(f"instruction {at} reads memory cell {k} before anything was stored there")
        elif op is Op.JUMP:
            reach[at + 1 + k] &= stored
            stored = 0xFFFF
        elif Op.EQUAL <= op <= Op.ANY_BIT_X:
            reach[at + 1 + jt] &= stored
            reach[at + 1 + jf] &= stored
            stored = 0xFFFF


def _refused(what: str) -> NotUnderstood:
    return NotUnderstood(what, "seccomp filter", "the kernel refuses such a program; read the filter again")


def words(number: int, arch: int, args: Sequence[int] = (), instruction_pointer: int = 0) -> Words:
    """Lay out ``struct seccomp_data`` as sixteen 32-bit words, low word first (little-endian machines)."""
    found = [number & WORD, arch & WORD, instruction_pointer & WORD, instruction_pointer >> 32 & WORD]
    for index in range(6):
        value = args[index] if index < len(args) else 0
        found += [value & WORD, value >> 32 & WORD]
    return tuple(found)


def run(program: Program, data: Words) -> int:
    """Run one filter on one call.

    Args:
        program: From ``read``.
        data: From ``words``.

    Returns:
        The 32-bit return value: the action in the upper half, its data (an errno) in the lower.
    """
    return resume(program, data, START)


def resume(program: Program, data: Words, point: Point) -> int:  # noqa: C901 - one branch for each kind of instruction
    """Run a filter from the middle, with registers and memory as given."""
    code = program.code
    at, a, x = point.at, point.a, point.x
    memory = list(point.memory)
    while True:
        op, k, jt, jf = code[at]
        at += 1
        if op == Op.LOAD:
            a = data[k]
        elif op == Op.EQUAL:
            at += jt if a == k else jf
        elif op == Op.RETURN:
            return k
        elif Op.EQUAL <= op <= Op.ANY_BIT_X:
            at += jt if holds(op, a, k, x) else jf
        elif op == Op.JUMP:
            at += k
        elif op == Op.RETURN_A:
            return a
        elif op in {Op.LOAD_MEMORY, Op.CONSTANT, Op.FROM_X}:
            a = k if op == Op.CONSTANT else x if op == Op.FROM_X else memory[k]
        elif op in {Op.X_MEMORY, Op.X_CONSTANT, Op.TO_X}:
            x = k if op == Op.X_CONSTANT else a if op == Op.TO_X else memory[k]
        elif op in {Op.STORE, Op.STORE_X}:
            memory[k] = a if op == Op.STORE else x
        else:
            if op == Op.DIVIDE_X and x == 0:
                return 0
            a = computed(op, a, x if op >= Op.ADD_X else k)


def holds(op: Op, a: int, k: int, x: int) -> bool:
    """Tell whether a conditional jump is taken."""
    other = x if op >= Op.EQUAL_X else k
    if op in {Op.EQUAL, Op.EQUAL_X}:
        return a == other
    if op in {Op.GREATER, Op.GREATER_X}:
        return a > other
    if op in {Op.AT_LEAST, Op.AT_LEAST_X}:
        return a >= other
    return bool(a & other)


def computed(op: Op, a: int, operand: int) -> int:
    """Return register A after an arithmetic instruction; the caller has dealt with division by zero."""
    match op:
        case Op.AND | Op.AND_X:
            return a & operand
        case Op.OR | Op.OR_X:
            return a | operand
        case Op.XOR | Op.XOR_X:
            return a ^ operand
        case Op.ADD | Op.ADD_X:
            return a + operand & WORD
        case Op.SUBTRACT | Op.SUBTRACT_X:
            return a - operand & WORD
        case Op.MULTIPLY | Op.MULTIPLY_X:
            return a * operand & WORD
        case Op.DIVIDE | Op.DIVIDE_X:
            return a // operand
        case Op.SHIFT_LEFT | Op.SHIFT_LEFT_X:
            return a << (operand & 31) & WORD
        case Op.SHIFT_RIGHT | Op.SHIFT_RIGHT_X:
            return a >> (operand & 31)
        case _:
            return -a & WORD


def action(value: int) -> Action:
    """Name the action in a return value. The kernel kills on a value it does not know."""
    return _VALUES.get(value & 0xFFFF0000, Action.KILL_PROCESS)


def strictest(values: Sequence[int]) -> int:
    """Return the value that wins among several filters: the lowest, compared as a signed number.

    Args:
        values: Return values, newest filter first; of equal actions the newest filter's data counts. Without any
            filter the call is allowed.
    """
    best = 0x7FFF0000
    for value in values:
        if _signed(value & 0xFFFF0000) < _signed(best & 0xFFFF0000):
            best = value
    return best


def combined(programs: Sequence[Program], data: Words) -> int:
    """Run all filters of a process, as the kernel does, and return the value that wins."""
    return strictest([run(program, data) for program in programs])


def _signed(value: int) -> int:
    return value - (1 << 32) if value & 0x80000000 else value
