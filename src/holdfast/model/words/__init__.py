"""The vocabulary: every question that a technique, a control or a report may ask.

Only ``Fact`` constants live here, one file for each subject, and conditions made of nothing but them. No answers.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from holdfast.model.facts import Fact

SUBJECTS = ("container", "host", "engine", "cluster", "network", "assumed", "reach", "declared", "observed", "event")


@cache
def load() -> dict[str, Fact[Any]]:
    """Return every word by its name.

    Raises:
        ValueError: Two words bear the same name.
    """
    words: dict[str, Fact[Any]] = {}
    for subject in SUBJECTS:
        module = import_module(f"{__name__}.{subject}")
        for value in vars(module).values():
            if isinstance(value, Fact):
                known = words.setdefault(value.name, value)
                if known is not value:
                    raise ValueError(f"two words bear the name {value.name}")
    return words
