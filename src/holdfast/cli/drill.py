"""``holdfast drill``: options and printing."""

from __future__ import annotations

import argparse

from holdfast.cli.output import colour_wanted, read_in_a_terminal, width, write

DESCRIPTION = """\
Attempt the escapes that a container allows, harmlessly, and compare with what the scan predicts.

Nothing is done to the container itself. A replica of it is started (same user, capabilities, seccomp, security module,
namespaces, devices and runtime) in which the directories, sockets and disks of the host are replaced by stand-ins. A
small static program in it performs single system calls from a closed list. An attempt counts only where the host's
side shows a random token, and again in a second, fresh replica. What stops an attempt is found by taking away one
layer after the other.

Targets: docker://NAME (a container), docker:// (all of them), proc://PID, Compose files, Kubernetes manifests, docker
run lines, OCI config.json; lab (containers with known holes) or lab:NAME. Without a target: lab.
"""
EPILOG = """\
safety: a drill needs --yes, or drill_consent = true in the settings. A container labelled holdfast.drill=never is
refused. Ways that change a setting of the whole machine (core_pattern and the like) are made only in a virtual machine
(--vm) or with --allow-global; otherwise the setting is opened, and written back as it is. Everything that is made
carries a label and an expiry; what a killed drill left is removed by the next one, or by: holdfast drill --reap

examples:
  holdfast drill --yes                             the built-in lab
  holdfast drill --yes docker://web                a replica of one running container
  holdfast drill --yes compose.yaml --format junit --output drill.xml --fail-if-escaped
  holdfast drill --yes --vm apparmor lab           in a fresh virtual machine with AppArmor
  holdfast drill --yes --vm plain --deny lab       with the sensor in the way of every attempt
  holdfast drill --yes lab:host-etc --technique etc-write --verbose

exit codes: 0 nothing escaped, or nobody asked; 1 something escaped and --fail-if-escaped was given; 2 wrong call;
3 the drill could not be finished; 14 refused by the fence; 10 and more other errors; 130 stopped by the keyboard.
"""
FORMATS = ("terminal", "html", "json", "junit")
_BY_ENDING = {"json": "json", "html": "html", "htm": "html", "xml": "junit"}


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="what to drill (see above); default: lab")
    parser.add_argument("-y", "--yes", action="store_true", help="agree that replicas are started and attacked here")
    parser.add_argument(
        "--vm", metavar="FLAVOUR", help="drill in a fresh virtual machine; --vm list names the flavours"
    )
    parser.add_argument("--technique", action="append", default=[], metavar="ID", help="try only this one; repeatable")
    parser.add_argument(
        "--allow-global",
        action="store_true",
        help="also make attempts that change a setting of this machine for a moment; it is saved and put back",
    )
    parser.add_argument(
        "--no-explain", action="store_true", help="do not find out what stopped each attempt; several times faster"
    )
    parser.add_argument("--watch", action="store_true", help="let the sensor watch, and say which attempts it saw")
    parser.add_argument(
        "--deny", action="store_true", help="let the sensor deny every technique, and say which it stopped; with --vm"
    )
    parser.add_argument("--fail-if-escaped", action="store_true", help="exit with 1 where an attempt escaped")
    parser.add_argument("--format", choices=FORMATS, help="default: by the ending of --output, else terminal")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report there instead of standard output")
    parser.add_argument("--reap", action="store_true", help="only remove what killed drills left")
    parser.add_argument("--docker", metavar="ADDRESS", help="engine socket; default: DOCKER_HOST or the usual place")
    parser.add_argument("--color", "--colour", dest="colour", choices=("auto", "always", "never"), help="default: auto")
    parser.add_argument("-v", "--verbose", action="store_true", default=None, help="tell every step with its answer")
    parser.add_argument("-q", "--quiet", action="store_true", default=None, help="no progress")


def run(options: argparse.Namespace) -> int:
    """Drill, print, and answer with the exit code."""
    from holdfast.app import drill, drill_place, drill_told, settings
    from holdfast.model.errors import ExitCode

    if options.vm == "list":
        write("")(drill_told.flavours().encode())
        return ExitCode.CLEAN
    if options.reap:
        lines, clean = drill_told.reaped()
        write("")(lines.encode())
        return ExitCode.CLEAN if clean else ExitCode.UNSEEN
    chosen = settings.load().with_(
        {
            "output": options.output,
            "docker": options.docker,
            "colour": options.colour,
            "verbose": options.verbose,
            "quiet": options.quiet,
            "drill_consent": True if options.yes else None,
        },
        "command line",
    )
    form = options.format or _BY_ENDING.get((options.output or "").rpartition(".")[2].lower(), "terminal")
    plan = drill.Plan(
        tuple(options.targets) or ("lab",),
        tuple(options.technique),
        consent=chosen.drill_consent,
        allow_global=options.allow_global,
        explain=not options.no_explain,
        watch=options.watch,
        deny=options.deny,
    )
    report = drill_place.made(plan, chosen, options.vm or "")
    to_terminal = read_in_a_terminal(chosen.output)
    data = drill_told.rendered(
        report,
        form,
        colour=colour_wanted(chosen.colour, to_terminal=to_terminal),
        width=width(to_terminal=to_terminal),
        verbose=chosen.verbose,
    )
    write(chosen.output)(data)
    if options.fail_if_escaped and drill.escaped(report):
        return ExitCode.FINDINGS
    if report.stopped.startswith("stopped by "):
        return ExitCode.INTERRUPTED
    return ExitCode.CLEAN if drill.finished(report) else ExitCode.UNSEEN
