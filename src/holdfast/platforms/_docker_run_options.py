"""The options of one command line with the words they stand in, so that a text can be changed in place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.platforms._docker_run_command import Reader
from holdfast.platforms._docker_run_place import Place
from holdfast.platforms._docker_run_request import Said
from holdfast.platforms._docker_run_shell import Command
from holdfast.platforms._docker_run_words import Word

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+\Z")


@dataclass(frozen=True, slots=True)
class Option:
    """One option as it stands in the text.

    Attributes:
        name: Its long name.
        value: Its value as text; empty for a switch.
        words: Offsets of its first and behind its last character.
        value_at: Offsets of the word that holds the value.
        prefix: What stands before the value in that word: ``--user=``, ``-u``, or nothing.
        mounts: Index of the mount it makes among the mounts of the command; -1 for none.
        devices: Indices of the devices it makes.
        movable: It can be changed: no part of it comes from a variable, no other option shares its word.
    """

    name: str
    value: str
    words: tuple[int, int]
    value_at: tuple[int, int]
    prefix: str
    mounts: int
    devices: tuple[int, ...]
    movable: bool


class Options(Reader):
    """Reads a command and keeps every option with its words."""

    def __init__(self, command: Command, document: str, place: Place, length: int) -> None:
        """Start before the first word; ``length`` is that of the text in characters."""
        super().__init__(command, document, place)
        self.length = length
        self.options: list[Option] = []
        self._first = 0
        self._cluster = False

    def _long(self, word: Word) -> None:
        self._first, self._cluster = self.at - 1, False
        super()._long(word)

    def _short(self, word: Word) -> None:
        self._first, self._cluster = self.at - 1, False
        letters = word.text[1:]
        # -itv x: the last letter takes the value, and the others share its word.
        self._cluster = len(letters) > 1 and "=" not in letters[:2] and not self._takes_value(letters[0])
        super()._short(word)

    @staticmethod
    def _takes_value(letter: str) -> bool:
        return letter in "acehlmpuvw"

    def _switch(self, option: str, said: Said | None, word: Word) -> None:
        before = len(self.request.mounts)
        super()._switch(option, said, word)
        self._keep(option, said.text if said is not None else "", self.at - 1, before, len(self.request.devices))

    def _value(self, option: str, said: Said) -> None:
        before, devices = len(self.request.mounts), len(self.request.devices)
        super()._value(option, said)
        first = self.words[self._first]
        joined = "=" in first.text if first.text.startswith("--") else len(first.text) > 2 and not self._cluster
        self._keep(option, said.text, self._first if joined else self.at, before, devices)

    def _keep(self, option: str, value: str, last: int, mounts: int, devices: int) -> None:
        first, end = self.words[self._first], self.words[min(last, len(self.words) - 1)]
        prefix = end.text[: len(end.text) - len(value)] if value and end is first else ""
        made = tuple(range(devices, len(self.request.devices)))
        movable = not (first.split or end.split or self._cluster) and first.start < first.end
        mount = mounts if len(self.request.mounts) > mounts else -1
        spans = (first.start, end.end), (end.start, end.end)
        self.options.append(Option(option, value, *spans, prefix, mount, made, movable))


def spelled(text: str) -> str:
    """Spell a word for a POSIX shell."""
    return text if _PLAIN.match(text) else "'" + text.replace("'", "'\\''") + "'"


def without(text: str, option: Option) -> str:
    """Return the text without an option; the line goes with it where nothing else stands in it."""
    start, end = option.words
    line = text.rfind("\n", 0, start) + 1
    after = re.compile(r"[ \t]*[\\`^]\r?\n").match(text, end)
    if not text[line:start].strip(" \t") and after is not None:
        return text[:line] + text[after.end() :]
    blank = re.compile(r"[ \t]+").match(text, end)
    if blank is not None and not text.startswith(("\\\n", "\\\r", "\n", "\r"), blank.end()):
        return text[:start] + text[blank.end() :]
    return text[:start].rstrip(" \t") + text[end:]


def instead(text: str, option: Option, value: str) -> str:
    """Return the text with another value for an option."""
    start, end = option.value_at
    old = text[start:end]
    quote = next((sign for sign in "\"'" if old.startswith(option.prefix + sign) and old.endswith(sign)), "")
    if quote and not set(value) & set("\"'\\$`!"):
        return text[:start] + option.prefix + quote + value + quote + text[end:]
    return text[:start] + option.prefix + spelled(value) + text[end:]


def added(text: str, image: Word, words: list[str]) -> str:
    """Return the text with an option before the image."""
    spelling = " ".join(spelled(word) for word in words)
    line = text.rfind("\n", 0, image.start) + 1
    lead = text[line : image.start]
    above = re.compile(r"[\\`^]\r?\n\Z").search(text, max(0, line - 3), line)
    if not lead.strip(" \t") and above is not None:
        return text[: image.start] + f"{spelling} {above.group()}{lead}" + text[image.start :]
    return text[: image.start] + spelling + " " + text[image.start :]
