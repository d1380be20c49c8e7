"""Bring what the distribution's package database says about engines and runtimes.

Versions of packages count, not what a program says of itself: distributions fix old versions in place.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from holdfast.collect.reading import failure, read_bytes
from holdfast.model.errors import Error, NotReachable

LIMIT = 64 << 20
NAMES = frozenset(
    {
        "apparmor", "aardvark-dns", "buildah", "buildkit", "conmon", "containerd", "containerd.io", "containers-common",
        "containernetworking-plugins", "cri-o", "cri-o-runc", "cri-tools", "crun", "docker", "docker-ce",
        "docker-ce-cli", "docker-ce-rootless-extras", "docker-engine", "docker.io", "docker-buildx-plugin",
        "docker-compose-plugin", "golang-github-containers-common", "gvisor", "kata-containers", "kubelet",
        "kubernetes-kubelet", "libseccomp", "libseccomp2", "lxc", "lxcfs", "lxd", "incus", "moby-containerd",
        "moby-engine", "moby-runc", "nerdctl", "nvidia-container-toolkit", "podman", "podman-docker", "runc",
        "runsc", "systemd", "systemd-container", "udev",
    }
)  # fmt: skip
"""Packages that some word of the engine, or a technique's versions, may ask for."""

_RPM_STORES = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
_FIELD = re.compile(rb"^(?:Package|P): ?(.+)$", re.MULTILINE)
_MATCHES = 500


def package_records(base: str) -> dict[str, str | Error]:
    """Read the databases that are there: dpkg, apk, rpm.

    Args:
        base: Root of the host's file tree, without a trailing slash; empty for this machine.

    Returns:
        The paragraphs of the packages in NAMES, in each database's own form, by path; ``rpm:`` for rpm, whose
        database only rpm itself reads.
    """
    found: dict[str, str | Error] = {}
    for path in ("/var/lib/dpkg/status", "/lib/apk/db/installed"):
        found[path] = _paragraphs(base + path)
    if any(Path(base + store).is_dir() for store in _RPM_STORES):
        found["rpm:"] = _rpm(base)
    return found


def _paragraphs(path: str) -> str | Error:
    data = read_bytes(path, LIMIT)
    if isinstance(data, Error):
        return data
    kept: list[str] = []
    for paragraph in data.split(b"\n\n"):
        name = _FIELD.search(paragraph)
        if name and name[1].strip().decode("utf-8", "replace") in NAMES and len(kept) < _MATCHES:
            kept.append(paragraph.strip(b"\n").decode("utf-8", "replace"))
    return "\n\n".join(kept) + "\n"


def _rpm(base: str) -> str | Error:
    program = shutil.which("rpm")
    if program is None:
        return NotReachable("There is an rpm database but no rpm to read it", "rpm", "install rpm")
    command = [
        program,
        *(["--root", base] if base else []),
        "-q",
        "--qf",
        "%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n",
    ]
    try:
        # rpm ends with the number of packages that are not installed, so its exit code says nothing.
        done = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
            [*command, *sorted(NAMES)], capture_output=True, timeout=20, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        return failure(error, program)
    except subprocess.TimeoutExpired:
        return NotReachable("rpm did not answer within 20 s", program, "end whatever holds the rpm database locked")
    return done.stdout.decode("utf-8", "replace")
