"""Where a command line is taken to be started: in the folder of the file that holds it, unless the file goes elsewhere.

Compose starts relative paths from the folder of its file; people write ``-v $(pwd):/app`` beside a script with the same
thought. A file that changes its folder, and a unit file, which systemd starts in ``/``, leave the folder open.

Source:
    systemd.exec(5), WorkingDirectory=.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

_ELSEWHERE = re.compile(
    r"(?:^|[;&|(])[ \t@]*(?:cd|pushd|chdir|set-location)[ \t]+(?![^\n]*(?:dirname|BASH_SOURCE|%~dp0|PSScriptRoot))\S",
    re.MULTILINE | re.IGNORECASE,
)
_HERE = ("PWD", "CURDIR", "pwd")
"""The shell's variable, make's, and the command that prints it."""
NOTES = {**dict.fromkeys(_HERE, "taken to be started beside this file"), "HOME": "the home directory of whoever scans"}
"""What rests on a guess, by the name of the variable."""


@dataclass(frozen=True, slots=True)
class Place:
    """Two directories; empty where nobody can tell.

    Attributes:
        folder: Absolute; relative paths start there.
        home: Absolute; ``~`` stands for it.
    """

    folder: str = ""
    home: str = ""

    def variables(self) -> dict[str, str]:
        """Return what a shell would know of the two."""
        known: dict[str, str] = dict.fromkeys(_HERE, self.folder) if self.folder else {}
        return {**known, "HOME": self.home} if self.home else known

    def absolute(self, path: str) -> str:
        """Return a host path; as written where it cannot be told from where it starts."""
        if path.startswith("/"):
            return posixpath.normpath(path)
        if path == "~" or path.startswith("~/"):
            return posixpath.normpath(self.home + path[1:]) if self.home else path
        if self.folder and (path in {".", ".."} or path.startswith(("./", "../"))):
            return posixpath.normpath(posixpath.join(self.folder, path))
        return path


def place_of(text: str, name: str, environment: Mapping[str, str]) -> Place:
    """Tell where the commands of a text are taken to be started.

    Args:
        text: The whole text.
        name: Its name as a document.
        environment: ``PWD`` makes a relative name absolute; ``HOME`` is the home directory.
    """
    here, home = environment.get("PWD", ""), environment.get("HOME", "")
    folder = posixpath.normpath(posixpath.join(here, posixpath.dirname(name)))
    if not folder.startswith("/") or name.endswith(".service") or _ELSEWHERE.search(text):
        folder = ""
    return Place(folder, home if home.startswith("/") else "")
