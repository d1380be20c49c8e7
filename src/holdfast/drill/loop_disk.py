"""A small disk of ours on a loop device: what a replica is given in place of the host's disk."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill import kernel_calls
from holdfast.drill.journal import Journal, Kind
from holdfast.model.errors import NotPermitted, NotReachable

SIZE = 8 << 20
_TYPES = ("ext4", "ext3", "ext2")
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


@dataclass(slots=True)
class Disk:
    """A loop device.

    Attributes:
        device: ``/dev/loopN``.
        image: The file behind it, 8 MiB.
        raw_secret: Token at the device's first byte; a file system of the ext family leaves that block alone.
        file_secret: Token in the file ``secret`` (mode 0600) of its file system; empty where it has none.
        fstype: ``ext4``, or empty where no file system could be made.
        handle: Descriptor that keeps the device attached; the kernel detaches it when nobody has it open any more.
    """

    device: Path
    image: Path
    raw_secret: str
    file_secret: str
    fstype: str
    handle: int

    def sync(self) -> None:
        """Bring what was written to the device into the file behind it."""
        os.fsync(self.handle)

    def close(self) -> None:
        """Let go of the device."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


def attached(journal: Journal, raw_secret: str, file_secret: str) -> Disk:
    """Make the image in the run folder and attach it.

    Args:
        journal: Of the run.
        raw_secret: Token for the first bytes, at most 64.
        file_secret: Token for the file in the file system.

    Raises:
        NotReachable: This machine has no loop devices, or none is free.
        NotPermitted: Only root may attach one.
    """
    image = journal.folder / "disk.img"
    try:
        handle = os.open(image, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            # All of it, so that a full disk is told now and not by writes that are lost later.
            os.posix_fallocate(handle, 0, SIZE)
            fstype = _made(journal.folder, image, file_secret)
            os.pwrite(handle, raw_secret.encode()[:64], 0)
            os.fsync(handle)
        finally:
            os.close(handle)
        journal.will(Kind.LOOP, backing=str(image))
        device, keep = kernel_calls.attach_loop(image)
    except PermissionError as error:
        raise NotPermitted(
            "A loop device cannot be attached", str(error.filename or image), "run as root, or leave the disks out"
        ) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NotReachable(
                f"The drill's disk cannot be made: {error.strerror}", str(image), "make room for 8 MiB"
            ) from error
        raise NotReachable(
            f"There is no loop device: {error.strerror}", str(error.filename or image), "load the module loop"
        ) from error
    journal.boundary("loop")
    return Disk(device, image, raw_secret, file_secret if fstype else "", fstype, keep)


def _made(folder: Path, image: Path, file_secret: str) -> str:
    """Make a file system that holds the secret; return its type, empty where that cannot be done."""
    program = shutil.which("mke2fs", path=_PLACES)
    known = {line.split()[-1] for line in Path("/proc/filesystems").read_text(encoding="ascii").splitlines()}
    fstype = next((name for name in _TYPES if name in known), "")
    if program is None or not fstype:
        return ""
    content = folder / "disk"
    content.mkdir(0o700)
    (content / "secret").write_text(file_secret, encoding="ascii")
    (content / "secret").chmod(0o600)
    words = [
        program,
        "-q",
        "-F",
        "-t",
        fstype,
        "-O",
        "^has_journal",
        "-E",
        "root_owner=0:0",
        "-d",
        str(content),
        str(image),
    ]
    answer = subprocess.run(words, capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL)  # noqa: S603
    return fstype if answer.returncode == 0 else ""
