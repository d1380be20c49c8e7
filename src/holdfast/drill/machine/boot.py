"""One run of the virtual machine: a fresh host, a command in it, its files back."""

from __future__ import annotations

import errno
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill.machine import carry, scratch
from holdfast.drill.machine.build import Disk, cache
from holdfast.drill.machine.command import DIES_WITH_PARENT, full, last_lines, need, path
from holdfast.drill.machine.flavours import Flavour
from holdfast.model.errors import Error, Usage

MEMORY_MB = 2048
PROCESSORS = 2
PROCESSOR = "max,la57=off,erms=off"
"""All that the emulator can, but for two things that are slow in it: a fifth level of page tables, and copying byte by
byte with one instruction, which a kernel prefers where it is said to be fast."""

LEAST_S = 60
"""A run that has less time than this ends before the engine is up."""

RETURN_S = 20
"""What is kept of the time for the way back of the results."""


_LONGEST = 1000
"""Characters of one line of the guest that are passed on."""

_NO_ROOM = "I/O error, dev vd"
"""What the guest's kernel says when qemu could not write. What came of the run is then worth nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        code: Exit code of the command, as a shell gives it.
        out: The folder that came back; `logs/` in it holds what the engine, the kernel and the command wrote.
        seconds: From the start of the machine to its end.
    """

    code: int
    out: Path
    seconds: float


class Failed(Error):
    """The machine, or the command in it, came to no proper end.

    Attributes:
        out: The folder with what came back all the same; at least ``logs/console`` is in it.
    """

    def __init__(self, what: str, where: str, next: str, out: Path) -> None:  # noqa: A002 - the words of the house
        """Keep the three lines and the folder."""
        super().__init__(what, where, next)
        self.out = out


def run(  # noqa: PLR0913 - each of them is the caller's to say
    disk: Disk,
    flavour: Flavour,
    payload: Path,
    command: Sequence[str],
    *,
    into: Path,
    timeout_s: float,
    progress: Callable[[str], None],
    as_root: bool = False,
) -> Outcome:
    """Boot a fresh machine, run a command in it, and bring its folder ``out`` back.

    The guest unpacks the payload at ``/payload``, starts the engine, takes ``payload/image.tar`` in as the image
    ``holdfast-drill`` if it is there, and runs the command in ``/payload``: as root, or as the flavour's user where it
    is rootless. Lines of its output that begin with ``holdfast: `` are told as they come.

    The machine ends with the thread that called this, even when that is killed.

    Args:
        disk: What ``build.disk`` returned.
        flavour: The kind of host.
        payload: A folder.
        command: The program, found in the guest, and its arguments.
        into: A folder for what comes back; made if absent. Files that are there may be overwritten.
        timeout_s: For the whole, the boot included; 60 at least.
        progress: Told what goes on, one line at a time.
        as_root: The command runs as root in every flavour; see ``carry.job``.

    Returns:
        The command's exit code and the folder.

    Raises:
        Usage: The time is too short.
        NotReachable: qemu is missing.
        Failed: The machine did not boot, fell, or ran out of time; the console's last lines are quoted.
        Error: The disk is full, or a file cannot be read or written.
    """
    if timeout_s < LEAST_S:
        raise Usage(f"A run of the virtual machine takes {LEAST_S} seconds at least", where=f"{timeout_s:g} seconds")
    need({"qemu-system-x86_64": "qemu-system-x86", "setpriv": "util-linux"})
    try:
        (into / "logs").mkdir(parents=True, exist_ok=True)
        with scratch.folder(runs()) as folder:
            files = carry.job(flavour, command, round(timeout_s - RETURN_S), as_root=as_root)
            carry.pack(payload, files, folder / "in")
            carry.blank(folder / "out")
            machine = _Run(flavour, folder, into, progress)
            return machine.outcome(disk, time.monotonic() + timeout_s)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise full(cache()) from error
        raise Error(f"The virtual machine could not be run: {error.strerror}", str(error.filename or "")) from error


def runs() -> Path:
    """Return where the folders of this user's runs lie while they last."""
    return cache() / f"runs-{os.geteuid()}"


