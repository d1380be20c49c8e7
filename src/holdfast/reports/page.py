"""A technique's page, for ``holdfast explain`` and, as Markdown, for the documentation and SARIF's help."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from holdfast.model.change import Change
from holdfast.model.facts import Fact
from holdfast.model.logic import ALWAYS, NEVER, Atom, Expr, atoms
from holdfast.model.technique import Step, Technique, Way
from holdfast.reports._lines import Line, line, painted
from holdfast.reports._plain import one_line
from holdfast.reports._reasons import asked
from holdfast.reports._values import changed
from holdfast.reports._words import Words

MEDIA_TYPE = "text/plain"

_CODE = re.compile(r"``([^`\n]+)``")
_ITEM = re.compile(r"\s*([*-]|\d+\.)\s")


def render(
    technique: Technique, *, colour: bool = False, width: int = 0, form: str = "terminal", language: str = "en"
) -> bytes:
    """Write a technique's page.

    Args:
        technique: The technique, with id and page set.
        colour: Write SGR colour sequences; for a terminal only.
        width: Columns to wrap at; 0 does not wrap. For a terminal only.
        form: ``terminal``, or ``markdown`` (CommonMark with tables), headed by the technique's title.
        language: Tag of a table in ``_words``. The page's own text is not translated.
    """
    if form == "markdown":
        return f"# {_md(technique.title)}\n\n{markdown_body(technique, language)}".encode("utf-8", "backslashreplace")
    return painted(_lines(technique, Words(language), rewrap=width > 0), colour=colour, width=width)


def listing(techniques: Iterable[Technique], *, colour: bool = False, width: int = 0, language: str = "en") -> bytes:
    """List techniques, one a line: id, what they give, title, and whether a drill has confirmed them.

    Args:
        techniques: In the order to show.
        colour: Write SGR colour sequences.
        width: Columns to wrap at; 0 does not wrap.
        language: Tag of a table in ``_words``.
    """
    words = Words(language)
    every = tuple(techniques)
    broad = max((len(technique.id) for technique in every), default=0)
    return painted((_entry(technique, broad, words) for technique in every), colour=colour, width=width)


def _entry(technique: Technique, broad: int, words: Words) -> Line:
    mark = "" if technique.confirmed else f"  [{words('mark.unconfirmed')}]"
    return line(
        (one_line(technique.id).ljust(broad), "id"), "  ", one_line(technique.title), (mark, "mark"), hang=broad + 2
    )


def _lines(technique: Technique, words: Words, *, rewrap: bool) -> Iterator[Line]:
    yield line((one_line(technique.title), "title"))
    yield line()
    for name, value in about(technique, words):
        yield line((name, "dim"), "  ", (value, "id" if value == technique.id else ""))
    yield line()
    yield from _prose(technique.page, rewrap=rewrap)
    yield from _section("page.condition", words, _condition(technique.exposed_when, words))
    yield from _section("html.glossary", words, _questions(technique))
    gains = (line((words.goal(gain.fact), "goal"), f": {one_line(gain.why)}") for gain in _goals(technique))
    opened = (line(f"{changed(gain, words)}: {one_line(gain.why)}") for gain in _opened(technique))
    yield from _section("page.gives", words, [*gains, *opened])
    fixes = [
        line((one_line(change.why), "fix"), (f"  ({changed(change, words)})", "dim")) for change in technique.closed_by
    ]
    yield from _section("page.closed_by", words, fixes)
    yield from _section("page.seen_as", words, _sight(technique, words))
    yield from _section("page.steps", words, [line(_way(way)) for way in technique.drill])
    broad = max((len(words.truth(each.verdict)) for each in technique.examples), default=0)
    examples = [
        line((words.truth(each.verdict).ljust(broad), each.verdict.word), "  ", one_line(each.title))
        for each in technique.examples
    ]
    yield from _section("page.examples", words, examples)
    yield from _section("page.sources", words, [line((one_line(each), "place")) for each in technique.sources])


def about(technique: Technique, words: Words) -> list[tuple[str, str]]:
    """Return the technique's data as (name, value), both safe to print."""
    evidence = words(f"evidence.{technique.evidence.name}")
    confirmed = words("page.confirmed" if technique.confirmed else "page.unconfirmed", evidence=evidence)
    pairs = [
        (words("page.id"), technique.id),
        (words("page.row"), str(technique.row or "")),
        (words("page.attack"), ", ".join(technique.attack)),
        (words("page.evidence"), confirmed),
        (words("page.drill"), f"{technique.drill_class.name}: {technique.drill_class.value}"),
        (words("page.since"), technique.since),
    ]
    return [(name, one_line(value)) for name, value in pairs if value]


def _section(title: str, words: Words, lines: list[Line]) -> Iterator[Line]:
    if lines:
        yield line()
        yield line((words(title), "name"))
        for each in lines:
            yield Line(each.parts, each.indent + 2, each.hang)


