"""What is wrong with a seccomp profile, whoever wrote it: rules without effect, ways around, and what it leaves open.

Source:
    https://github.com/moby/profiles/tree/main/seccomp (comments on two conditions and on socketcall)
    https://github.com/opencontainers/runc/issues/2735, https://github.com/opencontainers/runc/issues/2151
    https://nvd.nist.gov/vuln/detail/CVE-2019-7303 (the upper half of a register)
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.model.errors import NotUnderstood
from holdfast.model.truth import YES
from holdfast.model.values import Members
from holdfast.policies.seccomp import ALWAYS, ARCHITECTURES
from holdfast.reason.effective.bpf import Action
from holdfast.reason.effective.seccomp_document import read
from holdfast.reason.effective.seccomp_judges import ProfileJudge, Surroundings
from holdfast.reason.effective.seccomp_paths import PERMITS
from holdfast.reason.effective.seccomp_profile import OPEN, Profile, Rule
from holdfast.reason.effective.syscall_members import understood
from holdfast.reason.effective.syscall_table import ENTRIES, ENTRY_OPTIONS, known, numbers
from holdfast.reason.seccomp_replay import barred

_ENTRY = {name: entry for entry, name in ARCHITECTURES.items()}
_NEEDED = ("execve", *(name for name in ALWAYS if name in {"exit_group", "rt_sigreturn"}))
# Arguments that the kernel reads as 32-bit numbers.
_NARROW = {"socket": 0, "socketpair": 0, "ioctl": 1, "clone": 0, "personality": 0, "prctl": 0, "keyctl": 0, "bpf": 0}
_PERMITTING = frozenset({"SCMP_ACT_ALLOW", "SCMP_ACT_LOG"})
_UPWARDS = frozenset({"NE", "GT", "GE"})
# Calls of machines whose numbers are not listed here.
_ELSEWHERE = """
arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush get_tls multiplexer pciconfig_iobase pciconfig_read
pciconfig_write recv riscv_flush_icache riscv_hwprobe rtas s390_guarded_storage s390_pci_mmio_read
s390_pci_mmio_write s390_runtime_instr s390_sthyi send set_tls spu_create spu_run subpage_prot swapcontext
switch_endian sync_file_range2 sys_debug_setcontext syscall sysmips timerfd uretprobe
"""
_OTHER_MACHINES = frozenset(_ELSEWHERE.split())


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to correct in a profile.

    Attributes:
        id: Stable name of the kind.
        what: What is wrong, one sentence.
        where: JSON pointer into the profile; empty for the whole.
        next: What to do.
    """

    id: str
    what: str
    where: str
    next: str


def lint(document: object, machine: str = "x86_64", unknown: Collection[str] = ()) -> tuple[Fault, ...]:
    """Look a profile through.

    Args:
        document: The JSON as plain dicts and lists; Docker's shape or the OCI runtime's.
        machine: Of uname(2), where it will be used.
        unknown: Names that the libseccomp there does not know, from ``collect.libseccomp.unknown``. They count where
            the rule would do something else than the default.

    Returns:
        Faults, those of the whole first. A profile that a runtime refuses has one.
    """
    try:
        profile = read(document, machine)
    except NotUnderstood as error:
        return (Fault("refused", error.what, f"/{error.where}" if error.where else "", error.next),)
    if not isinstance(document, Mapping):
        return ()
    entries = list(enumerate(document.get("syscalls") or ()))
    return (
        *_whole(document, profile, machine),
        *_open(profile, machine),
        *(fault for number, entry in entries for fault in _entry(entry, f"/syscalls/{number}", document, unknown)),
        *_repeated(entries),
        *_calls(profile),
    )


