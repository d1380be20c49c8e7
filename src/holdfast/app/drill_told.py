"""The drill's reports and lists, rendered."""

from __future__ import annotations

import time

from holdfast import techniques
from holdfast.drill import reaper
from holdfast.drill.machine.flavours import FLAVOURS
from holdfast.model.drill import DrillReport


def rendered(report: DrillReport, form: str, *, colour: bool, width: int, verbose: bool) -> bytes:
    """Render a report in a format: ``terminal``, ``html``, ``json`` or ``junit``."""
    if form == "json":
        from holdfast.reports import drill_json

        return drill_json.render(report, techniques=techniques.load())
    if form == "html":
        from holdfast.reports import drill_html

        return drill_html.render(report, techniques=techniques.load())
    if form == "junit":
        from holdfast.reports import drill_junit

        return drill_junit.render(report, techniques=techniques.load())
    from holdfast.reports import drill_terminal

    return drill_terminal.render(report, colour=colour, width=width, verbose=verbose, techniques=techniques.load())


def flavours() -> str:
    """List the flavours of the virtual machine, one line each."""
    longest = max(map(len, FLAVOURS))
    return "".join(f"{name:{longest}}  {flavour.says}\n" for name, flavour in FLAVOURS.items())


def reaped() -> tuple[str, bool]:
    """Remove what killed drills left.

    Returns:
        What was done, one line each; and whether nothing is left.
    """
    done = reaper.reap(time.time())
    lines = [
        f"removed: {each.what} (drill {each.run})"
        if isinstance(each, reaper.Removed)
        else f"LEFT: {each.what} (drill {each.run}): {each.reason}"
        for each in done
    ]
    clean = not any(isinstance(each, reaper.Left) for each in done)
    return "\n".join(lines or ["nothing was left by a drill"]) + "\n", clean
