"""``holdfast rules``: options and printing."""

from __future__ import annotations

import argparse

DESCRIPTION = """\
Read files in Falco's rule language and say what is in them.

Rules, macros and lists of Falco load unmodified; later files change earlier ones. Every error and warning has its
file, line and column. A rule with an error is named and left out, the rest loads.
"""
EPILOG = """\
examples:
  holdfast rules check falco_rules.yaml mine.yaml            is everything in them understood?
  holdfast rules check --expand 'Terminal shell in container' falco_rules.yaml
                                                             one rule, its lists and macros written out
  holdfast rules check --pushdown falco_rules.yaml           what of each rule the kernel can check
  holdfast rules list falco_rules.yaml                       every rule with its priority and events
  holdfast rules fields                                      every field that a condition may ask

Of Falco's events there are system calls only: a rule with another source (a plug-in) is an error that names it.

exit codes: 0 nothing is wrong, 2 wrong call, 11 a file cannot be read, 13 something in a file is not understood
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    check = actions.add_parser("check", help="print errors and warnings", description="Print errors and warnings.")
    check.add_argument("--expand", action="append", default=[], metavar="RULE", help="print this rule; repeatable")
    check.add_argument("--pushdown", action="store_true", help="say what the kernel checks of each rule")
    listing = actions.add_parser("list", help="list the rules", description="List the rules with their events.")
    for action in (check, listing):
        action.add_argument("files", nargs="+", metavar="FILE", help="rules file, or a folder with some; order counts")
    fields = actions.add_parser("fields", help="list every field", description="List every field and its type.")
    for action in (check, listing, fields):
        action.add_argument("--json", action="store_true", help="JSON instead of text")
        action.add_argument("-o", "--output", default="", metavar="FILE", help="write there")


def run(options: argparse.Namespace) -> int:
    """Read, print, and answer with the exit code."""
    from holdfast.app import rules
    from holdfast.cli.output import write
    from holdfast.model.errors import ExitCode

    if options.action == "fields":
        write(options.output)(rules.fields(as_json=options.json))
        return ExitCode.CLEAN
    wanted = rules.Wanted(
        tuple(options.files),
        tuple(getattr(options, "expand", ())),
        listing=options.action == "list",
        pushdown=getattr(options, "pushdown", False),
        as_json=options.json,
    )
    return rules.tell(wanted, write(options.output))
