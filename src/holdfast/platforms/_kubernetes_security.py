"""Security contexts of a container and of its Pod, and how the kubelet combines them: the container's field wins.

Source:
    pkg/securitycontext/util.go and pkg/security/apparmor/helpers.go of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.model.facts import Absent, Fact, Seen
from holdfast.model.place import Where
from holdfast.model.words import declared
from holdfast.platforms._kubernetes_spot import Spot

Table = dict[Fact[Any], Seen[Any] | Absent]

_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_LARGEST_ID = 2**31 - 1
_NOT_SET = "not set in the security context"


class Levels:
    """The two security contexts that bear on one container, the container's first."""

    __slots__ = ("annotations", "both", "container", "name", "own", "place", "pod")

    def __init__(self, container: Spot, pod: Spot | None, annotations: Spot | None, name: str) -> None:
        """Find them.

        Args:
            container: The container.
            pod: The Pod's security context, which may be anything but null.
            annotations: Those of the Pod.
            name: The container's name.
        """
        self.container = container
        self.place = container.where
        self.own = container.get("securityContext")
        self.pod = pod
        self.both = tuple(level for level in (self.own, pod) if level is not None)
        self.annotations = annotations
        self.name = name
        for level in self.both:
            if not level.is_mapping:
                level.complain(f"must be a mapping, not {level.kind}", "indent its fields below it, without a dash")

    def of_both(self, key: str) -> Spot | None:
        """Return a field of the container's context, else of the Pod's. A broken context stands for its fields."""
        for level in self.both:
            if not level.is_mapping:
                return level
            found = level.get(key)
            if found is not None:
                return found
        return None

    def of_container(self, key: str) -> Spot | None:
        """Return a field that only a container has. A broken context stands for its fields."""
        own = self.own
        if own is None or not own.is_mapping:
            return own
        return own.get(key)

    def annotation(self, key: str) -> Spot | None:
        """Return an annotation of the Pod."""
        return None if self.annotations is None else self.annotations.get(key)


def answer_security(table: Table, levels: Levels) -> None:
    """Answer the facts that stand in security contexts."""
    _flag(table, declared.PRIVILEGED, levels, levels.of_container("privileged"))
    _flag(table, declared.READ_ONLY_ROOT, levels, levels.of_container("readOnlyRootFilesystem"))
    _flag(table, declared.RUN_AS_NON_ROOT, levels, levels.of_both("runAsNonRoot"))
    table[declared.USER] = _user(levels)
    if levels.of_both("runAsUser") is None:
        table[declared.USER_BY_IMAGE] = Seen(True, levels.place, _NOT_SET)
    _capabilities(table, levels)
    table[declared.NO_NEW_PRIVILEGES] = _no_new_privileges(table, levels)
    table[declared.SECCOMP] = _seccomp(levels)
    table[declared.APPARMOR] = _apparmor(levels)
    table[declared.SELINUX] = _selinux(levels)
    table[declared.SYSTEM_PATHS] = _proc_mount(levels)


def _broken(spot: Spot) -> Absent:
    return Absent("the value could not be read", spot.where)


def _flag(table: Table, fact: Fact[bool], levels: Levels, found: Spot | None) -> None:
    if found is None:
        table[fact] = Seen(False, levels.place, _NOT_SET)
        return
    value = found.boolean()
    table[fact] = _broken(found) if value is None else Seen(value, found.where)


def _number(found: Spot) -> int | None:
    value = found.integer()
    if value is not None and not 0 <= value <= _LARGEST_ID:
        found.complain(f"must lie between 0 and {_LARGEST_ID}", "the API server refuses it")
        return None
    return value


def _user(levels: Levels) -> Seen[str] | Absent:
    user = levels.of_both("runAsUser")
    if user is None:
        return Absent("the image decides which user it is", levels.place)
    number = _number(user)
    if number is None:
        return _broken(user)
    group = levels.of_both("runAsGroup")
    group_id = None if group is None else _number(group)
    return Seen(str(number) if group_id is None else f"{number}:{group_id}", user.where)


def _capabilities(table: Table, levels: Levels) -> None:
    found = levels.of_container("capabilities")
    for fact, key in ((declared.CAPABILITIES_ADDED, "add"), (declared.CAPABILITIES_DROPPED, "drop")):
        if found is None:
            table[fact] = Seen((), levels.place, _NOT_SET)
            continue
        if not found.is_mapping:
            found.complain(f"must be a mapping, not {found.kind}", "write add and drop below it")
            table[fact] = _broken(found)
            continue
        listed = found.get(key)
        if listed is None:
            table[fact] = Seen((), found.where, _NOT_SET)
            continue
        table[fact] = _names(listed)


def _names(listed: Spot) -> Seen[tuple[str, ...]] | Absent:
    spots = listed.elements()
    if spots is None:
        return _broken(listed)
    names: list[str] = []
    parts: dict[object, Where] = {}
    for spot in spots:
        name = spot.text()
        if name is None:
            name = f"({spot.kind}, which could not be read)"
        names.append(name)
        parts[name] = spot.where
    return Seen(tuple(names), listed.where, parts=parts)


