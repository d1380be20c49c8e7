"""A technique: one way out of a container, as data that other rooms interpret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from holdfast.model.change import Change
from holdfast.model.facts import Fact
from holdfast.model.logic import Expr
from holdfast.model.truth import Truth

Situation = dict[Fact[Any], object]
"""Bare answers, for examples and sample events."""


def unseen(situation: Situation, *facts: Fact[Any]) -> Situation:
    """Return the situation with some questions unanswered."""
    return {fact: value for fact, value in situation.items() if fact not in facts}


class Evidence(Enum):
    """Where the knowledge comes from."""

    SOURCE = "S"
    DEDUCED = "D"
    COMMON_KNOWLEDGE = "K"


class DrillClass(Enum):
    """How far a harmless attempt can go."""

    D3 = "canary only, no global effect"
    D2 = "changes a global setting for a moment; only in a disposable virtual machine"
    D1 = "surface probe only"
    D0 = "never run"


@dataclass(frozen=True, slots=True)
class Step:
    """One harmless act of a drill, from a closed set."""

    act: str
    args: Mapping[str, str] = field(default_factory=dict)


class ProvedBy(Enum):
    """What counts as proof that a way out was gone. What the process inside says of itself never does."""

    WRITTEN = "a file with the attempt's token appeared on the host's side"
    READ = "a secret that was planted on the host's side came back"
    HEARD = "a listener on the host's side heard the attempt's token"
    STARTED = "what was left on the host was started there by somebody else and had root's rights"
    SURFACE = "the kernel's answer to the last step: it would have let the attempt go on"


@dataclass(frozen=True, slots=True)
class Way:
    """One harmless attempt at a technique.

    Attributes:
        title: What is tried, in a person's words.
        steps: In order; each must succeed, or the attempt is over. Words in braces are filled in when it is made
            (``drill/places.py`` lists them); one of them may stand for several places, which are then tried in turn.
        proved_by: What counts as success.
        answers: For SURFACE: ``ok`` or names of errors, each of which the kernel gives only after it let the process
            through.
        global_effect: It changes a setting of the whole machine for a moment. Only in a disposable virtual machine,
            or where somebody has agreed to it.
        in_host: Namespaces (``pid``, ``net``, ``ipc``, ``cgroup``, ``user``) that must be the host's own for a success
            to count; the runner compares them itself.
        needs: Parts that must run on the host to act on what is left there: ``systemd``, ``kubelet``, ...
        loads: File system type whose kernel module the first step would load where it is not there yet; that stays
            loaded, so it counts as a global effect.
        wide_needs: The same where not the directory itself is mounted but one above it, which says nothing of its use.
    """

    title: str
    steps: tuple[Step, ...]
    proved_by: ProvedBy
    answers: frozenset[str] = frozenset({"ok"})
    global_effect: bool = False
    needs: tuple[str, ...] = ()
    wide_needs: tuple[str, ...] = ()
    loads: str = ""
    in_host: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Example:
    """A situation and the verdict that must come out of it.

    Attributes:
        title: What the situation is.
        facts: Bare answers; a fact that is not named is unknown.
        verdict: What ``exposed_when`` must say.
    """

    title: str
    facts: Mapping[Fact[Any], object]
    verdict: Truth


@dataclass(frozen=True, slots=True)
class Technique:
    """One way out.

    Attributes:
        title: One line, a person's words.
        row: Number of the row in the public list of escapes that this file answers.
        attack: MITRE ATT&CK ids.
        since: Version of Holdfast that had it first.
        evidence: How the knowledge was come by.
        confirmed: A drill has shown that prediction and reality agree. False for deduced and common knowledge
            until then.
        exposed_when: The condition over effective facts.
        gives: What the attacker has afterwards: goals (``reach.*``) or facts that open other techniques.
        closed_by: Changes that each end it. Proved: applied to every exposed example, the verdict is NO.
        seen_as: How it looks at run time, as a condition over event facts; NEVER where it makes no call to see.
        seen_sample: Bare event facts on which ``seen_as`` fires; empty only where ``seen_as`` is NEVER.
        drill_class: How far a harmless attempt can go.
        drill: Harmless attempts; the technique works where one of them does. Empty where nothing can be tried.
        examples: At least one YES, one NO and one UNKNOWN.
        sources: Addresses a reader can open.
        id: The file's name with ``-``; set by the loader.
        page: The file's docstring; set by the loader.
    """

    title: str
    row: int
    attack: tuple[str, ...]
    evidence: Evidence
    exposed_when: Expr
    gives: tuple[Change, ...]
    closed_by: tuple[Change, ...]
    seen_as: Expr
    seen_sample: Mapping[Fact[Any], object]
    drill_class: DrillClass
    examples: tuple[Example, ...]
    sources: tuple[str, ...]
    drill: tuple[Way, ...] = ()
    confirmed: bool = False
    since: str = "0.1"
    id: str = ""
    page: str = ""
