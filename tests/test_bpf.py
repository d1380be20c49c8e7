"""The filter interpreter, held against the kernel of this machine: real filters are installed in a forked child."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from holdfast.model.errors import NotUnderstood
from holdfast.reason.effective import bpf
from holdfast.reason.effective.bpf import Action
from holdfast.reason.effective.syscall_table import AUDIT_ARCH, numbers

# No call has this number on x86-64 or arm64: let through, the kernel answers ENOSYS.
PROBE = 390
MACHINE = platform.machine()
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06

needs_known_machine = pytest.mark.skipif(MACHINE not in {"x86_64", "aarch64"}, reason="numbers of this machine unknown")


def made(*instructions: tuple[int, int, int, int]) -> bytes:
    return b"".join(struct.pack("<HBBI", *one) for one in instructions)


def install(raw: bytes) -> int:
    """Bind the calling process to a filter; return 0 or the error number."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)
    code = ctypes.create_string_buffer(raw, max(len(raw), 1))
    fprog = struct.pack("@HxxxxxxP", len(raw) // 8, ctypes.addressof(code))
    program = ctypes.create_string_buffer(fprog, len(fprog))
    return 0 if libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0 else ctypes.get_errno()


def call(number: int, args: tuple[int, ...]) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *(ctypes.c_uint64(one) for one in args))
    return ctypes.get_errno()


