"""Rows of cells as lines of text: columns as wide as their longest cell, long cells wrapped within their own column."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from holdfast.reports._lines import Line, Part, columns, wrapped

_GAP = 2
_WIDEST = 34
"""Columns of the longest cell that the others are aligned to."""
_NARROWEST = (12, 8)
"""Columns that a cell keeps: the first cell is a name to search for, so the others are wrapped before it."""

Row = tuple[Part, ...]


def table(rows: Sequence[Row], *, width: int, indent: int = 0) -> list[list[Line]]:
    """Lay rows out.

    Args:
        rows: Cells, each a safe text on one line and its style; as many in every row.
        width: Columns to keep to; 0 wraps nothing, and a cell that is too long pushes the rest of its row aside.
        indent: Spaces before every line.

    Returns:
        For each row its lines.
    """
    broad = [min(_WIDEST, max(columns(text) for text, _ in column)) for column in zip(*rows, strict=True)]
    room = width - indent - _GAP * (len(broad) - 1)
    if width > 0:
        _shrink(broad, room)
    return [_row(row, broad, indent, wrap=width > 0) for row in rows]


def _shrink(broad: list[int], room: int) -> None:
    """Take columns away until the cells fit: from the widest but the first, then from the first, then from all."""
    for narrowest in _NARROWEST:
        for some in (range(1, len(broad)), range(1)):
            while sum(broad) > room and max(broad[n] for n in some) > narrowest:
                broad[max(some, key=broad.__getitem__)] -= 1


def _row(row: Row, broad: list[int], indent: int, *, wrap: bool) -> list[Line]:
    cells = [wrapped(text, size, size) if wrap else [text] for (text, _), size in zip(row, broad, strict=True)]
    lines = []
    for pieces in zip_longest(*cells, fillvalue=""):
        parts: list[Part] = []
        for piece, (_, style), size in zip(pieces, row, broad, strict=True):
            parts += [(piece, style), (" " * (max(0, size - columns(piece)) + _GAP), "")]
        lines.append(Line(tuple(parts[:-1]), indent, 0))
    return lines
