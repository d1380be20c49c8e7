"""Real containers for the collectors' tests: one image from busybox, containers that are removed again."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = f"hf-collectors-{os.getpid()}"
IMAGE = f"{PREFIX}-box:1"
BUSYBOX = "/bin/busybox"
PROGRAMS = ("sh", "sleep", "cat", "mount", "umount", "mkdir")


def tree(folder: Path) -> Path:
    """Lay out a root file system that holds nothing but busybox."""
    (folder / "bin").mkdir(parents=True)
    for name in ("dev", "etc", "proc", "sys", "tmp"):
        (folder / name).mkdir()
    shutil.copy(BUSYBOX, folder / "bin" / "busybox")
    for name in PROGRAMS:
        (folder / "bin" / name).symlink_to("busybox")
    return folder


def docker(*words: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode:
        raise AssertionError(f"docker {words[0]}: {done.stderr}")
    return done.stdout.strip()


@contextmanager
def image(folder: Path) -> Iterator[str]:
    """Import the image; remove it afterwards, with every container that was made from it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(tree(folder / "box"), arcname=".")
    subprocess.run(
        ["docker", "import", "-", IMAGE], input=packed.getvalue(), capture_output=True, timeout=60, check=True
    )
    try:
        yield IMAGE
    finally:
        left = docker("ps", "-aq", "--filter", f"name={PREFIX}", check=False).split()
        if left:
            docker("rm", "-f", *left, check=False)
        docker("rmi", "-f", IMAGE, check=False)


@contextmanager
def container(*options: str, name: str = "one", command: tuple[str, ...] = ("/bin/sleep", "300")) -> Iterator[str]:
    """Start a container; yields its full id."""
    identity = docker("run", "-d", "--name", f"{PREFIX}-{name}", *options, IMAGE, *command)
    try:
        yield identity
    finally:
        docker("rm", "-f", identity, check=False)


def first_pid(identity: str) -> int:
    return int(docker("inspect", "-f", "{{.State.Pid}}", identity))


@contextmanager
def started(*words: str, user: int | None = None, stdin: int | None = None) -> Iterator[int]:
    """Start an ordinary process; yields its id once it runs what it was told to run."""
    process = subprocess.Popen(
        words, user=user, group=user, extra_groups=[] if user else None, stdin=stdin, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process.pid
    finally:
        for pid in (*children(process.pid), process.pid):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        process.wait()


def children(pid: int) -> tuple[int, ...]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return ()
    own = tuple(int(one) for one in text.split())
    return (*own, *(deeper for one in own for deeper in children(one)))


def program_of(pid: int, name: str) -> int:
    """Wait until the process, or a child of it, runs the program; return its id."""
    for _ in range(500):
        for one in (pid, *children(pid)):
            try:
                words = Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if words[0].decode().endswith(name):
                return one
        time.sleep(0.01)
    raise AssertionError(f"{name} never started below {pid}")
