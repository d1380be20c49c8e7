"""SARIF 2.1.0, for code scanning: every finding at the file and line that carries it.

A finding on a certain path is an error, one on a path that hangs on unseen facts a warning, a wider attack surface a
note. What depends on an unseen host alone is no result: it would mark every manifest of a repository alike.

Source:
    https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from holdfast.model.errors import NotUnderstood
from holdfast.model.place import Where
from holdfast.model.proof import Proof
from holdfast.model.report import Assessment, Bearing, Finding, Report
from holdfast.model.technique import Technique
from holdfast.model.truth import YES
from holdfast.model.workload import Workload
from holdfast.reports._artifacts import BASES, artifact, is_file
from holdfast.reports._digest import Way, carrying, missing, place, ways
from holdfast.reports._json_text import Write, encoded, write_list
from holdfast.reports._plain import one_line
from holdfast.reports._reasons import chain, told
from holdfast.reports._words import Words
from holdfast.reports.page import markdown_body

MEDIA_TYPE = "application/sarif+json"

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_MOST_RELATED = 20
"""Places beside the first one; GitHub shows no more than a few dozen."""


def render(report: Report, *, language: str = "en") -> bytes:
    """Write a report as SARIF.

    Args:
        report: The report.
        language: Tag of a table in ``_words``.

    Returns:
        ASCII JSON. Equal reports give equal bytes: there is no time stamp inside.
    """
    pieces: list[bytes] = []
    render_to(report, pieces.append, language=language)
    return b"".join(pieces)


def render_to(report: Report, write: Write, *, language: str = "en") -> None:
    """Write a report as SARIF, one result a piece.

    Args:
        report: The report.
        write: Takes each piece in turn.
        language: Tag of a table in ``_words``.
    """
    words = Words(language)
    rules: dict[str, Technique] = {}
    write(b'{"$schema":' + encoded(_SCHEMA) + b',"version":"2.1.0","runs":[{"results":[')
    write_list(_results(report, rules, words), write)
    rest = {
        "tool": {"driver": _driver(report, list(rules.values()), language)},
        "language": words.language if "-" in words.language else f"{words.language}-US",
        "originalUriBaseIds": {
            name: {**({"uri": base.uri} if base.uri else {}), "description": {"text": words(base.about)}}
            for name, base in BASES.items()
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [_notification(error) for error in report.not_understood],
            }
        ],
    }
    write(b",\n" + encoded(rest)[1:] + b"]}\n")


def _results(report: Report, rules: dict[str, Technique], words: Words) -> Iterator[dict[str, Any]]:
    """Yield the results and fill in the rules they break, in the order of their first result."""
    index: dict[str, int] = {}
    known: Counter[str] = Counter()
    for assessment in report.assessments:
        found = ways(assessment)
        for finding in assessment.findings:
            if finding.bearing not in {Bearing.PATH, Bearing.SURFACE}:
                continue
            technique = finding.technique
            rules.setdefault(technique.id, technique)
            fingerprint = _fingerprint(assessment.workload, technique)
            known[fingerprint] += 1
            yield {
                **_result(assessment, finding, found, words),
                "ruleIndex": index.setdefault(technique.id, len(index)),
                "partialFingerprints": {
                    "holdfast/v1": fingerprint,
                    # GitHub knows an alert again by this key; the number tells twins apart.
                    "primaryLocationLineHash": f"{fingerprint[:16]}:{known[fingerprint]}",
                },
            }


def _driver(report: Report, techniques: list[Technique], language: str) -> dict[str, Any]:
    driver: dict[str, Any] = {"name": "Holdfast"}
    if report.tool_version:
        driver["version"] = report.tool_version
    return {**driver, "rules": [_rule(technique, language) for technique in techniques]}


def _rule(technique: Technique, language: str) -> dict[str, Any]:
    first = next((block for block in technique.page.split("\n\n") if block.strip()), technique.title)
    rule: dict[str, Any] = {
        "id": one_line(technique.id),
        "name": "".join(part.capitalize() for part in one_line(technique.id).split("-")),
        "shortDescription": {"text": _message(technique.title)},
        "fullDescription": {"text": _message(" ".join(first.split()))},
        "help": {"text": technique.page or technique.title, "markdown": markdown_body(technique, language)},
        "properties": {
            "tags": ["security", "container-escape", *dict.fromkeys(technique.attack)],
            "confirmed": technique.confirmed,
        },
    }
    if technique.sources:
        rule["helpUri"] = technique.sources[0]
    return rule


def _result(assessment: Assessment, finding: Finding, found: list[Way], words: Words) -> dict[str, Any]:
    workload, technique = assessment.workload, finding.technique
    on = next((way for way in found if any(step.technique.id == technique.id for step in way.steps)), None)
    parts = {"workload": one_line(workload.name), "technique": one_line(technique.id), "title": technique.title}
    if finding.bearing is Bearing.SURFACE:
        level, sentences = "note", [words("sarif.result.surface", **parts)]
    elif finding.verdict is YES and (on is None or on.verdict is YES):
        level, sentences = "error", [words("sarif.result.yes", **parts)]
    else:
        level, sentences = "warning", [words("sarif.result.unknown", **parts)]
    if on is not None:
        sentences.append(words("sarif.way", chain=chain(on, words)))
    if level == "warning":
        facts = ", ".join(entry.fact.name for entry in missing([finding] if on is None else on.steps))
        sentences.append(words("sarif.not_seen", facts=facts))
    if not technique.confirmed:
        sentences.append(words("sarif.unconfirmed"))
    if technique.closed_by:
        sentences.append(words("sarif.fix", text=technique.closed_by[0].why))
    leaves = carrying([finding])
    main = next((leaf for leaf in leaves if _in_own_document(leaf, workload)), None)
    result: dict[str, Any] = {
        "ruleId": one_line(technique.id),
        "level": level,
        "message": {"text": _message(" ".join(sentences))},
        "locations": [_location(place(main) if main else workload.source, workload, always=True)],
    }
    related = _related(leaves, words)
    if related:
        result["relatedLocations"] = related
    return result


def _in_own_document(leaf: Proof, workload: Workload) -> bool:
    where = place(leaf)
    return where is not None and where.line > 0 and where.document == workload.source.document


def _related(leaves: list[Proof], words: Words) -> list[dict[str, Any]]:
    """Name the place of every fact that carries the finding, with what it says."""
    related: list[dict[str, Any]] = []
    for leaf in leaves[:_MOST_RELATED]:
        where = place(leaf)
        if where is None or not where.document:
            continue
        related.append({"id": len(related), **_location(where), "message": {"text": _message(told(leaf, words))}})
    return related


def _location(where: Where | None, workload: Workload | None = None, *, always: bool = False) -> dict[str, Any]:
    """Write a place. ``always`` gives it a file even where it is none: GitHub refuses a result without."""
    location: dict[str, Any] = {}
    if where is not None and where.document and not always and not is_file(where):
        location["logicalLocations"] = [{"name": one_line(str(where))}]
    elif where is not None and where.document:
        physical: dict[str, Any] = {"artifactLocation": artifact(where.document)}
        # GitHub shows a result only where it has a line; the first one stands for the whole document.
        physical["region"] = {"startLine": max(where.line, 1)}
        location["physicalLocation"] = physical
    if workload is not None:
        logical = {"name": one_line(workload.name), "kind": one_line(workload.kind) or "resource"}
        if workload.source.pointer:
            logical["fullyQualifiedName"] = one_line(f"{workload.source.document}#{workload.source.pointer}")
        location.setdefault("logicalLocations", []).append(logical)
    return location


def _fingerprint(workload: Workload, technique: Technique) -> str:
    """Name a result so that it stays the same when lines move, when other entries come before it, or on another day."""
    source = workload.source.document
    if source.startswith("docker://") and workload.name:
        source = "docker://"  # the id changes whenever the container is made anew; its name stays
    parts = (technique.id, workload.kind, workload.name, source)
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _notification(error: NotUnderstood) -> dict[str, Any]:
    text = error.what + (f". {error.next}" if error.next else "")
    notification: dict[str, Any] = {"level": "error", "message": {"text": _message(text)}}
    if error.where:
        document = error.where.removesuffix(f":{error.line}") if error.line else error.where
        notification["locations"] = [_location(Where(document, "", error.line))]
    return notification


def _message(text: str) -> str:
    r"""Make foreign text safe in a SARIF message, where ``[text](1)`` would be a link."""
    return one_line(text, 0).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
