"""Compile the sensor's programs. Standard library only, no import of this package: the wheel's build hook loads it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

SOURCES = Path(__file__).parent / "bpf"
MACHINES = {"x86_64": "x86"}
FLAGS = (
    "-target",
    "bpfel-freestanding",
    "-mcpu=v3",
    "-O2",
    "-g",
    "-Wall",
    "-Wextra",
    "-Wno-unused-function",
    "-Werror",
)
SECONDS = 300


def programs() -> tuple[str, ...]:
    """List the objects that are made, by the name of their source without ``.bpf.c``."""
    return tuple(sorted(path.name.removesuffix(".bpf.c") for path in SOURCES.glob("*.bpf.c")))


def fingerprint(machine: str) -> str:
    """Say in 64 hex digits which objects the sources and flags make for a machine."""
    seen = hashlib.sha256("\0".join((machine, *FLAGS)).encode())
    for path in sorted(SOURCES.glob("*.[ch]")):
        seen.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return seen.hexdigest()


def build(python: Sequence[str], machine: str, program: str, to: Path, cache: Path | None = None) -> None:
    """Compile one object.

    Args:
        python: The command of a Python that has ziglang.
        machine: A key of ``MACHINES``, as ``uname -m`` says it.
        program: One of ``programs()``.
        to: The file to write.
        cache: Folder of the compiler's cache, made where it is absent; a temporary one where none is given.

    Raises:
        OSError: There is no such Python, or a folder cannot be written.
        subprocess.CalledProcessError: It does not compile; ``stderr`` holds the compiler's words.
        subprocess.TimeoutExpired: It took longer than ``SECONDS``.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-bpf-") as spare:
        folder = str(cache or spare)
        command = [*python, "-m", "ziglang", "cc", *FLAGS, f"-D__TARGET_ARCH_{MACHINES[machine]}"]
        command += ["-c", f"{program}.bpf.c", "-o", str(to.absolute())]
        environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder}
        subprocess.run(  # noqa: S603 - the compiler of the build environment, never a word of a person's
            command, cwd=SOURCES, env=environment, check=True, capture_output=True, text=True, timeout=SECONDS
        )
