"""Measure Holdfast: CPU time, memory and wall time, in pairs in one run, as medians."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import benign
import denial
import harden
import manifests
import rules
import seccomp
import sensor
import sleepers

from holdfast.model.errors import Error


@dataclass(frozen=True)
class Run:
    """What one run of a command cost.

    Attributes:
        wall_s: Seconds on the clock.
        cpu_s: Seconds of processor time, user and system, children included.
        memory_mb: Largest resident set of the process, in units of 10**6 bytes.
        code: Exit code.
    """

    wall_s: float
    cpu_s: float
    memory_mb: float
    code: int


def run(command: Sequence[str], folder: Path | None = None) -> Run:
    """Run a command with its output thrown away and measure it, its children included."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6, child.returncode)


def checked(made: Run, allowed: range, what: str) -> Run:
    """Stop where a command failed: a crash is fast, and no figure."""
    if made.code not in allowed:
        sys.exit(f"{what} ended with exit code {made.code}; nothing is measured")
    return made


@contextmanager
def folder_of(count: int) -> Iterator[Path]:
    """Make ``count`` manifests for the time of a measurement."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    try:
        manifests.make(folder, count)
        yield folder
    finally:
        shutil.rmtree(folder)


def row(what: str, measured: str, wanted: str, *, held: bool) -> None:
    """Print one line of the table as soon as it is known."""
    print(f"| {what} | {measured} | {wanted} | {'held' if held else 'MISSED'} |", flush=True)


PAIRS = (
    ("as both come", [], [], 20),
    ("JSON reports", ["--format", "json"], ["-o", "json"], 20),
    ("JSON, Checkov told to leave out what passed", ["--format", "json"], ["-o", "json", "--compact", "--quiet"], 0),
)
"""What is compared: options of Holdfast, options of Checkov, how many times less CPU time is promised."""


def measure_manifests(holdfast: str, checkov: str) -> None:
    """Measure 1,000 single-Pod manifests against Checkov, in turns, start-up included."""
    with folder_of(1000) as folder:
        for what, ours, theirs, promised in PAIRS:
            _compare(
                f"1,000 manifests, {what}",
                [holdfast, "scan", str(folder), *ours],
                [checkov, "-d", str(folder), "--framework", "kubernetes", *theirs],
                promised,
            )


def _compare(what: str, ours: Sequence[str], theirs: Sequence[str], promised: int) -> None:
    pairs = [(checked(run(ours), range(4), "holdfast"), checked(run(theirs), range(2), "checkov")) for _ in range(3)]
    ratios = [their.cpu_s / our.cpu_s for our, their in pairs]
    ratio = statistics.median(ratios)
    cpu = [statistics.median(pair[side].cpu_s for pair in pairs) for side in (0, 1)]
    memory = [max(pair[side].memory_mb for pair in pairs) for side in (0, 1)]
    figures = (
        f"{cpu[0]:.2f} s CPU against {cpu[1]:.2f} s: {ratio:.1f} times less ({min(ratios):.1f} to {max(ratios):.1f})"
    )
    figures += f"; {memory[0]:.0f} MB against {memory[1]:.0f} MB"
    row(what, figures, f"{promised} times less" if promised else "", held=ratio >= promised)


def measure_memory(holdfast: str, _: str) -> None:
    """Measure the memory that 10,000 manifests take."""
    with folder_of(10_000) as folder:
        for form in ("json", "terminal"):
            command = [holdfast, "scan", str(folder), "--format", form, "--output", str(folder / "report")]
            made = checked(run(command), range(4), "holdfast")
            figures = f"{made.memory_mb:.0f} MB, {made.cpu_s:.1f} s CPU"
            row(f"10,000 manifests: memory, {form} report", figures, "under 250 MB", held=made.memory_mb < 250)


def measure_containers(holdfast: str, _: str) -> None:
    """Measure a scan of 100 running containers, live seccomp filters included."""
    reason = sleepers.missing()
    if reason:
        row("100 running containers", f"not measured: {reason}", "under 2 s", held=False)
        return
    with sleepers.running(100), tempfile.TemporaryDirectory() as folder:
        command = [holdfast, "scan", "machine", "--format", "json", "--output", f"{folder}/report"]
        made = [checked(run(command), range(4), "holdfast") for _ in range(5)]
        shown = subprocess.run(
            [holdfast, "facts", "machine", "--format", "json"], capture_output=True, text=True, check=False
        ).stdout
    filters = shown.count('"container.seccomp"')
    wall = statistics.median(one.wall_s for one in made)
    row(
        "100 running containers, live filters included",
        f"{wall:.2f} s wall, {statistics.median(one.cpu_s for one in made):.2f} s CPU, {filters} filters",
        "under 2 s",
        held=wall < 2,
    )


def measure_drill(holdfast: str, _: str) -> None:
    """Drill the lab's plain container in three runs, replica and repetition included; the median of all attempts."""
    if os.geteuid() != 0 or shutil.which("docker") is None:
        row("one attempt of a drill", "not measured: needs root and Docker", "under 1.5 s", held=False)
        return
    seconds: list[float] = []
    whole: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        report = Path(folder) / "drill.json"
        for _ in range(3):
            line = [holdfast, "drill", "--yes", "--quiet", "--no-explain", "--output", str(report), "lab:host-etc"]
            whole.append(checked(run(line), range(4), "holdfast drill"))
            made = json.loads(report.read_text(encoding="utf-8"))
            seconds += [
                attempt["seconds"]
                for exercise in made["exercises"]
                for attempt in exercise["attempts"]
                if attempt["outcome"] != "not_attempted"
            ]
    middle = statistics.median(seconds)
    all_in_all = statistics.median(each.wall_s for each in whole)
    told = f"{middle:.3f} s, {len(seconds)} attempts; a whole drill with its two controls {all_in_all:.1f} s"
    row("one attempt of a drill, its share of the replicas included", told, "under 1.5 s", held=middle < 1.5)


