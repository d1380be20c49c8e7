"""``holdfast watch``: options and printing."""

from __future__ import annotations

import argparse
import sys

from holdfast.cli.output import colour_wanted, read_in_a_terminal, width, write

DESCRIPTION = """\
Watch the kernel for attempts to leave a container.

Programs in the kernel report the system calls that a technique of the catalogue, or a rule, could match: who made them
(by namespaces, not by names), on which object (by inode and resolved path, not by the string that was given), and
whether they succeeded. Attempts that were refused are reported as such.
"""
EPILOG = """\
examples:
  holdfast watch                                   alerts in the terminal, until Ctrl-C
  holdfast watch --format json --spool alerts.db   one JSON line an alert; kept in a spool first
  holdfast watch --rules /etc/falco/falco_rules.yaml

exit codes: 0 stopped in order; 2 wrong call; 11 no libbpf or no such file; 12 not permitted; 10 and more other errors
"""
FORMATS = ("terminal", "json", "falco")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--rules", action="append", default=[], metavar="FILE", help="Falco rules too; repeatable")
    parser.add_argument("--no-catalogue", action="store_true", help="judge by the rules alone")
    parser.add_argument("--spool", metavar="FILE", default="", help="keep every alert there before it is told")
    parser.add_argument("--seconds", type=float, default=0, metavar="N", help="stop after so long; default: never")
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="default: terminal")
    parser.add_argument("--color", "--colour", dest="colour", choices=("auto", "always", "never"), help="default: auto")
    parser.add_argument("-v", "--verbose", action="store_true", default=None, help="say why, and who started whom")
    parser.add_argument("-q", "--quiet", action="store_true", default=None, help="alerts only")


def run(options: argparse.Namespace) -> int:
    """Watch, print, and answer with the exit code."""
    from holdfast.app import settings, watch
    from holdfast.model.alert import Alert
    from holdfast.model.errors import ExitCode
    from holdfast.reports import alert_json, alert_terminal

    chosen = settings.load().with_(
        {"colour": options.colour, "verbose": options.verbose, "quiet": options.quiet}, "command line"
    )
    to_terminal = read_in_a_terminal()
    colour, columns = colour_wanted(chosen.colour, to_terminal=to_terminal), width(to_terminal=to_terminal)
    out = write("")

    def told(alert: Alert) -> None:
        if options.format == "json":
            out(alert_json.render(alert) + b"\n")
        else:
            out(alert_terminal.render(alert, colour=colour, width=columns, verbose=bool(chosen.verbose)))
        sys.stdout.flush()

    def ready(text: str) -> None:
        if not chosen.quiet:
            print(f"holdfast: {text}", file=sys.stderr, flush=True)

    wanted = watch.Wanted(tuple(options.rules), options.spool, options.seconds, not options.no_catalogue)
    count = watch.watch(wanted, told, ready)
    if not chosen.quiet:
        print(f"holdfast: {count} alerts", file=sys.stderr)
    return ExitCode.CLEAN
