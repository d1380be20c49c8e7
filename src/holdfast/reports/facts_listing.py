"""Every fact about a target with its value and place, for ``holdfast facts``: as text for people and as JSON.

What nobody could see stands there too, with the reason: an absent fact is what makes a verdict unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.words import SUBJECTS
from holdfast.model.workload import Described
from holdfast.reports._json_text import Write, encoded, write_list
from holdfast.reports._lines import Line, line, painted
from holdfast.reports._plain import one_line
from holdfast.reports._reasons import not_seen, spot
from holdfast.reports._values import human, machine
from holdfast.reports._words import Words

MEDIA_TYPE = "text/plain"
SCHEMA_VERSION = "1.0"

_LONGEST_VALUE = 160
"""Characters of a value without ``verbose``."""
_TURN = {subject: number for number, subject in enumerate(SUBJECTS)}


def render(  # noqa: PLR0913 - each is one choice of the reader
    described: Iterable[Described],
    *,
    colour: bool = False,
    width: int = 0,
    verbose: bool = False,
    vocabulary: Mapping[str, Fact[Any]] | None = None,
    language: str = "en",
) -> bytes:
    """List facts for a person.

    Args:
        described: Workloads, or a host as a workload of its own, with their facts.
        colour: Write SGR colour sequences.
        width: Columns to wrap at; 0 does not wrap.
        verbose: Spell values and places in full, and say what every fact means.
        vocabulary: All words by name; with it, those that nobody even tried to answer are named.
        language: Tag of a table in ``_words``.
    """
    words = Words(language)
    lines = _lines(described, words, vocabulary or {}, verbose=verbose)
    return painted(lines, colour=colour, width=width)


def _lines(
    described: Iterable[Described], words: Words, vocabulary: Mapping[str, Fact[Any]], *, verbose: bool
) -> Iterator[Line]:
    for number, each in enumerate(described):
        if number:
            yield line()
        workload = each.workload
        title = words("listing.title", name=one_line(workload.name), kind=one_line(workload.kind))
        yield line((title, "title"), "  ", (spot(workload.source, words), "place"))
        groups = grouped(each.facts)
        if not groups:
            yield line(words("listing.empty"), indent=2)
        for subject, facts in groups.items():
            yield line()
            yield line((subject, "name"), indent=2)
            broad = max(len(fact.name) for fact in facts)
            for fact in facts:
                yield _entry(fact, each.facts.table[fact], broad, words, verbose=verbose)
                if verbose:
                    yield line((one_line(fact.doc, 0), "dim"), indent=6)
        unanswered = sorted(name for name, fact in vocabulary.items() if fact not in each.facts.table)
        if unanswered:
            yield line()
            yield line((words("listing.unanswered", names=", ".join(unanswered)), "dim"), indent=2)


def _entry(fact: Fact[Any], entry: Seen[Any] | Absent, broad: int, words: Words, *, verbose: bool) -> Line:
    name = (fact.name.ljust(broad), "id")
    if isinstance(entry, Absent):
        place = f"  {spot(entry.where, words)}" if entry.where else ""
        return line(name, "  ", (not_seen(entry.reason, words), "unknown"), (place, "place"), indent=4)
    value = human(entry.value, words, limit=0 if verbose else _LONGEST_VALUE)
    note = f"  ({one_line(entry.note)})" if entry.note else ""
    return line(name, "  ", value, "  ", (spot(entry.where, words), "place"), (note, "dim"), indent=4)


def grouped(facts: Facts) -> dict[str, list[Fact[Any]]]:
    """Gather facts by their subject: subjects in the order of the vocabulary, facts by name."""
    ordered = sorted(facts, key=lambda fact: (_TURN.get(fact.subject, len(_TURN)), fact.subject, fact.name))
    found: dict[str, list[Fact[Any]]] = {}
    for fact in ordered:
        found.setdefault(fact.subject, []).append(fact)
    return found


def render_json(described: Iterable[Described]) -> bytes:
    """List facts as JSON; ``schema/facts-1.json`` says what it may hold."""
    pieces: list[bytes] = []
    render_json_to(described, pieces.append)
    return b"".join(pieces)


def render_json_to(described: Iterable[Described], write: Write) -> None:
    """List facts as JSON, one workload a piece.

    Args:
        described: As for ``render``; taken one by one.
        write: Takes each piece in turn.
    """
    write(b'{"schema_version":' + encoded(SCHEMA_VERSION) + b',"workloads":[')
    write_list((_workload(each) for each in described), write)
    write(b"}\n")


def _workload(described: Described) -> dict[str, Any]:
    workload = described.workload
    return {
        "name": workload.name,
        "kind": workload.kind,
        "source": _place(workload.source),
        "image": workload.image,
        "facts": {
            fact.name: _answer(described.facts.table[fact])
            for facts in grouped(described.facts).values()
            for fact in facts
        },
    }


def _answer(entry: Seen[Any] | Absent) -> dict[str, Any]:
    if isinstance(entry, Absent):
        return {"absent": entry.reason, "place": _place(entry.where)}
    answer: dict[str, Any] = {"value": machine(entry.value), "place": _place(entry.where)}
    if entry.note:
        answer["note"] = entry.note
    if entry.parts:
        places = {str(member): _place(where) for member, where in entry.parts.items()}
        answer["parts"] = dict(sorted(places.items()))
    return answer


def _place(where: Where | None) -> dict[str, Any] | None:
    if where is None:
        return None
    return {"document": where.document, "pointer": where.pointer, "line": where.line or None}
