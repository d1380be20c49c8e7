"""What a condition demands of an event that a kernel can check without judging the whole: never too much.

Whatever a condition matches is let through. The kernel may check any part of what comes out, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.model.comparisons import Comparison
from holdfast.model.derived import Derived
from holdfast.model.facts import Fact
from holdfast.model.logic import All, AnyOf, Atom, Expr, Op, Settled, answer
from holdfast.model.truth import NO, YES
from holdfast.model.words import event as word
from holdfast.reason.allowed import ANYTHING, IMPOSSIBLE, PRESENT, Allowed, Pattern, Shape, some
from holdfast.rules.fields import field

Get = Callable[[Fact[Any]], Any]

PATHS = (
    field("fd.name"), field("fd.nameraw"), field("evt.arg.name"), field("evt.arg.path"), field("evt.arg.filename"),
    field("evt.arg.oldpath"), field("evt.arg.newpath"), field("evt.arg.linkpath"), field("evt.arg.target"),
    field("evt.arg.linkdest"), field("evt.arg.pathname"), field("fs.path.name"), field("fs.path.nameraw"),
    field("fs.path.source"), field("fs.path.sourceraw"), field("fs.path.target"), field("fs.path.targetraw"), word.PATH,
)  # fmt: skip
"""Facts that name a file of the event, as the kernel resolved it or as it was given."""
_PATHS = frozenset(PATHS)
_DIRECTORY, _BASENAME = field("fd.directory"), field("fd.filename")
NORMAL = frozenset(
    (field("fd.name"), _DIRECTORY, field("fs.path.name"), field("fs.path.source"), field("fs.path.target"), word.PATH)
)
"""Facts whose answer is a path that the kernel resolved: absolute, no slash doubled, no dots."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What an event must have.

    Attributes:
        facts: What the answer to each question may be; a question that is not inside may have any.
        paths: One of the event's paths (``PATHS``) matches; ANYTHING where none need.
        never: No event meets the condition.
    """

    facts: Mapping[Fact[Any], Allowed]
    paths: Allowed = ANYTHING
    never: bool = False

    def lets_through(self, get: Get) -> bool:
        """Tell whether an event may meet the condition.

        Args:
            get: From a fact to its bare answer, None where there is none.
        """
        if self.never or not all(allowed.allows(get(fact)) for fact, allowed in self.facts.items()):
            return False
        return self.paths.anything or any(self.paths.allows(get(fact)) for fact in PATHS)

    def allowed(self, fact: Fact[Any]) -> Allowed:
        """Return what the answer to a question may be."""
        return self.facts.get(fact, ANYTHING)

    def __and__(self, other: Demand) -> Demand:
        """Meet both."""
        if self.never or other.never:
            return NEVER
        facts = dict(self.facts)
        paths = _narrower(self.paths, other.paths)
        for fact, allowed in other.facts.items():
            facts[fact] = facts[fact] & allowed if fact in facts else allowed
            if fact in _PATHS and facts[fact].patterns is not None and not facts[fact].missing:
                paths = _narrower(paths, facts[fact])
        return NEVER if any(allowed.nothing for allowed in facts.values()) else Demand(facts, paths)

    def __or__(self, other: Demand) -> Demand:
        """Meet one of them."""
        if self.never or other.never:
            return other if self.never else self
        joined = {fact: self.facts[fact] | other.facts[fact] for fact in self.facts if fact in other.facts}
        paths = ANYTHING if self.paths.anything or other.paths.anything else self.paths | other.paths
        return Demand({fact: allowed for fact, allowed in joined.items() if not allowed.anything}, paths)


NEVER = Demand({}, never=True)
NOTHING = Demand({})


def _narrower(one: Allowed, other: Allowed) -> Allowed:
    """Return the narrower demand: the two may be met by different paths of the event, so they are never joined."""
    if one.anything or other.anything:
        return other if one.anything else one
    return min(one, other, key=_width)


def _width(paths: Allowed) -> tuple[int, int]:
    wide = {Shape.EXACT: 0, Shape.PREFIX: 1, Shape.SUFFIX: 2}
    patterns = paths.patterns or frozenset()
    return max((wide.get(pattern.shape, 3) for pattern in patterns), default=4), len(patterns)


def demand(expr: Expr, type_fact: Fact[Any], name: str) -> Demand:
    """Work out what a condition demands of events of one type.

    Args:
        expr: The condition.
        type_fact: The question for the type: Falco's ``evt.type``, or ``event.syscall``.
        name: The type.

    Returns:
        A demand that every event meets for which the condition is YES.
    """
    return _Analysis(type_fact, name).of(expr)


class _Analysis:
    """Walks an expression; parts that are one object are walked once."""

    __slots__ = ("known", "name", "type_fact")

    def __init__(self, type_fact: Fact[Any], name: str) -> None:
        self.type_fact = type_fact
        self.name = name
        self.known: dict[int, tuple[Expr, Demand]] = {}

    def of(self, expr: Expr) -> Demand:
        found = self.known.get(id(expr))
        if found is None:
            found = self.known[id(expr)] = (expr, self._of(expr))
        return found[1]

    def _of(self, expr: Expr) -> Demand:
        if isinstance(expr, Atom):
            if expr.fact is self.type_fact:
                return NOTHING if answer(expr.op, self.name, expr.value) is YES else NEVER
            return _leaf(expr)
        if isinstance(expr, Settled):
            return self.of(expr.part) if expr.truth is NO else self._unless_known(expr.part)
        if isinstance(expr, All):
            made = NOTHING
            for part in expr.parts:
                made = made & self.of(part)
            return made
        if isinstance(expr, AnyOf):
            made = NEVER
            for part in expr.parts:
                made = made | self.of(part)
            return made
        raise TypeError(f"{type(expr).__name__} is not one of Atom, All, AnyOf, Settled")

    def _unless_known(self, part: Expr) -> Demand:
        """Return the demand of a condition that counts as YES where nothing was seen.

        An answer of a strange kind is unknown too, so only a comparison that takes every answer says something.
        """
        if not isinstance(part, Atom) or isinstance(part.fact, Derived):
            return NOTHING
        if part.fact is self.type_fact:
            return NEVER if answer(part.op, self.name, part.value) is NO else NOTHING
        if part.op not in {Op.IS, Op.IS_NOT, Op.ONE_OF, Op.NONE_OF}:
            return NOTHING
        leaf = _allowed(part.op, part.value)
        return Demand({part.fact: Allowed(leaf.patterns, leaf.excluded, missing=True)})


def _leaf(atom: Atom) -> Demand:
    if isinstance(atom.fact, Derived):
        return NOTHING
    normal = atom.fact in NORMAL
    allowed = _at_or_below(atom.value) if atom.op is Op.AT_OR_BELOW and normal else _allowed(atom.op, atom.value)
    if allowed.nothing:
        return NEVER
    return Demand({atom.fact: allowed}, _path_demand(atom.fact, allowed))


def _path_demand(fact: Fact[Any], allowed: Allowed) -> Allowed:
    if allowed.patterns is None:
        return ANYTHING
    if fact in _PATHS:
        return allowed
    if fact is not _DIRECTORY and fact is not _BASENAME:
        return ANYTHING
    turn = _from_directory if fact is _DIRECTORY else _from_basename
    found: list[Pattern] = []
    for pattern in allowed.patterns:
        turned = turn(pattern)
        if not turned:
            return ANYTHING
        found += turned
    return some(found)


def _from_directory(pattern: Pattern) -> list[Pattern]:
    """Say of a path what was said of its directory; nothing where that says nothing.

    The directory of a path without a slash is ``/``, that of one which ends with a slash is itself.
    """
    text = pattern.value
    if not isinstance(text, str) or text in {"", "/"} or pattern.shape not in _TEXTS:
        return []
    if pattern.shape is Shape.EXACT:
        return [Pattern(Shape.EXACT, text), Pattern(Shape.PREFIX, f"{text}/")]
    if pattern.shape is Shape.PREFIX:
        return [pattern]
    return [Pattern(Shape.CONTAINS, text)]


def _from_basename(pattern: Pattern) -> list[Pattern]:
    """Say of a path what was said of its last component; nothing where that says nothing."""
    text = pattern.value
    if not isinstance(text, str) or not text or pattern.shape not in _TEXTS:
        return []
    if pattern.shape is Shape.EXACT:
        return [Pattern(Shape.EXACT, text), Pattern(Shape.SUFFIX, f"/{text}")]
    if pattern.shape is Shape.PREFIX:
        return [pattern, Pattern(Shape.CONTAINS, f"/{text}")]
    return [pattern]


_TEXTS = frozenset((Shape.EXACT, Shape.PREFIX, Shape.SUFFIX, Shape.CONTAINS))


# --- one comparison -------------------------------------------------------------------------------------------------


def _allowed(op: Op, value: Any) -> Allowed:
    """Return what an answer may be that a comparison says YES to."""
    turn = _TURNS.get(op)
    return PRESENT if turn is None else turn(value)


def _each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _glob(text: str) -> Allowed:
    literal = "".join("*" if sign in "*?[\\" else sign for sign in text)
    if "[" in text or "\\" in text:
        literal = literal[: literal.index("*")] + "*"  # what stands behind a bracket may belong to it
    parts = literal.split("*")
    if len(parts) == 1:
        return some([Pattern(Shape.EXACT, text)])
    if parts[0]:
        return some([Pattern(Shape.PREFIX, parts[0])])
    if parts[-1]:
        return some([Pattern(Shape.SUFFIX, parts[-1])])
    longest = max(parts, key=len)
    return some([Pattern(Shape.CONTAINS, longest)]) if longest else PRESENT


def _at_or_below(value: Any) -> Allowed:
    """Read AT_OR_BELOW of a resolved path; of another one it says nothing, as slashes may be doubled there."""
    patterns: list[Pattern] = []
    for path in _each(value):
        parts = [part for part in path.split("/") if part]
        plain = next((at for at, part in enumerate(parts) if any(sign in part for sign in "*?[\\")), len(parts))
        if not plain:
            return PRESENT
        text = "/" + "/".join(parts[:plain])
        patterns.append(Pattern(Shape.PREFIX, f"{text}/"))
        if plain == len(parts):
            patterns.append(Pattern(Shape.EXACT, text))
    return some(patterns)


def _several(value: Any) -> Allowed:
    """Read EVERY: each of the values is demanded; the first says enough."""
    if not isinstance(value, Comparison) or not value.value:
        return PRESENT
    return _allowed(value.op, _for_one(value.op, value.value[0]))


def _one_of_several(value: Any) -> Allowed:
    """Read ONCE: one of the values is met."""
    if not isinstance(value, Comparison):
        return PRESENT
    made = IMPOSSIBLE
    for one in value.value:
        made = made | _allowed(value.op, _for_one(value.op, one))
    return made


def _not_every(value: Any) -> Allowed:
    if not isinstance(value, Comparison):
        return PRESENT
    return _one_of_several(Comparison(value.op.opposite, value.value))


def _for_one(op: Op, value: Any) -> Any:
    return (value,) if op in {Op.ONE_OF, Op.NONE_OF, Op.AT_OR_BELOW} else value


def _members(value: Any) -> Allowed:
    if isinstance(value, Comparison) and value.op is Op.IS:
        return some([Pattern(Shape.MEMBER, value.value)])
    if isinstance(value, Comparison) and value.op is Op.ONE_OF:
        return some(Pattern(Shape.MEMBER, one) for one in value.value)
    return PRESENT


def _patterns(shape: Shape) -> Callable[[Any], Allowed]:
    def made(value: Any) -> Allowed:
        return some(Pattern(shape, one) for one in _each(value))

    return made


_TURNS: dict[Op, Callable[[Any], Allowed]] = {
    Op.IS: lambda value: some([Pattern(Shape.EXACT, value)]),
    Op.IS_NOT: lambda value: Allowed(None, frozenset((value,))),
    Op.ONE_OF: lambda value: some(Pattern(Shape.EXACT, one) for one in value),
    Op.NONE_OF: lambda value: Allowed(None, frozenset(value)),
    Op.STARTS_WITH: lambda value: some([Pattern(Shape.PREFIX, value)]),
    Op.ENDS_WITH: lambda value: some([Pattern(Shape.SUFFIX, value)]),
    Op.CONTAINS: lambda value: some([Pattern(Shape.CONTAINS, value)]),
    Op.GLOB: _glob,
    Op.AT_LEAST: lambda value: some([Pattern(Shape.RANGE, (value, None))]),
    Op.ABOVE: lambda value: some([Pattern(Shape.RANGE, (value, None))]),
    Op.AT_MOST: lambda value: some([Pattern(Shape.RANGE, (None, value))]),
    Op.LESS_THAN: lambda value: some([Pattern(Shape.RANGE, (None, value))]),
    Op.IN_NETWORK: _patterns(Shape.NETWORK),
    Op.SOME: _members,
    Op.EVERY: _several,
    Op.NOT_EVERY: _not_every,
    Op.ONCE: _one_of_several,
}
