"""Find a compiled object: the packaged one, or one that is built from the sources here and now."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from holdfast.model.errors import Error, NotReachable
from holdfast.sensor import bpf_build

_NEXT = "install Holdfast from a wheel, or name a Python that has ziglang in HOLDFAST_ZIG"


def image(program: str) -> bytes:
    """Return a compiled object, an ELF file; built once, into the cache folder, where it was not packaged.

    Args:
        program: One of ``bpf_build.programs()``.

    Raises:
        NotReachable: There are no programs for this machine type, or none were packaged and they cannot be built.
        Error: It does not compile.
    """
    machine = platform.machine()
    if machine not in bpf_build.MACHINES:
        raise NotReachable(f"There is no sensor for the machine type {machine}", "watch", "watch on x86_64")
    packaged = bpf_build.SOURCES / f"{program}-{machine}.o"
    found = packaged if packaged.is_file() else _built(program, machine)
    try:
        return found.read_bytes()
    except OSError as error:
        raise NotReachable(f"The sensor's program cannot be read: {error.strerror}", str(found), _NEXT) from error


def _built(program: str, machine: str) -> Path:
    named = os.environ.get("XDG_CACHE_HOME", "")
    # The standard says that a relative path there is to be ignored.
    folder = (Path(named) if named.startswith("/") else Path.home() / ".cache") / "holdfast" / "bpf"
    found = folder / f"{program}-{machine}-{bpf_build.fingerprint(machine)[:16]}.o"
    if found.is_file():
        return found
    python = os.environ.get("HOLDFAST_ZIG", "") or (sys.executable if importlib.util.find_spec("ziglang") else "")
    if not python:
        raise NotReachable("The sensor was not packaged, and there is no ziglang to build it with", "watch", _NEXT)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as making:
            made = Path(making) / "made.o"
            bpf_build.build([python], machine, program, made, folder / "zig")
            made.replace(found)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotReachable(f"The sensor's program cannot be built: {error}", str(folder), _NEXT) from error
    except subprocess.CalledProcessError as error:
        raise Error(f"The sensor does not compile: {str(error.stderr)[-2000:]}", str(bpf_build.SOURCES)) from error
    return found
