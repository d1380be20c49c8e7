"""Read the seccomp filters of live processes from the kernel.

What a profile's file says and what the kernel enforces are two things: runtimes add capability gates, skip names they
do not know, and stack filters. The kernel keeps the programs it was given and hands them to a tracer. So each process
is seized, stopped for some microseconds, asked, and let go; a process that was stopped before stays stopped.

Source:
    ptrace(2), sections PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_SECCOMP_GET_FILTER, "Group-stop"
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Thread

from holdfast.model.errors import Error, NotPermitted, NotReachable

_DETACH = 17
_SEIZE = 0x4206
_INTERRUPT = 0x4207
_GET_FILTER = 0x420C
_EVENT_STOP = 128
_WAIT_ALL = 0x40000000
_MOST_FILTERS = 512
_MOST_INSTRUCTIONS = 4096
_PATIENCE_S = 0.5

Answer = tuple[bytes, ...] | Error


def read_filters(pid: int) -> tuple[bytes, ...]:
    """Read the filters that bind one process.

    Args:
        pid: Process or thread id, in this process's pid namespace. Of a process its first thread is asked.

    Returns:
        Classic BPF programs, newest first, 8 bytes an instruction. Empty where no filter is in force.

    Raises:
        NotReachable: The process is gone, or did not stop in time (it sleeps uninterruptibly or is frozen).
        NotPermitted: Reading needs CAP_SYS_ADMIN and CAP_SYS_PTRACE, and a reader that has no filter itself.
    """
    answer = filters_of([pid])[pid]
    if isinstance(answer, Error):
        raise answer
    return answer


def filters_of(pids: Iterable[int]) -> dict[int, Answer]:
    """Read the filters of many processes at once; they are stopped together, so the waiting is shared.

    Args:
        pids: As for ``read_filters``.

    Returns:
        For each pid its filters, or the error that ``read_filters`` would raise. Equal programs are one object.
    """
    wanted = list(dict.fromkeys(pids))
    refused = _own_filter()
    if refused is not None:
        return dict.fromkeys(wanted, refused)
    answers: dict[int, Answer] = {}
    # The kernel ties a tracee to the thread that seized it, and frees it when that thread ends. A process that would
    # not stop could never be detached by request; the end of this thread lets it go.
    worker = Thread(target=_collect, args=(wanted, answers), name="seccomp-filter")
    worker.start()
    worker.join()
    return {pid: answers.get(pid) or _unanswered(pid, answers) for pid in wanted}


def _unanswered(pid: int, answers: dict[int, Answer]) -> Answer:
    if pid in answers:
        return ()
    return NotReachable("the seccomp filters were not read", f"/proc/{pid}", "scan again")


@dataclass(slots=True)
class _Stop:
    """A process that was told to stop.

    Attributes:
        signal: What it must be given when it is let go: a signal that was on its way to it, or 0.
    """

    pid: int
    signal: int = 0


def _collect(pids: list[int], answers: dict[int, Answer]) -> None:
    waiting: dict[int, _Stop] = {}
    programs: dict[bytes, bytes] = {}
    for pid in pids:
        mode = _mode(pid)
        if isinstance(mode, Error) or mode != 2:
            answers[pid] = mode if isinstance(mode, Error) else ()
            continue
        failed = _seize(pid)
        if failed is None:
            waiting[pid] = _Stop(pid)
        else:
            answers[pid] = failed
    deadline = time.monotonic() + _PATIENCE_S
    pause = 0.0
    while waiting:
        for pid in list(waiting):
            try:
                done, status = os.waitpid(pid, os.WNOHANG | _WAIT_ALL)
            except ChildProcessError:
                answers[pid] = _gone(pid)
                del waiting[pid]
                continue
            if done:
                answers[pid] = _stopped(waiting.pop(pid), status, programs)
                pause = 0.0
        if waiting and time.monotonic() > deadline:
            for pid in waiting:
                answers[pid] = _stubborn(pid)
            return
        time.sleep(pause)
        pause = min(0.002, pause + 0.000_05)


def _seize(pid: int) -> Error | None:
    number = _ptrace(_SEIZE, pid, 0, None)
    if number == 0:
        number = _ptrace(_INTERRUPT, pid, 0, None)
    if number == 0:
        return None
    if number == errno.ESRCH:
        return _gone(pid)
    tracer = _status(pid).get("TracerPid", "0")
    if tracer not in {"0", ""}:
        return NotPermitted(
            f"process {pid} is traced by process {tracer} already", f"/proc/{pid}/status", "end that tracer, scan again"
        )
    return NotPermitted(
        f"the kernel does not let this process trace process {pid}: {os.strerror(number)}",
        f"/proc/{pid}",
        "run as root with CAP_SYS_PTRACE and CAP_SYS_ADMIN; see kernel.yama.ptrace_scope",
    )


def _stopped(stop: _Stop, status: int, programs: dict[bytes, bytes]) -> Answer:
    """Ask a process that has stopped, and let it go."""
    if not os.WIFSTOPPED(status):
        return _gone(stop.pid)
    if status >> 16 != _EVENT_STOP:
        stop.signal = os.WSTOPSIG(status)
    try:
        return _asked(stop.pid, programs)
    finally:
        _ptrace(_DETACH, stop.pid, 0, stop.signal)


def _asked(pid: int, programs: dict[bytes, bytes]) -> Answer:
    """Fetch one program after the other. The kernel counts from the oldest."""
    found: list[bytes] = []
    buffer = ctypes.create_string_buffer(_MOST_INSTRUCTIONS * 8)
    for index in range(_MOST_FILTERS):
        length = _library().ptrace(_GET_FILTER, pid, index, ctypes.addressof(buffer))
        if length < 0:
            number = ctypes.get_errno()
            if number == errno.ENOENT:
                break
            return _refused(pid, number)
        program = buffer.raw[: length * 8]
        found.append(programs.setdefault(program, program))
    return tuple(reversed(found))


def _refused(pid: int, number: int) -> Error:
    if number == errno.EACCES:
        return NotPermitted(
            f"the kernel keeps the seccomp filters of process {pid} from this process",
            f"/proc/{pid}",
            "run with CAP_SYS_ADMIN in the initial user namespace and without a seccomp filter",
        )
    if number == errno.EINVAL:
        return NotReachable(
            f"the kernel cannot show the seccomp filters of process {pid}",
            f"/proc/{pid}",
            "it needs CONFIG_CHECKPOINT_RESTORE; without it only the declared profile can be judged",
        )
    return NotReachable(
        f"reading the seccomp filters of process {pid} failed: {os.strerror(number)}", f"/proc/{pid}", "scan again"
    )


def _own_filter() -> Error | None:
    if _status(os.getpid()).get("Seccomp", "0") in {"0", ""}:
        return None
    return NotPermitted(
        "this process has a seccomp filter itself, so the kernel shows it no other process's filters",
        "/proc/self/status",
        "run on the host, or in a container with seccomp=unconfined",
    )


def _mode(pid: int) -> int | Error:
    """Return the seccomp mode, so that a process without filters is not stopped for nothing."""
    status = _status(pid)
    if not status or status.get("State", "").startswith(("Z", "X")):
        return _gone(pid)
    mode = status.get("Seccomp", "")
    return int(mode) if mode.isdigit() else 2


def _status(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _gone(pid: int) -> NotReachable:
    return NotReachable(f"process {pid} has ended", f"/proc/{pid}", "scan again if it should be running")


def _stubborn(pid: int) -> NotReachable:
    return NotReachable(
        f"process {pid} did not stop within {_PATIENCE_S} s, so its seccomp filters could not be read",
        f"/proc/{pid}/status",
        "it waits in the kernel or is frozen; resume it (docker unpause) and scan again",
    )


def _ptrace(request: int, pid: int, address: int, data: int | None) -> int:
    """Call ptrace(2) and return 0 or the error number."""
    if _library().ptrace(request, pid, address, data) == 0:
        return 0
    return ctypes.get_errno()


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    library.ptrace.restype = ctypes.c_long
    return library
