"""Foreign text inside HTML: one line, without control characters, and escaped for elements and attributes alike."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from holdfast.model.place import Where
from holdfast.model.truth import Truth
from holdfast.reports._digest import Way
from holdfast.reports._plain import LONGEST, one_line
from holdfast.reports._reasons import spot
from holdfast.reports._words import Words


def safe(text: str, limit: int = LONGEST) -> str:
    """Return text that can stand in an element or a quoted attribute and means only itself."""
    return escape(one_line(text, limit), quote=True)


def at(where: Where | None, words: Words) -> str:
    """Write a place."""
    return f'<span class="at code">{safe(spot(where, words))}</span>'


def truth_badge(truth: Truth, words: Words) -> str:
    """Write a truth as a word on its colour."""
    return f'<span class="badge small {truth.word}">{safe(words.truth(truth))}</span>'


def arrow(words: Words) -> str:
    """Write an arrow that a screen reader speaks as words."""
    return f'<span class="arrow" aria-hidden="true">→</span><span class="hid"> {safe(words("path.leads"))} </span>'


def way_line(way: Way, words: Words) -> str:
    """Write a way out as a chain of steps and what they reach."""
    steps = arrow(words).join(f'<span class="step">{safe(step.technique.id)}</span>' for step in way.steps)
    goals = safe(", ".join(words.goal(goal) for goal in way.reaches))
    mark = f' <span class="mark">{safe(words("mark.unconfirmed"))}</span>' if way.unconfirmed else ""
    return f'<span class="way">{steps}{arrow(words)}<span class="goal {way.verdict.word}">{goals}</span>{mark}</span>'


def listed(items: Iterable[str], css: str = "facts") -> str:
    """Write items that are HTML already as a list; nothing for no item."""
    body = "".join(f"<li>{item}</li>" for item in items)
    return f'<ul class="{css}">{body}</ul>' if body else ""


def technique_anchor(name: str) -> str:
    """Return the id of a technique's explanation in the page."""
    return "t-" + "".join(char if char.isascii() and (char.isalnum() or char == "-") else "_" for char in name)
