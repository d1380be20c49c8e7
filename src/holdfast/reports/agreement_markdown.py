"""The agreement of prediction and reality as a page (``docs/agreement.md``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median

from holdfast.model.agreement import Agreement, Disagreement
from holdfast.model.drill import Outcome, Tally
from holdfast.model.technique import Technique
from holdfast.reports._plain import one_line
from holdfast.reports.agreement_json import totals

MEDIA_TYPE = "text/markdown"


def render(
    agreement: Agreement, *, seed: int, techniques: Mapping[str, Technique], why_not: Mapping[str, str]
) -> bytes:
    """Write the page. See ``agreement_json.render`` for the arguments."""
    lines = [
        *_head(agreement, seed),
        *_places(agreement),
        *_table(agreement, techniques),
        *_disagreements(agreement),
        *_unknown(agreement, techniques),
        *_not_attempted(why_not, techniques),
        *_troubles(agreement),
    ]
    return ("\n".join(lines) + "\n").encode()


def _head(agreement: Agreement, seed: int) -> Iterator[str]:
    sums = totals(agreement)
    yes = sums["escaped_as_predicted"] + sums["false"]
    yield from (
        "# Prediction against reality",
        "",
        "Made by `make agreement`; do not edit. `holdfast agreement --seed N` draws other containers.",
        "",
        (
            f"Containers are drawn with seed {seed}: every pair of settings at least once as far as the number allows,"
            " then at random. For each, the scan says what is open, every technique that can be tried without harm is"
            " tried in a replica, and the two are compared. An attempt counts as escaped only where the host's side"
            " shows a random token, or the kernel let the last step pass, twice: in two fresh replicas."
        ),
        "",
        "| | |",
        "| --- | ---: |",
        f"| containers | {sums['configurations']} |",
        f"| attempts | {sums['attempts']} |",
        f"| of them on the machine itself | {sums['attempts_on_the_machine']} |",
        f"| flavours of the virtual machine | {sums['flavours']} |",
        f"| predicted yes, and escaped | {sums['escaped_as_predicted']} |",
        f"| predicted no, and stopped | {sums['stopped_as_predicted']} |",
        f"| **missed**: predicted no, and escaped | **{sums['missed']}** |",
        f"| **false**: predicted yes, and stopped | **{sums['false']}** ({_share(sums['false'], yes)} of all yes) |",
        f"| unknown | {sums['unknown']} ({_share(sums['unknown'], sums['attempts'])} of all attempts) |",
        "",
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def _places(agreement: Agreement) -> Iterator[str]:
    yield "## Places"
    yield ""
    yield "| place | kernel | containers | attempts | escaped | stopped | false | missed | unknown | s per attempt |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for place in agreement.places:
        sums, seconds = agreement.total([place]), agreement.seconds[place]
        kernel = agreement.kernels.get(place.rpartition(", ")[2], "")
        cost = f"{median(seconds):.2f}" if seconds else ""
        yield (
            f"| {place} | {kernel} | {agreement.configurations[place]} | {sums.attempts} | {sums.right_yes} |"
            f" {sums.right_no} | {sums.false_yes} | {sums.missed} | {sums.unknown} | {cost} |"
        )
    yield ""


def _table(agreement: Agreement, techniques: Mapping[str, Technique]) -> Iterator[str]:
    yield "## Techniques"
    yield ""
    yield (
        "Each cell: escaped as predicted / stopped as predicted; then, where there are any, `F` false, `M` missed,"
        " `?` unknown. The second column says whether the technique is confirmed: it was seen to work and to be stopped"
        " as predicted, and never otherwise."
    )
    yield ""
    confirmed = agreement.confirmed()
    yield "| technique | confirmed | " + " | ".join(agreement.places) + " |"
    yield "| --- | --- |" + " --- |" * len(agreement.places)
    for name in techniques:
        cells = [agreement.cells.get((name, place)) for place in agreement.places]
        if any(cells):
            yield f"| {name} | {'yes' if name in confirmed else ''} | " + " | ".join(map(_cell, cells)) + " |"
    yield ""


def _cell(tally: Tally | None) -> str:
    if tally is None or not tally.attempts:
        return ""
    rest = "".join(
        f" {mark}{number}"
        for mark, number in (("F", tally.false_yes), ("M", tally.missed), ("?", tally.unknown))
        if number
    )
    return f"{tally.right_yes}/{tally.right_no}{rest}"


def _disagreements(agreement: Agreement) -> Iterator[str]:
    yield "## Disagreements"
    yield ""
    if not agreement.disagreements:
        yield "None."
    grouped: dict[tuple[str, str, str], list[Disagreement]] = {}
    for each in agreement.disagreements:
        kind = "missed" if each.attempt.outcome is Outcome.ESCAPED else "false"
        grouped.setdefault((kind, each.attempt.technique, each.explained), []).append(each)
    for (kind, name, explained), group in sorted(grouped.items(), key=lambda item: (item[0][0] != "missed", item[0])):
        yield f"* **{kind}**, `{name}`, {len(group)} times. {explained or 'NOT EXPLAINED.'}"
        for each in group[:5]:
            last = each.attempt.steps[-1] if each.attempt.steps else None
            answer = f": `{last.act}` {last.answer}" if last else ""
            yield f"  * {each.place}; {one_line(each.configuration, 0)}{answer}"
        if len(group) > 5:
            yield f"  * and {len(group) - 5} more, in `agreement.json`"
    yield ""


def _unknown(agreement: Agreement, techniques: Mapping[str, Technique]) -> Iterator[str]:
    numbers = {
        name: sum(
            agreement.cells[name, place].unknown for place in agreement.places if (name, place) in agreement.cells
        )
        for name in techniques
    }
    told = [f"`{name}` {number}" for name, number in sorted(numbers.items(), key=lambda item: -item[1]) if number]
    yield "## Unknown"
    yield ""
    yield "Predictions that were left open, by technique: " + (", ".join(told) or "none") + "."
    yield ""


def _not_attempted(why_not: Mapping[str, str], techniques: Mapping[str, Technique]) -> Iterator[str]:
    yield "## Attempted nowhere"
    yield ""
    yield "| technique | class | why |"
    yield "| --- | --- | --- |"
    for name, why in why_not.items():
        yield f"| {name} | {techniques[name].drill_class.name} | {why} |"
    yield ""


def _troubles(agreement: Agreement) -> Iterator[str]:
    if agreement.troubles:
        yield "## Containers that did not start"
        yield ""
        yield from (f"* {one_line(each, 300)}" for each in agreement.troubles)
