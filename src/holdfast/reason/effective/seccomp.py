"""Which system calls get through: from what a document asks for, or from the filter the kernel runs.

A call counts as allowed where some arguments that serve get it past the filter, by any way into the kernel that the
machine offers. What depends on something nobody saw (the engine's version, a capability, the kernel's 32-bit entry) is
asked for every possibility; where they disagree, the answer is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import Members
from holdfast.model.words import container, declared, engine, host, observed
from holdfast.reason.effective.ground import KUBERNETES, Ground, ground
from holdfast.reason.effective.reading import UNSAID, elements, members, text
from holdfast.reason.effective.seccomp_document import read
from holdfast.reason.effective.seccomp_judges import Judge, LiveJudge, ProfileJudge, Surroundings
from holdfast.reason.effective.seccomp_paths import filters
from holdfast.reason.effective.seccomp_profile import Profile
from holdfast.reason.effective.seccomp_releases import candidates
from holdfast.reason.effective.syscall_members import understood

Table = dict[Fact[Any], Seen[Any] | Absent]
_STRICT = Members.of("read", "write", "exit", "rt_sigreturn", "sigreturn")
_FIRST_WITH_PRIVILEGED_PROFILE = (23,)


@dataclass(frozen=True, slots=True)
class Syscalls:
    """The system calls that get through, each asked for only when somebody wants to know.

    Attributes:
        label: What filters them, in words.
        judge: Answers for one member; None where nothing is filtered.
        perhaps_unconfined: Nobody saw whether the filter is in force at all, so no call is certainly refused.
        yes: Members that a change added.
        no: Members that a change took away.
    """

    label: str
    judge: Judge | None = None
    perhaps_unconfined: bool = False
    yes: frozenset[str] = frozenset()
    no: frozenset[str] = frozenset()
    _answers: dict[str, Truth] = field(default_factory=dict, repr=False, compare=False)

    def has(self, member: object, /) -> Truth:
        """Tell whether a call gets through.

        Args:
            member: ``mount``, or with the argument that matters ``unshare:CLONE_NEWUSER``, ``socket:AF_ALG``,
                ``ioctl:TIOCSTI``, ``socket:38``. What is no known call or constant is unknown.
        """
        name = str(member)
        for one in (name, name.partition(":")[0]):
            if one in self.no:
                return NO
            if one in self.yes:
                return YES
        found = self._answers.get(name)
        if found is None:
            found = self._answers[name] = self._judged(name)
        return found

    def _judged(self, name: str) -> Truth:
        if not understood(name):
            return UNKNOWN
        if self.judge is None:
            return YES
        return max(self.judge.allowed(name), UNKNOWN) if self.perhaps_unconfined else self.judge.allowed(name)

    def having(self, names: Iterable[object], /) -> Syscalls:
        """Return the same with these calls let through."""
        added = frozenset(map(str, names))
        return replace(self, yes=self.yes | added, no=self.no - added, _answers={})

    def lacking(self, names: Iterable[object], /) -> Syscalls:
        """Return the same with these calls refused."""
        gone = frozenset(map(str, names))
        return replace(self, yes=self.yes - gone, no=self.no | gone, _answers={})

    def __str__(self) -> str:
        """What filters the calls, and the edits."""
        parts = [self.label]
        if self.yes:
            parts.append("with " + ", ".join(sorted(self.yes)))
        if self.no:
            parts.append("without " + ", ".join(sorted(self.no)))
        return "; ".join(parts)


def declared_syscalls(facts: Facts, host_facts: Facts, capabilities: Members) -> Table:
    """Answer the system calls and the kind of filter from what a document asks for.

    Args:
        facts: ``declared.*`` of one container.
        host_facts: ``host.*`` and ``engine.*``; empty where no host was seen.
        capabilities: The bounding set. It opens the gates in default profiles; what a process that is not root keeps
            of it does not matter.

    Returns:
        ``container.syscalls`` and ``container.seccomp``, each answered or with the reason why not.
    """
    at = ground(facts, host_facts)
    asked = text(facts, declared.SECCOMP)
    if asked is None:
        absent = facts.absent(declared.SECCOMP) or Absent("what is asked of seccomp was not seen", UNSAID)
        return _absent(absent)
    if asked.value == "unconfined":
        return _answers("unconfined", Syscalls("unconfined"), asked)
    around = surroundings(host_facts, capabilities)
    wanted, kind, entry = asked.value, "", asked
    if wanted in {"default", "runtime/default", "builtin"}:
        kind = {"cri": "runtime-default", "": "engine-default"}.get(at.engine, f"{at.engine}-default")
        answer = _default(wanted, kind, at, around)
    else:
        kind, entry = "custom", _profile_place(facts, asked)
        answer = _custom(facts, asked, around)
    privileged = at.privileged
    if privileged is not None and not privileged.value:
        return _answers(kind, answer, entry)
    # The privileged flag switches the filter off. Docker before 23 ignores a named profile then, later releases and
    # Podman heed it; Kubernetes runtimes never do.
    if privileged is None:
        kept: bool | None = None
    elif kind != "custom" or at.engine in KUBERNETES:
        kept = False
    elif at.engine == "podman":
        kept = True
    else:
        seen = version(at.engine, at.engine_facts) if at.engine == "docker" else None
        kept = None if seen is None else seen >= _FIRST_WITH_PRIVILEGED_PROFILE
    if kept is False and privileged is not None:
        return _answers("unconfined", Syscalls("unconfined"), privileged, "privileged: no filter")
    if kept is None and isinstance(answer, Syscalls):
        return _perhaps(answer, entry, "whether the privileged flag switches the filter off was not seen")
    return _answers(kind, answer, entry)


def _default(wanted: str, kind: str, at: Ground, around: Surroundings) -> Syscalls | Absent:
    seen = version(at.engine, at.engine_facts)
    chosen = at.engine_facts.value(engine.SECCOMP_DEFAULT)
    # A kubelet passes "unconfined" for a Pod that asks for nothing, unless it was told otherwise.
    loose = wanted == "default" and chosen is None and (at.engine in KUBERNETES or not at.engine)
    filtered = _default_filter(kind, at.engine, seen, around, perhaps_unconfined=loose)
    if filtered is None:
        shown = ".".join(map(str, seen or ()))
        return Absent(f"the default seccomp profile of {at.engine} {shown} is not known here", UNSAID)
    if wanted == "default" and chosen == "unconfined":
        return Syscalls("unconfined")
    unseen = at.engine_facts.absent(engine.SECCOMP_DEFAULT)
    if wanted == "default" and not loose and unseen and at.engine_facts.value(engine.NAME) == at.engine:
        return unseen
    return filtered


@lru_cache(maxsize=1024)
def _default_filter(
    kind: str, name: str, seen: tuple[int, ...] | None, around: Surroundings, *, perhaps_unconfined: bool
) -> Syscalls | None:
    """Build a default filter once: containers with the same engine and capabilities share it and its answers."""
    profiles = _profiles(name, seen)
    if not profiles:
        return None
    label = f"{kind} filter or none" if perhaps_unconfined else f"{kind} filter"
    return Syscalls(label, ProfileJudge(profiles, around), perhaps_unconfined)


@lru_cache(maxsize=1024)
def _live_filter(raw: tuple[bytes, ...], around: Surroundings) -> Syscalls:
    return Syscalls("live filter", LiveJudge(filters(raw), around))


def _profiles(name: str, seen: tuple[int, ...] | None) -> tuple[Profile, ...]:
    if name in {"docker", "containerd", "podman", "cri-o", "cri"}:
        return candidates(name, seen)
    return tuple(one for engine_ in ("docker", "cri", "podman") for one in candidates(engine_, None))


def _custom(facts: Facts, asked: Seen[str], around: Surroundings) -> Syscalls | Absent:
    entry = facts.table.get(declared.SECCOMP_PROFILE)
    if not isinstance(entry, Seen):
        return entry or Absent(f"the seccomp profile ({asked.value}) was not read", asked.where)
    try:
        profiles = tuple(read(entry.value, machine) for machine in around.machines)
    except NotUnderstood as error:
        place = f" at {error.where}" if error.where else ""
        return Absent(f"{error.what}{place}; {error.next}", entry.where)
    except RecursionError:
        return Absent("the seccomp profile is nested too deeply", entry.where)
    return Syscalls("custom filter", ProfileJudge(profiles, around, by_machine=True))


def _profile_place(facts: Facts, asked: Seen[str]) -> Seen[Any]:
    return facts.seen(declared.SECCOMP_PROFILE) or asked


def observed_syscalls(facts: Facts, host_facts: Facts) -> Table:
    """Answer the system calls from the filter that the kernel runs on a live process.

    Args:
        facts: ``observed.*`` of one process.
        host_facts: ``host.*``; says which ways into the kernel there are.

    Returns:
        ``container.syscalls`` and ``container.seccomp``, each answered or with the reason why not.
    """
    mode = facts.seen(observed.SECCOMP_MODE)
    if mode is None:
        return _absent(facts.absent(observed.SECCOMP_MODE) or Absent("the seccomp mode was not seen", UNSAID))
    if mode.value == 0:
        return _answers("unconfined", Syscalls("unconfined"), mode, "Seccomp: 0")
    if mode.value == 1:
        strict: Table = {container.SYSCALLS: Seen(_STRICT, mode.where, "seccomp strict mode")}
        return {**strict, container.SECCOMP: Seen("strict", mode.where, "Seccomp: 1")}
    kind = Seen("live", mode.where, "Seccomp: 2")
    programs = facts.seen(observed.SECCOMP_FILTERS)
    if programs is None or not programs.value:
        reason = facts.absent(observed.SECCOMP_FILTERS) or Absent(
            "a filter is in force but was not read; reading it takes CAP_SYS_ADMIN and CAP_SYS_PTRACE", mode.where
        )
        return {container.SYSCALLS: reason, container.SECCOMP: kind}
    try:
        calls = _live_filter(tuple(programs.value), surroundings(host_facts, Members()))
    except (NotUnderstood, TypeError) as error:
        return {container.SYSCALLS: Absent(f"the live filter: {error}", programs.where), container.SECCOMP: kind}
    count = len(programs.value)
    note = f"{count} filter{'s' if count > 1 else ''} read from the kernel"
    return {container.SYSCALLS: Seen(calls, programs.where, note), container.SECCOMP: kind}


def surroundings(host_facts: Facts, capabilities: Members) -> Surroundings:
    """Gather what decides about gates and about ways into the kernel."""
    options = members(host_facts, host.KERNEL_CONFIG)
    kernel = elements(host_facts, host.KERNEL_VERSION, int)
    machine = text(host_facts, host.ARCHITECTURE)
    return Surroundings(
        capabilities,
        kernel.value[:2] if kernel is not None and kernel.value else None,
        machine.value if machine is not None else "",
        options.value if options is not None else None,
    )


def version(name: str, about: Facts) -> tuple[int, ...] | None:
    """Return the version of the engine that decides the default profile, None where it was not seen."""
    fact = engine.CONTAINERD_VERSION if name == "containerd" else engine.VERSION
    found = elements(about, fact, int)
    if found is None and name == "containerd" and about.value(engine.NAME) == "containerd":
        found = elements(about, engine.VERSION, int)
    return found.value or None if found is not None else None


def _answers(kind: str, calls: Syscalls | Absent, entry: Seen[Any], note: str = "") -> Table:
    if isinstance(calls, Absent):
        where = entry.where if calls.where in {None, UNSAID} else calls.where
        kinds: Seen[Any] | Absent = Seen(kind, entry.where, note or entry.note)
        return {container.SYSCALLS: Absent(calls.reason, where), container.SECCOMP: kinds}
    if calls.perhaps_unconfined:
        return _perhaps(calls, entry, "no profile is asked for; the kubelet's SeccompDefault was not seen")
    if calls.judge is None:
        kind = "unconfined"
    note = note or entry.note or str(calls)
    return {container.SYSCALLS: Seen(calls, entry.where, note), container.SECCOMP: Seen(kind, entry.where, note)}


def _perhaps(calls: Syscalls, entry: Seen[Any], reason: str) -> Table:
    """Answer where a filter may be off: what it lets through is sure, what it refuses is unknown."""
    if calls.judge is None:
        return _answers("unconfined", calls, entry)
    loose = calls if calls.perhaps_unconfined else _loosened(calls)
    note = f"{reason}: what the profile lets through gets through, the rest is unknown"
    return {container.SYSCALLS: Seen(loose, entry.where, note), container.SECCOMP: Absent(reason, entry.where)}


@lru_cache(maxsize=1024)
def _loosened(calls: Syscalls) -> Syscalls:
    return replace(calls, perhaps_unconfined=True, label=f"{calls.label} or none", _answers={})


def _absent(absent: Absent) -> Table:
    return {container.SYSCALLS: absent, container.SECCOMP: absent}
