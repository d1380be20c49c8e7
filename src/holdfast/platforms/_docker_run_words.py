"""Cutting one command into words, as a POSIX shell does, with the variables that are known.

Source:
    https://pubs.opengroup.org/onlinepubs/9699919799/utilities/V3_chap02.html (quoting, tokens, expansion)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.platforms._docker_run_place import NOTES

_VARIABLE = re.compile(r"[A-Za-z_]\w*|[0-9@*#?!$-]")
_DEFAULT = re.compile(r"([A-Za-z_]\w*)(:?[-=])([^${}\"'`\\]*)\Z")
_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_LONGEST = 1 << 16
_END = frozenset(";&|)\n")


@dataclass(slots=True)
class Word:
    """One word of a command.

    Attributes:
        text: Quotes removed; variables that are known replaced, others as written.
        line: 1-based.
        unknown: Why the text cannot be known; empty where it is.
        note: What it rests on.
        loose: True where an unknown variable outside quotes could make several words of it.
        start: Offset of its first character, quotes included.
        end: Offset behind its last one.
        split: It is one of several words that a variable's value was split into, so that it has no place of its own.
    """

    text: str
    line: int
    unknown: str = ""
    note: str = ""
    loose: bool = False
    start: int = 0
    end: int = 0
    split: bool = False


@dataclass(slots=True)
class Lexer:
    """A place in a text, and the words that were cut so far."""

    text: str
    at: int
    line: int
    variables: Mapping[str, str]
    stop: str = ""
    words: list[Word] = field(default_factory=list)
    current: list[str] | None = None
    started: int = 0
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    loose: bool = False
    cut: bool = False
    unclosed: bool = False
    begin: int = 0
    edge: int = 0
    split: bool = False

    def run(self) -> list[Word]:  # noqa: C901 - one branch for each kind of character
        """Cut words until the command ends."""
        limit = min(len(self.text), self.at + _LONGEST)
        while self.at < limit:
            char = self.text[self.at]
            if self.current is None:
                self.begin = self.at
            if char == "\\":
                self._backslash()
            elif char in " \t\r":
                self._finish()
                self.at += 1
            elif char == self.stop or self._ends(char):
                break
            elif char in "`^" and self.text[self.at + 1 : self.at + 2] in {"\n", "\r"}:
                self._backslash()
            elif char in "<>":
                self._redirect()
            elif char == "'":
                self._single()
            elif char == '"':
                self._double()
            elif char in "$`":
                self._expansion(quoted=False)
            else:
                self._put(char)
                self.at += 1
            # A line that goes on is no part of the word before it.
            if not (char in "\\`^" and self.text[self.at - 1] == "\n"):
                self.edge = self.at
        self.cut = self.at >= limit and limit < len(self.text)
        self._finish()
        return self.words

    def _put(self, text: str) -> None:
        if self.current is None:
            self.current, self.started = [], self.line
        self.current.append(text)

    def _finish(self) -> None:
        if self.current is None:
            return
        reason = "; ".join(dict.fromkeys(self.unknown))
        note = "; ".join(dict.fromkeys(self.notes))
        text, start, end = "".join(self.current), self.begin, max(self.begin, self.edge)
        self.words.append(Word(text, self.started, reason, note, self.loose, start, end, self.split))
        self.current, self.unknown, self.notes, self.loose, self.split = None, [], [], False, False

    def _backslash(self) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        if following == "\r" and self.text[self.at + 2 : self.at + 3] == "\n":
            self.line += 1
            self.at += 3
        elif following == "\n":
            self.line += 1
            self.at += 2
        else:
            self._put(following)
            self.at += 2

    def _ends(self, char: str) -> bool:
        if char == "#":
            return self.current is None
        if char == "&":
            # 2>&1 and &>file do not end the command.
            return self.text[self.at - 1] != ">" and self.text[self.at + 1 : self.at + 2] != ">"
        return char in _END

    def _redirect(self) -> None:
        """Go past a redirection and the file it names."""
        if self.current is not None and "".join(self.current).isdigit():
            self.current = None
        self._finish()
        while self.text[self.at : self.at + 1] in {"<", ">", "&", "|"}:
            self.at += 1
        while self.text[self.at : self.at + 1] in {" ", "\t"}:
            self.at += 1
        while self.at < len(self.text) and self.text[self.at] not in " \t\r\n;&|<>)":
            self.at += 1

    def _single(self) -> None:
        end = self.text.find("'", self.at + 1, self.at + _LONGEST)
        self.unclosed = self.unclosed or end < 0
        end = min(len(self.text), self.at + _LONGEST) if end < 0 else end
        inside = self.text[self.at + 1 : end]
        self._put(inside)
        self.line += inside.count("\n")
        self.at = end + 1

    def _double(self) -> None:
        self._put("")
        self.at += 1
        limit = min(len(self.text), self.at + _LONGEST)
        while self.at < limit and self.text[self.at] != '"':
            char = self.text[self.at]
            if char == "\\":
                following = self.text[self.at + 1 : self.at + 2]
                if following == "\n":
                    self.line += 1
                else:
                    self._put(following if following in {'"', "\\", "$", "`"} else "\\" + following)
                self.at += 2
            elif char in "$`":
                self._expansion(quoted=True)
            else:
                self.line += char == "\n"
                self._put(char)
                self.at += 1
        self.unclosed = self.unclosed or self.at >= limit
        self.at += 1

    def _expansion(self, *, quoted: bool) -> None:
        start = self.at
        if not quoted and self.text[start : start + 2] in {"$'", '$"'}:
            self.at += 1  # bash: a text with escapes like those of C, or one to be translated
            return
        end, value, note = self._expanded()
        raw = self.text[start:end]
        self.at = end
        self.line += raw.count("\n")
        if value is not None:
            self._known(value, note, quoted=quoted)
            return
        self._put(raw)
        if raw == "$":
            return
        self.unknown.append(f"{raw[:60]} is not known here")
        self.loose = self.loose or not quoted or "@" in raw

    def _known(self, value: str, note: str, *, quoted: bool) -> None:
        """Put a known value; outside quotes the shell splits it at spaces."""
        if note:
            self.notes.append(note)
        if quoted:
            self._put(value)
            return
        if value[:1].isspace():
            self._finish()
        parts = value.split()
        for index, part in enumerate(parts):
            if index:
                self._finish()
            self.split = len(parts) > 1 or self.split
            self._put(part)
        if value[-1:].isspace():
            self._finish()

    def _expanded(self) -> tuple[int, str | None, str]:
        """Return the end of the expansion, and its value with a note where it is known."""
        text, at = self.text, self.at
        if text[at] == "`":
            end = text.find("`", at + 1, at + _LONGEST)
            end = len(text) if end < 0 else end + 1
            return end, *self._known_as("pwd" if text[at:end] == "`pwd`" else "")
        following = text[at + 1 : at + 2]
        if following in {"(", "{"}:
            end = _matching(text, at + 1, following, ")" if following == "(" else "}")
            inside = text[at + 2 : end - 1]
            # Make writes $(NAME) for a variable; a command substitution of one word that was assigned is the same.
            if _NAME.match(inside):
                return end, *self._known_as(inside)
            default = _DEFAULT.match(inside) if following == "{" else None
            if default is not None:
                known = self.variables.get(default.group(1))
                if known is not None:
                    return end, known, ""
                return end, default.group(3), f"default, as {default.group(1)} is not set"
            return end, None, ""
        match = _VARIABLE.match(text, at + 1)
        if match is None:
            return at + 1, None, ""
        return match.end(), *self._known_as(match.group())

    def _known_as(self, name: str) -> tuple[str | None, str]:
        """Return the value of a variable, and what it rests on."""
        value = self.variables.get(name)
        return value, "" if value is None else NOTES.get(name, "")


def _matching(text: str, at: int, opening: str, closing: str) -> int:
    """Return the place after the bracket that closes the one at ``at``."""
    depth = 0
    for index in range(at, min(len(text), at + _LONGEST)):
        if text[index] == opening:
            depth += 1
        elif text[index] == closing:
            depth -= 1
            if not depth:
                return index + 1
    return min(len(text), at + _LONGEST)
