"""Lines of text with named styles, and the two ways to put them out: plain, or coloured by rich.

Plain output does without rich, whose import takes longer than the scan of a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from unicodedata import combining, east_asian_width

Part = tuple[str, str]
"""Text and the name of its style; "" for none."""

STYLES = {
    "escapable": "bold red",
    "unknown": "yellow",
    "contained": "green",
    "yes": "red",
    "no": "green",
    "name": "bold",
    "id": "bold cyan",
    "goal": "bold red",
    "place": "cyan",
    "dim": "bright_black",
    "fix": "green",
    "mark": "magenta",
    "title": "bold underline",
}
"""Colours of the terminal's own sixteen, so that they fit light and dark backgrounds."""

_NARROWEST = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line before it is put out.

    Attributes:
        parts: Safe, single-line texts (see ``_plain``).
        indent: Spaces before the first part.
        hang: Further spaces before what is wrapped.
    """

    parts: tuple[Part, ...] = ()
    indent: int = 0
    hang: int = 2


def line(*parts: Part | str, indent: int = 0, hang: int = 2) -> Line:
    """Make a line; a bare string has no style."""
    return Line(tuple((part, "") if isinstance(part, str) else part for part in parts), indent, hang)


def painted(lines: Iterable[Line], *, colour: bool, width: int) -> bytes:
    """Put lines out.

    Args:
        lines: What to say.
        colour: Write SGR sequences.
        width: Columns to wrap at; 0 does not wrap, which is right for a pipe or a file.

    Returns:
        UTF-8, each line ended with a newline. The only control bytes are newlines and, with colour, SGR sequences.
    """
    if colour:
        return _by_rich(lines, width=width)
    return "".join(_plain(each, width) for each in lines).encode("utf-8", "backslashreplace")


def _plain(each: Line, width: int) -> str:
    text = "".join(part for part, _ in each.parts).rstrip()
    first = " " * each.indent
    if width <= 0 or not text or (len(text) + each.indent <= width and text.isascii()):
        return f"{first}{text}\n" if text else "\n"
    rest = " " * (each.indent + each.hang)
    pieces = wrapped(text, max(_NARROWEST, width - each.indent), max(_NARROWEST, width - len(rest)))
    return "".join(f"{rest if number else first}{piece}\n" for number, piece in enumerate(pieces))


def wrapped(text: str, first: int, rest: int) -> list[str]:
    """Break a text into lines at spaces, and a word that is longer than a line at the line's end.

    Args:
        text: One line.
        first: Columns of the first line.
        rest: Columns of every further line.
    """
    pieces: list[str] = []
    piece, used, limit = "", 0, first
    for word in re.findall(r" *[^ ]+", text):
        size = columns(word)
        if used and used + size > limit:
            pieces.append(piece)
            piece, used, limit = "", 0, rest
            word = word.lstrip()  # noqa: PLW2901 - the space before a line's first word is the line break
            size = columns(word)
        if size <= limit - used:
            piece, used = piece + word, used + size
            continue
        for char in word:
            if used + columns(char) > limit:
                pieces.append(piece)
                piece, used, limit = "", 0, rest
            piece, used = piece + char, used + columns(char)
    return [*pieces, piece]


def columns(text: str) -> int:
    """Count the columns a text takes in a terminal: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _by_rich(lines: Iterable[Line], *, width: int) -> bytes:
    from io import StringIO  # noqa: PLC0415 - rich is slow to import, and `--version` must not wait for it

    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    out = StringIO()
    console = Console(
        file=out,
        width=max(width, _NARROWEST) if width > 0 else 1_000_000,
        color_system="standard",
        force_terminal=True,
        force_jupyter=False,
        no_color=False,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )
    for each in lines:
        text = Text()
        for part, style in each.parts:
            text.append(part, STYLES.get(style, ""))
        text.rstrip()
        first, rest = " " * each.indent, " " * (each.indent + each.hang)
        room = max(_NARROWEST, console.width - len(rest))
        pieces = [text] if width <= 0 else list(text.wrap(console, room))
        for number, piece in enumerate(pieces or [Text()]):
            piece.rstrip()
            console.print((Text(rest if number else first) + piece) if piece.plain else "", soft_wrap=True)
    return out.getvalue().encode("utf-8", "backslashreplace")
