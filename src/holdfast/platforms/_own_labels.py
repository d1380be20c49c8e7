"""The labels and annotations that speak to Holdfast itself, in whatever dialect they are written."""

from __future__ import annotations

from collections.abc import Iterable

DRILL = "holdfast.drill"
NEVER = "never"


def own(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Keep what is meant for Holdfast.

    Args:
        pairs: Name and value of each label and annotation; None for a value that nobody could tell.

    Returns:
        The name ``holdfast.drill`` and its value. A value that nobody could tell may be ``never`` and is taken for
        it; where several say different things, ``never`` holds.
    """
    values = [NEVER if value is None else value for name, value in pairs if name.strip() == DRILL]
    if not values:
        return {}
    return {DRILL: next((value for value in values if value.strip().lower() == NEVER), values[-1])}


def assigned(text: str, *, known: bool = True) -> tuple[str, str | None]:
    """Part ``NAME=VALUE``; a value that is not ``known`` becomes None."""
    name, _, value = text.partition("=")
    return name, value if known else None
