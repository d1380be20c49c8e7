"""Whether a seccomp profile that is made from a recording starts every time, and what runtimes call themselves."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.collect import libseccomp
from holdfast.drill import reaper
from holdfast.drill.journal import Journal, new_id
from holdfast.drill.starts import Program, Start, starts
from holdfast.model.system_call import SystemCall
from holdfast.policies import seccomp
from holdfast.reason.effective.seccomp_paths import Filters
from holdfast.reason.effective.syscall_table import ENTRIES, numbers
from holdfast.reason.seccomp_replay import Compiled, replay, untested

TIMES = 30
MOST_NAMES = 120
RUNTIMES = ("runc", "crun")
LIFE_S = 1800
SCRIPT = (
    "trap : USR1; kill -USR1 $$; for n in 1 2 3; do echo $n | cat >/dev/null; done; "
    "ls -l / >/dev/null; sleep 0.01 & wait; exit 7"
)
APPLETS = ("busybox", "cat", "ls", "sleep")
TRACE = ("strace", "--follow-forks", "--raw=all", "--trace=all", "--signal=none", "--quiet=all")
_CALL = re.compile(r"(\d+) +([a-z_0-9]+)\((.*)")
# The filter is loaded by prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER) or by seccomp(SECCOMP_SET_MODE_FILTER) with a
# program; libseccomp asks seccomp(2) without one what the kernel can do.
_LOADS = re.compile(r"prctl\(0x16, 0x2, |seccomp\(0x1, (0|0x[0-9a-f]+), 0x")
OPEN = (
    b'{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], '
    b'"syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}'
)


def machine_code(code: bytes) -> bytes:
    """Return a static x86-64 ELF program of some machine code."""
    size, start = 120 + len(code), 0x400000
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, start + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 0x1000) + code


def calling(number: int, *args: int, old: bool = False) -> bytes:
    """Return a program that makes one call and ends with its errno; ``old`` by the 32-bit way into the kernel."""
    registers = (b"\x48\xbf", b"\x48\xbe", b"\x48\xba", b"\x49\xba")
    code = b"".join(register + struct.pack("<Q", value) for register, value in zip(registers, args, strict=False))
    code += b"\xb8" + struct.pack("<I", number) + (b"\xcd\x80" if old else b"\x0f\x05")
    return machine_code(code + b"\xf7\xd8\x89\xc7\xb8\xe7\x00\x00\x00\x0f\x05")


NOTHING = machine_code(b"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05")
"""A program that only ends, with status 0."""


def programs() -> dict[str, Program]:
    """Return what is started: a static program, and a shell with a few others of busybox."""
    busybox = Path(shutil.which("busybox") or "/bin/busybox").read_bytes()
    return {
        "a static program": Program(NOTHING, ("/nothing",)),
        "a shell": Program(busybox, ("/bin/sh", "-c", f"PATH=/bin; {SCRIPT}"), APPLETS, 7),
    }


@contextmanager
def run() -> Iterator[Journal]:
    """Open a run and undo it at the end."""
    journal = Journal.open(new_id(), LIFE_S)
    try:
        yield journal
    finally:
        reaper.finish(journal)


def recorded(program: Program, times: int = 3) -> frozenset[SystemCall]:
    """Record a program on this machine, outside of a container."""
    found: set[SystemCall] = set()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        folder = Path(name)
        place = folder / Path(program.command[0]).name
        place.write_bytes(program.binary)
        place.chmod(0o755)
        for link in program.links:
            (folder / link).symlink_to(place.name)
        words = [one.replace("PATH=/bin", f"PATH={folder}") for one in program.command[1:]]
        for _ in range(times):
            line = [*TRACE, f"--output={folder}/trace", str(place), *words]
            ended = subprocess.run(line, check=False, capture_output=True)
            assert ended.returncode == program.ends, ended
            for one in (folder / "trace").read_text(encoding="ascii", errors="replace").splitlines():
                if match := _CALL.fullmatch(one):
                    found.add(SystemCall(match[2], "x86_64", tuple(_values(match[3]))))
    return frozenset(one for one in found if one.name in numbers("x86_64"))


def _values(text: str) -> Iterator[int]:
    for word in re.split(r"\)| <unfinished", text)[0].split(", "):
        if not re.fullmatch(r"-?(0x[0-9a-f]+|\d+)", word):
            return
        yield int(word, 0) & (1 << 64) - 1


@dataclass(frozen=True)
class Measured:
    """A runtime's own calls: ``always`` in every trial, ``seen`` in any."""

    runtime: str
    no_new_privileges: bool
    trials: int
    always: frozenset[str]
    seen: frozenset[str]


