"""Debian's kernels for the virtual machine: found in the archive, unpacked, each with an initial RAM file system."""

from __future__ import annotations

import lzma
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from holdfast.drill.machine import recipe
from holdfast.drill.machine.archive import Source
from holdfast.drill.machine.command import run
from holdfast.model.errors import NotReachable

_NAME = re.compile(r"linux-image-(?P<version>[0-9.]+(?:-[0-9]+)?(?:\+deb[0-9]+)?)-cloud-amd64(?P<unsigned>-unsigned)?$")


def newest(series: str, names: Iterable[str]) -> list[str]:
    """Order the packages of one series, the newest first; of two with one version the signed one comes first.

    Args:
        series: ``6.1``
        names: Names of packages; others than kernels of the series are left out.
    """
    found: list[tuple[tuple[int, ...], bool, str]] = []
    for name in names:
        match = _NAME.match(name)
        if match and re.match(rf"{re.escape(series)}\.", match["version"]):
            numbers = tuple(map(int, re.findall(r"[0-9]+", match["version"].partition("+")[0])))
            found.append((numbers, not match["unsigned"], name))
    return [name for _, _, name in sorted(found, reverse=True)]


class Archive:
    """The package archive, asked through apt with a state of its own: the machine's lists stay as they are.

    Args:
        folder: An empty folder for apt's state.
        sources: Where the packages come from.
        log: Takes what apt says.
    """

    def __init__(self, folder: Path, sources: Iterable[Source], log: Path) -> None:
        """Fetch the lists of packages."""
        self.folder = folder
        self.log = log
        for name in ("lists/partial", "cache/archives/partial", "download"):
            (folder / name).mkdir(parents=True)
        (folder / "sources.list").write_text("".join(f"{one.line()}\n" for one in sources), encoding="utf-8")
        (folder / "status").touch()
        settings = {
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": folder / "lists",
            "Dir::State::Status": folder / "status",
            "Dir::Cache": folder / "cache",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
        }
        self.options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        run(["apt-get", *self.options, "-q", "update"], log)

    def kernels(self, series: str) -> list[str]:
        """List the packages of one series, the newest first."""
        pattern = rf"^linux-image-{re.escape(series)}\."
        out = run(["apt-cache", *self.options, "search", "--names-only", pattern], self.log)
        return newest(series, [line.split()[0] for line in out.splitlines() if line.strip()])

    def download(self, package: str) -> Path:
        """Fetch one package and return its file."""
        target = self.folder / "download" / package
        target.mkdir()
        run(["env", f"--chdir={target}", "apt-get", *self.options, "-q", "download", package], self.log)
        return next(target.glob("*.deb"))


def unpack(archive: Archive, series: str, root: Path, images: Path, work: Path) -> tuple[str, str]:
    """Put the newest kernel of a series into the root file system and its image beside it.

    Args:
        archive: Where it comes from.
        series: ``6.1``
        root: Root file system; gets the modules.
        images: Gets ``SERIES.vmlinuz``.
        work: Empty folder to unpack in.

    Returns:
        Name of the package, and the kernel's release as ``uname -r`` says it.

    Raises:
        NotReachable: The archive has no kernel of the series.
    """
    names = archive.kernels(series)
    if not names:
        raise NotReachable(
            f"The package archive has no kernel {series} for virtual machines",
            where=f"linux-image-{series}.*-cloud-amd64",
            next=f"add {recipe.SUITE}-backports to the package sources of this machine",
        )
    run(["dpkg", "-x", str(archive.download(names[0])), str(work)], archive.log)
    modules = next(path for path in (work / "lib/modules", work / "usr/lib/modules") if path.is_dir())
    release = next(modules.iterdir()).name
    (root / "usr/lib/modules").mkdir(parents=True, exist_ok=True)
    shutil.move(modules / release, root / "usr/lib/modules" / release)
    shutil.move(work / f"boot/vmlinuz-{release}", images / f"{series}.vmlinuz")
    run(["chroot", str(root), "depmod", release], archive.log)
    return names[0], release


def initramfs(root: Path, release: str, target: Path, work: Path, log: Path) -> None:
    """Write the initial RAM file system: a shell, the modules that the disk needs, a first process.

    Args:
        root: Root file system with the kernel's modules.
        release: The kernel's release.
        target: The file to write.
        work: Empty folder.
        log: Takes what the programs say.
    """
    for name in ("bin", "modules", "new", "dev"):
        (work / name).mkdir(parents=True)
    shutil.copy2(root / "bin/busybox", work / "bin/busybox")
    wanted: dict[str, None] = {}
    for module in recipe.MODULES:
        out = run(["chroot", str(root), "modprobe", "-S", release, "--show-depends", module], log)
        wanted |= dict.fromkeys(line.split()[1] for line in out.splitlines() if line.startswith("insmod "))
    order: list[str] = []
    for name in wanted:
        source = root / name.lstrip("/")
        plain = source.name.removesuffix(".xz")
        data = source.read_bytes()
        (work / "modules" / plain).write_bytes(lzma.decompress(data) if source.suffix == ".xz" else data)
        order.append(f"{plain}\n")
    (work / "modules/order").write_text("".join(order), encoding="utf-8")
    (work / "init").write_text(recipe.script(recipe.INITRAMFS), encoding="utf-8")
    (work / "init").chmod(0o755)
    run(["sh", "-c", 'cd "$1" && find . | cpio -o -H newc --quiet > "$2"', "sh", str(work), os.fspath(target)], log)
