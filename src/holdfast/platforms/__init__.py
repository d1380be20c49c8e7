"""Dialects: one file is one dialect. Pure: documents in, facts out; no file, socket or process is touched here.

A file offers ``NAME``, ``recognises(document) -> bool`` and ``read(document, surroundings) -> Reading``. A file whose
name starts with an underscore is a part of the dialect it is named after.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from holdfast.model.tree import Document
from holdfast.model.workload import Reading, Surroundings


class Platform(Protocol):
    """What a dialect's file offers."""

    NAME: str

    def recognises(self, document: Document) -> bool:
        """Tell whether the document is written in this dialect. Cheap: looks at a few keys or the first words."""
        ...

    def read(self, document: Document, surroundings: Surroundings) -> Reading:
        """Answer the declared (or observed) facts of every workload in the document.

        Raises:
            NotUnderstood: The document as a whole cannot be read. Smaller troubles are ``Reading.problems``.
            Needs: Further files must be handed over in ``surroundings.files``.
        """
        ...


@cache
def load() -> dict[str, Platform]:
    """Return every dialect of this folder that reads documents, by name."""
    found: dict[str, Platform] = {}
    for info in iter_modules(__path__):
        if info.name.startswith("_"):
            continue
        module = import_module(f"{__name__}.{info.name}")
        if hasattr(module, "recognises"):
            found[module.NAME] = cast("Platform", module)
    return found
