"""Cut a filter open at the system call number, once, so that one call costs a look-up and a handful of instructions.

A container's filter is some thousand instructions of "is it call 0? is it call 1?". For one architecture the answer to
all those questions is a table of number ranges, each with the place in the program where the first question about
something else is asked. Jumps only go forward, so one walk over the program finds it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass

from holdfast.reason.effective.bpf import WORD, Op, Point, Program, computed, holds

_MOST_STATES = 8
_MOST_RANGES = 20_000

Range = tuple[int, int]
# Register A, register X, memory. None stands for the system call number itself.
_State = tuple[int | None, int | None, tuple[int | None, ...]]
_Leaf = tuple[int, _State] | int


@dataclass(frozen=True, slots=True)
class Table:
    """Where a filter goes, by system call number, for one architecture.

    Attributes:
        starts: First number of each range, ascending.
        leaves: For each range the return value, or the place and registers where the rest of the program begins.
    """

    starts: tuple[int, ...]
    leaves: tuple[_Leaf, ...]

    def find(self, number: int) -> Point | int:
        """Return the filter's answer to a call, or the point from which it looks at more than its number."""
        leaf = self.leaves[bisect_right(self.starts, number) - 1]
        if isinstance(leaf, int):
            return leaf
        at, (a, x, memory) = leaf
        return Point(
            at,
            number if a is None else a,
            number if x is None else x,
            tuple(number if cell is None else cell for cell in memory),
        )


def dispatch(program: Program, arch: int) -> Table:
    """Walk a program once for all system call numbers of one architecture.

    Args:
        program: From ``bpf.read``.
        arch: AUDIT_ARCH value.
    """
    walk = _Walk(program, arch)
    walk.add(0, (0, 0, (0,) * 16), [(0, WORD)])
    for at in range(len(program.code)):
        for count, (state, ranges) in enumerate(walk.pending.pop(at, {}).items()):
            ranges.sort()
            if count >= _MOST_STATES or len(ranges) > _MOST_RANGES:
                walk.leaf((at, state), ranges)
            else:
                walk.step(at, state, ranges)
    walk.found.sort(key=lambda entry: entry[0])
    return Table(tuple(entry[0] for entry in walk.found), tuple(entry[1] for entry in walk.found))


class _Walk:
    """The ranges of numbers that stand before each instruction, with the registers they bring."""

    def __init__(self, program: Program, arch: int) -> None:
        self.code = program.code
        self.arch = arch
        self.pending: dict[int, dict[_State, list[Range]]] = {}
        self.found: list[tuple[int, _Leaf]] = []

    def add(self, at: int, state: _State, ranges: list[Range]) -> None:
        if ranges:
            states = self.pending.setdefault(at, {})
            if state in states:
                states[state].extend(ranges)
            else:
                states[state] = ranges

    def leaf(self, leaf: _Leaf, ranges: list[Range]) -> None:
        self.found.extend((low, leaf) for low, _ in ranges)

    def step(self, at: int, state: _State, ranges: list[Range]) -> None:
        op, k, _, _ = self.code[at]
        a, _, _ = state
        if op is Op.RETURN or (op is Op.RETURN_A and a is not None):
            self.leaf(k if op is Op.RETURN else a or 0, ranges)
        elif op is Op.JUMP:
            self.add(at + 1 + k, state, ranges)
        elif Op.EQUAL <= op <= Op.ANY_BIT_X:
            self._branch(at, state, ranges)
        else:
            after = self._moved(op, k, state)
            if after is None:
                self.leaf((at, state), ranges)
            else:
                self.add(at + 1, after, ranges)

    def _moved(self, op: Op, k: int, state: _State) -> _State | None:  # noqa: C901 - one case for each instruction
        """Return the registers after an instruction that is no jump; None where it looks at more than the number."""
        a, x, memory = state
        match op:
            case Op.LOAD if k <= 1:
                return (None if k == 0 else self.arch), x, memory
            case Op.CONSTANT:
                return k, x, memory
            case Op.X_CONSTANT:
                return a, k, memory
            case Op.LOAD_MEMORY:
                return memory[k], x, memory
            case Op.X_MEMORY:
                return a, memory[k], memory
            case Op.STORE | Op.STORE_X:
                return a, x, (*memory[:k], a if op is Op.STORE else x, *memory[k + 1 :])
            case Op.TO_X:
                return a, a, memory
            case Op.FROM_X:
                return x, x, memory
            case _ if op >= Op.ADD and a is not None:
                operand = x if op >= Op.ADD_X else k
                if operand is None or (op is Op.DIVIDE_X and operand == 0):
                    return None
                return computed(op, a, operand), x, memory
            case _:
                return None

    def _branch(self, at: int, state: _State, ranges: list[Range]) -> None:
        op, k, jt, jf = self.code[at]
        a, x, _ = state
        operand = x if op >= Op.EQUAL_X else k
        if a is not None and operand is not None:
            self.add(at + 1 + (jt if holds(op, a, k, operand) else jf), state, ranges)
            return
        parts = _split(op, operand, ranges) if a is None and operand is not None else None
        if parts is None:
            self.leaf((at, state), ranges)
            return
        self.add(at + 1 + jt, state, parts[0])
        self.add(at + 1 + jf, state, parts[1])


def _split(op: Op, k: int, ranges: list[Range]) -> tuple[list[Range], list[Range]] | None:
    """Part number ranges by a comparison; None where that would make too many."""
    match op:
        case Op.EQUAL | Op.EQUAL_X:
            inside, outside = _cut(ranges, k, k)
        case Op.GREATER | Op.GREATER_X:
            inside, outside = _cut(ranges, k + 1, WORD)
        case Op.AT_LEAST | Op.AT_LEAST_X:
            inside, outside = _cut(ranges, k, WORD)
        case _:
            # Numbers that share a bit with k: one run for each multiple of the bit, so only high bits are cheap.
            if k.bit_count() != 1 or k < 1 << 26:
                return None
            inside, outside = [], ranges
            for low in range(k, WORD, 2 * k):
                more, outside = _cut(outside, low, low + k - 1)
                inside += more
    return inside, outside


def _cut(ranges: list[Range], low: int, high: int) -> tuple[list[Range], list[Range]]:
    """Take the numbers from low to high out of sorted, disjoint ranges. The list is used up."""
    first = max(bisect_right(ranges, (low, WORD)) - 1, 0)
    last = bisect_right(ranges, (high, WORD))
    inside: list[Range] = []
    rest: list[Range] = []
    for start, end in ranges[first:last]:
        if start < low:
            rest.append((start, min(end, low - 1)))
        if end > high:
            rest.append((max(start, high + 1), end))
        if max(start, low) <= min(end, high):
            inside.append((max(start, low), min(end, high)))
    del ranges[first:last]
    for part in rest:
        insort(ranges, part)
    return inside, ranges
