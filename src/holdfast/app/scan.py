"""The use case ``scan``: targets in, one report out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast import techniques
from holdfast.app import baseline
from holdfast.app.assume import assumptions
from holdfast.app.documents import Reader, is_override, overrides
from holdfast.app.progress import Progress
from holdfast.app.settings import Settings
from holdfast.app.targets import Targets, sort_targets
from holdfast.app.troubles import as_trouble
from holdfast.collect import files
from holdfast.model.errors import Error, NotUnderstood
from holdfast.model.facts import Fact, Facts
from holdfast.model.report import Assessment, Contradiction, Report
from holdfast.model.workload import Described, Reading, Workload
from holdfast.platforms import kubernetes
from holdfast.reason.assess import Judge
from holdfast.reason.catalogue import Catalogue
from holdfast.reason.effective.declared import from_declared
from holdfast.reason.graph import edges
from holdfast.version import __version__

_THIS = "this machine"


@dataclass
class _Scan:
    """One scan while it runs."""

    settings: Settings
    catalogue: Catalogue
    assumed: Facts
    progress: Progress
    assessments: list[Assessment] = field(default_factory=list)
    troubles: list[NotUnderstood] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    idle: set[Fact[Any]] = field(init=False)

    def __post_init__(self) -> None:
        """Hold every assumption idle until it answers something."""
        self.idle = set(self.assumed)

    def judge(self, host: Facts, name: str) -> Callable[[Workload, Facts, tuple[Contradiction, ...]], None]:
        """Return a function that judges one workload against a host. What was seen overrules what is assumed."""
        judge = Judge(self.catalogue, self.assumed.joined(host), name)
        open_ = self.assumed.without(*(fact for fact in self.assumed if fact in host))

        def one(workload: Workload, facts: Facts, contradictions: tuple[Contradiction, ...]) -> None:
            if len(open_):
                self.idle -= {fact for fact in open_ if fact not in facts}
                facts = open_.joined(facts)
            self.assessments.append(judge.assess(workload, facts, contradictions))
            self.progress.tell(len(self.assessments), "workloads judged", workload.name)

        return one

    def documents(self, readings: Iterator[Reading], host: Facts, name: str) -> None:
        """Judge what files describe."""
        judge = self.judge(host, name)
        if name != _THIS:
            for described in described_in(readings, self.troubles):
                judge(described.workload, from_declared(described.facts, host), ())
            return
        from holdfast.app.images import Images

        with closing(Images(self.settings.docker)) as images:
            for described in described_in(readings, self.troubles):
                judge(described.workload, from_declared(images.facts(described), host), ())

    def idle_assumptions(self) -> Iterator[str]:
        """Say which assumptions answered nothing, so that nobody believes that they made a difference."""
        for name in sorted(fact.name for fact in self.idle) if self.assessments else ():
            yield f"--assume {name} changed nothing: the workloads, their host or a default answer it already"


def scan(words: tuple[str, ...], settings: Settings, merge: tuple[str, ...] = ()) -> Report:
    """Judge every target.

    Args:
        words: Targets as a person names them; none means this machine and the current folder.
        settings: What the person set.
        merge: Compose files that are merged in this order and judged as one project.

    Returns:
        The report. What could not be read is part of it.

    Raises:
        Usage: A target, an assumption, the host or the baseline is not usable.
        Error: A target that was named cannot be reached at all.
    """
    targets = sort_targets(words) if words or not merge else Targets()
    old = baseline.read(settings.baseline) if settings.baseline else None
    run = _Scan(
        settings,
        Catalogue(techniques.load().values()),
        assumptions(settings.assume),
        Progress(quiet=settings.quiet),
    )
    name = ""
    try:
        if targets.paths or merge:
            host = Facts()
            if settings.host:
                from holdfast.app.hosts import chosen_host

                host, name = chosen_host(settings.host, settings.docker)
            run.documents(readings(targets, merge, settings, run.progress, run.troubles), host, name)
        if targets.live:
            name = _THIS
            _live(targets, run)
    finally:
        run.progress.done()
    report = Report(
        tuple(run.assessments),
        tuple(run.troubles),
        edges(run.assessments),
        tuple(dict.fromkeys((*run.notes, *run.idle_assumptions()))),
        __version__,
        name,
    )
    return old.new(report) if old else report


def described_in(readings: Iterable[Reading], troubles: list[NotUnderstood]) -> Iterator[Described]:
    """Yield what files describe; last those that other files say something about, such as a claim's volume.

    Args:
        readings: Taken one at a time, so that ten thousand of them need no more memory than one.
        troubles: What could not be understood is added here.
    """
    waiting: list[Described] = []
    shared: list[Facts] = []
    for reading in readings:
        troubles.extend(reading.problems)
        if len(reading.shared):
            shared.append(reading.shared)
        for described in reading.workloads:
            if kubernetes.waits(described):
                waiting.append(described)
            else:
                yield described
    yield from map(kubernetes.others(shared), waiting)


def readings(
    targets: Targets, merge: tuple[str, ...], settings: Settings, progress: Progress, troubles: list[NotUnderstood]
) -> Iterator[Reading]:
    """Read files one after the other; what could not even be opened is added to the troubles."""
    reader = Reader({**os.environ, "PWD": os.getcwd()}, settings.profiles, settings.max_bytes)  # noqa: PTH109
    if merge:
        yield reader.read_files(merge, named=True, dialect="compose")
    if "-" in targets.paths:
        yield _standard_input(reader, settings)
    paths = [path for path in targets.paths if path != "-"]
    named = frozenset(path for path in paths if os.path.isfile(path))  # noqa: PTH113
    met: set[str] = set()
    for found in files.walk(paths, lambda count, path: progress.tell(count, "files read", path)):
        if isinstance(found, Error):
            troubles.append(as_trouble(found))
        elif len(paths) > 1 and _met(found.path, met):
            continue
        elif found.named or not is_override(found.path):
            over = () if found.named and len(named) > 1 else overrides(found.path)
            yield reader.read_files((found.path, *over), named=found.named)


def _standard_input(reader: Reader, settings: Settings) -> Reading:
    name = "standard input"
    if sys.stdin is None:
        return Reading(problems=(NotUnderstood("it is closed", name, "pipe a document into the program"),))
    return reader.read(name, sys.stdin.buffer.read(settings.max_bytes + 1), named=True)


def _met(path: str, met: set[str]) -> bool:
    """Tell whether a file was met before, by another spelling or inside a folder, and remember it."""
    whole = os.path.abspath(path)  # noqa: PTH100 - plain strings on a path walked 10,000 times
    known = whole in met
    met.add(whole)
    return known


def _live(targets: Targets, run: _Scan) -> None:
    """Judge what runs on this machine."""
    from holdfast.app import machine
    from holdfast.app.hosts import this_host

    found = machine.look(targets, run.settings.docker, run.progress)
    run.troubles.extend(found.troubles)
    run.notes.extend(found.notes)
    host = this_host(found.engine_records)
    judge = run.judge(host, _THIS)
    for workload, facts, contradictions in machine.effective(found, targets, host):
        judge(workload, facts, contradictions)


def write_report(
    report: Report, settings: Settings, write: Callable[[bytes], None], *, colour: bool, width: int
) -> None:
    """Render the report in the chosen format and hand it to ``write``, in pieces where the format allows it."""
    if settings.report_format == "json":
        from holdfast.reports import holdfast_json

        holdfast_json.render_to(report, write)
    elif settings.report_format == "sarif":
        from holdfast.reports import sarif

        sarif.render_to(report, write)
    elif settings.report_format == "html":
        from holdfast.reports import html

        html.render_to(report, write)
    else:
        from holdfast.reports import terminal

        shown = replace(report, notes=()) if settings.quiet else report
        write(terminal.render(shown, colour=colour, width=width, verbose=settings.verbose))
