"""Values of an argument as conditions that seccomp can compare, without a way around them.

The kernel reads most arguments as 32-bit numbers and ignores the upper half of the register, so a filter must ignore it
as well: a rule that allows "not equal to 0x5412" on all 64 bits allows 0x1_0000_5412 too, which the kernel then takes
for 0x5412. libseccomp has no "not equal under a mask". But all other values are a few blocks, each with a fixed prefix,
and a block is one masked comparison.

Source:
    https://nvd.nist.gov/vuln/detail/CVE-2019-7303
    https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp (value, valueTwo)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

WIDTH = 32
LOW = (1 << WIDTH) - 1


@dataclass(frozen=True, slots=True)
class Masked:
    """The bits of an argument that are compared, and what they must be.

    Attributes:
        index: Argument, 0 to 5.
        mask: Bits that are compared.
        value: What they must be; no bit outside of the mask.
    """

    index: int
    mask: int
    value: int

    def written(self) -> dict[str, Any]:
        """Return it as the ``args`` entry of a profile."""
        return {"index": self.index, "value": self.mask, "valueTwo": self.value, "op": "SCMP_CMP_MASKED_EQ"}


def equal(index: int, values: Iterable[int]) -> tuple[Masked, ...]:
    """Return conditions, of which one holds exactly where the lower half of an argument is one of the values."""
    return tuple(Masked(index, LOW, value & LOW) for value in sorted({one & LOW for one in values}))


def others(index: int, values: Iterable[int]) -> tuple[Masked, ...]:
    """Return conditions, of which one holds exactly where the lower half of an argument is none of the values.

    They do not overlap: each is a block of numbers that share a prefix which no value has.
    """
    barred = {one & LOW for one in values}
    found: list[Masked] = []
    for length in range(1, WIDTH + 1):
        rest = WIDTH - length
        mask = LOW >> rest << rest
        taken = {value >> rest for value in barred}
        above = {value >> rest + 1 for value in barred}
        free = {side << 1 | bit for side in above for bit in (0, 1)} - taken
        found.extend(Masked(index, mask, prefix << rest) for prefix in sorted(free))
    return tuple(found) if barred else (Masked(index, 0, 0),)
