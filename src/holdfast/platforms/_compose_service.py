"""One Compose service as a request to the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from holdfast.model.facts import Fact
from holdfast.model.place import Where
from holdfast.model.words import declared
from holdfast.platforms._compose_mounts import Mounts, switch, tell_devices
from holdfast.platforms._compose_tree import Branch, Leaf, Row, Source, Tree
from holdfast.platforms._docker_run_files import Files
from holdfast.platforms._docker_run_request import Request, Said
from holdfast.platforms._docker_run_security import tell_security
from holdfast.platforms._own_labels import assigned

_FLAGS: tuple[tuple[str, Fact[bool]], ...] = (
    ("privileged", declared.PRIVILEGED), ("read_only", declared.READ_ONLY_ROOT), ("tty", declared.TERMINAL),
)  # fmt: skip
_MODES = (("pid", "pid"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroup"), ("userns_mode", "user"))
_LISTS: tuple[tuple[str, Fact[Any]], ...] = (
    ("cap_add", declared.CAPABILITIES_ADDED), ("cap_drop", declared.CAPABILITIES_DROPPED),
    ("group_add", declared.GROUPS), ("device_cgroup_rules", declared.DEVICE_RULES),
)  # fmt: skip
_REFERENCE = "compare it with the Compose reference"
_WINDOWS = frozenset({"hyperv", "process"})


def request_of(service: Branch, root: Branch, project: Source, files: Files) -> Request:
    """Turn a service into a request.

    Args:
        service: Extended and merged already.
        root: The whole project, for its volumes, secrets and configs.
        project: The project's own directory; seccomp profiles lie relative to it.
        files: Takes the names of seccomp profiles that must be seen.
    """
    request = Request(service.where)
    request.gap = service.gap
    for key, fact in _FLAGS:
        _tell_flag(request, service.get(key), key, fact)
    for key, name in _MODES:
        said = _one(request, service.get(key), key)
        if said is not None:
            request.modes[name] = said
    for key, fact in _LISTS:
        _tell_list(request, service.get(key), key, fact)
    _tell_network(request, service, root)
    _tell_sysctls(request, service.get("sysctls"))
    request.user = _one(request, service.get("user"), "user")
    request.runtime = _one(request, service.get("runtime"), "runtime")
    if service.get("build") is not None:
        request.no_user = "the image is built from build; its user was not seen"
    _tell_system(request, service)
    Mounts(request, root).tell(service)
    tell_devices(request, service)
    request.labels = [*_labels(service.get("labels")), *_labels(service.get("annotations"))]
    options = service.get("security_opt")
    if isinstance(options, Row):
        request.security = [_said(item, "security_opt") for item in options.items]
    elif options is not None:
        request.security = [_wrong(request, options, "security_opt")]
    tell_security(request, lambda path: files.get(project.beside(path)))
    return request


def strings(tree: Tree | None) -> list[str]:
    """Return the known texts of a list."""
    if not isinstance(tree, Row):
        return []
    return [item.text for item in tree.items if isinstance(item, Leaf) and not item.unknown]


def _said(tree: Tree, key: str) -> Said:
    if isinstance(tree, Leaf):
        return tree.said()
    return Said(key, tree.where, f"{key} holds something that is no text")


def _wrong(request: Request, tree: Tree, key: str) -> Said:
    if isinstance(tree, Leaf) and tree.unknown:
        return tree.said()
    request.problem(f"{key} is of the wrong kind", tree.where, _REFERENCE)
    return Said(key, tree.where, f"{key} is of the wrong kind")


def _one(request: Request, tree: Tree | None, key: str) -> Said | None:
    if tree is None:
        return None
    return tree.said() if isinstance(tree, Leaf) else _wrong(request, tree, key)


def _tell_flag(request: Request, tree: Tree | None, key: str, fact: Fact[bool]) -> None:
    if tree is None:
        return
    if not isinstance(tree, Leaf) or tree.unknown:
        said = _wrong(request, tree, key)
        request.withhold(fact, said.unknown, said.where)
        return
    answer = switch(tree)
    if answer is None:
        reason = f"{key} is neither true nor false: {tree.text[:40]!r}"
        request.problem(reason, tree.where, "write true or false")
        request.withhold(fact, reason, tree.where)
    else:
        request.say(fact, answer, tree.where, tree.note)


def _tell_list(
    request: Request, tree: Tree | None, key: str, fact: Fact[Any], shape: Callable[[str], str] | None = None
) -> None:
    if tree is None:
        return
    if not isinstance(tree, Row):
        request.add(fact, _wrong(request, tree, key))
        return
    found: dict[str, Said] = {}
    for item in tree.items:
        said = _said(item, key) if isinstance(item, Leaf) else _wrong(request, item, key)
        found[shape(said.text) if shape else said.text] = said
    request.add(fact, *found.values())


def _tell_network(request: Request, service: Branch, root: Branch) -> None:
    mode = _one(request, service.get("network_mode") or service.get("net"), "network_mode")
    if mode is not None and (mode.text or mode.unknown):
        request.modes["net"] = mode
        request.add(declared.NETWORKS, mode)
        return
    networks = service.get("networks")
    names: list[tuple[str, Where]] = []
    if isinstance(networks, Branch):
        names = [(name, networks.place(name)) for name in networks.entries]
    elif isinstance(networks, Row):
        names = [(item.text, item.where) for item in networks.items if isinstance(item, Leaf)]
    if not names and service.gap:
        return
    told = [_network(name, where, root) for name, where in names or [("default", service.where)]]
    request.add(declared.NETWORKS, *(said for said, _ in told))
    # The engine's own network "host" can be joined like any other that Compose did not make.
    host = next((said for said, external in told if external and (said.unknown or said.text == "host")), None)
    if host is not None:
        request.modes["net"] = host


def _network(name: str, where: Where, root: Branch) -> tuple[Said, bool]:
    """Return a network, and whether Compose finds it made already; then it may bear another name than here."""
    networks = root.get("networks")
    definition = networks.get(name) if isinstance(networks, Branch) else None
    if not isinstance(definition, Branch):
        return Said(name, where), False
    external, named = definition.get("external"), definition.get("name")
    if isinstance(external, Branch):
        named = external.get("name") or named
    elif not isinstance(external, Leaf) or switch(external) is False:
        return Said(name, where), False
    return (named.said() if isinstance(named, Leaf) else Said(name, where)), True


def _tell_sysctls(request: Request, tree: Tree | None) -> None:
    if isinstance(tree, Branch):
        items: list[Tree] = []
        for key, child in tree.items():
            text = child.text if isinstance(child, Leaf) else ""
            unknown = child.unknown if isinstance(child, Leaf) else f"the value of {key} is of the wrong kind"
            items.append(Leaf(f"{key}={text}", f"{key}={text}", tree.place(key), tree.source, unknown))
        tree = Row(items, tree.where, tree.source)
    _tell_list(request, tree, "sysctls", declared.SYSCTLS, lambda text: text.partition("=")[0])


def _labels(tree: Tree | None) -> Iterator[tuple[str, str | None]]:
    if isinstance(tree, Branch):
        for key, child in tree.items():
            known = isinstance(child, Leaf) and not child.unknown
            yield key, child.text if known and isinstance(child, Leaf) else None
    for item in tree.items if isinstance(tree, Row) else ():
        if isinstance(item, Leaf):
            yield assigned(item.text, known=not item.unknown)


def _tell_system(request: Request, service: Branch) -> None:
    isolation = _one(request, service.get("isolation"), "isolation")
    platform = _one(request, service.get("platform"), "platform")
    if isolation is not None and isolation.text in _WINDOWS:
        request.system = Said("windows", isolation.where)
    elif platform is not None and (platform.text or platform.unknown):
        system = platform.text.partition("/")[0]
        request.system = Said(system if system in {"linux", "windows"} else "linux", platform.where, platform.unknown)
    elif service.get("credential_spec") is not None:
        request.system = Said("windows", service.place("credential_spec"))
