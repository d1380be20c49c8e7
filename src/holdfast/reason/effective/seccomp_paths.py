"""Answer what filters do with a call of which only some bits are known, from the program the kernel runs.

"May this container mount something?" is a question about all arguments at once. Two searches answer it. One follows
every branch that unknown bits leave open and so finds every answer there could be. The other tries values next to the
constants the program compares with and so finds answers that certainly can be had. Where both agree, that is the
truth; an answer that only the first finds is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice, product
from typing import NamedTuple

from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.reason.effective.bpf import (
    RETURN_VALUES,
    WORD,
    Action,
    Op,
    Point,
    Program,
    Words,
    action,
    computed,
    read,
    resume,
    strictest,
)
from holdfast.reason.effective.seccomp_dispatch import Table, dispatch

_MOST_STEPS = 20_000
_MOST_TRIALS = 1_024
_MOST_CANDIDATES = 24

PERMITS = frozenset({Action.ALLOW, Action.LOG})
ASKS = frozenset({Action.TRACE, Action.USER_NOTIF})


class Bits(NamedTuple):
    """A number of which some bits are known.

    Attributes:
        known: Mask of the known bits.
        value: Their values; 0 elsewhere.
    """

    known: int
    value: int


ANY = Bits(0, 0)
ANY_ARGUMENTS = (ANY,) * 6


def exactly(value: int) -> Bits:
    """Build a 64-bit argument that is known."""
    return Bits((1 << 64) - 1, value)


@dataclass(frozen=True, slots=True)
class Decision:
    """What filters can do with a call.

    Attributes:
        sure: Actions that some permitted arguments certainly lead to.
        maybe: Actions that could not be ruled out.
    """

    sure: frozenset[Action]
    maybe: frozenset[Action] = frozenset()

    @property
    def allowed(self) -> Truth:
        """The call goes through for some arguments. Where another process is asked first, nobody can say."""
        if self.sure & PERMITS:
            return YES
        return UNKNOWN if self.maybe & PERMITS or (self.sure | self.maybe) & ASKS else NO


class Filters:
    """The filters of one process, ready to be asked. Use ``filters`` to get one: equal filters share their work."""

    __slots__ = ("_answers", "_tables", "programs", "raw")

    def __init__(self, raw: tuple[bytes, ...]) -> None:
        """Read and check the programs.

        Args:
            raw: Newest first; 8 bytes an instruction.

        Raises:
            NotUnderstood: The kernel would have refused one of them.
        """
        self.raw = raw
        self.programs = tuple(read(one) for one in raw)
        self._tables: dict[int, tuple[Table, ...]] = {}
        self._answers: dict[tuple[int, int, tuple[Bits, ...]], Decision] = {}

    def decide(self, arch: int, number: int, args: tuple[Bits, ...] = ANY_ARGUMENTS) -> Decision:
        """Tell what the filters together do with a call.

        Args:
            arch: AUDIT_ARCH value.
            number: System call number, with the x32 bit where it is an x32 call.
            args: Six arguments of 64 bits.
        """
        key = (arch, number, args)
        found = self._answers.get(key)
        if found is None:
            tables = self._tables.get(arch)
            if tables is None:
                tables = self._tables[arch] = tuple(dispatch(program, arch) for program in self.programs)
            found = self._answers[key] = _decided(self.programs, [table.find(number) for table in tables], key)
        return found


@lru_cache(maxsize=256)
def filters(raw: tuple[bytes, ...]) -> Filters:
    """Return the filters of a process; a hundred containers with one filter cost one.

    Raises:
        NotUnderstood: The kernel would have refused one of the programs.
    """
    return Filters(raw)


def _decided(
    programs: tuple[Program, ...], points: list[Point | int], call: tuple[int, int, tuple[Bits, ...]]
) -> Decision:
    arch, number, args = call
    data = [Bits(WORD, number), Bits(WORD, arch), ANY, ANY]
    for arg in args:
        data += [
            Bits(arg.known & WORD, arg.value & arg.known & WORD),
            Bits(arg.known >> 32, (arg.value & arg.known) >> 32),
        ]
    possible = {0x7FFF0000}
    whole = True
    hints: dict[int, set[tuple[int, int]]] = {}
    for program, point in zip(programs, points, strict=True):
        if isinstance(point, int):
            values = {point & 0xFFFF0000}
        else:
            search = _Search(program, data, hints)
            values = search.from_point(point)
            whole = whole and search.whole
        possible = {strictest((new, old)) for new in values for old in possible}
    actions = frozenset(action(value) for value in possible) if whole else frozenset(Action)
    if len(actions) == 1:
        return Decision(actions)
    sure: set[Action] = set()
    for trial in islice(_trials(data, hints), _MOST_TRIALS):
        answers = (
            point if isinstance(point, int) else resume(program, trial, point)
            for program, point in zip(programs, points, strict=True)
        )
        sure.add(action(strictest(tuple(answers))))
        if len(sure) == len(actions):
            break
    return Decision(frozenset(sure), actions - sure)


def _trials(data: list[Bits], hints: dict[int, set[tuple[int, int]]]) -> Iterator[Words]:
    """Make calls with values next to the constants that the filters compare with."""
    choices: list[tuple[int, ...]] = []
    for index, (known, value) in enumerate(data):
        free = WORD & ~known
        found: Iterable[int] = (value,)
        if free and index in hints:
            pairs = sorted(hints[index])
            found = dict.fromkeys(
                value | free & other
                for constant, mask in pairs
                for other in (constant, constant & mask | WORD & ~mask, constant + 1, constant - 1 & WORD, 0, WORD)
            )
        choices.append(tuple(islice(found, _MOST_CANDIDATES)))
    return product(*choices)


@dataclass(frozen=True, slots=True)
class _Value:
    """What is known of a register, and of which word of the call it is a masked copy (-1: of none)."""

    known: int
    value: int
    word: int = -1
    mask: int = 0

    @property
    def most(self) -> int:
        return self.value | WORD & ~self.known


_UNKNOWN = _Value(0, 0)


def _constant(value: int) -> _Value:
    return _Value(WORD, value)


class _State(NamedTuple):
    """A way through the program so far: place, registers, memory, and what branches taught about words of the call."""

    at: int
    a: _Value
    x: _Value
    memory: tuple[_Value, ...]
    learnt: tuple[tuple[int, Bits], ...] = ()

    def word(self, index: int, data: list[Bits]) -> Bits:
        return dict(self.learnt).get(index, data[index])

    def knowing(self, index: int, bits: Bits) -> _State:
        return self._replace(learnt=tuple(sorted({**dict(self.learnt), index: bits}.items())))


@dataclass(slots=True)
class _Search:
    """All answers one program may give to a call that is partly known.

    Attributes:
        hints: (constant, mask) pairs that each word is compared with, gathered on the way.
        whole: The search came to its end; False where the program is too tangled to follow.
    """

    program: Program
    data: list[Bits]
    hints: dict[int, set[tuple[int, int]]]
    whole: bool = True
    stack: list[_State] = field(default_factory=list)
    values: set[int] = field(default_factory=set)

    def from_point(self, point: Point) -> set[int]:
        memory = tuple(_constant(cell) for cell in point.memory)
        self.stack.append(_State(point.at, _constant(point.a), _constant(point.x), memory))
        seen: set[_State] = set()
        steps = 0
        while self.stack:
            state = self.stack.pop()
            if state in seen:
                continue
            seen.add(state)
            steps += 1
            if steps > _MOST_STEPS:
                self.whole = False
                break
            self._step(state)
        return self.values

    def _step(self, state: _State) -> None:
        op, k, jt, jf = self.program.code[state.at]
        state = state._replace(at=state.at + 1)
        if op is Op.RETURN:
            self.values.add(k & 0xFFFF0000)
        elif op is Op.RETURN_A:
            if state.a.known & 0xFFFF0000 == 0xFFFF0000:
                self.values.add(state.a.value & 0xFFFF0000)
            else:
                self.values.update(RETURN_VALUES.values())
        elif op is Op.JUMP:
            self.stack.append(state._replace(at=state.at + k))
        elif Op.EQUAL <= op <= Op.ANY_BIT_X:
            self._branch(op, state, state.x if op >= Op.EQUAL_X else _constant(k), (jt, jf))
        elif op >= Op.ADD:
            operand = state.x if op >= Op.ADD_X else _constant(k)
            if op is Op.DIVIDE_X and operand.value == 0:
                self.values.add(RETURN_VALUES[Action.KILL_THREAD])
                if operand.known == WORD:
                    return
            self.stack.append(state._replace(a=_arithmetic(op, state.a, operand)))
        else:
            self.stack.append(self._moved(op, k, state))

    def _moved(self, op: Op, k: int, state: _State) -> _State:
        match op:
            case Op.LOAD:
                return state._replace(a=_Value(*state.word(k, self.data), word=k, mask=WORD))
            case Op.CONSTANT:
                return state._replace(a=_constant(k))
            case Op.X_CONSTANT:
                return state._replace(x=_constant(k))
            case Op.LOAD_MEMORY:
                return state._replace(a=state.memory[k])
            case Op.X_MEMORY:
                return state._replace(x=state.memory[k])
            case Op.TO_X:
                return state._replace(x=state.a)
            case Op.FROM_X:
                return state._replace(a=state.x)
            case _:
                stored = state.a if op is Op.STORE else state.x
                return state._replace(memory=(*state.memory[:k], stored, *state.memory[k + 1 :]))

    def _branch(self, op: Op, state: _State, operand: _Value, jumps: tuple[int, int]) -> None:
        a = state.a
        if operand.known == WORD and a.word >= 0:
            self.hints.setdefault(a.word, set()).add((operand.value, a.mask))
        taken, skipped = _outcomes(op, a, operand)
        if taken:
            self.stack.append(self._learnt(op, state, operand, taken=True)._replace(at=state.at + jumps[0]))
        if skipped:
            self.stack.append(self._learnt(op, state, operand, taken=False)._replace(at=state.at + jumps[1]))

    def _learnt(self, op: Op, state: _State, operand: _Value, *, taken: bool) -> _State:
        """Keep what a branch says about the bits of the word that was compared."""
        a = state.a
        if a.known == WORD or operand.known != WORD or a.word < 0:
            return state
        if op in {Op.EQUAL, Op.EQUAL_X} and taken:
            bits = Bits(a.mask, operand.value & a.mask)
        elif op in {Op.ANY_BIT, Op.ANY_BIT_X} and not taken:
            bits = Bits(a.mask & operand.value, 0)
        elif op in {Op.ANY_BIT, Op.ANY_BIT_X} and (operand.value & a.most).bit_count() == 1:
            bits = Bits(operand.value & a.most, operand.value & a.most)
        elif op in {Op.GREATER, Op.GREATER_X} and not taken and operand.value == 0:
            bits = Bits(a.mask, 0)
        else:
            return state
        old = state.word(a.word, self.data)
        new = Bits(old.known | bits.known, old.value & ~bits.known | bits.value)
        known = new.known & a.mask | WORD & ~a.mask
        return state.knowing(a.word, new)._replace(a=_Value(known, new.value & a.mask, a.word, a.mask))


def _outcomes(op: Op, a: _Value, other: _Value) -> tuple[bool, bool]:
    """Tell whether a conditional jump may be taken, and whether it may be skipped."""
    if op in {Op.EQUAL, Op.EQUAL_X}:
        both = a.known & other.known
        if both & (a.value ^ other.value):
            return False, True
        return True, both != WORD
    if op in {Op.GREATER, Op.GREATER_X}:
        return a.most > other.value, a.value <= other.most
    if op in {Op.AT_LEAST, Op.AT_LEAST_X}:
        return a.most >= other.value, a.value < other.most
    return bool(a.most & other.most), not a.value & other.value


def _arithmetic(op: Op, a: _Value, operand: _Value) -> _Value:
    """Return what is known of register A after an arithmetic instruction."""
    if a.known == WORD and operand.known == WORD:
        return _constant(computed(op, a.value, operand.value))
    match op:
        case Op.AND | Op.AND_X:
            zeros = a.known & ~a.value | operand.known & ~operand.value
            ones = a.value & operand.value
            copied = operand.known == WORD and a.word >= 0
            return _Value((zeros | ones) & WORD, ones, *((a.word, a.mask & operand.value) if copied else ()))
        case Op.OR | Op.OR_X:
            ones = a.value | operand.value
            zeros = a.known & ~a.value & operand.known & ~operand.value
            return _Value((zeros | ones) & WORD, ones)
        case Op.XOR | Op.XOR_X:
            known = a.known & operand.known
            return _Value(known, (a.value ^ operand.value) & known)
        case Op.SHIFT_LEFT | Op.SHIFT_RIGHT if operand.known == WORD:
            filled = WORD & ~computed(op, WORD, operand.value)
            return _Value(computed(op, a.known, operand.value) | filled, computed(op, a.value, operand.value))
        case _:
            return _UNKNOWN