def _whole(document: Mapping[str, Any], profile: Profile, machine: str) -> Iterator[Fault]:
    permits = profile.default[0] in PERMITS
    allowed = {name for name, rules in profile.rules.items() if any(one.answer[0] in PERMITS for one in rules)}
    if permits:
        yield Fault(
            "allows-by-default", "what no rule names is let through, also every call that is still to come",
            "/defaultAction", "name what is needed, and answer all else with SCMP_ACT_ERRNO",
        )  # fmt: skip
    elif not allowed:
        yield Fault("nothing-allowed", "no call is let through", "/syscalls", "allow what the workload needs")
    else:
        for name in _NEEDED:
            if name not in allowed:
                yield Fault("needed", f"{name} is refused; no container starts and ends without it", "/syscalls",
                            f"allow {name}")  # fmt: skip
    if profile.default[0] is Action.ERRNO and document.get("defaultErrnoRet") is None:
        yield Fault(
            "default-errno", "unknown calls are answered with EPERM, so programs do not fall back to older ones",
            "/defaultAction", 'set "defaultErrnoRet": 38 (ENOSYS), and EPERM for what is to be forbidden',
        )  # fmt: skip
    listed = _listed(document)
    if not listed and not document.get("archMap"):
        yield Fault(
            "architectures", "no architecture is stated: the machine's own is covered, all else kills its caller",
            "", f'state "architectures", for this machine {ARCHITECTURES.get(machine, machine)}',
        )  # fmt: skip
    elif listed and ARCHITECTURES.get(machine) not in listed:
        yield Fault("architecture-missing", f"the machine's own architecture ({machine}) is not among them",
                    "/architectures", f"add {ARCHITECTURES.get(machine, machine)}")  # fmt: skip


def _open(profile: Profile, machine: str) -> Iterator[Fault]:
    """Ask what serves to break out, of a container without capabilities and with every way into the kernel."""
    if profile.default[0] in PERMITS and not profile.rules:
        return
    options = Members.of(*(option for entry in ENTRIES[machine] for option in ENTRY_OPTIONS.get(entry, ())))
    judge = ProfileJudge((profile,), Surroundings(Members(), (6, 1), machine, options))
    members = dict.fromkeys(member for member, _ in barred(machine) if understood(member))
    found = [one for one in members if not one.startswith("personality:") and judge.allowed(one) is YES]
    whole = {one for one in found if ":" not in one}
    found = [one for one in found if one.partition(":")[0] not in whole or one in whole]
    if found:
        yield Fault("lets-through", f"calls that serve to break out pass: {', '.join(found)}", "/syscalls",
                    "take them out, or accept each of them knowingly")  # fmt: skip


def _entry(
    entry: Mapping[str, Any], place: str, document: Mapping[str, Any], unknown: Collection[str]
) -> Iterator[Fault]:
    names = entry.get("names") or [name for name in [entry.get("name")] if name]
    if not names:
        yield Fault("no-names", "the rule names no call", place, "take it out")
    permits = entry.get("action") in _PERMITTING
    counts = permits is not (document.get("defaultAction") in _PERMITTING)
    yield from _names(names, place, document, unknown if counts else ())
    args = entry.get("args") or ()
    if len({one.get("index", 0) for one in args}) < len(args):
        yield Fault(
            "same-argument", "two conditions on one argument: runtimes make two rules of them, so and becomes or",
            f"{place}/args", "write ranges that do not overlap as rules of their own, or masked comparisons",
        )  # fmt: skip
    for number, one in enumerate(args):
        if one.get("op") == "SCMP_CMP_MASKED_EQ" and one.get("valueTwo", 0) & ~one.get("value", 0):
            yield Fault("mask", "valueTwo has bits outside of the mask, so no argument can be equal to it",
                        f"{place}/args/{number}", "the mask is value, what is compared is valueTwo")  # fmt: skip
    if entry.get("action") == "SCMP_ACT_NOTIFY" and not document.get("listenerPath"):
        yield Fault("listener", "SCMP_ACT_NOTIFY without a listenerPath: the runtime refuses to start", place,
                    "set listenerPath, or another action")  # fmt: skip
    if permits:
        yield from _upper_half(names, args, place)


