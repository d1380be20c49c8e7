"""``holdfast harden``: options and printing."""

from __future__ import annotations

import argparse

from holdfast.cli.output import colour_wanted, read_in_a_terminal, width, write

DESCRIPTION = """\
Find the smallest changes that end every escape path of what files describe, write them into those files, and judge the
new text again. Without --write nothing is changed: the changes are shown as a diff.

Targets: files and folders that scan reads, - for standard input. Without a target: the current folder.
"""
EPILOG = """\
A set of changes is named if it ends every path and no change of it can be left out. Sets are ordered by cost: what a
change may cost the application, and what it costs whoever runs it. Alternatives stand beside the cheapest set.

examples:
  holdfast harden compose.yaml                        show what has to change, and the diff
  holdfast harden compose.yaml --write                change the file
  holdfast harden k8s/ --format diff | patch -p0      the same through patch
  holdfast harden compose.yaml --keep CAP_NET_ADMIN   the application needs this one
  holdfast harden compose.yaml --keep user --keep /var/run/docker.sock

exit codes: 0 nothing has to be changed, or --write ended every path; 1 changes are proposed or a path stays; 2 wrong
call; 3 a path hangs on what nobody saw, or a file was not understood; 10 and more errors.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="files and folders")
    parser.add_argument("--write", action="store_true", help="change the files; one that is read-only is an error")
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="NAME",
        help="what the application needs: a capability, a path, user, privileged, pid, net, ipc, seccomp, apparmor, "
        "userns, runtime, read-only, no-new-privileges, engine, host; repeatable",
    )
    parser.add_argument(
        "--certain", action="store_true", help="be content with ending what is certain; leave what nobody could see"
    )
    parser.add_argument("--profile", action="append", metavar="NAME", help="active Compose profile; default: judge all")
    parser.add_argument(
        "--host", metavar="this|FILE", help="judge against this machine or a host recorded with facts --host"
    )
    parser.add_argument(
        "--assume", action="append", metavar="FACT[=VALUE]", help="answer a fact that nobody could see; repeatable"
    )
    parser.add_argument("--format", choices=("terminal", "json", "diff"), default="", help="default: terminal")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report there instead of standard output")
    parser.add_argument("--docker", metavar="ADDRESS", help="engine socket, for images, with --host this")
    parser.add_argument("--max-bytes", type=int, metavar="N", help="largest file that is read (default 33554432)")
    parser.add_argument("--color", "--colour", dest="colour", choices=("auto", "always", "never"), help="default: auto")
    parser.add_argument("-v", "--verbose", action="store_true", default=None, help="name every set and every way out")
    parser.add_argument("-q", "--quiet", action="store_true", default=None, help="no progress")


def run(options: argparse.Namespace) -> int:
    """Harden, print, and answer with the exit code."""
    from holdfast.app import harden, settings

    chosen = settings.load().with_(
        {
            "assume": options.assume,
            "output": options.output,
            "host": options.host,
            "docker": options.docker,
            "profiles": options.profile,
            "colour": options.colour,
            "verbose": options.verbose,
            "quiet": options.quiet,
            "max_bytes": options.max_bytes,
        },
        "command line",
    )
    order = harden.Order(tuple(options.keep), certain=options.certain, write=options.write)
    report = harden.harden(tuple(options.targets), chosen, order)
    kind = options.format or ("json" if chosen.output.endswith(".json") else "terminal")
    to_terminal = read_in_a_terminal(chosen.output)
    colour = colour_wanted(chosen.colour, to_terminal=to_terminal)
    write(chosen.output)(
        harden.rendered(report, kind, colour=colour, width=width(to_terminal=to_terminal), verbose=chosen.verbose)
    )
    return harden.exit_code(report, written=options.write)
