"""seccomp profiles from what was recorded: as small as it can be, and no smaller than the runtime needs.

A profile lets through what was recorded, what the runtime calls itself before the program begins, what C libraries
interchange with these, and what any process needs to end. What serves to break out is not let through because somebody
happened to record it: it is withheld, and named. All else is answered with ENOSYS, as by a kernel that has no such
call, so that programs fall back to older calls.

Source:
    https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
    https://github.com/opencontainers/runc/issues/2151 (why ENOSYS)
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.model.system_call import SystemCall
from holdfast.policies._seccomp_names import (
    ALIKE,
    ALWAYS,
    CLONE_FLAGS,
    NEVER,
    NEVER_VALUES,
    PERSONALITIES,
    SOCKET_FAMILIES,
    USUAL_FAMILIES,
)
from holdfast.policies._seccomp_needs import MEASURED, Expected, Needs, expected
from holdfast.policies._seccomp_values import LOW, Masked, equal, others

__all__ = [
    "ALWAYS", "ARCHITECTURES", "MEASURED", "MEDIA_TYPE", "NEVER", "NEVER_VALUES", "Expected", "Needs", "Plan", "Rule",
    "Withheld", "expected", "plan", "write",
]  # fmt: skip

MEDIA_TYPE = "application/json"
ALLOW, DENY = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
ARCHITECTURES = {
    "x86_64": "SCMP_ARCH_X86_64",
    "i386": "SCMP_ARCH_X86",
    "x32": "SCMP_ARCH_X32",
    "aarch64": "SCMP_ARCH_AARCH64",
}
_FILTERED = frozenset({"clone", "clone3", "ioctl", "personality", "socket"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of a profile.

    Attributes:
        names: Calls.
        action: ``SCMP_ACT_ALLOW`` or ``SCMP_ACT_ERRNO``.
        errno: Answer where the action is not to allow.
        condition: What an argument must be; None for any.
        comment: Why it is there.
    """

    names: tuple[str, ...]
    action: str
    errno: int = 0
    condition: Masked | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Withheld:
    """Something recorded that serves to break out.

    Attributes:
        member: ``mount``, or with the value ``socket:AF_ALG``.
        why: What it serves for.
        accepted: Somebody accepted it, so it is let through.
    """

    member: str
    why: str
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A profile before it is written.

    Attributes:
        entries: Ways into the kernel it covers.
        rules: In the order they are written.
        withheld: What was recorded and needs a decision.
        notes: What a reader should know, whole sentences.
    """

    entries: tuple[str, ...]
    rules: tuple[Rule, ...]
    withheld: tuple[Withheld, ...]
    notes: tuple[str, ...]

    @property
    def allowed(self) -> frozenset[str]:
        """The calls that some arguments let through."""
        return frozenset(name for rule in self.rules if rule.action == ALLOW for name in rule.names)


def plan(
    recorded: Iterable[SystemCall],
    runtime: Expected,
    tables: Mapping[str, Collection[str]],
    accepted: Collection[str] = (),
) -> Plan:
    """Decide what a profile lets through.

    Args:
        recorded: What the workload called.
        runtime: From ``needs.expected``.
        tables: Names of the calls that each way into the kernel has, the machine's own first: the runtime uses it. The
            ways that were recorded must be among them.
        accepted: What may be let through although it serves to break out: ``mount``, ``clone:CLONE_NEWUSER``.

    Raises:
        KeyError: A way into the kernel was recorded that ``tables`` lacks.
    """
    calls = sorted(set(recorded), key=lambda one: (one.entry, one.name, str(one.args)))
    entries = tuple(dict.fromkeys((next(iter(tables)), *(one.entry for one in calls))))
    there = frozenset(name for entry in entries for name in tables[entry])
    withheld = tuple(_withheld(calls, accepted))
    granted = {one.member for one in withheld if one.accepted}
    barred = frozenset(NEVER) - granted
    seen = frozenset(one.name for one in calls) & there - barred
    own = (runtime.calls | set(ALWAYS)) & there - seen - barred
    alike = _alike(seen | own) & there - barred
    everything = seen | own | alike
    rules: list[Rule] = []
    for names, comment in (
        (seen, "recorded"),
        (own, f"the runtime's own, {runtime.said}; and what ends a process or a signal"),
        (alike - seen - own, "what C libraries use in place of the others"),
    ):
        plain = tuple(sorted(names - _FILTERED))
        if plain:
            rules.append(Rule(plain, ALLOW, 0, None, comment))
    rules += _filtered(everything, calls, granted)
    if "socket" in everything:
        rules += _socket(calls, granted, multiplexed="socketcall" in there)
    denied = tuple(sorted(barred & there - everything))
    if denied:
        rules.append(Rule(denied, DENY, EPERM, None, "serves to break out"))
    return Plan(entries, tuple(rules), withheld, tuple(_notes(calls, runtime, everything)))


def write(planned: Plan) -> bytes:
    """Write a profile that Docker, Podman, containerd, CRI-O and the OCI runtimes read.

    Args:
        planned: From ``plan``.

    Returns:
        JSON with a newline at the end; the same plan gives the same bytes.
    """
    document = {
        "defaultAction": DENY,
        "defaultErrnoRet": ENOSYS,
        "architectures": [ARCHITECTURES[entry] for entry in planned.entries],
        "syscalls": [_written(rule) for rule in planned.rules],
    }
    return (json.dumps(document, indent=2) + "\n").encode("ascii")


def _written(rule: Rule) -> dict[str, Any]:
    entry: dict[str, Any] = {"names": list(rule.names), "action": rule.action}
    if rule.action == DENY:
        entry["errnoRet"] = rule.errno
    if rule.condition is not None:
        entry["args"] = [rule.condition.written()]
    if rule.comment:
        entry["comment"] = rule.comment
    return entry


def _alike(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name for group in ALIKE if group & names for name in group)


def _withheld(calls: Iterable[SystemCall], accepted: Collection[str]) -> Iterator[Withheld]:
    found: dict[str, str] = {}
    for one in calls:
        if one.name in NEVER:
            found[one.name] = NEVER[one.name]
        for name, why in _values(one):
            found[f"{one.name}:{name}"] = why
    for member, why in sorted(found.items()):
        yield Withheld(member, why, member in accepted or member.partition(":")[0] in accepted)


def _values(call: SystemCall) -> Iterator[tuple[str, str]]:
    """Yield the values of a call's arguments that serve to break out."""
    if call.name == "personality":
        value = call.argument(0)
        if value is not None and value & LOW not in PERSONALITIES:
            yield f"{value & LOW:#x}", "it takes away the randomness of addresses, or opens the first page"
    if call.name not in NEVER_VALUES:
        return
    constants, why = NEVER_VALUES[call.name]
    value = call.argument(1 if call.name == "ioctl" else 0)
    if value is None:
        return
    for name, number in constants.items():
        if value & number if call.name == "clone" else value & LOW == number:
            yield name, why


