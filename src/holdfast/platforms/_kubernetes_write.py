"""Changes to one container, written into the text of its manifest.

What a container's own security context can say is written there, so that its neighbours stay as they are. What belongs
to the Pod (host namespaces, user namespace, runtime class, token) holds for all of its containers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from holdfast.model.change import Change, edited
from holdfast.model.facts import Fact
from holdfast.model.place import Where
from holdfast.model.values import Members
from holdfast.model.words import declared
from holdfast.model.workload import Described
from holdfast.model.written import Written
from holdfast.platforms._kubernetes_write_mounts import write_devices, write_mounts
from holdfast.platforms._kubernetes_write_pod import Container
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

_FIRST = (declared.PRIVILEGED, declared.CAPABILITIES_ADDED, declared.NAMESPACES)
_CONTEXT = "securityContext"
_FLAGS: dict[Fact[Any], str] = {
    declared.PRIVILEGED: "privileged",
    declared.READ_ONLY_ROOT: "readOnlyRootFilesystem",
    declared.RUN_AS_NON_ROOT: "runAsNonRoot",
}
_CAPABILITIES: dict[Fact[Any], str] = {
    declared.CAPABILITIES_ADDED: "add",
    declared.CAPABILITIES_DROPPED: "drop",
}
_NAMESPACES = {"pid": "hostPID", "net": "hostNetwork", "ipc": "hostIPC"}
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def write_container(text: str, name: str, described: Described, changes: Sequence[Change]) -> Written:
    """Write changes to a container into its manifest.

    Args:
        text: Of the manifest.
        name: Of the file, as its document bears it.
        described: The container as it was read from the text.
        changes: What to change.
    """
    source = described.workload.source
    if source.document != name:
        why = f"{described.workload.name} is described in {source.document}; change it there"
        return nothing_written(text, changes, why, source)
    try:
        page = Page(text, source.line, late=True)
    except Refused as refusal:
        return nothing_written(text, changes, refusal.why, Where(name, source.pointer, refusal.line))
    container = Container(page, Lists(page), tokens(source.pointer), described)
    if not isinstance(page.get(container.base), dict) or len(container.base) < 2:
        return nothing_written(text, changes, "the container is not where it was read", source)
    writer = _Writer(container)
    handlers: dict[Fact[Any], Handler] = dict.fromkeys(_FLAGS, writer.flag)
    handlers |= dict.fromkeys(_CAPABILITIES, writer.capabilities)
    handlers |= {
        declared.USER: writer.user,
        declared.NO_NEW_PRIVILEGES: writer.no_new_privileges,
        declared.SECCOMP: writer.seccomp,
        declared.APPARMOR: writer.apparmor,
        declared.SELINUX: writer.selinux,
        declared.SYSTEM_PATHS: writer.system_paths,
        declared.NAMESPACES: writer.namespaces,
        declared.USER_NAMESPACE: writer.user_namespace,
        declared.RUNTIME: writer.runtime,
        declared.SERVICE_ACCOUNT_TOKEN: writer.token,
        declared.SYSCTLS: writer.sysctls,
        declared.GROUPS: writer.groups,
        declared.TERMINAL: writer.terminal,
        declared.MOUNTS: lambda change: write_mounts(container, change),
        declared.DEVICES: lambda change: write_devices(container, change),
    }
    return write_all(described, changes, container.lists, handlers, _FIRST)


class _Writer:
    """Writes changes into the security contexts of one container and its Pod."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.page = container.page
        self.facts = container.described.facts
        self.own = (*container.base, _CONTEXT)
        self.pod = (*container.spec, _CONTEXT)

    def flag(self, change: Change) -> None:
        self.page.put((*self.own, _FLAGS[change.fact]), _truth(change))

    def terminal(self, change: Change) -> None:
        self.page.put((*self.container.base, "tty"), _truth(change))

    def capabilities(self, change: Change) -> None:
        key = _CAPABILITIES[change.fact]
        path = (*self.own, "capabilities", key)
        differences = Differences(self.facts, change)
        for member in differences.gone:
            place = self.container.mine(differences.place(member), _CONTEXT, "capabilities", key)
            value = self.page.get(self.container.lists.now(place) or ())
            for other, text in self.container.lists.all(path):
                if text == value:
                    self.container.lists.drop(other, len(self.container.base))
        for old, new in differences.swapped:
            place = self.container.mine(differences.place(old), _CONTEXT, "capabilities", key)
            self.page.put(self.container.lists.now(place) or place, Leaf(str(new)))
        for member in differences.added:
            self.page.append(path, Leaf(str(member)))

    def user(self, change: Change) -> None:
        user, separated, group = str(change.value).partition(":")
        if not user.isdecimal() or (separated and not group.isdecimal()):
            raise Refused("Kubernetes takes numbers for users and groups, not names")
        if not separated and self.page.get((*self.pod, "runAsGroup")) is not None:
            raise Refused("the Pod's security context sets runAsGroup, which would stay; name a group too")
        self.page.put((*self.own, "runAsUser"), leaf(int(user)))
        if separated:
            self.page.put((*self.own, "runAsGroup"), leaf(int(group)))
        else:
            self.page.drop((*self.own, "runAsGroup"), None, len(self.container.base))

    def no_new_privileges(self, change: Change) -> None:
        added = self.page.get((*self.own, "capabilities", "add"))
        names = {one.text for one in added if isinstance(one, Leaf)} if isinstance(added, list) else set()
        if change.value is True and (_is_true(self.page.get((*self.own, "privileged"))) or "CAP_SYS_ADMIN" in names):
            raise Refused("the API server refuses it together with privileged or CAP_SYS_ADMIN; take those away first")
        self.page.put((*self.own, "allowPrivilegeEscalation"), leaf(change.value is not True))

    # --- profiles ---------------------------------------------------------------------------------------------------

    def seccomp(self, change: Change) -> None:
        words = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}
        value = str(change.value)
        if value == "default":
            entry = self.facts.seen(declared.SECCOMP)
            if entry is None or self.container.relative(entry.where) is None:
                raise Elsewhere("the Pod asks for the profile; change it there", entry.where if entry else self._source)
            self.page.drop((*self.own, "seccompProfile"), None, len(self.container.base))
        elif value in words:
            self._profile((*self.own, "seccompProfile"), words[value], "")
        elif value.startswith("localhost:"):
            self._profile((*self.own, "seccompProfile"), "Localhost", value.removeprefix("localhost:"))
        else:
            raise Refused("a Pod can ask for runtime/default, unconfined or a profile of the node only")

    def apparmor(self, change: Change) -> None:
        value = str(change.value)
        word = {"default": "RuntimeDefault", "unconfined": "Unconfined"}.get(value, "Localhost")
        profile = value if word == "Localhost" else ""
        key = _APPARMOR + self.container.name
        annotation = (*self.container.pod, "metadata", "annotations", key)
        if self.page.get((*self.own, "appArmorProfile")) is None and self.page.get(annotation) is not None:
            noted = {"default": "runtime/default", "unconfined": "unconfined"}.get(value, f"localhost/{value}")
            self.page.put(annotation, Leaf(noted))
            return
        self._profile((*self.own, "appArmorProfile"), word, profile)

    def _profile(self, path: tuple[str | int, ...], word: str, profile: str) -> None:
        if not isinstance(self.page.get(path), dict):
            self.page.put(path, {"type": Leaf(word), **({"localhostProfile": Leaf(profile)} if profile else {})})
            return
        self.page.put((*path, "type"), Leaf(word))
        if profile:
            self.page.put((*path, "localhostProfile"), Leaf(profile))
        else:
            self.page.drop((*path, "localhostProfile"), None, len(path))

    def selinux(self, change: Change) -> None:
        differences = Differences(self.facts, change)
        if differences.added or differences.swapped:
            raise Refused("labels can be taken away only; write seLinuxOptions by hand")
        for option in differences.gone:
            place = differences.place(option)
            path = self.container.relative(place)
            path = self.container.alone(place) if path is None else (*self.container.base, *path)
            keep = len(self.container.spec) if path[: len(self.pod)] == self.pod else len(self.container.base)
            self.page.drop(path, None, keep)
        if self.page.get((*self.own, "seLinuxOptions")) is None and self.page.get((*self.pod, "seLinuxOptions")):
            raise Refused("the Pod's security context has labels that would hold instead")

    def system_paths(self, change: Change) -> None:
        if change.value not in {"default", "unconfined"}:
            raise Refused("a Pod can ask for the default or for none masked only")
        self.page.put((*self.own, "procMount"), Leaf("Default" if change.value == "default" else "Unmasked"))

    # --- the Pod ----------------------------------------------------------------------------------------------------

    def namespaces(self, change: Change) -> None:
        seen = self.facts.seen(declared.NAMESPACES)
        wanted = None if seen is None else edited(seen.value, change.value)
        if seen is None or not isinstance(wanted, Members):
            raise Refused("it is not known which namespaces are shared")
        before, after = seen.value.yes | seen.value.maybe, wanted.yes | wanted.maybe
        if after - before or wanted.yes - seen.value.yes:
            raise Refused("sharing a further namespace is not written")
        gone = {str(one) for one in before - after}
        if "uts" in gone and "net" not in gone:
            raise Refused("the name of the node comes with hostNetwork; that must change")
        for name in sorted(gone - {"uts"}):
            self.page.put((*self.container.spec, _NAMESPACES[name]), leaf(False))

    def user_namespace(self, change: Change) -> None:
        if change.value == "private":
            for key in _NAMESPACES.values():
                if _is_true(self.page.get((*self.container.spec, key))):
                    raise Refused(f"the API server refuses it together with {key}; that must change first")
        self.page.put((*self.container.spec, "hostUsers"), leaf(change.value != "private"))

    def runtime(self, change: Change) -> None:
        path = (*self.container.spec, "runtimeClassName")
        if change.value == "default":
            self.page.drop(path, None, len(self.container.spec))
        else:
            self.page.put(path, Leaf(str(change.value)))

    def token(self, change: Change) -> None:
        entry = self.facts.table.get(declared.SERVICE_ACCOUNT_TOKEN)
        place = None if entry is None or entry.where is None else self.container.relative(entry.where)
        if place and place[0] == "volumeMounts":
            raise Refused(
                "a volume with a token is mounted; take that mount away",
                entry.where.line if entry and entry.where else 0,
            )
        self.page.put((*self.container.spec, "automountServiceAccountToken"), _truth(change))

    def sysctls(self, change: Change) -> None:
        self._of_pod(change, "sysctls", lambda pair: {"name": Leaf(pair[0]), "value": Leaf(pair[1])})

    def groups(self, change: Change) -> None:
        self._of_pod(change, "supplementalGroups", lambda group: leaf(int(group)))

    def _of_pod(self, change: Change, key: str, spell: Callable[[Any], Value]) -> None:
        differences = Differences(self.facts, change)
        if differences.swapped:
            raise Refused("take the old one away and add the new one")
        for member in differences.gone:
            place = tokens(differences.place(member).pointer)
            if place == (*self.pod, "fsGroup"):
                self.page.drop(place, None, len(self.container.spec))
            elif place[:-1] == (*self.pod, key):
                self.container.lists.drop(place, len(self.container.spec))
            else:
                raise Elsewhere("it is written in another place", differences.place(member))
        for member in differences.added:
            if not isinstance(member, tuple) and not str(member).isdecimal():
                raise Refused("Kubernetes takes numbers for groups, not names")
            self.page.append((*self.pod, key), spell(member))

    @property
    def _source(self) -> Where:
        return self.container.described.workload.source


def _truth(change: Change) -> Value:
    if not isinstance(change.value, bool):
        raise Refused(f"{change.value!r} is neither true nor false")
    return leaf(change.value)


def _is_true(value: Value | None) -> bool:
    return (
        isinstance(value, Leaf)
        and not (value.string and value.text in {"false", ""})
        and value.text.lower() in {"true", "yes", "on", "y"}
    )
