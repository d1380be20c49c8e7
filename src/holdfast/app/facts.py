"""The use case ``facts``: everything known about a target, and about the host."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from holdfast.app import machine
from holdfast.app.assume import assumable
from holdfast.app.hosts import chosen_host, engine_records, this_host
from holdfast.app.progress import Progress
from holdfast.app.scan import described_in, readings
from holdfast.app.settings import Settings
from holdfast.app.targets import sort_targets
from holdfast.model import words
from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Facts
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


def tell(
    wanted: Wanted, settings: Settings, write: Callable[[bytes], None], *, colour: bool, width: int
) -> list[NotUnderstood]:
    """Render what was asked for and hand it to ``write``.

    Returns:
        What could not be read.

    Raises:
        Usage: A target is not usable.
        Error: A target that was named cannot be reached.
    """
    troubles: list[NotUnderstood] = []
    if wanted.words:
        lines = [f"{name}  ({fact.kind.__name__})\n    {fact.doc}" for name, fact in sorted(assumable().items())]
        write(("\n".join(lines) + "\n").encode())
        return troubles
    if wanted.record:
        write(facts_record.render(this_host(engine_records(settings.docker)), platform.node()))
        return troubles
    described = list(_host(settings) if wanted.host else _containers(wanted, settings, troubles))
    if wanted.as_json:
        facts_listing.render_json_to(described, write)
    else:
        vocabulary = words.load() if wanted.verbose else None
        write(
            facts_listing.render(described, colour=colour, width=width, verbose=wanted.verbose, vocabulary=vocabulary)
        )
    return troubles


def _host(settings: Settings) -> Iterator[Described]:
    yield Described(
        Workload(platform.node(), "host", Where("this machine")), this_host(engine_records(settings.docker))
    )


def _containers(wanted: Wanted, settings: Settings, troubles: list[NotUnderstood]) -> Iterator[Described]:
    targets = sort_targets(wanted.targets)
    progress = Progress(quiet=settings.quiet)
    try:
        if targets.paths:
            host, _ = chosen_host(settings.host, settings.docker)
            for described in described_in(readings(targets, (), settings, progress, troubles), troubles):
                yield Described(described.workload, from_declared(described.facts, host).joined(described.facts))
        if targets.live:
            found = machine.look(targets, settings.docker, progress)
            troubles.extend(found.troubles)
            host = this_host(found.engine_records)
            raw = _Raw(found)
            for workload, facts, _ in machine.effective(found, targets, host):
                yield Described(workload, raw.of(workload).joined(facts))
    finally:
        progress.done()


class _Raw:
    """What engine, runtime and procfs said of each container before it was worked out what the kernel will do."""

    def __init__(self, found: machine.Found) -> None:
        declared = (*found.declared, *found.configured.values())
        self._declared = {each.workload.source: each.facts for each in declared}
        self._observed = {each.workload.source: each.facts for each in found.observed}
        self._first = {
            each.workload.key: each.facts for each in found.observed if not each.workload.labels.get("further")
        }

    def of(self, workload: Workload) -> Facts:
        """Return the facts, declared and observed ones beside each other."""
        declared = self._declared.get(workload.source)
        if declared is None:
            return self._observed.get(workload.source, Facts())
        return declared.joined(self._first.get(workload.key, Facts()))
