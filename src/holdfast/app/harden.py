"""The use case ``harden``: files in; out come the smallest changes that end every path, written and judged again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from holdfast import techniques
from holdfast.app.assume import assumptions
from holdfast.app.documents import Reader
from holdfast.app.harden_files import Source, Sources, hold_writable, replace_file
from holdfast.app.progress import Progress
from holdfast.app.settings import Settings
from holdfast.app.targets import sort_targets
from holdfast.model.change import Change
from holdfast.model.errors import ExitCode, Usage
from holdfast.model.facts import Facts
from holdfast.model.hardening import Gain, Hardened, Hardening, Patch
from holdfast.model.remedy import Made, Remedy
from holdfast.model.report import Assessment, Verdict
from holdfast.model.technique import Technique
from holdfast.model.workload import Described
from holdfast.model.written import Unwritten
from holdfast.reason.assess import Judge
from holdfast.reason.catalogue import Catalogue
from holdfast.reason.fixes import Extent, Ground, assessed, fixes
from holdfast.reason.remedies.candidates import asked_capabilities, candidates
from holdfast.reason.remedies.wishes import Wishes, one_spelling
from holdfast.version import __version__

if TYPE_CHECKING:
    from holdfast.app.images import Images

_THIS = "this machine"
_MOST_GAINS = 8
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Order:
    """What the person asked for.

    Attributes:
        keep: What is to stay: capabilities, paths, ``user``, ``privileged`` and so on.
        certain: Be content where nothing certain is left.
        write: Change the files.
    """

    keep: tuple[str, ...] = ()
    certain: bool = False
    write: bool = False


@dataclass
class _Run:
    """One run."""

    order: Order
    catalogue: Catalogue
    ground: Ground
    sources: Sources
    images: Images | None
    asked: frozenset[str] = field(init=False)
    idle: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.asked = asked_capabilities(self.catalogue)
        self.idle = set(self.order.keep)

    def facts(self, described: Described) -> Facts:
        return self.images.facts(described) if self.images is not None else described.facts

    def one(self, source: Source, index: int) -> tuple[Hardened, Facts]:
        """Harden one workload of a file, in memory; return what was found and the facts it was found for."""
        described = self.sources.again(source, index) or source.workloads[index]
        # lines above may have been changed for another workload; the person knows the places of the old text
        facts, workload = self.facts(described), source.workloads[index].workload
        before = now = assessed(workload, facts, self.ground, ())
        if described is not source.workloads[index]:
            before = assessed(workload, self.facts(source.workloads[index]), self.ground, ())
        remedies = self._remedies(facts, now)
        found = fixes(workload, facts, self.ground, remedies, Extent(certain=self.order.certain))
        hardened = Hardened(before, found)
        chosen = hardened.chosen
        if chosen is None:
            return hardened, facts
        inside = [remedy for remedy in chosen.remedies if remedy.made is Made.FILE]
        outside = tuple(remedy for remedy in chosen.remedies if remedy.made is not Made.FILE)
        left = self._written(source, index, [change for remedy in inside for change in remedy.changes])
        return replace(hardened, left=left, outside=outside), facts

    def judged_again(self, source: Source, index: int, hardened: Hardened) -> Hardened:
        """Judge a workload as the file describes it after all changes, those for other workloads included."""
        if hardened.chosen is None and source.text in {None, source.before}:
            return hardened
        described = self.sources.again(source, index)
        if described is None:
            return hardened
        workload, facts = hardened.before.workload, self.facts(described)
        alone = assessed(workload, facts, self.ground, ())
        if hardened.chosen is None and alone.verdict is hardened.before.verdict:
            return hardened
        if not hardened.outside:
            return replace(hardened, after=alone)
        return replace(hardened, after=assessed(workload, facts, self.ground, hardened.outside), file_alone=alone)

    def _written(self, source: Source, index: int, changes: Sequence[Change]) -> tuple[Unwritten, ...]:
        """Write changes into the text; return those that are not in it.

        What could not be written is tried once more in the new text: another change may have stood in its way.
        """
        left: tuple[Unwritten, ...] = ()
        for _ in range(_ROUNDS):
            described = self.sources.again(source, index)
            if described is None:
                described = source.workloads[index]
            written = self.sources.write(source, described, changes)
            left = written.left
            progress = source.text is not None and written.text != source.text
            if source.text is not None:
                source.text = written.text
            if not left or not progress:
                break
            changes = [each.change for each in left]
        return left

    def _remedies(self, facts: Facts, before: Assessment) -> tuple[Remedy, ...]:
        met: dict[str, Technique] = {step.technique.id: step.technique for path in before.paths for step in path.steps}
        wishes = Wishes.of(*self.order.keep)
        if self.idle:
            everything = candidates(facts, self.ground.around, self.asked, None, met.values())
            touched = frozenset[str]().union(*(remedy.touches for remedy in everything))
            self.idle = {word for word in self.idle if one_spelling(word) not in touched}
        return candidates(facts, self.ground.around, self.asked, wishes, met.values())


def harden(words: Sequence[str], settings: Settings, order: Order) -> Hardening:
    """Find, for every workload that files describe, the smallest changes that end its paths; write them if asked to.

    Args:
        words: Files and folders, or ``-``; none means the current folder.
        settings: What the person set.
        order: What the person asked for.

    Raises:
        Usage: A target runs instead of being described, or an assumption or the host is not usable.
        NotPermitted: A file is read-only; then none is written.
        Unsafe: A file was changed meanwhile; the same.
        Error: A file cannot be written.
    """
    targets = sort_targets(words or (".",))
    if targets.live:
        raise Usage(
            "only files are hardened", " ".join(words), "name the file that describes the container, or a folder"
        )
    if order.write and "-" in targets.paths:
        raise Usage("standard input cannot be written back", "-", "name a file, or leave out --write")
    host, name = Facts(), ""
    if settings.host:
        from holdfast.app.hosts import chosen_host

        host, name = chosen_host(settings.host, settings.docker)
    assumed = assumptions(settings.assume)
    catalogue = Catalogue(techniques.load().values())
    judge = Judge(catalogue, assumed.joined(host), name)
    open_ = assumed.without(*(fact for fact in assumed if fact in host))
    progress = Progress(quiet=settings.quiet)
    reader = Reader({**os.environ, "PWD": os.getcwd()}, settings.profiles, settings.max_bytes)  # noqa: PTH109
    sources = Sources(reader)
    try:
        found = sources.read(targets.paths, lambda count, path: progress.tell(count, "files read", path))
        ground = Ground(judge, host, open_)
        if name == _THIS:
            from holdfast.app.images import Images

            with closing(Images(settings.docker)) as images:
                return _hardened(_Run(order, catalogue, ground, sources, images), found, progress, name)
        return _hardened(_Run(order, catalogue, ground, sources, None), found, progress, name)
    finally:
        progress.done()


def _hardened(run: _Run, found: list[Source], progress: Progress, host: str) -> Hardening:
    results: list[tuple[Hardened, Facts]] = []
    patches: list[Patch] = []
    for source in found:
        for index, described in enumerate(source.workloads):
            results.append(run.one(source, index))
            progress.tell(len(results), "workloads hardened", described.workload.name)
        first = len(results) - len(source.workloads)
        for index in range(len(source.workloads)):
            hardened, facts = results[first + index]
            results[first + index] = run.judged_again(source, index, hardened), facts
        if source.text is not None and source.text != source.before:
            patches.append(Patch(source.path, source.before, source.text))
    if run.order.write:
        for patch in patches:
            hold_writable(patch.path, patch.before.encode())
        for number, patch in enumerate(patches):
            replace_file(patch.path, patch.before.encode(), patch.after.encode())
            patches[number] = replace(patch, applied=True)
    notes = [f"--keep {word} kept nothing: no change would touch it" for word in sorted(run.idle) if results]
    return Hardening(
        tuple(hardened for hardened, _ in results),
        tuple(patches),
        _gains(run, results),
        tuple(run.sources.troubles),
        tuple(notes),
        __version__,
        host,
    )


def _gains(run: _Run, results: list[tuple[Hardened, Facts]]) -> tuple[Gain, ...]:
    """Say which changes do most for several workloads together, each by itself."""
    open_ = [(hardened, facts, hardened.chosen) for hardened, facts in results]
    if sum(chosen is not None for _, _, chosen in open_) < 2:
        return ()
    names: dict[str, list[str]] = {}
    ended: dict[str, int] = {}
    for hardened, facts, chosen in open_:
        workload = hardened.before.workload
        for remedy in () if chosen is None else chosen.remedies:
            after = assessed(workload, facts, run.ground, (remedy,))
            names.setdefault(remedy.title, []).append(workload.name)
            ended[remedy.title] = ended.get(remedy.title, 0) + max(0, len(hardened.before.paths) - len(after.paths))
    ordered = sorted(names, key=lambda title: (-ended[title], -len(names[title]), title))
    return tuple(Gain(title, tuple(names[title]), ended[title]) for title in ordered[:_MOST_GAINS])


def exit_code(report: Hardening, *, written: bool) -> ExitCode:
    """Say what the shell is told.

    Args:
        report: What was found.
        written: The files were changed.

    Returns:
        CLEAN where nothing has to be changed, or everything that had to be was written and every workload is
        contained now; FINDINGS where changes are proposed or a certain path stays; else UNSEEN where a path hangs on
        what nobody saw, a file was not understood, or nothing was there.
    """
    states = [
        (each.after if written and each.after is not None and not each.outside else each.before).verdict
        for each in report.workloads
    ]
    proposed = any(each.chosen is not None for each in report.workloads)
    if Verdict.ESCAPABLE in states or (proposed and not written):
        return ExitCode.FINDINGS
    if Verdict.UNKNOWN in states or report.not_understood or not report.workloads:
        return ExitCode.UNSEEN
    return ExitCode.CLEAN


def rendered(report: Hardening, kind: str, *, colour: bool, width: int, verbose: bool) -> bytes:
    """Render what was found as ``terminal``, ``json`` or ``diff``."""
    if kind == "json":
        from holdfast.reports import harden_json

        return harden_json.render(report)
    if kind == "diff":
        from holdfast.reports import harden_diff

        return harden_diff.render(report)
    from holdfast.reports import harden_terminal

    return harden_terminal.render(report, colour=colour, width=width, verbose=verbose)
