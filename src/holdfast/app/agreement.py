"""The use case ``agreement``: draw containers, drill each here and in the flavours of the virtual machine, compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast import techniques
from holdfast.app import drill, drill_place
from holdfast.app.drill_targets import DRAWN
from holdfast.app.settings import Settings
from holdfast.model.agreement import Agreement
from holdfast.model.drill import DrillReport
from holdfast.model.errors import Error, Usage
from holdfast.model.technique import DrillClass, Technique
from holdfast.reports import agreement_json, agreement_markdown, drill_json

HERE = "this machine"
_FURTHER = 1000
"""Between the seeds of two places."""

_SOCKETS_ONLY = (
    "Of the host's root file system only sockets lie in that container, and a socket cannot be opened to begin from."
    " A mount of a single socket is rare, so the rule keeps saying yes."
)
STANDING: Mapping[str, str] = {
    "open-by-handle-read": _SOCKETS_ONLY,
    "open-by-handle-write": _SOCKETS_ONLY,
    "input-tty": (
        "The kernel has the driver and this host no such device: a node that is made for it leads nowhere. What devices"
        " a host has is not looked at."
    ),
    "setuid-on-shared-volume": (
        "The host's own mount of the directory is nosuid, or its users cannot reach it. The container's mounts show"
        " neither, so the rule keeps saying yes."
    ),
}
"""Technique id -> why its rule says yes where an attempt fails, and is not to be mended. Never excuses a miss."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be compared.

    Attributes:
        seed: Of the draw.
        here: Containers on this machine; 0 leaves it out.
        inside: Containers in each flavour.
        flavours: Names of flavours.
        keep: Folder for the drills' own reports; those that are there already are not made again.
    """

    seed: int
    here: int
    inside: int
    flavours: tuple[str, ...]
    keep: Path | None = None


def agreement(wish: Wish, settings: Settings, tell: Callable[[str], None]) -> Agreement:
    """Drill and compare.

    Raises:
        Error: A drill cannot be made.
    """
    found = Agreement()
    plan = drill.Plan((), consent=True, explain=False)
    wanted = ((HERE, wish.here), *((name, wish.inside) for name in wish.flavours))
    for number, (place, count) in enumerate(wanted):
        if not count:
            continue
        # Another draw for each place, so that together they try more.
        words = (f"{DRAWN}{wish.seed + _FURTHER * number}:{count}",)
        tell(f"{place}: {count} containers")
        report = _kept(wish, place, count)
        if report is None:
            flavour = "" if place == HERE else place
            report = drill_place.made(replace(plan, targets=words), settings, flavour)
            _keep(wish, place, count, report)
        found.add(place, report, STANDING)
        if report.stopped:
            raise Error(
                f"the drill was stopped: {report.stopped}", place, "mend it, and begin again with --keep FOLDER"
            )
    return found


def written(found: Agreement, seed: int) -> tuple[bytes, bytes]:
    """Return the agreement as a page and as JSON."""
    catalogue = techniques.load()
    tried = {name for name, _ in found.cells}
    why_not = {name: _why(technique) for name, technique in catalogue.items() if name not in tried}
    page = agreement_markdown.render(found, seed=seed, techniques=catalogue, why_not=why_not)
    return page, agreement_json.render(found, seed=seed, techniques=catalogue, why_not=why_not)


def flavours(words: Sequence[str]) -> tuple[str, ...]:
    """Return the flavours that a person named; ``all`` stands for every one, ``none`` for none.

    Raises:
        Usage: There is no such flavour.
    """
    from holdfast.drill.machine.flavours import FLAVOURS

    if "none" in words:
        return ()
    if "all" in words or not words:
        return tuple(FLAVOURS)
    for word in words:
        if word not in FLAVOURS:
            raise Usage(f"there is no flavour {word!r}", "--vm", f"one of: {', '.join(FLAVOURS)}, all, none")
    return tuple(words)


def _path(wish: Wish, place: str, count: int) -> Path | None:
    return wish.keep and wish.keep / f"{place.replace(' ', '-')}-{wish.seed}-{count}.json"


def _kept(wish: Wish, place: str, count: int) -> DrillReport | None:
    path = _path(wish, place, count)
    return drill_json.read(path.read_bytes(), str(path)) if path is not None and path.is_file() else None


def _keep(wish: Wish, place: str, count: int, report: DrillReport) -> None:
    path = _path(wish, place, count)
    if path is not None and not report.stopped:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drill_json.render(report))


def _why(technique: Technique) -> str:
    if technique.drill_class is DrillClass.D0:
        return "never run: it would harm the machine, or needs a hole to be used"
    return _PART_MISSING.get(technique.id, "no place here has what it needs")


_PART_MISSING = {
    "docker-tcp-api": "would open an engine to the network",
    "desktop-api": "Docker Desktop does not run on Linux servers",
    "kubelet-api": "needs a kubelet",
    "pod-create": "needs a Kubernetes API",
    "lxcfs-release-agent": "needs an lxcfs with cgroup files, which version 5 has not",
    "persistent-volume-host-path": "needs a Kubernetes volume; as a plain mount it is host-root-write and its like",
}
