"""A process of ours on the host with a secret in its memory, for what a container may do to other processes."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill.journal import Journal, Kind
from holdfast.drill.process_identity import started
from holdfast.model.errors import NotReachable, Unsafe

_PATIENCE_S = 10.0
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
VARIABLE = "HOLDFAST_SECRET"


@dataclass(frozen=True, slots=True)
class Planted:
    """A process on the host.

    Attributes:
        pid: Its number.
        address: Where in its memory the secret lies.
        secret: The token; it is in the variable ``HOLDFAST_SECRET`` of its environment as well.
        process: What waits for it.
    """

    pid: int
    address: int
    secret: str
    process: subprocess.Popen[bytes]

    def end(self) -> None:
        """Kill it and wait for it."""
        self.process.kill()
        self.process.wait()


def copied(probe: Path, place: Path) -> Path:
    """Copy the probe to where everybody can start it.

    Args:
        probe: The program.
        place: Where the copy lies: mode 0755.

    Raises:
        NotReachable: It cannot be copied, or nothing may be started from there.
        Unsafe: The kernel could not be told such a path: it is longer than 100 bytes or has spaces.
    """
    text = str(place)
    if len(os.fsencode(text)) > 100 or set(text) & set(" \t\n|%"):
        raise Unsafe(
            "The path of the probe is not one that the kernel takes", text, "set HOLDFAST_STATE to a short path"
        )
    try:
        if os.statvfs(place.parent).f_flag & os.ST_NOEXEC:
            raise NotReachable(
                "Nothing may be started from the run folder", text, "set HOLDFAST_STATE to a place without noexec"
            )
        shutil.copyfile(probe, place)
        place.chmod(0o755)
    except OSError as error:
        raise NotReachable(f"The probe cannot be copied: {error.strerror}", text) from error
    return place


def planted(journal: Journal, program: Path, secret: str, user: int, *, capabilities: bool) -> Planted:
    """Start ``probe hold`` on the host. It ends with this process, and when the run is over.

    Args:
        journal: Of the run; ``program`` is in it.
        program: The run's own copy of the probe.
        secret: What it keeps in its memory.
        user: Its user and group.
        capabilities: With False it has none and can get none back. Only root has any.

    Raises:
        NotReachable: It does not start, or ``setpriv`` is not installed.
    """
    seconds = max(1, int(journal.expires - time.time()))
    words = [str(program), "hold", str(seconds), secret]
    if user != os.geteuid() or not capabilities:
        setpriv = shutil.which("setpriv", path=_PLACES)
        if setpriv is None:
            raise NotReachable("A process of another user cannot be started", "setpriv", "install util-linux")
        lower = [] if capabilities else ["--inh-caps=-all", "--bounding-set=-all"]
        words = [setpriv, f"--reuid={user}", f"--regid={user}", "--clear-groups", *lower, *words]
    try:
        process = subprocess.Popen(  # noqa: S603 - the words are ours
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={VARIABLE: secret},
            start_new_session=True,
            cwd="/",
        )
    except OSError as error:
        raise NotReachable(f"The probe cannot be started: {error.strerror}", str(program)) from error
    if begin := started(process.pid):
        journal.will(Kind.PROCESS, pid=process.pid, start=begin)
    pid, address = _answered(process, str(program))
    return Planted(pid, address, secret, process)


def _answered(process: subprocess.Popen[bytes], where: str) -> tuple[int, int]:
    told = b""
    if process.stdout is not None:
        if select.select([process.stdout], [], [], _PATIENCE_S)[0]:
            told = os.read(process.stdout.fileno(), 256)
        process.stdout.close()
    with contextlib.suppress(ValueError):
        pid, address = told.split()
        return int(pid), int(address, 16)
    process.kill()
    process.wait()
    raise NotReachable("The planted process does not answer", where, "look whether programs may be started from there")
