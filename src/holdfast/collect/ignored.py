"""Rules of ``.gitignore``: one file for each folder, the deeper one wins, and what git itself would leave out.

Source:
    https://git-scm.com/docs/gitignore
"""

# ruff: noqa: PTH100, PTH110, PTH118, PTH120 - called for each folder of a large tree, on plain strings

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.collect.reading import read_text

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

LIMIT = 1 << 20
_CONTENTS = re.compile(r"/\*\*(?= *$)")
"""``a/**`` means what lies in ``a``, for git; for pathspec it means ``a`` as well."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """Rules of one folder."""

    folder: str
    spec: GitIgnoreSpec


@dataclass(frozen=True, slots=True)
class Ignored:
    """The rules that hold in one folder.

    Attributes:
        rules: Those of its ancestors and its own, the outermost first.
        folder: The folder, absolute.
    """

    rules: tuple[_Rules, ...] = ()
    folder: str = ""

    @classmethod
    def above(cls, path: str) -> Ignored:
        """Collect the rules of the folders above one, up to the root of its git repository. None outside of one."""
        start = os.path.abspath(path)
        folders: list[str] = []
        here = start
        while True:
            if os.path.exists(os.path.join(here, ".git")):
                break
            parent = os.path.dirname(here)
            if parent == here:
                return cls((), start)
            folders.append(parent)
            here = parent
        rules = [rule for rule in (_read(here, os.path.join(here, ".git", "info", "exclude")),) if rule]
        for folder in reversed(folders):
            rule = _read(folder, os.path.join(folder, ".gitignore"))
            if rule:
                rules.append(rule)
        return cls(tuple(rules), start)

    def entering(self, path: str, names: set[str]) -> Ignored:
        """Return the rules inside a folder, its own ones added.

        Args:
            path: The folder.
            names: What lies in it; spares a look for files that are not there.
        """
        folder = os.path.abspath(path)
        rules = self.rules
        if ".git" in names and not any(rule.folder == folder for rule in rules):
            # A repository inside another has rules of its own; git never looks out of it.
            inside = _read(folder, os.path.join(folder, ".git", "info", "exclude"))
            rules = (inside,) if inside else ()
        if ".gitignore" in names:
            own = _read(folder, os.path.join(folder, ".gitignore"))
            rules = (*rules, own) if own else rules
        return Ignored(rules, folder)

    def leaves_out(self, name: str, *, is_folder: bool) -> bool:
        """Tell whether the rules leave out something in this folder. The last rule that speaks decides."""
        if not self.rules:
            return False
        place = f"{self.folder}/{name}{'/' if is_folder else ''}"
        for rule in reversed(self.rules):
            told = rule.spec.check_file(place[len(rule.folder) :].lstrip("/")).include
            if told is not None:
                return told
        return False


def _read(folder: str, path: str) -> _Rules | None:
    text = read_text(path, LIMIT)
    if not isinstance(text, str):
        return None
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - only folders with such rules pay for it

    kept = []
    for line in text.splitlines():
        try:
            GitIgnoreSpec.from_lines([line])
        except (ValueError, TypeError):
            continue  # git passes over a pattern that it does not understand
        kept.append(_CONTENTS.sub("/**/*", line))
    return _Rules(folder.rstrip("/"), GitIgnoreSpec.from_lines(kept))
