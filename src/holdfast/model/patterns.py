"""Patterns of fnmatch(3) and of paths, turned into regular expressions that try nothing twice."""

from __future__ import annotations

from functools import lru_cache
from re import DOTALL, IGNORECASE, Pattern, escape
from re import compile as compiled

_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r" \t\n\r\f\v",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "print": r"\x20-\x7e",
    "graph": r"\x21-\x7e",
    "cntrl": r"\x00-\x1f\x7f",
    "xdigit": "0-9a-fA-F",
}

_COMPONENT_END = r"(?=/|\Z)"


@lru_cache(maxsize=4096)
def glob(pattern: str, *, any_case: bool = False) -> Pattern[str]:
    """Return a regular expression for a pattern of fnmatch(3) without flags: ``*`` and ``?`` match a slash too.

    Use ``match``; the end is part of the expression. A star takes the shortest text that its next literal part
    follows, and never gives it back, so the time is linear in the text for each star.
    """
    return compiled(_whole(pattern, ".", r"\Z"), DOTALL | (IGNORECASE if any_case else 0))


@lru_cache(maxsize=4096)
def below(paths: tuple[str, ...]) -> Pattern[str]:
    """Return a regular expression for paths that are one of these or lie below one.

    Paths are compared by component; a component may be a pattern, whose ``*`` stays inside it. Use ``match``.
    """
    written = [[_whole(part, "[^/]", _COMPONENT_END) for part in path.split("/") if part] for path in paths]
    one_of = "|".join("".join(f"/{'+' if at else '*'}(?=[^/]){part}" for at, part in enumerate(one)) for one in written)
    return compiled(f"(?:{one_of})(?:/.*)?\\Z" if paths else "(?!)", DOTALL)


def _whole(pattern: str, any_sign: str, end: str) -> str:
    """Write one pattern; ``any_sign`` is what ``?`` matches, ``end`` what must follow."""
    parts: list[str] = [""]
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        at += 1
        if sign == "*":
            parts.append("")
        elif sign == "?":
            parts[-1] += any_sign
        elif sign == "[":
            read = _bracket(pattern, at)
            if read is None:
                parts[-1] += r"\["
            else:
                members, at = read
                parts[-1] += members if any_sign == "." else f"(?!/){members}"
        elif sign == "\\" and at < len(pattern):
            parts[-1] += escape(pattern[at])
            at += 1
        else:
            parts[-1] += escape(sign)
    if len(parts) == 1:
        return f"{parts[0]}{end}"
    middle = "".join(f"(?>{any_sign}*?{part})" for part in parts[1:-1] if part)
    return f"{parts[0]}{middle}{any_sign}*{parts[-1]}{end}"


def _bracket(pattern: str, at: int) -> tuple[str, int] | None:
    """Read a bracket expression after its ``[``; None where it does not end, so that the ``[`` stands for itself."""
    negated = pattern[at : at + 1] in {"!", "^"}
    at += negated
    members: list[str] = []
    first = True
    while at < len(pattern):
        sign = pattern[at]
        if sign == "]" and not first:
            inside = "".join(members)
            if not inside:  # nothing but ranges that run backwards
                return (r"[\s\S]" if negated else "(?!)"), at + 1
            return (f"[^{inside}]" if negated else f"[{inside}]"), at + 1
        first = False
        if sign == "[" and pattern[at + 1 : at + 2] == ":":
            close = pattern.find(":]", at + 2)
            named = _CLASSES.get(pattern[at + 2 : close]) if close > 0 else None
            if named is None:
                return None
            members.append(named)
            at = close + 2
            continue
        low, at = _member(pattern, at)
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in {"", "]"}:
            high, at = _member(pattern, at + 1)
            if low <= high:
                members.append(f"{_literal(low)}-{_literal(high)}")
        else:
            members.append(_literal(low))
    return None


def _member(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] == "\\" and at + 1 < len(pattern):
        at += 1
    return pattern[at], at + 1


def _literal(sign: str) -> str:
    return f"\\{sign}" if sign in "\\]^-[&~|" else sign
