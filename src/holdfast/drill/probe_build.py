"""Compile the probe. Standard library only and no import of this package: the wheel's build hook loads this file."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

MACHINES = ("x86_64", "aarch64")
SOURCES = Path(__file__).parent / "probe"
FLAGS = ("-std=gnu11", "-Os", "-s", "-static", "-Wall", "-Wextra", "-Werror", "-fno-ident")
SECONDS = 600


def sources() -> tuple[Path, ...]:
    """List the C files, in the order in which they are compiled."""
    return tuple(sorted(SOURCES.glob("*.c")))


def fingerprint(machine: str) -> str:
    """Say in 64 hex digits which probe the sources and flags make for a machine."""
    seen = hashlib.sha256("\0".join((machine, *FLAGS)).encode())
    for path in (*sources(), *sorted(SOURCES.glob("*.h"))):
        seen.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return seen.hexdigest()


def build(python: Sequence[str], machine: str, to: Path, cache: Path | None = None) -> None:
    """Compile the probe for one machine.

    The sources are named relative to their folder, so that the outcome does not depend on where they lie.

    Args:
        python: The command of a Python that has ziglang.
        machine: One of ``MACHINES``, as ``uname -m`` says it.
        to: The file to write; made executable (0755).
        cache: Folder of the compiler's cache, made where it is absent; a temporary one where none is given.

    Raises:
        OSError: There is no such Python, or a folder cannot be written.
        subprocess.CalledProcessError: It does not compile; ``stderr`` holds the compiler's words.
        subprocess.TimeoutExpired: It took longer than ``SECONDS``.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-probe-") as spare:
        folder = str(cache or spare)
        command = [*python, "-m", "ziglang", "cc", "-target", f"{machine}-linux-musl", *FLAGS]
        command += [*(path.name for path in sources()), "-o", str(to.absolute())]
        environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder}
        subprocess.run(  # noqa: S603 - the compiler of the build environment, never a word of a person's
            command, cwd=SOURCES, env=environment, check=True, capture_output=True, text=True, timeout=SECONDS
        )
    to.chmod(0o755)
