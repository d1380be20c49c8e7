"""How a delivery can fail."""

from __future__ import annotations


class Temporary(Exception):
    """The records were not taken; they may be later.

    Attributes:
        retry_after: Seconds that the receiver asked for, None where it did not.
        answered: The receiver was reached and failed over these very records, so that one of them may be the cause.
            False where it is not there, hangs, is busy, or refuses everybody: no record is to blame for that.
        taken: How many records, from the first on, the receiver has confirmed all the same.
    """

    def __init__(self, what: str, *, retry_after: float | None = None, answered: bool = False, taken: int = 0) -> None:
        """Keep what happened, one short line."""
        super().__init__(what)
        self.retry_after = retry_after
        self.answered = answered
        self.taken = taken


class Permanent(Exception):
    """The receiver will never take these records; where they are several, perhaps only one of them.

    Attributes:
        taken: How many records, from the first on, the receiver has confirmed all the same.
    """

    def __init__(self, what: str, *, taken: int = 0) -> None:
        """Keep what happened, one short line."""
        super().__init__(what)
        self.taken = taken
