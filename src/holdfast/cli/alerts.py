"""``holdfast alerts``: options."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Look into a spool of alerts, the file that holdfast watch --spool was given. It may be in use.

Every record has a number, without gaps, and the hash of all before it. Old records are dropped when the quota is used
up, those first that every receiver has; a record then says which.
"""
EPILOG = """\
examples:
  holdfast alerts list alerts.db                          every alert, one a line
  holdfast alerts list --last 20 --priority warning alerts.db
  holdfast alerts list --format ocsf --after 4711 alerts.db
  holdfast alerts show alerts.db 4712                     one alert, whole
  holdfast alerts verify alerts.db                        was anything changed or taken out?
  holdfast alerts dead alerts.db                          what receivers refused, and how far each is
  holdfast alerts aside alerts.db                         put a damaged file away; the next watch begins a new one

exit codes: 0 in order, 1 the chain is broken, 2 wrong call, 11 no such file, 13 the file is damaged, 14 no spool
"""


FORMATS = ("json", "falco", "ocsf", "ecs", "cef", "leef")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    listing = actions.add_parser("list", help="list alerts", description="List alerts in their order.")
    listing.add_argument("--after", type=int, default=0, metavar="N", help="only behind this number")
    listing.add_argument("--last", type=int, default=0, metavar="N", help="only the newest records")
    listing.add_argument("--priority", default="", metavar="WORD", help="only this severity and more urgent ones")
    show = actions.add_parser("show", help="print one alert", description="Print one alert, whole.")
    verify = actions.add_parser("verify", help="check the hash chain", description="Recompute the hash chain.")
    dead = actions.add_parser("dead", help="list dead letters", description="List dead letters and cursors.")
    aside = actions.add_parser("aside", help="put a damaged spool away", description="Rename a damaged spool.")
    for action in (listing, show):
        action.add_argument("--format", choices=FORMATS, default="", help="default: text for people")
    for action in (verify, dead):
        action.add_argument("--json", action="store_true", help="JSON instead of text")
    for action in (listing, show, verify, dead, aside):
        action.add_argument("spool", type=Path, metavar="FILE", help="the spool")
    show.add_argument("sequence", type=int, metavar="N", help="number of the record")


def run(options: argparse.Namespace) -> int:
    """Look, print, and answer with the exit code."""
    from holdfast.app import alerts
    from holdfast.cli.output import write

    out = write("")
    if options.action == "list":
        return alerts.listed(
            options.spool, out, form=options.format, after=options.after, last=options.last, urgent=options.priority
        )
    if options.action == "show":
        return alerts.shown(options.spool, options.sequence, out, form=options.format)
    if options.action == "verify":
        return alerts.verified(options.spool, out, as_json=options.json)
    if options.action == "dead":
        return alerts.dead(options.spool, out, as_json=options.json)
    return alerts.aside(options.spool, out)
