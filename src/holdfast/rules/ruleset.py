"""Rules, loaded and ready to judge events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from holdfast.model.alert import Priority
from holdfast.model.facts import Fact
from holdfast.model.logic import Expr, atoms
from holdfast.rules.definitions import SOURCE, Definitions, RuleDefinition
from holdfast.rules.event_names import EVENT_NAMES
from holdfast.rules.event_types import Events, events_of
from holdfast.rules.exceptions import condition_of
from holdfast.rules.expand import Expanded, Expander
from holdfast.rules.fields import Field
from holdfast.rules.fields import field as field_named
from holdfast.rules.judging import Judge, compile_rules
from holdfast.rules.lower import Lowering, Meaningless, comparison
from holdfast.rules.nodes import Name
from holdfast.rules.output import BadOutput, Output, compile_output
from holdfast.rules.problems import Problem, Wrong
from holdfast.rules.reading import read_file
from holdfast.rules.spelling import leaves

_MANY_EVENTS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A rule that can be judged.

    Attributes:
        definition: As written.
        expanded: Its condition, with lists and macros written out.
        condition: The same over facts.
        events: The types of events for which it can be true.
        output: Compiled.
    """

    definition: RuleDefinition
    expanded: Expanded
    condition: Expr
    events: Events
    output: Output

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.definition.name

    @property
    def priority(self) -> Priority:
        """The rule's severity."""
        return self.definition.priority


@dataclass(slots=True)
class Loaded:
    """What came out of rules files.

    Attributes:
        rules: Those without an error, in load order, disabled ones too.
        problems: Errors and warnings, by place.
        definitions: What was defined.
        expander: The lists and macros, written out.
    """

    rules: list[Rule] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    definitions: Definitions = field(default_factory=Definitions)
    expander: Expander = field(default_factory=lambda: Expander(Definitions()))

    @property
    def errors(self) -> list[Problem]:
        """The problems that are no warnings."""
        return [problem for problem in self.problems if not problem.warning]


def load(files: Iterable[tuple[str, str]], answered: Callable[[Field], bool] | None = None) -> Loaded:
    """Load rules files.

    Args:
        files: Name and text of each, in the order in which later ones change earlier ones.
        answered: Tells whether the sensor ever answers a field; a rule that asks another one gets a warning.

    Returns:
        The rules without an error, and every problem. A rule with an error is left out, the rest loads.
    """
    loaded = Loaded()
    for name, text in files:
        read_file(name, text, loaded.definitions, loaded.problems)
    loaded.expander = Expander(loaded.definitions)
    compiler = _Compiler(loaded, answered)
    for rule in sorted(loaded.definitions.rules.values(), key=lambda one: one.index):
        try:
            compiler.compile(rule)
        except Wrong as wrong:
            loaded.problems.append(Problem(wrong.what, wrong.place, "rule", rule.name, wrong.next))
    loaded.problems += loaded.expander.problems()
    loaded.problems.sort(key=lambda problem: problem.place)
    return loaded


