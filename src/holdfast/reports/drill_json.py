"""A drill's results as JSON, for programs and to bring them out of a virtual machine: ``read`` gives back the report.

``schema/drill-1.json`` says what it may hold.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from holdfast.model.drill import DrillReport
from holdfast.model.errors import NotUnderstood
from holdfast.reports._drill_digest import Techniques, summary
from holdfast.reports._json_records import plain, record
from holdfast.reports._json_text import encoded, write_list

MEDIA_TYPE = "application/json"
SCHEMA_VERSION = "1.3"
"""MAJOR.MINOR: MINOR grows with a new key, MAJOR with a key that changes its meaning or goes."""

_MAJOR = SCHEMA_VERSION.partition(".")[0]


def render(report: DrillReport, *, techniques: Techniques | None = None) -> bytes:
    """Write a drill's results as JSON.

    Args:
        report: The results.
        techniques: The catalogue by id, for the summary: what leads out by itself. Without it whatever worked counts as
            an escape there. The results themselves do not depend on it.

    Returns:
        ASCII, one exercise a line, ended with a newline. Equal reports give equal bytes. Half of a surrogate pair,
        from a file name that is not UTF-8, is spelled out as text, since readers of JSON disagree about it.

    Raises:
        ValueError: A number is infinite or none.
    """
    whole: dict[str, Any] = plain(report)
    exercises, controls = whole.pop("exercises"), whole.pop("controls")
    head = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "holdfast", "version": whole.pop("tool_version")},
        **whole,
        "summary": summary(report, techniques or {}),
    }
    pieces = [encoded(head)[:-1] + b',\n"exercises":[']
    write_list(exercises, pieces.append)
    pieces.append(b',\n"controls":[')
    write_list(controls, pieces.append)
    return b"".join((*pieces, b"}\n"))


def read(document: bytes, where: str = "") -> DrillReport:
    """Read results back. The summary is not read: it follows from the rest.

    Args:
        document: What ``render`` wrote, of this major version. It may come from a machine that was attacked: whatever
            stands in it, the answer is a report or an error.
        where: Name of the file, for the error.

    Raises:
        NotUnderstood: It is no JSON, or not a drill's results of this major version.
    """
    try:
        whole = json.loads(document.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood("this is not JSON", where or "$", "write the file again with this version") from error
    if not isinstance(whole, dict) or not isinstance(whole.get("schema_version"), str):
        raise NotUnderstood("these are not the results of a drill", where or "$", "name a file that a drill wrote")
    if whole["schema_version"].partition(".")[0] != _MAJOR:
        raise NotUnderstood(
            f"these results have version {whole['schema_version'][:20]!r}, and this program reads {_MAJOR}",
            where or "$",
            "use the version of Holdfast that wrote them",
        )
    tool = whole.get("tool")
    whole["tool_version"] = tool.get("version") if isinstance(tool, dict) else None
    return record(DrillReport, whole, f"{where}: $" if where else "$")


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)
