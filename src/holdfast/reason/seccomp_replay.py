"""Replay calls against a seccomp profile without a kernel: what was recorded must pass, what serves to break out not.

The rules are asked, or the program that libseccomp makes of them; both answer for every way into the kernel that the
machine has, also for those that the profile does not name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast.model.system_call import SystemCall
from holdfast.model.truth import NO, YES, Truth
from holdfast.policies.seccomp import NEVER, NEVER_VALUES
from holdfast.reason.effective.bpf import Action
from holdfast.reason.effective.seccomp_document import read
from holdfast.reason.effective.seccomp_judges import ProfileJudge, Surroundings
from holdfast.reason.effective.seccomp_paths import ANY, ANY_ARGUMENTS, Bits, Decision, Filters, exactly
from holdfast.reason.effective.seccomp_profile import Profile
from holdfast.reason.effective.syscall_members import Question, questions
from holdfast.reason.effective.syscall_table import AUDIT_ARCH, ENTRIES, numbers

_LOW = 0xFFFFFFFF
_KILLED = Decision(frozenset({Action.KILL_THREAD}))
# include/uapi/linux/personality.h: without random addresses, with the first page mapped, with readable code executable.
_BARRED_PERSONALITIES = (0x0040000, 0x0100000, 0x0400000, 0x0040008, 0x0140000)


class Judge(Protocol):
    """Answers for one call by one way into the kernel."""

    def decide(self, name: str, entry: str, args: tuple[Bits, ...]) -> Decision:
        """Tell what becomes of a call.

        Args:
            name: A call that the entry has.
            entry: ``x86_64``, ``i386``, ``x32``, ``aarch64``.
            args: Six arguments.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """A profile without gates, as rules.

    Attributes:
        profile: From ``seccomp_document.read``.
        machine: Of uname(2); its own way into the kernel is always covered.
    """

    profile: Profile
    machine: str = "x86_64"

    def decide(self, name: str, entry: str, args: tuple[Bits, ...]) -> Decision:
        """Tell what becomes of a call."""
        if entry != self.machine and entry not in self.profile.entries:
            return _KILLED
        return self.profile.decide(name, entry, args, ())


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program that the kernel runs.

    Attributes:
        filters: From ``seccomp_paths.filters``, or made of the bytes.
    """

    filters: Filters

    def decide(self, name: str, entry: str, args: tuple[Bits, ...]) -> Decision:
        """Tell what becomes of a call."""
        return self.filters.decide(AUDIT_ARCH[entry], numbers(entry)[name], args)


@dataclass(frozen=True, slots=True)
class Opening:
    """Something that serves to break out and is not certainly refused.

    Attributes:
        member: ``mount``, ``socket:AF_ALG``, ``personality:0x40000``.
        entry: The way into the kernel by which it passes.
        truth: YES, or UNKNOWN where the arguments decide in a way nobody can tell.
    """

    member: str
    entry: str
    truth: Truth


@dataclass(frozen=True, slots=True)
class Replay:
    """The outcome.

    Attributes:
        refused: Recorded calls that do not certainly pass.
        openings: What serves to break out and may pass.
        asked: Questions that were answered.
    """

    refused: tuple[SystemCall, ...]
    openings: tuple[Opening, ...]
    asked: int

    @property
    def holds(self) -> bool:
        """All that was recorded passes and nothing else that matters does."""
        return not self.refused and not self.openings


def replay(
    judge: Judge, recorded: Iterable[SystemCall], machine: str = "x86_64", accepted: Iterable[str] = ()
) -> Replay:
    """Ask about everything that was recorded and everything that serves to break out.

    Args:
        judge: The profile, or the program made of it.
        recorded: What must pass.
        machine: Of uname(2).
        accepted: Members that may pass, as in ``policies.seccomp.plan``.
    """
    calls = sorted(set(recorded), key=lambda one: (one.entry, one.name, str(one.args)))
    refused = tuple(one for one in calls if not passes(judge, one))
    let = frozenset(accepted)
    found, asked = [], len(calls)
    for member, question in barred(machine):
        if member in let or member.partition(":")[0] in let:
            continue
        asked += 1
        truth = judge.decide(question.name, question.entry, question.args).allowed
        if truth is not NO:
            found.append(Opening(member, question.entry, truth))
    return Replay(refused, tuple(found), asked)


def passes(judge: Judge, call: SystemCall) -> bool:
    """Tell whether a recorded call certainly passes, whatever was not recorded of its arguments.

    A call of which an argument that matters was not recorded counts as passing where some value passes: what nobody
    saw can be held against nobody.
    """
    if call.name not in numbers(call.entry):
        return False
    args = [ANY if value is None else exactly(value) for value in call.args[:6]]
    decision = judge.decide(call.name, call.entry, (*args, *ANY_ARGUMENTS[len(args) :]))
    return bool(decision.sure & {Action.ALLOW, Action.LOG})


def barred(machine: str = "x86_64") -> Iterator[tuple[str, Question]]:
    """Yield what must never pass by itself, asked in every way the machine has: (member, question)."""
    members = [*NEVER, *(f"{call}:{name}" for call, (names, _) in NEVER_VALUES.items() for name in names), "clone3"]
    for entry in ENTRIES[machine]:
        for member in members:
            for question in questions(member, entry):
                yield member, question
        for value in _BARRED_PERSONALITIES:
            args = (Bits(_LOW, value), *ANY_ARGUMENTS[1:])
            yield f"personality:{value:#x}", Question("personality", entry, numbers(entry)["personality"], args)


def untested(document: Mapping[str, Any], recorded: Sequence[SystemCall], machine: str = "x86_64") -> tuple[str, ...]:
    """Return the names whose removal from a profile no replay notices: let through, but never seen in use.

    Args:
        document: The profile.
        recorded: What is replayed; the runtime's own calls may be among them.
        machine: Of uname(2).

    Raises:
        NotUnderstood: A runtime would refuse the profile.
    """
    entries = [entry for entry in document.get("syscalls") or () if entry.get("action") == "SCMP_ACT_ALLOW"]
    names = sorted({name for entry in entries for name in entry.get("names") or (entry.get("name", ""),)})
    whole = read(document, machine)
    before = [one for one in recorded if passes(Rules(whole, machine), one)]
    found = []
    for name in names:
        near = {name, "socketcall"} if name == "socket" else {name}
        without = Rules(Profile(whole.default, _lacking(whole, name), whole.entries), machine)
        if not any(one.name in near and not passes(without, one) for one in before):
            found.append(name)
    return tuple(found)


def _lacking(profile: Profile, name: str) -> dict[str, Any]:
    return {call: rules for call, rules in profile.rules.items() if call != name}


def wider(document: object, default: Sequence[Profile], around: Surroundings) -> tuple[str, ...]:
    """Return the calls that a profile lets through and the engine's default does not: each needs a reason.

    Args:
        document: The profile.
        default: From ``seccomp_releases.candidates``; of several only what none lets through counts.
        around: The container's capabilities and its machine, which must be named.

    Raises:
        NotUnderstood: A runtime would refuse the profile.
    """
    (machine,) = around.machines
    mine, theirs = ProfileJudge((read(document, machine),), around), ProfileJudge(tuple(default), around)
    names = sorted({name for entry in ENTRIES[machine] for name in numbers(entry)})
    return tuple(one for one in names if mine.allowed(one) is YES and theirs.allowed(one) is NO)
