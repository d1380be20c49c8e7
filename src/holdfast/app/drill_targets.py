"""From what a person names to what is drilled."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.app import machine
from holdfast.app.drill_host import engine_labels, engine_runtimes, has_image, image_of
from holdfast.app.images import Images
from holdfast.app.progress import Progress
from holdfast.app.scan import described_in, readings
from holdfast.app.settings import Settings
from holdfast.app.targets import Targets, sort_targets
from holdfast.drill.configurations import LEAKING, OF_A_PART, Offer, draw
from holdfast.drill.container_line import EXPIRES
from holdfast.drill.lab import LAB
from holdfast.drill.likeness import replica_of
from holdfast.drill.parts import runs_here
from holdfast.model.errors import NotReachable, NotUnderstood, Usage
from holdfast.model.replica import Neighbour, Replica
from holdfast.model.words import declared
from holdfast.model.workload import Described, Workload
from holdfast.reason.effective.capabilities import NAMES

DRAWN_KIND = "drawn"
DRAWN = f"{DRAWN_KIND}:"
"""``drawn:SEED:COUNT`` stands for configurations that are drawn at random; ``holdfast agreement`` uses it."""
_OLD = 38
"""Capabilities before CAP_PERFMON, CAP_BPF and CAP_CHECKPOINT_RESTORE came with Linux 5.8 and 5.9."""
_NO_NETWORK = "the network: an OCI runtime sets none up, it has the loopback alone"
_PLAIN_ROOT = "the root file system: a folder of the host's, not the engine's layers"
_BARE = ("runc", "crun", "runsc")
"""OCI runtimes that can be asked without an engine."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One target before anything is planted.

    Attributes:
        name: As its owner calls it.
        kind: ``docker container``, ``Pod``, ``lab``, ...
        source: Where it is described.
        replica: What is to be started, with the host paths of the original.
        differs: In what it is not like the target.
        never: The target is labelled ``holdfast.drill=never``.
        leaks: A directory is left open for it.
    """

    name: str
    kind: str
    source: str
    replica: Replica
    differs: tuple[str, ...] = ()
    never: bool = False
    leaks: bool = False


def wanted(words: tuple[str, ...], settings: Settings, troubles: list[NotUnderstood]) -> Iterator[Wanted]:
    """Yield the targets.

    Args:
        words: Files, ``docker://NAME``, ``docker://``, ``proc://PID``, ``lab`` or ``lab:NAME``.
        settings: Of the person.
        troubles: What cannot be read is added here.

    Raises:
        Usage: A word is no target.
    """
    live = [word for word in words if not built_in(word)]
    for word in words:
        if built_in(word):
            yield from _of_ours(word)
    if live:
        yield from _of_theirs(sort_targets(live), settings, troubles)


def built_in(word: str) -> bool:
    """Tell whether a target is one of ours: of the lab, or drawn."""
    return word == "lab" or word.startswith(("lab:", DRAWN))


def _of_ours(word: str) -> Iterator[Wanted]:
    """Yield containers of the lab, or drawn ones."""
    if word.startswith(DRAWN):
        seed, _, count = word.removeprefix(DRAWN).partition(":")
        if not (seed.isdecimal() and count.isdecimal()):
            raise Usage("a draw is named by a seed and a number", word, f"{DRAWN}7:20 draws 20 with seed 7")
        for name, replica in draw(offer(), int(seed), int(count)):
            yield Wanted(name, DRAWN_KIND, f"seed {seed}", replica, leaks=LEAKING in name)
        return
    only = word.partition(":")[2]
    if only and only not in LAB:
        raise Usage(f"the lab has no container {only!r}", word, f"one of: {', '.join(LAB)}")
    engine = _engine("lab")
    for name, replica in LAB.items():
        if only == name or (not only and (engine == "docker" or not _needs_docker(replica))):
            yield Wanted(name, "lab", "built in", replace(replica, engine=engine))


def _needs_docker(replica: Replica) -> bool:
    """Tell whether a container of ours has a part of the drill beside it that stands before a Docker engine."""
    return replica.guarded or replica.neighbour is Neighbour.READ_PROXY


def _of_theirs(targets: Targets, settings: Settings, troubles: list[NotUnderstood]) -> Iterator[Wanted]:
    """Yield what files describe and what runs."""
    runtimes = frozenset(name for name in _BARE if shutil.which(name))
    engine = _answering()
    if targets.paths:
        with closing(Images(settings.docker)) as images:
            run = readings(targets, (), settings, Progress(quiet=True), troubles)
            for described in described_in(run, troubles):
                yield _one(Described(described.workload, images.facts(described)), engine, runtimes)
    if targets.live:
        found = machine.look(targets, settings.docker, Progress(quiet=True))
        troubles.extend(found.troubles)
        known = {each.workload.key for each in found.declared} - {""}
        live = [(described, "") for described in found.declared]
        live += [(each, name) for name, each in found.configured.items() if each.workload.key not in known]
        for described, name in live:
            workload = described.workload
            if name and workload.key:
                # What a runtime was told has no labels; the engine behind it knows them.
                workload = replace(workload, labels={**engine_labels(workload.key), **workload.labels})
            if EXPIRES not in workload.labels:  # no replica of a drill that goes on
                yield _one(Described(workload, described.facts), engine, runtimes, fallback=name)
        if targets.pids and not found.declared and not found.configured:
            numbers = ", ".join(map(str, sorted(targets.pids)))
            raise NotReachable(
                "Nothing describes this process, so no replica of it can be made",
                f"proc://{numbers}",
                "a container is known by its engine or by the configuration of its runtime; name one of those",
            )


def offer() -> Offer:
    """Return what can be started here."""
    engine = _engine("drawn containers")
    held = held_capabilities()
    return Offer(
        engine,
        tuple(name for name in _BARE if shutil.which(name)) if engine == "docker" else (),
        held,
        privileged=len(held) == _OLD,
        bridge=engine == "docker" and Path("/sys/class/net/docker0").is_dir(),
        parts=frozenset(name for name in OF_A_PART if runs_here(name, engine)),
    )


def held_capabilities() -> frozenset[str]:
    """Return the capabilities that can be handed out here: those in this process's bounding set."""
    held = 0
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("CapBnd:"):
            held = int(line.split()[1], 16)
    # Docker 20.10 does not know the newest three; CAP_SYS_ADMIN holds what they allow.
    return frozenset(name for number, name in enumerate(NAMES[:_OLD]) if held >> number & 1)


