"""For which events a condition can be true: Falco's own way to find it.

Source:
    falcosecurity/libs, ``userspace/libsinsp/filter/ppm_codes.cpp``
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.rules.nodes import And, Check, Condition, Exists, FieldUse, Not, Or

_FIELD = "evt.type"
_OPERATORS = frozenset(("=", "==", "!=", "in"))


@dataclass(frozen=True, slots=True)
class Events:
    """A set of event types, or all but these.

    Attributes:
        names: The types.
        others: True where every type is meant that is not among them.
    """

    names: frozenset[str]
    others: bool = False

    def __contains__(self, name: object) -> bool:
        """Tell whether a type is inside."""
        return (name in self.names) is not self.others

    def __and__(self, other: Events) -> Events:
        """In both."""
        return ~(~self | ~other)

    def __or__(self, other: Events) -> Events:
        """In one of them."""
        if self.others and other.others:
            return Events(self.names & other.names, others=True)
        if self.others:
            return Events(self.names - other.names, others=True)
        if other.others:
            return Events(other.names - self.names, others=True)
        return Events(self.names | other.names)

    def __invert__(self) -> Events:
        """Every other type."""
        return Events(self.names, not self.others)


ALL = Events(frozenset(), others=True)
NONE = Events(frozenset())


def events_of(condition: Condition) -> Events:
    """Return the event types for which a condition can be true.

    A comparison of anything but ``evt.type`` says nothing about types, negated or not. Macros say nothing either.
    """
    return _events(condition, negated=False)


def _events(condition: Condition, *, negated: bool) -> Events:
    if isinstance(condition, Not):
        return _events(condition.part, negated=not negated)
    if isinstance(condition, And | Or):
        both = isinstance(condition, And) is not negated
        found = ALL if both else NONE
        for part in condition.parts:
            one = _events(part, negated=negated)
            found = found & one if both else found | one
        return found
    if isinstance(condition, Exists) and condition.left == FieldUse(_FIELD):
        return NONE if negated else ALL
    if isinstance(condition, Check) and condition.left == FieldUse(_FIELD) and condition.op in _OPERATORS:
        if isinstance(condition.value, str) and not condition.how:
            named = Events(frozenset((condition.value,)))
        elif isinstance(condition.value, tuple) and condition.op == "in":
            named = Events(frozenset(condition.value))
        else:
            return ALL
        return ~named if (condition.op == "!=") is not negated else named
    return ALL
