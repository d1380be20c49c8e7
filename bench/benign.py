"""Ordinary work in containers beside the sensor: it may not alert, and where everything is denied all of it works."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sleepers

from holdfast.drill.machine import archive, boot, build
from holdfast.drill.machine.command import need, run
from holdfast.drill.machine.flavours import FLAVOURS
from holdfast.drill.machine.payload import payload
from holdfast.model.errors import Error, NotPermitted, NotReachable
from holdfast.sensor import bpf_build, bpf_file

ACTS = Path(__file__).parent / "benign.sh"
SECONDS = float(os.environ.get("HOLDFAST_BENIGN_SECONDS", "1800"))
"""How long the work goes on, on this machine."""
PACKAGES = ("nginx-light", "postgresql", "redis-server", "python3", "gunicorn", "curl", "ca-certificates")
SUITE = "bookworm"
USELESS = (
    "usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt/archives", "var/lib/apt/lists",
    # The compiler of PostgreSQL, which works without it, is a third of the whole.
    "usr/lib/postgresql/15/lib/bitcode", "usr/lib/postgresql/15/lib/llvmjit.so",
    "usr/lib/x86_64-linux-gnu/libLLVM-14.so.1", "usr/lib/x86_64-linux-gnu/libz3.so.4",
)  # fmt: skip
IMAGE_IN_MACHINE = "holdfast-drill"
LIMIT_S = 1500
SENSOR_S = 90
"""Longest that a sensor takes to start or to end, in the virtual machine too."""
_DRILLED = re.compile(r"holdfast-[0-9a-f]{12}-[a-z0-9-]+")
"""Name of a container that a drill makes, which may go on beside the work."""

POLICY = """\
version: 1
mode: enforce
rules:
  - {containers: containers, techniques: ["*"], action: deny}
"""
IN_MACHINE = f"""
export PYTHONPATH=/payload/python PYTHONDONTWRITEBYTECODE=1
mkdir -m 700 /kept
python3 -m holdfast watch --policy policy.yaml --spool /kept/a.db --format json > out/alerts 2> out/sensor &
sensor=$!
for i in $(seq 300); do grep -q watching out/sensor || ! kill -0 $sensor 2> /dev/null && break; sleep 0.3; done
attempt() {{
    timeout 90 docker run --rm --privileged --network none --name $1 {IMAGE_IN_MACHINE} mount -t proc proc /mnt \
        > out/$1 2>&1
    echo $? >> out/$1
}}
attempt attempt-before
sh benign.sh {IMAGE_IN_MACHINE} benign 20 none 2>&1 | tee out/acts | sed -u 's/^/holdfast: /'
attempt attempt-after
sleep 3
kill -TERM $sensor
wait $sensor
echo $? > out/ended
"""


@dataclass(frozen=True)
class Found:
    """What came of the work.

    Attributes:
        rounds: How often it was done.
        acts: How many acts that were.
        failed: Those that failed, with their last words.
        alerts: Rule and container -> alerts about the work; "" for a container that was not known.
        elsewhere: The same about containers that are none of the work's.
        attempted: Alerts about attempts that were made beside the work, to see that there is a sensor.
    """

    rounds: int
    acts: int
    failed: list[str]
    alerts: Counter[tuple[str, str]]
    elsewhere: Counter[tuple[str, str]]
    attempted: Counter[tuple[str, str]]

    @property
    def unharmed(self) -> bool:
        """Whether all of the work was done, and nothing was told of it."""
        return bool(self.rounds) and not self.failed and not self.alerts


@contextmanager
def image() -> Iterator[Path]:
    """Make a tar of a small Debian with servers on it, from the mirror that this machine installs from.

    Raises:
        NotPermitted: Only root can.
        NotReachable: debootstrap is missing.
        Error: debootstrap failed; the mirror may be out of reach.
    """
    if os.geteuid() != 0:
        raise NotPermitted("debootstrap needs root")
    need({"debootstrap": "debootstrap", "setpriv": "util-linux", "unshare": "util-linux"})
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        root, log, made = Path(folder) / "root", Path(folder) / "log", Path(folder) / "image.tar"
        (place, *_) = archive.debian(SUITE, archive.sources())
        words = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
        words += [f"--keyring={place.keyring}"] if place.keyring else []
        run(["debootstrap", *words, SUITE, str(root), place.address], log, contained=True)
        leave = [f"--exclude=./{one}{'' if '.so' in one else '/*'}" for one in USELESS]
        run(["tar", "-C", str(root), *leave, "-cf", str(made), "."], log)
        shutil.rmtree(root)
        yield made


def here(holdfast: str, packed: Path, seconds: float = SECONDS) -> Found:
    """Do the work on this machine for some time, with a sensor that observes.

    Args:
        holdfast: The program.
        packed: The image.
        seconds: How long.

    Returns:
        What came of it.

    Raises:
        NotReachable: There is no engine.
        Error: The sensor did not start, ended early, or did not tell of an attempt that was made after the work.
    """
    reason = sleepers.missing()
    if reason:
        raise NotReachable(reason)
    mark, attempt = f"hf-benign-{os.getpid()}", f"hf-attempt-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        told, said = Path(folder) / "alerts", Path(folder) / "sensor"
        line = [holdfast, "watch", "--format", "json", "--spool", str(Path(folder) / "alerts.db")]
        with told.open("wb") as out, said.open("wb") as err, subprocess.Popen(line, stdout=out, stderr=err) as child:
            try:
                _started(child, said)
                subprocess.run(["docker", "import", str(packed), mark], stdout=subprocess.DEVNULL, check=True)
                words = ["sh", str(ACTS), mark, mark, str(round(seconds)), "host"]
                acts = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
                time.sleep(3)
                line = ["docker", "run", "--rm", "--network", "none", "--name", attempt, "-v", "/etc:/h:ro", mark]
                subprocess.run([*line, "cat", "/h/shadow"], stdout=subprocess.DEVNULL, check=True)
                time.sleep(3)
            finally:
                child.send_signal(signal.SIGINT)
                _removed(mark)
        with told.open(encoding="utf-8") as alerts:
            seen = found(acts, alerts, mark, attempt)
        if not seen.attempted:
            raise Error(f"The sensor did not tell of an attempt:\n{said.read_text(encoding='utf-8', errors='replace')}")
        return seen


def denied(flavour: str, packed: Path) -> Found:
    """Do the work in the virtual machine, where every technique is denied to every container.

    Args:
        flavour: Of the virtual machine.
        packed: The image.

    Returns:
        What came of it.

    Raises:
        Error: The machine failed, or what must be denied was not.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=packed.parent) as name:
        folder, into = Path(name) / "in", Path(name) / "out"
        programs = payload(folder) / "holdfast/sensor/bpf"
        for program in bpf_build.programs():
            (programs / f"{program}-x86_64.o").write_bytes(bpf_file.image(program))
        os.link(packed, folder / "image.tar")
        shutil.copy(ACTS, folder)
        (folder / "policy.yaml").write_text(POLICY, encoding="ascii")
        (folder / "run.sh").write_text(IN_MACHINE, encoding="ascii")
        disk = build.disk(lambda _: None)
        got = boot.run(
            disk, FLAVOURS[flavour], folder, ["sh", "run.sh"], into=into, timeout_s=LIMIT_S, progress=lambda _: None
        )
        words = {
            one.name: one.read_text(encoding="utf-8", errors="replace") for one in got.out.iterdir() if one.is_file()
        }
    for attempt in ("attempt-before", "attempt-after"):
        if "permission denied" not in words.get(attempt, "").lower():
            raise Error(f"A mount was not denied in the virtual machine {flavour}:\n{words.get(attempt, '')}")
    if words.get("ended") != "0\n":
        raise Error(f"The sensor in the virtual machine {flavour} failed:\n{words.get('sensor', '')}")
    return found(words["acts"], words["alerts"].splitlines(), "benign", "attempt-")


