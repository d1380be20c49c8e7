"""From what a document asks for to what the kernel will do.

Where neither document nor host says otherwise, an engine is taken to be set up as it comes: rootful, without remapped
users, with an ordinary runtime. Such answers bear a note; seeing the host may still correct them.
"""

from __future__ import annotations

from typing import Any

from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import NO, UNKNOWN
from holdfast.model.values import Members
from holdfast.model.words import container, declared, host
from holdfast.model.words import load as words
from holdfast.reason.effective.capabilities import (
    NONE,
    ambient,
    doubted,
    granted,
    held,
    kept_by_addition,
    known_to,
    partly,
    spelled,
)
from holdfast.reason.effective.confinement import answer_confinement
from holdfast.reason.effective.devices import answer_devices
from holdfast.reason.effective.ground import Ground, ground
from holdfast.reason.effective.kernel_files import answer_kernel_files
from holdfast.reason.effective.mounts import answer_mounts
from holdfast.reason.effective.namespaces import answer_namespaces
from holdfast.reason.effective.permissions import answer_permissions
from holdfast.reason.effective.reading import Table, flag, places, renamed, text, texts, told_apart
from holdfast.reason.effective.seccomp import declared_syscalls
from holdfast.reason.effective.surroundings import answer_surroundings
from holdfast.reason.effective.users import User, answer_users, user

_WINDOWS = "a Windows container: nothing here is known about it"
_LIVE = Absent("only a live process shows it")


def from_declared(facts: Facts, host_facts: Facts) -> Facts:
    """Turn declared facts into what the kernel will do.

    Args:
        facts: ``declared.*`` of one container. A malformed answer counts as none.
        host_facts: ``host.*`` and ``engine.*``; empty where no host was seen.

    Returns:
        The words of ``model/words/container.py``, each answered or with the reason why not.
    """
    system = text(facts, declared.CONTAINER_OS)
    if system is not None and system.value.lower() == "windows":
        absent = Absent(_WINDOWS, system.where)
        return Facts(dict.fromkeys(_subjects(), absent))
    out: Table = {}
    at = ground(facts, host_facts)
    who = user(facts, at)
    answer_users(out, facts, at, who)
    bounding = _capabilities(out, facts, at, who)
    answer_confinement(out, facts, at)
    answer_namespaces(out, facts, at)
    answer_mounts(out, facts, at)
    answer_kernel_files(out, facts, at)
    answer_devices(out, facts, at)
    _flags(out, facts, at)
    out.update(declared_syscalls(facts, host_facts, bounding))
    answer_permissions(out, host_facts)
    answer_surroundings(out, facts, host_facts, at)
    return Facts(out)


def _subjects() -> tuple[Fact[Any], ...]:
    return tuple(fact for fact in words().values() if fact.subject == "container")


def _capabilities(out: Table, facts: Facts, at: Ground, who: User) -> Members:
    """Answer the effective and the bounding set; return the bounding set, which opens gates in seccomp profiles."""
    exact = texts(facts, declared.CAPABILITIES_EXACT)
    if exact is not None:
        return _exact(out, facts, who, exact)
    known = known_to(at.host)
    added, dropped = texts(facts, declared.CAPABILITIES_ADDED), texts(facts, declared.CAPABILITIES_DROPPED)
    plus, more_added = told_apart(() if added is None else added.value)
    kept = ambient(at.engine, plus, known) if added is not None else NONE
    kept = partly(kept, known) if more_added and at.engine in {"podman", ""} else kept
    where = places(added, dropped, at.privileged)
    if at.is_privileged and at.privileged is not None:
        bounding, where, note = Members(known), at.privileged.where, "privileged: every capability of the kernel"
    else:
        bounding, note = _named(at, added, dropped, known)
        if added is not None and dropped is not None and dropped.value and not added.value:
            where = dropped.where
        if at.privileged is None and added is not None and dropped is not None:
            bounding, note = partly(bounding, known), "whether it is privileged was not seen"
    parts: dict[object, Where] = {}
    for entry in (dropped, added):
        if entry is not None and entry.parts:
            parts |= renamed(entry.parts, ((one, spelled(one)) for one in entry.value))
    out[container.BOUNDING_CAPABILITIES] = Seen(bounding, where, note, parts)
    effective = held(bounding, kept, is_root=who.is_root)
    out[container.CAPABILITIES] = Seen(effective, where, _why(who, note), parts)
    return bounding