def in_child(work) -> tuple[int, list[int]]:
    """Run work(report) in a forked child; return its wait status and the numbers it reported."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work(lambda number: os.write(send, struct.pack("<i", number)))
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as answers:
        numbers_ = [one for (one,) in struct.iter_unpack("<i", answers.read())]
    return os.waitpid(child, 0)[1], numbers_


# --- random programs that the kernel accepts --------------------------------------------------------------------------
WORDS = st.sampled_from([0, 1, 2, 5, 38, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]) | st.integers(0, 0xFFFFFFFF)
# The kernel caps an errno at 4095; ENOSYS would look like the answer of an allowed call.
RETURNS = st.integers(1, 4200).filter(lambda number: number != errno.ENOSYS).map(
    lambda number: ERRNO | number
) | st.just(ALLOW)


@st.composite
def bodies(draw: st.DrawFn) -> list[tuple[int, int, int, int]]:
    """Make the part of a filter that judges PROBE: straight code and forward jumps, then a return."""
    length = draw(st.integers(1, 14))
    code: list[tuple[int, int, int, int]] = [(0x02, 0, 0, cell) for cell in range(3)]
    for at in range(length):
        left = length - at - 1
        kind = draw(st.sampled_from(["load", "alu", "alu_x", "jump", "jump", "jump_x", "move", "memory", "return"]))
        if kind == "load":
            code.append((LOAD, 0, 0, 4 * draw(st.integers(4, 15))))
        elif kind == "alu":
            op = draw(st.sampled_from([0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x84, 0xA4]))
            code.append((op, 0, 0, draw(st.integers(1, 31) if op in {0x34, 0x64, 0x74} else WORDS)))
        elif kind == "alu_x":
            code.append((draw(st.sampled_from([0x0C, 0x1C, 0x2C, 0x3C, 0x4C, 0x5C, 0x6C, 0x7C, 0xAC])), 0, 0, 0))
        elif kind in {"jump", "jump_x"}:
            op = draw(st.sampled_from([0x15, 0x25, 0x35, 0x45])) | (8 if kind == "jump_x" else 0)
            code.append((op, draw(st.integers(0, left)), draw(st.integers(0, left)), draw(WORDS)))
        elif kind == "move":
            code.append((draw(st.sampled_from([0x00, 0x01, 0x07, 0x87, 0x80, 0x81])), 0, 0, draw(WORDS)))
        elif kind == "memory":
            code.append((draw(st.sampled_from([0x02, 0x03, 0x60, 0x61])), 0, 0, draw(st.integers(0, 2))))
        else:
            code.append((RETURN, 0, 0, draw(RETURNS)))
    return [*code, (RETURN, 0, 0, draw(RETURNS))]


def guarded(body: list[tuple[int, int, int, int]]) -> bytes:
    """Let every call through but PROBE."""
    return made((LOAD, 0, 0, 0), (EQUAL, 1, 0, PROBE), (RETURN, 0, 0, ALLOW), *body)


ARGUMENTS = st.tuples(*[st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 38, 1 << 32, (1 << 32) + 38])] * 6)


@needs_known_machine
@given(st.lists(bodies(), min_size=1, max_size=4), st.lists(ARGUMENTS, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_kernel_answers_as_the_interpreter_does(
    programs: list[list[tuple[int, int, int, int]]], calls: list[tuple[int, ...]]
) -> None:
    raw = [guarded(body) for body in programs]
    read = [bpf.read(one) for one in reversed(raw)]
    expected = [bpf.combined(read, bpf.words(PROBE, AUDIT_ARCH[MACHINE], args)) for args in calls]
    # A call that kills comes last and alone.
    alive = [(args, value) for args, value in zip(calls, expected, strict=True) if bpf.action(value) > Action.TRAP]
    deadly = [args for args, value in zip(calls, expected, strict=True) if bpf.action(value) < Action.TRAP]

    def work(report) -> None:
        for one in raw:
            report(install(one))
        for args, _ in alive:
            report(call(PROBE, args))
        for args in deadly[:1]:
            call(PROBE, args)

    status, answers = in_child(work)
    assert answers[: len(raw)] == [0] * len(raw)
    wanted = [min(value & 0xFFFF, 4095) if bpf.action(value) is Action.ERRNO else errno.ENOSYS for _, value in alive]
    assert answers[len(raw) :] == wanted
    assert (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS) == bool(deadly)


@st.composite
def suspect(draw: st.DrawFn) -> bytes:
    """Spoil a good program in one or two places, so that about half of them are refused."""
    code = [list(one) for one in draw(bodies())]
    for _ in range(draw(st.integers(1, 2))):
        one = draw(st.sampled_from(code))
        which = draw(st.sampled_from([0, 1, 2, 3]))
        one[which] = draw(
            (st.integers(0, 0xFF) | st.sampled_from([0x30, 0x28, 0x94, 0x9C, 0x50, 0xB1, 0x60]))
            if which == 0
            else (st.integers(0, 30) if which < 3 else st.sampled_from([0, 1, 15, 16, 31, 32, 60, 62, 64, 0xFFFFFFFF]))
        )
    if draw(st.booleans()):
        code = code[: draw(st.integers(1, len(code)))]
    exits = [numbers(MACHINE)[name] for name in ("exit", "exit_group", "write")]
    guard = [(LOAD, 0, 0, 0)]
    for number in exits:
        guard += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    return made(*guard, *(tuple(one) for one in code))


@needs_known_machine
@given(suspect())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_kernel_refuses_what_is_refused_here(raw: bytes) -> None:
    try:
        bpf.read(raw)
        wanted = 0
    except NotUnderstood:
        wanted = errno.EINVAL
    _, answers = in_child(lambda report: report(install(raw)))
    assert answers == [wanted]


def test_too_long_and_torn_programs_are_refused() -> None:
    one = made((RETURN, 0, 0, ALLOW))
    for raw in (b"", one + b"\0", one * 4097):
        with pytest.raises(NotUnderstood, match="filter"):
            bpf.read(raw)
    assert len(bpf.read(one * 4096).code) == 4096


def test_the_strictest_action_wins_and_the_newest_data() -> None:
    assert bpf.strictest([ALLOW, 0x7FFC0000]) == 0x7FFC0000
    assert bpf.strictest([0x00000000, KILL]) == KILL
    assert bpf.strictest([ERRNO | 1, ERRNO | 2, ALLOW]) == ERRNO | 1
    assert bpf.strictest([]) == ALLOW
    order = [bpf.RETURN_VALUES[one] for one in sorted(Action)]
    assert [bpf.strictest([low, high]) for low, high in pairwise(order)] == order[:-1]
    assert bpf.action(0x12340000) is Action.KILL_PROCESS


def test_words_are_laid_out_low_first() -> None:
    found = bpf.words(1, 2, [0x1122334455667788], 0x99AABBCCDDEEFF00)
    assert found[:6] == (1, 2, 0xDDEEFF00, 0x99AABBCC, 0x55667788, 0x11223344)
    assert len(found) == 16


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        program = bpf.read(raw)
    except NotUnderstood:
        return
    assume(program.code)
    assert 0 <= bpf.run(program, bpf.words(0, 0)) <= 0xFFFFFFFF
