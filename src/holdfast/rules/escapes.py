"""Quotes and escapes of Falco's language."""

from __future__ import annotations

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", " ": "\\", "\\": "\\", "/": "/"}
_SPELLED = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}
_TO_QUOTE = frozenset(_SPELLED) | {" ", "'"}


class BadEscape(ValueError):
    """A backslash stands before something that it cannot stand before.

    Attributes:
        what: One short sentence without a final stop.
        at: Offset inside the quoted text.
    """

    def __init__(self, what: str, at: int) -> None:
        """Keep both."""
        super().__init__(what)
        self.what = what
        self.at = at


def unescaped(quoted: str) -> str:
    r"""Return what a quoted text means.

    Args:
        quoted: With its quotes. A backslash and a blank mean a backslash, ``\xHH`` a byte.

    Raises:
        BadEscape: Another escape, or the quote of the other kind behind a backslash.
    """
    if "\\" not in quoted:
        return quoted[1:-1]
    made: list[str] = []
    at, end = 1, len(quoted) - 1
    while at < end:
        sign = quoted[at]
        at += 1
        if sign != "\\" or at >= end:
            if sign != "\\":
                made.append(sign)
            continue
        sign = quoted[at]
        if sign in _ESCAPES:
            made.append(_ESCAPES[sign])
        elif sign in {'"', "'"}:
            if sign != quoted[0]:
                raise BadEscape(f"\\{sign} stands in text that is quoted with {quoted[0]}", at)
            made.append(sign)
        elif sign == "x":
            digits = quoted[at + 1 : min(at + 3, end)]
            if len(digits) != 2 or any(one not in "0123456789abcdefABCDEF" for one in digits):
                raise BadEscape("\\x is not followed by two hexadecimal digits", at)
            made.append(chr(int(digits, 16)))
            at += 2
        else:
            raise BadEscape(f"there is no escape \\{sign}", at)
        at += 1
    return "".join(made)


def quoted_if_needed(text: str) -> str:
    """Write a value as Falco prints it: in double quotes where a blank, a quote or a control character is in it."""
    if not any(sign in _TO_QUOTE for sign in text):
        return text
    return '"' + "".join(_SPELLED.get(sign, sign) for sign in text) + '"'