class _Compiler:
    """Compiles one rule after another; macros are checked once."""

    def __init__(self, loaded: Loaded, answered: Callable[[Field], bool] | None) -> None:
        self.loaded = loaded
        self.answered = answered
        self.lowering = Lowering()
        self.macros: dict[str, Meaningless | None] = {}

    def compile(self, rule: RuleDefinition) -> None:
        if rule.source != SOURCE:
            raise Wrong(
                f"the source {rule.source[:40]!r} is a plug-in of Falco; there are no such events here",
                rule.place,
                "judge it with Falco; the other rules load",
            )
        expander = self.loaded.expander
        expanded = expander.rule(rule.condition, condition_of(rule.exceptions))
        try:
            self._check(expanded)
        except Meaningless as error:
            if not (error.unknown and rule.skip_if_unknown):
                raise Wrong(error.what, expander.place(expanded, error.at), _hint(error)) from error
            self._warn(rule, f"the rule is left out, as it wishes: {error.what}")
            return
        condition = self.lowering.expression(expanded.whole)
        events = events_of(expanded.whole)
        try:
            output = compile_output(rule.output.text.strip())
        except BadOutput as error:
            lead = len(rule.output.text) - len(rule.output.text.lstrip())
            raise Wrong(error.what, rule.output.place(error.at + lead)) from error
        count = len(EVENT_NAMES - events.names if events.others else events.names)
        if rule.warn_event_types and (count == 0 or count > _MANY_EVENTS):
            self._warn(rule, "no event can match the rule" if not count else "the rule looks at more than 100 types")
        made = Rule(rule, expanded, condition, events, output)
        self._warn_unanswered(made)
        self.loaded.rules.append(made)

    def _check(self, expanded: Expanded) -> None:
        """Check the comparisons of a condition and of every macro it uses."""
        for name in expanded.macros:
            self._check_macro(name, self._where(expanded, name))
        for leaf in leaves(expanded.own):
            if not isinstance(leaf, Name):
                comparison(leaf)

    def _where(self, expanded: Expanded, name: str) -> int:
        return next(leaf.at for leaf in leaves(expanded.own) if isinstance(leaf, Name) and leaf.name == name)

    def _check_macro(self, name: str, at: int) -> None:
        if name not in self.macros:
            self.macros[name] = None
            macro = self.loaded.expander.macros[name]
            try:
                self._check(macro)
            except Meaningless as error:
                self.macros[name] = error
                place = self.loaded.expander.place(macro, error.at)
                self.loaded.problems.append(Problem(error.what, place, "macro", name, _hint(error)))
        found = self.macros[name]
        if found is not None:
            raise Meaningless(f"the macro {name!r} cannot be used: {found.what}", at, unknown=found.unknown)

    def _warn(self, rule: RuleDefinition, what: str, next: str = "") -> None:  # noqa: A002 - the words of the house
        self.loaded.problems.append(Problem(what, rule.place, "rule", rule.name, next, warning=True))

    def _warn_unanswered(self, rule: Rule) -> None:
        if self.answered is None:
            return
        silent = sorted({one.name for one in fields_asked(rule.condition) if not self.answered(one)})
        if silent:
            self._warn(rule.definition, f"the sensor never answers {', '.join(silent)}: such a comparison is false")


def _hint(error: Meaningless) -> str:
    return "holdfast rules fields lists every field" if error.unknown else ""


def fields_asked(condition: Expr) -> set[Field]:
    """Return the fields that a condition asks, those inside derived facts too."""
    found: set[Field] = set()
    open_: list[Fact[Any]] = [atom.fact for atom in atoms(condition)]
    while open_:
        fact = open_.pop()
        if isinstance(fact, Field):
            found.add(fact)
        open_.extend(getattr(fact, "parts", ()))
    return found


class Asked(Protocol):
    """An event, as far as rules need it."""

    name: str

    def get(self, fact: Fact[Any]) -> Any:
        """Return the bare answer, None where there is none."""
        ...


class Ruleset:
    """Rules that judge events, compiled for each type of event when the first of it comes."""

    __slots__ = ("_every", "_judges", "_type", "rules")

    def __init__(self, rules: Sequence[Rule], *, every: bool = False) -> None:
        """Take the rules that are enabled.

        Args:
            rules: In load order.
            every: ``judge`` returns every rule that matches; else the first, as Falco's ``rule_matching: first``.
        """
        self.rules = [rule for rule in rules if rule.definition.enabled]
        self._every = every
        self._judges: dict[str, Judge | None] = {}
        self._type = field_named("evt.type")

    def judge(self, event: Asked) -> list[Rule]:
        """Return the rules that match an event; at most one unless every match was asked for."""
        judge = self._judges.get(event.name, self)
        if judge is self:
            judge = self._compile(event.name)
        if judge is None:
            return []
        found = judge(event.get)  # type: ignore[operator]
        if self._every:
            return [self.rules[number] for number in found]
        return [] if found is None else [self.rules[found]]

    def of(self, name: str) -> list[Rule]:
        """Return the rules that can match events of one type."""
        return [rule for rule in self.rules if name in rule.events]

    def wanted(self) -> frozenset[str]:
        """Return the types of events that some rule can match."""
        return frozenset(name for name in EVENT_NAMES if any(name in rule.events for rule in self.rules))

    def prepare(self) -> None:
        """Compile the rules for every type that is wanted, so that no event waits for it."""
        for name in self.wanted():
            if name not in self._judges:
                self._compile(name)

    def _compile(self, name: str) -> Judge | None:
        conditions = [(number, rule.condition) for number, rule in enumerate(self.rules) if name in rule.events]
        judge = self._judges[name] = compile_rules(conditions, self._type, name, every=self._every)
        return judge