def _prose(page: str, *, rewrap: bool) -> Iterator[Line]:
    """Yield the page's paragraphs: as they were written, or each in one piece for the painter to wrap."""
    for number, paragraph in enumerate(_paragraphs(page)):
        if number:
            yield line()
        if not rewrap:
            yield from (line(one_line(_CODE.sub(r"\1", each), 0)) for each in paragraph)
            continue
        for each in paragraphs("\n".join(paragraph)):
            yield line(one_line(each, 0), hang=2 if _ITEM.match(each) else 0)


def paragraphs(page: str) -> list[str]:
    """Return a page's paragraphs and list items, each on one line, without the marks of code."""
    texts: list[str] = []
    for paragraph in _paragraphs(page):
        start = len(texts)
        for each in paragraph:
            text = _CODE.sub(r"\1", each.strip())
            if len(texts) > start and not _ITEM.match(each):
                texts[-1] += " " + text
            else:
                texts.append(text)
    return texts


def _paragraphs(page: str) -> list[list[str]]:
    paragraphs: list[list[str]] = [[]]
    for each in page.strip().split("\n"):
        if each.strip():
            paragraphs[-1].append(each.rstrip())
        elif paragraphs[-1]:
            paragraphs.append([])
    return [paragraph for paragraph in paragraphs if paragraph]


def _condition(expr: Expr, words: Words, indent: int = 0) -> list[Line]:
    if isinstance(expr, Atom):
        return [line(asked(expr, words), indent=indent)]
    if expr in {ALWAYS, NEVER}:
        return [line(words("join.always" if expr == ALWAYS else "join.never"), indent=indent)]
    joined = words("join.any" if type(expr) is type(NEVER) else "join.all")
    parts: tuple[Expr, ...] = getattr(expr, "parts", ())
    return [line(joined, indent=indent), *(each for part in parts for each in _condition(part, words, indent + 2))]


def _questions(technique: Technique) -> list[Line]:
    return [line((fact.name, "id"), f": {one_line(fact.doc, 0)}") for fact in questions(technique.exposed_when)]


def questions(expr: Expr) -> list[Fact[object]]:
    """Return the facts that a condition asks, each once, by name."""
    return sorted({atom.fact for atom in atoms(expr)}, key=lambda fact: fact.name)


def _goals(technique: Technique) -> list[Change]:
    return [gain for gain in technique.gives if gain.fact.subject == "reach"]


def _opened(technique: Technique) -> list[Change]:
    return [gain for gain in technique.gives if gain.fact.subject != "reach"]


def _sight(technique: Technique, words: Words) -> list[Line]:
    if technique.seen_as == NEVER:
        return [line(words("page.seen_never"))]
    return _condition(technique.seen_as, words)


def _way(way: Way) -> str:
    return one_line(f"{way.title}: {', '.join(map(_step, way.steps))}")


def _step(step: Step) -> str:
    args = " ".join(f"{name}={value}" for name, value in step.args.items())
    return f"{step.act} {args}".rstrip()


def markdown_body(technique: Technique, language: str = "en") -> str:
    """Return a technique's page as Markdown without its heading."""
    words = Words(language)
    parts = ["\n".join(f"* {name}: {_md(value)}" for name, value in about(technique, words))]
    parts += [_CODE.sub(r"`\1`", "\n".join(paragraph)) for paragraph in _paragraphs(technique.page)]
    parts += _md_section(words("page.condition"), _md_tree(_condition(technique.exposed_when, words)))
    asked_facts = [f"* `{fact.name}`: {_md(fact.doc)}" for fact in questions(technique.exposed_when)]
    parts += _md_section(words("html.glossary"), asked_facts)
    gains = [f"* **{words.goal(gain.fact)}**: {_md(gain.why)}" for gain in _goals(technique)]
    gains += [f"* `{changed(gain, words)}`: {_md(gain.why)}" for gain in _opened(technique)]
    parts += _md_section(words("page.gives"), gains)
    fixes = [f"* {_md(change.why)} (`{changed(change, words)}`)" for change in technique.closed_by]
    parts += _md_section(words("page.closed_by"), fixes)
    never = technique.seen_as == NEVER
    sight = [words("page.seen_never")] if never else _md_tree(_condition(technique.seen_as, words))
    parts += _md_section(words("page.seen_as"), sight)
    parts += _md_section(words("page.steps"), [f"* {_md(_way(way))}" for way in technique.drill])
    if technique.examples:
        rows = [f"| {words('page.example')} | {words('page.verdict')} |", "| --- | --- |"]
        rows += [f"| {_md(each.title)} | {words.truth(each.verdict)} |" for each in technique.examples]
        parts += _md_section(words("page.examples"), rows)
    parts += _md_section(words("page.sources"), [f"* <{one_line(each, 0)}>" for each in technique.sources])
    return "\n\n".join(parts) + "\n"


def _md_section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "\n".join(lines)] if lines else []


def _md_tree(lines: list[Line]) -> list[str]:
    return [f"{' ' * each.indent}* {_md(''.join(text for text, _ in each.parts))}" for each in lines]


def _md(text: str) -> str:
    """Make a text safe inside a Markdown line or table cell."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", one_line(text, 0))
