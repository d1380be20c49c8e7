"""Progress on anything that takes longer than a second; silent before that, and when asked to be."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_FIRST_S = 1.0
_TERMINAL_S = 0.1
_LOG_S = 10.0
_WIDTH = 78


class Progress:
    """Tells on standard error how far a scan is.

    On a terminal one line is rewritten; in a log a line is added every ten seconds.
    """

    def __init__(self, *, quiet: bool, stream: TextIO | None = None) -> None:
        """Start the clock."""
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.terminal = self.stream.isatty()
        self._began = time.monotonic()
        self._next = self._began + _FIRST_S
        self._shown = False

    def tell(self, count: int, what: str, path: str = "") -> None:
        """Say how many of what are done, and which one it is now. Cheap; most calls print nothing."""
        if self.quiet:
            return
        now = time.monotonic()
        if now < self._next:
            return
        seconds = now - self._began
        text = f"{count} {what}, {seconds:.0f} s"
        if path:
            text += f": {path}"
        text = "".join(character if character.isprintable() else "?" for character in text)
        if self.terminal:
            self.stream.write(f"\r\x1b[2K{text[:_WIDTH]}")
            self._next = now + _TERMINAL_S
            self._shown = True
        else:
            self.stream.write(f"holdfast: {text}\n")
            self._next = now + _LOG_S
        self.stream.flush()

    def done(self) -> None:
        """Wipe the line that was rewritten."""
        if self._shown:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()
            self._shown = False
