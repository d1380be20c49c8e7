"""Seccomp profiles as rules: read one, settle its gates, and say what libseccomp makes of it for one call.

Profiles come in two shapes. Docker's, which Podman, CRI-O and containerd's tools share, has gates: rules that count
only with a capability, an architecture or a kernel version. The OCI runtime's has none. Both end in libseccomp, whose
habits decide: see ``actions``.

Source:
    https://github.com/moby/profiles/tree/main/seccomp (LoadProfile: gates, names, architectures)
    https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
    https://github.com/opencontainers/runc/issues/2735 (two conditions on one argument)
    seccomp_rule_add(3)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice, product

from holdfast.reason.effective.bpf import Action
from holdfast.reason.effective.seccomp_paths import Bits, Decision

FULL = (1 << 64) - 1
_LOW = 0xFFFFFFFF
# Where libseccomp compares the lower half of an argument only. x32 is among them, though its registers are whole.
_HALF_WIDE = frozenset({"i386", "x32"})
_MOST_TRIALS = 1_024
_MOST_CANDIDATES = 24

Answer = tuple[Action, int]
"""An action and its data: the errno of ERRNO, 0 elsewhere."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of one argument, as 64-bit unsigned numbers.

    Attributes:
        index: Argument, 0 to 5.
        op: ``NE LT LE EQ GE GT`` or ``MASKED_EQ``.
        value: What it is compared with; for MASKED_EQ the mask.
        second: For MASKED_EQ what the masked argument must be.
    """

    index: int
    op: str
    value: int
    second: int = 0

    @property
    def lower_half(self) -> Condition:
        """The same comparison of the lower 32 bits."""
        return replace(self, value=self.value & _LOW, second=self.second & _LOW)

    def holds(self, value: int) -> bool:
        """Tell whether an argument meets the condition."""
        match self.op:
            case "EQ":
                return value == self.value
            case "NE":
                return value != self.value
            case "LT":
                return value < self.value
            case "LE":
                return value <= self.value
            case "GE":
                return value >= self.value
            case "GT":
                return value > self.value
            case _:
                return value & self.value == self.second

    def possible(self, argument: Bits) -> bool:
        """Tell whether some value with these known bits may meet the condition."""
        least, most = argument.value & argument.known, argument.value & argument.known | FULL & ~argument.known
        match self.op:
            case "EQ":
                return not (least ^ self.value) & argument.known
            case "NE":
                return argument.known != FULL or least != self.value
            case "LT" | "LE":
                return self.holds(least)
            case "GE" | "GT":
                return self.holds(most)
            case _:
                return not self.second & ~self.value and not (least ^ self.second) & argument.known & self.value

    def certain(self, argument: Bits) -> bool:
        """Tell whether every value with these known bits meets the condition."""
        opposite = {"EQ": "NE", "NE": "EQ", "LT": "GE", "LE": "GT", "GE": "LT", "GT": "LE"}.get(self.op)
        if opposite is None:
            return argument.known & self.value == self.value and self.holds(argument.value)
        return not Condition(self.index, opposite, self.value).possible(argument)


@dataclass(frozen=True, slots=True)
class Gate:
    """What must be so for a rule to count. Empty sets and version (0, 0) ask for nothing.

    Attributes:
        kernel: Least version.
        before_kernel: First version with which it counts no more.
    """

    capabilities: frozenset[str] = frozenset()
    without_capabilities: frozenset[str] = frozenset()
    architectures: frozenset[str] = frozenset()
    without_architectures: frozenset[str] = frozenset()
    kernel: tuple[int, int] = (0, 0)
    before_kernel: tuple[int, int] = (0, 0)


OPEN = Gate()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule for one call.

    Attributes:
        answer: What it does.
        conditions: All must hold.
        gate: Where it counts.
    """

    answer: Answer
    conditions: tuple[Condition, ...] = ()
    gate: Gate = OPEN