def own_calls(journal: Journal, runtime: str, *, no_new_privileges: bool, trials: int = 6) -> Measured:
    """Watch a runtime from the load of the filter to the program's start."""
    trace = journal.folder / "trace"
    each = []
    for _ in range(trials):
        (one,) = starts(
            journal, Program(NOTHING, ("/nothing",)), OPEN, runtime=runtime, no_new_privileges=no_new_privileges,
            times=1, before=(*TRACE, f"--output={trace}"),
        )  # fmt: skip
        assert one.status == 0, one
        each.append(_between(trace.read_text(encoding="ascii", errors="replace").splitlines()))
    return Measured(runtime, no_new_privileges, trials, frozenset.intersection(*each), frozenset().union(*each))


def _between(lines: list[str]) -> frozenset[str]:
    load = max(number for number, line in enumerate(lines) if _LOADS.search(line))
    loader = lines[load].split()[0]
    found = []
    for line in lines[load + 1 :]:
        match = _CALL.fullmatch(line)
        if match and match[1] == loader:
            found.append(match[2])
            if match[2] == "execve":
                return frozenset(found)
    raise AssertionError("the program was never started")


def profile(
    calls: Iterable[SystemCall], runtime: str, version: str, *, no_new_privileges: bool | None = None
) -> seccomp.Plan:
    """Plan the profile of a program for a runtime."""
    tables = {entry: numbers(entry) for entry in ENTRIES["x86_64"]}
    needs = seccomp.expected(runtime, version, no_new_privileges=no_new_privileges)
    return seccomp.plan(calls, needs, tables)


def version(runtime: str) -> str:
    """Return a runtime's version without what a distribution adds."""
    said = subprocess.run([runtime, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+(\.\d+)*)", said)
    return found[1] if found else ""


def expected(runtime: str, version: str, *, no_new_privileges: bool) -> frozenset[str]:
    """Return what a profile lets a runtime call."""
    return seccomp.expected(runtime, version, no_new_privileges=no_new_privileges).calls | set(seccomp.ALWAYS)


def bad(found: tuple[Start, ...], program: Program) -> list[Start]:
    """Return the starts that did not end as they should."""
    return [one for one in found if one.status != program.ends]


@dataclass(frozen=True)
class Started:
    """Starts under one profile."""

    well: bool
    told: str


def started(journal: Journal, program: Program, runtime: str, quiet: bool) -> Started:
    """Plan a profile, check it without a kernel, and start the program with it."""
    calls = recorded(program)
    planned = profile(calls, runtime, version(runtime), no_new_privileges=quiet)
    written = seccomp.write(planned)
    compiled = libseccomp.compiled(json.loads(written))
    outcome = replay(Compiled(Filters((compiled,))), calls)
    known = calls | {
        SystemCall(name)
        for one in seccomp.MEASURED
        if one.runtime == runtime and one.no_new_privileges is quiet
        for name in one.calls
    }
    found = starts(journal, program, written, runtime=runtime, no_new_privileges=quiet, times=TIMES)
    failed = bad(found, program)
    parts = [
        f"{TIMES - len(failed)} of {TIMES}",
        f"{len(planned.allowed)} names",
        f"{len(compiled) // 8} instructions",
        f"{len(untested(json.loads(written), sorted(known, key=str)))} names that no replay needs",
    ]
    if not outcome.holds:
        parts.append(f"refused {outcome.refused}, open {outcome.openings}")
    if failed:
        parts.append(f"{failed[0].status} {failed[0].said}")
    return Started(not failed and outcome.holds and len(planned.allowed) < MOST_NAMES, "; ".join(parts))
