"""``holdfast watch``: options and printing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from holdfast.cli.output import colour_wanted, read_in_a_terminal, width, write

if TYPE_CHECKING:
    from holdfast.app.watch import Wanted
    from holdfast.model.alert import Alert

DESCRIPTION = """\
Watch the kernel for attempts to leave a container.

Programs in the kernel report the system calls that a technique of the catalogue, or a rule, could match: who made them
(by namespaces, not by names), on which object (by inode and resolved path, not by the string that was given), and
whether they succeeded. Attempts that were refused are reported as such.

What belongs to one attempt is shown as one incident, with the time since its first step. With a policy the sensor also
acts: it denies, kills, pauses a container or cuts its network off. A policy is in mode audit until it says
"mode: enforce": then it only says what it would have done.
"""
EPILOG = """\
examples:
  holdfast watch                                   incidents in the terminal, until Ctrl-C
  holdfast watch --rules /etc/falco/falco_rules.yaml
  holdfast watch --policy policy.yaml --check-policy     what the policy means; starts nothing, needs no privilege
  holdfast watch --policy policy.yaml --spool alerts.db
  holdfast watch --check                           which back end is in force here, with proof; what it cannot do
  holdfast watch --release web                     take back what was done to the container "web"
  holdfast watch --record events.ndjson --seconds 60
  holdfast watch --replay events.ndjson --policy policy.yaml   the same alerts again, as a dry run
  holdfast watch --spool alerts.db --sink ndjson:alerts.ndjson \\
                 --sink 'syslog+tls://log.example:6514?ca=ca.pem&format=cef' \\
                 --sink 'https://collector.example/in?format=ocsf'

a policy:
  version: 1
  mode: audit                       # enforce does it; audit says it
  rules:
    - containers: {name: "web-*"}   # or image, label, pod, namespace; or: containers, host, everything
      techniques: ["core-pattern", "T1611", "host-*"]
      action: pause                 # ignore observe alert deny kill pause quarantine

signals: SIGTERM and Ctrl-C end it in order; SIGHUP reads the policy again and opens files anew

