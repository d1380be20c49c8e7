"""A demand in the words of a kernel program: whose process, which open mode, which paths, which sockets, which result.

Source:
    What Falco's fields mean; see ``rules/field_table.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from holdfast.model.facts import Fact
from holdfast.model.logic import Expr
from holdfast.model.words import event as word
from holdfast.reason.allowed import Allowed, Pattern, Shape
from holdfast.reason.pushdown import PATHS, Demand, demand
from holdfast.rules.fields import field


class Scope(Enum):
    """Whose process acts."""

    ANY = "any process"
    CONTAINER = "processes of containers"
    HOST = "processes of the host"


class Result(Enum):
    """How the call ended."""

    ANY = "any result"
    SUCCESS = "only calls that succeeded"
    FAILURE = "only calls that failed"


@dataclass(frozen=True, slots=True)
class KernelFilter:
    """What of a demand a kernel program can check.

    Attributes:
        never: No event meets the demand.
        scope: Whose process.
        reads, writes: The file must be opened for reading, for writing.
        paths: One path of the event, resolved or as given, must match one of these; None where none need.
        families: The socket's family is one of these, ``AF_INET``, ...; None where any will do.
        ports: One of the socket's ports is one of these; None where any will do.
        result: How the call ended.
        facts: The questions whose demand is in here.
    """

    never: bool = False
    scope: Scope = Scope.ANY
    reads: bool = False
    writes: bool = False
    paths: frozenset[Pattern] | None = None
    families: frozenset[str] | None = None
    ports: frozenset[int] | None = None
    result: Result = Result.ANY
    facts: frozenset[str] = frozenset()

    def told(self) -> list[str]:
        """Say it in words, one part each; empty where nothing can be checked."""
        parts = [self.scope.value] if self.scope is not Scope.ANY else []
        parts += ["opened for reading"] * self.reads + ["opened for writing"] * self.writes
        if self.paths is not None:
            shown = sorted(str(pattern) for pattern in self.paths)
            more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
            parts.append(f"path {', '.join(shown[:4])}{more}")
        if self.families is not None:
            parts.append(f"sockets of {', '.join(sorted(self.families))}")
        if self.ports is not None:
            parts.append(f"ports {', '.join(str(port) for port in sorted(self.ports)[:8])}")
        return [*parts, *([self.result.value] if self.result is not Result.ANY else [])]


_CONTAINER_ID, _IN_CONTAINER = field("container.id"), word.IN_CONTAINER
_HOST = "host"
_READ, _WRITE = (field("evt.is_open_read"),), (field("evt.is_open_write"), word.WRITE)
_RESULT, _ERROR, _FAILED, _NUMBER = field("evt.rawres"), field("evt.res"), field("evt.failed"), field("fd.num")
_MAKES_DESCRIPTOR = frozenset(
    (
        "open",
        "openat",
        "openat2",
        "creat",
        "open_by_handle_at",
        "socket",
        "accept",
        "accept4",
        "memfd_create",
        "userfaultfd",
    )
)
"""Calls whose descriptor is their result; of others ``fd.num`` is an argument."""
_INET = frozenset(("AF_INET", "AF_INET6"))
_FAMILIES: dict[Fact[Any], dict[str, frozenset[str]]] = {
    field("fd.sockfamily"): {"ip": _INET, "unix": frozenset(("AF_UNIX",))},
    field("fd.typechar"): {"4": frozenset(("AF_INET",)), "6": frozenset(("AF_INET6",))},
    field("fd.type"): {
        "ipv4": frozenset(("AF_INET",)), "ipv6": frozenset(("AF_INET6",)), "unix": frozenset(("AF_UNIX",)),
    },
}  # fmt: skip
_HAVE_ADDRESS = tuple(
    field(name)
    for name in ("fd.ip", "fd.cip", "fd.sip", "fd.lip", "fd.rip", "fd.net", "fd.cnet", "fd.snet", "fd.lnet", "fd.rnet",
                 "fd.port", "fd.cport", "fd.sport", "fd.lport", "fd.rport")
)  # fmt: skip
_PORTS = (field("fd.port"), field("fd.cport"), field("fd.sport"), field("fd.lport"), field("fd.rport"), word.PORT)


def kernel_filter(demanded: Demand, name: str) -> KernelFilter:
    """Say a demand in the words of a kernel program.

    Args:
        demanded: What a condition demands of events of one type.
        name: The type.

    Returns:
        A filter that lets every event through that meets the demand, as long as the answers fit each other: an address
        is answered for internet sockets only, ``container.id`` is ``host`` for the host.
    """
    if demanded.never:
        return KernelFilter(never=True)
    used: set[str] = set()

    def looked(fact: Fact[Any]) -> Allowed:
        allowed = demanded.allowed(fact)
        if not allowed.anything:
            used.add(fact.name)
        return allowed

    scope = _scope(looked(_CONTAINER_ID), looked(_IN_CONTAINER))
    reads = any(_only(looked(fact), True) for fact in _READ)
    writes = any(_only(looked(fact), True) for fact in _WRITE)
    families = _families({fact: looked(fact) for fact in (*_FAMILIES, *_HAVE_ADDRESS, word.SOCKET_FAMILY)})
    ports = next((found for found in (_ports(looked(fact)) for fact in _PORTS) if found is not None), None)
    numbers = [looked(_RESULT), *([looked(_NUMBER)] if name in _MAKES_DESCRIPTOR else [])]
    result = _result(numbers, looked(_ERROR), looked(_FAILED))
    paths = demanded.paths.patterns if not demanded.paths.anything else None
    if paths is not None:
        for fact in (*PATHS, field("fd.directory"), field("fd.filename")):
            looked(fact)
    return KernelFilter(False, scope, reads, writes, paths, families, ports, result, frozenset(used))


def kernel_filters(conditions: Iterable[Expr], type_fact: Fact[Any], name: str) -> tuple[KernelFilter, ...]:
    """Return what a kernel program must let through of events of one type, for several conditions.

    Args:
        conditions: Of the rules or techniques.
        type_fact: The question for the type: Falco's ``evt.type``, or ``event.syscall``.
        name: The type.

    Returns:
        An event has to be told if one of these lets it through; none at all means that no condition can be met.
    """
    found = (kernel_filter(demand(condition, type_fact, name), name) for condition in conditions)
    return tuple(dict.fromkeys(one for one in found if not one.never))


def _only(allowed: Allowed, value: object) -> bool:
    """Tell whether the answer must be this value."""
    patterns = allowed.patterns
    return (
        not allowed.missing
        and patterns is not None
        and all(pattern.shape is Shape.EXACT and pattern.value == value for pattern in patterns)
    )


def _scope(identifier: Allowed, inside: Allowed) -> Scope:
    if _only(inside, True) or not (identifier.missing or identifier.allows(_HOST)):
        return Scope.CONTAINER
    return Scope.HOST if _only(inside, False) or _only(identifier, _HOST) else Scope.ANY


def _families(allowed: dict[Fact[Any], Allowed]) -> frozenset[str] | None:
    found: frozenset[str] | None = None
    for fact, one in allowed.items():
        families: frozenset[str] | None = None
        if fact in _HAVE_ADDRESS:
            families = None if one.missing else _INET
        elif one.patterns is not None and not one.missing:
            known = _FAMILIES.get(fact, {})
            named = [known.get(str(p.value)) if known else frozenset((str(p.value),)) for p in one.patterns]
            exact = all(pattern.shape is Shape.EXACT for pattern in one.patterns)
            if exact and all(each is not None for each in named):
                families = frozenset(family for each in named for family in each or ())
        if families is not None:
            found = families if found is None else found & families
    return found


def _ports(allowed: Allowed) -> frozenset[int] | None:
    if allowed.missing or allowed.patterns is None:
        return None
    if not all(pattern.shape in {Shape.EXACT, Shape.MEMBER} for pattern in allowed.patterns):
        return None
    return frozenset(pattern.value for pattern in allowed.patterns)


def _result(numbers: list[Allowed], error: Allowed, failed: Allowed) -> Result:
    if _only(failed, False) or _only(error, "SUCCESS") or any(_not_negative(one) for one in numbers):
        return Result.SUCCESS
    negative = any(_negative(one) for one in numbers)
    if _only(failed, True) or negative or not (error.missing or error.allows("SUCCESS")):
        return Result.FAILURE
    return Result.ANY


def _not_negative(allowed: Allowed) -> bool:
    return _each(allowed, lambda low, _high: low is not None and low >= 0)


def _negative(allowed: Allowed) -> bool:
    return _each(allowed, lambda _low, high: high is not None and high < 0)


def _each(allowed: Allowed, test: Any) -> bool:
    if allowed.missing or allowed.patterns is None:
        return False
    for pattern in allowed.patterns:
        if pattern.shape is Shape.RANGE:
            low, high = pattern.value
        elif pattern.shape is Shape.EXACT:
            low = high = pattern.value
        else:
            return False
        if not test(low, high):
            return False
    return True