def _names(
    names: Collection[str], place: str, document: Mapping[str, Any], unknown: Collection[str]
) -> Iterator[Fault]:
    covered = {entry_ for name in _listed(document) if (entry_ := _ENTRY.get(name))}
    for name in names:
        if not known(name) and name not in _OTHER_MACHINES:
            yield Fault("unknown-call", f"{name} is no system call that is known here", f"{place}/names",
                        "look for a misspelling; runtimes skip it without a word")  # fmt: skip
        elif covered and known(name) and not any(name in numbers(one) for one in covered):
            yield Fault("absent-call", f"none of the stated architectures has {name}", f"{place}/names",
                        "take it out, or state its architecture")  # fmt: skip
        if name in unknown:
            yield Fault("library", f"the libseccomp of this machine does not know {name}, so the rule is skipped",
                        f"{place}/names", "expect the default action for it")  # fmt: skip


def _upper_half(names: Collection[str], args: Collection[Mapping[str, Any]], place: str) -> Iterator[Fault]:
    for number, one in enumerate(args):
        op = one.get("op", "").removeprefix("SCMP_CMP_")
        for name in names:
            if _NARROW.get(name) == one.get("index", 0) and op in _UPWARDS:
                yield Fault(
                    "upper-half",
                    f"{name}: the kernel reads 32 bits of this argument, the rule compares 64, so a set bit above gets "
                    "past it",
                    f"{place}/args/{number}", "allow values by SCMP_CMP_MASKED_EQ with the mask 4294967295",
                )  # fmt: skip


def _repeated(entries: Collection[tuple[int, Mapping[str, Any]]]) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for number, entry in entries:
        rest = {key: entry.get(key) or None for key in ("action", "errnoRet", "args", "includes", "excludes")}
        for name in entry.get("names") or [entry.get("name")]:
            key = json.dumps([name, rest], sort_keys=True)
            if key in seen:
                yield Fault("repeated", f"{name} is named again as in rule {seen[key]}", f"/syscalls/{number}/names",
                            "take one out")  # fmt: skip
            seen.setdefault(key, number)


def _calls(profile: Profile) -> Iterator[Fault]:
    for name, rules in profile.rules.items():
        plain = [one for one in rules if not one.conditions and one.gate is OPEN]
        if len({one.answer for one in plain}) > 1:
            yield Fault("contradiction", f"{name} has rules that answer differently to the same call", "/syscalls",
                        "keep one of them")  # fmt: skip
        elif plain and plain[0].answer != profile.default and any(one.conditions for one in rules):
            yield Fault("no-effect", f"a rule for every {name} makes those with conditions idle", "/syscalls",
                        "take out one kind")  # fmt: skip
    clone, clone3 = profile.rules.get("clone", ()), profile.rules.get("clone3", ())
    if _always(clone3) and clone and not _always(clone) and profile.default[0] not in PERMITS:
        yield Fault("clone3", "clone is filtered by its flags and clone3, whose flags no filter sees, is let through",
                    "/syscalls", "answer clone3 with errno 38")  # fmt: skip
    sockets, multiplexed = profile.rules.get("socket", ()), profile.rules.get("socketcall", ())
    behind = {(tuple(one for one in rule.conditions if one.index), rule.answer, rule.gate) for rule in sockets}
    if "i386" in profile.entries and len({(kept, gate) for kept, _, gate in behind}) < len(behind):
        yield Fault(
            "socket-answers",
            "socket answers differently by its family; libseccomp makes rules for socketcall of it without the family, "
            "finds that they contradict each other, and the container does not start",
            "/syscalls", "let families through and leave all others to the default, or leave SCMP_ARCH_X86 out",
        )  # fmt: skip
    if "i386" in profile.entries and any(one.conditions for one in sockets) and not _refused(multiplexed):
        yield Fault(
            "socketcall", "32-bit programs reach every socket family through socketcall, past the conditions of socket",
            "/syscalls", "answer socketcall with an errno that is not the default's, or leave SCMP_ARCH_X86 out",
        )  # fmt: skip


def _always(rules: Collection[Rule]) -> bool:
    return any(not one.conditions and one.gate is OPEN and one.answer[0] in PERMITS for one in rules)


def _refused(rules: Collection[Rule]) -> bool:
    return any(not one.conditions and one.answer[0] not in PERMITS for one in rules)


def _listed(document: Mapping[str, Any]) -> list[str]:
    listed: list[str] = list(document.get("architectures") or ())
    for one in document.get("archMap") or ():
        listed += [one.get("architecture", ""), *(one.get("subArchitectures") or ())]
    return listed
