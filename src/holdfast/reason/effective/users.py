"""Who the process is: user and groups inside, and as the host's file permissions see them.

Source:
    user_namespaces(7); ``GetExecUser`` of moby/sys/user for how an engine resolves a user;
    https://docs.docker.com/engine/security/userns-remap/
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import NO, UNKNOWN
from holdfast.model.values import Members, OtherThan
from holdfast.model.words import container, declared, engine
from holdfast.reason.effective.ground import Ground
from holdfast.reason.effective.reading import Table, elements, flag, text, texts, value

NOT_ROOT = OtherThan(0)
_HIGHEST = 0xFFFFFFFF
_Id = int | OtherThan

_IMAGE = "no user is named and the image was not seen; an image runs as root unless it names a user"
_NOBODY = Absent("neither user nor engine was named")
_NAME = Absent("a user given by name is looked up in the image, which was not seen")
_NO_USER = Absent("the user is not a number the kernel takes")
_PODMAN = Absent("whether Podman runs rootless was not seen")
_REMAPPED = Absent("the user or its user namespace was not seen")
_UNRESOLVED = frozenset({"sysbox-runc"})


@dataclass(frozen=True, slots=True)
class User:
    """The user of the process.

    Attributes:
        entry: For ``container.user_id``.
        is_root: None where unknown.
        group: Primary group where the document names it by number.
        closed: The groups are the named ones and no other.
    """

    entry: Seen[_Id] | Absent
    is_root: bool | None
    group: int | None = None
    closed: bool = False


def number_of(word: str) -> int | None:
    """Return a user or group id written in decimal digits; None for anything else the kernel would not take."""
    if word.isascii() and word.isdigit() and len(word) <= len(str(_HIGHEST)):
        number = int(word)
        return number if number < _HIGHEST else None
    return None


def user(facts: Facts, at: Ground) -> User:
    """Tell which user the process runs as, inside the container."""
    named = text(facts, declared.USER)
    refuses = flag(facts, declared.RUN_AS_NON_ROOT)
    never_root = refuses is not None and refuses.value
    if named is None:
        if never_root and refuses is not None:
            return User(Seen(NOT_ROOT, refuses.where, "the engine refuses to start it as root"), False)
        unread = facts.absent(declared.USER)
        if unread is not None and not value(flag(facts, declared.USER_BY_IMAGE)):
            return User(unread, None)
        return User(Seen(0, at.where, _IMAGE), True) if at.engine else User(_NOBODY, None)
    name, colon, group_name = named.value.strip().partition(":")
    group = number_of(group_name)
    if named.value == "" or name == "root":
        found: int | None = 0
    else:
        found = number_of(name)
    if never_root and (found is None or found == 0):
        return User(Seen(NOT_ROOT, named.where, "the engine refuses to start it as root"), False, group)
    if found is None:
        strange = not name or name.isdigit()
        return User(Absent((_NO_USER if strange else _NAME).reason, named.where), None, group)
    note = "neither document nor image name a user" if named.value == "" else named.note
    entry: Seen[_Id] = Seen(found, named.where, note)
    # an explicit group ends the look-up in the image's /etc/group; the CRI runtimes add those groups all the same
    closed = group is not None and at.engine in {"docker", "podman"} and bool(colon)
    return User(entry, found == 0, group, closed)


def user_namespace(facts: Facts, at: Ground) -> Seen[str] | Absent:
    """Tell whether capabilities count in the host's initial user namespace."""
    mapped = elements(facts, declared.USER_NAMESPACE_MAP, tuple)
    if mapped is not None and mapped.value:
        return Seen("private", mapped.where)
    if at.rootless is not None and at.rootless.value:
        return Seen("private", at.rootless.where, "the engine itself runs as an ordinary user")
    asked = text(facts, declared.USER_NAMESPACE)
    word = "default" if asked is None else asked.value
    where = at.where if asked is None else asked.where
    if word == "private":
        return Seen("private", where)
    if word not in {"host", "default"}:
        return Absent("the user namespace asked for is not understood", where)
    runtime = text(facts, declared.RUNTIME)
    if runtime is not None and runtime.value in _UNRESOLVED:
        return Seen("private", runtime.where, "this runtime gives every container a user namespace")
    if at.engine == "podman" and at.rootless is None:
        return _PODMAN
    if word == "host":
        return Seen("host", where)
    remap = flag(at.engine_facts, engine.USERNS_REMAP)
    if remap is not None and remap.value:
        return Seen("private", remap.where, "the engine remaps users by default")
    if asked is None and not at.engine:
        return Absent("neither the user namespace nor the engine was named")
    note = "" if remap is not None and at.rootless is not None else "engine default: no user namespace of its own"
    return Seen("host", where, note)