def _one(described: Described, engine: str, runtimes: frozenset[str], fallback: str = "") -> Wanted:
    workload = described.workload
    asked = described.facts.value(declared.ENGINE)
    # What a runtime was told is known to the letter, and only a runtime can be told the same again.
    value = described.facts.value
    bare = value(declared.CAPABILITIES_EXACT) is not None and value(declared.SYSTEM_PATHS) == "exact"
    image = "" if bare or engine != "docker" or asked != "docker" else _image(workload)
    runtime = _bare_runtime(workload.kind, runtimes)
    by = "oci" if bare else engine or _engine(workload.name or fallback)
    known = runtimes if bare else engine_runtimes(by)
    replica, differs = replica_of(described.facts, image, known, engine=by)
    if replica.engine == "oci" and (fallback or not bare):
        # An engine stands behind the target, and none behind the replica.
        own = "net" not in replica.namespaces
        differs = (*differs, *((_NO_NETWORK,) if own and replica.network != "none" else ()), _PLAIN_ROOT)
    if bare:
        replica = replace(replica, runtime=replica.runtime or runtime)
    elif asked not in {None, engine, "cri", "containerd"} and engine:
        differs = (*differs, f"the engine: {engine} starts it instead of {asked}")
    never = workload.labels.get("holdfast.drill", "").strip().lower() == "never"
    return Wanted(workload.name or fallback, workload.kind, str(workload.source), replica, differs, never)


def _image(workload: Workload) -> str:
    if workload.kind == "docker container" and workload.key:
        return image_of(workload.key) or workload.image
    return workload.image if workload.image and has_image(workload.image) else ""


def _bare_runtime(kind: str, runtimes: Iterable[str]) -> str:
    first = kind.partition(" ")[0]
    return first if first in runtimes else "runc"


def _answering() -> str:
    """Return the engine that starts replicas here; empty where there is none."""
    installed = [name for name in ("docker", "podman") if shutil.which(name)]
    if "docker" in installed and (os.environ.get("DOCKER_HOST") or Path("/run/docker.sock").exists()):
        return "docker"
    # Without Docker's socket Podman is the one that can answer; where there is only Docker, it says what is wrong.
    return installed[-1] if installed else ""


def _engine(target: str) -> str:
    """Return the engine that starts replicas here.

    Raises:
        NotReachable: There is none.
    """
    found = _answering()
    if not found:
        raise NotReachable(
            "There is no docker and no podman to start a replica with",
            target,
            "install one of them, or drill an OCI config.json",
        )
    return found
