"""Find the probe's program for a machine: the packaged one, or one that is built from the sources here and now."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from holdfast.drill import probe_build
from holdfast.model.errors import Error, NotReachable

_NAMES = {"amd64": "x86_64", "arm64": "aarch64"}
_NEXT = "install Holdfast from a wheel, or name a Python that has ziglang in HOLDFAST_ZIG"


def probe(machine: str = "") -> Path:
    """Find the program, and build it once where it was not packaged.

    What is built lies in ``$XDG_CACHE_HOME/holdfast/probe`` (default ``~/.cache``) under a name that changes with the
    sources, mode 0755 in a folder of mode 0700.

    Args:
        machine: As ``uname -m`` says it: ``x86_64`` or ``aarch64``; this machine's where it is empty.

    Returns:
        A static ELF program. Whoever hands it to somebody else copies it: its folder may be closed to others.

    Raises:
        NotReachable: There is no probe for such a machine, or none was packaged and it cannot be built.
        Error: It does not compile.
    """
    name = machine or platform.machine()
    name = _NAMES.get(name.lower(), name)
    if name not in probe_build.MACHINES:
        raise NotReachable(f"There is no probe for the machine type {name}", "drill", "drill on x86_64 or aarch64")
    packaged = probe_build.SOURCES / f"probe-{name}"
    return packaged if packaged.is_file() else _built(name)


def _built(machine: str) -> Path:
    folder = _cache()
    found = folder / f"{machine}-{probe_build.fingerprint(machine)[:16]}"
    if found.is_file():
        return found
    python = _python()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as making:
            made = Path(making) / "probe"
            probe_build.build(python, machine, made, folder / "zig")
            made.replace(found)
    except OSError as error:
        raise NotReachable(f"The probe cannot be built: {error.strerror}", str(folder), _NEXT) from error
    except subprocess.TimeoutExpired as error:
        raise Error(f"Building the probe took longer than {probe_build.SECONDS} s", str(folder), _NEXT) from error
    except subprocess.CalledProcessError as error:
        raise Error(f"The probe does not compile: {str(error.stderr)[-2000:]}", str(probe_build.SOURCES)) from error
    return found


def _cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME", "")
    # The standard says that a relative path there is to be ignored.
    return (Path(named) if named.startswith("/") else Path.home() / ".cache") / "holdfast" / "probe"


def _python() -> list[str]:
    named = os.environ.get("HOLDFAST_ZIG", "")
    if named:
        return [named]
    if importlib.util.find_spec("ziglang") is None:
        raise NotReachable("The probe was not packaged, and there is no ziglang to build it with", "drill", _NEXT)
    return [sys.executable]