def _no_new_privileges(table: Table, levels: Levels) -> Seen[bool] | Absent:
    found = levels.of_container("allowPrivilegeEscalation")
    if found is None:
        return Seen(False, levels.place, "allowPrivilegeEscalation is not set; it is allowed then")
    allowed = found.boolean()
    if allowed is None:
        return _broken(found)
    if not allowed:
        for reason, holds in (
            ("privileged", _value(table, declared.PRIVILEGED) is True),
            ("CAP_SYS_ADMIN", "CAP_SYS_ADMIN" in (_value(table, declared.CAPABILITIES_ADDED) or ())),
        ):
            if holds:
                found.complain(f"cannot be false together with {reason}; the API server refuses it", "drop one of them")
                return Seen(False, found.where, f"{reason} always allows privilege escalation")
    return Seen(not allowed, found.where)


def _value(table: Table, fact: Fact[Any]) -> Any:
    entry = table.get(fact)
    return entry.value if isinstance(entry, Seen) else None


def _profile(found: Spot, default: str, local: Callable[[str], str]) -> Seen[str] | Absent:
    """Read a profile: {type: RuntimeDefault | Unconfined | Localhost, localhostProfile: NAME}."""
    if not found.is_mapping:
        found.complain(f"must be a mapping, not {found.kind}", "write type below it")
        return _broken(found)
    kind = found.get("type")
    word = None if kind is None else kind.text()
    if kind is not None and word == "RuntimeDefault":
        return Seen(default, kind.where, "RuntimeDefault is asked for")
    if kind is not None and word == "Unconfined":
        return Seen("unconfined", kind.where)
    if kind is not None and word == "Localhost":
        name = found.get("localhostProfile")
        text = None if name is None else name.text()
        if name is not None and text:
            return Seen(local(text), name.where)
        found.complain("Localhost without a profile", "set localhostProfile")
        return _broken(found)
    (kind or found).complain("names no known type", "write RuntimeDefault, Localhost or Unconfined")
    return _broken(kind or found)


def _seccomp(levels: Levels) -> Seen[str] | Absent:
    found = levels.of_both("seccompProfile")
    if found is not None:
        return _profile(found, "runtime/default", lambda name: f"localhost:{name}")
    noted = levels.annotation(_SECCOMP_CONTAINER + levels.name) or levels.annotation(_SECCOMP_POD)
    if noted is None:
        return Seen("default", levels.place, "no seccomp profile is asked for")
    noted.complain("seccomp annotations have no effect since Kubernetes 1.27", "use securityContext.seccompProfile")
    if noted.name() == "unconfined":
        return Seen("unconfined", noted.where, "asked for by an annotation")
    return Absent("only an annotation asks for a seccomp profile; since Kubernetes 1.27 it has no effect", noted.where)


def _apparmor(levels: Levels) -> Seen[str] | Absent:
    own = levels.of_container("appArmorProfile")
    if own is None:
        noted = levels.annotation(_APPARMOR + levels.name)
        if noted is not None:
            return _annotated(noted)
        own = levels.of_both("appArmorProfile")
    if own is None:
        return Seen("default", levels.place, "no AppArmor profile is asked for")
    return _profile(own, "default", str)


def _annotated(noted: Spot) -> Seen[str] | Absent:
    text = noted.text()
    if text in {"runtime/default", "unconfined"}:
        return Seen("default" if text == "runtime/default" else text, noted.where, "asked for by an annotation")
    if text is not None and text.startswith("localhost/") and len(text) > len("localhost/"):
        return Seen(text.removeprefix("localhost/"), noted.where, "asked for by an annotation")
    noted.complain("names no AppArmor profile", "write runtime/default, unconfined or localhost/NAME")
    return _broken(noted)


def _selinux(levels: Levels) -> Seen[tuple[str, ...]] | Absent:
    found = levels.of_both("seLinuxOptions")
    if found is None:
        return Seen((), levels.place, _NOT_SET)
    if not found.is_mapping:
        found.complain(f"must be a mapping, not {found.kind}", "write user, role, type or level below it")
        return _broken(found)
    options: list[str] = []
    parts: dict[object, Where] = {}
    for key in ("user", "role", "type", "level"):
        spot = found.get(key)
        if spot is None:
            continue
        text = spot.text()
        if text is None:
            return _broken(spot)
        option = f"{key}:{text}"
        options.append(option)
        parts[option] = spot.where
    return Seen(tuple(options), found.where, parts=parts)


def _proc_mount(levels: Levels) -> Seen[str] | Absent:
    found = levels.of_container("procMount")
    if found is None:
        return Seen("default", levels.place, "procMount is not set")
    word = found.text()
    if word in {"Default", "Unmasked"}:
        return Seen("default" if word == "Default" else "unconfined", found.where)
    if word is not None:
        found.complain(f"is {found.kind}", "write Default or Unmasked")
    return _broken(found)
