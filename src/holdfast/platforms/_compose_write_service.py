"""One service of a Compose file while it is being changed: which of its values stand in its own lines."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from holdfast.model.place import Where
from holdfast.model.workload import Described
from holdfast.platforms._write_changes import Elsewhere, Lists, tokens
from holdfast.platforms._yaml_edit import Page, Refused
from holdfast.platforms._yaml_spans import Leaf, Path, Value, found, is_null

_SHARES = {"pid": ("pid",), "ipc": ("ipc",), "net": ("network_mode", "net"), "uts": ("uts",), "cgroup": ("cgroup",)}


class Service:
    """A service with the document that holds it."""

    def __init__(self, page: Page, lists: Lists, base: Path, described: Described, document: str) -> None:
        """Keep them.

        Args:
            page: The document.
            lists: Of the page.
            base: Path of the service in it.
            described: The service as it was read.
            document: Name of the file that is written.
        """
        self.page = page
        self.lists = lists
        self.base = base
        self.described = described
        self.name = str(base[-1]) if base else ""
        self.document = document
        self.siblings = self._siblings()

    def _siblings(self) -> dict[str, Value]:
        around = self.page.get(self.base[:-1])
        table = around if isinstance(around, dict) else {}
        return {name: body for name, body in table.items() if name != self.name and isinstance(body, dict)}

    # --- places -----------------------------------------------------------------------------------------------------

    def relative(self, where: Where) -> Path | None:
        """Return a place as a path below the service; None where it lies elsewhere."""
        path = tokens(where.pointer)
        inside = where.document == self.document and path[: len(self.base)] == self.base
        return path[len(self.base) :] if inside and (not where.line or self.page.holds(where.line)) else None

    def mine(self, where: Where, key: str) -> Path:
        """Return the path, from the root, of an element of one of the service's own lists or mappings.

        Raises:
            Elsewhere: It stands in another place.
        """
        path = self.relative(where)
        if path is None or len(path) < 2 or path[0] != key:
            raise Elsewhere(f"it is written at {where}; change it there", where)
        return (*self.base, key, path[1])

    def own_or_elsewhere(self, where: Where | None, key: str) -> None:
        """Refuse where a value stands in none of the service's own lines.

        Raises:
            Elsewhere: It stands in another place.
        """
        if where is None or where == self.described.workload.source:
            return
        path = self.relative(where)
        if path is None or (path and path[0] != key):
            raise Elsewhere(f"it is written at {where}; change it there", where)

    def winning(self, where: Where | None, key: str) -> None:
        """Refuse where a key written into the service would not win over the value there is.

        Raises:
            Elsewhere: A file that is merged over this one sets it.
        """
        if where is None or where == self.described.workload.source or where.document == self.document:
            return
        base = found(self.page.get(self.base), ("extends", "file"))
        if isinstance(base, Leaf):
            folder = posixpath.dirname(self.document)
            name = base.text if base.text.startswith("/") else posixpath.normpath(posixpath.join(folder, base.text))
            if name == where.document:
                return
        raise Elsewhere(f"{key} is set at {where}, which wins over this file; change it there", where)

    def drop(self, key: str, neutral: Value) -> None:
        """Take a key away; where ``extends`` would bring it back, say the neutral value instead."""
        if is_null(self.page.get((*self.base, "extends"))):
            self.page.drop((*self.base, key), neutral, len(self.base))
        elif not is_null(self.page.get((*self.base, key))) or neutral != Leaf("runc"):
            self.page.put((*self.base, key), neutral)

    # --- others -----------------------------------------------------------------------------------------------------

    def independent(self, key: str) -> None:
        """Refuse where another service extends this one, and would change with it.

        Raises:
            Refused: It does, and does not set the key itself.
        """
        for name, body in self.siblings.items():
            extends = found(body, ("extends",))
            extended = found(extends, ("service",)) if isinstance(extends, dict) else extends
            file = found(extends, ("file",))
            if isinstance(file, Leaf) and posixpath.basename(file.text) != posixpath.basename(self.document):
                continue
            # Of a plain value its own one wins; lists are joined.
            if isinstance(found(body, (key,)), Leaf) and not is_null(found(body, (key,))):
                continue
            if isinstance(extended, Leaf) and extended.text == self.name:
                raise Refused(f"the service {name} extends this one; changing {key} here would change it there too")

    def unshared(self, namespace: str) -> None:
        """Refuse where another service is in this one's namespace.

        Raises:
            Refused: One is.
        """
        for name, body in self.siblings.items():
            for key in _SHARES.get(namespace, ()):
                mode = found(body, (key,))
                if isinstance(mode, Leaf) and mode.text in set(self._names()):
                    raise Refused(
                        f"the service {name} is in the {namespace} namespace of this one and would leave it too"
                    )

    def unborrowed(self) -> None:
        """Refuse where another service takes the mounts of this one.

        Raises:
            Refused: One does.
        """
        for name, body in self.siblings.items():
            listed = found(body, ("volumes_from",))
            for item in listed if isinstance(listed, list) else ():
                if isinstance(item, Leaf) and item.text.removeprefix("container:").partition(":")[0] in self._bare():
                    raise Refused(f"the service {name} takes its volumes from this one and would lose them too")

    def _bare(self) -> set[str]:
        name = found(self.page.get(self.base), ("container_name",))
        return {self.name} | ({name.text} if isinstance(name, Leaf) else set())

    def _names(self) -> Iterator[str]:
        for name in self._bare():
            yield f"service:{name}"
            yield f"container:{name}"
