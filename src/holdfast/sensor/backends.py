"""Which back end is in force: chosen at the start, proved by a canary, and said with all that it cannot do."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.model.errors import Error
from holdfast.model.logic import NEVER
from holdfast.model.technique import Technique
from holdfast.sensor import deny_pins
from holdfast.sensor.canary import Proof, prove
from holdfast.sensor.deny import Denier, Grade
from holdfast.sensor.deny_cgroup import GroupDenier, hierarchy
from holdfast.sensor.deny_hooks import lacking
from holdfast.sensor.deny_rules import BROADER, NOT_DENIABLE, rules
from holdfast.sensor.libbpf import library
from holdfast.sensor.snapshot import host_namespaces

_MODULES = Path("/sys/kernel/security/lsm")
_LOCKDOWN = Path("/sys/kernel/security/lockdown")
_BTF = Path("/sys/kernel/btf/vmlinux")
_UNPROVED = Proof(False, False, "nothing that denies is in force")


@dataclass(frozen=True, slots=True)
class Choice:
    """What came of trying.

    Attributes:
        grade: The back end in force.
        denier: Its programs; None where nothing can be denied.
        proof: What the canary showed.
        passed_by: Why better ones are not in force, a line each.
    """

    grade: Grade
    denier: Denier | None
    proof: Proof
    passed_by: tuple[str, ...]


def security_modules(file: Path = _MODULES) -> tuple[str, ...] | None:
    """Return the kernel's active security modules in order; None where securityfs does not say."""
    try:
        return tuple(file.read_text(encoding="ascii").strip().split(","))
    except OSError:
        return None


def choose(catalogue: Mapping[str, Technique], stand_ins: Mapping[str, str] | None = None) -> Choice:
    """Put the best back end in force that this kernel allows, and prove it.

    A back end whose canary is not refused is taken down again, and the next one is tried. Nothing is denied yet by the
    one that is returned.

    Args:
        catalogue: The techniques.
        stand_ins: As for ``Denier``.
    """
    modules = security_modules()
    passed_by: list[str] = []
    for grade in (Grade.LSM, Grade.FMOD_RET):
        if grade is Grade.LSM and modules is not None and "bpf" not in modules:
            passed_by.append(f"lsm: bpf is not among the kernel's security modules ({','.join(modules)})")
            continue
        try:
            denier = Denier(grade, catalogue, stand_ins)
        except (Error, OSError) as error:
            passed_by.append(f"{grade.value}: {_line(error)}")
            continue
        try:
            proof = prove(denier)
        except BaseException:
            denier.close()
            raise
        if proof.enforced:
            return Choice(grade, denier, proof, tuple(passed_by))
        denier.close()
        passed_by.append(f"{grade.value}: {proof.why}")
    return Choice(Grade.NONE, None, _UNPROVED, tuple(passed_by))


