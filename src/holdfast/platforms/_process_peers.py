"""Whether containers that share a process namespace may look into each other.

Source:
    ptrace(2), "Ptrace access mode checking"; proc_pid_root(5)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.model.facts import Absent, Fact, Seen
from holdfast.model.place import Where
from holdfast.model.words import declared

RIGHTS: tuple[Fact[Any], ...] = (declared.PRIVILEGED, declared.CAPABILITIES_ADDED, declared.CAPABILITIES_DROPPED)
"""Besides the user, what decides whether one process may inspect another."""
_ROOT = frozenset({"", "0", "root"})

Answers = Mapping[Fact[Any], Any]


def peers(mine: Answers, others: Iterable[tuple[str, Answers]], where: Where) -> Seen[str]:
    """Answer ``declared.process_peers``.

    Args:
        mine: What this container asks for.
        others: Name and answers of each container whose processes it sees.
        where: Where the namespace is asked to be shared.
    """
    found = {name: _compared(mine, other) for name, other in others}
    for answer in ("same", "unsure", "apart"):
        names = [name for name, told in found.items() if told == answer]
        if names:
            return Seen(answer, where, f"shares a process namespace with {', '.join(names[:5])}")
    return Seen("none", where)


def _compared(mine: Answers, other: Answers) -> str:
    first, second = _user(mine), _user(other)
    if not first or not second:
        return "unsure"
    if first != second:
        plain = _value(mine, declared.PRIVILEGED) is False and _value(mine, declared.CAPABILITIES_ADDED) == ()
        return "apart" if plain else "unsure"
    return "same" if all(_alike(mine, other, fact) for fact in RIGHTS) else "unsure"


def _user(answers: Answers) -> str:
    """Return the user id; empty where it is not known. An image that names none is taken to run as root."""
    told = answers.get(declared.USER)
    if isinstance(told, Seen) and isinstance(told.value, str):
        name = told.value.partition(":")[0]
    elif declared.USER_BY_IMAGE in answers and _value(answers, declared.RUN_AS_NON_ROOT) is not True:
        name = ""
    else:
        return ""
    return "0" if name in _ROOT else name if name.isdecimal() else ""


def _alike(mine: Answers, other: Answers, fact: Fact[Any]) -> bool:
    first, second = _value(mine, fact), _value(other, fact)
    if isinstance(first, tuple) and isinstance(second, tuple):
        return set(first) == set(second)
    return first is not None and first == second


def _value(answers: Answers, fact: Fact[Any]) -> object:
    told: Seen[Any] | Absent | None = answers.get(fact)
    return told.value if isinstance(told, Seen) else None
