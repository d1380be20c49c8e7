"""The report for a terminal: worst first, the shortest way out of each container, its evidence, and what ends it.

In a pipe it is plain text without colour, unwrapped, so that ``grep`` sees whole sentences.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.errors import NotUnderstood
from holdfast.model.report import Assessment, Report, Verdict
from holdfast.reports._digest import assumed, by_host, counted, leads, surface, worst_first
from holdfast.reports._lines import Line, line, painted
from holdfast.reports._plain import one_line
from holdfast.reports._reasons import host_only, lead, options
from holdfast.reports._terminal_workload import MOST_TO_LOOK_AT, block
from holdfast.reports._words import Words

MEDIA_TYPE = "text/plain"

_WIDEST_NAME = 40
"""Columns of the longest name that the others are aligned to."""

_WIDEST_KIND = 20
"""The same for the kind."""

_MOST_IN_FULL = 10
"""Workloads after which one with the same ways out as another is told in two lines."""

_MOST_CONTAINED = 20
"""Contained workloads that are named without ``verbose``; the others are counted."""


def render(  # noqa: PLR0913 - each is one choice of the reader
    report: Report,
    *,
    colour: bool,
    width: int,
    verbose: bool = False,
    limit: int | None = None,
    language: str = "en",
) -> bytes:
    """Write a report for a person.

    Args:
        report: The report.
        colour: Write SGR colour sequences.
        width: Columns to wrap at; 0 does not wrap, which is right for a pipe.
        verbose: Show every way out with its whole proof, not only the shortest with what carries it.
        limit: Most workloads shown, worst first; the others are counted. None shows all but for contained ones beyond
            the twentieth, which ``verbose`` shows too.
        language: Tag of a table in ``_words``.
    """
    return painted(_lines(report, Words(language), verbose=verbose, limit=limit), colour=colour, width=width)


def _lines(report: Report, words: Words, *, verbose: bool, limit: int | None) -> Iterator[Line]:
    ordered = worst_first(report.assessments)
    shown, left_out = _shown(ordered, verbose=verbose, limit=limit)
    widths = (
        min(_WIDEST_NAME, max((len(one_line(each.workload.name)) for each in shown), default=0)),
        min(_WIDEST_KIND, max((len(one_line(each.workload.kind)) for each in shown), default=0)),
    )
    before = False
    first: dict[tuple[object, ...], str] = {}
    for number, assessment in enumerate(shown):
        name = first.setdefault(_alike(assessment), assessment.workload.name)
        like = name if number >= _MOST_IN_FULL and name != assessment.workload.name else ""
        lines = list(block(assessment, words, widths, verbose=verbose, like=like))
        if before or (len(lines) > 1 and assessment is not shown[0]):
            yield line()
        yield from lines
        before = len(lines) > 1
    if left_out:
        yield line()
        verdicts = _verdicts(counted(left_out), words)
        yield line((words("left_out", count=len(left_out), verdicts=verdicts), "dim"))
    for part in (
        _edges(report, words) if verbose else iter(()),
        _summed_up(report, words, verbose=verbose),
        _not_understood(report.not_understood, words),
        _notes(report, words),
    ):
        lines = list(part)
        if lines:
            yield line()
            yield from lines
    if ordered or report.not_understood:
        yield line()
    yield _summary(report, words)


def _shown(ordered: list[Assessment], *, verbose: bool, limit: int | None) -> tuple[list[Assessment], list[Assessment]]:
    """Split the workloads, worst first, into those to show and those to count.

    Of a thousand contained ones the names of some tell as much as those of all, and the bad ones are still on screen.
    """
    if limit is not None:
        return ordered[: max(limit, 0)], ordered[max(limit, 0) :]
    if verbose:
        return ordered, []
    harmless = [each for each in ordered if each.verdict is Verdict.CONTAINED and not each.contradictions]
    left_out = harmless[_MOST_CONTAINED:]
    hidden = set(map(id, left_out))
    return [each for each in ordered if id(each) not in hidden], left_out


def _alike(assessment: Assessment) -> tuple[object, ...]:
    """Return what is the same for workloads with the same ways out."""
    return tuple((path.verdict, path.reaches.name, *(s.technique.id for s in path.steps)) for path in assessment.paths)


def _edges(report: Report, words: Words) -> Iterator[Line]:
    """Say which container leads to which; how each leads to the host stands with the container itself."""
    for number, ((start, verdict, techniques), ends) in enumerate(leads(report).items()):
        if number == 0:
            yield line((words("edges.title"), "title"))
        first, names = lead(start, ends, words)
        through = words("edge.through", techniques=", ".join(one_line(each) for each in techniques))
        text = words("edge", start=first, end=names)
        yield line((text, verdict.word), "  ", (through if techniques else "", "dim"), indent=2)


def _summed_up(report: Report, words: Words, *, verbose: bool) -> Iterator[Line]:
    """Say how to decide what is unknown; sum up the surface, what the host decides, and what must be assumed."""
    undecided = [each for each in report.assessments if each.verdict is Verdict.UNKNOWN]
    if undecided:
        yield line(
            (words("look_at.how.host" if all(each.host for each in undecided) else "look_at.how.no_host"), "dim")
        )
    wider = surface(report)
    if wider and not verbose:
        ids = ", ".join(words("surface.one", id=one_line(name), count=count) for name, count in wider.items())
        yield line((words("surface.all", ids=ids), "dim"))
    for host, hanging in by_host(report).items():
        yield line((host_only(host, hanging, words, most=MOST_TO_LOOK_AT), "unknown"))
        if verbose:
            yield line((", ".join(one_line(each) for each in hanging), "dim"), indent=2)
    needing, names = assumed(report)
    if needing:
        yield line((words.counted("assumption", len(needing), options=options(names, words)), "dim"))


def _not_understood(errors: tuple[NotUnderstood, ...], words: Words) -> Iterator[Line]:
    for number, error in enumerate(errors):
        if number == 0:
            yield line((words("not_understood.title"), "title"))
        yield line((one_line(error.what), "unknown"), indent=2)
        where = one_line(error.where)
        if error.line and not where.endswith(f":{error.line}"):
            where += f":{error.line}"
        if where:
            yield line(words("not_understood.where", where=where), indent=4)
        if error.next:
            yield line(words("not_understood.next", next=one_line(error.next)), indent=4)


def _notes(report: Report, words: Words) -> Iterator[Line]:
    for note in report.notes:
        yield line((words("note", text=one_line(note)), "dim"))
    if report.baseline_left_out:
        yield line((words.counted("baseline", report.baseline_left_out), "dim"))
    if report.baseline_workloads:
        yield line((words.counted("baseline.workloads", report.baseline_workloads), "dim"))


def _summary(report: Report, words: Words) -> Line:
    counts = counted(report.assessments)
    if report.assessments:
        text = words.counted("summary", len(report.assessments), verdicts=_verdicts(counts, words))
    elif report.baseline_workloads:
        text = words("summary.nothing_new")
    else:
        text = words("summary.nothing")
    if report.not_understood:
        text += "; " + words.counted("summary.not_understood", len(report.not_understood))
    worst = next((verdict for verdict, count in counts.items() if count), Verdict.CONTAINED)
    return line((text, worst.value if report.assessments else "dim"))


def _verdicts(counts: dict[Verdict, int], words: Words) -> str:
    return ", ".join(
        words("summary.verdict", count=count, verdict=words.verdict(verdict))
        for verdict, count in counts.items()
        if count
    )