def measure_start(holdfast: str, _: str) -> None:
    """Measure what a person waits for: the version, and one file."""
    with folder_of(1) as folder:
        file = str(next(folder.rglob("*.yaml")))
        for what, command, limit in (
            ("`holdfast --version`", [holdfast, "--version"], 0.15),
            ("scan of one file, terminal report", [holdfast, "scan", file], 0.4),
            ("scan of one file, JSON report", [holdfast, "scan", file, "--format", "json"], 0.4),
        ):
            made = [checked(run(command, folder), range(4), what).wall_s for _ in range(21)]
            wall = statistics.median(made)
            row(what, f"{wall:.3f} s wall (slowest of 21: {max(made):.3f} s)", f"under {limit} s", held=wall < limit)


def measure_rules(_holdfast: str, _checkov: str) -> None:
    """Measure how many events are judged on one core by all of Falco's stock rules, disabled ones too."""
    if not rules.FOLDER.is_dir():
        row("events judged by Falco's rules", "not measured: the stock rules are not here", "200,000/s", held=False)
        return
    rate, kinds, ready, count, matched = rules.measured()
    each = ", ".join(f"{kind} {one:,.0f}" for kind, one in kinds.items())
    told = f"{rate:,.0f}/s ({each}); {count} rules ready in {ready:.2f} s CPU; {matched} of {rules.EVENTS:,} match"
    row("events judged by Falco's stock rules, one core", told, "200,000/s", held=rate >= 200_000)


def measure_sensor(holdfast: str, _: str) -> None:
    """Measure what the sensor costs those who are watched, and itself, and how soon it tells."""
    bare, added, _ = sensor.cost(["1000000"], rules=False)
    row("a system call that no rule wants", f"+{added:.0f} ns on {bare:.0f} ns", "at most +60 ns", held=added <= 60)
    bare, added, ratio = sensor.cost(["200000", "/etc/hostname"], rules=False)
    row("open and close, the catalogue", f"+{added:.0f} ns on {bare:.0f} ns ({ratio:.2f})", "", held=True)
    if sensor.STABLE.is_file():
        bare, added, ratio = sensor.cost(["200000", "/etc/hostname"], rules=True)
        limit = sensor.FALCO_NS / 3
        told = f"+{added:.0f} ns on {bare:.0f} ns ({ratio:.2f})"
        row("open and close, Falco's stable rules too", told, f"at most +{limit:.0f} ns", held=added <= limit)
    bare, added, ratio = sensor.cost(["1000", "/bin/true", "spawn"], rules=False)
    told = f"{ratio:.3f} times ({added / 1000:+.1f} us on {bare / 1000:.0f} us)"
    row("fork and exec", told, "at most 1.02 times", held=ratio <= 1.02)
    cores, megabytes = sensor.own(holdfast)
    row("the sensor itself, idle: processor", f"{cores:.3f} cores", "under 0.1", held=cores < 0.1)
    row("the sensor itself, idle: memory", f"{megabytes:.0f} MB", "under 120 MB", held=megabytes < 120)
    rate, offered, read, lost = sensor.flood()
    told = f"{rate / 1e6:.1f} million a second; of {offered:,} {read:,} read, {lost:,} told as lost"
    row("records of bulk offered", told, "1 million a second, none dropped silently", held=read + lost == offered)
    with sleepers.image() as image:
        for flood, limit in ((False, 20), (True, 100)):
            seen, late = sensor.latency(holdfast, image, flood=flood)
            late.sort()
            told = f"{seen} of 100; p50 {late[len(late) // 2]:.1f}, p99 {late[int(len(late) * 0.99) - 1]:.1f} ms"
            what = "from a sensitive read to its kept alert" + (", two open loops beside it" if flood else "")
            row(what, told, f"100 of 100, p99 under {limit} ms", held=seen == 100 and late[98] < limit)


def measure_benign(holdfast: str, _: str) -> None:
    """Count the alerts about ordinary work in containers, on this machine."""

    def measure(packed: Path) -> None:
        found = benign.here(holdfast, packed)
        told = f"{benign.SECONDS / 60:.0f} minutes, {benign.told(found)}"
        row("ordinary work, observed", told, "no alert", held=found.unharmed)

    _ordinary("ordinary work, observed", "no alert", measure)


