"""Changes to one service, written into the text of its Compose file.

A value that another file brings stays there: the change is handed back with that place. Where the service's own key
wins over what an anchor, a merge key or ``extends`` brings, the key is written into the service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from holdfast.model.change import Change, edited
from holdfast.model.facts import Absent, Fact, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members
from holdfast.model.words import declared
from holdfast.model.workload import Described
from holdfast.model.written import Written
from holdfast.platforms._compose_write_mounts import write_devices, write_mounts
from holdfast.platforms._compose_write_service import Service
from holdfast.platforms._docker_run_values import truth
from holdfast.platforms._write_changes import (
    Differences,
    Elsewhere,
    Handler,
    Lists,
    nothing_written,
    tokens,
    write_all,
)
from holdfast.platforms._yaml_edit import Page, Refused
from holdfast.platforms._yaml_spans import Leaf, Value, leaf

_FIRST = (declared.PRIVILEGED, declared.NAMESPACES)
_SCALARS: dict[Fact[Any], str] = {
    declared.PRIVILEGED: "privileged",
    declared.READ_ONLY_ROOT: "read_only",
    declared.TERMINAL: "tty",
    declared.USER: "user",
    declared.RUNTIME: "runtime",
}
_LISTS: dict[Fact[Any], str] = {
    declared.CAPABILITIES_ADDED: "cap_add",
    declared.CAPABILITIES_DROPPED: "cap_drop",
    declared.GROUPS: "group_add",
    declared.DEVICE_RULES: "device_cgroup_rules",
}
_ASKING = frozenset({"true", "yes", "on", "y", "host"})
_MODES = {"pid": "pid", "net": "network_mode", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup"}
_NEUTRAL = {"pid": "", "net": "bridge", "ipc": "private", "uts": "", "cgroup": "private"}


def write_service(text: str, name: str, described: Described, changes: Sequence[Change]) -> Written:
    """Write changes to a service into its file.

    Args:
        text: Of the file.
        name: Of the file, as its document bears it.
        described: The service as it was read from the text.
        changes: What to change.
    """
    source = described.workload.source
    # Of a service that several files make up, each of them can be written; what the others hold is handed back.
    line = source.line if source.document == name else _a_line(described, name)
    try:
        page = Page(text, line, late=False)
    except Refused as refusal:
        return nothing_written(text, changes, refusal.why, Where(name, source.pointer, refusal.line))
    service = Service(page, Lists(page), tokens(source.pointer), described, name)
    if not isinstance(page.get(service.base), dict):
        why = f"the service {described.workload.name} is described in {source.document}; change it there"
        return nothing_written(text, changes, why, source)
    writer = _Writer(service)
    handlers: dict[Fact[Any], Handler] = dict.fromkeys(_SCALARS, writer.scalar)
    handlers |= dict.fromkeys(_LISTS, writer.listed)
    handlers |= {
        declared.NO_NEW_PRIVILEGES: writer.no_new_privileges,
        declared.SECCOMP: writer.seccomp,
        declared.APPARMOR: writer.apparmor,
        declared.SELINUX: writer.selinux,
        declared.SYSTEM_PATHS: writer.system_paths,
        declared.WRITABLE_CGROUPS: writer.writable_cgroups,
        declared.NAMESPACES: writer.namespaces,
        declared.USER_NAMESPACE: writer.user_namespace,
        declared.SYSCTLS: writer.sysctls,
        declared.MOUNTS: lambda change: write_mounts(service, change),
        declared.DEVICES: lambda change: write_devices(service, change),
        declared.RUN_AS_NON_ROOT: writer.no_such_switch,
    }
    return write_all(described, changes, service.lists, handlers, _FIRST)


def _a_line(described: Described, name: str) -> int:
    """Return a line of a file that says something of the service; the first where none is known to."""
    places = (entry.where for entry in described.facts.table.values() if entry.where is not None)
    return max((place.line for place in places if place.document == name), default=1) or 1


class _Writer:
    """Writes changes of plain values, lists and options into one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.page = service.page
        self.facts = service.described.facts

    def no_such_switch(self, change: Change) -> None:
        """Refuse what Compose has no word for."""
        raise Refused(f"Compose has no word for {change.fact.name}; name a user instead")

    def scalar(self, change: Change) -> None:
        key = _SCALARS[change.fact]
        self.service.independent(key)
        entry = self.facts.table.get(change.fact)
        if change.fact is declared.RUNTIME and change.value == "default":
            self.service.own_or_elsewhere(entry.where if entry else None, key)
            self.service.drop(key, leaf("runc"))
            return
        if not isinstance(change.value, bool | str) or (change.fact is declared.USER and not change.value):
            raise Refused(f"{change.value!r} is no value for {key}")
        self.service.winning(entry.where if entry else None, key)
        self.page.put((*self.service.base, key), _spelled(change.value))

    def listed(self, change: Change) -> None:
        key = _LISTS[change.fact]
        self.service.independent(key)
        self._edit_list(key, Differences(self.facts, change), str)

    def sysctls(self, change: Change) -> None:
        self.service.independent("sysctls")
        differences = Differences(self.facts, change)
        if not isinstance(self.page.get((*self.service.base, "sysctls")), dict):
            self._edit_list("sysctls", differences, lambda pair: f"{pair[0]}={pair[1]}")  # type: ignore[index]
            return
        for pair in differences.gone:
            path = self.service.mine(differences.place(pair), "sysctls")
            self.page.drop(path, None, len(self.service.base))
        for name, value in [*differences.added, *(new for _, new in differences.swapped)]:
            self.page.put((*self.service.base, "sysctls", name), _spelled(value))

    def _edit_list(self, key: str, differences: Differences, spell: Callable[[object], str]) -> None:
        service = self.service
        for member in differences.gone:
            path = service.mine(differences.place(member), key)
            value = self.page.get(service.lists.now(path) or ())
            for other, text in service.lists.all(path[:-1]):
                if text == value:
                    service.lists.drop(other, len(service.base))
        for old, new in differences.swapped:
            now = service.lists.now(service.mine(differences.place(old), key))
            if now is not None:
                self.page.put(now, _spelled(spell(new)))
        for member in differences.added:
            self.page.append((*service.base, key), _spelled(spell(member)))

    # --- security options -------------------------------------------------------------------------------------------

    def no_new_privileges(self, change: Change) -> None:
        self._option(change, ("no-new-privileges",), "no-new-privileges:true" if change.value is True else "")

    def writable_cgroups(self, change: Change) -> None:
        if change.value is not False:
            raise Refused("only taking it away is supported")
        self._option(change, ("writable-cgroups", "unmask"), "")

    def seccomp(self, change: Change) -> None:
        if change.value not in {"default", "unconfined", "builtin"}:
            raise Refused("the profile's file must be named by hand: security_opt: [seccomp:FILE]")
        self._option(change, ("seccomp",), "" if change.value == "default" else f"seccomp:{change.value}")

    def apparmor(self, change: Change) -> None:
        self._option(change, ("apparmor",), "" if change.value == "default" else f"apparmor:{change.value}")

    def system_paths(self, change: Change) -> None:
        if change.value not in {"default", "unconfined"}:
            raise Refused("Compose can ask for the default or for none masked only")
        names = ("systempaths", "mask", "unmask")
        self._option(change, names, "" if change.value == "default" else "systempaths=unconfined")
        if change.value == "default":
            self._still("privileged")

    def selinux(self, change: Change) -> None:
        differences = Differences(self.facts, change)
        if differences.added or differences.swapped:
            raise Refused("labels can be taken away only; write security_opt: [label:...] by hand")
        if differences.where is not None and self._follows(differences.where):
            return
        for value in differences.gone:
            place = differences.place(value)
            path = self.service.mine(place, "security_opt")
            self.service.independent("security_opt")
            self.service.lists.drop(path, len(self.service.base))
        if len(differences.gone) == len(differences.parts):
            self._still("privileged", "pid", "ipc")

    def _still(self, *keys: str) -> None:
        """Refuse where a value would follow from another key once nothing else answers it.

        Raises:
            Refused: One of the keys asks for it.
        """
        for key in keys:
            present = self.page.get((*self.service.base, key))
            if isinstance(present, Leaf) and (present.text.lower() in _ASKING or "$" in present.text):
                raise Refused(f"it would follow from {key}: {present.text}; that must change first")

    def _follows(self, where: Where) -> bool:
        """Tell whether a value followed from another key of the service that asks for it no more.

        Raises:
            Refused: The other key asks for it still.
        """
        path = self.service.relative(where)
        key = str(path[0]) if path else ""
        if key not in {"privileged", "pid", "ipc"}:
            return False
        self._still(key)
        return True

    def _option(self, change: Change, names: tuple[str, ...], text: str) -> None:
        """Let one option stand in security_opt, or none of those names."""
        service = self.service
        path = (*service.base, "security_opt")
        entry = self.facts.table.get(change.fact)
        if entry is not None and entry.where is not None and self._follows(entry.where) and not text:
            return
        service.independent("security_opt")
        if entry is not None and not text:
            service.own_or_elsewhere(entry.where, "security_opt")
        items = service.lists.all(path)
        if any(isinstance(value, Leaf) and "$" in _name(value.text) for _, value in items):
            raise Refused("a security option there is a variable; nobody can tell which option it is")
        mine = [(at, value) for at, value in items if isinstance(value, Leaf) and _name(value.text) in names]
        if isinstance(entry, Absent) and not mine and not text:
            raise Refused(f"it is not known what it is now: {entry.reason}", entry.where.line if entry.where else 0)
        for at, _ in mine if not text else mine[:-1]:
            service.lists.drop(at, len(service.base))
        if text and mine:
            at, value = mine[-1]
            now = service.lists.now(at)
            if now is not None and not _same_flag(value.text if isinstance(value, Leaf) else "", text):
                self.page.put(now, Leaf(text))
        elif text:
            service.winning(entry.where if entry is not None else None, "security_opt")
            self.page.append(path, Leaf(text))

    # --- namespaces -------------------------------------------------------------------------------------------------

    def namespaces(self, change: Change) -> None:
        seen = self.facts.seen(declared.NAMESPACES)
        if seen is None:
            raise Refused("it is not known which namespaces are shared")
        wanted = edited(seen.value, change.value)
        if not isinstance(wanted, Members) or wanted.rest != seen.value.rest:
            raise Refused("namespaces can be shared or not, nothing else")
        before, after = seen.value.yes | seen.value.maybe, wanted.yes | wanted.maybe
        if after - before or wanted.yes - seen.value.yes:
            raise Refused("sharing a further namespace is not written")
        for name in sorted(str(one) for one in before - after):
            self._unshare(name, seen)

    def _unshare(self, name: str, seen: Seen[Members]) -> None:
        service, key = self.service, _MODES[name]
        where = seen.parts.get(name)
        if where is None:
            if name != "cgroup":
                raise Refused(f"nobody wrote where the {name} namespace is shared", seen.where.line)
        else:
            path = service.relative(where)
            if path and path[0] in {"networks", "net"}:
                raise Elsewhere(f"the network is the host's by {path[0]}; join another network there", where)
        service.independent(key)
        service.unshared(name)
        service.winning(where, key)
        if name == "cgroup":
            self.page.put((*service.base, key), leaf("private"))
        elif where is not None and service.relative(where) is None:
            self.page.put((*service.base, key), leaf(_NEUTRAL[name]))
        else:
            service.drop(key, leaf(_NEUTRAL[name]))

    def user_namespace(self, change: Change) -> None:
        if change.value != "default":
            raise Refused(
                "a Compose file cannot ask for a user namespace: set userns-remap in the engine's daemon.json, "
                "and take userns_mode: host away"
            )
        seen = self.facts.table.get(declared.USER_NAMESPACE)
        self.service.independent("userns_mode")
        self.service.winning(seen.where if seen is not None else None, "userns_mode")
        self.service.drop("userns_mode", leaf(""))


def _spelled(value: object) -> Value:
    return leaf(value) if isinstance(value, bool | str) else Leaf(str(value))


def _name(option: str) -> str:
    for separator in ("=", ":"):
        key, found, _ = option.partition(separator)
        if found:
            return key
    return option


def _same_flag(old: str, new: str) -> bool:
    """Tell whether an option says what it shall say already: a bare no-new-privileges is a true one."""
    if _name(old) != "no-new-privileges" or _name(new) != "no-new-privileges":
        return old == new
    value = old[len("no-new-privileges") + 1 :]
    return old == "no-new-privileges" or truth(value) is True
