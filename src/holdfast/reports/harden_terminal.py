"""What hardening found, for a terminal: per workload the changes, the alternatives, what stays; then the diffs."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.hardening import Hardened, Hardening, Patch
from holdfast.model.remedy import FixSet, Goal
from holdfast.model.report import Assessment, EscapePath, Verdict
from holdfast.reports._diff import unified
from holdfast.reports._lines import Line, line, painted
from holdfast.reports._plain import one_line
from holdfast.reports._values import changed
from holdfast.reports._words import Words

MEDIA_TYPE = "text/plain"
_MOST_NAMES = 5
_MOST_ALTERNATIVES = 3


def render(report: Hardening, *, colour: bool, width: int, verbose: bool = False, language: str = "en") -> bytes:
    """Write what hardening found for a person.

    Args:
        report: The results.
        colour: Write SGR colour sequences.
        width: Columns to wrap at; 0 does not wrap. Diffs are never wrapped.
        verbose: Name every set of changes and every way out.
        language: Tag of a table in ``_words``.

    Returns:
        UTF-8 text. For a diff that patch(1) takes see ``harden_diff``: here control characters are spelled out.
    """
    words = Words(language)
    out = painted(_told(report, words, verbose=verbose), colour=colour, width=width)
    for patch in report.patches:
        out += painted(_patch(patch), colour=colour, width=0)
    return out + painted(_end(report, words), colour=colour, width=width)


def _told(report: Hardening, words: Words, *, verbose: bool) -> Iterator[Line]:
    if report.gains:
        count = sum(each.chosen is not None for each in report.workloads)
        yield line((words("harden.gains", count=count), "name"))
        for gain in report.gains:
            told = words.counted("harden.gain", len(gain.workloads), title=one_line(gain.title), paths=gain.paths)
            yield line(told, indent=2)
        yield line()
    for each in report.workloads:
        yield from _workload(each, words, verbose=verbose)


def _workload(each: Hardened, words: Words, *, verbose: bool) -> Iterator[Line]:
    workload, verdict = each.before.workload, each.before.verdict
    parts = [(one_line(workload.name), "name"), ("  ", ""), (words(f"verdict.{verdict.value}"), verdict.value)]
    if each.after is not None:
        parts += [(" -> ", ""), (words(f"verdict.{each.after.verdict.value}"), each.after.verdict.value)]
    yield line(*parts, ("  ", ""), (one_line(str(workload.source)), "place"))
    if each.chosen is None:
        if each.fixes.sets:
            key = "harden.nothing" if each.after is None else "harden.ended_by_another"
            yield line((words(key), "dim"), indent=2)
        else:
            names = _names(each.fixes.remaining or each.before, words, verbose=verbose)
            yield line((words("harden.no_set", names=names), "unknown"), indent=2)
        yield line()
        return
    goals = ", ".join(dict.fromkeys(words(f"goal.{path.reaches.name}") for path in each.before.paths))
    names = _names(each.before, words, verbose=verbose)
    count = len({_steps(path) for path in each.before.paths})
    yield line(words.counted("harden.paths", count, goals=goals, names=names), indent=2)
    if each.fixes.goal is Goal.NOTHING_CERTAIN:
        yield line((words("harden.lesser"), "unknown"), indent=2)
    yield from _sets(each, each.chosen, words, verbose=verbose)
    yield from _left(each, words)
    yield from _after(each, words, verbose=verbose)
    yield line()


def _sets(each: Hardened, chosen: FixSet, words: Words, *, verbose: bool) -> Iterator[Line]:
    yield line((words("harden.set", cost=_cost(chosen, words)), "name"), indent=2)
    for remedy in chosen.remedies:
        yield line((one_line(remedy.title), "fix"), indent=4)
    others = each.fixes.sets[1:]
    shown = others if verbose else others[:_MOST_ALTERNATIVES]
    for other in shown:
        titles = "; ".join(one_line(remedy.title) for remedy in other.remedies)
        yield line((words("harden.alternative", cost=_cost(other, words), titles=titles), "dim"), indent=2)
    if len(shown) < len(others):
        yield line((words.counted("harden.alternatives_more", len(others) - len(shown)), "dim"), indent=2)
    if not each.fixes.complete:
        yield line((words("harden.cut", bound=each.fixes.bound), "dim"), indent=2)


def _left(each: Hardened, words: Words) -> Iterator[Line]:
    for remedy in each.outside:
        where = words(f"made.{remedy.made.name}")
        yield line((words("harden.outside", where=where, title=one_line(remedy.title)), "mark"), indent=2)
    for left in each.left:
        parts = {"title": changed(left.change, words), "why": one_line(left.why), "where": one_line(str(left.where))}
        yield line((words("harden.left", **parts), "mark"), indent=2)


def _after(each: Hardened, words: Words, *, verbose: bool) -> Iterator[Line]:
    if each.after is None:
        yield line((words("harden.after_nothing"), "unknown"), indent=2)
        return
    verdict = words(f"verdict.{each.after.verdict.value}")
    if each.file_alone is None:
        told = words("harden.after", verdict=verdict)
    else:
        alone = words(f"verdict.{each.file_alone.verdict.value}")
        told = words("harden.after_outside", verdict=verdict, alone=alone)
    yield line((told, each.after.verdict.value), indent=2)
    if each.after.verdict is not Verdict.CONTAINED:
        yield line(words("harden.stays", names=_names(each.after, words, verbose=verbose)), indent=2)


def _cost(each: FixSet, words: Words) -> str:
    application = sum(remedy.application for remedy in each.remedies)
    return words("harden.cost", total=each.cost, application=application, operator=each.cost - application)


def _steps(path: EscapePath) -> tuple[str, ...]:
    return tuple(step.technique.id for step in path.steps)


def _names(assessment: Assessment, words: Words, *, verbose: bool) -> str:
    names = list(dict.fromkeys(" > ".join(_steps(path)) for path in assessment.paths))
    if verbose or len(names) <= _MOST_NAMES:
        return ", ".join(names)
    return words("harden.more", names=", ".join(names[:_MOST_NAMES]), count=len(names) - _MOST_NAMES)


def _patch(patch: Patch) -> Iterator[Line]:
    for row in unified(patch).rstrip("\n").split("\n"):
        style = {"+": "fix", "-": "yes", "@": "place"}.get(row[:1], "")
        yield line((one_line(row, 0), style), hang=0)


def _end(report: Hardening, words: Words) -> Iterator[Line]:
    if report.patches:
        yield line()
    for patch in report.patches:
        if patch.applied:
            yield line((words("harden.written", path=one_line(patch.path)), "fix"))
    if report.patches and not any(patch.applied for patch in report.patches):
        yield line((words("harden.proposed"), "dim"))
    for error in report.not_understood:
        told = words(
            "harden.trouble", what=one_line(error.what), where=one_line(error.where), next=one_line(error.next)
        )
        yield line((told, "unknown"))
    for note in report.notes:
        yield line((words("note", text=one_line(note)), "dim"))
    if not report.workloads:
        yield line(words("harden.none"))
        return
    open_ = sum(each.chosen is not None for each in report.workloads)
    ended = sum(each.ended for each in report.workloads)
    yield line((words.counted("harden.summary", len(report.workloads), open=open_, ended=ended), "name"))
