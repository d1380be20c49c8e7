"""An alert for a person who reads along: one line that says it, and indented ones that say why."""

from __future__ import annotations

import time

from holdfast.model.alert import Alert, Priority, Verdict
from holdfast.reports._lines import Line, line, painted
from holdfast.reports._plain import one_line

MEDIA_TYPE = "text/plain"
_STYLES = {
    Priority.EMERGENCY: "escapable", Priority.ALERT: "escapable", Priority.CRITICAL: "escapable",
    Priority.ERROR: "escapable", Priority.WARNING: "unknown",
}  # fmt: skip


def render(alert: Alert, *, colour: bool = False, width: int = 0, verbose: bool = False) -> bytes:
    """Write an alert.

    Args:
        alert: The alert; its strings may hold anything.
        colour: Write SGR colour sequences.
        width: Columns to wrap at; 0 does not wrap.
        verbose: Say which parts of the condition decided, and who started whom.

    Returns:
        UTF-8 text, each line with its end.
    """
    return painted(_lines(alert, verbose=verbose), colour=colour, width=width)


def _lines(alert: Alert, *, verbose: bool) -> list[Line]:
    at = time.strftime("%H:%M:%S", time.localtime(alert.at_ns / 1e9)) + f".{alert.at_ns // 1_000_000 % 1000:03d}"
    done = "" if alert.verdict is Verdict.ALERTED else f" [{alert.verdict.value}]"
    if alert.succeeded is False:
        done += f" [failed: {alert.error}]"
    where = (
        alert.container.get("name")
        or str(alert.container.get("id", ""))[:12]
        or ("container" if alert.container else "host")
    )
    first = line(
        (f"{at} ", "dim"), (f"{alert.priority.title:<13} ", _STYLES.get(alert.priority, "dim")),
        (f"{one_line(alert.rule)} ", "title"), (f"{one_line(where)}{done}", ""),
    )  # fmt: skip
    found = [first, line((f"  {one_line(alert.output, 0)}", ""))]
    if verbose:
        found += [line((f"  because {one_line(reason, 0)}", "dim")) for reason in alert.reasons]
        chain = " <- ".join(f"{one.name}({one.pid})" for one in alert.process)
        found += [line((f"  process {one_line(chain, 0)}", "dim"))] if chain else []
    return found
