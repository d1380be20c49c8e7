"""``holdfast schema``: what the JSON may hold."""

from __future__ import annotations

import argparse

from holdfast.cli.output import write

DESCRIPTION = """\
Print the JSON schema (draft 2020-12) that describes what this version writes: "report" for scan --format json, "drill"
for drill --format json, "harden" for harden --format json, "facts" for facts --format json, "alert" for watch --format
json. "watch-policy" describes the policy that watch --policy reads.
"""
EPILOG = """\
examples:
  holdfast schema > report-1.json
  holdfast schema drill
  holdfast schema watch-policy > watch-policy-1.json
"""

NAMES = ("report", "drill", "harden", "facts", "alert", "watch-policy")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", nargs="?", choices=NAMES, default="report", help="default: report")


def run(options: argparse.Namespace) -> int:
    """Print the schema."""
    from holdfast.app.schemas import schema

    write("")(schema(options.name))
    return 0
