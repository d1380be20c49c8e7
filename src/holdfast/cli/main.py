"""The program ``holdfast``: finds the command, prints errors as three short lines, and answers with an exit code."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from holdfast.model.errors import Error, ExitCode
from holdfast.version import __version__

COMMANDS = {
    "scan": "say which containers can be escaped, how, and on what evidence",
    "watch": "see escape attempts in the kernel while they happen",
    "alerts": "look into the alerts that were kept",
    "harden": "find the smallest changes that end every escape path, and write them",
    "drill": "attempt the escapes harmlessly in a replica, and compare with the prediction",
    "agreement": "hold predictions against reality over many drawn containers",
    "explain": "print a technique's page",
    "facts": "print every fact about a target, with its place",
    "rules": "check files in Falco's rule language",
    "schema": "print the JSON schema of a report",
    "completion": "print a shell completion script",
}

_EPILOG = """\
examples:
  holdfast scan                          this machine and the container files below this folder
  holdfast scan deploy/ compose.yaml     files and folders
  holdfast scan docker://web             one running container
  holdfast explain docker-socket         one technique's page

exit codes: 0 nothing at or above --fail-on, 1 findings, 2 wrong call, 3 could not see enough to say, 10 and more errors
"""


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Build the parser.

    Args:
        command: Declare the options of this command only; None declares all. Start-up time is worth the difference.
    """
    parser = argparse.ArgumentParser(
        prog="holdfast",
        description="Predicts which containers can be escaped, how, and on what evidence.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"holdfast {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, help_ in COMMANDS.items():
        if command is not None and name != command:
            commands.add_parser(name, help=help_, add_help=False)
            continue
        module = import_module(f"holdfast.cli.{name}")
        module.declare(
            commands.add_parser(
                name,
                help=help_,
                description=module.DESCRIPTION,
                epilog=module.EPILOG,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: Without the program's name; ``sys.argv[1:]`` by default.

    Returns:
        The exit code (see ``ExitCode``).
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = next((word for word in words if not word.startswith("-")), None)
    parser = build_parser(command if command in COMMANDS else None)
    options = parser.parse_args(words)
    if options.command is None:
        parser.print_help()
        return ExitCode.USAGE
    try:
        code = int(import_module(f"holdfast.cli.{options.command}").run(options))
        if sys.stdout is not None:
            sys.stdout.flush()
    except Error as error:
        from holdfast.cli.output import complain

        complain(error)
        return error.code
    except KeyboardInterrupt:
        print("\nholdfast: stopped by the keyboard", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone (``| head``). Nothing is left to tell.
        _drop_output()
        return ExitCode.ERROR
    except OSError as error:
        _drop_output()
        print(f"holdfast: {error.strerror or error}\nwhere: {error.filename or 'the output'}", file=sys.stderr)
        return ExitCode.ERROR
    except Exception:  # noqa: BLE001 - whatever it was, it must not look like exit code 1, "findings"
        traceback.print_exc()
        print(
            "holdfast: this is a defect of Holdfast; nothing was judged\nnext: report it with the lines above",
            file=sys.stderr,
        )
        return ExitCode.ERROR
    return code


def _drop_output() -> None:
    """Send what is still to be written nowhere, so that Python does not complain about it at the end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
