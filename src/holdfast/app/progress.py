"""Progress on anything that takes longer than a second; silent before that, in a log, and when asked to be."""

from __future__ import annotations

import sys
import time
from shutil import get_terminal_size
from typing import TextIO

_FIRST_S = 1.0
_EVERY_S = 0.1
_WIDTH = 80


class Progress:
    """Tells on standard error how far a scan is: on a terminal, in one line that is rewritten and at last wiped."""

    def __init__(self, *, quiet: bool, stream: TextIO | None = None) -> None:
        """Start the clock."""
        self.stream: TextIO | None = stream or sys.stderr
        self.silent = quiet or self.stream is None or not self.stream.isatty()
        self._began = time.monotonic()
        self._next = self._began + _FIRST_S
        self._shown = False

    def tell(self, count: int, what: str, path: str = "") -> None:
        """Say how many of what are done, and which one it is now. Cheap; most calls print nothing."""
        if self.silent or self.stream is None:
            return
        now = time.monotonic()
        if now < self._next:
            return
        text = f"{count} {what}, {now - self._began:.0f} s"
        if path:
            text += f": {path}"
        text = "".join(character if character.isprintable() else "?" for character in text)
        self.stream.write(f"\r\x1b[2K{text[: max(20, get_terminal_size((_WIDTH, 24)).columns - 1)]}")
        self.stream.flush()
        self._next = now + _EVERY_S
        self._shown = True

    def done(self) -> None:
        """Wipe the line that was rewritten."""
        if self._shown and self.stream is not None:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()
            self._shown = False
