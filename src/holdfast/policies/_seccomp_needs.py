"""What container runtimes call themselves after they have loaded the filter and before the program has begun.

Measured, not copied: a runtime's own calls differ with its version and with no_new_privileges. Without that flag the
filter is loaded before the capabilities are dropped, with it right before execve(2). ``make bench ARGS=seccomp``
measures it again.

Source:
    https://github.com/opencontainers/runc/blob/main/libcontainer/standard_init_linux.go
    https://github.com/containers/crun/blob/main/src/libcrun/container.c
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_METHOD = "strace -f of run with a static program, from the load of the filter to execve, the thread that loads it"


@dataclass(frozen=True, slots=True)
class Needs:
    """A runtime's own calls, and how they were found.

    Attributes:
        runtime: Name of the program.
        version: As it says itself.
        machine: Of uname(2).
        no_new_privileges: Whether the flag was set.
        calls: Every call that was seen.
        strict: Those without which it does not start: each alone was answered with ENOSYS, three starts failed.
        method: How it was measured.
        trials: Starts that were watched.
    """

    runtime: str
    version: str
    machine: str
    no_new_privileges: bool
    calls: frozenset[str]
    strict: frozenset[str]
    method: str
    trials: int


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TRIALS = 6

MEASURED = (
    Needs(
        "runc", "1.1.5", "x86_64", True,
        _names("close epoll_ctl execve fstatfs futex getdents64 getpid openat rt_sigreturn write"),
        _names("close execve fstatfs getdents64 openat write"),
        _METHOD, _TRIALS,
    ),
    Needs(
        "runc", "1.1.5", "x86_64", False,
        _names(
            "capget capset chdir close epoll_ctl execve faccessat2 fcntl fstat fstatfs futex getcwd getdents64 getpid "
            "getppid newfstatat openat prctl read rt_sigreturn setgid setgroups setuid write"
        ),
        _names(
            "capget capset chdir close execve faccessat2 fstat fstatfs getcwd getdents64 getppid newfstatat openat "
            "prctl read setgid setgroups setuid write"
        ),
        _METHOD, _TRIALS,
    ),
    Needs("crun", "1.8.1", "x86_64", True, _names("close execve"), _names("execve"), _METHOD, _TRIALS),
    Needs(
        "crun", "1.8.1", "x86_64", False,
        _names("capset close execve prctl rt_sigaction rt_sigprocmask setresgid setresuid write"),
        _names("capset execve prctl rt_sigaction rt_sigprocmask setresgid setresuid write"),
        _METHOD, _TRIALS,
    ),
)  # fmt: skip

# With the measured calls alone and no_new_privileges, runc fails to start about one time in seven (51 of 60 starts went
# well): the garbage collector or the scheduler of Go happens to run in between. With these, none of 120 failed.
GO_RUNTIME = _names(
    "clone epoll_ctl epoll_pwait exit futex getpid gettid madvise mmap mprotect munmap nanosleep restart_syscall rseq "
    "rt_sigaction rt_sigprocmask rt_sigreturn sched_yield set_robust_list sigaltstack tgkill"
)
_WRITTEN_IN_GO = frozenset({"runc"})

# Seen in the sources of later releases on the way to execve, not measured: other ways to close and to open files.
_LATER = _names("close_range fcntl fstat fstatfs getdents64 openat openat2 readlinkat statx")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a runtime may call.

    Attributes:
        calls: Its own and its language's.
        said: Where they come from, one sentence.
        measured: This very release was measured.
    """

    calls: frozenset[str]
    said: str
    measured: bool


def expected(
    runtime: str = "", version: str = "", *, no_new_privileges: bool | None = None, machine: str = "x86_64"
) -> Expected:
    """Return what a runtime calls between its filter and the program.

    Args:
        runtime: ``runc``, ``crun``; empty where any may be used.
        version: As it says itself; empty where it is not known.
        no_new_privileges: None where both may be.
        machine: Of uname(2).
    """
    near = [*_those(runtime, version, no_new_privileges)]
    exact = bool(near and runtime and version) and {one.machine for one in near} == {machine}
    near = near or [*_those(runtime, "", no_new_privileges)] or list(MEASURED)
    calls = frozenset(name for one in near for name in one.calls)
    if not exact:
        calls |= _LATER
    if any(one.runtime in _WRITTEN_IN_GO for one in near):
        calls |= GO_RUNTIME
    names = ", ".join(dict.fromkeys(f"{one.runtime} {one.version} on {one.machine}" for one in near))
    flags = {one.no_new_privileges for one in near}
    how = "with and without" if len(flags) > 1 else "with" if flags == {True} else "without"
    said = f"measured of {names}, {how} no_new_privileges"
    if not exact:
        asked = f"{runtime} {version}".strip() or "the runtime"
        said += f"; {asked} on {machine} itself was not, so calls of later releases are among them"
    return Expected(calls, said, exact)


def _those(runtime: str, version: str, flag: bool | None) -> Iterator[Needs]:
    for one in MEASURED:
        if runtime in {"", one.runtime} and version in {"", one.version} and flag in {None, one.no_new_privileges}:
            yield one
