"""What can hear an attempt's token on the host's side."""

from __future__ import annotations

from typing import Protocol


class Hearing(Protocol):
    """Something of ours that notes the tokens it is told."""

    def heard(self, token: str) -> bool:
        """Tell whether it was told the token; waits for a moment, since news may be on its way."""
        ...

    def forget(self, token: str) -> None:
        """Undo what hearing the token made, such as a namespace that bears its name."""
        ...
