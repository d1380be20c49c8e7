"""Calls of the kernel that Python has no name for: mount, umount2, System V shared memory, loop devices."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

MS_REC = 0x4000
MS_BIND = 0x1000
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20
PLAIN = frozenset(
    {
        "btrfs", "devtmpfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "squashfs", "tmpfs", "vfat",
        "xfs", "zfs",
    }
)  # fmt: skip
"""File systems on which a look cannot hang. Others may be served by a program or another machine."""
_MNT_DETACH = 2
_IPC_CREAT, _IPC_EXCL, _IPC_RMID = 0o1000, 0o2000, 0
_LOOP_SET_FD, _LOOP_CLR_FD, _LOOP_SET_STATUS64, _LOOP_CTL_GET_FREE = 0x4C00, 0x4C01, 0x4C04, 0x4C82
_LO_FLAGS_AUTOCLEAR = 4

_libc = ctypes.CDLL(None, use_errno=True)
_libc.shmat.restype = ctypes.c_void_p
_libc.shmat.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_libc.shmdt.argtypes = (ctypes.c_void_p,)
_libc.shmget.argtypes = (ctypes.c_int, ctypes.c_size_t, ctypes.c_int)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


def _checked(result: int, where: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), where)
    return result


def mount(source: str, target: str, flags: int, fstype: str = "") -> None:
    """Mount a file system, make a bind mount, or change how a mount propagates.

    Raises:
        OSError: The kernel refused.
    """
    kind = fstype.encode() or None
    _checked(_libc.mount(os.fsencode(source), os.fsencode(target), kind, flags, None), target)


def mount_points() -> list[str]:
    """Return where something is mounted in this mount namespace, in the order it was mounted."""
    return [point for point, _ in _mounted()]


def mounts() -> dict[str, str]:
    """Return the type of the file system that is mounted, uppermost, at each mount point."""
    return dict(_mounted())


def _mounted() -> Iterator[tuple[str, str]]:
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        left, _, right = line.partition(b" - ")
        point = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), left.split(b" ")[4])
        yield os.fsdecode(point), right.split(b" ")[0].decode()


def part_below(folder: str) -> None:
    """Let every mount below a folder hand nothing on any more.

    A recursive bind mount of a host path shares its mounts with the host until it is made private. Unmounting one of
    them before that would unmount the host's own.

    Args:
        folder: Path that ends with ``/``.

    Raises:
        OSError: The kernel refused.
    """
    for path in mount_points():
        if path.startswith(folder):
            try:
                mount("none", path, MS_PRIVATE)
            except FileNotFoundError:
                continue
            except OSError as error:
                # EINVAL: another mount hides it. ``detach`` parts it once that one is gone.
                if error.errno != errno.EINVAL:
                    raise


def detach(path: str) -> None:
    """Unmount lazily everything that is mounted at a path; nothing where nothing is.

    The path is held open and read back first, so that no link in it leads to another mount. What is mounted below it
    is parted from the host first, and goes with it.

    Raises:
        OSError: The kernel refused, or the path leads elsewhere.
    """
    for _ in range(mount_points().count(path)):
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if str(Path(f"/proc/self/fd/{handle}").readlink()) != path:
                raise OSError(40, "the path leads elsewhere", path)
            mount("none", f"/proc/self/fd/{handle}", MS_PRIVATE | MS_REC)
            _checked(_libc.umount2(f"/proc/self/fd/{handle}".encode(), _MNT_DETACH), path)
        finally:
            os.close(handle)


def loops_of(backing: str) -> Iterator[Path]:
    """Find the loop devices that are backed by a file, or by any file below a folder whose path ends with ``/``."""
    for found in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            file = found.read_text(encoding="utf-8", errors="surrogateescape").strip().removesuffix(" (deleted)")
        except OSError:
            continue  # detached meanwhile
        if file == backing or (backing.endswith("/") and file.startswith(backing)):
            yield Path("/dev") / found.parent.parent.name


def clear_loop(device: Path) -> None:
    """Detach a loop device; one that is still open goes when it is closed.

    Raises:
        OSError: The kernel refused.
    """
    handle = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, _LOOP_CLR_FD, 0)
    except OSError as error:
        if error.errno != 6:  # ENXIO: it is detached
            raise
    finally:
        os.close(handle)


def attach_loop(backing: Path) -> tuple[Path, int]:
    """Attach a file to a free loop device that the kernel detaches when nobody has it open any more.

    Returns:
        The device, and the descriptor that keeps it attached.

    Raises:
        OSError: There is no free device, or the kernel refused.
    """
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    file = os.open(backing, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        for _ in range(16):
            device = Path(f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}")
            handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(handle, _LOOP_SET_FD, file)
            except OSError as error:
                os.close(handle)
                if error.errno == 16:  # EBUSY: somebody else was quicker
                    continue
                raise
            try:
                fcntl.ioctl(handle, _LOOP_SET_STATUS64, _loop_info(backing))
            except OSError:
                fcntl.ioctl(handle, _LOOP_CLR_FD, 0)
                os.close(handle)
                raise
            return device, handle
        raise OSError(16, "no loop device stays free", "/dev/loop-control")
    finally:
        os.close(file)
        os.close(control)


def _loop_info(backing: Path) -> bytes:
    """Lay out struct loop_info64: 52 bytes of numbers, flags, 64 of name, 64 + 32 of keys, two numbers."""
    head = bytes(52) + _LO_FLAGS_AUTOCLEAR.to_bytes(4, "little")
    return head + os.fsencode(backing)[:63].ljust(64, b"\0") + bytes(64 + 32 + 16)


def segments() -> Iterator[tuple[int, int, int]]:
    """Return key, id and creator of each System V shared memory segment.

    Raises:
        OSError: They cannot be read.
    """
    for line in Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        yield int(fields[0]), int(fields[1]), int(fields[9])


def make_segment(key: int, content: bytes) -> int:
    """Make a segment of 4096 bytes, mode 0600, with this content; return its id.

    Raises:
        OSError: The key is taken, or the kernel refused.
    """
    number = _checked(_libc.shmget(key, 4096, _IPC_CREAT | _IPC_EXCL | 0o600), f"key {key}")
    address = _libc.shmat(number, None, 0)
    if address in {None, ctypes.c_void_p(-1).value}:
        number_of_error = ctypes.get_errno()
        remove_segment(number)
        raise OSError(number_of_error, os.strerror(number_of_error), f"key {key}")
    ctypes.memmove(address, content, len(content))
    _libc.shmdt(address)
    return number


def unload(module: str) -> bool:
    """Unload a kernel module that nobody uses; return whether it went.

    Source:
        https://man7.org/linux/man-pages/man2/delete_module.2.html
    """
    number = {"x86_64": 176, "aarch64": 106}.get(os.uname().machine)
    return number is not None and _libc.syscall(number, module.encode(), os.O_NONBLOCK) == 0


def remove_segment(number: int) -> None:
    """Remove a segment by its id.

    Raises:
        OSError: The kernel refused.
    """
    _checked(_libc.shmctl(number, _IPC_RMID, None), f"shm {number}")
