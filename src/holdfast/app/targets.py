"""Sort what a person named into files, engine containers and processes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.model.errors import Usage

_NEXT = "name a file, a folder, docker://, docker://NAME, proc://, proc://PID or machine"


@dataclass(frozen=True, slots=True)
class Targets:
    """What to judge.

    Attributes:
        paths: Files and folders; ``-`` is standard input.
        engine: Judge what the engine runs.
        containers: Names or ids of single containers; empty with ``engine`` for all of them.
        processes: Judge containerised processes.
        pids: Process ids of single processes; empty with ``processes`` for all of them.
        optional: Nobody named an engine or one of its containers: an engine that is not there is no trouble.
    """

    paths: tuple[str, ...] = ()
    engine: bool = False
    containers: frozenset[str] = frozenset()
    processes: bool = False
    pids: frozenset[int] = frozenset()
    optional: bool = False

    @property
    def live(self) -> bool:
        """Something that runs is to be judged."""
        return self.engine or self.processes


def sort_targets(words: Iterable[str]) -> Targets:
    """Sort targets.

    Args:
        words: As given on the command line; none at all means this machine and the current folder.

    Raises:
        Usage: A word is no target: no such file, no such form.
    """
    words = tuple(words)
    if not words:
        return Targets(paths=(".",), engine=True, processes=True, optional=True)
    paths: list[str] = []
    containers: set[str] = set()
    pids: set[int] = set()
    engine = processes = every_container = every_process = named_engine = False
    for word in words:
        scheme, mark, rest = word.partition("://")
        if word in {"machine", "this"} and not os.path.exists(word):  # noqa: PTH110
            engine = processes = every_container = every_process = True
        elif mark and scheme == "docker":
            engine = named_engine = True
            every_container = every_container or not rest
            containers.update({rest} - {""})
        elif mark and scheme == "proc":
            processes = True
            every_process = every_process or not rest
            if rest and not rest.isdigit():
                raise Usage(f"{rest!r} is no process id", word, _NEXT)
            pids.update({int(rest)} if rest else set())
        elif word == "-" or os.path.lexists(word):
            paths.append(word)
        else:
            raise Usage("there is no such file or target", word, _NEXT)
    return Targets(
        tuple(paths),
        engine,
        frozenset() if every_container else frozenset(containers),
        processes,
        frozenset() if every_process else frozenset(pids),
        optional=not named_engine,
    )
