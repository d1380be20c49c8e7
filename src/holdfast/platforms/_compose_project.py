"""The files of one Compose project put together: override files, ``include`` and ``extends``.

Every value keeps the file it comes from, and with it the directory that its relative paths start from: an included
file's ``./data`` lies beside that file, an extended service's beside the file that defines it.

Source:
    https://docs.docker.com/reference/compose-file/include/, .../extends/, compose-go ``loader``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import replace

from holdfast.model.errors import NotUnderstood
from holdfast.model.place import Where
from holdfast.model.tree import Cursor, Document
from holdfast.model.tree import Mapping as MappingNode
from holdfast.model.workload import Surroundings
from holdfast.platforms._compose_interpolate import Lookup, environment_file
from holdfast.platforms._compose_merge import merged
from holdfast.platforms._compose_tree import Branch, Grower, Leaf, Row, Source, Tree
from holdfast.platforms._docker_run_files import Files

SERVICE_KEYS = frozenset({
    "annotations", "build", "cap_add", "cap_drop", "cgroup", "cgroup_parent", "configs", "container_name",
    "credential_spec", "deploy", "device_cgroup_rules", "devices", "extends", "gpus", "group_add", "image", "ipc",
    "isolation", "labels", "net", "network_mode", "networks", "pid", "platform", "privileged", "profiles", "provider",
    "read_only", "runtime", "secrets", "security_opt", "sysctls", "tmpfs", "tty", "use_api_socket", "user",
    "userns_mode", "uts", "volumes", "volumes_from",
})  # fmt: skip
"""Fields that bear on confinement, or may speak to Holdfast itself.

The others are not even looked at, so their variables need not be known.
"""
TOP_KEYS = frozenset({"volumes", "secrets", "configs", "networks", "include", "name"})
_DEPTH = 16
_MOST_FILES = 128
_REMOTE = ("git@", "github.com/")
_NOT_A_NAME = re.compile(r"[^a-z0-9_-]")


class Variables:
    """Environment first, then ``.env`` files, which are asked for only where the environment does not answer."""

    __slots__ = ("files", "names", "parent", "project", "values")

    def __init__(self, parent: Lookup, files: Files, names: tuple[str, ...], project: str = "") -> None:
        """Keep where to look; nothing is read yet."""
        self.parent = parent
        self.files = files
        self.names = names
        self.project = project
        self.values: dict[str, str] | None = None

    def __call__(self, name: str) -> str | None:
        """Return a variable's value, None where it is not set."""
        found = self.parent(name)
        if found is not None:
            return found
        if self.values is None:
            self.values = {}
            for file in self.names:
                document = self.files.get(file)
                if isinstance(document, Document):
                    self.values.update(environment_file(document.text, self.parent))
        found = self.values.get(name)
        return self.project or None if found is None and name == "COMPOSE_PROJECT_NAME" else found