ALLOWED = Rule((Action.ALLOW, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A set of rules.

    Attributes:
        default: What happens to a call that no rule names.
        rules: Rules by call, in the order of the profile.
        entries: Ways into the kernel that the filter knows besides the machine's own; any other call kills its caller.
    """

    default: Answer
    rules: Mapping[str, tuple[Rule, ...]]
    entries: frozenset[str] = frozenset({"i386", "x32"})

    def gates(self, call: str) -> tuple[Gate, ...]:
        """Return the gates that bear on a call."""
        return tuple(rule.gate for name in _names(call) for rule in self.rules.get(name, ()) if rule.gate is not OPEN)

    def decide(self, call: str, entry: str, args: tuple[Bits, ...], open_gates: Iterable[Gate]) -> Decision:
        """Tell what the filter made of this profile does with a call.

        Args:
            call: Name of the system call.
            entry: Way into the kernel: ``x86_64``, ``i386``, ``x32``, ``aarch64``.
            args: Six arguments of 64 bits.
            open_gates: The gates whose rules count.
        """
        opened = frozenset(open_gates)
        rules = [rule for rule in self.rules.get(call, ()) if rule.gate is OPEN or rule.gate in opened]
        rules = self._effective(rules)
        if call == "socketcall" and entry == "i386" and all(rule.conditions for rule in rules):
            # libseccomp turns each rule for socket(2) into one for socketcall(SYS_SOCKET, ...) as well: its condition
            # on the first argument, the family, gives way to the sub-call; the family lies behind a pointer.
            sockets = [rule for rule in self.rules.get("socket", ()) if rule.gate is OPEN or rule.gate in opened]
            for rule in self._effective(sockets):
                kept = (one for one in rule.conditions if one.index != 0)
                rules.append(Rule(rule.answer, (Condition(0, "EQ", 1), *kept)))
        if entry in _HALF_WIDE:
            rules = [replace(rule, conditions=tuple(one.lower_half for one in rule.conditions)) for rule in rules]
            args = tuple(Bits(one.known | FULL & ~_LOW, one.value & _LOW) for one in args)
        return _decided(rules, self.default, args)

    def _effective(self, rules: list[Rule]) -> list[Rule]:
        """Drop what never reaches libseccomp, or has no effect there.

        Runtimes skip a rule that does what the default does. In libseccomp a rule without conditions takes the place
        of those with conditions; a second rule beside it changes nothing.
        """
        rules = [rule for rule in rules if rule.answer != self.default]
        for rule in rules:
            if not rule.conditions:
                return [rule]
        return rules


def _names(call: str) -> tuple[str, ...]:
    return ("socketcall", "socket") if call == "socketcall" else (call,)


def _decided(rules: list[Rule], default: Answer, args: tuple[Bits, ...]) -> Decision:
    """Find what rules with conditions do with a call that is partly known.

    Where rules with different actions meet in one call, libseccomp's internal order decides; that stays open here. And
    where such rules compare several arguments, libseccomp 2.5 shares branches between them that it should not (tests
    compile both), so nothing is sure.
    """
    actions = frozenset(rule.answer[0] for rule in rules)
    if len(actions) > 1 and any(len(rule.conditions) > 1 for rule in rules):
        return Decision(frozenset(), actions | {default[0]})
    near = [rule for rule in rules if all(one.possible(args[one.index]) for one in rule.conditions)]
    possible = {rule.answer[0] for rule in near}
    if not any(all(one.certain(args[one.index]) for one in rule.conditions) for rule in near):
        possible.add(default[0])
    if len(possible) == 1:
        return Decision(frozenset(possible))
    sure: set[Action] = set()
    used = sorted({one.index for rule in near for one in rule.conditions})
    conditions = [one for rule in near for one in rule.conditions]
    choices = [_candidates(args[index], [one for one in conditions if one.index == index]) for index in used]
    for values in islice(product(*choices), _MOST_TRIALS):
        call = dict(zip(used, values, strict=True))
        hits = {rule.answer[0] for rule in near if all(one.holds(call[one.index]) for one in rule.conditions)}
        if len(hits) <= 1:
            sure |= hits or {default[0]}
    return Decision(frozenset(sure), frozenset(possible) - sure)


def _candidates(argument: Bits, conditions: list[Condition]) -> tuple[int, ...]:
    """Return values with the known bits that lie on either side of every comparison."""
    free = FULL & ~argument.known
    found: dict[int, None] = {}
    for one in conditions:
        near: tuple[int, ...] = (one.value, one.value - 1, one.value + 1)
        if one.op == "MASKED_EQ":
            near = (
                one.second,
                one.second | FULL & ~one.value,
                one.second ^ one.value,
                one.second ^ one.value & -one.value,
            )
        high = one.value >> 32 << 32
        for value in (*near, 0, FULL, high - 1, high, high + (1 << 32), 1 << 32):
            found[argument.value & argument.known | free & value] = None
    return tuple(islice(found, _MOST_CANDIDATES))