def _filtered(names: frozenset[str], calls: Collection[SystemCall], granted: Collection[str]) -> Iterator[Rule]:
    """Yield the rules of the calls whose arguments decide."""
    if "clone" in names:
        yield from _clone(granted)
    if "clone3" in names or "clone" in names:
        yield Rule(("clone3",), DENY, ENOSYS, None, "its flags lie in memory; C libraries fall back to clone")
    if "personality" in names:
        asked = [one.argument(0) for one in calls if one.name == "personality"]
        known = {value & LOW for value in asked if value is not None}
        kept = {one for one in known if one in PERSONALITIES or f"personality:{one:#x}" in granted}
        for condition in equal(0, PERSONALITIES if None in asked else kept):
            yield Rule(("personality",), ALLOW, 0, condition)
    if "ioctl" in names:
        constants, why = NEVER_VALUES["ioctl"]
        barred = [number for name, number in constants.items() if f"ioctl:{name}" not in granted]
        for condition in others(1, barred):
            yield Rule(("ioctl",), ALLOW, 0, condition)
        for condition in equal(1, barred):
            yield Rule(("ioctl",), DENY, EPERM, condition, why)


def _clone(granted: Collection[str]) -> Iterator[Rule]:
    held = {name: flag for name, flag in CLONE_FLAGS.items() if f"clone:{name}" not in granted}
    kept = Masked(0, sum(held.values()), 0) if held else None
    yield Rule(("clone",), ALLOW, 0, kept, "without namespaces of its own")
    for flag in held.values():
        yield Rule(("clone",), DENY, EPERM, Masked(0, flag, flag))


def _socket(calls: Collection[SystemCall], granted: Collection[str], *, multiplexed: bool) -> Iterator[Rule]:
    asked = [one.argument(0) for one in calls if one.name == "socket"]
    families = {value & LOW for value in asked if value is not None}
    if None in asked or not asked:
        families |= set(USUAL_FAMILIES.values())
    families -= {number for name, number in SOCKET_FAMILIES.items() if f"socket:{name}" not in granted}
    for condition in equal(0, families):
        yield Rule(("socket",), ALLOW, 0, condition)
    if multiplexed:
        # libseccomp makes a rule for socketcall of each, without the family; with several answers they contradict each
        # other, and the runtime refuses the profile.
        return
    barred = set(SOCKET_FAMILIES.values()) - families
    for condition in equal(0, barred):
        yield Rule(("socket",), DENY, EPERM, condition, NEVER_VALUES["socket"][1])
    for condition in others(0, families | barred):
        yield Rule(("socket",), DENY, EAFNOSUPPORT, condition)


def _notes(calls: Collection[SystemCall], runtime: Expected, names: frozenset[str]) -> Iterator[str]:
    if not runtime.measured:
        yield f"The runtime's own calls: {runtime.said}."
    for name, index in (("socket", 0), ("personality", 0)):
        if name in names and any(one.argument(index) is None for one in calls if one.name == name):
            yield f"Arguments of {name} were not recorded; the usual values are let through."
    if not calls:
        yield "Nothing was recorded: the profile starts a program that only ends."
