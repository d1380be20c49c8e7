"""A container of the run's own that is never started and holds canaries, for others to read through an engine."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from holdfast.drill import undo_engine
from holdfast.drill.boxes import PROBE, ask, packed
from holdfast.drill.container_line import EXPIRES, LABEL, VARIABLE
from holdfast.drill.journal import Journal, Kind

FILE = "/.holdfast/canary"


@dataclass(frozen=True, slots=True)
class Idle:
    """A container that was made and not started.

    Attributes:
        name: Its name, which carries the run's id.
        secret: Stands in its command line, in its environment and in the file ``FILE``.
    """

    name: str
    secret: str


def made(journal: Journal, image: str, address: str = "") -> Idle:
    """Have Docker make one. The reaper removes it with the run.

    Args:
        journal: Of the run.
        image: The image with the probe.
        address: Of the engine; empty for the usual place.

    Raises:
        NotReachable: The engine refuses.
    """
    name = f"holdfast-{journal.id}-other"
    secret = f"{journal.id}{secrets.token_hex(8)}"
    at = {"address": address} if address else {}
    journal.will(Kind.CONTAINER, engine="docker", name=name, **at)
    labels = (f"{LABEL}={journal.id}", f"{EXPIRES}={int(journal.expires)}")
    options = ["--pull", "never", "--network", "none", "--entrypoint", PROBE, "--env", f"{VARIABLE}={secret}"]
    options += [word for label in labels for word in ("--label", label)]
    command = ["hold", "1", secret]
    ask(undo_engine.command("docker", address, "create", *options, "--name", name, image, *command))
    journal.boundary("idle")
    ask(undo_engine.command("docker", address, "cp", "-", f"{name}:/"), packed([(FILE[1:], 0o600, secret.encode())]))
    return Idle(name, secret)
