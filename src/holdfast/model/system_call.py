"""One system call as somebody recorded it, or as a program is known to make it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SystemCall:
    """A system call with what is known of its arguments.

    Attributes:
        name: As the kernel spells it: ``openat``.
        entry: Way into the kernel: ``x86_64``, ``i386``, ``x32``, ``aarch64``.
        args: Register values as 64-bit unsigned numbers, from the first argument on; None where one was not recorded.
            Arguments that are missing at the end were not recorded either.
    """

    name: str
    entry: str = "x86_64"
    args: tuple[int | None, ...] = ()

    def argument(self, index: int) -> int | None:
        """Return an argument's value, None where it was not recorded."""
        return self.args[index] if index < len(self.args) else None