def answer_users(out: Table, facts: Facts, at: Ground, who: User) -> None:
    """Answer user, groups and user namespace."""
    space = user_namespace(facts, at)
    out[container.USER_ID] = who.entry
    out[container.USER_NAMESPACE] = space
    out[container.HOST_USER_ID] = _on_host(who, space, facts)
    out[container.HOST_GROUP_IDS] = _groups(who, space, facts)


def outside(user_id: int, ranges: tuple[tuple[int, int, int], ...]) -> int | None:
    """Return the id on the host by ``uid_map`` lines (inside, outside, length); None where none maps it."""
    for first, other, length in ranges:
        if first <= user_id < first + length:
            return other + user_id - first
    return None


def inside(user_id: int, ranges: tuple[tuple[int, int, int], ...]) -> int | None:
    """Return the id in the container by ``uid_map`` lines; None where none maps it."""
    for first, other, length in ranges:
        if other <= user_id < other + length:
            return first + user_id - other
    return None


def ranges_of(lines: tuple[tuple[object, ...], ...]) -> tuple[tuple[int, int, int], ...] | None:
    """Return the lines of a map where every one is three numbers, else None."""
    good: list[tuple[int, int, int]] = []
    for line in lines:
        if len(line) != 3 or not all(isinstance(one, int) for one in line):
            return None
        first, other, length = line
        if isinstance(first, int) and isinstance(other, int) and isinstance(length, int):
            good.append((first, other, length))
    return tuple(good)


def _on_host(who: User, space: Seen[str] | Absent, facts: Facts) -> Seen[_Id] | Absent:
    seen = who.entry if isinstance(who.entry, Seen) else None
    if isinstance(space, Absent):
        # whichever namespace it is, a user that is not root inside is not root outside
        return Seen(NOT_ROOT, seen.where, seen.note) if seen is not None and who.is_root is False else _REMAPPED
    if space.value == "host":
        return who.entry
    lines = elements(facts, declared.USER_NAMESPACE_MAP, tuple)
    if lines is None or not lines.value:
        return Seen(NOT_ROOT, space.where, "users of its own user namespace are never root of the host")
    ranges = ranges_of(lines.value)
    if ranges is None:
        return Absent("the user mapping is not understood", lines.where)
    if seen is not None and isinstance(seen.value, int):
        found = outside(seen.value, ranges)
        return Absent("the user is not mapped", lines.where) if found is None else Seen(found, lines.where)
    if inside(0, ranges) is None:
        return Seen(NOT_ROOT, lines.where, "the mapping leaves out root of the host")
    return _REMAPPED


def _groups(who: User, space: Seen[str] | Absent, facts: Facts) -> Seen[Members] | Absent:
    further = texts(facts, declared.GROUPS)
    where = _place(who, further, space)
    if where is None:
        return Absent("neither user nor groups were seen")
    if isinstance(space, Absent):
        return Seen(Members(rest=UNKNOWN), where, "the user namespace was not seen")
    if space.value != "host":
        lines = elements(facts, declared.USER_NAMESPACE_MAP, tuple)
        ranges = () if lines is None else ranges_of(lines.value)
        if ranges is None or any(other <= _SYSTEM[-1] for _, other, _ in ranges):
            return Seen(Members(rest=UNKNOWN), where, "the mapping takes in groups of the host's system")
        return Seen(_NO_SYSTEM_GROUP, where, "groups of its own user namespace are other groups on the host")
    sure: set[object] = set() if who.group is None else {who.group}
    closed = who.closed and further is not None
    for name in () if further is None else further.value:
        group = 0 if name == "root" else number_of(name)
        if group is None:
            closed = False
        else:
            sure.add(group)
    if who.is_root and who.group is None:
        sure.add(0)
    parts = {} if further is None else further.parts
    rest = NO if closed else UNKNOWN
    note = "" if closed else "the image's own groups were not seen"
    return Seen(Members(frozenset(sure), rest=rest), where, note, _renumbered(parts))


_SYSTEM = range(1000)
"""Ids of the host's own users and groups. shadow gives user namespaces ids from 100000 on, a kubelet from 65536 on."""
_NO_SYSTEM_GROUP = Members(no=frozenset[object](_SYSTEM), rest=UNKNOWN)


def _renumbered(parts: object) -> dict[object, Where]:
    found: dict[object, Where] = {}
    if isinstance(parts, dict):
        for name, where in parts.items():
            group = number_of(name) if isinstance(name, str) else None
            if group is not None:
                found[group] = where
    return found


def _place(who: User, further: Seen[tuple[str, ...]] | None, space: Seen[str] | Absent) -> Where | None:
    if further is not None and further.value:
        return further.where
    if isinstance(who.entry, Seen):
        return who.entry.where
    return space.where if space.where is not None else (None if further is None else further.where)
