"""All minimal sets of changes that are enough, by rising cost: implicit hitting sets over a MaxSAT solver.

A solver proposes the cheapest set that meets everything learned so far. The set is tried. If it is enough it is one of
the answers, and its supersets are ruled out. If not, it is grown as far as it stays too little; whatever is enough must
then hold something from outside of what it grew to, and that is learned.

What is guaranteed: each set that comes out was tried and is enough, and without any one of its members it is not. That
none is missing follows from the learning, which takes it that a set stays enough when a change is added to it. A change
that may break this (a user namespace that an engine refuses beside other settings) is *turning*: what is learned then
holds for exactly the turning changes that were inside. One that was not named beforehand and is seen to break it is
added to them, and the search begins anew. So a set can only be missing where a change turns that was not named and none
of the trials on the way shows it; tests compare with all subsets.

Source:
    Moreno-Centeno, Karp: The Implicit Hitting Set Approach, Operations Research 61 (2013);
    Ignatiev, Morgado, Marques-Silva: RC2, an Efficient MaxSAT Solver, JSAT 11 (2019), through the python-sat package
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pysat.examples.hitman import Atom, Hitman

_GROUP = 16
"""Changes that are added at once while a set is grown; half of them, and so on, where that is too many."""


@dataclass(frozen=True, slots=True)
class Enumeration:
    """What was found.

    Attributes:
        sets: Bit masks, by rising cost, then by number.
        complete: There is no other set.
        bound: Every set that costs less is in ``sets``; where it is complete, one more than the costliest.
        trials: How many sets were tried.
        turning: Bit mask of the changes that were seen to undo others.
    """

    sets: tuple[int, ...]
    complete: bool
    bound: int
    trials: int
    turning: int


def minimal_sets(
    weights: Sequence[int],
    too_little: Callable[[int], bool],
    *,
    turning: int = 0,
    most: int = 32,
    budget: int = 4000,
) -> Enumeration:
    """Find the minimal sets that are enough.

    Args:
        weights: Cost of each change, at least 1.
        too_little: Tells of a set, as a bit mask, that it is not enough. Asked once for each set.
        turning: Bit mask of changes that may make too little of what was enough.
        most: Stop after so many sets.
        budget: Stop after so many trials; what was found until then is still right.
    """
    return _Search(weights, too_little, _Bounds(most, budget), turning).run()


@dataclass(frozen=True, slots=True)
class _Bounds:
    most: int
    budget: int


class _TurningError(Exception):
    """A change was seen to undo another."""

    def __init__(self, bit: int) -> None:
        super().__init__(bit)
        self.bit = bit


class _Search:
    """One search."""

    def __init__(
        self, weights: Sequence[int], too_little: Callable[[int], bool], bounds: _Bounds, turning: int
    ) -> None:
        self.weights = weights
        self.ask = too_little
        self.bounds = bounds
        self.tried: dict[int, bool] = {}
        self.turning = turning
        self.learned: list[int] = []

    def run(self) -> Enumeration:
        if not self.too_little(0):
            return Enumeration((0,), True, 1, len(self.tried), 0)
        while self.weights:
            try:
                return self._round()
            except _TurningError as turn:
                self.turning |= turn.bit
                self.learned.clear()
        return Enumeration((), True, 1, len(self.tried), 0)

    def too_little(self, mask: int) -> bool:
        known = self.tried.get(mask)
        if known is None:
            known = self.tried[mask] = self.ask(mask)
        return known

    def cost(self, mask: int) -> int:
        return sum(self.weights[index] for index in _indices(mask))

    def _round(self) -> Enumeration:
        found: list[int] = []
        weights = dict(enumerate(self.weights))
        bound = 0
        with Hitman(bootstrap_with=[list(weights)], weights=weights, solver="m22", htype="sorted") as solver:
            while (chosen := solver.get()) is not None:
                mask = sum(1 << index for index in chosen)
                if len(found) >= self.bounds.most or len(self.tried) >= self.bounds.budget:
                    bound = self.cost(mask)
                    break
                if not self.too_little(mask):
                    self._hold_minimal(mask)
                    found.append(mask)
                    solver.block(chosen)
                    continue
                grown = self._grown(mask)
                self.learned.append(grown)
                if not self._learn(solver, grown):
                    break
        complete = not bound
        bound = bound or 1 + max(map(self.cost, found), default=0)
        self._hold_complete(found, complete=complete, bound=bound)
        found.sort(key=lambda one: (self.cost(one), one.bit_count(), one))
        return Enumeration(tuple(found), complete, bound, len(self.tried), self.turning)

    def _learn(self, solver: Hitman, grown: int) -> bool:
        """Demand something from outside; return False where there is nothing outside."""
        everything = (1 << len(self.weights)) - 1
        outside = list(_indices(everything & ~grown))
        inside = list(_indices(grown & self.turning))
        if not inside:
            if outside:
                solver.hit(outside)
            return bool(outside)
        solver.add_hard([*(Atom(one, True) for one in outside), *(Atom(one, False) for one in inside)])
        return True

    def _grown(self, mask: int) -> int:
        """Add every change that leaves the set too little, turning ones aside; whole groups at once where that goes."""
        refused: list[tuple[int, int]] = []
        free = [index for index in range(len(self.weights)) if not 1 << index & (mask | self.turning)]
        groups = [free[start : start + _GROUP] for start in range(0, len(free), _GROUP)][::-1]
        while groups:
            group = groups.pop()
            bits = sum(1 << index for index in group)
            if self.too_little(mask | bits):
                mask |= bits
            elif len(group) == 1:
                refused.append((bits, mask))
            else:
                half = len(group) // 2
                groups += [group[half:], group[:half]]
        for bit, before in refused:
            if before != mask and self.too_little(mask | bit):
                self._turns(before | bit, mask | bit)
        return mask

    def _turns(self, enough: int, more: int) -> None:
        """Find the change that undoes what was enough, on the way to the larger set that is too little."""
        for index in _indices(more & ~enough):
            enough |= 1 << index
            if self.too_little(enough):
                raise _TurningError(1 << index)

    def _hold_minimal(self, mask: int) -> None:
        """See that no member can be left out; if one can, something learned was wrong."""
        for index in _indices(mask):
            less = mask & ~(1 << index)
            if not self.too_little(less):
                self._explain(less)

    def _hold_complete(self, found: list[int], *, complete: bool, bound: int) -> None:
        """See that every set that was tried and is enough contains one that was found."""
        for mask, little in list(self.tried.items()):
            if not little and not any(one & mask == one for one in found) and (complete or self.cost(mask) < bound):
                self._explain(mask)

    def _explain(self, enough: int) -> None:
        for grown in self.learned:
            if (enough & self.turning) == (grown & self.turning) and enough & ~grown == 0:
                self._turns(enough, grown)


def _indices(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
