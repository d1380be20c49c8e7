"""``holdfast agreement``: options and printing."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Hold predictions against reality: draw containers, scan each, attempt every technique in replicas, compare.

Every pair of settings is drawn at least once as far as the number allows, then at random. The same seed draws the same
containers. The published table (docs/agreement.md) is made by: make agreement
"""
EPILOG = """\
examples:
  holdfast agreement --yes --here 20 --vm none              a quick look on this machine
  holdfast agreement --yes --seed 7 --markdown agreement.md another draw, here and in every flavour
  holdfast agreement --yes --vm apparmor --vm rootless --here 0

exit codes: 0 nothing missed; 1 an escape was predicted "no"; 2 wrong call; 3 nothing was compared; 10 and more errors.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("-y", "--yes", action="store_true", help="agree that replicas are started and attacked here")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the draw (default 1)")
    parser.add_argument("--here", type=int, default=40, metavar="N", help="containers on this machine (default 40)")
    parser.add_argument("--inside", type=int, default=12, metavar="N", help="containers in each flavour (default 12)")
    parser.add_argument(
        "--vm", action="append", default=[], metavar="FLAVOUR", help="flavour, all (default) or none; repeatable"
    )
    parser.add_argument("--keep", metavar="FOLDER", help="keep each drill's report there, and go on from those")
    parser.add_argument("--markdown", metavar="FILE", help="write the page there instead of standard output")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("-q", "--quiet", action="store_true", default=None, help="no progress")


def run(options: argparse.Namespace) -> int:
    """Compare, print, and answer with the exit code."""
    from holdfast.app import agreement, drill_place, settings
    from holdfast.cli.output import write
    from holdfast.drill import fence
    from holdfast.model.errors import ExitCode

    chosen = settings.load().with_(
        {"quiet": options.quiet, "drill_consent": True if options.yes else None}, "command line"
    )
    fence.check_consent(chosen.drill_consent, "drawn containers", ())
    wish = agreement.Wish(
        options.seed,
        max(0, options.here),
        max(0, options.inside),
        agreement.flavours(options.vm),
        Path(options.keep) if options.keep else None,
    )
    found = agreement.agreement(wish, chosen, drill_place.Teller(quiet=chosen.quiet))
    page, numbers = agreement.written(found, options.seed)
    write(options.markdown or "")(page)
    if options.json:
        write(options.json)(numbers)
    whole = found.total()
    if whole.missed:
        return ExitCode.FINDINGS
    return ExitCode.CLEAN if whole.attempts else ExitCode.UNSEEN
