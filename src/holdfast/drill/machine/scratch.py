"""Folders for one run of the virtual machine, removed at its end or, after a kill, by the next run."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OWNER = "owner"
"""Locked by the process that the folder belongs to. The kernel lets go of the lock when that process ends, however."""


@contextmanager
def folder(parent: Path) -> Iterator[Path]:
    """Make a folder for as long as the block lasts; remove those whose owners are gone.

    Args:
        parent: Where; made when it is absent.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Nobody sweeps between the making of a folder and the lock on it.
    with (parent / "lock").open("ab") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        _sweep(parent)
        made = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
        owner = (made / _OWNER).open("w", encoding="utf-8")
        fcntl.flock(owner, fcntl.LOCK_EX)
    try:
        owner.write(f"{os.getpid()}\n")
        owner.flush()
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        owner.close()


def _sweep(parent: Path) -> None:
    for left in parent.glob("run-*"):
        try:
            with (left / _OWNER).open("rb") as owner:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:
            shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue  # its owner is at work
