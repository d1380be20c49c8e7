"""Where output goes and how wide and colourful it may be."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

from holdfast.model.errors import Error

_WIDTH = 80
"""Columns of a terminal that does not say how wide it is."""


def read_in_a_terminal(output: str = "") -> bool:
    """Tell whether a person reads what is written there as it is written."""
    return output in {"", "-"} and sys.stdout is not None and sys.stdout.isatty()


def colour_wanted(setting: str, *, to_terminal: bool) -> bool:
    """Decide about colour: the setting first, then ``NO_COLOR`` and ``FORCE_COLOR``, then whether a terminal reads.

    Source:
        https://no-color.org
    """
    if setting != "auto":
        return setting == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return to_terminal and os.environ.get("TERM") != "dumb"


def width(*, to_terminal: bool) -> int:
    """Return the number of columns to wrap at; 0 for a pipe or a file, where ``grep`` wants whole sentences."""
    return max(40, shutil.get_terminal_size((_WIDTH, 24)).columns) if to_terminal else 0


def complain(error: Error) -> None:
    """Print an error on standard error as three short lines: what happened, where, what to do next.

    A place may bear a name that somebody else chose: control characters in it are spelled out.
    """
    from holdfast.reports._plain import one_line

    lines = [f"holdfast: {one_line(error.what, 0)}"]
    lines += [f"where: {one_line(error.where, 0)}"] if error.where else []
    lines += [f"next: {one_line(error.next, 0)}"] if error.next else []
    print("\n".join(lines), file=sys.stderr)


def write(path: str) -> Callable[[bytes], None]:
    """Return a function that writes to a file, or to standard output where the path is empty or ``-``.

    The file is truncated at the first piece, so that a scan that fails leaves an older report as it was.

    Raises:
        Error: There is no standard output; or, raised by the returned function, the file cannot be written.
    """
    if path in {"", "-"}:
        if sys.stdout is None:
            raise Error("there is no standard output", "standard output", "give --output FILE, or do not close it")
        stream = sys.stdout.buffer

        def to_stdout(data: bytes) -> None:
            sys.stdout.flush()
            stream.write(data)

        return to_stdout
    begun: list[bool] = []

    def to_file(data: bytes) -> None:
        try:
            with open(path, "ab" if begun else "wb") as file:  # noqa: PTH123 - one call, binary, append
                file.write(data)
        except OSError as error:
            raise Error(f"the report cannot be written: {error.strerror}", path, "choose another --output") from error
        begun.append(True)

    return to_file
