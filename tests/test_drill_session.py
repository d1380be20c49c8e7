"""The runner's side of the speech: it never hangs, says what went wrong, and ends only its own process."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drill_speech import copied, do, until
from holdfast.drill import probe_build, probe_file
from holdfast.drill.session import Attempt, Lost, Session
from holdfast.model.errors import Error, NotReachable, NotUnderstood, Unsafe


@pytest.fixture(scope="module")
def program() -> Iterator[str]:
    with copied() as path:
        yield path


def shell(words: str) -> list[str]:
    return ["bash", "-c", words]


ANSWERING = "echo ready 7 1000 0; read x; echo begun a; "
"""A false probe, as far as the first step."""


@contextlib.contextmanager
def begun(words: str) -> Iterator[Attempt]:
    with Session(shell(words)) as session, session.attempt("a") as attempt:
        yield attempt


def test_a_session_knows_who_the_probe_is(program: str) -> None:
    with Session([program, "attempts", "20"]) as session:
        assert (session.uid, session.euid) == (os.getuid(), os.geteuid())
        assert Path(f"/proc/{session.pid}/exe").readlink() == Path(program)
    assert not Path(f"/proc/{session.pid}").exists()


def test_one_session_makes_many_attempts(program: str) -> None:
    with Session([program, "attempts", "20"]) as session:
        for name in ("a", "b", "x.y-z_1"):
            with session.attempt(name) as attempt:
                assert do(attempt, "sleep_ms", 0).result == 0
            assert attempt.ended is not None
        with pytest.raises(Unsafe, match="has ended"):
            do(attempt, "sleep_ms", 0)
        with session.attempt("outer"), pytest.raises(Unsafe, match="has not ended"), session.attempt("inner"):
            pass
        for name in ("", "a b", "x" * 65, "ä"):
            with pytest.raises(NotUnderstood), session.attempt(name):
                pass
        with pytest.raises(KeyError), session.attempt("thrown") as attempt:
            raise KeyError
        assert attempt.ended is not None
    with pytest.raises(Lost), session.attempt("late"):
        pass


def test_a_step_outside_the_closed_set_is_never_sent(program: str, tmp_path: Path) -> None:
    with Session([program, "attempts", "20"]) as session, session.attempt("a") as attempt:
        with pytest.raises(Unsafe):
            attempt.step("exec", {"path": "/bin/sh"})
        with pytest.raises(Unsafe):
            attempt.step("mkdir", {"path": str(tmp_path / "x"), "mode": "777"})
        assert do(attempt, "mkdir", tmp_path / "x").result == 0


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(NotReachable, match="cannot be started"), Session(["/nowhere/docker", "run"]):
        pass


def test_a_replica_that_does_not_start_says_why() -> None:
    command = shell(
        "echo pulling; head -c 300000 /dev/zero | tr '\\0' x >&2; printf '\\033[1mno such image' >&2; exit 125"
    )
    with pytest.raises(NotReachable) as caught, Session(command):
        pass
    assert "exit status 125" in str(caught.value)
    assert str(caught.value.what).endswith("?[1mno such image")
    assert len(str(caught.value)) < 3000
    assert not isinstance(caught.value, Lost)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("exec sleep 60", "not ready within 1 s"),
        ("cat /dev/zero", "The replica did not start"),
        ("exec yes warning", "Something else"),
        ("echo ready x y z; echo ready 1 2; echo ready -1 0 0", "did not start"),
    ],
)
def test_a_command_that_never_says_ready(words: str, told: str) -> None:
    began = time.monotonic()
    with pytest.raises(NotReachable, match=told), Session(shell(words), start_timeout_s=1):
        pass
    assert time.monotonic() - began < 15


def test_warnings_before_ready_are_skipped() -> None:
    with Session(shell("echo WARNING: no swap limit; echo; echo ready 7 1000 0; read x")) as session:
        assert (session.pid, session.uid, session.euid) == (7, 1000, 0)


def test_a_container_that_dies_in_the_middle() -> None:
    with Session(shell(ANSWERING + "read x; echo killed >&2; exit 137")) as session:
        with pytest.raises(Lost, match=r"ended in the middle.*137.*killed"), session.attempt("a") as attempt:
            do(attempt, "sleep_ms", 1)
        with pytest.raises(Lost), session.attempt("b"):
            pass


def test_a_probe_that_does_not_answer() -> None:
    began = time.monotonic()
    with pytest.raises(Lost, match=r"within 0\.5 s"), begun(ANSWERING + "read x; read y") as attempt:
        attempt.step("sleep_ms", {"n": "1"}, timeout_s=0.5)
    assert time.monotonic() - began < 5


def test_a_probe_that_does_not_read() -> None:
    with pytest.raises(Lost), begun("echo ready 7 0 0; read x; echo begun a; exec sleep 3") as attempt:
        attempt.step("write", {"slot": "0", "text": "x" * 65_000}, timeout_s=0.3)


@pytest.mark.parametrize("answer", ["nonsense", "1 2 3 4", "0 0 zz"])
def test_a_probe_that_answers_nonsense(answer: str) -> None:
    with pytest.raises(NotUnderstood), begun(ANSWERING + f"read x; echo '{answer}'; read x") as attempt:
        do(attempt, "sleep_ms", 1)


def test_an_endless_answer() -> None:
    with pytest.raises(Lost), begun(ANSWERING + "read x; tr '\\0' x </dev/zero") as attempt:
        do(attempt, "sleep_ms", 1)


def test_a_chatty_container_does_not_block_the_speech(program: str) -> None:
    loud = shell(f"head -c 3000000 /dev/zero >&2; exec {program} attempts 20")
    with Session(loud) as session, session.attempt("a") as attempt:
        assert do(attempt, "sleep_ms", 0).result == 0


def test_closing_ends_a_command_that_ignores_everything() -> None:
    session = Session(shell("trap '' TERM; echo ready 7 0 0; while :; do sleep 1; done"))
    with session:
        assert session._process is not None
        pid = session._process.pid
        session.close(0.2)
    assert until(lambda: not Path(f"/proc/{pid}").exists())


def test_the_program_is_built_once_and_never_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler is a stand-in here: only where it writes and how it fails matters."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(probe_build, "SOURCES", tmp_path / "sources")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "main.c").write_text("int main(void) { return 0; }")
    compiler = tmp_path / "python"
    monkeypatch.setenv("HOLDFAST_ZIG", str(compiler))
    count = tmp_path / "count"

    def compiles(last: str) -> None:
        words = f'#!/bin/bash\necho x >>{count}\nwhile [ "$1" != -o ]; do shift; done\necho half >"$2"\n{last}\n'
        compiler.write_text(words)
        compiler.chmod(0o755)

    with pytest.raises(NotReachable) as caught:
        probe_file.probe("x86_64")
    assert "HOLDFAST_ZIG" in caught.value.next
    compiles("echo 'main.c:1: error: no' >&2; exit 1")
    with pytest.raises(Error, match=r"main\.c:1: error: no"):
        probe_file.probe("x86_64")
    compiles("exit 0")
    made = probe_file.probe("x86_64")
    assert made.read_text() == "half\n"
    assert made.stat().st_mode & 0o777 == 0o755
    assert probe_file.probe("amd64") == made
    assert probe_file.probe("arm64") != made
    (tmp_path / "sources" / "main.c").write_text("int main(void) { return 1; }")
    assert probe_file.probe("x86_64") != made
    assert count.read_text().count("x") == 4
    assert {path.name.split("-")[0] for path in made.parent.iterdir()} <= {"x86_64", "aarch64", "zig"}
    packaged = tmp_path / "sources" / "probe-x86_64"
    packaged.write_text("")
    assert probe_file.probe("x86_64") == packaged
    monkeypatch.delenv("HOLDFAST_ZIG")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for path in made.parent.glob("aarch64-*"):
        path.unlink()
    with pytest.raises(NotReachable, match="no ziglang"):
        probe_file.probe("aarch64")
