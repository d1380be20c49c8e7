"""The catalogue: one file is one way out of a container. Data only; no file here does or decides anything.

A technique is found by its file. Its id is the file's name with ``-`` for ``_``; its page is the file's docstring.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from holdfast.model.technique import Technique


@cache
def load() -> dict[str, Technique]:
    """Return every technique of this folder by id, in the order of their rows.

    Raises:
        TypeError: A file does not offer ``TECHNIQUE``.
    """
    found: list[Technique] = []
    for info in iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        technique = getattr(module, "TECHNIQUE", None)
        if not isinstance(technique, Technique):
            raise TypeError(f"techniques/{info.name}.py offers no TECHNIQUE")
        found.append(replace(technique, id=info.name.replace("_", "-"), page=(module.__doc__ or "").strip()))
    found.sort(key=lambda technique: (technique.row, technique.id))
    return {technique.id: technique for technique in found}
