"""What goes into the virtual machine and what comes back: tars on raw disks, which need no driver but the disk's."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from holdfast.drill.machine.flavours import Flavour

OUT_MB = 1024
"""Room for what comes back; the file is sparse."""


def job(flavour: Flavour, command: Sequence[str], seconds: int, *, as_root: bool = False) -> dict[str, str]:
    """Return the files that tell the guest what to do, name -> text.

    Args:
        flavour: The kind of host.
        command: Run in the payload folder.
        seconds: When the command ends at the latest, after the start of the kernel.
        as_root: The command runs as root even where the flavour's engine does not; ``HOLDFAST_AS_USER`` then holds the
            words that go before a call of the engine.
    """
    variables = {
        "init": flavour.init,
        "engine": flavour.engine,
        "cgroup": flavour.cgroup,
        "userns_remap": "yes" if flavour.userns_remap else "no",
        "user": flavour.user,
        "seconds": str(seconds),
        "as_root": "yes" if as_root else "no",
    }
    return {
        "flavour": "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()),
        "command": "export PYTHONPATH=/payload/python "
        f"HOLDFAST_VM={shlex.quote(flavour.name)}\nexec {shlex.join(command)}\n",
    }


def pack(payload: Path, files: dict[str, str], target: Path) -> None:
    """Write the second disk: `/payload` and `/job`, all owned by root.

    Args:
        payload: A folder; links are packed as links.
        files: The job's files.
        target: The disk to write.

    Raises:
        OSError: A file cannot be read, or the disk is full.
    """

    def root(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(payload, "payload", filter=root)
        for name, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(f"job/{name}")
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    size = target.stat().st_size
    os.truncate(target, -(-size // 2**20) * 2**20)


def blank(target: Path) -> None:
    """Write the third disk, empty."""
    with target.open("wb") as file:
        file.truncate(OUT_MB << 20)


def unpack(disk: Path, into: Path) -> bool:
    """Take the files and folders off the third disk; links, devices and names that lead outside are left.

    Args:
        disk: The third disk.
        into: A folder.

    Returns:
        Whether the disk held a whole tar.
    """
    seen = False
    try:
        with tarfile.open(disk, "r:") as tar:
            for member in tar:
                seen = True
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    continue
                place = into.joinpath(*path.parts)
                if member.isdir():
                    place.mkdir(parents=True, exist_ok=True)
                elif member.isreg():
                    source = tar.extractfile(member)
                    if source is None:
                        continue
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.unlink(missing_ok=True)
                    with place.open("xb") as file:
                        shutil.copyfileobj(source, file)
                    place.chmod(0o755 if member.mode & 0o100 else 0o644)
    except tarfile.TarError:
        return False
    return seen  # the guest's tar has the folder itself at least
