"""Unified diffs, as patch(1) takes them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from holdfast.model.hardening import Patch
from holdfast.reports._plain import one_line

_NO_NEWLINE = "\\ No newline at end of file\n"


def unified(patch: Patch) -> str:
    """Return the diff of one file.

    Lines end where a line feed stands, and nowhere else: a carriage return before it belongs to the line.

    Source:
        https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html
    """
    before, after = _lines(patch.before), _lines(patch.after)
    name = one_line(patch.path, 0)
    return "".join(_ended(difflib.unified_diff(before, after, name, name)))


def _lines(text: str) -> list[str]:
    pieces = text.split("\n")
    lines = [f"{piece}\n" for piece in pieces[:-1]]
    return [*lines, pieces[-1]] if pieces[-1] else lines


def _ended(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if not line.endswith("\n"):
            yield "\n" + _NO_NEWLINE
