"""Where the run folders lie, and the look that tells ours from one that somebody else put there.

A run folder is read by root and says what is to be deleted and killed. So it counts only when nobody but root, or the
user who runs this, could have written it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.model.errors import NotPermitted, NotReachable, Unsafe

NAME = re.compile(r"[a-z0-9]{8,32}")
"""How a run is called. No dot and no slash: the name is used in paths, labels and names of containers."""
MODE = 0o711
"""The kernel and a mapped user walk through to what is planted below; nobody but the owner lists it."""


def runs() -> Path:
    """Return the folder that holds one folder for each run; it need not be there yet.

    ``HOLDFAST_STATE`` names another place than ``/var/lib/holdfast`` (root) or ``$XDG_STATE_HOME/holdfast``.
    """
    if chosen := os.environ.get("HOLDFAST_STATE"):
        state = Path(chosen)
    elif os.geteuid() == 0:
        state = Path("/var/lib/holdfast")
    else:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "holdfast"
    return Path(os.path.realpath(state)) / "drill"


def made() -> Path:
    """Make the folder of all runs where it is absent, and check it.

    Raises:
        NotReachable: It cannot be made.
        NotPermitted: The kernel refuses.
        Unsafe: Somebody else could write it.
    """
    path = runs()
    try:
        for part in (path.parent, path):
            with contextlib.suppress(FileExistsError):
                part.mkdir(mode=MODE, parents=True)
                part.chmod(MODE)  # whatever the umask is: other users walk through
    except PermissionError as error:
        raise NotPermitted(
            "The folder for drills cannot be made", str(path), "run as root or set HOLDFAST_STATE"
        ) from error
    except OSError as error:
        raise NotReachable(
            f"The folder for drills cannot be made: {error.strerror}", str(path), "set HOLDFAST_STATE to another folder"
        ) from error
    for part in (path.parent, path):
        os.close(opened(part))
    return path


def opened(path: Path) -> int:
    """Open a folder of ours.

    Returns:
        A descriptor of the directory.

    Raises:
        Unsafe: It is a symbolic link or no folder, or somebody else owns it or may write it.
        NotReachable: It is not there.
        NotPermitted: The kernel refuses.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotReachable("There is no such run folder", str(path)) from error
    except PermissionError as error:
        raise NotPermitted("The run folder cannot be opened", str(path), "run as its owner") from error
    except OSError as error:  # ELOOP or ENOTDIR: a link or a file stands where the folder belongs
        raise Unsafe("The run folder is a link or a file", str(path), "look who put it there and remove it") from error
    seen = os.fstat(handle)
    wrong = ""
    if seen.st_uid not in {0, os.geteuid()}:
        wrong = f"belongs to user {seen.st_uid}"
    elif stat.S_IMODE(seen.st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
        wrong = "may be written by others"
    if wrong:
        os.close(handle)
        raise Unsafe(f"The run folder {wrong}", str(path), "look who put it there and remove it")
    return handle


@contextmanager
def locked(handle: int, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a folder; it ends with the process, however that ends.

    Args:
        handle: Descriptor of the folder.
        wait: Wait for whoever has it. With False, yield False at once where somebody has it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)
