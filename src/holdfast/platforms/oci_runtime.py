"""OCI runtime configuration (``config.json`` of a bundle), versions 1.0 to 1.3.

This is what an engine hands to runc, crun or another runtime, with every default already filled in; so nothing here is
"default": what the file does not ask for is not there.

Source:
    https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md
    https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md
"""

from __future__ import annotations

import re

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Fact
from holdfast.model.place import Where
from holdfast.model.tree import Cursor, Document
from holdfast.model.values import Members
from holdfast.model.words import declared
from holdfast.model.workload import Described, Reading, Surroundings, Workload
from holdfast.platforms._oci_mounts import devices_answers, mounts_answers
from holdfast.platforms._oci_values import NEXT, Answers, plain
from holdfast.platforms._own_labels import own

NAME = "oci-runtime"
KIND = "OCI bundle"
_NAMESPACES = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup"}
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_DRIVER = re.compile(r"/(overlay2|overlay|fuse-overlayfs|btrfs|zfs|vfs|devicemapper|aufs)/")
_NAMES = (
    ("io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.container.name"),
    (
        "io.kubernetes.cri.sandbox-namespace",
        "io.kubernetes.cri.sandbox-name",
        "io.kubernetes.cri.container-name",
    ),
    ("nerdctl/namespace", "nerdctl/name"),
)
_IMAGES = ("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "nerdctl/image-name")


def recognises(document: Document) -> bool:
    """Tell whether the document is an OCI runtime configuration; an image's configuration has no ``ociVersion``."""
    root = document.roots[0] if len(document.roots) == 1 else None
    return root is not None and root.present("ociVersion") and (root.present("process") or root.present("root"))


def read(document: Document, surroundings: Surroundings) -> Reading:  # noqa: ARG001 - every dialect is asked alike
    """Answer the declared facts of the one container that the configuration describes.

    Raises:
        NotUnderstood: The document has no root that could be read.
    """
    return read_bundle(document)


def read_bundle(document: Document, container_id: str = "", runtime: str = "", name: str = "") -> Reading:
    """Answer the declared facts of a configuration found in a runtime's state.

    Args:
        document: The ``config.json``.
        container_id: As the folder of the bundle says it; empty where nobody knows.
        runtime: What runs it: ``runc``, ``crun``, ``runsc``; empty where nobody knows.
        name: As the engine's own records call it; empty where the annotations must do.

    Returns:
        One workload. Problems name every value that is not of the kind the specification asks for.

    Raises:
        NotUnderstood: The document has no root that could be read.
    """
    if not document.roots or not document.roots[0].is_mapping:
        raise NotUnderstood("This is no OCI runtime configuration", document.name, NEXT)
    root = document.roots[0]
    answers = Answers()
    _process(answers, root)
    _isolation(answers, root)
    mounts_answers(answers, root)
    devices_answers(answers, root)
    _paths(answers, root)
    _origin(answers, root, runtime)
    workload = _workload(answers, root, document, container_id, name)
    return Reading((Described(workload, answers.facts()),), tuple(answers.problems))


def _process(answers: Answers, root: Cursor) -> None:
    process = root.get("process")
    where = process.where if process is not None else root.where
    user, group = answers.number(process, "user", "uid"), answers.number(process, "user", "gid")
    if process is None:
        for fact in (declared.USER, declared.GROUPS, declared.CAPABILITIES_EXACT, declared.NO_NEW_PRIVILEGES):
            answers.withhold(fact, "the configuration has no process", where)
        return
    named = process.get("user")
    place = named.where if named is not None else where
    broken = any(problem.what.startswith(("uid ", "gid ")) for problem in answers.problems)
    if broken:
        answers.withhold(declared.USER, "the user is not understood", place)
    else:
        answers.say(
            declared.USER, f"{user or 0}:{group or 0}", place, "" if user is not None else "0 where none is named"
        )
    groups = process.get("user", "additionalGids")
    ids = [element.value for element in groups.elements()] if groups is not None else []
    if all(type(one) is int for one in ids):
        answers.say(declared.GROUPS, tuple(str(one) for one in ids), groups.where if groups is not None else place)
    elif groups is not None:
        answers.wrong(groups, "additionalGids holds something that is not a number")
        answers.withhold(declared.GROUPS, "the groups are not understood", groups.where)
    _capabilities(answers, process)
    _flag(answers, process, declared.NO_NEW_PRIVILEGES, "noNewPrivileges")
    _flag(answers, process, declared.TERMINAL, "terminal")
    answers.say(declared.RUN_AS_NON_ROOT, False, where, "an OCI runtime starts any user")
    profile = answers.text(process, "apparmorProfile")
    answers.say(declared.APPARMOR, profile or "unconfined", where.below("apparmorProfile"))
    label = answers.text(process, "selinuxLabel")
    fields = label.split(":", 3) if label else []
    options = ("disable",) if len(fields) < 3 else (f"type:{fields[2]}", *(f"level:{level}" for level in fields[3:]))
    answers.say(declared.SELINUX, options, where.below("selinuxLabel"))


def _flag(answers: Answers, parent: Cursor, fact: Fact[bool], key: str) -> None:
    value = answers.flag(parent, key)
    if value is None and parent.get(key) is not None:
        answers.withhold(fact, f"{key} is not understood", parent.where.below(key))
    else:
        answers.say(fact, bool(value), parent.where.below(key))


def _capabilities(answers: Answers, process: Cursor) -> None:
    here = process.get("capabilities")
    where = here.where if here is not None else process.where
    note = "" if here is not None else "runc and crun give none where the configuration lists none"
    for fact, key in (
        (declared.CAPABILITIES_EXACT, "effective"),
        (declared.CAPABILITIES_BOUNDING, "bounding"),
        (declared.CAPABILITIES_AMBIENT, "ambient"),
    ):
        names = answers.texts(here, key)
        if names is None and here is not None and here.get(key) is not None:
            answers.withhold(fact, f"{key} is not understood", where.below(key))
            continue
        spelled = frozenset(_capability(name) for name in names or ())
        if fact is declared.CAPABILITIES_AMBIENT:
            # The kernel makes no capability ambient that is not inheritable too; runc passes over it in silence.
            spelled &= frozenset(_capability(name) for name in answers.texts(here, "inheritable") or ())
        answers.say(fact, spelled, where.below(key) if names is not None else where, note)


def _capability(name: str) -> str:
    upper = name.upper()
    return upper if upper.startswith("CAP_") else f"CAP_{upper}"


def _isolation(answers: Answers, root: Cursor) -> None:
    linux = root.get("linux")
    where = linux.where if linux is not None else root.where
    before = len(answers.problems)
    listed: dict[str, tuple[str, Where]] = {}
    for entry in answers.entries(linux, "namespaces"):
        kind = answers.text(entry, "type")
        if kind is None:
            answers.wrong(entry, "a namespace has no type")
            continue
        listed[kind] = (answers.text(entry, "path") or "", entry.where)
    if len(answers.problems) > before:
        for fact in (declared.NAMESPACES, declared.USER_NAMESPACE, declared.USER_NAMESPACE_MAP):
            answers.withhold(fact, "some namespaces are not understood", where.below("namespaces"))
    else:
        _namespaces(answers, listed, linux, where)
    profile = linux.get("seccomp") if linux is not None else None
    if profile is None:
        answers.say(declared.SECCOMP, "unconfined", where.below("seccomp"), "no filter is asked for")
    else:
        answers.say(declared.SECCOMP, "profile", profile.where)
        answers.say(declared.SECCOMP_PROFILE, plain(profile), profile.where)


def _namespaces(answers: Answers, listed: dict[str, tuple[str, Where]], linux: Cursor | None, where: Where) -> None:
    shared = {name for kind, name in _NAMESPACES.items() if kind not in listed}
    doubtful: set[str] = set()
    parts: dict[object, Where] = {}
    for kind, name in _NAMESPACES.items():
        path, place = listed.get(kind, ("", where.below("namespaces")))
        parts[name] = place
        if path.startswith("/proc/1/") or path.endswith("/docker/netns/default"):
            shared.add(name)
        elif path.startswith("/proc/"):
            doubtful.add(name)  # that of another process, which may be the host's
    members = Members(yes=frozenset(shared), maybe=frozenset(doubtful))
    note = "a namespace that is not listed is the runtime's own, usually the host's"
    answers.say(declared.NAMESPACES, members, where.below("namespaces"), note if shared else "", parts)
    user, place = listed.get("user", ("", where.below("namespaces")))
    own = "user" in listed and not user.startswith("/proc/1/")
    answers.say(declared.USER_NAMESPACE, "private" if own else "host", place)
    if own:
        _user_map(answers, linux, where)


def _user_map(answers: Answers, linux: Cursor | None, where: Where) -> None:
    rows: list[tuple[int, int, int]] = []
    for entry in answers.entries(linux, "uidMappings"):
        inside, outside, size = (answers.number(entry, key) for key in ("containerID", "hostID", "size"))
        if inside is None or outside is None or size is None:
            answers.withhold(declared.USER_NAMESPACE_MAP, "the mapping is not understood", entry.where)
            return
        rows.append((inside, outside, size))
    if rows:
        answers.say(declared.USER_NAMESPACE_MAP, tuple(rows), where.below("uidMappings"))
    else:
        answers.withhold(declared.USER_NAMESPACE_MAP, "the namespace that is joined has its own mapping", where)


def _paths(answers: Answers, root: Cursor) -> None:
    """Answer what is masked and read-only; /sys and the cgroup tree count when they are mounted read-only."""
    linux = root.get("linux")
    where = linux.where if linux is not None else root.where
    answers.say(declared.SYSTEM_PATHS, "exact", where)
    for fact, key in ((declared.MASKED_PATHS, "maskedPaths"), (declared.READONLY_PATHS, "readonlyPaths")):
        names = answers.texts(linux, key)
        if names is None and linux is not None and linux.get(key) is not None:
            answers.withhold(fact, f"{key} is not understood", where.below(key))
            continue
        if fact is declared.READONLY_PATHS:
            names = (*(names or ()), *_read_only_kernel_mounts(answers, root))
        answers.say(fact, tuple(names or ()), where.below(key))
    read_only = answers.flag(root, "root", "readonly")
    answers.say(declared.READ_ONLY_ROOT, bool(read_only), root.where.below("root").below("readonly"))
    sysctls = linux.get("sysctl") if linux is not None else None
    pairs = tuple((name, child.text or "") for name, child in sysctls.items()) if sysctls is not None else ()
    answers.say(declared.SYSCTLS, pairs, sysctls.where if sysctls is not None else where)


def _read_only_kernel_mounts(answers: Answers, root: Cursor) -> list[str]:
    found = []
    for entry in answers.entries(root, "mounts"):
        if entry.get("type") is not None and entry.get("type") is not None:
            kind = answers.text(entry, "type")
            if kind in {"sysfs", "proc", "cgroup", "cgroup2"} and "ro" in (answers.texts(entry, "options") or ()):
                found.append(answers.text(entry, "destination") or "")
    return [path for path in found if path]


def _origin(answers: Answers, root: Cursor, runtime: str) -> None:
    """Answer which engine wrote the file, as far as its annotations and paths tell."""
    where = root.where
    notes = root.get("annotations")
    names = frozenset(name for name, _ in notes.items()) if notes is not None else frozenset()
    path = answers.text(root, "root", "path") or ""
    group = answers.text(root, "linux", "cgroupsPath") or ""
    engine = ""
    if any(name.startswith(("io.podman.", "io.container.manager")) for name in names) or "libpod" in group:
        engine = "podman"  # which bears some annotations of its relative CRI-O too
    elif any(name.startswith("io.kubernetes.cri-o.") for name in names):
        engine = "cri-o"
    elif any(name.startswith(("io.kubernetes.cri.", "nerdctl/")) for name in names) or "cri-containerd" in group:
        engine = "containerd"
    elif group.startswith("/docker/") or ":docker:" in group or "/docker/overlay2/" in path:
        engine = "docker"
    elif "/io.containerd.runtime." in where.document:
        engine = "docker" if "/moby/" in where.document else "containerd"
    if engine:
        answers.say(declared.ENGINE, engine, where)
    else:
        answers.withhold(declared.ENGINE, "nothing in the configuration tells which engine wrote it", where)
    if runtime:
        answers.say(declared.RUNTIME, runtime, where, "the state directory is this runtime's")
    else:
        answers.withhold(declared.RUNTIME, "the configuration does not say which runtime runs it", where)
    driver = _DRIVER.search(path)
    if driver:
        answers.say(declared.STORAGE_DRIVER, driver[1], where.below("root").below("path"))
    windows = root.present("windows") and not root.present("linux")
    answers.say(declared.CONTAINER_OS, "windows" if windows else "linux", where)
    answers.withhold(
        declared.PRIVILEGED, "an OCI configuration has no such flag; its effects are listed one by one", where
    )


def _workload(answers: Answers, root: Cursor, document: Document, container_id: str, name: str) -> Workload:
    notes = root.get("annotations")
    group = answers.text(root, "linux", "cgroupsPath") or ""
    found = _ID.findall(container_id) or _ID.findall(group) or _ID.findall(document.name)
    identity = found[-1] if found else ""
    for keys in _NAMES if not name else ():
        parts = [answers.text(notes, key) or "" for key in keys]
        if parts[-1] or (len(parts) > 2 and parts[1]):
            name = "/".join(part for part in parts if part)
            break
    folder = document.name.rstrip("/").split("/")[-2] if document.name.count("/") else ""
    name = name or identity[:12] or container_id or answers.text(root, "hostname") or folder or document.name
    image = next((text for key in _IMAGES if (text := answers.text(notes, key))), "")
    labels = {"pause": "yes"} if answers.text(notes, "io.kubernetes.cri.container-type") == "sandbox" else {}
    told = notes.items() if notes is not None else ()
    labels |= own((key, child.value if isinstance(child.value, str) else None) for key, child in told)
    return Workload(name, KIND, root.where, image, identity or container_id, labels)
