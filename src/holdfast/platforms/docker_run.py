"""``docker run``, ``docker create``, ``podman run`` and ``nerdctl run`` command lines, wherever they are written down.

A value that rests on a shell variable nobody set leaves its answer absent. A variable that may hold options, such as
``docker run $OPTS image``, leaves everything open that is not said outright.

Source:
    https://docs.docker.com/reference/cli/docker/container/run/
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from holdfast.model.change import Change
from holdfast.model.errors import NotUnderstood
from holdfast.model.place import Where
from holdfast.model.tree import Document
from holdfast.model.workload import Described, Reading, Surroundings, Workload
from holdfast.model.written import Written
from holdfast.platforms._docker_run_command import Reader
from holdfast.platforms._docker_run_files import Files
from holdfast.platforms._docker_run_place import Place, place_of
from holdfast.platforms._docker_run_request import Request
from holdfast.platforms._docker_run_security import tell_security
from holdfast.platforms._docker_run_shell import commands, mentioned
from holdfast.platforms._docker_run_write import write_command
from holdfast.platforms._own_labels import own

NAME = "docker_run"


def recognises(document: Document) -> bool:
    """Tell whether the text may hold such a command line."""
    return bool(document.text) and not document.roots and mentioned(document.text)


def read(document: Document, surroundings: Surroundings) -> Reading:
    """Answer what every command line of the text asks for.

    Args:
        document: A text.
        surroundings: Seccomp profiles by name; a relative one is looked for beside the document. ``PWD`` and ``HOME``
            of the environment make relative paths and ``~`` absolute.

    Returns:
        One workload for each command that starts or creates a container, in order.

    Raises:
        Needs: A seccomp profile must be seen.
    """
    files = Files(surroundings)
    text, name = document.text, document.name
    reading = _read(text, name, files, place_of(text, name, surroundings.environment))
    files.settle()
    return reading


def read_command(text: str, name: str) -> Reading:
    """Answer what the command lines of a text ask for, without looking at any other file.

    Args:
        text: One command line, or a script.
        name: What stands in every place.
    """
    return _read(text, name, Files(None), Place())


def write(text: str, document: Document, described: Described, changes: Sequence[Change]) -> Written:
    """Write changes to a container into the text that holds its command line.

    Args:
        text: The file, decoded without changing its line ends.
        document: The file as it was read.
        described: The container as ``read`` returned it from that text.
        changes: Over ``declared.*`` facts.

    Returns:
        The text, the same but for the words that had to change, and the changes that are not in it.
    """
    place = place_of(text, document.name, {})
    return write_command(text, described, changes, lambda one: _read(one, document.name, Files(None), place), place)


def _read(text: str, name: str, files: Files, place: Place) -> Reading:
    problems: list[NotUnderstood] = []
    readers: list[Reader] = []
    others: dict[str, Request] = {}
    folder = posixpath.dirname(name)

    for command in commands(text, name, place.variables(), problems):
        reader = Reader(command, name, place)
        if not reader.read():
            continue
        request = reader.request
        tell_security(request, lambda path: files.get(_beside(folder, path)))
        readers.append(reader)
        if reader.name is not None and not reader.name.unknown:
            others[reader.name.text] = request
    workloads: list[Described] = []
    for reader in readers:
        problems += reader.request.problems
        image = reader.image.text if reader.image is not None else ""
        title = reader.name.text if reader.name is not None else image
        where = Where(name, "", reader.command.line)
        labels = own(reader.request.labels)
        workload = Workload(title or f"{reader.command.engine} run", "docker run", where, image, "", labels)
        workloads.append(Described(workload, reader.request.facts(others)))
    return Reading(tuple(workloads), tuple(problems))


def _beside(folder: str, path: str) -> str:
    return path if path.startswith("/") else posixpath.normpath(posixpath.join(folder, path))
