"""Text that others wrote, made safe to print: one line, no control characters, no invisible direction changes."""

from __future__ import annotations

# Spaces that Python does not call printable and that do no harm: no-break space, ideographic space.
_KEPT = frozenset("\u00a0\u3000")
LONGEST = 400
"""Characters of one foreign value that a report for people shows."""


def one_line(text: str, limit: int = LONGEST) -> str:
    r"""Return the text with every control character spelled out, cut to a length a person can read.

    A container's name comes from whoever started it. Printed as it is, it could forge lines of a report, recolour
    them or move the cursor; a right-to-left override could turn a path around.

    Args:
        text: Anything.
        limit: Most characters kept; 0 keeps all.

    Returns:
        Printable text without a line break. Characters that are not printable stand as ``\x1b``, ``\u202e``; lone
        surrogates too, so that the text can always be encoded.
    """
    cut = bool(limit) and len(text) > limit
    if cut:
        text = text[: limit - 1]
    if not text.isprintable():
        text = "".join(char if char.isprintable() or char in _KEPT else _spelled(char) for char in text)
    return text + "…" if cut else text


def _spelled(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
