"""What stays attached when the sensor ends: links in the BPF file system."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path("/sys/fs/bpf/holdfast/deny")


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Hand out an empty folder that takes the place of another one when the block ends well.

    The old links go last, so that both are attached for a moment and never none. Where the block fails, the old ones
    stay.

    Names have no dot: the BPF file system allows none.

    Raises:
        OSError: It cannot be made.
    """
    fresh, old = folder.with_name(f"{folder.name}_new"), folder.with_name(f"{folder.name}_old")
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in (fresh, old):
        _remove(left)
    fresh.mkdir(mode=0o700)
    try:
        yield fresh
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except BaseException:
        _remove(fresh)
        raise
    _remove(old)


def unpin(folder: Path = FOLDER) -> int:
    """Let everything go that was pinned: nothing is denied any more unless a sensor runs that does.

    Returns:
        How many programs were let go.

    Raises:
        OSError: It cannot be removed.
    """
    found = len(list(folder.iterdir())) if folder.is_dir() else 0
    for one in (folder, folder.with_name(f"{folder.name}_new"), folder.with_name(f"{folder.name}_old")):
        _remove(one)
    return found


def pinned(folder: Path = FOLDER) -> tuple[str, ...]:
    """Return the names of the programs that are pinned."""
    return tuple(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else ()


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)
