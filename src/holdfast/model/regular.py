r"""Regular expressions that are matched in linear time, whatever the text: nothing is ever tried twice.

The text comes from an attacker. Python's ``re`` goes back and tries again, which takes for ever on texts made for it;
so the expression becomes an automaton whose states are found as the text asks for them.

Source:
    The syntax is RE2's with ``posix_syntax`` (https://github.com/google/re2/wiki/Syntax), and ``\d \s \w`` too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from holdfast.model.regular_syntax import (
    AnyOne,
    Branch,
    LineEnd,
    LineStart,
    Malformed,
    Node,
    Repeat,
    Row,
    read,
)

SIZE = 5000
"""Most states of one expression, counted repetitions written out."""

_WORK = 20 * SIZE
_REMEMBERED = 4000
"""Steps of the automaton that are kept; then it forgets them all."""


@dataclass(frozen=True, slots=True)
class _State:
    """A state that waits for one character (``one``), or looks at the place (``place``), or goes on to several."""

    one: AnyOne | None
    place: LineStart | LineEnd | None
    to: tuple[int, ...]


class Regular:
    """A compiled expression."""

    __slots__ = ("_built", "_end", "_first", "_ids", "_sets", "_states", "_steps")

    def __init__(self, pattern: str) -> None:
        """Compile.

        Raises:
            Malformed: It is no expression, or a part of the syntax that needs going back, or too large.
        """
        self._states: list[_State] = [_State(None, None, ())]
        self._end = self._built = 0
        self._first = self._build(read(pattern), self._end)
        self._forget()

    def matches(self, text: str) -> bool:
        """Tell whether the whole text matches.

        Raises:
            TypeError: It is no text.
        """
        if not isinstance(text, str):
            raise TypeError("a regular expression is asked of text only")
        steps = self._steps
        here = self._id(frozenset((self._first,)), line_start=True)
        for sign in text:
            after = steps.get((here, sign))
            if after is None:
                if len(steps) > _REMEMBERED:
                    states, line_start = self._sets[here]
                    self._forget()
                    steps = self._steps
                    here = self._id(states, line_start=line_start)
                after = steps[here, sign] = self._step(here, sign)
            here = after
            if here < 0:
                return False
        return self._step(here, "") == 0

    def _forget(self) -> None:
        self._steps: dict[tuple[int, str], int] = {}
        self._ids: dict[tuple[frozenset[int], bool], int] = {}
        self._sets: list[tuple[frozenset[int], bool]] = []

    def _id(self, states: frozenset[int], *, line_start: bool) -> int:
        key = (states, line_start)
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self._sets)
            self._sets.append(key)
        return found

    def _step(self, here: int, sign: str) -> int:
        """Read one character, or the end where it is empty. Return the next set, -1 for none; at the end 0 or -1."""
        states, line_start = self._sets[here]
        seen: set[int] = set()
        open_ = list(states)
        after: set[int] = set()
        while open_:
            number = open_.pop()
            if number in seen:
                continue
            seen.add(number)
            state = self._states[number]
            if state.one is not None:
                if sign and state.one.takes(sign):
                    after.update(state.to)
            elif (
                state.place is None
                or (isinstance(state.place, LineStart) and line_start)
                or (isinstance(state.place, LineEnd) and sign in {"", "\n"})
            ):
                open_.extend(state.to)
        if not sign:
            return 0 if self._end in seen else -1
        return self._id(frozenset(after), line_start=sign == "\n") if after else -1

    def _add(self, state: _State) -> int:
        if len(self._states) >= SIZE:
            raise Malformed(f"the regular expression needs more than {SIZE} states")
        self._states.append(state)
        return len(self._states) - 1

    def _build(self, node: Node, then: int) -> int:
        """Add the states for a node in front of ``then``; return the first."""
        self._built += 1
        if self._built > _WORK:
            raise Malformed("the regular expression repeats nothing too often")
        if isinstance(node, AnyOne):
            return self._add(_State(node, None, (then,)))
        if isinstance(node, LineStart | LineEnd):
            return self._add(_State(None, node, (then,)))
        if isinstance(node, Branch):
            return self._add(_State(None, None, tuple(self._build(part, then) for part in node.parts)))
        if isinstance(node, Row):
            for part in reversed(node.parts):
                then = self._build(part, then)
            return then
        return self._repeat(node, then)

    def _repeat(self, node: Repeat, then: int) -> int:
        if node.most is None:
            again = self._add(_State(None, None, ()))
            inner = self._build(node.part, again)
            self._states[again] = _State(None, None, (inner, then))
            first = again
        else:
            first = then
            for _ in range(node.most - node.least):
                first = self._add(_State(None, None, (self._build(node.part, first), then)))
        for _ in range(node.least):
            first = self._build(node.part, first)
        return first


@lru_cache(maxsize=256)
def regular(pattern: str) -> Regular:
    """Return the compiled expression.

    Raises:
        Malformed: As for ``Regular``. It is a TypeError, so that a comparison with it is answered "unknown".
    """
    return Regular(pattern)
