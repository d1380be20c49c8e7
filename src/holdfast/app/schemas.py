"""The schemas of what Holdfast writes, and of the policy it reads, as they are shipped with it."""

from __future__ import annotations

from pathlib import Path

from holdfast.model.errors import NotReachable

_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "schema", _PACKAGE.parents[1] / "schema")
"""In a wheel the schemas lie in the package, in a checkout beside ``src``."""


def schema(name: str) -> bytes:
    """Return a schema.

    Args:
        name: ``report``, ``drill``, ``facts``, ``alert`` or ``watch-policy``.

    Raises:
        NotReachable: The installation lacks it.
    """
    for folder in _PLACES:
        path = folder / f"{name}-1.json"
        if path.is_file():
            return path.read_bytes()
    raise NotReachable(f"the schema {name!r} is not installed", str(_PLACES[0]), "install Holdfast anew")
