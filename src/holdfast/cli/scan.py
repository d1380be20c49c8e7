"""``holdfast scan``: options and printing."""

from __future__ import annotations

import argparse

from holdfast.cli.output import colour_wanted, read_in_a_terminal, width, write

DESCRIPTION = """\
Say which containers can be escaped, how, and on what evidence.

Targets: files and folders (Kubernetes manifests, Compose files, docker run lines in scripts, unit files, Makefiles and
Markdown, docker inspect output, OCI config.json), docker:// (every container of the engine), docker://NAME, proc://
(every containerised process), proc://PID, machine (engine and processes of this machine), - (standard input).
Without a target: this machine and the container files below the current folder.
"""
EPILOG = """\
verdicts: escapable (a path whose every condition was seen to hold), unknown (a path with conditions nobody could see;
the report names what to look at), contained (no path).

examples:
  holdfast scan                                    this machine and the files below this folder
  holdfast scan deploy/ --host this                judge manifests as if they ran on this machine
  holdfast facts --host --output node.json         record a host ...
  holdfast scan deploy/ --host node.json           ... and judge manifests against it elsewhere
  holdfast scan -f compose.yaml -f prod.yaml       Compose files, merged in this order
  holdfast scan --assume operator_exec             count ways that need an operator's exec
  holdfast scan --output out.sarif                 for code scanning; .json and .html likewise
  holdfast scan --baseline old.json                only what is new

exit codes: 0 nothing at or above --fail-on, 1 findings, 2 wrong call, 3 could not see enough to say (a verdict is
unknown, a document was not understood, or there was nothing to judge), 10 and more errors, 130 stopped by the keyboard.

settings: holdfast.toml or [tool.holdfast] in pyproject.toml, then HOLDFAST_FAIL_ON and so on, then options.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="what to judge (see above)")
    parser.add_argument(
        "-f", "--file", action="append", default=[], metavar="FILE", help="Compose file; repeat it to merge in order"
    )
    parser.add_argument("--profile", action="append", metavar="NAME", help="active Compose profile; default: judge all")
    parser.add_argument(
        "--host", metavar="this|FILE", help="judge documents against this machine or a host recorded with facts --host"
    )
    parser.add_argument(
        "--assume", action="append", metavar="FACT[=VALUE]", help="answer a fact that nobody could see; repeatable"
    )
    parser.add_argument("--fail-on", choices=("escapable", "unknown", "never"), help="exit with 1 from this verdict on")
    parser.add_argument(
        "--format",
        choices=("terminal", "json", "sarif", "html"),
        help="default: by the ending of --output, else terminal",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report there instead of standard output")
    parser.add_argument("--baseline", metavar="OLD.json", help="tell only what an earlier JSON report did not")
    parser.add_argument("--docker", metavar="ADDRESS", help="engine socket; default: DOCKER_HOST or the usual place")
    parser.add_argument("--max-bytes", type=int, metavar="N", help="largest file that is read (default 33554432)")
    parser.add_argument("--color", "--colour", dest="colour", choices=("auto", "always", "never"), help="default: auto")
    parser.add_argument("-v", "--verbose", action="store_true", default=None, help="tell every finding with its proof")
    parser.add_argument(
        "-q", "--quiet", action="store_true", default=None, help="no progress; no notes in the terminal's report"
    )


def run(options: argparse.Namespace) -> int:
    """Scan, print, and answer with the exit code."""
    import gc

    # What a scan makes is kept to its end and holds no circles; looking through it again and again costs a fifth of it.
    gc.set_threshold(100_000, 50, 100)

    from holdfast.app import scan, settings
    from holdfast.app.verdicts import exit_code

    chosen = settings.load().with_(
        {
            "fail_on": options.fail_on,
            "assume": options.assume,
            "format": options.format,
            "output": options.output,
            "baseline": options.baseline,
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
    report = scan.scan(tuple(options.targets), chosen, merge=tuple(options.file))
    to_terminal = read_in_a_terminal(chosen.output)
    scan.write_report(
        report,
        chosen,
        write(chosen.output),
        colour=colour_wanted(chosen.colour, to_terminal=to_terminal),
        width=width(to_terminal=to_terminal),
    )
    return exit_code(report, chosen.fail_on)
