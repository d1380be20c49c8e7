"""The program itself as a folder, so that it runs inside the virtual machine without an installation."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from holdfast.model.errors import NotReachable

PYTHON = "python"
"""Folder of the payload that is on the guest's PYTHONPATH."""

MODULES = ("holdfast", "markdown_it", "mdurl", "pathspec", "pygments", "rich", "shtab", "yaml")
"""The program and all that it imports at run time. Their compiled parts go along; where the guest's Python is another
version it passes those by, and each has a part in Python that does the same."""
SOLVER = frozenset({"python-sat", "six"})
"""Distributions that stay behind: ``holdfast harden`` alone loads them, and no machine runs it."""


def payload(folder: Path) -> Path:
    """Copy the program of the running interpreter, with what it imports, into a payload.

    Args:
        folder: The payload; made if absent. Gets the folder ``python``.

    Returns:
        The folder ``python``.

    Raises:
        NotReachable: A package is not there as a folder of files.
    """
    target = folder / PYTHON
    target.mkdir(parents=True, exist_ok=True)
    for name in MODULES:
        spec = find_spec(name)
        if spec is None or spec.origin is None or not Path(spec.origin).is_file():
            raise NotReachable(
                f"The Python package {name} is not there as files",
                where=str(spec.origin if spec else name),
                next="install Holdfast from its wheel",
            )
        # What Python compiled already comes along with its times: compiling takes long in the guest.
        shutil.copytree(Path(spec.origin).parent, target / name, dirs_exist_ok=True)
    return target
