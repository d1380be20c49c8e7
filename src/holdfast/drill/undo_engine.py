"""Undo what a drill made through an engine: containers, images, volumes, namespaces. Only what carries its label."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

from holdfast.drill import run_folder

LABEL = "holdfast.drill"
"""Its value is the id of the run."""
EXPIRES = "holdfast.expires"
"""Its value is when the run is over, in whole seconds since 1970."""
SECONDS = 60.0
_GONE_S = 10.0
_STORAGE = ("/var/lib/containers/storage", "~/.local/share/containers/storage")


_ABSENT = re.compile(r"no such (container|object|image|volume)\b|image not known|does not exist", re.IGNORECASE)
"""How engines say it. "No such file" alone would be a socket that is not there, which says nothing."""


class Stays(Exception):
    """The thing could not be undone; the text says why."""


def command(engine: str, address: str, *words: str) -> list[str]:
    """Return the command line that asks an engine."""
    option = {"docker": "--host", "podman": "--url"}.get(engine, "--host")
    return [engine, *((option, address) if address else ()), *words]


def asked(words: list[str], seconds: float = SECONDS) -> str | None:
    """Run a command and return what it prints; None where it says that there is no such thing.

    Raises:
        Stays: The command is not installed, fails or does not end.
    """
    if shutil.which(words[0]) is None:
        raise Stays(f"{words[0]} is not installed")
    try:
        answer = subprocess.run(  # noqa: S603 - the words are ours
            words,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise Stays(f"{words[0]} does not answer within {seconds:.0f} seconds") from error
    if answer.returncode == 0:
        return answer.stdout
    told = answer.stderr.strip()
    if _ABSENT.search(told):
        return None
    raise Stays(told.splitlines()[-1] if told else f"{words[0]} fails with {answer.returncode}")


def container(run: str, engine: str, name: str, address: str = "") -> bool:
    """Remove a container of the run, running or not; return whether there was one.

    Raises:
        Stays: It could not be removed.
    """
    look = command(engine, address, "container", "inspect", "--format", _label(".Config.Labels"), "--", name)
    if (label := asked(look)) is None or label.strip() != run:
        return False
    try:
        asked(command(engine, address, "container", "rm", "--force", "--volumes", "--", name))
    except Stays as stays:
        # It has just ended, and the engine removes it by itself.
        if "already in progress" not in str(stays):
            raise
    until = time.monotonic() + _GONE_S
    while (label := asked(look)) is not None and label.strip() == run:
        if time.monotonic() > until:
            raise Stays("the engine says it removed the container, and it is still there")
        time.sleep(0.2)
    return True


def labelled(run: str, engine: str, address: str = "") -> list[str]:
    """List the containers that carry a run's label, whoever made them: a replica may ask the engine for some.

    Raises:
        Stays: The engine does not answer.
    """
    words = ("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={run}")
    return (asked(command(engine, address, *words)) or "").split()


def image(run: str, engine: str, name: str, address: str = "") -> bool:
    """Remove an image of the run; return whether there was one.

    Raises:
        Stays: It could not be removed.
    """
    label = asked(command(engine, address, "image", "inspect", "--format", _label(".Config.Labels"), "--", name))
    if label is None or label.strip() != run:
        return False
    asked(command(engine, address, "image", "rm", "--force", "--", name))
    return True


def volume(run: str, engine: str, name: str, address: str = "") -> bool:
    """Remove a volume of the run; return whether there was one.

    Raises:
        Stays: It could not be removed.
    """
    label = asked(command(engine, address, "volume", "inspect", "--format", _label(".Labels"), "--", name))
    if label is None or label.strip() != run:
        return False
    asked(command(engine, address, "volume", "rm", "--force", "--", name))
    return True


def containerd_namespace(address: str, name: str) -> bool:
    """Remove a containerd namespace by its name, which carries the run's id; return whether there was one.

    Raises:
        Stays: It could not be removed.
    """
    if not Path(address).is_socket():
        return False
    found = asked(["ctr", "--address", address, "namespaces", "list", "--quiet"])
    if found is None or name not in found.split():
        return False
    asked(["ctr", "--address", address, "namespaces", "remove", name])
    return True


def oci_container(runtime: str, root: str, name: str) -> bool:
    """Delete a container that an OCI runtime started without an engine; return whether there was one.

    Raises:
        Stays: It could not be deleted.
    """

    def there() -> bool:
        return any(name in path.name for path in Path(root).glob("*"))

    if not there():
        return False
    asked([runtime, "--root", root, "delete", "--force", name])
    if there():
        raise Stays(f"{runtime} says it deleted the container, and its state is still there")
    return True


def expired(now: float, known: frozenset[str], engines: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Find labelled containers whose run has no folder here and is over.

    Args:
        now: Seconds since 1970.
        known: Ids of the runs that have a folder; their journals say what to do.
        engines: ``docker``, ``podman``. One that is not there or does not answer has no containers.

    Returns:
        (engine, container, run) of each.
    """
    found: list[tuple[str, str, str]] = []
    for engine in engines:
        # The first call of podman makes its storage; where there is none there are no containers.
        if engine == "podman" and not any(Path(path).expanduser().exists() for path in _STORAGE):
            continue
        try:
            for number in (asked([engine, "ps", "--all", "--quiet", "--filter", f"label={LABEL}"], 20) or "").split():
                shown = f"{_label('.Config.Labels')} {_label('.Config.Labels', EXPIRES)}"
                labels = (asked([engine, "container", "inspect", "--format", shown, "--", number], 20) or "").split()
                over = len(labels) == 2 and labels[1].isdecimal() and float(labels[1]) < now
                if over and run_folder.NAME.fullmatch(labels[0]) and labels[0] not in known:
                    found.append((engine, number, labels[0]))
        except Stays:
            continue
    return found


def _label(labels: str, name: str = LABEL) -> str:
    return f'{{{{index {labels} "{name}"}}}}'
