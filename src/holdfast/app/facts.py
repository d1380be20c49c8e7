"""The use case ``facts``: everything known about a target, and about the host."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from holdfast.app import machine
from holdfast.app.assume import assumable
from holdfast.app.hosts import chosen_host, engine_records, this_host
from holdfast.app.progress import Progress
from holdfast.app.scan import readings
from holdfast.app.settings import Settings
from holdfast.app.targets import sort_targets
from holdfast.model import words
from holdfast.model.place import Where
from holdfast.model.workload import Described, Workload
from holdfast.reason.effective.declared import from_declared
from holdfast.reports import facts_listing, facts_record


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for.

    Attributes:
        targets: As for ``scan``.
        host: The host instead of containers.
        words: The vocabulary instead of answers.
        record: A record of the host that ``scan --host FILE`` reads.
        as_json: JSON instead of text.
        verbose: Also name the facts that nobody answered.
    """

    targets: tuple[str, ...]
    host: bool
    words: bool
    record: bool
    as_json: bool
    verbose: bool


def tell(wanted: Wanted, settings: Settings, write: Callable[[bytes], None], *, colour: bool, width: int) -> None:
    """Render what was asked for and hand it to ``write``.

    Raises:
        Usage: A target is not usable.
        Error: A target that was named cannot be reached.
    """
    if wanted.words:
        lines = [f"{name}  ({fact.kind.__name__})\n    {fact.doc}" for name, fact in sorted(assumable().items())]
        write(("\n".join(lines) + "\n").encode())
        return
    if wanted.record:
        write(facts_record.render(this_host(engine_records(settings.docker)), platform.node()))
        return
    described = list(_host(settings) if wanted.host else _containers(wanted, settings))
    if wanted.as_json:
        facts_listing.render_json_to(described, write)
    else:
        vocabulary = words.load() if wanted.verbose else None
        write(
            facts_listing.render(described, colour=colour, width=width, verbose=wanted.verbose, vocabulary=vocabulary)
        )


def _host(settings: Settings) -> Iterator[Described]:
    yield Described(
        Workload(platform.node(), "host", Where("this machine")), this_host(engine_records(settings.docker))
    )


def _containers(wanted: Wanted, settings: Settings) -> Iterator[Described]:
    targets = sort_targets(wanted.targets)
    progress = Progress(quiet=settings.quiet)
    if targets.paths:
        host, _ = chosen_host(settings.host, settings.docker)
        for reading in readings(targets, (), settings, progress, []):
            for described in reading.workloads:
                yield Described(described.workload, from_declared(described.facts, host).joined(described.facts))
    if targets.live:
        found = machine.look(targets, settings.docker, progress)
        host = this_host(found.engine_records)
        for workload, facts, _ in machine.effective(found, targets, host):
            yield Described(workload, facts)
    progress.done()
