"""Read files: choose the dialect, hand over further files that a document needs, and collect the troubles."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from holdfast import platforms
from holdfast.app.troubles import as_trouble
from holdfast.collect.files import is_data, may_hold_documents
from holdfast.collect.parse import as_text, parse
from holdfast.collect.reading import read_bytes
from holdfast.model.errors import Error, NotReachable, NotUnderstood
from holdfast.model.tree import Document
from holdfast.model.workload import Needs, Reading, Surroundings
from holdfast.platforms import Platform

_COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""Default names, in the order in which Compose looks for them."""

_ROUNDS = 64
"""How often a document may ask for further files before it is refused: a chain of includes that long is an attack."""


def overrides(path: str) -> tuple[str, ...]:
    """Return the names of the override files that Compose would merge over a file of a default name."""
    folder, name = os.path.split(path)
    if name not in _COMPOSE_NAMES:
        return ()
    stem = name.rpartition(".")[0]
    return tuple(
        os.path.join(folder, f"{stem}.override.{ending}")  # noqa: PTH118 - plain strings on a path walked 10,000 times
        for ending in ("yaml", "yml")
    )


def is_override(path: str) -> str:
    """Return the name of the Compose file that this one is merged over, empty where it stands alone."""
    folder, name = os.path.split(path)
    stem, _, ending = name.rpartition(".")
    if not stem.endswith(".override") or ending not in {"yaml", "yml"}:
        return ""
    plain = stem.removesuffix(".override")
    for candidate in _COMPOSE_NAMES:
        whole = os.path.join(folder, candidate)  # noqa: PTH118
        if candidate.rpartition(".")[0] == plain and os.path.exists(whole):  # noqa: PTH110
            return whole
    return ""


@dataclass
class Reader:
    """Reads documents for one scan.

    Attributes:
        environment: Environment variables that interpolation may use.
        profiles: Active Compose profiles; None for "judge every service".
        max_bytes: Largest file that is read.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    profiles: tuple[str, ...] | None = None
    max_bytes: int = 32 << 20

    def read(
        self,
        name: str,
        data: bytes,
        *,
        named: bool = False,
        overlays: tuple[tuple[str, bytes], ...] = (),
        dialect: str = "",
    ) -> Reading:
        """Read one document.

        Args:
            name: Its path or address.
            data: Its bytes.
            named: The person named this very file: then it is a trouble when no dialect recognises it.
            overlays: Files that Compose merges over it.
            dialect: The dialect that the person said it is in; empty to find out.

        Returns:
            Workloads and troubles. Never raises for what the document holds.
        """
        try:
            document, problems = parse(name, data)
        except NotUnderstood as trouble:
            return Reading(problems=(trouble,))
        further: list[Document] = []
        for other, content in overlays:
            try:
                parsed, troubles = parse(other, content)
            except NotUnderstood as trouble:
                return Reading(problems=(trouble,))
            further.append(parsed)
            problems = (*problems, *troubles)
        platform = platforms.load()[dialect] if dialect else self.dialect(document)
        if platform is None and named:
            # A person named it, so it may be a note, a crontab, a CI job or a script that holds command lines.
            text = as_text(name, data)
            platform = self.dialect(text)
            if platform is not None:
                document, problems = text, problems if is_data(name) else ()
        if platform is None:
            if named and not problems:
                problems = (
                    NotUnderstood(
                        "no dialect recognises this file" if data.strip() else "the file is empty",
                        name,
                        f"Holdfast reads: {', '.join(sorted(platforms.load()))}",
                    ),
                )
            return Reading(problems=problems)
        try:
            reading = self._read(platform, document, tuple(further))
        except NotUnderstood as trouble:
            return Reading(problems=(*problems, trouble))
        return Reading(reading.workloads, (*problems, *reading.problems), reading.shared)

    def dialect(self, document: Document) -> Platform | None:
        """Return the platform that recognises a document."""
        for platform in _platforms():
            if platform.recognises(document):
                return platform
        return None

    def _read(self, platform: Platform, document: Document, overlays: tuple[Document, ...]) -> Reading:
        files: dict[str, Document | NotUnderstood | None] = {}
        for _ in range(_ROUNDS):
            try:
                return platform.read(document, Surroundings(files, overlays, self.environment, self.profiles))
            except Needs as needs:
                missing = [name for name in needs.names if name not in files]
                if not missing:
                    break
                for name in missing:
                    files[name] = _document(name, self.max_bytes)
        raise NotUnderstood(
            "the document asks for more and more other files", document.name, "look for a loop of include or extends"
        )

    def read_files(self, paths: Sequence[str], *, named: bool = False, dialect: str = "") -> Reading:
        """Read a file together with the files that are merged over it.

        Args:
            paths: The file, then those merged over it. Of the latter, one that does not exist is left out unless the
                person named it.
            named: The person named these very files.
            dialect: As for ``read``.
        """
        contents: list[tuple[str, bytes]] = []
        for path in paths:
            data = read_bytes(path, self.max_bytes)
            if isinstance(data, Error):
                if contents and not named and isinstance(data, NotReachable):
                    continue
                if contents and isinstance(data, NotReachable) and path in overrides(paths[0]):
                    continue
                return Reading(problems=(as_trouble(data),))
            contents.append((path, data))
        (name, data), *over = contents
        if not named and not may_hold_documents(name, data):
            return Reading()
        return self.read(name, data, named=named, overlays=tuple(over), dialect=dialect)


_FREQUENT = ("kubernetes", "compose")
"""Dialects that are asked first, because most documents are theirs. No document is two dialects' at once."""


def _platforms() -> Iterator[Platform]:
    """Bring the dialects that read documents; each is imported only when it is its turn."""
    for name in _names():
        platform = _platform(name)
        if platform is not None:
            yield platform


@cache
def _names() -> tuple[str, ...]:
    names = sorted(info.name for info in iter_modules(platforms.__path__) if not info.name.startswith("_"))
    return (*_FREQUENT, *(name for name in names if name not in _FREQUENT))


@cache
def _platform(name: str) -> Platform | None:
    module = import_module(f"{platforms.__name__}.{name}")
    return cast("Platform", module) if hasattr(module, "recognises") else None


def _document(name: str, limit: int) -> Document | NotUnderstood | None:
    """Read a further file that a document asks for; text files that are no YAML are handed over as text."""
    data = read_bytes(name, limit)
    if isinstance(data, NotReachable):
        return None
    if isinstance(data, Error):
        return as_trouble(data)
    if name.endswith(".env") or "/.env" in f"/{name}":
        return Document(name, data.decode("utf-8", "replace"))
    try:
        return parse(name, data)[0]
    except NotUnderstood as trouble:
        return trouble
