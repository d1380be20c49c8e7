"""Containers under profiles that are written here: they start, and from inside every refusal is what it should be."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from holdfast.drill.journal import Journal, Kind
from holdfast.drill.starts import HANGS, Program, starts
from holdfast.model.system_call import SystemCall
from holdfast.policies import seccomp
from holdfast.reason.effective.syscall_table import ENTRIES, numbers

pytestmark = pytest.mark.root

TABLES = {entry: numbers(entry) for entry in ENTRIES["x86_64"]}
TIMES = 4
# What a shell of busybox was seen to call, once.
SHELL = (
    "access brk clone close dup2 execve exit_group fcntl fstat getcwd getdents64 geteuid getpid getppid getuid ioctl "
    "kill lseek lstat mmap mprotect munmap nanosleep newfstatat open openat pipe poll prctl prlimit64 read readlink "
    "rt_sigaction rt_sigprocmask rt_sigreturn rseq sendfile set_robust_list set_tid_address socket stat uname wait4 "
    "write arch_prctl getrandom rt_sigsuspend clock_gettime getpgrp statx vfork"
)


def bench() -> ModuleType:
    """Load what ``make bench ARGS=seccomp`` runs: the same programs are started here, fewer times."""
    path = Path(__file__).parent.parent / "bench" / "seccomp.py"
    spec = importlib.util.spec_from_file_location("bench_seccomp", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


BENCH = bench()


@pytest.fixture(scope="module")
def journal() -> Iterator[Journal]:
    with BENCH.run() as opened:
        folder = opened.folder
        yield opened
    assert not folder.exists()


def written(runtime: str, *calls: SystemCall, quiet: bool) -> bytes:
    needs = seccomp.expected(runtime, BENCH.version(runtime), no_new_privileges=quiet)
    return seccomp.write(seccomp.plan(calls, needs, TABLES))


@pytest.mark.parametrize("quiet", [True, False], ids=["no_new_privileges", "plain"])
@pytest.mark.parametrize("runtime", BENCH.RUNTIMES)
@pytest.mark.parametrize("what", BENCH.programs())
def test_a_program_starts_under_its_own_profile(journal: Journal, runtime: str, quiet: bool, what: str) -> None:
    program = BENCH.programs()[what]
    names = SHELL.split() if program.links else ["execve", "exit"]
    profile = written(runtime, *map(SystemCall, names), quiet=quiet)
    found = starts(journal, program, profile, runtime=runtime, no_new_privileges=quiet, times=TIMES)
    assert [one.status for one in found] == [program.ends] * TIMES, found


EPERM, ENOSYS, EAFNOSUPPORT, EFAULT = 1, 38, 97, 14
SIGSYS = 128 + 31
X32 = 0x40000000
CALLS = numbers("x86_64")
INSIDE = {
    "clone3 is not there": (BENCH.calling(CALLS["clone3"], 0, 0), ENOSYS),
    "a call that no rule names is not there": (BENCH.calling(CALLS["getsid"], 0), ENOSYS),
    "keys are not permitted": (BENCH.calling(CALLS["keyctl"], 0, 0), EPERM),
    "userfaultfd is not permitted": (BENCH.calling(CALLS["userfaultfd"], 0), EPERM),
    "io_uring is not permitted": (BENCH.calling(CALLS["io_uring_setup"], 0, 0), EPERM),
    "a family that was recorded passes": (BENCH.calling(CALLS["socketpair"], 1, 1, 0, 0), EFAULT),
    "another family is not supported": (BENCH.calling(CALLS["socket"], 10, 1, 0), EAFNOSUPPORT),
    "AF_ALG is not permitted": (BENCH.calling(CALLS["socket"], 38, 5, 0), EPERM),
    "AF_ALG is not permitted with a bit above": (BENCH.calling(CALLS["socket"], 1 << 32 | 38, 5, 0), EPERM),
    "a namespace is not permitted": (BENCH.calling(CALLS["clone"], 0x10000000, 0), EPERM),
    "TIOCSTI is not permitted": (BENCH.calling(CALLS["ioctl"], 0, 0x5412, 0), EPERM),
    "TIOCSTI is not permitted with a bit above": (BENCH.calling(CALLS["ioctl"], 0, 1 << 32 | 0x5412, 0), EPERM),
    "addresses stay random": (BENCH.calling(CALLS["personality"], 0x0040000), ENOSYS),
    "the 32-bit way in kills": (BENCH.calling(numbers("i386")["getpid"], old=True), SIGSYS),
    "x32 kills": (BENCH.calling(X32 | CALLS["getpid"]), SIGSYS),
}


@pytest.mark.parametrize("said", INSIDE)
def test_from_inside_each_refusal_is_what_it_should_be(journal: Journal, said: str) -> None:
    code, status = INSIDE[said]
    calls = [SystemCall("socket", args=(2,)), *map(SystemCall, ("ioctl", "clone", "personality", "socketpair"))]
    profile = written("crun", *calls, quiet=True)
    program = Program(code, ("/calls",))
    (found,) = starts(journal, program, profile, runtime="crun", no_new_privileges=True, times=1)
    assert found.status == status, found


def test_without_what_the_runtime_needs_it_does_not_start(journal: Journal) -> None:
    """The counting can fail: one name of the runtime's own is taken away."""
    for runtime, name in (("runc", "openat"), ("crun", "execve")):
        document = json.loads(written(runtime, SystemCall("exit"), quiet=True))
        for entry in document["syscalls"]:
            entry["names"] = [one for one in entry["names"] if one not in {name, "openat2", "open"}]
        document["syscalls"] = [entry for entry in document["syscalls"] if entry["names"]]
        profile = json.dumps(document).encode()
        program = BENCH.programs()["a static program"]
        (found,) = starts(journal, program, profile, runtime=runtime, no_new_privileges=True, times=1, longest_s=4)
        assert found.status != program.ends