class Project:
    """Reads a project's files into one tree with the keys services, volumes, secrets and configs."""

    def __init__(self, surroundings: Surroundings, files: Files, problems: list[NotUnderstood]) -> None:
        """Keep what stands around the document."""
        self.surroundings = surroundings
        self.environment: Mapping[str, str] = surroundings.environment
        self.files = files
        self.problems = problems
        self.grower = Grower(problems)
        self.loaded = 0
        self.extended: dict[tuple[str, int], Branch | str] = {}
        self.resolved: dict[tuple[int, str], Tree] = {}
        self.kept: list[Branch] = []

    def read(self, document: Document) -> Branch:
        """Put the document and its override files together.

        Raises:
            NotUnderstood: Too large or nested too deeply.
        """
        source = self._main_source(document)
        root = self._file(document, source, (document.name,))
        for overlay in self.surroundings.overlays:
            later = self._file(overlay, replace(source, name=overlay.name), (overlay.name,))
            joined = merged(root, later, self.problems)
            root = joined if isinstance(joined, Branch) else root
        return root

    def _main_source(self, document: Document) -> Source:
        folder = posixpath.dirname(document.name)
        base = folder
        if not folder.startswith("/"):
            here = self.environment.get("PWD", "")
            base = posixpath.normpath(posixpath.join(here, folder)) if here.startswith("/") else folder or "."
        project = _NOT_A_NAME.sub("", posixpath.basename(base).lower()).lstrip("_-")
        lookup = Variables(self.environment.get, self.files, (posixpath.join(folder, ".env"),), project)
        return Source(document.name, folder, base, lookup, self.environment.get("HOME", ""))

    # --- one file ---------------------------------------------------------------------------------------------------

    def _file(self, document: Document, source: Source, chain: tuple[str, ...]) -> Branch:
        """Read one file with what it includes; its services are extended already."""
        root: Branch | None = None
        for cursor in document.roots:
            if not isinstance(cursor.node, MappingNode):
                self._trouble("a Compose file is a mapping", cursor.where, "compare it with the Compose reference")
                continue
            grown = self._grown(cursor, source)
            included = self._included(grown, source, chain)
            self._extend_all(grown, source)
            whole: Tree = grown if included is None else merged(included, grown, self.problems)
            if root is not None:
                whole = merged(root, whole, self.problems)
            root = whole if isinstance(whole, Branch) else root
        return root or Branch({}, Where(document.name), source)

    def _grown(self, cursor: Cursor, source: Source) -> Branch:
        modern = cursor.present("services") or cursor.present("include")
        root = Branch({}, cursor.where, source)
        services = Branch({}, cursor.where, source)
        for key, child in cursor.items():
            if modern and key in TOP_KEYS:
                root.entries[key] = self.grower.grow(child, source)
                root.places[key] = child.where
            elif modern and key == "services":
                self._services(child, services, source)
            elif not modern and not key.startswith("x-") and key != "version":
                services.entries[key] = self._service(child, source)
                services.places[key] = child.where
        root.entries["services"] = services
        return root

    def _services(self, cursor: Cursor, services: Branch, source: Source) -> None:
        if not cursor.is_mapping:
            if not cursor.is_null:
                self._trouble("services is a mapping of names", cursor.where, "give every service a name")
            return
        services.where = cursor.where
        for key, child in cursor.items():
            if not key.startswith("x-"):
                services.entries[key] = self._service(child, source)
                services.places[key] = child.where
        node = cursor.node
        for key, line in node.duplicates if isinstance(node, MappingNode) else ():
            where = cursor.where.below(key, line)
            self._trouble(f"the service {key[:40]!r} stands twice; Compose refuses the file", where, "rename one")

    def _service(self, cursor: Cursor, source: Source) -> Tree:
        node = cursor.node
        if not isinstance(node, MappingNode):
            return self.grower.grow(cursor, source)
        wanted = {key: child for key, child in node.entries.items() if key in SERVICE_KEYS}
        twice = [(key, line) for key, line in node.duplicates if key in SERVICE_KEYS]
        slim = MappingNode(wanted, node.line, node.key_lines, twice, node.tag)
        return self.grower.grow(Cursor(slim, cursor.where, cursor.meaning), source)

    # --- include ----------------------------------------------------------------------------------------------------

    def _included(self, root: Branch, source: Source, chain: tuple[str, ...]) -> Branch | None:
        include = root.entries.pop("include", None)
        if include is None:
            return None
        whole: Branch | None = None
        items = include.items if isinstance(include, Row) else [include]
        for item in items:
            part = self._one_include(item, source, chain)
            if part is None:
                continue
            self._clash(root, part)
            joined = part if whole is None else merged(whole, part, self.problems)
            whole = joined if isinstance(joined, Branch) else whole
        return whole

    def _one_include(self, item: Tree, source: Source, chain: tuple[str, ...]) -> Branch | None:
        paths = _leaves(item.get("path") if isinstance(item, Branch) else item)
        if not paths or any(leaf.unknown for leaf in paths):
            reason = next((leaf.unknown for leaf in paths if leaf.unknown), "an include names no path")
            self._trouble(f"an included file is not known: {reason}", item.where, "set the variable")
            return None
        folder, base = posixpath.dirname(paths[0].text), source.absolute(posixpath.dirname(paths[0].text) or ".")
        env_files = None
        if isinstance(item, Branch):
            directory = next(iter(_leaves(item.get("project_directory"))), None)
            if directory is not None:
                folder, base = directory.text, source.absolute(directory.text)
            env_files = _leaves(item.get("env_file"))
        folder = source.beside(folder or ".")
        names = tuple(source.beside(leaf.text) for leaf in env_files or () if leaf.text != "/dev/null")
        if not env_files:
            names = (posixpath.normpath(posixpath.join(folder, ".env")),)
        lookup = Variables(source.lookup, self.files, names)
        whole: Branch | None = None
        for leaf in paths:
            document = self._document(leaf, source, chain, "included file")
            if document is None:
                continue
            inner = Source(document.name, folder, base, lookup, source.home)
            part = self._file(document, inner, (*chain, document.name))
            joined = part if whole is None else merged(whole, part, self.problems)
            whole = joined if isinstance(joined, Branch) else whole
        return whole

    def _clash(self, root: Branch, part: Branch) -> None:
        own, other = root.entries.get("services"), part.entries.get("services")
        if isinstance(own, Branch) and isinstance(other, Branch):
            for name in own.entries.keys() & other.entries.keys():
                what = f"the service {name[:40]!r} is defined here and in an included file; Compose refuses that"
                self._trouble(what, own.place(name), "override it in a file of its own")

    def _document(self, leaf: Leaf, source: Source, chain: tuple[str, ...], what: str) -> Document | None:
        path = leaf.text
        if "://" in path or path.startswith(_REMOTE):
            self._trouble(f"the {what} {path[:80]} lies elsewhere", leaf.where, "scan a local copy of it")
            return None
        name = source.beside(path)
        self.loaded += 1
        if name in chain or len(chain) > _DEPTH or self.loaded > _MOST_FILES:
            self._trouble(f"the {what} {path[:80]} leads in a circle or too far", leaf.where, "break the circle")
            return None
        document = self.files.get(name)
        if isinstance(document, str):
            self._trouble(f"the {what} is missing: {document}", leaf.where, "correct the path")
            return None
        return document

    # --- extends ----------------------------------------------------------------------------------------------------

    def _extend_all(self, root: Branch, source: Source) -> None:
        services = root.entries.get("services")
        if isinstance(services, Branch):
            self.kept.append(services)
            for name in list(services.entries):
                services.entries[name] = self._extended(services, source, name, ())

    def _extended(self, services: Branch, source: Source, name: str, chain: tuple[tuple[str, str], ...]) -> Tree:
        service = services.entries[name]
        extends = service.entries.get("extends") if isinstance(service, Branch) else None
        if not isinstance(service, Branch) or extends is None:
            return service
        memory = (id(services), name)
        if memory not in self.resolved:
            self.resolved[memory] = self._base_of(service, extends, services, source, (*chain, (source.name, name)))
        return self.resolved[memory]

    def _base_of(
        self, service: Branch, extends: Tree, services: Branch, source: Source, chain: tuple[tuple[str, str], ...]
    ) -> Tree:
        alone = Branch(dict(service.entries), service.where, source, service.places, service.tag)
        del alone.entries["extends"]
        named = extends.get("service") if isinstance(extends, Branch) else extends
        file = extends.get("file") if isinstance(extends, Branch) else None
        if not isinstance(named, Leaf) or named.unknown or (file is not None and not isinstance(file, Leaf)):
            return self._gap(alone, "extends names no service that can be told", extends.where)
        if file is not None and file.unknown:
            return self._gap(alone, f"the extended file is not known: {file.unknown}", extends.where)
        if file is not None:
            found = self._other_file(file, source)
            if isinstance(found, str):
                return self._gap(alone, found, file.where)
            services, source = found, found.source
        if named.text not in services.entries:
            return self._gap(alone, f"the extended service {named.text[:40]!r} is not there", named.where)
        if (source.name, named.text) in chain or len(chain) > _DEPTH:
            return self._gap(alone, f"extending {named.text[:40]!r} leads in a circle", named.where)
        base = self._extended(services, source, named.text, chain)
        if not isinstance(base, Branch):
            return self._gap(alone, f"the extended service {named.text[:40]!r} is no mapping", named.where)
        return merged(base, alone, self.problems)

    def _other_file(self, file: Leaf, source: Source) -> Branch | str:
        name = source.beside(file.text)
        key = (name, id(source.lookup))
        if key not in self.extended:
            self.extended[key] = self._load_other(file, source, name)
        return self.extended[key]

    def _load_other(self, file: Leaf, source: Source, name: str) -> Branch | str:
        if "://" in file.text or file.text.startswith(_REMOTE):
            return f"the extended file {file.text[:80]} lies elsewhere"
        self.loaded += 1
        if self.loaded > _MOST_FILES:
            return "more files are extended than are read"
        document = self.files.get(name)
        if isinstance(document, str):
            return f"the extended file is missing: {document}"
        folder = posixpath.dirname(name)
        base = source.absolute(posixpath.dirname(file.text) or ".")
        inner = Source(name, folder, base, source.lookup, source.home)
        for cursor in document.roots:
            if cursor.is_mapping:
                services = self._grown(cursor, inner).entries["services"]
                if isinstance(services, Branch):
                    services.source = inner
                    self.kept.append(services)
                    return services
        return f"the extended file {name} holds no services"

    def _gap(self, service: Branch, reason: str, where: Where) -> Branch:
        self._trouble(reason, where, "correct extends, or scan the file it names")
        service.gap = reason
        return service

    def _trouble(self, what: str, where: Where, then: str) -> None:
        self.problems.append(NotUnderstood(what, str(where), then, where.line))


def _leaves(tree: Tree | None) -> list[Leaf]:
    if isinstance(tree, Leaf):
        return [tree]
    if isinstance(tree, Row):
        return [item for item in tree.items if isinstance(item, Leaf)]
    return []
