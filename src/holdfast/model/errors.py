"""Errors: what happened, where, and what to do next."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the program tells the shell."""

    CLEAN = 0
    FINDINGS = 1
    USAGE = 2
    UNSEEN = 3
    ERROR = 10
    NOT_REACHABLE = 11
    NOT_PERMITTED = 12
    NOT_UNDERSTOOD = 13
    UNSAFE = 14
    INTERRUPTED = 130


class Error(Exception):
    """Something went wrong that a person can act on.

    Attributes:
        what: What happened, one short sentence without a final stop.
        where: The file, socket, process or option.
        next: What to do now.
    """

    code = ExitCode.ERROR

    def __init__(self, what: str, where: str = "", next: str = "") -> None:  # noqa: A002 - the three words of the house
        """Keep the three lines."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.next = next

    def __str__(self) -> str:
        """Three short lines; empty ones are left out."""
        lines = [self.what]
        if self.where:
            lines.append(f"where: {self.where}")
        if self.next:
            lines.append(f"next: {self.next}")
        return "\n".join(lines)


class NotReachable(Error):
    """A socket, host or file is not there or does not answer."""

    code = ExitCode.NOT_REACHABLE


class NotPermitted(Error):
    """The kernel or the engine refused; more privilege would show more."""

    code = ExitCode.NOT_PERMITTED


class NotUnderstood(Error):
    """A document could not be read as what it should be.

    Attributes:
        line: 1-based line, 0 where there is none.
    """

    code = ExitCode.NOT_UNDERSTOOD

    def __init__(self, what: str, where: str = "", next: str = "", line: int = 0) -> None:  # noqa: A002
        """Keep the three lines and the line number."""
        super().__init__(what, where, next)
        self.line = line


class Usage(Error):
    """The call itself is wrong: an unknown option value, a target that does not exist."""

    code = ExitCode.USAGE


class Unsafe(Error):
    """Doing it would touch something that is not ours."""

    code = ExitCode.UNSAFE
