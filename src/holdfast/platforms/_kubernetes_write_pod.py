"""One container of a manifest while it is being changed, with the Pod around it."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.place import Where
from holdfast.model.workload import Described
from holdfast.platforms._write_changes import Elsewhere, Lists, tokens
from holdfast.platforms._yaml_edit import Page
from holdfast.platforms._yaml_spans import Key, Leaf, Path, found

_LISTS = ("containers", "initContainers", "ephemeralContainers")


class Container:
    """A container with the document that holds it."""

    def __init__(self, page: Page, lists: Lists, base: Path, described: Described) -> None:
        """Keep them.

        Args:
            page: The document.
            lists: Of the page.
            base: Path of the container in it.
            described: The container as it was read.
        """
        self.page = page
        self.lists = lists
        self.base = base
        self.spec = base[:-2]
        self.pod = base[:-3]
        self.described = described
        self.document = described.workload.source.document
        name = found(page.get(base), ("name",))
        self.name = name.text if isinstance(name, Leaf) else ""

    def containers(self) -> Iterator[Path]:
        """Iterate over the paths of all containers of the Pod, this one included."""
        for key in _LISTS:
            listed = self.page.get((*self.spec, key))
            for index in range(len(listed) if isinstance(listed, list) else 0):
                yield (*self.spec, key, index)

    def relative(self, where: Where) -> Path | None:
        """Return a place as a path below the container; None where it lies elsewhere."""
        path = tokens(where.pointer)
        inside = where.document == self.document and path[: len(self.base)] == self.base
        return path[len(self.base) :] if inside and (not where.line or self.page.holds(where.line)) else None

    def mine(self, where: Where, *keys: Key) -> Path:
        """Return the path, from the root, of an element of one of the container's own lists.

        Raises:
            Elsewhere: It stands in another place.
        """
        path = self.relative(where)
        if path is None or len(path) != len(keys) + 1 or path[:-1] != keys:
            raise Elsewhere(f"it is written at {where}; change it there", where)
        return (*self.base, *path)

    def alone(self, where: Where) -> Path:
        """Return the path of a value of the Pod's security context, which only this container has.

        Raises:
            Elsewhere: Other containers have it too, or it stands in another place.
        """
        path = tokens(where.pointer)
        if where.document != self.document or path[: len(self.spec)] != self.spec:
            raise Elsewhere(f"it is written at {where}; change it there", where)
        if len(list(self.containers())) > 1:
            raise Elsewhere("it is written for every container of the Pod; change it there", where)
        return path