def test_a_program_that_does_not_end_counts_as_hanging(journal: Journal) -> None:
    pause = BENCH.machine_code(b"\xb8\x22\x00\x00\x00\x0f\x05\xeb\xf7")
    profile = written("crun", SystemCall("pause"), quiet=True)
    found = starts(
        journal, Program(pause, ("/pause",)), profile, runtime="crun", no_new_privileges=True, times=2, longest_s=1
    )
    assert [one.status for one in found] == [HANGS, HANGS]


# --- through an engine ------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def image(journal: Journal) -> str:
    shell = BENCH.programs()["a shell"]
    name = f"holdfast-drill:{journal.id}-shell"
    journal.will(Kind.IMAGE, engine="docker", name=name)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        program = tarfile.TarInfo("bin/sh")
        program.size, program.mode = len(shell.binary), 0o755
        archive.addfile(program, io.BytesIO(shell.binary))
        for link in shell.links:
            entry = tarfile.TarInfo(f"bin/{link}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "sh"
            archive.addfile(entry)
    label = ("--change", f"LABEL holdfast.drill={journal.id}")
    subprocess.run(["docker", "import", *label, "-", name], input=packed.getvalue(), check=True, capture_output=True)
    return name


@pytest.mark.engine
@pytest.mark.parametrize("quiet", [True, False], ids=["no_new_privileges", "plain"])
def test_docker_takes_the_file_and_starts_and_enters_a_container(
    journal: Journal, image: str, quiet: bool, tmp_path: Path
) -> None:
    shell = BENCH.programs()["a shell"]
    path = tmp_path / "profile.json"
    path.write_bytes(written("runc", *map(SystemCall, SHELL.split()), quiet=quiet))
    name = f"holdfast-{journal.id}-docker-{quiet}"
    journal.will(Kind.CONTAINER, engine="docker", name=name)
    options = ["--network", "none", "--label", f"holdfast.drill={journal.id}", "--security-opt", f"seccomp={path}"]
    options += ["--security-opt", "no-new-privileges"] if quiet else []
    line = ["docker", "run", "--detach", "--name", name, *options, image, "/bin/sh", "-c", "PATH=/bin; sleep 60"]
    subprocess.run(line, check=True, capture_output=True)
    entered = subprocess.run(["docker", "exec", name, *shell.command], capture_output=True, check=False)
    assert entered.returncode == shell.ends, entered
    subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)
