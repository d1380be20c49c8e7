"""The rules of ``holdfast watch``: the good ones load, what is wrong with others is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from holdfast.app import rules as rule_files
from holdfast.model.comparisons import Comparison
from holdfast.model.errors import NotUnderstood
from holdfast.model.event import Answer
from holdfast.model.facts import Fact
from holdfast.model.logic import atoms
from holdfast.reports._plain import one_line
from holdfast.rules.fields import Field
from holdfast.rules.ruleset import Rule, Ruleset, fields_asked, load
from holdfast.sensor.accounts import Accounts
from holdfast.sensor.answers import Answers
from holdfast.sensor.answers_socket import NAMES
from holdfast.sensor.domain_names import DomainNames
from holdfast.sensor.layers import Layers

_SHOWN = 20
_NOWHERE = "/nonexistent"
_LOCAL = (
    "user.name", "user.homedir", "user.shell", "user.loginname", "group.name", "evt.hostname", "evt.arg.uid",
    "proc.exe_ino.", "proc.is_exe_upper_layer", "proc.is_exe_lower_layer", *NAMES,
)  # fmt: skip


def loaded(files: Sequence[str], say: Callable[[str], None]) -> Ruleset | None:
    """Load rules files.

    Args:
        files: Rules files, or folders with some.
        say: Is given a line for each thing that is wrong.

    Returns:
        The rules without an error that are enabled; None where no file was named.

    Raises:
        NotReachable: A file is not there or cannot be read.
        NotUnderstood: No rule is left.
    """
    if not files:
        return None
    found = load(rule_files.texts(files), lambda field: Answers().answer_for(field.name) is not None)
    for problem in found.errors[:_SHOWN]:
        subject = f"{problem.subject} {problem.name!r}: " if problem.name else ""
        say(one_line(f"{problem.place}: error: {subject}{problem.what}", 0))
    if len(found.errors) > _SHOWN:
        say(f"and {len(found.errors) - _SHOWN} more errors; holdfast rules check lists all")
    if not found.rules and found.errors:
        raise NotUnderstood("no rule could be loaded", ", ".join(files), "holdfast rules check FILE")
    return Ruleset(found.rules)


def names(rules: Iterable[Rule]) -> set[str]:
    """Return the domain names that rules compare addresses with."""
    found: set[str] = set()
    for rule in rules:
        for atom in atoms(rule.condition):
            if isinstance(atom.fact, Field) and atom.fact.name in NAMES and isinstance(atom.value, Comparison):
                value = atom.value.value
                found.update([value] if isinstance(value, str) else value)
    return found


def answers(rules: Iterable[Rule], *, here: bool = True, names: DomainNames | None = None) -> dict[Fact[Any], Answer]:
    """Return how every field is answered that rules ask or print.

    Args:
        rules: The rules.
        here: False asks nothing of this machine: the events happened on another, or some time ago.
        names: Tells domain names of addresses.
    """
    known = Answers(names=names) if here else Answers(Accounts(_NOWHERE, _NOWHERE), Layers(_NOWHERE))
    found: dict[Fact[Any], Answer] = {}
    for field in _asked(rules):
        answer = known.answer_for(field.name)
        if answer is not None:
            found[field] = answer
    return found


def local(rules: Iterable[Rule]) -> list[Field]:
    """Return the fields that rules ask and that only the machine itself can answer, such as names of users."""
    return sorted((one for one in _asked(rules) if one.name.startswith(_LOCAL)), key=lambda one: one.name)


def _asked(rules: Iterable[Rule]) -> set[Field]:
    asked: set[Field] = set()
    for rule in rules:
        asked |= fields_asked(rule.condition)
        for slot in rule.output.slots:
            open_: list[Fact[Any]] = [slot.fact]
            while open_:
                fact = open_.pop()
                if isinstance(fact, Field):
                    asked.add(fact)
                open_.extend(getattr(fact, "parts", ()))
    return asked
