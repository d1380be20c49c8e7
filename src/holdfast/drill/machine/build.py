"""The disk of the virtual machine: built once, kept in a cache under the digest of its recipe."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill.machine import archive, kernel, recipe
from holdfast.drill.machine.command import full, need, run
from holdfast.model.errors import Error, NotPermitted, NotReachable

Progress = Callable[[str], None]

PROGRAMS = {
    "apt-get": "apt",
    "cpio": "cpio",
    "debootstrap": "debootstrap",
    "dpkg": "dpkg",
    "mke2fs": "e2fsprogs",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
"""Program -> Debian package."""

FREE_MB = 4096
"""What a build takes at most, in the cache's file system."""

_MADE = "made.json"


@dataclass(frozen=True, slots=True)
class Disk:
    """A built disk with its kernels.

    Attributes:
        folder: Holds ``root.img`` and, for each series, ``SERIES.vmlinuz`` and ``SERIES.initramfs``. Never written to.
        kernels: Series -> release, as ``uname -r`` says it.
    """

    folder: Path
    kernels: dict[str, str]

    @property
    def image(self) -> Path:
        """The root file system."""
        return self.folder / "root.img"


def cache() -> Path:
    """Return the folder of the cache: HOLDFAST_VM_CACHE, or holdfast/vm in the user's own cache folder."""
    named = os.environ.get("HOLDFAST_VM_CACHE")
    if named:
        return Path(named).absolute()
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".cache") / "holdfast/vm"


def cached() -> Disk | None:
    """Return the disk of the present recipe if it was built already."""
    folder = cache() / recipe.digest()
    try:
        made = json.loads((folder / _MADE).read_text(encoding="utf-8"))
        return Disk(folder, made["kernels"])
    except (OSError, ValueError, KeyError):
        return None


def obstacle() -> Error | None:
    """Say why the disk cannot be built here, None if nothing is in the way."""
    if os.uname().machine != "x86_64":
        return NotReachable("The virtual machine's disk is built on x86-64 only", where=os.uname().machine)
    try:
        need(PROGRAMS)
    except NotReachable as error:
        return error
    if os.geteuid() != 0:
        return NotPermitted(
            "Building the virtual machine's disk needs root",
            where=str(cache()),
            next="run the command once as root with HOLDFAST_VM_CACHE set to a folder that you can read",
        )
    return None


def disk(progress: Progress) -> Disk:
    """Return the disk of the present recipe; build it if it is not in the cache.

    A build works in a folder of its own and renames it at the end, so that a disk in the cache is a whole one. What an
    interrupted build leaves is removed by the next.

    Args:
        progress: Told each stage, one line.

    Raises:
        NotPermitted: The disk has to be built, and this is not root.
        NotReachable: Programs are missing, or the archive does not have a kernel.
        Error: A stage failed, or the disk is full.
    """
    found = cached()
    if found:
        return found
    trouble = obstacle()
    if trouble:
        raise trouble
    target = cache() / recipe.digest()
    work = target.with_name(f"{target.name}.building")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.with_name(f"{target.name}.lock"), progress):
            found = cached()  # another build may have ended while this one waited
            if found:
                return found
            _tidy(target.parent)
            _remove(work)
            _remove(target)
            if shutil.disk_usage(target.parent).free < FREE_MB << 20:
                raise full(target.parent)
            try:
                work.mkdir(mode=0o755)
                _fill(work, progress)
                work.rename(target)
            finally:
                _remove(work)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise full(target.parent) from error
        raise Error(f"The disk could not be built: {error.strerror}", where=error.filename or str(target)) from error
    built = cached()
    if built is None:
        raise Error("The disk that was just built is gone", where=str(target))
    return built


@contextmanager
def _alone(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("ab") as lock:
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress("waiting for another build of the same disk")
                told = True
                time.sleep(1)
        yield


def _tidy(parent: Path) -> None:
    """Remove what interrupted builds of other recipes left; a build that is at work holds its lock."""
    for left in parent.glob("*.building"):
        with left.with_suffix(".lock").open("ab") as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(left)


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    # The mounts of a build live in a namespace that ends with it. Should one be here all the same, what lies in it is
    # not ours to remove.
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        if line.split()[4].startswith(f"{folder}/"):
            raise Error("A file system is mounted in the folder of an earlier build", line.split()[4], "umount it")
    shutil.rmtree(folder)


@contextmanager
def _stage(progress: Progress, words: str) -> Iterator[None]:
    begin = time.monotonic()
    progress(words)
    yield
    progress(f"{words}: {time.monotonic() - begin:.0f} s")


def _fill(work: Path, progress: Progress) -> None:
    begin = time.monotonic()
    log, root = work / "log", work / "root"
    places = archive.debian(recipe.SUITE, archive.sources())
    with _stage(progress, f"fetch Debian {recipe.SUITE} from {places[0].address}"):
        words = ["--variant=minbase", "--arch=amd64", f"--include={','.join(recipe.PACKAGES)}"]
        if places[0].keyring:
            words.append(f"--keyring={places[0].keyring}")
        run(["debootstrap", *words, recipe.SUITE, str(root), places[0].address], log, contained=True)
    packages: dict[str, str] = {}
    kernels: dict[str, str] = {}
    with _stage(progress, f"fetch the kernels {' and '.join(recipe.KERNELS)}"):
        packets = kernel.Archive(_folder(work / "apt"), places, log)
        for series in recipe.KERNELS:
            unpacked = _folder(work / f"unpacked-{series}")
            packages[series], kernels[series] = kernel.unpack(packets, series, root, work, unpacked)
            early = _folder(work / f"early-{series}")
            kernel.initramfs(root, kernels[series], work / f"{series}.initramfs", early, log)
    with _stage(progress, "write the disk"):
        _settle(root, log)
        # No journal: every boot begins with the same disk, and what a boot changes is thrown away.
        words = ["-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", "-d", str(root)]
        run(["mke2fs", *words, str(work / "root.img"), f"{recipe.SIZE_MB}M"], log)
    for name in ("root", "apt", *(f"{kind}-{series}" for kind in ("unpacked", "early") for series in recipe.KERNELS)):
        shutil.rmtree(work / name)
    made = {"kernels": kernels, "packages": packages, "seconds": round(time.monotonic() - begin)}
    (work / _MADE).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _settle(root: Path, log: Path) -> None:
    """Put the scripts and the users in; take out what only the building needed."""
    for name, where in recipe.SCRIPTS.items():
        path = root / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(recipe.script(name), encoding="utf-8")
        path.chmod(0o755)
    run(["chroot", str(root), "useradd", "--create-home", "--shell", "/bin/sh", recipe.USER], log)
    run(["chroot", str(root), "useradd", "--system", "--no-create-home", "dockremap"], log)
    numbers = "".join(f"{user}:{first}:65536\n" for user, first in recipe.SUBORDINATE.items())
    for name in ("subuid", "subgid"):
        (root / "etc" / name).write_text(numbers, encoding="utf-8")
    for name in recipe.MASKED:
        (root / "etc/systemd/system" / name).symlink_to("/dev/null")
    (root / "etc/hostname").write_text("vm\n", encoding="utf-8")
    (root / "etc/hosts").write_text("127.0.0.1 localhost vm\n::1 localhost\n", encoding="utf-8")
    (root / "etc/resolv.conf").write_text("", encoding="utf-8")
    for name in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True)
