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
    """Tell whether the kernel lets this container inspect the other: same user, and no fewer capabilities."""
    privileged, added, dropped = (_value(mine, fact) for fact in RIGHTS)
    first, second = _user(mine), _user(other)
    if first == "0" and privileged is True:
        return "same"
    if not first or not second or not isinstance(added, tuple) or not isinstance(dropped, tuple):
        return "unsure"
    plain = privileged is False and added == ()
    if first != second:
        return "apart" if plain else "unsure"
    theirs, theirs_added, theirs_dropped = (_value(other, fact) for fact in RIGHTS)
    if not isinstance(theirs_added, tuple) or not isinstance(theirs_dropped, tuple):
        return "unsure"
    if theirs is True:
        return "apart" if plain and first == "0" else "unsure"
    covers = set(added) >= set(theirs_added) and set(dropped) <= set(theirs_dropped)
    return "same" if covers and theirs is privileged is False else "unsure"


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


def _value(answers: Answers, fact: Fact[Any]) -> object:
    told: Seen[Any] | Absent | None = answers.get(fact)
    return told.value if isinstance(told, Seen) else None
