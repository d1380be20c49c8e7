"""What is judged: a container, running or only described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Facts
from holdfast.model.place import Where
from holdfast.model.tree import Document


@dataclass(frozen=True, slots=True)
class Workload:
    """The name of what is judged.

    Attributes:
        name: As its owner calls it: ``shop/web`` for container ``web`` of Pod ``shop``, a service, a container name.
        kind: ``Deployment``, ``Pod``, ``compose service``, ``docker container``, ``process``, ...
        source: Where it is described; document and line.
        image: Image reference, empty where none is named.
        key: What joins two descriptions of one container: its full container id, empty where there is none.
        labels: Labels or annotations that Holdfast itself understands.
    """

    name: str
    kind: str
    source: Where
    image: str = ""
    key: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Described:
    """A workload with the facts that one document answers about it."""

    workload: Workload
    facts: Facts


@dataclass(frozen=True, slots=True)
class Reading:
    """What a platform made of one document.

    Attributes:
        workloads: In the order of the document.
        problems: What could not be understood; the facts concerned are absent, never "no".
        shared: Facts that hold for every workload of the scan, such as PersistentVolumes seen in a manifest.
    """

    workloads: tuple[Described, ...] = ()
    problems: tuple[NotUnderstood, ...] = ()
    shared: Facts = field(default_factory=Facts)


class Needs(Exception):
    """A platform must see further files before it can read the document.

    Attributes:
        names: Paths, absolute or relative to the working directory, as keys for ``Surroundings.files``.
    """

    def __init__(self, *names: str) -> None:
        """Keep the names."""
        super().__init__(*names)
        self.names = names


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands around a document and bears on its meaning. Platforms do no I/O; this is handed to them.

    Attributes:
        files: Other files by path. ``None`` for one that does not exist, a NotUnderstood for one that cannot be read.
            A platform that misses a path here raises ``Needs``.
        overlays: Documents that are merged over this one, in order (Compose override files).
        environment: Environment variables that interpolation may use.
        profiles: Compose profiles that are active; None for "judge every service".
    """

    files: Mapping[str, Document | NotUnderstood | None] = field(default_factory=dict)
    overlays: tuple[Document, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    profiles: tuple[str, ...] | None = None
