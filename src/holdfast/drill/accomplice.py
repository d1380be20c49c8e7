"""An ordinary user of the host who starts what an attempt left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from pathlib import Path

_NOBODY = 65534
_SECONDS = 10


def nobody_starts(path: Path) -> bool:
    """Start a program as an ordinary user and tell whether it says that it has root's rights.

    A sandbox may hold the file open for writing, so that it cannot be started before the sandbox ends. Then a copy with
    the same owner and mode is started in its stead.

    Args:
        path: The copy of the probe that the attempt left; started by somebody else it only tells its user.
    """
    try:
        return _tells_root(path)
    except OSError as error:
        if error.errno != errno.ETXTBSY:
            return False
    except subprocess.SubprocessError:
        return False
    twin = path.with_name(f"{path.name}-twin")
    try:
        seen = path.stat()
        shutil.copyfile(path, twin)
        os.chown(twin, seen.st_uid, seen.st_gid)
        twin.chmod(seen.st_mode & 0o7777)
        return _tells_root(twin)
    except (OSError, subprocess.SubprocessError):
        return False
    finally:
        with contextlib.suppress(OSError):
            twin.unlink()


def _tells_root(path: Path) -> bool:
    answer = subprocess.run(  # noqa: S603 - it only tells its user
        [str(path), "euid"],
        capture_output=True,
        timeout=_SECONDS,
        check=False,
        user=_NOBODY,
        group=_NOBODY,
        extra_groups=[],
    )
    return answer.returncode == 0 and answer.stdout.split()[-1:] == [b"0"]
