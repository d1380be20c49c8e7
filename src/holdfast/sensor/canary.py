"""Prove that the programs deny: a harmless call that must fail, made by a process that must not feel more than that.

A BPF LSM program loads and attaches on a kernel that was booted without ``bpf`` in ``lsm=``, and is then never asked.
Only a call that was in fact refused tells the two apart.
"""

from __future__ import annotations

import errno
import os
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from holdfast.sensor.deny import Denier

_CHILD = """
import sys
def attempt(path):
    try:
        open(path).close()
        return 0
    except OSError as error:
        return error.errno
before = attempt(sys.argv[1])
print(before, flush=True)
sys.stdin.readline()
print(attempt(sys.argv[1]), attempt(sys.argv[2]), flush=True)
"""
_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Proof:
    """What the attempt showed.

    Attributes:
        enforced: The call went through before it was denied and was refused after that; another one went through.
        told: The refusal was also reported.
        why: One line for people.
        took_s: Seconds, the start of the process included.
    """

    enforced: bool
    told: bool
    why: str
    took_s: float = 0.0


def prove(denier: Denier) -> Proof:
    """Let a child process open a file of its own, deny it, and let it try again.

    Raises:
        OSError: No process or file could be made.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="holdfast-canary-") as folder:
        token = f"canary-{secrets.token_hex(8)}"
        denied, allowed = Path(folder, token), Path(folder, "allowed")
        denied.touch()
        allowed.touch()
        command = [sys.executable, "-I", "-S", "-c", _CHILD, str(denied), str(allowed)]
        with subprocess.Popen(  # noqa: S603 - this interpreter, with a text of its own
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as child:
            try:
                first, then = _ask(denier, child, token)
            finally:
                child.kill()
                denier.uncanary(token)
        records = list(denier.denials())
        told = any(one.canary and one.pid == child.pid for one in records)
    return _judged(first, then, told=told, took_s=time.monotonic() - begin)


def _ask(denier: Denier, child: subprocess.Popen[str], token: str) -> tuple[str, list[str]]:
    if child.stdout is None or child.stdin is None:
        return "", []
    first = child.stdout.readline().strip()
    process = os.pidfd_open(child.pid)
    try:
        denier.canary(process, token)
    finally:
        os.close(process)
    then, _ = child.communicate("\n", timeout=_SECONDS)
    return first, then.split()


def _judged(first: str, then: list[str], *, told: bool, took_s: float) -> Proof:
    if first != "0" or len(then) != 2 or then[1] != "0":
        return Proof(False, told, f"the attempt itself did not work: {first or 'nothing'}, {' '.join(then)}", took_s)
    if then[0] == "0":
        return Proof(False, told, "the programs are attached, and the kernel does not ask them", took_s)
    if then[0] != str(errno.EPERM):
        name = errno.errorcode.get(int(then[0]), then[0])
        return Proof(False, told, f"the call failed with {name}, which is not ours", took_s)
    return Proof(True, told, "a call that was denied failed with EPERM, another one went through", took_s)
