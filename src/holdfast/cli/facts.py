"""``holdfast facts``: every fact with its place."""

from __future__ import annotations

import argparse

from holdfast.cli.output import colour_wanted, complain, read_in_a_terminal, width, write
from holdfast.model.errors import ExitCode

DESCRIPTION = "Print every fact about a target, effective ones first, with the place each was read."
EPILOG = """\
examples:
  holdfast facts compose.yaml                    what is known about each service
  holdfast facts docker://web                    a running container
  holdfast facts --host                          this machine
  holdfast facts --host --output node.json       record this machine, for: holdfast scan --host node.json
  holdfast facts --words                         the vocabulary, for --assume
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="as for scan")
    parser.add_argument("--host", action="store_true", help="the host instead of containers")
    parser.add_argument("--words", action="store_true", help="list the vocabulary")
    parser.add_argument("--format", choices=("terminal", "json"), help="default: terminal; a recorded host is JSON")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write there instead of standard output")
    parser.add_argument("--color", "--colour", dest="colour", choices=("auto", "always", "never"), default="auto")
    parser.add_argument("-v", "--verbose", action="store_true", help="also the facts that nobody answered")


def run(options: argparse.Namespace) -> int:
    """Print the facts."""
    from holdfast.app import facts, settings

    to_terminal = read_in_a_terminal(options.output)
    troubles = facts.tell(
        facts.Wanted(
            tuple(options.targets),
            host=options.host,
            words=options.words,
            record=bool(options.host and options.output and options.format != "terminal"),
            as_json=options.format == "json",
            verbose=options.verbose,
        ),
        settings.load(),
        write(options.output),
        colour=colour_wanted(options.colour, to_terminal=to_terminal),
        width=width(to_terminal=to_terminal),
    )
    for trouble in troubles:
        complain(trouble)
    return ExitCode.UNSEEN if troubles else ExitCode.CLEAN
