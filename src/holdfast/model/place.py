"""Places: where a value was read, so that every verdict can be checked by hand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Where:
    """The place a value was read.

    Attributes:
        document: File path, ``docker://ID``, ``/proc/PID/status`` or another name a person can look up.
        pointer: RFC 6901 pointer inside the document; empty for the whole document.
        line: 1-based line, or 0 where the document has no lines.

    Source:
        https://www.rfc-editor.org/rfc/rfc6901
    """

    document: str
    pointer: str = ""
    line: int = 0

    def __str__(self) -> str:
        """``document:line`` where there is a line, else ``document#pointer``."""
        if self.line:
            return f"{self.document}:{self.line}"
        return f"{self.document}#{self.pointer}" if self.pointer else self.document

    def below(self, key: object, line: int = 0) -> Where:
        """Return the place of a child of this one; ``line`` falls back to this place's line."""
        token = str(key).replace("~", "~0").replace("/", "~1")
        return Where(self.document, f"{self.pointer}/{token}", line or self.line)
