"""Programs that the building of the disk needs: found, run, and ended with their parent."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from holdfast.model.errors import Error, NotReachable

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian keeps debootstrap and mke2fs; not on the path of every shell."""

DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
"""Words before a command that the kernel is to end when the thread that started it ends, however it ends.

Source:
    PR_SET_PDEATHSIG(2const), setpriv(1)
"""

CONTAINED = (*DIES_WITH_PARENT, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""The same for a command that starts others and mounts: all of them, and the mounts, go with it."""

LINES = 12
"""How many lines of a program's last words an error quotes."""


def path() -> str:
    """Return the search path with the administrator's folders on it."""
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:{SBIN}"


def need(programs: Mapping[str, str]) -> None:
    """Check that programs are installed.

    Args:
        programs: Program -> Debian package that holds it.

    Raises:
        NotReachable: Some are missing; the next step is the command that installs them.
    """
    missing = {name: package for name, package in programs.items() if not shutil.which(name, path=path())}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise NotReachable(
            f"The virtual machine needs programs that are not installed: {', '.join(missing)}",
            next=f"apt-get install --no-install-recommends {packages}",
        )


def last_lines(text: str, count: int = LINES) -> str:
    """Return the last lines of a program's output without control characters, indented for an error."""
    plain = "".join(one if one.isprintable() or one == "\n" else " " for one in text.replace("\r", "\n"))
    lines = [line.rstrip()[:200] for line in plain.splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in lines[-count:])


def run(argv: Sequence[str], log: Path, *, env: Iterable[tuple[str, str]] = (), contained: bool = False) -> str:
    """Run a program to its end.

    Args:
        argv: The program and its arguments.
        log: What it writes to the standard error is appended here, and its output too when it fails.
        env: Further variables.
        contained: The program starts others and mounts file systems.

    Returns:
        Its standard output.

    Raises:
        Error: It failed; the last lines of its output are quoted.
    """
    words = [*(CONTAINED if contained else DIES_WITH_PARENT), *argv]
    variables = {**os.environ, "PATH": path(), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", **dict(env)}
    with log.open("ab") as err:
        begin = err.tell()
        process = subprocess.Popen(  # noqa: S603 - fixed programs, arguments from the recipe
            words, stdout=subprocess.PIPE, stderr=err, stdin=subprocess.DEVNULL, env=variables
        )
        with process:
            try:
                data, _ = process.communicate()
            except BaseException:
                process.kill()
                # All that were started hold the pipe; it ends when the last of them has.
                process.communicate()
                raise
    out = data.decode(errors="replace")
    if process.returncode:
        with log.open("rb") as file:
            file.seek(begin)
            said = out + file.read().decode(errors="replace")
        if "No space left on device" in said:
            raise full(log.parent)
        raise Error(f"{argv[0]} failed with {process.returncode}:\n{last_lines(said)}", where=" ".join(argv[:4]))
    return out


def full(folder: Path) -> Error:
    """Return the error of a full disk."""
    return Error(
        "The disk is full",
        where=str(folder),
        next="make 4 GB free there, or name another folder with HOLDFAST_VM_CACHE",
    )
