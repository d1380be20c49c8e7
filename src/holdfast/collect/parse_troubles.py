"""Troubles with YAML in words that say what to do."""

from __future__ import annotations

import re

from yaml.error import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

from holdfast.collect.parse_limits import Refused

_TEMPLATE = re.compile(r"\{\{|\{%")
_BLOCK = 65536


def refusal_of(error: YAMLError, text: str, first: int) -> Refused:
    """Turn an error of PyYAML into a refusal; ``first`` is the line number of the text's first line."""
    if isinstance(error, MarkedYAMLError):
        # Where a text ends too early, the place that matters is where the open thing began.
        at_end = error.context_mark is not None and "end of stream" in str(error.problem)
        mark = error.context_mark if at_end else error.problem_mark or error.context_mark
        line = mark.line + first if mark else first
        words = [part for part in (error.problem, error.context) if part]
        return Refused("not YAML: " + ", ".join(words), "correct the YAML here", line)
    if isinstance(error, ReaderError):
        code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
        character = chr(code) if code < 0x110000 else ""
        at = max(text.find(character), 0) if character else 0
        return Refused(
            f"the character U+{code:04X} may not stand in YAML",
            "remove it; if the file is binary, leave it out of the scan",
            first + text.count("\n", 0, at),
        )
    return Refused(f"not YAML: {str(error)[:200]}", "correct the YAML here", first)


def explained(text: str, refusal: Refused) -> Refused:
    """Say more where the line itself shows what is wrong."""
    start = line_start(text, 0, max(refusal.line - 1, 0))
    end = text.find("\n", start)
    line = text[start : end if end >= 0 else len(text)][:1000]
    if _TEMPLATE.search(line):
        refusal.next = "this looks like a template; render it first (helm template, kustomize build)"
    elif "\t" in line[: len(line) - len(line.lstrip())]:
        refusal.next = "indent with spaces; YAML forbids tabs there"
    return refusal


def line_start(text: str, offset: int, lines: int) -> int:
    """Return where a line begins, counted from the one at the offset."""
    while lines > _BLOCK:
        # Whole blocks first: a file of nothing but line ends would cost seconds otherwise.
        within = text.count("\n", offset, offset + _BLOCK)
        lines -= within
        offset += _BLOCK
        if offset >= len(text):
            return len(text)
    for _ in range(lines):
        found = text.find("\n", offset)
        if found < 0:
            return len(text)
        offset = found + 1
    return offset