def _named(
    at: Ground, added: Seen[tuple[str, ...]] | None, dropped: Seen[tuple[str, ...]] | None, known: frozenset[str]
) -> tuple[Members, str]:
    """Return what a container that is not privileged is granted, as far as its two lists tell, and a note."""
    if added is None and dropped is None:
        return Members(maybe=known), "what is added and dropped was not seen"
    plus, more_added = told_apart(() if added is None else added.value)
    minus, more_dropped = told_apart(() if dropped is None else dropped.value)
    bounding = granted(at.engine, plus, minus, known)
    if more_dropped or dropped is None:
        bounding = doubted(bounding, kept_by_addition(at.engine, plus))
    if more_added or added is None:
        bounding = partly(bounding, known)
    if added is None or dropped is None:
        return bounding, "what is added or dropped was not seen"
    if more_added or more_dropped:
        return bounding, "some of what is added or dropped could not be read"
    return bounding, "" if added.value or dropped.value else "the engine's default set"


def _why(who: User, note: str) -> str:
    if who.is_root is None:
        return "the image's user was not seen; root would hold them"
    return note if who.is_root else "not root: nothing is left after the program starts, files of the image aside"


def _exact(out: Table, facts: Facts, who: User, exact: Seen[tuple[str, ...]]) -> Members:
    """Take the sets of an OCI configuration, and what execve(2) makes of them."""
    limit = texts(facts, declared.CAPABILITIES_BOUNDING)
    kept = texts(facts, declared.CAPABILITIES_AMBIENT)
    effective = frozenset(spelled(name) for name in exact.value)
    fixed = flag(facts, declared.NO_NEW_PRIVILEGES)
    if limit is None:
        bounding = Members(effective, rest=UNKNOWN)
        out[container.BOUNDING_CAPABILITIES] = Absent("the bounding set was not seen", exact.where)
    else:
        bounding = Members(frozenset(spelled(name) for name in limit.value))
        out[container.BOUNDING_CAPABILITIES] = Seen(bounding, limit.where)
    # root regains its bounding set when it starts a program, unless no-new-privileges is set (capabilities(7))
    regained = bounding.yes if fixed is not None and not fixed.value else frozenset()
    root = Members(effective | regained, frozenset() if fixed is not None else bounding.yes - effective)
    other = Members(frozenset(spelled(name) for name in (() if kept is None else kept.value)))
    if kept is None:
        other = Members(maybe=root.yes | root.maybe)
    note = "" if who.is_root else _why(who, "")
    out[container.CAPABILITIES] = Seen(held(root, other, is_root=who.is_root), exact.where, note)
    return bounding


def _flags(out: Table, facts: Facts, at: Ground) -> None:
    """Answer the plain switches, and what no document can show."""
    unsaid = Absent("the document could not say")
    fixed = flag(facts, declared.NO_NEW_PRIVILEGES)
    token = flag(facts, declared.SERVICE_ACCOUNT_TOKEN)
    out[container.NO_NEW_PRIVILEGES] = unsaid if fixed is None else Seen(fixed.value, fixed.where, fixed.note)
    out[container.SERVICE_ACCOUNT_TOKEN] = unsaid if token is None else Seen(token.value, token.where, token.note)
    asked = flag(facts, declared.PRIVILEGED)
    out[container.PRIVILEGED] = unsaid if asked is None else Seen(asked.value, asked.where)
    out[container.LEAKED_HOST_FD] = _LIVE
    shared = out.get(container.SHARED_NAMESPACES)
    mounted = out.get(container.HOST_PATHS)
    private = isinstance(shared, Seen) and shared.value.has("pid") is NO
    if private and isinstance(shared, Seen) and isinstance(mounted, Seen) and mounted.value.covers("/proc") is NO:
        unseen = Seen(False, shared.where, "no process outside is visible")
        out[container.SAME_USER_ON_HOST] = out[container.SAME_USER_IN_CONTAINER] = unseen
        out[container.SAME_USER_ID_ON_HOST] = unseen
        peers = text(facts, declared.PROCESS_PEERS)
        if peers is not None and peers.value == "same":
            out[container.SAME_USER_IN_CONTAINER] = Seen(True, peers.where, peers.note)
        elif peers is not None and peers.value == "unsure":
            out[container.SAME_USER_IN_CONTAINER] = Absent(f"{peers.note}; whether as the same user was not seen")
    else:
        out[container.SAME_USER_ON_HOST] = out[container.SAME_USER_IN_CONTAINER] = _LIVE
        out[container.SAME_USER_ID_ON_HOST] = _LIVE
    out[container.USER_ID_ON_HOST] = _LIVE
    version = text(at.host, host.CGROUP_VERSION)
    if version is not None and version.value == "v2":
        out[container.CGROUP_V1_ROOT] = Seen(False, version.where, "the host has no version 1 hierarchy")
    else:
        out[container.CGROUP_V1_ROOT] = _LIVE
