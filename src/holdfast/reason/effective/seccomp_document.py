"""Read a seccomp profile that somebody wrote: Docker's JSON shape, or the OCI runtime's.

A profile that the runtime would refuse is refused here, with the reason: the container does not start with it, so
nothing may be concluded from the part that can be read.

Source:
    https://docs.docker.com/engine/security/seccomp/
    https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.model.errors import NotUnderstood
from holdfast.reason.effective.bpf import Action
from holdfast.reason.effective.seccomp_profile import FULL, OPEN, Answer, Condition, Gate, Profile, Rule

_EPERM = 1
_MOST_RULES = 100_000

ACTIONS = {
    "SCMP_ACT_ALLOW": Action.ALLOW,
    "SCMP_ACT_LOG": Action.LOG,
    "SCMP_ACT_TRACE": Action.TRACE,
    "SCMP_ACT_NOTIFY": Action.USER_NOTIF,
    "SCMP_ACT_ERRNO": Action.ERRNO,
    "SCMP_ACT_TRAP": Action.TRAP,
    "SCMP_ACT_KILL": Action.KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": Action.KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": Action.KILL_PROCESS,
}
OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
_ENTRIES = {"SCMP_ARCH_X86": "i386", "SCMP_ARCH_X32": "x32", "SCMP_ARCH_X86_64": "x86_64"}
_NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "i386": "SCMP_ARCH_X86", "aarch64": "SCMP_ARCH_AARCH64"}


def read(document: object, machine: str) -> Profile:
    """Read a profile for one machine.

    Args:
        document: The JSON as plain dicts and lists.
        machine: ``x86_64``, ``aarch64``: decides which entry of an architecture map counts.

    Raises:
        NotUnderstood: A runtime would refuse the profile.
    """
    profile = _mapping(document, "the profile")
    default = _answer(profile, "defaultAction", "defaultErrnoRet")
    rules: dict[str, tuple[Rule, ...]] = {}
    count = 0
    for number, entry in enumerate(_sequence(profile.get("syscalls"), "syscalls")):
        place = f"syscalls/{number}"
        for name, more in _rules(_mapping(entry, place), place):
            rules[name] = (*rules.get(name, ()), *more)
            count += len(rules[name])
            if count > _MOST_RULES:
                raise _refused(f"has more than {_MOST_RULES} rules", place)
    return Profile(default, rules, _entries(profile, machine))


def _rules(entry: Mapping[str, Any], place: str) -> list[tuple[str, tuple[Rule, ...]]]:
    names = _texts(entry.get("names"), f"{place}/names")
    single = entry.get("name")
    if single:
        if names or not isinstance(single, str):
            raise _refused("has both name and names, or a name that is no text", place)
        names = [single]
    answer = _answer(entry, "action", "errnoRet", place)
    gate = _gate(entry, place)
    conditions = tuple(
        _condition(_mapping(one, f"{place}/args/{index}"), f"{place}/args/{index}")
        for index, one in enumerate(_sequence(entry.get("args"), f"{place}/args"))
    )
    if len({one.index for one in conditions}) < len(conditions):
        # libseccomp takes one comparison for each argument. runc and crun then add each comparison as a rule of its
        # own, so what reads as "and" becomes "or".
        rules = tuple(Rule(answer, (one,), gate) for one in conditions)
    else:
        rules = (Rule(answer, conditions, gate),)
    return [(name, rules) for name in names]


def _condition(entry: Mapping[str, Any], place: str) -> Condition:
    index, op = entry.get("index", 0), entry.get("op", "")
    operator = op.removeprefix("SCMP_CMP_") if isinstance(op, str) else ""
    if not _whole(index) or not 0 <= index <= 5:
        raise _refused(f"has argument index {index!r}, not 0 to 5", place)
    if operator not in OPERATORS or not op.startswith("SCMP_CMP_"):
        raise _refused(f"has the unknown operator {op!r}", place)
    value, second = entry.get("value", 0), entry.get("valueTwo", 0)
    for one in (value, second):
        if not _whole(one) or not 0 <= one <= FULL:
            raise _refused(f"has the value {one!r}, which is no 64-bit number", place)
    return Condition(index, operator, value, second)


def _gate(entry: Mapping[str, Any], place: str) -> Gate:
    includes = _mapping(entry.get("includes") or {}, f"{place}/includes")
    excludes = _mapping(entry.get("excludes") or {}, f"{place}/excludes")
    gate = Gate(
        frozenset(_texts(includes.get("caps"), f"{place}/includes/caps")),
        frozenset(_texts(excludes.get("caps"), f"{place}/excludes/caps")),
        frozenset(_texts(includes.get("arches"), f"{place}/includes/arches")),
        frozenset(_texts(excludes.get("arches"), f"{place}/excludes/arches")),
        _kernel(includes.get("minKernel"), f"{place}/includes"),
        _kernel(excludes.get("minKernel"), f"{place}/excludes"),
    )
    return OPEN if gate == OPEN else gate


def _kernel(value: object, place: str) -> tuple[int, int]:
    if value in {None, ""}:
        return 0, 0
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise _refused(f"has minKernel {value!r}, not a version such as 4.8", place)
    return int(parts[0]), int(parts[1])


def _entries(profile: Mapping[str, Any], machine: str) -> frozenset[str]:
    """Find which other ways into the kernel the filter covers. libseccomp always covers the machine's own."""
    listed = _texts(profile.get("architectures"), "architectures")
    mapped = _sequence(profile.get("archMap"), "archMap")
    if listed and mapped:
        raise _refused("has both architectures and archMap", "archMap")
    for number, one in enumerate(mapped):
        entry = _mapping(one, f"archMap/{number}")
        if entry.get("architecture") == _NATIVE.get(machine):
            listed = _texts(entry.get("subArchitectures"), f"archMap/{number}/subArchitectures")
            break
    return frozenset(_ENTRIES[one] for one in listed if one in _ENTRIES)


def _answer(entry: Mapping[str, Any], key: str, errno_key: str, place: str = "") -> Answer:
    named = entry.get(key)
    action = ACTIONS.get(named) if isinstance(named, str) else None
    if action is None:
        raise _refused(f"has the unknown {key} {named!r}", place)
    number = entry.get(errno_key)
    if number is not None and not (_whole(number) and 0 <= number <= 0xFFFF):
        raise _refused(f"has the {errno_key} {number!r}, which is no errno", place)
    if action is not Action.ERRNO:
        return action, 0
    return action, _EPERM if number is None else number


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _mapping(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _refused("is no object", place)
    return value


def _sequence(value: object, place: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise _refused("is no list", place)
    return list(value)


def _texts(value: object, place: str) -> list[str]:
    found = _sequence(value, place)
    if not all(isinstance(one, str) for one in found):
        raise _refused("holds what is no text", place)
    return found


def _refused(what: str, place: str) -> NotUnderstood:
    return NotUnderstood(f"the seccomp profile {what}", place, "correct the profile; a runtime refuses it as it stands")
