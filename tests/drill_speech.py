"""The probe's program where everybody may run it, and short words for speaking with it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from holdfast.drill.acts import ACTS, Answer
from holdfast.drill.probe_file import probe
from holdfast.drill.session import Attempt, Session

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@contextlib.contextmanager
def copied() -> Iterator[str]:
    """Copy the program to where every user may run it; the folder it was built in may be closed to others."""
    with tempfile.TemporaryDirectory(prefix="holdfast-probe-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        to = Path(folder) / "probe"
        shutil.copy(probe(), to)
        to.chmod(0o755)
        yield str(to)


@contextlib.contextmanager
def speaking(program: str, *before: str, seconds: int = 60) -> Iterator[Attempt]:
    with Session([*before, program, "attempts", str(seconds)]) as session, session.attempt("test") as attempt:
        yield attempt


def do(attempt: Attempt, act: str, *words: object) -> Answer:
    return attempt.step(act, dict(zip(ACTS[act], map(str, words), strict=True)))


def raw(program: str, said: bytes, *, seconds: int = 30) -> list[str]:
    ran = subprocess.run([program, "attempts", "20"], input=said, capture_output=True, timeout=seconds, check=True)
    return ran.stdout.decode().splitlines()[1:]


def until(true: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
