"""Three truths: what was not seen is unknown, never "no"."""

from __future__ import annotations

from enum import IntEnum


class Truth(IntEnum):
    """An answer. The order makes ``min`` the logical "and" and ``max`` the logical "or" (strong Kleene logic)."""

    NO = 0
    UNKNOWN = 1
    YES = 2

    def __invert__(self) -> Truth:
        """Return the opposite; the opposite of unknown is unknown."""
        return Truth(2 - int(self))

    @property
    def word(self) -> str:
        """Lower-case name, as it stands in every machine-readable report."""
        return self.name.lower()

    @classmethod
    def of(cls, answer: bool | None) -> Truth:
        """Turn a plain answer into a truth; ``None`` is unknown."""
        if answer is None:
            return cls.UNKNOWN
        return cls.YES if answer else cls.NO


NO = Truth.NO
UNKNOWN = Truth.UNKNOWN
YES = Truth.YES