def measure_denied() -> None:
    """Count what fails of ordinary work in the virtual machine, where everything that can be denied is denied."""
    what, wanted = "ordinary work while all is denied", "nothing fails, no alert"

    def measure(packed: Path) -> None:
        for flavour in denial.FLAVOURS:
            found = benign.denied(flavour, packed)
            row(f"{what}, {flavour}", benign.told(found), wanted, held=found.unharmed)

    _ordinary(what, wanted, measure)


def _ordinary(what: str, wanted: str, measure: Callable[[Path], None]) -> None:
    try:
        with benign.image() as packed:
            measure(packed)
    except Error as error:
        row(what, f"not measured: {error.what.splitlines()[0]}", wanted, held=False)
        print(error, file=sys.stderr)


def measure_denial(holdfast: str, _: str) -> None:
    """Measure, in the virtual machine, how much of what escapes is seen and can be denied, and what that breaks."""
    measure_denied()
    for flavour in denial.FLAVOURS:
        free, unseen, tried = denial.escaped(holdfast, flavour, "--watch")
        told = f"{len(free)} of {tried} attempts; unseen: {', '.join(sorted(unseen)) or 'none'}"
        row(f"escapes of an open container that are detected, {flavour}", told, "all", held=bool(free) and not unseen)
        still, _, _ = denial.escaped(holdfast, flavour, "--deny")
        share = 1 - len(still & free) / len(free) if free else 0.0
        told = f"{len(free - still)} of {len(free)} ({share:.0%}); left: {', '.join(sorted(still)) or 'none'}"
        row(f"escapes that the sensor denies, {flavour}", told, "95 %", held=share >= 0.95)


def measure_seccomp(_: str, __: str) -> None:
    """Count how often programs start with the profile that is made for them, and look again what runtimes call."""
    with seccomp.run() as journal:
        for runtime, quiet in ((runtime, quiet) for runtime in seccomp.RUNTIMES for quiet in (True, False)):
            version = seccomp.version(runtime)
            where = f"{runtime} {version}, {'with' if quiet else 'without'} no_new_privileges"
            own = seccomp.own_calls(journal, runtime, no_new_privileges=quiet)
            missing = own.seen - seccomp.expected(runtime, version, no_new_privileges=quiet)
            told = f"{len(own.seen)} in {own.trials} starts; not expected: {', '.join(sorted(missing)) or 'none'}"
            row(f"own calls of {where}", told, "none that is not expected", held=not missing)
            for what, program in seccomp.programs().items():
                found = seccomp.started(journal, program, runtime, quiet)
                row(f"starts of {what}, {where}", found.told, f"{seccomp.TIMES}, fewer than 120", held=found.well)


def measure_harden(_: str, __: str) -> None:
    """Find the changes that end the paths of drawn containers, write them, and hold them against all subsets."""
    found = harden.measured()
    slowest = max(found.seconds)
    row(f"changes that end every path, {harden.COUNT} workloads", harden.told(found), "0.3 s each", held=slowest < 0.3)
    told = f"{found.ended} of {found.open}; {found.cut} searches cut short"
    row("sets that end all paths and need each change", told, "all", held=found.ended == found.open)
    told = f"{found.right} of {found.compared} workloads, {harden.SMALL} changes each"
    row("the same sets as from all subsets", told, "all", held=found.right == found.compared)
    told = f"{found.contained} of {found.written}"
    row("contained when the written file is read again", told, "all", held=found.contained == found.written)
    for line in found.wrong:
        print(line, file=sys.stderr)


MEASURES: dict[str, Callable[[str, str], None]] = {
    "benign": measure_benign,
    "harden": measure_harden,
    "manifests": measure_manifests,
    "memory": measure_memory,
    "containers": measure_containers,
    "denial": measure_denial,
    "drill": measure_drill,
    "rules": measure_rules,
    "seccomp": measure_seccomp,
    "sensor": measure_sensor,
    "start": measure_start,
}


def main() -> None:
    """Measure what was asked for and print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("which", nargs="*", metavar="MEASURE", help=f"{', '.join(MEASURES)}; all by default")
    options.add_argument("--holdfast", required=True)
    options.add_argument("--checkov", required=True)
    given = options.parse_args()
    unknown = set(given.which) - set(MEASURES)
    if unknown:
        options.error(f"no such measure: {', '.join(sorted(unknown))}; there are: {', '.join(MEASURES)}")
    cores = len(os.sched_getaffinity(0))
    print(f"Python {platform.python_version()}, {platform.machine()}, {cores} cores, Linux {platform.release()}\n")
    print("| what | measured | wanted | |\n|---|---|---|---|", flush=True)
    for name in given.which or MEASURES:
        MEASURES[name](str(Path(given.holdfast).absolute()), str(Path(given.checkov).absolute()))


if __name__ == "__main__":
    main()
