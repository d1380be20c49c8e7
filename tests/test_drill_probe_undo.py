"""What an attempt changed is taken back, whoever dies first: the runner, the probe's worker, or the time."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from drill_speech import copied, do, until
from holdfast.drill.session import Session

PRIVATE_MOUNTS = ("unshare", "--mount", "--propagation", "private")


@pytest.fixture(scope="module")
def program() -> Iterator[str]:
    with copied() as path:
        yield path


def begun(program: str, tmp_path: Path, *, seconds: int = 30) -> subprocess.Popen[bytes]:
    """Start a probe by hand and have it make a folder with a file in it."""
    started = subprocess.Popen(
        [program, "attempts", str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert started.stdin is not None
    assert started.stdout is not None
    lines = ("begin a", f"mkdir|{tmp_path}/made", f"open|{tmp_path}/made/f|wc", f"set|{tmp_path}/setting|new")
    for line in lines:
        started.stdin.write(line.encode() + b"\n")
    heard = b""
    while heard.count(b"\n") < 5:
        more = started.stdout.read(4096)
        assert more
        heard += more
    assert (tmp_path / "setting").read_text() == "new"
    return started


def ended(started: subprocess.Popen[bytes]) -> int:
    try:
        return started.wait(20)
    finally:
        started.kill()
        started.wait()
        for pipe in (started.stdin, started.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def setting(tmp_path: Path) -> Path:
    path = tmp_path / "setting"
    path.write_text("the old value\n")
    return path


def clean(tmp_path: Path) -> bool:
    return [path.name for path in tmp_path.iterdir()] == ["setting"] and (
        tmp_path / "setting"
    ).read_text() == "the old value\n"


@pytest.mark.usefixtures("setting")
def test_the_end_of_the_input_undoes(program: str, tmp_path: Path) -> None:
    started = begun(program, tmp_path)
    assert started.stdin is not None
    started.stdin.close()
    assert ended(started) == 0
    assert clean(tmp_path)


@pytest.mark.usefixtures("setting")
@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_undoes(program: str, tmp_path: Path, which: signal.Signals) -> None:
    started = begun(program, tmp_path)
    started.send_signal(which)
    assert ended(started) == 0
    assert clean(tmp_path)


@pytest.mark.usefixtures("setting")
def test_the_end_of_its_time_undoes(program: str, tmp_path: Path) -> None:
    started = begun(program, tmp_path, seconds=1)
    assert ended(started) == 0
    assert clean(tmp_path)


@pytest.mark.usefixtures("setting")
def test_a_killed_probe_leaves_a_worker_that_undoes(program: str, tmp_path: Path) -> None:
    started = begun(program, tmp_path)
    started.kill()
    assert ended(started) == -signal.SIGKILL
    assert until(lambda: clean(tmp_path))


@pytest.mark.usefixtures("setting")
def test_a_runner_that_is_killed_leaves_nothing(program: str, tmp_path: Path) -> None:
    source = (
        "import sys, time\n"
        "from holdfast.drill.session import Session\n"
        "with Session([sys.argv[1], 'attempts', '60']) as s, s.attempt('a') as a:\n"
        "    a.step('mkdir', {'path': sys.argv[2] + '/made'})\n"
        "    a.step('set', {'path': sys.argv[2] + '/setting', 'text': 'new'})\n"
        "    print(s._process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(holdfast.__file__).parent.parent)}
    with subprocess.Popen(
        [sys.executable, "-c", source, program, str(tmp_path)], stdout=subprocess.PIPE, env=environment
    ) as runner:
        assert runner.stdout is not None
        pid = int(runner.stdout.readline())
        assert not clean(tmp_path)
        runner.kill()
    assert until(lambda: clean(tmp_path))
    assert until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())


def worker_of(session: Session) -> int:
    (child,) = Path(f"/proc/{session.pid}/task/{session.pid}/children").read_text().split()
    return int(child)


@pytest.mark.usefixtures("setting")
def test_a_worker_that_dies_is_answered_for_and_undone(program: str, tmp_path: Path) -> None:
    with Session([program, "attempts", "60"]) as session:
        with session.attempt("a") as attempt:
            do(attempt, "mkdir", tmp_path / "made")
            do(attempt, "open", tmp_path / "made" / "f", "wc")
            do(attempt, "set", tmp_path / "setting", "new")
            os.kill(worker_of(session), signal.SIGKILL)
            answer = do(attempt, "sleep_ms", 1)
            assert (answer.result, answer.errno, answer.data) == (-2, errno.ESRCH, b"signal 9")
            assert answer.lost
            assert do(attempt, "mkdir", tmp_path / "second").lost, "the attempt is over"
        assert attempt.ended is not None
        assert (attempt.ended.undone, attempt.ended.failed) == (3, 0)
        assert clean(tmp_path)
        with session.attempt("b") as attempt:
            assert do(attempt, "sleep_ms", 1).result == 0


@pytest.mark.usefixtures("setting")
def test_a_worker_that_hangs_is_killed_after_ten_seconds(program: str, tmp_path: Path) -> None:
    with Session([program, "attempts", "60"]) as session:
        with session.attempt("a") as attempt:
            do(attempt, "mkdir", tmp_path / "made")
            worker = worker_of(session)
            os.kill(worker, signal.SIGSTOP)
            began = time.monotonic()
            assert do(attempt, "stat", "/").errno == errno.ETIMEDOUT
            assert 9 < time.monotonic() - began < 20
            assert not Path(f"/proc/{worker}").exists()
        assert clean(tmp_path)


@pytest.mark.root
@pytest.mark.usefixtures("setting")
def test_mounts_of_a_worker_that_died_are_taken_back(program: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with Session([*PRIVATE_MOUNTS, program, "attempts", "60"]) as session:
        mounts = Path(f"/proc/{session.pid}/mountinfo")
        before = mounts.read_text()
        with session.attempt("a") as attempt:
            assert do(attempt, "mount", "none", tmp_path / "a", "tmpfs", 0, "").result == 0
            do(attempt, "open", tmp_path / "a" / "f", "wc")
            assert do(attempt, "unshare", 0x20000).result == 0
            assert do(attempt, "mount", "none", tmp_path / "b", "tmpfs", 0, "").result == 0
            assert mounts.read_text() != before
            os.kill(worker_of(session), signal.SIGKILL)
            assert do(attempt, "sleep_ms", 1).lost
        assert attempt.ended is not None
        assert (attempt.ended.undone, attempt.ended.failed) == (3, 0)
        assert mounts.read_text() == before


@pytest.mark.root
def test_a_mount_in_a_namespace_that_was_entered_outlives_its_worker_not_the_attempt(
    program: str, tmp_path: Path
) -> None:
    other = subprocess.Popen([*PRIVATE_MOUNTS, "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        mounts = Path(f"/proc/{other.pid}/mountinfo")
        before = mounts.read_text()
        with Session([program, "attempts", "60"]) as session:
            with session.attempt("a") as attempt:
                do(attempt, "open", f"/proc/{other.pid}/ns/mnt", "r")
                assert do(attempt, "setns", 0, 0).result == 0
                assert do(attempt, "mount", "none", tmp_path, "tmpfs", 0, "").result == 0
                assert mounts.read_text() != before
                os.kill(worker_of(session), signal.SIGKILL)
                assert do(attempt, "sleep_ms", 1).lost
            assert attempt.ended is not None
            assert (attempt.ended.undone, attempt.ended.failed) == (1, 0)
        assert mounts.read_text() == before
    finally:
        other.kill()
        other.wait()
        if other.stdout is not None:
            other.stdout.close()


def test_no_descriptor_and_no_process_is_left_between_attempts(program: str, tmp_path: Path) -> None:
    with Session([program, "attempts", "60"]) as session:
        seen = set()
        for number in range(5):
            with session.attempt(str(number)) as attempt:
                for _ in range(20):
                    assert do(attempt, "open", tmp_path, "d").result >= 0
                do(attempt, "crash")
            children = Path(f"/proc/{session.pid}/task/{session.pid}/children").read_text()
            seen.add((children, len(list(Path(f"/proc/{session.pid}/fd").iterdir()))))
        assert len(seen) == 1
        assert not seen.pop()[0]