def _line(error: Exception) -> str:
    return str(getattr(error, "what", error)).splitlines()[0]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is done about one technique.

    Attributes:
        seen: It makes calls that the sensor looks at.
        deniable: It can be denied here, all of it or in part.
        why: Why it cannot, how else it is, or in what more than the technique is denied; may be empty.
        partly: Only some of its ways can be denied.
    """

    seen: bool
    deniable: bool
    why: str
    partly: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """What ``holdfast watch --check`` says.

    Attributes:
        grade: The back end in force.
        proof: What the canary showed.
        passed_by: Why better ones are not in force.
        missing: Hooks that this kernel does not have.
        troubles: What is wrong with this machine, and what to do, a pair each.
        blind: What the back end cannot see or block, whatever the technique.
        techniques: By id.
        groups: Control groups can deny settings, devices and connections.
        pinned: Programs that deny whether or not a sensor runs.
    """

    grade: Grade
    proof: Proof
    passed_by: tuple[str, ...]
    missing: tuple[str, ...]
    troubles: tuple[tuple[str, str], ...]
    blind: tuple[str, ...]
    techniques: Mapping[str, Coverage]
    groups: bool = False
    pinned: tuple[str, ...] = ()


def check(catalogue: Mapping[str, Technique]) -> Check:
    """Say what would be in force here, with its proof. Everything is taken down again.

    Args:
        catalogue: The techniques.
    """
    chosen = choose(catalogue)
    missing: tuple[str, ...] = ()
    if chosen.denier is not None:
        missing = chosen.denier.missing
        chosen.denier.close()
    by_group = None if chosen.denier is not None else _by_group(catalogue)
    return Check(
        chosen.grade,
        chosen.proof,
        chosen.passed_by,
        missing,
        tuple(_troubles(chosen, groups=by_group is not None)),
        _BLIND[chosen.grade is not Grade.NONE],
        {name: _covered(technique, chosen.grade, missing, by_group or {}) for name, technique in catalogue.items()},
        by_group is not None,
        deny_pins.pinned(),
    )


def _by_group(catalogue: Mapping[str, Technique]) -> Mapping[str, bool] | None:
    """Attach what control groups can deny, for a moment and denying nothing.

    Returns:
        The techniques of which something can be denied, and whether that is all of it; None where nothing attaches.
    """
    try:
        with GroupDenier(catalogue, host_namespaces(), hierarchy()) as groups:
            return {name: groups.wholly(catalogue[name]) for name in groups.deniable()}
    except (Error, OSError, KeyError):
        return None


_BLIND = {
    True: (
        "a file that was opened before its container started, and is read or written through the open descriptor",
        "calls through io_uring that no hook is asked about",
        "what a sandbox such as gVisor does itself for the container inside it; its programs are exempt as a runtime",
        "a flaw of the kernel itself",
    ),
    False: (
        "nothing but what control groups refuse can be denied; an attempt is seen when its call has returned",
        "a path that another thread changes while the call runs, where the call failed",
        "how a request to io_uring ends, and what is sent through it",
        "a flaw of the kernel itself",
    ),
}


def _covered(technique: Technique, grade: Grade, missing: Collection[str], by_group: Mapping[str, bool]) -> Coverage:
    seen = technique.seen_as != NEVER
    if technique.id in NOT_DENIABLE:
        return Coverage(seen, False, NOT_DENIABLE[technique.id])
    if not rules(technique):
        return Coverage(seen, False, "no hook is asked about it")
    if technique.id in by_group:
        return Coverage(seen, True, _BY_GROUP[by_group[technique.id]], not by_group[technique.id])
    if grade is Grade.NONE:
        return Coverage(seen, False, "the back end in force denies nothing")
    lacks = lacking(technique, missing)
    if lacks:
        return Coverage(seen, False, f"this kernel lacks the hook {', '.join(lacks)}")
    return Coverage(seen, True, BROADER.get(technique.id, ""))


_BY_GROUP = {True: "by control groups", False: "by control groups, in part: settings, devices and connections"}


def _troubles(chosen: Choice, *, groups: bool) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if os.geteuid() != 0:
        found.append(("This process is not root", "run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE"))
    if not _BTF.exists():
        found.append(
            ("This kernel has no BTF: nothing can be watched or denied", "use a kernel with CONFIG_DEBUG_INFO_BTF")
        )
    try:
        version = library().version
        if version.startswith("v0."):
            found.append((f"libbpf {version} is too old", "install libbpf 1.0 or newer"))
    except Error as error:
        found.append((error.what, error.next))
    if chosen.grade is Grade.NONE:
        locked = _locked()
        if locked in {"integrity", "confidentiality"}:
            found.append(
                (f"The kernel is locked down ({locked}), which may forbid programs that deny",
                 "boot without lockdown=, or watch with the tracepoint back end only")
            )  # fmt: skip
        what = "No file, mount, socket or process" if groups else "Nothing"
        found.append(
            (f"{what} can be denied here: " + ("; ".join(chosen.passed_by) or "no back end was tried"),
             "boot with bpf added to lsm=, on a kernel with CONFIG_BPF_LSM, or let alerts be answered by a response")
        )  # fmt: skip
    elif chosen.grade is Grade.FMOD_RET:
        found.append(
            ("Calls are refused by fmod_ret, since bpf is not in lsm=", "add bpf to lsm= for the kernel's own way")
        )
    return found


def _locked() -> str:
    try:
        said = _LOCKDOWN.read_text(encoding="ascii")
    except OSError:
        return ""
    return said.partition("[")[2].partition("]")[0]
