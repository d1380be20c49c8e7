"""Changes to one container, written into the command line that starts it.

Every change is read back before it is taken: the new text must say what the change says of this container, and what
the old one said of all else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from holdfast.model.change import Change, Instead, Without, applied, edited
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.model.workload import Described, Reading
from holdfast.model.written import Unwritten, Written
from holdfast.platforms._docker_run_options import Option, Options, added, instead, without
from holdfast.platforms._docker_run_place import Place
from holdfast.platforms._docker_run_shell import commands
from holdfast.platforms._docker_run_values import PROPAGATIONS, pieces, short_device

_SWITCHES: dict[Fact[Any], str] = {
    declared.PRIVILEGED: "privileged",
    declared.READ_ONLY_ROOT: "read-only",
    declared.TERMINAL: "tty",
}
_VALUES: dict[Fact[Any], str] = {declared.USER: "user", declared.RUNTIME: "runtime"}
_LISTS: dict[Fact[Any], str] = {
    declared.CAPABILITIES_ADDED: "cap-add", declared.CAPABILITIES_DROPPED: "cap-drop", declared.GROUPS: "group-add",
    declared.DEVICE_RULES: "device-cgroup-rule", declared.SYSCTLS: "sysctl",
}  # fmt: skip
_SECURITY: dict[Fact[Any], tuple[str, ...]] = {
    declared.NO_NEW_PRIVILEGES: ("no-new-privileges",), declared.SECCOMP: ("seccomp",),
    declared.APPARMOR: ("apparmor",), declared.SELINUX: ("label", "disable"),
    declared.SYSTEM_PATHS: ("systempaths", "mask", "unmask"), declared.WRITABLE_CGROUPS: ("writable-cgroups",),
}  # fmt: skip
_MODES = {"pid": "pid", "net": "network", "ipc": "ipc", "uts": "uts", "cgroup": "cgroupns"}
_FOLLOWS: dict[Fact[Any], set[Fact[Any]]] = {
    declared.PRIVILEGED: {declared.SYSTEM_PATHS, declared.SELINUX}, declared.USER: {declared.USER_BY_IMAGE},
    declared.SECCOMP: {declared.SECCOMP_PROFILE}, declared.NAMESPACES: {declared.NETWORKS, declared.SELINUX},
}  # fmt: skip
"""Facts that follow from the same words, and change with them."""

Read = Callable[[str], Reading]


class _Cannot(Exception):
    """A change that cannot be written; the text says why."""


def write_command(text: str, described: Described, changes: Sequence[Change], read: Read, place: Place) -> Written:
    """Write changes to a container into the text that holds its command line.

    Args:
        text: The whole text.
        described: The container as it was read.
        changes: What to change.
        read: Reads a text without any other file; the same way before and after.
        place: Where the commands are taken to be started.
    """
    name, line = described.workload.source.document, described.workload.source.line
    order = sorted(range(len(changes)), key=lambda at: changes[at].fact is not declared.PRIVILEGED)
    left: dict[int, Unwritten] = {}
    before = read(text)
    found = [at for at, one in enumerate(before.workloads) if one.workload == described.workload]
    for at in order:
        change = changes[at]
        entry = described.facts.table.get(change.fact)
        where = entry.where if entry is not None and entry.where is not None else Where(name, "", line)
        if len(found) != 1:
            why = "the command line is not where it was read, or stands there twice"
            left[at] = Unwritten(change, why, where)
            continue
        try:
            asked = _translated(change, described.facts, before.workloads[found[0]].facts)
            text = _written(text, found[0], asked, read, place)
        except _Cannot as reason:
            left[at] = Unwritten(change, str(reason), where)
    return Written(text, tuple(left[at] for at in sorted(left)))


def _translated(change: Change, told: Facts, alone: Facts) -> Change:
    """Say a change of mounts in the words of the text alone, in which no directory makes relative paths absolute."""
    outer, inner = told.value(declared.MOUNTS), alone.value(declared.MOUNTS)
    if change.fact is not declared.MOUNTS or outer is None or inner is None or len(outer) != len(inner):
        return change
    names: dict[object, Mount] = dict(zip(outer, inner, strict=True))
    value = change.value
    if isinstance(value, Without):
        value = Without(tuple(names.get(one, one) for one in value.members))
    elif isinstance(value, Instead) and isinstance(value.new, Mount) and isinstance(value.old, Mount):
        old = names.get(value.old, value.old)
        source = old.source if value.new.source == value.old.source else value.new.source
        value = Instead(old, replace(value.new, source=source))
    return replace(change, value=value)


def _written(text: str, index: int, change: Change, read: Read, place: Place) -> str:
    """Write one change.

    Raises:
        _Cannot: It cannot be written, or not without changing something else.
    """
    before = read(text)
    described = before.workloads[index]
    facts = described.facts
    present = facts.seen(change.fact)
    if present is not None and edited(present.value, change.value) == present.value:
        return text
    line = described.workload.source.line
    options = _options(text, index, described.workload.source.document, place, before)
    new = _edited(text, options, facts, change)
    after = read(new)
    wanted = applied(facts, [change], Where(described.workload.source.document, "", line))
    if len(after.workloads) != len(before.workloads) or len(after.problems) > len(before.problems):
        raise _Cannot("the command line could not be changed without changing another")
    for at, (old, one) in enumerate(zip(before.workloads, after.workloads, strict=True)):
        for fact in {*old.facts, *one.facts} - {declared.PROCESS_PEERS}:
            if at == index and fact in _FOLLOWS.get(change.fact, ()):
                continue
            expected = wanted if at == index and fact is change.fact else old.facts
            if _answer(one.facts, fact) != _answer(expected, fact):
                if fact is change.fact and fact in {declared.SYSTEM_PATHS, declared.SELINUX}:
                    raise _Cannot("it follows from --privileged or a namespace of the host; that must change first")
                raise _Cannot(f"it would not be read back: {fact.name} would be another than asked for")
    return new


def _answer(facts: Facts, fact: Fact[Any]) -> object:
    entry = facts.table.get(fact)
    if isinstance(entry, Absent) or entry is None:
        return isinstance(entry, Absent)
    return frozenset(entry.value) if fact is declared.MOUNTS else (entry.value,)


def _options(text: str, index: int, name: str, place: Place, before: Reading) -> Options:
    readers = [Options(command, name, place, len(text)) for command in commands(text, name, place.variables())]
    started = [reader for reader in readers if reader.read()]
    if len(started) != len(before.workloads):
        raise _Cannot("the command line was not found again")
    return started[index]


def _edited(text: str, options: Options, facts: Facts, change: Change) -> str:
    fact, value = change.fact, change.value
    if fact in _SWITCHES:
        text = _without_all(text, options, lambda one: one.name == _SWITCHES[fact])
        return _with(text, options, [f"--{_SWITCHES[fact]}"]) if value is True else text
    if fact in _VALUES:
        name = _VALUES[fact]
        mine = [one for one in options.options if one.name == name]
        if value in {"default", ""}:
            return _without_all(text, options, lambda one: one.name == name)
        return _set(text, options, mine, name, str(value))
    if fact in _LISTS:
        return _list(text, options, facts, change)
    if fact in _SECURITY:
        return _security(text, options, facts, change)
    if fact is declared.NAMESPACES:
        return _namespaces(text, options, facts, change)
    if fact is declared.USER_NAMESPACE:
        if value == "private" and options.command.engine == "docker":
            raise _Cannot("Docker has no option for it: set userns-remap in the engine's daemon.json")
        text = _without_all(text, options, lambda one: one.name == "userns")
        return _with(text, options, ["--userns=auto"]) if value == "private" else text
    if fact in {declared.MOUNTS, declared.DEVICES}:
        return _mounts(text, options, facts, change)
    raise _Cannot(f"{fact.name} cannot be written into a command line")


def _without_all(text: str, options: Options, mine: Callable[[Option], bool]) -> str:
    for option in sorted(filter(mine, options.options), key=lambda one: -one.words[0]):
        _movable(option)
        text = without(text, option)
    return text


def _movable(option: Option) -> None:
    if not option.movable:
        raise _Cannot(f"--{option.name} comes from a variable, or shares a word with other options")


def _with(text: str, options: Options, words: list[str]) -> str:
    """Add an option before the image. What was taken out before stands in front of it, so the image has moved."""
    image = options.image
    if image is None or image.split or image.start >= image.end:
        raise _Cannot("there is no image on the command line before which an option could stand")
    moved = len(text) - options.length
    image.start, image.end, options.length = image.start + moved, image.end + moved, len(text)
    new = added(text, image, words)
    image.start, image.end, options.length = image.start + len(new) - len(text), 0, len(new)
    image.end = image.start + 1
    return new


def _set(text: str, options: Options, mine: list[Option], name: str, value: str) -> str:
    if not mine:
        return _with(text, options, [f"--{name}", value])
    _movable(mine[-1])
    if not mine[-1].value:
        raise _Cannot(f"--{name} has no value")
    return instead(text, mine[-1], value)


def _list(text: str, options: Options, facts: Facts, change: Change) -> str:
    name = _LISTS[change.fact]
    gone, new = _difference(facts, change)
    gone_texts = {_text(one) for one in gone}
    text = _without_all(text, options, lambda one: one.name == name and one.value in gone_texts)
    for one in new:
        text = _with(text, options, [f"--{name}", _text(one)])
    return text


def _text(member: object) -> str:
    return "=".join(member) if isinstance(member, tuple) else str(member)


def _difference(facts: Facts, change: Change) -> tuple[list[Any], list[Any]]:
    entry = facts.table.get(change.fact)
    if not isinstance(entry, Seen):
        raise _Cannot(f"it is not known what it holds now: {entry.reason if entry is not None else 'nothing was read'}")
    wanted: Any = edited(entry.value, change.value)
    return [one for one in entry.value if one not in wanted], [one for one in wanted if one not in entry.value]


def _security(text: str, options: Options, facts: Facts, change: Change) -> str:
    names, value = _SECURITY[change.fact], change.value

    def named(one: Option) -> bool:
        return one.name == "security-opt" and one.value.replace(":", "=").partition("=")[0] in names

    if change.fact is declared.SELINUX:
        gone, new = _difference(facts, change)
        if new:
            raise _Cannot("labels can be taken away only")
        texts = {f"label{sign}{one}" for one in gone for sign in ("=", ":")} | set(gone)
        return _without_all(text, options, lambda one: named(one) and one.value in texts)
    if change.fact is declared.NO_NEW_PRIVILEGES:
        wanted = "no-new-privileges" if value is True else ""
    elif change.fact is declared.WRITABLE_CGROUPS:
        wanted = "writable-cgroups=true" if value is True else ""
    elif value == "default":
        wanted = ""
    elif change.fact is declared.SYSTEM_PATHS:
        wanted = f"systempaths={value}"
    elif change.fact is declared.SECCOMP and value not in {"unconfined", "builtin"}:
        raise _Cannot("the profile's file must be named by hand: --security-opt seccomp=FILE")
    else:
        wanted = f"{names[0]}={value}"
    mine = [one for one in options.options if named(one)]
    if wanted and mine:
        return _set(text, options, mine, "security-opt", wanted)
    text = _without_all(text, options, named)
    return _with(text, options, ["--security-opt", wanted]) if wanted else text


def _namespaces(text: str, options: Options, facts: Facts, change: Change) -> str:
    seen = facts.seen(declared.NAMESPACES)
    wanted = None if seen is None else edited(seen.value, change.value)
    if seen is None or not isinstance(wanted, Members):
        raise _Cannot("it is not known which namespaces are shared")
    names = {str(one) for one in (seen.value.yes | seen.value.maybe) - (wanted.yes | wanted.maybe)}
    flags = {_MODES[name] for name in names}
    text = _without_all(text, options, lambda one: one.name in flags)
    return _with(text, options, ["--cgroupns=private"]) if "cgroup" in names else text


def _mounts(text: str, options: Options, facts: Facts, change: Change) -> str:
    seen = facts.seen(change.fact)
    members = list(seen.value) if seen is not None else []
    gone, new = _difference(facts, change)
    of_mounts = change.fact is declared.MOUNTS

    def makes(one: Option, at: int) -> bool:
        return one.mounts == at if of_mounts else one.devices == (at,)

    if isinstance(change.value, Instead) and gone and new:
        mine = [one for one in options.options if makes(one, members.index(gone[0]))]
        if len(mine) != 1 or not isinstance(new[0], Mount):
            raise _Cannot("no option of its own makes it")
        _movable(mine[0])
        return instead(text, mine[0], _exchanged(mine[0], new[0]))
    places = [at for at, one in enumerate(members) if one in gone]
    mine = [one for one in options.options if any(makes(one, at) for at in places)]
    if len(mine) < len(places):
        raise _Cannot("an option that makes more than this brings it")
    chosen = set(map(id, mine))
    text = _without_all(text, options, lambda one: id(one) in chosen)
    for one in new:
        text = _with(text, options, _mount_words(one))
    return text


def _exchanged(option: Option, new: Mount) -> str:
    """Return the value of a mount option, read-only or not, and with another propagation."""
    if option.name == "mount":
        dropped = {"readonly", "ro", "rw", "bind-propagation"}
        fields = [one for one in option.value.split(",") if one.partition("=")[0] not in dropped]
        spread = [f"bind-propagation={new.propagation}"] if new.propagation else []
        return ",".join([*fields, *spread, *(["readonly"] if new.read_only else [])])
    fields = pieces(option.value)
    if option.name != "volume" or len(fields) not in {2, 3}:
        raise _Cannot("this mount has no switch for that")
    old = fields[2].split(",") if len(fields) > 2 else []
    kept = [one for one in old if one not in {"ro", "rw", "readonly", ""} and one not in PROPAGATIONS]
    flags = [*(["ro"] if new.read_only else []), *([new.propagation] if new.propagation else []), *kept]
    return ":".join([*fields[:2], ",".join(flags)] if flags else fields[:2])


def _mount_words(one: object) -> list[str]:
    if isinstance(one, Device) and one.source.startswith("/"):
        return ["--device", short_device(one)]
    if not isinstance(one, Mount):
        raise _Cannot("only devices by their path can be added")
    flags = [*(["ro"] if one.read_only else []), *([one.propagation] if one.propagation else []), *sorted(one.options)]
    tail = f":{','.join(flags)}" if flags else ""
    if one.kind == "tmpfs":
        return ["--tmpfs", one.target + tail]
    if (one.kind == "bind" and one.source.startswith("/")) or (one.kind == "volume" and one.source):
        return ["--volume", f"{one.source}:{one.target}{tail}"]
    raise _Cannot("only tmpfs, named volumes and host paths can be added")
