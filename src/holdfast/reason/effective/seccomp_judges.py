"""Ask filters about a member for every way into the kernel, and for everything that was not seen.

Three things are often unseen: the machine, whether its kernel has a 32-bit entry, and which gates of a profile are
open. Each possibility is asked; only where all agree is the answer sure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Protocol

from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import Members
from holdfast.reason.effective.seccomp_paths import Filters
from holdfast.reason.effective.seccomp_profile import Gate, Profile
from holdfast.reason.effective.syscall_members import Question, questions
from holdfast.reason.effective.syscall_table import AUDIT_ARCH, ENTRIES, ENTRY_OPTIONS

_MOST_UNSEEN = 6
# What a profile calls a machine; runtimes compare with Go's names.
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides about gates and ways into the kernel.

    Attributes:
        capabilities: The bounding set.
        kernel: First two numbers of its version; None where it was not seen.
        machine: Name of uname(2); empty where it was not seen.
        options: The kernel's configuration; None where it was not seen.
    """

    capabilities: Members
    kernel: tuple[int, ...] | None = None
    machine: str = ""
    options: Members | None = None

    @property
    def machines(self) -> tuple[str, ...]:
        """The machine, or those it may be; none where nothing is known about the one it is."""
        if not self.machine:
            return ("x86_64", "aarch64")
        name = {"arm64": "aarch64", "amd64": "x86_64", "i686": "i386"}.get(self.machine, self.machine)
        return (name,) if name in ENTRIES else ()

    def offers(self, entry: str) -> Truth:
        """Tell whether the kernel has this way in."""
        options = ENTRY_OPTIONS.get(entry)
        if options is None or self.machines == (entry,):
            return YES
        if self.options is None:
            return UNKNOWN
        return max(self.options.has(option) for option in options)


class Judge(Protocol):
    """Answers whether a call gets through."""

    def allowed(self, member: str) -> Truth:
        """Tell whether a call gets past the filter. The member is ``understood``."""
        ...


@dataclass(frozen=True, slots=True)
class LiveJudge:
    """The filters that the kernel runs."""

    filters: Filters
    around: Surroundings

    def allowed(self, member: str) -> Truth:
        """Tell whether a call gets past the filters."""
        return _agreed(
            _entered(
                member,
                machine,
                self.around,
                lambda one: self.filters.decide(AUDIT_ARCH[one.entry], one.number, one.args).allowed,
            )
            for machine in self.around.machines
        )


@dataclass(frozen=True, slots=True)
class ProfileJudge:
    """A profile, or several of which one is in force.

    Attributes:
        by_machine: The profiles are one for each machine of the surroundings, in their order.
    """

    profiles: tuple[Profile, ...]
    around: Surroundings
    by_machine: bool = False

    def allowed(self, member: str) -> Truth:
        """Tell whether a call gets past the filter."""
        return _agreed(self._each(member))

    def _each(self, member: str) -> Iterator[Truth]:
        for index, machine in enumerate(self.around.machines):
            for profile in (self.profiles[index],) if self.by_machine else self.profiles:
                calls = {one.name for entry in ENTRIES[machine] for one in questions(member, entry)}
                gates = tuple(dict.fromkeys(gate for call in calls for gate in profile.gates(call)))
                worlds = _worlds(gates, machine, self.around)
                if worlds is None:
                    yield UNKNOWN
                    return
                for opened in worlds:
                    yield self._in_world(member, machine, profile, opened)

    def _in_world(self, member: str, machine: str, profile: Profile, opened: frozenset[Gate]) -> Truth:
        def ask(one: Question) -> Truth:
            if one.entry != machine and one.entry not in profile.entries:
                return NO
            return profile.decide(one.name, one.entry, one.args, opened).allowed

        return _entered(member, machine, self.around, ask)


class _Ask(Protocol):
    def __call__(self, question: Question, /) -> Truth: ...


def _entered(member: str, machine: str, around: Surroundings, ask: _Ask) -> Truth:
    """Tell whether some way into the kernel lets a call through."""
    best = NO
    for entry in ENTRIES[machine]:
        for question in questions(member, entry):
            best = max(best, min(ask(question), around.offers(entry)))
            if best is YES:
                return YES
    return best


def _agreed(answers: Iterator[Truth]) -> Truth:
    """Return the answer of all possibilities, unknown where they disagree or there is none."""
    first: Truth | None = None
    for answer in answers:
        if answer is UNKNOWN or (first is not None and answer is not first):
            return UNKNOWN
        first = answer
    return UNKNOWN if first is None else first


def _worlds(gates: tuple[Gate, ...], machine: str, around: Surroundings) -> list[frozenset[Gate]] | None:
    """Return the open gates for every way that unseen capabilities and an unseen kernel may turn out."""
    unseen: list[object] = []
    seen: dict[object, bool] = {}
    for gate in gates:
        for capability in sorted(gate.capabilities | gate.without_capabilities):
            truth = around.capabilities.has(capability)
            if truth is UNKNOWN and capability not in unseen:
                unseen.append(capability)
            seen[capability] = truth is YES
        for version in (gate.kernel, gate.before_kernel):
            if around.kernel is None and any(version) and version not in unseen:
                unseen.append(version)
            seen[version] = around.kernel is not None and around.kernel >= version
    if len(unseen) > _MOST_UNSEEN:
        return None
    worlds: dict[frozenset[Gate], None] = {}
    for chosen in product((False, True), repeat=len(unseen)):
        facts = {**seen, **dict(zip(unseen, chosen, strict=True))}
        opened = frozenset(gate for gate in gates if _open(gate, facts, _GO_NAMES[machine]))
        worlds[opened] = None
    return list(worlds)


def _open(gate: Gate, facts: Mapping[object, bool], machine: str) -> bool:
    return (
        all(facts[one] for one in gate.capabilities)
        and not any(facts[one] for one in gate.without_capabilities)
        and (not gate.architectures or machine in gate.architectures)
        and machine not in gate.without_architectures
        and (not any(gate.kernel) or facts[gate.kernel])
        and (not any(gate.before_kernel) or not facts[gate.before_kernel])
    )
