"""What the sensor costs those who are watched, and how soon it tells: pairs with and without it, in turns."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from holdfast.rules.ruleset import Ruleset, load
from holdfast.sensor import coverage, pushing
from holdfast.sensor.interests import BULK, Interest, Want
from holdfast.sensor.watching import Sensor
from holdfast.techniques import load as techniques

STABLE = Path(__file__).parent.parent.parent / "shared" / "data" / "falco" / "falco_rules.yaml"
FALCO_NS = 723
"""CPU time that Falco 0.44.1 with its 25 stable rules adds to an open and close on such a machine."""
PAIRS = 7
_PR_GET_DUMPABLE = 3


@contextmanager
def program() -> Iterator[str]:
    """Compile what makes the calls, for the time of a measurement."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        made = Path(folder) / "calls"
        line = [
            os.environ.get("HOLDFAST_ZIG") or sys.executable,
            "-m",
            "ziglang",
            "cc",
            "-target",
            "x86_64-linux-musl",
            "-O2",
            "-static",
        ]
        where = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder}
        subprocess.run([*line, str(Path(__file__).parent / "calls.c"), "-o", str(made)], check=True, env=where)
        yield str(made)


@contextmanager
def watching(*, rules: bool) -> Iterator[None]:
    """Run a sensor whose records are read, by the catalogue and, if asked for, by the stable rules."""
    wishes = coverage.interests(one.seen_as for one in techniques().values())
    wanted = pushing.Pushed()
    if rules:
        wanted = pushing.pushed(Ruleset(load([(STABLE.name, STABLE.read_text(encoding="utf-8"))]).rules).rules)
    stop = threading.Event()
    with Sensor(coverage.merged(wishes, wanted.interests)) as sensor:
        sensor.want_paths(wanted.heads, wanted.tails)
        sensor.want_soon(starts=wanted.starts, ends=wanted.ends)

        def read() -> None:
            while not stop.is_set():
                for _ in sensor.events(50):
                    pass

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield
        finally:
            stop.set()
            reader.join()


def cost(words: list[str], *, rules: bool) -> tuple[float, float, float]:
    """Return the median nanoseconds of a call without the sensor, the median that it adds, and the median ratio."""
    with program() as calls:
        pairs = []
        for _ in range(PAIRS):
            without = float(subprocess.check_output([calls, *words]))
            with watching(rules=rules):
                pairs.append((without, float(subprocess.check_output([calls, *words]))))
    added = statistics.median(after - before for before, after in pairs)
    return statistics.median(one for one, _ in pairs), added, statistics.median(b / a for a, b in pairs)


def flood(calls_each: int = 4_000_000) -> tuple[float, int, int, int]:
    """Offer records of the lowest importance from two processes as fast as they can.

    Returns:
        Records offered in a second, records offered, read, and said to be lost.
    """
    wish = Interest(host_write=Want.ALL, host_ring=BULK, argument="op", values=frozenset({_PR_GET_DUMPABLE}))
    stop = threading.Event()
    with program() as calls, Sensor({"prctl": wish}) as sensor:

        def read() -> None:
            while not stop.is_set() or sensor.waiting():
                for _ in sensor.events(50):
                    pass

        reader = threading.Thread(target=read)
        reader.start()
        began = time.monotonic()
        both = [subprocess.Popen([calls, str(calls_each), "-", "ask"], stdout=subprocess.DEVNULL) for _ in range(2)]
        for one in both:
            one.wait()
        seconds = time.monotonic() - began
        stop.set()
        reader.join()
        return 2 * calls_each / seconds, 2 * calls_each, sensor.told[BULK], sensor.gaps[BULK]


def own(holdfast: str, seconds: float = 30) -> tuple[float, float]:
    """Return the cores and the megabytes that ``holdfast watch`` takes on a host where nothing is attempted."""
    with subprocess.Popen(
        [holdfast, "watch", "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        time.sleep(8)  # started, and past its first look at what runs
        ticks = _ticks(child.pid)
        time.sleep(seconds)
        used = (_ticks(child.pid) - ticks) / os.sysconf("SC_CLK_TCK") / seconds
        status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
        child.send_signal(signal.SIGINT)
    high = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return used, int(high.split()[1]) * 1024 / 1e6


def _ticks(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def latency(holdfast: str, image: str, *, flood: bool, reads: int = 100) -> tuple[int, list[float]]:
    """Read a host's secret in a container, again and again.

    Args:
        holdfast: The program.
        image: One with a shell.
        flood: Two loops open and close a file as fast as they can meanwhile.
        reads: How often.

    Returns:
        How many were alerted, and milliseconds from each system call until its alert was kept and then told.
    """
    loop = "import os\nwhile True:\n os.close(os.open('/etc/hostname', 0))\n"
    late: list[float] = []

    def read(lines: IO[bytes]) -> None:
        for line in lines:  # a line is written after the alert was kept
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            told = json.loads(line)
            if told["rule"] == "host-root-read":
                late.append((now - told["boot_ns"]) / 1e6)

    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        line = [holdfast, "watch", "--quiet", "--format", "json", "--spool", str(Path(folder) / "alerts.db")]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            if child.stdout is None:
                raise RuntimeError(line)
            reader = threading.Thread(target=read, args=(child.stdout,))
            reader.start()
            time.sleep(5)
            loops = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(2 if flood else 0)]
            script = f"i=0; while [ $i -lt {reads} ]; do read x < /h/shadow; i=$((i+1)); sleep 0.02; done"
            subprocess.run(["docker", "run", "--rm", "-v", "/etc:/h:ro", image, "sh", "-c", script], check=True)
            time.sleep(2)
            for one in loops:
                one.kill()
                one.wait()
            child.send_signal(signal.SIGINT)
            reader.join()
    return len(late), late