def arguments(disk: Disk, flavour: Flavour, folder: Path, console: Path) -> list[str]:
    """Return qemu's command line.

    Args:
        disk: The disk.
        flavour: The kind of host.
        folder: Holds the second and the third disk, ``in`` and ``out``.
        console: File that gets what the kernel says.

    Source:
        qemu-system-x86_64(1); Documentation/admin-guide/kernel-parameters.txt
    """
    words = [
        "console=ttyS0",
        "quiet",
        "panic=-1",
        # Emulated processors have none of the flaws, and the work-arounds cost half of the speed.
        "mitigations=off",
        # The clock of the processor is the host's and runs evenly; any other costs an exit at each look.
        "tsc=reliable",
        "init_on_alloc=0",
        f"lsm={','.join(flavour.security_modules)}",
        *flavour.arguments,
    ]
    kept = f"file={_quoted(disk.image)},if=virtio,format=raw,snapshot=on,werror=report"
    plain = "if=virtio,format=raw,cache=unsafe,werror=report"
    series = disk.folder / flavour.kernel
    return [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", PROCESSOR, "-smp", str(PROCESSORS)),
        *("-m", str(MEMORY_MB), "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-kernel", f"{series}.vmlinuz", "-initrd", f"{series}.initramfs", "-append", " ".join(words)),
        *("-drive", kept),
        *("-drive", f"file={_quoted(folder / 'in')},{plain},readonly=on"),
        *("-drive", f"file={_quoted(folder / 'out')},{plain}"),
        *("-chardev", f"file,id=console,path={_quoted(console)}", "-serial", "chardev:console"),
        *("-chardev", "stdio,id=words,signal=off", "-serial", "chardev:words"),
    ]


def _quoted(file: Path) -> str:
    return str(file).replace(",", ",,")


class _Run:
    """One qemu process and what its guest says."""

    def __init__(self, flavour: Flavour, folder: Path, into: Path, progress: Callable[[str], None]) -> None:
        self.flavour, self.folder, self.into, self.progress = flavour, folder, into, progress
        self.console = into / "logs/console"
        self.begin = time.monotonic()
        self.stage = "boot"
        self.trouble = ""
        self.code: int | None = None

    def outcome(self, disk: Disk, end: float) -> Outcome:
        """Boot, and listen until the guest has said its last word.

        Args:
            disk: The disk.
            end: When to give up, on the monotonic clock.
        """
        process = self._start(disk)
        try:
            for line in self._lines(process, end):
                self._hear(line)
                if self.code is not None:
                    break
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        whole = carry.unpack(self.folder / "out", self.into)
        said = self._said()
        if self.code is None or self.trouble or not whole or _NO_ROOM in said:
            raise self._failed(said)
        return Outcome(self.code, self.into, time.monotonic() - self.begin)

    def _start(self, disk: Disk) -> subprocess.Popen[bytes]:
        # The file that takes the changes of the disk lies where the run's other files lie.
        env = {**os.environ, "PATH": path(), "TMPDIR": str(self.folder)}
        with (self.folder / "qemu").open("wb") as err:
            return subprocess.Popen(  # noqa: S603 - a fixed program
                [*DIES_WITH_PARENT, *arguments(disk, self.flavour, self.folder, self.console)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=err,
                env=env,
                start_new_session=True,  # an interrupt from the keyboard is ours to handle
            )

    def _lines(self, process: subprocess.Popen[bytes], end: float) -> Iterator[str]:
        pipe = process.stdout
        if pipe is None:
            return
        rest = b""
        with selectors.DefaultSelector() as ready:
            ready.register(pipe, selectors.EVENT_READ)
            while True:
                left = end - time.monotonic()
                if left <= 0 or not ready.select(left):
                    self.trouble = self.trouble or f"did not end in time; its last stage: {self.stage}"
                    return
                data = os.read(pipe.fileno(), 65536)
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                rest = rest[-65536:]
                yield from (line.decode(errors="replace") for line in lines)

    def _hear(self, line: str) -> None:
        # The guest is a host that was broken into, perhaps: its words may not reach a terminal as they are.
        plain = "".join(one if one.isprintable() else " " for one in line[:_LONGEST])
        kind, _, words = plain.strip().partition(" ")
        passed = f"{time.monotonic() - self.begin:.0f} s"
        if kind == "booted":
            self.progress(f"{self.flavour.name}: Linux {words} is up ({passed})")
        elif kind == "step":
            self.stage = words
            self.progress(f"{self.flavour.name}: {words} ({passed})")
        elif kind == "said":
            self.progress(words)
        elif kind == "failed":
            self.trouble = words
        elif kind == "end" and words.isdecimal():
            self.code = int(words)

    def _said(self) -> str:
        try:
            return self.console.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _failed(self, said: str) -> Failed:
        if _NO_ROOM in said:
            self.trouble = "could not write its disk; the disk of this machine may be full"
        if "Kernel panic" in said:
            self.trouble = f"fell with a kernel panic; its last stage: {self.stage}"
            # What follows the line is a list of calls, which says less than what came before it.
            before, panic, after = said.partition("Kernel panic")
            said = before + panic + after.partition("\n")[0]
        qemu = (self.folder / "qemu").read_text(encoding="utf-8", errors="replace")
        quoted = last_lines(f"{said}\n{qemu}")
        return Failed(
            f"The virtual machine {self.flavour.name}: {self.trouble or f'ended early; its last stage: {self.stage}'}",
            where=f"{self.into / 'logs'}\n{quoted}" if quoted else str(self.into / "logs"),
            next="look at the files named above",
            out=self.into,
        )
