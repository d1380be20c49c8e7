"""``holdfast completion``: a script for the shell."""

from __future__ import annotations

import argparse

from holdfast.cli.output import write

DESCRIPTION = "Print a script that completes commands, options and technique names."
EPILOG = """\
install:
  bash:  holdfast completion bash > ~/.local/share/bash-completion/completions/holdfast
  zsh:   holdfast completion zsh > "${fpath[1]}/_holdfast"
  tcsh:  holdfast completion tcsh > ~/.holdfast.csh  and source it
"""

_FILES = frozenset({"targets", "target", "file", "host", "output", "baseline"})


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="which shell")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from holdfast.app.explain import ids
    from holdfast.cli.main import build_parser

    parser = build_parser()
    for command in _commands(parser):
        for action in command._actions:  # noqa: SLF001 - argparse offers no other way to look at what was declared
            if action.dest == "ids":
                action.choices = ids()
            elif action.dest in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    write("")(shtab.complete(parser, options.shell).encode())
    return 0


def _commands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Return the parsers of the single commands."""
    return [
        command
        for action in parser._actions  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        for command in action.choices.values()
    ]
