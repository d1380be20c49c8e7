"""Count how often a program starts and ends as it should under a seccomp profile, with an OCI runtime alone.

Whether a profile leaves the runtime enough is not seen from one start: the scheduler of the runtime's language makes
calls of its own, now and then.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill.boxes import runtime_words
from holdfast.drill.journal import Journal, Kind
from holdfast.drill.oci_bundle import write_bundle
from holdfast.model.errors import NotReachable
from holdfast.model.replica import Replica

HANGS = -1
"""Status of a start that did not end in time."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that needs no other file.

    Attributes:
        binary: Its file, statically linked.
        command: How it is called; the file is placed where the first word says.
        links: Further names of the file, for programs that are many in one.
        ends: Exit status that shows that it did its work.
    """

    binary: bytes
    command: tuple[str, ...]
    links: tuple[str, ...] = ()
    ends: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    """One start.

    Attributes:
        status: Exit status: the program's, 128 and the signal that killed it, the runtime's own, or ``HANGS``.
        said: What the runtime or the program said on standard error, its end.
    """

    status: int
    said: str


def starts(  # noqa: PLR0913 - each is one thing it depends on
    journal: Journal,
    program: Program,
    profile: bytes,
    *,
    runtime: str,
    no_new_privileges: bool,
    times: int = 30,
    before: Sequence[str] = (),
    longest_s: float = 30,
) -> tuple[Start, ...]:
    """Start a program again and again, each time in a fresh container.

    Args:
        journal: Of a run; the caller finishes it.
        program: What is started.
        profile: The seccomp profile, JSON in the OCI runtime's shape.
        runtime: ``runc`` or ``crun``.
        no_new_privileges: The flag.
        times: How often.
        before: A command that is put before the runtime's, such as a tracer.
        longest_s: Seconds after which a start counts as hanging and is ended.

    Raises:
        NotReachable: The runtime is not installed.
    """
    name = f"holdfast-{journal.id}-{runtime}-{'quiet' if no_new_privileges else 'loud'}"
    folder, state = journal.folder / "bundles" / name, journal.folder / "state" / runtime
    wanted = json.dumps(json.loads(profile))
    replica = Replica(engine="oci", runtime=runtime, no_new_privileges=no_new_privileges, seccomp=wanted)
    _bundle(folder, program, replica, name)
    state.mkdir(parents=True, exist_ok=True)
    words = runtime_words(runtime, state)
    number = journal.will(Kind.OCI_CONTAINER, runtime=runtime, root=str(state), id=name)
    found = []
    for _ in range(times):
        found.append(_once([*before, *words, "run", "--bundle", str(folder), name], longest_s))
        if found[-1].status != program.ends:
            # What did not end as it should may still be there, and its name is needed again.
            _once([*words, "delete", "--force", name], longest_s)
    journal.done(number)
    return tuple(found)


def _bundle(folder: Path, program: Program, replica: Replica, name: str) -> None:
    place = Path(program.command[0])
    inside = folder / "rootfs" / str(place.parent).lstrip("/")
    inside.mkdir(parents=True, exist_ok=True)
    write_bundle(replica, folder, program.binary, list(program.command), f"/{name}")
    for link in program.links:
        if not (inside / link).is_symlink():
            (inside / link).symlink_to(place.name)


def _once(line: list[str], longest_s: float) -> Start:
    try:
        ended = subprocess.run(  # noqa: S603 - a runtime by its plain name
            line, stdin=subprocess.DEVNULL, capture_output=True, timeout=longest_s, check=False
        )
    except FileNotFoundError as error:
        raise NotReachable(f"There is no program {line[0]}", line[0], f"install {line[0]}") from error
    except subprocess.TimeoutExpired:
        return Start(HANGS, f"did not end within {longest_s:g} s")
    return Start(ended.returncode, ended.stderr.decode(errors="replace").strip()[-300:])