def found(acts: str, alerts: Iterable[str], mark: str, attempt: str) -> Found:
    """Count what the work and the sensor told.

    Args:
        acts: What the work told.
        alerts: JSON, one line each.
        mark: The names of the work's containers begin with it, and its images' names, but for those that a build makes.
        attempt: The names of containers that attempt something begin with it.
    """
    lines = acts.splitlines()
    ours, theirs, attempted = (Counter[tuple[str, str]]() for _ in range(3))
    for line in alerts:
        told = json.loads(line)
        name, made_of = (told["container"].get(one) or "" for one in ("name", "image"))
        if not name and (drilled := _DRILLED.search(line)):
            name = made_of = drilled[0]  # no engine knows it, but its runtime was called with its name
        # A build's containers have names of the engine's choice, and images without one.
        own = name.startswith(mark) or made_of.startswith((mark, "sha256:")) or not made_of
        (attempted if name.startswith(attempt) else ours if own else theirs)[told["rule"], name] += 1
    counted = [line for line in lines if line.startswith(("ok ", "failed "))]
    failed = [line.removeprefix("failed ") for line in counted if line.startswith("failed ")]
    rounds = [int(line.split()[1]) for line in lines if line.startswith("rounds ")]
    return Found(sum(rounds), len(counted), failed, ours, theirs, attempted)


def told(found: Found) -> str:
    """Return what came of the work in words."""
    words = f"{found.rounds} rounds, {found.acts} acts, {len(found.failed)} failed, {found.alerts.total()} alerts"
    if found.failed:
        words += f"; failed: {'; '.join(found.failed[:5])}"
    if found.alerts:
        words += f"; alerts: {_listed(found.alerts)}"
    if found.elsewhere:
        words += f" (not counted: {found.elsewhere.total()} in other containers: {_listed(found.elsewhere)})"
    return words.replace("|", "/")


def _listed(counts: Counter[tuple[str, str]]) -> str:
    return ", ".join(
        f"{count} {rule} in {name or 'one without a name'}" for (rule, name), count in counts.most_common(5)
    )


def _started(child: subprocess.Popen[bytes], said: Path) -> None:
    until = time.monotonic() + SENSOR_S
    while b"watching" not in said.read_bytes():
        if child.poll() is not None or time.monotonic() > until:
            raise Error(f"The sensor did not start: {said.read_text(encoding='utf-8', errors='replace')}")
        time.sleep(0.2)


def _removed(mark: str) -> None:
    for kind, remove in (("ps --all", "rm --force --volumes"), ("volume ls", "volume rm")):
        asked = ["docker", *kind.split(), "--quiet", "--filter", f"name={mark}"]
        names = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
        if names:
            subprocess.run(["docker", *remove.split(), *names], capture_output=True, check=False)
    for name in (f"{mark}-built", f"{mark}-committed", mark):
        subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=False)
