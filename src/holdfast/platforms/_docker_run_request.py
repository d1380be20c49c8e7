"""What a client asks the engine for, before it is told as facts.

The command line, a Compose file and the engine's own answer ask for the same things in three spellings. Each fills one
``Request``; the facts are made from it in one place, so that the three cannot disagree on what an option means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.platforms._process_peers import RIGHTS, Answers, peers

DEFAULT = "engine default"
LISTS: tuple[Fact[Any], ...] = (
    declared.GROUPS, declared.CAPABILITIES_ADDED, declared.CAPABILITIES_DROPPED, declared.DEVICE_RULES,
    declared.SYSCTLS, declared.NETWORKS,
)  # fmt: skip
FLAGS = (declared.PRIVILEGED, declared.READ_ONLY_ROOT, declared.TERMINAL)
_NAMESPACES = ("pid", "net", "ipc", "uts", "cgroup")
_USER_NAMESPACES = {"": "default", "host": "host", "private": "private"}
_OTHERS = ("container:", "service:")
_PARTLY = frozenset[Fact[Any]]({
    declared.GROUPS, declared.CAPABILITIES_ADDED, declared.CAPABILITIES_DROPPED, declared.DEVICE_RULES,
})  # fmt: skip
"""Lists of which one element that nobody could tell does not take away the others."""
_MOST_HOPS = 16
_MOST_MOUNTS = 4096
_TOKEN_PLACES = ("/var/run/secrets/kubernetes.io/serviceaccount", "/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Said:
    """One value with its place.

    Attributes:
        text: The value; as written where it could not be known.
        where: Its place.
        unknown: Why the value cannot be known; empty where it is.
        note: What the value rests on, such as the default of a variable.
    """

    text: str
    where: Where
    unknown: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Borrowed:
    """All mounts of another container (``volumes_from``)."""

    container: str
    read_only: bool
    where: Where


class Request:
    """One container as it is asked for. Filled by a dialect, then told by ``facts``."""

    def __init__(self, where: Where, engine: str = "docker") -> None:
        """Start with nothing asked for."""
        self.where = where
        self.engine = engine
        self.table: dict[Fact[Any], Seen[Any] | Absent] = {}
        self.problems: list[NotUnderstood] = []
        self.lists: dict[Fact[Any], list[Said]] = {}
        self.modes: dict[str, Said] = {}
        self.security: list[Said] = []
        self.mounts: list[tuple[Mount, Where]] = []
        self.devices: list[tuple[Device, Where]] = []
        self.borrowed: list[Borrowed] = []
        self.user: Said | None = None
        self.no_user = "the image decides"
        self.runtime: Said | None = None
        self.system: Said | None = None
        self.whole: list[tuple[Mount, Where]] | None = None
        self.busy = False
        self.labels: list[tuple[str, str | None]] = []
        """Labels and annotations; None for a value that nobody could tell."""
        self.gap = ""
        """Why things that are not asked for here may still be asked for elsewhere."""

    # --- filling ----------------------------------------------------------------------------------------------------

    def say(
        self, fact: Fact[Any], value: object, where: Where, note: str = "", parts: Mapping[Any, Where] | None = None
    ) -> None:
        """Answer a question outright."""
        self.table[fact] = Seen(value, where, note, parts) if parts else Seen(value, where, note)

    def withhold(self, fact: Fact[Any], reason: str, where: Where) -> None:
        """Say why a question has no answer."""
        self.table[fact] = Absent(reason, where)

    def problem(self, what: str, where: Where, next: str = "") -> None:  # noqa: A002 - the three words of the house
        """Record what could not be understood."""
        self.problems.append(NotUnderstood(what, str(where), next, where.line))

    def add(self, fact: Fact[Any], *said: Said) -> None:
        """Append to one of the list facts."""
        self.lists.setdefault(fact, []).extend(said)

    # --- telling ----------------------------------------------------------------------------------------------------

    def facts(self, others: Mapping[str, Request] | None = None) -> Facts:
        """Tell everything as facts.

        Args:
            others: Requests by name, for namespaces and mounts that are shared with another container.
        """
        known = others or {}
        table = self.table
        self._once(declared.ENGINE, self.engine)
        self._once(declared.RUN_AS_NON_ROOT, False, "the engine has no such switch")
        for flag in FLAGS:
            self._once(flag, False, DEFAULT, default=True)
        self._once(declared.WRITABLE_CGROUPS, False, DEFAULT, default=True)
        for fact in LISTS:
            if fact not in table:
                self._tell_list(fact)
        self._tell_user()
        self._tell_one(declared.RUNTIME, self.runtime, "default")
        if self.system is None:
            self._once(declared.CONTAINER_OS, "linux", "nothing asks for another system")
        else:
            self._tell_one(declared.CONTAINER_OS, self.system, "linux")
        if declared.NAMESPACES not in table:
            self._tell_namespaces(known)
        self._tell_peers(known)
        if declared.USER_NAMESPACE not in table:
            self._tell_user_namespace()
        if declared.MOUNTS not in table:
            self._tell_mounts(known)
        if declared.DEVICES not in table:
            self._tell_devices()
        self._once(declared.SERVICE_ACCOUNT_TOKEN, self._has_token(), "only Kubernetes mounts one")
        return Facts(table)

    def _once(self, fact: Fact[Any], value: object, note: str = "", *, default: bool = False) -> None:
        if fact in self.table:
            return
        if default and self.gap:
            self.table[fact] = Absent(self.gap, self.where)
        else:
            self.table[fact] = Seen(value, self.where, note)

    def _tell_one(self, fact: Fact[Any], said: Said | None, default: str) -> None:
        if fact in self.table:
            return
        if said is None or (not said.text and not said.unknown):
            self._once(fact, default, DEFAULT, default=True)
        elif said.unknown:
            self.table[fact] = Absent(said.unknown, said.where)
        else:
            self.table[fact] = Seen(said.text, said.where, said.note)

    def _tell_user(self) -> None:
        if declared.USER in self.table:
            return
        if self.user is None or not (self.user.text or self.user.unknown):
            self.table[declared.USER] = Absent(self.gap or self.no_user, self.where)
            if not self.gap:
                self.table[declared.USER_BY_IMAGE] = Seen(True, self.where, self.no_user)
        elif self.user.unknown:
            self.table[declared.USER] = Absent(self.user.unknown, self.user.where)
        else:
            self.table[declared.USER] = Seen(self.user.text, self.user.where, self.user.note)

    def _tell_list(self, fact: Fact[Any]) -> None:
        said = self.lists.get(fact, [])
        if fact in _PARTLY and any(not one.unknown for one in said):
            said = [_shown(one) for one in said]
            said += [Said(f"({self.gap})", self.where)] if self.gap else []
            self._tell_elements(fact, said)
            return
        unknown = next((one for one in said if one.unknown), None)
        if unknown is not None:
            self.table[fact] = Absent(unknown.unknown, unknown.where)
        elif self.gap:
            self.table[fact] = Absent(self.gap, self.where)
        elif not said and fact is declared.NETWORKS:
            self.table[fact] = Seen(("bridge",), self.where, DEFAULT)
        elif not said:
            self.table[fact] = Seen((), self.where, "nothing asked for")
        else:
            self._tell_elements(fact, said)

    def _tell_elements(self, fact: Fact[Any], said: list[Said]) -> None:
        values = tuple(_pair(one.text) if fact is declared.SYSCTLS else one.text for one in said)
        parts: dict[object, Where] = {value: one.where for value, one in zip(values, said, strict=True)}
        note = "; ".join(dict.fromkeys(one.note for one in said if one.note))
        self.table[fact] = Seen(values, said[0].where, note, parts)

    def _tell_user_namespace(self) -> None:
        said = self.modes.get("user")
        if said is None:
            self._once(declared.USER_NAMESPACE, "default", DEFAULT, default=True)
            return
        mode = said.text.split(":", 1)[0]
        if said.unknown or mode in {"container", "ns", "service"}:
            reason = said.unknown or f"the user namespace is that of {said.text}"
            self.table[declared.USER_NAMESPACE] = Absent(reason, said.where)
        elif self.engine == "podman":
            value = "host" if mode in {"", "host"} else "private"
            self.table[declared.USER_NAMESPACE] = Seen(value, said.where, said.note)
        else:
            self.table[declared.USER_NAMESPACE] = Seen(_USER_NAMESPACES.get(mode, "private"), said.where, said.note)

    def _tell_namespaces(self, others: Mapping[str, Request]) -> None:
        yes: set[object] = set()
        maybe: set[object] = set()
        parts: dict[object, Where] = {}
        notes: list[str] = []
        for name in _NAMESPACES:
            shared, note = self.shares(name, others)
            if shared is False:
                continue
            (yes if shared else maybe).add(name)
            if name in self.modes:
                parts[name] = self.modes[name].where
            if note:
                notes.append(f"{name}: {note}")
        where = next((parts[name] for name in _NAMESPACES if name in parts and name in yes), self.where)
        value = Members(frozenset(yes), frozenset(maybe))
        self.table[declared.NAMESPACES] = Seen(value, where, "; ".join(notes), parts)

    def shares(self, namespace: str, others: Mapping[str, Request], hops: int = 0) -> tuple[bool | None, str]:
        """Tell whether a namespace is the host's: yes, no, or None with the reason."""
        said = self.modes.get(namespace)
        if said is None:
            if self.gap:
                return None, self.gap
            return (None, "the engine's default depends on the host") if namespace == "cgroup" else (False, "")
        if said.unknown:
            return None, said.unknown
        if said.text == "host":
            return True, said.note
        for prefix in _OTHERS:
            if said.text.startswith(prefix):
                name = said.text.removeprefix(prefix)
                other = _by_name(others, name)
                if other is None or hops > _MOST_HOPS:
                    return None, f"that of {name}, which was not seen"
                shared, note = other.shares(namespace, others, hops + 1)
                return shared, note or f"that of {name}"
        if said.text.startswith(("ns:", "pod:")):
            return None, f"joins {said.text}"
        if not said.text and namespace == "cgroup":
            return None, "the engine's default depends on the host"
        return False, ""

    def _tell_peers(self, others: Mapping[str, Request]) -> None:
        """Tell which other containers are in the same process namespace: those it joins, and those that join it."""
        root = self._process_root(others)
        if root is None:
            return
        found = {
            id(other): (name, other)
            for name, other in others.items()
            if other is not self and other._process_root(others) is root  # noqa: SLF001 - another of its own kind
        }
        if not found:
            return
        said = self.modes.get("pid")
        where = self.where if said is None else said.where
        seen = ((name, other._rights()) for name, other in found.values())  # noqa: SLF001
        self.table[declared.PROCESS_PEERS] = peers(self._rights(), seen, where)

    def _process_root(self, others: Mapping[str, Request]) -> Request | None:
        """Return the container whose process namespace this one is in; None where that is another's or not known."""
        request = self
        for _ in range(_MOST_HOPS):
            said = request.modes.get("pid")
            if said is None:
                return None if request.gap else request
            prefix = next((one for one in _OTHERS if said.text.startswith(one)), None)
            if said.unknown or said.text == "host":
                return None
            if prefix is None:
                return None if said.text.startswith(("ns:", "pod:")) else request
            other = _by_name(others, said.text.removeprefix(prefix))
            if other is None:
                return None
            request = other
        return None

    def _rights(self) -> Answers:
        self._tell_user()
        self._once(declared.PRIVILEGED, False, DEFAULT, default=True)
        for fact in RIGHTS[1:]:
            if fact not in self.table:
                self._tell_list(fact)
        return self.table

    def _tell_mounts(self, others: Mapping[str, Request]) -> None:
        mounts = list(self.all_mounts(others))
        if self.gap:
            mounts.append((Mount("bind", f"({self.gap})", ""), self.where))
        if not mounts:
            self.table[declared.MOUNTS] = Seen((), self.where, "nothing asked for")
            return
        unsure = [mount.source for mount, _ in mounts if mount.kind == "bind" and not mount.source.startswith("/")]
        note = "not known: " + ", ".join(dict.fromkeys(unsure)) if unsure else ""
        values = tuple(mount for mount, _ in mounts)
        self.table[declared.MOUNTS] = Seen(values, mounts[0][1], note, dict(mounts))

    def all_mounts(self, others: Mapping[str, Request], hops: int = 0) -> list[tuple[Mount, Where]]:
        """Return the mounts of this container and those it borrows. Its own win over borrowed ones."""
        if self.whole is not None:
            return self.whole
        self.busy = True
        found = list(self.mounts)
        taken = {mount.target for mount, _ in found if mount.target}
        for loan in self.borrowed:
            other = _by_name(others, loan.container)
            if other is None or other.busy or hops > _MOST_HOPS or len(found) > _MOST_MOUNTS:
                unseen = f"(all mounts of {loan.container}, which was not seen)"
                found.append((Mount("bind", unseen, "", loan.read_only), loan.where))
                continue
            for mount, _ in other.all_mounts(others, hops + 1):
                if mount.kind == "tmpfs" or mount.target in taken:
                    continue
                taken.add(mount.target)
                found.append((replace(mount, read_only=mount.read_only or loan.read_only), loan.where))
        self.busy = False
        self.whole = found
        return found

    def _tell_devices(self) -> None:
        devices = list(self.devices)
        if self.gap:
            devices.append((Device(f"({self.gap})", ""), self.where))
        if not devices:
            self.table[declared.DEVICES] = Seen((), self.where, "nothing asked for")
            return
        values = tuple(device for device, _ in devices)
        self.table[declared.DEVICES] = Seen(values, devices[0][1], "", dict(devices))

    def _has_token(self) -> bool:
        return any(mount.target in _TOKEN_PLACES for mount, _ in self.mounts)


def _shown(said: Said) -> Said:
    """Put what could not be known in parentheses, so that nobody takes it for a name."""
    return Said(f"({said.text}: {said.unknown})", said.where, "", said.note) if said.unknown else said


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip()


def _by_name(others: Mapping[str, Request], name: str) -> Request | None:
    if name in others:
        return others[name]
    # The engine takes any unambiguous beginning of an id; twelve digits are what it prints.
    if len(name) >= 12 and all(digit in "0123456789abcdef" for digit in name):
        hits = [request for other, request in others.items() if other.startswith(name)]
        return hits[0] if len(hits) == 1 else None
    return None


def first(said: Iterable[Said]) -> Said | None:
    """Return the first of some values, None where there is none."""
    return next(iter(said), None)
