"""What the disk is made of, as data. Another recipe is another disk: the digest names the folder in the cache."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

FORMAT = 1
"""Raised when the way the disk is built changes without a change of the data below."""

SUITE = "bookworm"

PACKAGES = (
    "apparmor",
    "busybox-static",
    "containerd",
    "crun",
    "dbus",
    "docker.io",
    "fuse-overlayfs",
    "iproute2",
    "iptables",
    "kmod",
    "libbpf1",
    "netavark",  # one of those that offer container-network-stack, which podman needs; debootstrap cannot choose
    "podman",
    "procps",
    "python3",
    "runc",
    "slirp4netns",
    "systemd",
    "udev",
    "uidmap",
    "util-linux",
)

KERNELS = ("6.1", "6.12")
"""Series; the newest package of each that the archive holds is taken."""

MODULES = ("virtio_pci", "virtio_blk")
"""Kernel modules without which the kernel does not find its disk."""

USER = "drill"
"""The ordinary user of the flavours without root."""

SUBORDINATE = {"drill": 100_000, "dockremap": 300_000}
"""First of the 65536 user and group numbers that a user may hand to its containers."""

SIZE_MB = 3072
"""Size of the root file system as the guest sees it; the file is sparse."""

SCRIPTS = {
    "init": "usr/local/lib/holdfast/init",
    "job": "usr/local/lib/holdfast/job",
    "holdfast.target": "etc/systemd/system/holdfast.target",
    "holdfast-job.service": "etc/systemd/system/holdfast-job.service",
    "cgroups": "usr/local/lib/holdfast/cgroups",
    "engine": "usr/local/lib/holdfast/engine",
    "containerd.toml": "etc/containerd/config.toml",
    "containers.conf": "etc/containers/containers.conf",
}
"""Files of `guest/` and where they lie on the disk."""

MASKED = (
    "apparmor.service",
    "systemd-hwdb-update.service",
    "systemd-machine-id-commit.service",
    "systemd-random-seed.service",
    "systemd-update-utmp.service",
)
"""Units of systemd's own start that cost time and that nothing here asks for; the engine loads its profile itself."""

INITRAMFS = "initramfs"
"""The file of `guest/` that is the first process of the initial RAM file system."""


def script(name: str) -> str:
    """Return the text of one file of `guest/`."""
    return files("holdfast.drill.machine").joinpath("guest", name).read_text(encoding="utf-8")


def digest() -> str:
    """Return 16 hexadecimal digits that change with everything that makes the disk."""
    parts = {
        "format": FORMAT,
        "suite": SUITE,
        "packages": PACKAGES,
        "kernels": KERNELS,
        "modules": MODULES,
        "user": USER,
        "subordinate": SUBORDINATE,
        "size_mb": SIZE_MB,
        "masked": MASKED,
        "scripts": {name: [where, script(name)] for name, where in SCRIPTS.items()},
        "initramfs": script(INITRAMFS),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
