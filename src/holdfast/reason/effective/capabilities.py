"""Capability arithmetic: what each engine grants, and what is left of it after execve(2).

Source:
    capabilities(7); ``daemon/pkg/oci/caps`` of moby; ``internal/cri/opts`` of containerd;
    ``internal/factory/container`` of CRI-O; ``pkg/capabilities`` of containers/common.
"""

from __future__ import annotations

from functools import lru_cache

from holdfast.model.facts import Facts
from holdfast.model.truth import NO
from holdfast.model.values import Members
from holdfast.model.words import host
from holdfast.reason.effective.reading import number

_IN_ORDER = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
NAMES = tuple("CAP_" + name for name in _IN_ORDER.split())
"""By number, 0 to 40, as in ``include/uapi/linux/capability.h``."""

EVERY = frozenset(NAMES)


def _named(names: str) -> frozenset[str]:
    return frozenset("CAP_" + name for name in names.split())


_CRIO = _named("CHOWN DAC_OVERRIDE FSETID FOWNER SETGID SETUID SETPCAP NET_BIND_SERVICE KILL")
_PODMAN = _CRIO | _named("SETFCAP SYS_CHROOT")
_DOCKER = _PODMAN | _named("MKNOD NET_RAW AUDIT_WRITE")

DEFAULTS = {"docker": _DOCKER, "containerd": _DOCKER, "podman": _PODMAN, "cri-o": _CRIO}

_ONE_OF = {"cri": ("containerd", "cri-o", "docker"), "": ("docker", "podman", "containerd", "cri-o")}
_ALL = "ALL"


@lru_cache(maxsize=64)
def _first(count: int) -> frozenset[str]:
    return frozenset(NAMES[:count])


def known_to(seen_host: Facts) -> frozenset[str]:
    """Return the capabilities the host's kernel knows; all that have a name here where the host was not seen."""
    last = number(seen_host, host.LAST_CAPABILITY)
    if last is None or not 0 <= last.value < len(NAMES):
        return EVERY
    return _first(last.value + 1)


def spelled(name: str) -> str:
    """Give a capability one spelling: ``CAP_`` and capitals; ``ALL`` stays."""
    name = name.strip().upper()
    return name if name == _ALL or name.startswith("CAP_") else "CAP_" + name


@lru_cache(maxsize=512)
def granted(engine: str, added: tuple[str, ...], dropped: tuple[str, ...], known: frozenset[str]) -> Members:
    """Return what the engine grants: the bounding set, and for root the effective set too.

    Args:
        engine: As in ``declared.engine``; ``cri`` or empty where it may be one of several.
        added: As written.
        dropped: As written.
        known: What the kernel knows.

    Returns:
        A closed set. Names on which the engines that may run it disagree, names no kernel knows, and what an engine
        refuses to start with, are undecided.
    """
    if engine in _ONE_OF or engine not in DEFAULTS:
        return _agreed([granted(one, added, dropped, known) for one in _ONE_OF.get(engine, _ONE_OF[""])])
    plus = frozenset(spelled(name) for name in added)
    minus = frozenset(spelled(name) for name in dropped)
    if engine in {"docker", "podman"}:
        return _closed(_order_free(DEFAULTS[engine], plus, minus, known), plus, known)
    if engine == "cri-o":
        return _closed(_cri(_CRIO, plus, minus, known), plus, known)
    # containerd puts CAP_ before the name it is given; a name that has it already then means nothing to the kernel
    plus, odd_plus = _by_prefix(added)
    minus, odd_minus = _by_prefix(dropped)
    sure = _cri(_DOCKER, plus, minus, known)
    doubtful = (sure & odd_minus) | (odd_plus - sure - minus)
    return _closed(sure - odd_minus, plus | odd_plus, known, doubtful)


def _by_prefix(names: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names written without the prefix, and those written with it."""
    odd = frozenset(name for name in names if name.strip().upper().startswith("CAP_"))
    return frozenset(spelled(name) for name in names if name not in odd), frozenset(spelled(name) for name in odd)


def _order_free(
    base: frozenset[str], plus: frozenset[str], minus: frozenset[str], known: frozenset[str]
) -> frozenset[str]:
    """Docker and Podman: an addition wins over a drop of the same name.

    Podman refuses to start what Docker resolves so; the answer for what never starts may be any.
    """
    if _ALL in plus:
        return known - minus
    if _ALL in minus:
        return plus
    return (base - minus) | plus


def _cri(base: frozenset[str], plus: frozenset[str], minus: frozenset[str], known: frozenset[str]) -> frozenset[str]:
    """Add ALL, drop ALL, add the names, drop the names: a drop wins over an addition of the same name."""
    if _ALL in minus:
        base = frozenset()
    elif _ALL in plus:
        base = known
    return (base | (plus - {_ALL})) - minus


def _closed(
    names: frozenset[str], plus: frozenset[str], known: frozenset[str], doubtful: frozenset[str] = frozenset()
) -> Members:
    strange = plus - EVERY - {_ALL}
    if "CAP_ALL" in strange:
        doubtful = doubtful | (known - names)
    return Members((names & known) - doubtful, (strange | (doubtful & known)) - {"CAP_ALL"})


def _agreed(answers: list[Members]) -> Members:
    sure = frozenset.intersection(*(answer.yes for answer in answers))
    some = frozenset().union(*(answer.yes | answer.maybe for answer in answers))
    return Members(sure, some - sure)


def doubted(names: Members, sure: frozenset[str] = frozenset()) -> Members:
    """Return the set with every member undecided that is not among the sure ones."""
    kept = names.yes & sure
    return Members(kept, (names.yes | names.maybe) - kept)


def kept_by_addition(engine: str, added: tuple[str, ...]) -> frozenset[str]:
    """Return the names that no drop takes away: Docker and Podman let an addition win over a drop of the same name."""
    return frozenset(map(spelled, added)) if engine in {"docker", "podman"} else frozenset()


def partly(names: Members, known: frozenset[str]) -> Members:
    """Return the set with everything undecided that is not sure to be inside: nobody saw what was added."""
    return Members(names.yes, known - names.yes)


NONE = Members()


@lru_cache(maxsize=512)
def ambient(engine: str, added: tuple[str, ...], known: frozenset[str]) -> Members:
    """Return what a user other than root keeps: Podman makes added capabilities ambient, the others keep nothing."""
    if engine == "podman":
        plus = frozenset(spelled(name) for name in added)
        return _closed(known if _ALL in plus else plus, plus, known)
    if engine == "" and added:
        return doubted(ambient("podman", added, known))
    return NONE


@lru_cache(maxsize=512)
def held(bounding: Members, kept: Members, *, is_root: bool | None) -> Members:
    """Return the effective set after the program was started.

    Args:
        bounding: What root gets.
        kept: What any other user keeps.
        is_root: None where the user is not known; then only what both would hold is sure.
    """
    if is_root is None:
        sure = bounding.yes & kept.yes
        return Members(sure, (bounding.yes | bounding.maybe | kept.yes | kept.maybe) - sure)
    return bounding if is_root else kept


def more(declared: Members, effective: Members) -> frozenset[object]:
    """Return the capabilities that are surely held though they were surely not granted."""
    if declared.rest is not NO:
        return frozenset(name for name in effective.yes if declared.has(name) is NO)
    return effective.yes - declared.yes - declared.maybe
