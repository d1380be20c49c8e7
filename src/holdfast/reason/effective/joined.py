"""Declared and observed state of one container as one answer, and where they contradict each other.

The kernel has the last word: what was observed wins wherever it is known. A contradiction is recorded only where the
process holds more than was asked for. A process may always give up privileges by itself, and that is nobody's error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.report import Contradiction
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, OtherThan, Paths
from holdfast.model.words import container
from holdfast.reason.effective.capabilities import more

_UNCONFINED = frozenset({"none", "unconfined", "spc_t", "unconfined_t"})


def joined(declared: Facts | None, observed: Facts | None) -> tuple[Facts, tuple[Contradiction, ...]]:
    """Join what a document asks for with what the kernel shows.

    Args:
        declared: As ``from_declared`` answers; None where no document describes the container.
        observed: As ``from_observed`` answers; None where no live process was seen.

    Returns:
        One answer for each question, and the contradictions in the order of the vocabulary. What is observed only in
        part is filled up from what is declared.
    """
    if observed is None:
        return (Facts() if declared is None else declared), ()
    if declared is None:
        return observed, ()
    table: dict[Fact[Any], Seen[Any] | Absent] = dict(declared.table)
    for fact, entry in observed.table.items():
        asked = table.get(fact)
        if isinstance(entry, Seen):
            table[fact] = _filled(asked, entry) if isinstance(asked, Seen) else entry
        elif not isinstance(asked, Seen):
            table[fact] = entry
    found = []
    # without the host's root no runtime can set device rules; there the nodes' own permissions stand guard
    unruled = {container.DEVICE_ACCESS} if observed.value(container.USER_NAMESPACE) == "private" else set()
    for fact, differs in _DIFFERS.items():
        if fact in unruled:
            continue
        asked, seen = declared.seen(fact), observed.seen(fact)
        if asked is not None and seen is not None and differs(asked.value, seen.value, declared):
            found.append(Contradiction(fact, asked, seen))
    return Facts(table), tuple(found)


def _filled(asked: Seen[Any], seen: Seen[Any]) -> Seen[Any]:
    """Return the observed answer, with what it leaves open taken from the declared one."""
    value, wanted = seen.value, asked.value
    if isinstance(value, Members) and isinstance(wanted, Members):
        if not value.maybe and value.rest is not UNKNOWN:
            return seen
        whole: object = _members(value, wanted)
    elif isinstance(value, Paths) and isinstance(wanted, Paths) and value.rest is UNKNOWN:
        # one mount of which nobody knows where it leads may be any of those that were asked for
        asked_for = tuple(path for path in wanted.items if path not in value.outside)
        whole = Paths(tuple(dict.fromkeys((*value.items, *asked_for))), UNKNOWN, value.outside)
    else:
        return seen
    return Seen(whole, seen.where, seen.note or asked.note, {**asked.parts, **seen.parts})


def _members(value: Members, wanted: Members) -> Members:
    names = value.yes | value.maybe | value.no | wanted.yes | wanted.maybe | wanted.no
    answers = {name: value.has(name) for name in names}
    answers |= {name: wanted.has(name) for name, answer in answers.items() if answer is UNKNOWN}
    rest = wanted.rest if value.rest is UNKNOWN else value.rest
    return Members(
        frozenset(name for name, answer in answers.items() if answer is YES),
        frozenset(name for name, answer in answers.items() if answer is UNKNOWN),
        frozenset(name for name, answer in answers.items() if answer is NO) if rest is not NO else frozenset(),
        rest,
    )


# --- what counts as a contradiction: (declared, observed, all that is declared) -> bool -------------------------------


def _holds_more(asked: Any, seen: Any, declared: Facts) -> bool:
    """Capabilities that were not granted. A setuid program may take any of the bounding set: that is no more."""
    if not isinstance(asked, Members) or not isinstance(seen, Members):
        return False
    limit = declared.value(container.BOUNDING_CAPABILITIES)
    extra = more(asked, seen)
    return any(not isinstance(limit, Members) or limit.has(name) is NO for name in extra)


def _more_members(asked: Any, seen: Any, _: Facts) -> bool:
    return isinstance(asked, Members) and isinstance(seen, Members) and bool(more(asked, seen))


def _shares_more(asked: Any, seen: Any, _: Facts) -> bool:
    """A namespace shared with the host though it was not asked for. The time namespace nobody asks for."""
    if not isinstance(asked, Members) or not isinstance(seen, Members):
        return False
    return any(seen.has(name) is YES and asked.has(name) is NO for name in ("pid", "net", "ipc", "uts", "mnt"))


def _opens_more(asked: Any, seen: Any, _: Facts) -> bool:
    """Disks and memory; engines add GPU and other devices of their own accord."""
    if not isinstance(asked, Members) or not isinstance(seen, Members):
        return False
    return any(seen.has(kind) is YES and asked.has(kind) is NO for kind in ("block", "mem", "port"))


def _lost(asked: Any, seen: Any, _: Facts) -> bool:
    """A protection that was asked for is not there."""
    return asked is True and seen is False


def _gained(asked: Any, seen: Any, _: Facts) -> bool:
    """An opening that was not asked for is there."""
    return asked is False and seen is True


def _unfiltered(asked: Any, seen: Any, _: Facts) -> bool:
    return isinstance(asked, str) and asked != "unconfined" and seen == "unconfined"


def _other_profile(asked: Any, seen: Any, _: Facts) -> bool:
    """Another profile, or none where one was asked for. Podman names its default after its own version."""
    if not isinstance(asked, str) or not isinstance(seen, str) or asked == seen:
        return False
    if asked in _UNCONFINED:
        return seen not in _UNCONFINED
    return not seen.startswith(asked)


def _host_users(asked: Any, seen: Any, _: Facts) -> bool:
    return bool(asked == "private" and seen == "host")


def _is_root(asked: Any, seen: Any, _: Facts) -> bool:
    """Root of the host though another user was asked for. A user that root gave way to is no contradiction."""
    other = asked == OtherThan(0) or (isinstance(asked, int) and asked != 0)
    return other and isinstance(seen, int) and seen == 0


def _escaped_box(asked: Any, seen: Any, _: Facts) -> bool:
    return bool(asked != "none" and seen == "none")


def _not_read_only(asked: Any, seen: Any, declared: Facts) -> bool:
    """A host path that was asked for read-only and is writable."""
    mounted = declared.value(container.HOST_PATHS)
    if not isinstance(asked, Paths) or not isinstance(seen, Paths) or not isinstance(mounted, Paths):
        return False
    fixed = set(mounted.items) - set(asked.items)
    return asked.rest is NO and any(path in fixed for path in seen.items)


Difference = Callable[[Any, Any, Facts], bool]

_DIFFERS: dict[Fact[Any], Difference] = {
    container.HOST_USER_ID: _is_root,
    container.USER_NAMESPACE: _host_users,
    container.CAPABILITIES: _holds_more,
    container.BOUNDING_CAPABILITIES: _more_members,
    container.NO_NEW_PRIVILEGES: _lost,
    container.SECCOMP: _unfiltered,
    container.APPARMOR: _other_profile,
    container.SELINUX: _other_profile,
    container.SANDBOX: _escaped_box,
    container.SHARED_NAMESPACES: _shares_more,
    container.HOST_PATHS_WRITABLE: _not_read_only,
    container.MASKED: _lost,
    container.PRIVILEGED: _lost,
    container.CGROUP_WRITABLE: _gained,
    container.DEVICE_ACCESS: _opens_more,
}
