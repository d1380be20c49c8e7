"""A hundred running containers that do nothing, for measuring. They are removed again, whatever happens."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def missing() -> str:
    """Return what is missing for running containers here; empty where nothing is."""
    if shutil.which("docker") is None or shutil.which("busybox") is None:
        return "docker and busybox are needed"
    answer = subprocess.run(["docker", "version"], capture_output=True, check=False)
    return "" if answer.returncode == 0 else os.environ.get("HOLDFAST_ENGINE") or "no Docker engine answers"


@contextmanager
def image() -> Iterator[str]:
    """Make an image that holds busybox alone; it and its containers are removed in the end."""
    mark = f"hf-bench-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        tools = Path(folder, "bin")
        tools.mkdir()
        shutil.copy(shutil.which("busybox") or "", tools / "busybox")
        for name in ("sh", "sleep"):
            (tools / name).symlink_to("busybox")
        packed = subprocess.run(["tar", "-C", folder, "-c", "."], capture_output=True, check=True).stdout
        subprocess.run(["docker", "import", "-", mark], input=packed, capture_output=True, check=True)
    try:
        yield mark
    finally:
        asked = ["docker", "ps", "--all", "--quiet", "--filter", f"label=holdfast.bench={mark}"]
        ids = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
        if ids:
            subprocess.run(["docker", "rm", "--force", *ids], capture_output=True, check=False)
        subprocess.run(["docker", "rmi", "--force", mark], capture_output=True, check=False)


@contextmanager
def running(count: int) -> Iterator[None]:
    """Start containers, and remove them and their image in the end."""
    with image() as mark:
        for number in range(count):
            subprocess.run(
                [
                    "docker", "run", "-d", "--name", f"{mark}-{number}", "--label", f"holdfast.bench={mark}",
                    "--network", "none", mark, "/bin/sleep", "3600",
                ],
                capture_output=True,
                check=True,
            )  # fmt: skip
        yield
