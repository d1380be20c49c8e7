"""Filters read back from live processes, and the promise that nobody is left stopped or traced."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from holdfast.collect.seccomp_filter import filters_of, read_filters
from holdfast.model.errors import NotPermitted, NotReachable
from test_bpf import ALLOW, ERRNO, RETURN, guarded, in_child, install

pytestmark = pytest.mark.root

ONE = guarded([(RETURN, 0, 0, ERRNO | 7)])
TWO = guarded([(RETURN, 0, 0, ALLOW)])


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def settled(pid: int, state: str) -> None:
    """Wait until the process is in this state and nobody traces it."""
    for _ in range(400):
        now = status(pid)
        if now["State"].startswith(state) and now["TracerPid"] == "0":
            return
        time.sleep(0.005)
    raise AssertionError(f"{pid} is {now['State']}, traced by {now['TracerPid']}")


@contextmanager
def child(work: Callable[[], None]) -> Iterator[int]:
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.write(told, b"r")
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(told)
    assert os.read(ready, 1) == b"r"
    os.close(ready)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def bound() -> None:
    install(ONE)
    install(TWO)


def test_what_was_installed_is_read_back_newest_first() -> None:
    with child(bound) as pid:
        assert read_filters(pid) == (TWO, ONE)
        settled(pid, "S")


def test_an_unfiltered_process_has_none_and_is_not_touched() -> None:
    with child(lambda: None) as pid:
        assert read_filters(pid) == ()
        settled(pid, "S")


def test_a_stopped_process_stays_stopped_and_can_go_on() -> None:
    with child(bound) as pid:
        os.kill(pid, signal.SIGSTOP)
        settled(pid, "T")
        assert read_filters(pid) == (TWO, ONE)
        time.sleep(0.05)
        settled(pid, "T")
        os.kill(pid, signal.SIGCONT)
        settled(pid, "S")


def test_a_running_process_goes_on() -> None:
    def spin() -> None:
        bound()
        if os.fork() == 0:
            while os.getppid() != 1:
                pass
            os._exit(0)

    with child(spin) as pid:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        spinner = int(children[0])
        for _ in range(20):
            assert read_filters(spinner) == (TWO, ONE)
        settled(spinner, "R")
        os.kill(spinner, signal.SIGKILL)


def test_a_signal_under_way_arrives() -> None:
    """A process busy with signals stops for one of them first; it must still get it."""

    def count() -> None:
        bound()
        seen = [0]
        signal.signal(signal.SIGUSR1, lambda *_: seen.__setitem__(0, seen[0] + 1))

        def leave(*_: object) -> None:
            os._exit(seen[0])

        signal.signal(signal.SIGUSR2, leave)

    with child(count) as pid:
        sent = 60
        for _ in range(sent):
            os.kill(pid, signal.SIGUSR1)
            assert read_filters(pid) == (TWO, ONE)
            while int(status(pid)["SigPnd"], 16) | int(status(pid)["ShdPnd"], 16):
                time.sleep(0.001)
        time.sleep(0.02)
        os.kill(pid, signal.SIGUSR2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == sent


def test_a_traced_process_is_left_to_its_tracer() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    with child(bound) as pid:
        assert libc.ptrace(0x4206, pid, None, None) == 0
        with pytest.raises(NotPermitted, match=f"traced by process {os.getpid()}"):
            read_filters(pid)
        assert status(pid)["TracerPid"] == str(os.getpid())
        assert libc.ptrace(0x4207, pid, None, None) == 0
        os.waitpid(pid, 0x40000000)
        assert libc.ptrace(17, pid, None, None) == 0
        settled(pid, "S")


def test_a_process_that_ended_is_not_reachable() -> None:
    with child(bound) as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with pytest.raises(NotReachable, match="has ended"):
            read_filters(pid)


def test_a_zombie_is_not_reachable() -> None:
    with child(bound) as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(NotReachable, match="has ended"):
            read_filters(pid)


def test_a_process_that_will_not_stop_is_given_up_and_let_go() -> None:
    """A parent that waits for its vfork child sleeps so that a tracer cannot stop it."""

    def sleep_in_the_kernel() -> None:
        bound()
        libc = ctypes.CDLL(None)
        if os.fork() == 0:
            # vfork by its number: the parent stays in the kernel until the child is gone.
            child_pid = libc.syscall(58)
            if child_pid == 0:
                libc.pause()
            os._exit(0)

    with child(sleep_in_the_kernel) as pid:
        time.sleep(0.1)
        sleeper = int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])
        settled(sleeper, "D")
        before = time.monotonic()
        with pytest.raises(NotReachable, match="did not stop"):
            read_filters(sleeper)
        assert time.monotonic() - before < 3
        settled(sleeper, "D")
        for one in (*Path(f"/proc/{sleeper}/task/{sleeper}/children").read_text(encoding="ascii").split(), sleeper):
            os.kill(int(one), signal.SIGKILL)


def test_a_filtered_reader_is_told_why_it_sees_nothing() -> None:
    with child(bound) as pid:

        def read_from_inside(report: Callable[[int], int]) -> None:
            install(TWO)
            answer = filters_of([pid])[pid]
            report(int(isinstance(answer, NotPermitted) and "has a seccomp filter itself" in answer.what))

        assert in_child(read_from_inside)[1] == [1]


def test_many_at_once_share_the_programs_and_keep_their_own_errors() -> None:
    pids: list[int] = []
    for number in range(40):
        pid = os.fork()
        if pid == 0:
            if number % 2:
                bound()
            while True:
                signal.pause()
        pids.append(pid)
    try:
        for pid in pids[1::2]:
            for _ in range(400):
                if status(pid).get("Seccomp_filters") == "2":
                    break
                time.sleep(0.005)
        answers = filters_of([*pids, 2**22 + 5])
        assert [answers[pid] for pid in pids] == [() if number % 2 == 0 else (TWO, ONE) for number in range(40)]
        assert isinstance(answers[2**22 + 5], NotReachable)
        programs = {id(program) for pid in pids[1::2] for program in answers[pid]}
        assert len(programs) == 2
        for pid in pids:
            settled(pid, "S")
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
