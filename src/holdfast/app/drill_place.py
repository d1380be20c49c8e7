"""Where a drill happens: on this machine, or in a fresh virtual machine."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from holdfast.app import drill
from holdfast.app.drill_targets import built_in
from holdfast.app.settings import Settings
from holdfast.model.drill import DrillReport
from holdfast.model.errors import Error, Usage

_MACHINE_S = 1800.0
_INIT = "/usr/local/lib/holdfast/init"
"""The first process of the virtual machine, which no other machine has."""


def disposable() -> bool:
    """Tell whether this is the throw-away virtual machine: its environment and its first process both say so."""
    if not os.environ.get("HOLDFAST_VM"):
        return False
    try:
        words = Path("/proc/1/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return _INIT.encode() in words


def made(plan: drill.Plan, settings: Settings, flavour: str) -> DrillReport:
    """Make a drill.

    Args:
        plan: How.
        settings: Of the person.
        flavour: Of the virtual machine; empty for this machine.

    Raises:
        Usage: There is no such flavour, or a target cannot be taken into the machine.
        Error: The drill cannot be prepared, or the machine does not boot.
    """
    tell = Teller(quiet=settings.quiet)
    try:
        if not flavour:
            inside = disposable()
            return drill.drill(replace(plan, disposable=inside, consent=plan.consent or inside), settings, tell)
        return _in_machine(plan, flavour, tell)
    finally:
        tell.done()


def _in_machine(plan: drill.Plan, name: str, tell: Callable[[str], None]) -> DrillReport:
    from holdfast.drill.machine import boot, build
    from holdfast.drill.machine.flavours import FLAVOURS
    from holdfast.drill.machine.payload import payload
    from holdfast.drill.probe_file import probe
    from holdfast.reports import drill_json

    flavour = FLAVOURS.get(name)
    if flavour is None:
        raise Usage(f"there is no flavour {name!r}", "--vm", f"one of: {', '.join(FLAVOURS)}")
    disk = build.disk(tell)
    with tempfile.TemporaryDirectory(prefix="holdfast-vm-") as text:
        folder = Path(text)
        inside = folder / "payload"
        packed = payload(inside) / "holdfast" / "drill" / "probe" / "probe-x86_64"
        if not packed.is_file():
            packed.write_bytes(probe("x86_64").read_bytes())
            packed.chmod(0o755)
        if plan.watch or plan.deny:
            _sensor(inside / "python" / "holdfast" / "sensor" / "bpf")
        words = [_taken(word, inside) for word in plan.targets]
        line = ["python3", "-m", "holdfast", "drill", "--format", "json", "--output", "out/drill.json"]
        line += [part for each in plan.only for part in ("--technique", each)]
        line += [] if plan.explain else ["--no-explain"]
        line += ["--watch"] if plan.watch else []
        line += ["--deny"] if plan.deny else []
        code = 0
        try:
            outcome = boot.run(
                disk,
                flavour,
                inside,
                [*line, *words],
                into=folder / "out",
                timeout_s=_MACHINE_S,
                progress=tell,
                as_root=True,
            )
            code = outcome.code
        except boot.Failed as error:
            if not (error.out / "drill.json").is_file():
                raise
        path = folder / "out" / "drill.json"
        if not path.is_file():
            said = _said(folder / "out")
            raise Error(f"the drill in the machine failed with {code}: {said}", name, "run it again with --verbose")
        return replace(drill_json.read(path.read_bytes()), place=f"virtual machine, {name}")


def _sensor(folder: Path) -> None:
    """Put the sensor's programs into the machine where they were not packaged."""
    from holdfast.sensor import bpf_build, bpf_file

    for program in bpf_build.programs():
        made = folder / f"{program}-x86_64.o"
        if not made.is_file():
            made.write_bytes(bpf_file.image(program))


def _taken(word: str, inside: Path) -> str:
    """Take a target into the machine: a file is copied, the lab is there; what runs here is not."""
    if built_in(word):
        return word
    path = Path(word)
    if "://" in word or word == "machine":
        raise Usage("what runs on this machine is not in the virtual machine", word, "name a file, or lab")
    if not path.is_file():
        raise Usage("there is no such file", word, "name a file, or lab")
    folder = inside / "targets"
    folder.mkdir(exist_ok=True)
    (folder / path.name).write_bytes(path.read_bytes())
    return f"targets/{path.name}"


def _said(out: Path) -> str:
    try:
        return (out / "logs" / "command").read_text(encoding="utf-8", errors="replace").strip()[-600:]
    except OSError:
        return "it said nothing"


class Teller:
    """Tells on standard error what goes on: one rewritten line on a terminal, a line for each target in a log."""

    def __init__(self, *, quiet: bool) -> None:
        """Prepare."""
        self._stream = None if quiet else sys.stderr
        self._terminal = self._stream is not None and self._stream.isatty()
        self._last = ""

    def __call__(self, text: str) -> None:
        """Tell one thing."""
        if self._stream is None:
            return
        plain = "".join(letter if letter.isprintable() else "?" for letter in text)
        if self._terminal:
            self._stream.write(f"\r\x1b[2K{plain[:100]}")
        else:
            # What stands before the last colon names the target; what it does just now is too much for a log.
            head = plain.rpartition(":")[0] or plain
            if head == self._last:
                return
            self._last = head
            self._stream.write(f"holdfast: {plain}\n")
        self._stream.flush()

    def done(self) -> None:
        """Wipe the line that was rewritten."""
        if self._stream is not None and self._terminal:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
