"""``holdfast explain``: a technique's page."""

from __future__ import annotations

import argparse

from holdfast.cli.output import colour_wanted, read_in_a_terminal, width, write

DESCRIPTION = "Print a technique's page: what happens, when it is open, what closes it, how it looks, who says so."
EPILOG = """\
examples:
  holdfast explain                      list every technique
  holdfast explain docker-socket        one page
  holdfast explain T1611                every technique with this ATT&CK id
  holdfast explain --format markdown docker-socket
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="technique id or ATT&CK id; none lists all")
    parser.add_argument("--format", choices=("terminal", "markdown"), default="terminal", help="default: terminal")
    parser.add_argument("--color", "--colour", dest="colour", choices=("auto", "always", "never"), default="auto")


def run(options: argparse.Namespace) -> int:
    """Print the pages."""
    from holdfast.app.explain import pages

    to_terminal = read_in_a_terminal()
    write("")(
        pages(
            tuple(options.ids),
            form=options.format,
            colour=colour_wanted(options.colour, to_terminal=to_terminal),
            width=width(to_terminal=to_terminal),
        )
    )
    return 0
