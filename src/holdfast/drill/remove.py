"""Remove a folder with what is in it: never across a mount, never through a symbolic link.

What stands in the folder was written by an attacked container, so no path is walked twice: everything is reached
through the descriptor of the folder it lies in.
"""

from __future__ import annotations

import os
from pathlib import Path

DEEPEST = 60
"""A folder that lies deeper is moved up first, so that a hostile depth costs neither stack nor descriptors."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def tree(parent: int, name: str) -> tuple[str, ...]:
    """Remove a folder, or a file, and everything below it.

    Args:
        parent: Descriptor of the folder it lies in.
        name: Its name there.

    Returns:
        What stayed and why, one line each; nothing where all is gone or nothing was there.
    """
    stayed: list[str] = []
    try:
        top = os.open(name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        return ()
    except OSError:
        return _unlinked(parent, name, name)
    try:
        if mount_of(top) != mount_of(parent):
            return (f"{name}: something is mounted there",)
        while _emptied(top, top, name, 0, stayed):
            pass
    finally:
        os.close(top)
    if not stayed:
        try:
            os.rmdir(name, dir_fd=parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            stayed.append(f"{name}: {error.strerror}")
    return tuple(stayed)


def below(handle: int, keep: frozenset[str]) -> tuple[str, ...]:
    """Remove what is in an open folder, but for the names to keep; answers as ``tree`` does."""
    stayed: list[str] = []
    for name in sorted(os.listdir(handle)):
        if name not in keep:
            stayed.extend(tree(handle, name))
    return tuple(stayed)


def mount_of(handle: int) -> int:
    """Return the number of the mount that an open file lies on; bind mounts of one file system differ in it.

    Raises:
        OSError: /proc cannot be read.
    """
    for line in Path(f"/proc/self/fdinfo/{handle}").read_text(encoding="ascii").splitlines():
        if line.startswith("mnt_id:"):
            return int(line.partition(":")[2])
    return -1


def _emptied(handle: int, top: int, shown: str, depth: int, stayed: list[str]) -> bool:
    """Remove what is in a folder; return whether a deeper folder was moved up and the top is to be emptied again."""
    again = False
    here = mount_of(handle)
    for name in os.listdir(handle):
        path = f"{shown}/{name}"
        try:
            inner = os.open(name, _FOLDER, dir_fd=handle)
        except FileNotFoundError:
            continue
        except OSError:
            stayed.extend(_unlinked(handle, name, path))
            continue
        try:
            if mount_of(inner) != here:
                stayed.append(f"{path}: something is mounted there")
                continue
            if depth >= DEEPEST:
                os.rename(name, f"moved-up-{os.fstat(inner).st_ino}", src_dir_fd=handle, dst_dir_fd=top)
                again = True
                continue
            again |= _emptied(inner, top, path, depth + 1, stayed)
            os.rmdir(name, dir_fd=handle)
        except FileNotFoundError:
            continue
        except OSError as error:
            stayed.append(f"{path}: {error.strerror}")
        finally:
            os.close(inner)
    return again and not stayed


def _unlinked(parent: int, name: str, shown: str) -> tuple[str, ...]:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (f"{shown}: {error.strerror}",)
    return ()
