"""What a person wants to be left as it is."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.model.values import normal_path
from holdfast.reason.effective.capabilities import EVERY, spelled


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the application is known to need.

    Attributes:
        words: In one spelling: capabilities with ``CAP_``, paths without detours, all else in lower case.
    """

    words: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *words: str) -> Wishes:
        """Take wishes as a person writes them."""
        return cls(frozenset(map(one_spelling, words)))

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Capabilities that are to stay, as documents write them."""
        return tuple(sorted(word.removeprefix("CAP_") for word in self.words if word in EVERY))

    @property
    def devices(self) -> tuple[str, ...]:
        """Device nodes that are to stay."""
        return tuple(sorted(word for word in self.words if word.startswith("/dev/")))

    def forbid(self, touches: frozenset[str]) -> bool:
        """Tell whether a change would touch what is to stay."""
        return bool(touches & self.words)


def one_spelling(word: str) -> str:
    """Give a wish, or what a change touches, one spelling."""
    word = word.strip()
    if word.startswith("/"):
        return normal_path(word)
    return spelled(word) if spelled(word) in EVERY else word.lower().replace("_", "-")
