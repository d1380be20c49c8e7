"""Pages of techniques."""

from __future__ import annotations

import difflib
from pkgutil import iter_modules

from holdfast import techniques
from holdfast.model.errors import Usage


def ids() -> list[str]:
    """Return the ids of every technique without loading one: they are the names of the files."""
    return sorted(info.name.replace("_", "-") for info in iter_modules(techniques.__path__))


def pages(wanted: tuple[str, ...], *, form: str, colour: bool, width: int) -> bytes:
    """Render the pages of some techniques, or a list of all where none is named.

    Args:
        wanted: Technique ids, with ``-`` or ``_``, or ATT&CK ids.
        form: ``terminal`` or ``markdown``.
        colour: Whether colour codes may be used.
        width: Columns.

    Raises:
        Usage: There is no such technique.
    """
    from holdfast.reports import page

    catalogue = techniques.load()
    if not wanted:
        return page.listing(tuple(catalogue.values()), colour=colour, width=width)
    chosen = {}
    for word in wanted:
        name = word.strip().lower().replace("_", "-")
        found = [catalogue[name]] if name in catalogue else []
        found = found or [technique for technique in catalogue.values() if word.upper() in technique.attack]
        if not found:
            near = difflib.get_close_matches(name, catalogue, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise Usage(f"there is no technique {word!r}", "holdfast explain", f"{hint}list all: holdfast explain")
        chosen.update({technique.id: technique for technique in found})
    return b"\n".join(page.render(technique, form=form, colour=colour, width=width) for technique in chosen.values())