exit codes: 0 stopped in order; 2 wrong call; 11 no libbpf or no such file; 12 not permitted; 13 the policy or a
recording is not understood; 10 and more other errors
"""
FORMATS = ("terminal", "json", "falco", "ocsf", "ecs", "cef", "leef")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    judged = parser.add_argument_group("what is judged")
    judged.add_argument("--rules", action="append", default=[], metavar="FILE", help="Falco rules too; repeatable")
    judged.add_argument("--no-catalogue", action="store_true", help="judge by the rules alone")
    judged.add_argument("--policy", metavar="FILE", default="", help="what is done about it; without one: alert")
    judged.add_argument("--check-policy", action="store_true", help="print what the policy means, and end")
    judged.add_argument("--replay", metavar="FILE", default="", help="judge recorded events instead; nothing is done")
    kept = parser.add_argument_group("what is kept")
    kept.add_argument("--spool", metavar="FILE", default="", help="keep every alert there before it is told")
    kept.add_argument(
        "--sink", action="append", default=[], metavar="SINK",
        help="deliver from the spool to stdout, ndjson:FILE, syslog+tls://HOST:PORT?ca=FILE or https://..., each with "
        "?format=json|falco|ocsf|ecs|cef|leef; repeatable",
    )  # fmt: skip
    kept.add_argument("--record", metavar="FILE", default="", help="write events there, to be judged again")
    kept.add_argument("--record-limit", type=int, default=256, metavar="MB", help="its largest size; default: 256")
    run_ = parser.add_argument_group("how it runs")
    run_.add_argument("--check", action="store_true", help="say what is in force here, prove it, and end")
    run_.add_argument("--pin", action="store_true", help="what is denied goes on being denied when the sensor ends")
    run_.add_argument("--unpin", action="store_true", help="let go what was pinned, and end")
    run_.add_argument("--release", metavar="CONTAINER", default="", help="take back what was done to it, and end")
    run_.add_argument("--node", metavar="NAME", default="", help="how alerts call this machine; default: its host name")
    run_.add_argument("--seconds", type=float, default=0, metavar="N", help="stop after so long; default: never")
    run_.add_argument("--metrics", metavar="ADDRESS", default="", help="serve Prometheus metrics, as 127.0.0.1:9101")
    run_.add_argument("--health", metavar="FILE", default="", help="keep this file up to date with how it is")
    run_.add_argument(
        "--heartbeat", type=float, default=60, metavar="N", help="seconds between heartbeats in the spool; 0: none"
    )
    run_.add_argument("--keep-capabilities", action="store_true", help="do not drop capabilities after the start")
    shown = parser.add_argument_group("what is shown")
    shown.add_argument("--format", choices=FORMATS, default="terminal", help="default: terminal")
    shown.add_argument("--color", "--colour", dest="colour", choices=("auto", "always", "never"), help="default: auto")
    shown.add_argument("-v", "--verbose", action="store_true", default=None, help="say why, and who started whom")
    shown.add_argument("-q", "--quiet", action="store_true", default=None, help="alerts only")


def run(options: argparse.Namespace) -> int:
    """Watch, print, and answer with the exit code."""
    from holdfast.app import settings, watch
    from holdfast.model.errors import ExitCode

    chosen = settings.load().with_(
        {"colour": options.colour, "verbose": options.verbose, "quiet": options.quiet}, "command line"
    )

    def say(text: str) -> None:
        if not chosen.quiet:
            print(f"holdfast: {text}", file=sys.stderr, flush=True)

    wanted = watch.Wanted(
        tuple(options.rules), options.spool, options.seconds, not options.no_catalogue, options.policy,
        tuple(options.sink), options.record, max(1, options.record_limit) << 20, options.metrics, options.health,
        options.heartbeat, options.keep_capabilities, options.pin, options.node,
    )  # fmt: skip
    if options.release:
        from holdfast.sensor.respond import Responder

        for line in Responder(0).release(options.release):
            print(line)
        return ExitCode.CLEAN
    if options.unpin:
        from holdfast.app.watch_denying import unpinned

        print(f"{unpinned()} programs were let go")
        return ExitCode.CLEAN
    if options.check:
        from holdfast.app import watch_check

        write("")(watch_check.told(verbose=bool(chosen.verbose)))
        return ExitCode.CLEAN
    if options.check_policy:
        return _checked(wanted, say)
    told = _printer(options.format, colour=chosen.colour, verbose=bool(chosen.verbose))
    if options.replay:
        from holdfast.app import watch_replay

        count = watch_replay.replay(options.replay, wanted, told, say)
    else:
        count = watch.watch(wanted, told, say)
    say(f"{count} alert" if count == 1 else f"{count} alerts")
    return ExitCode.CLEAN


def _checked(wanted: Wanted, say: Callable[[str], None]) -> int:
    from holdfast.app import watch, watch_policy, watch_rules
    from holdfast.model.errors import ExitCode, Usage
    from holdfast.techniques import load

    if not wanted.policy:
        raise Usage("there is no policy to check", "--check-policy", "give --policy FILE")
    ruleset = watch_rules.loaded(wanted.rules, say)
    policy = watch.read_policy(wanted, ruleset, say)
    names = [*load(), *(rule.name for rule in ruleset.rules)] if ruleset else [*load()]
    write("")(watch_policy.table(policy, names))
    return ExitCode.CLEAN


def _printer(form: str, *, colour: str, verbose: bool) -> Callable[[Sequence[Alert]], None]:
    out = write("")
    if form != "terminal":
        from holdfast.app.alerts import encoder

        render = encoder(form)

        def told(alerts: Sequence[Alert]) -> None:
            for alert in alerts:
                out(render(alert, None) + b"\n")
            sys.stdout.flush()

        return told
    from holdfast.reports.watch_terminal import View

    to_terminal = read_in_a_terminal()
    view = View(
        colour=colour_wanted(colour, to_terminal=to_terminal), width=width(to_terminal=to_terminal), verbose=verbose
    )

    def shown(alerts: Sequence[Alert]) -> None:
        out(view.render(alerts))
        sys.stdout.flush()

    return shown
