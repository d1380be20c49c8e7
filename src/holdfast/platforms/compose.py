"""Compose files, with what Compose v2 makes of them: variables, ``extends``, ``include``, override files, profiles.

Where a variable that matters is not set and has no default, the answer is absent and names the variable: Compose would
put nothing in its place, but whoever runs it may have it set.

Source:
    https://docs.docker.com/reference/compose-file/, github.com/compose-spec/compose-go.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from holdfast.model.change import Change
from holdfast.model.errors import NotUnderstood
from holdfast.model.tree import Document
from holdfast.model.tree import Mapping as MappingNode
from holdfast.model.workload import Described, Reading, Surroundings, Workload
from holdfast.model.written import Written
from holdfast.platforms._compose_project import Project
from holdfast.platforms._compose_service import request_of, strings
from holdfast.platforms._compose_tree import Branch, Leaf
from holdfast.platforms._compose_write import write_service
from holdfast.platforms._docker_run_files import Files
from holdfast.platforms._docker_run_request import Request
from holdfast.platforms._own_labels import own

NAME = "compose"

_SIGNS = frozenset({"image", "build", "extends", "container_name", "network_mode", "cap_add", "privileged", "ports"})
_OTHERS = frozenset({"apiVersion", "kind", "stages", "jobs", "ociVersion"})
_LOOKS = 32
"""How many services are looked at before a document is taken for something else."""


def recognises(document: Document) -> bool:
    """Tell whether the document is a Compose file, of version 1 too."""
    if not document.roots:
        return False
    node = document.roots[0].node
    if not isinstance(node, MappingNode) or _OTHERS & node.entries.keys():
        return False
    named = _named(document.name)
    services = node.entries.get("services")
    if isinstance(services, MappingNode):
        return named or any(
            isinstance(service, MappingNode) and (_SIGNS & service.entries.keys())
            for service in list(services.entries.values())[:_LOOKS]
        )
    if services is not None:
        return False
    if "include" in node.entries:
        return named
    bodies = [body for key, body in node.entries.items() if not key.startswith("x-") and key != "version"]
    return (
        named
        and bool(bodies)
        and all(isinstance(body, MappingNode) and {"image", "build"} & body.entries.keys() for body in bodies)
    )


def read(document: Document, surroundings: Surroundings) -> Reading:
    """Answer what every service of the project asks for.

    Args:
        document: The first Compose file. Its directory is the project directory.
        surroundings: Override files, environment, ``.env`` and other files by their names. ``PWD`` and ``HOME`` of the
            environment make relative paths and ``~`` absolute.

    Returns:
        One workload for each service, in the order of the files. Services of profiles that are not active are left
        out only where ``surroundings.profiles`` says which are; otherwise the label ``profiles`` names theirs.

    Raises:
        NotUnderstood: The file is nested too deeply or too large.
        Needs: An ``.env`` file, an included or extended file, or a seccomp profile must be seen.
    """
    problems: list[NotUnderstood] = []
    files = Files(surroundings)
    project = Project(surroundings, files, problems)
    root = project.read(document)
    services = root.get("services")
    requests: dict[str, Request] = {}
    bodies: dict[str, Branch] = {}
    for name, service in services.items() if isinstance(services, Branch) else ():
        if not isinstance(service, Branch):
            place = services.place(name) if isinstance(services, Branch) else root.where
            what = f"the service {name[:40]!r} is no mapping"
            problems.append(NotUnderstood(what, str(place), "give it an image or a build", place.line))
            continue
        if service.get("provider") is not None:
            continue
        request = request_of(service, root, root.source, files)
        requests[name] = request
        bodies[name] = service
    files.settle()
    others = _others(requests, bodies)
    workloads: list[Described] = []
    for name, request in requests.items():
        problems += request.problems
        profiles = strings(bodies[name].get("profiles"))
        if not _active(profiles, surroundings.profiles):
            continue
        image = bodies[name].get("image")
        labels = own(request.labels) | ({"profiles": ",".join(profiles)} if profiles else {})
        workload = Workload(
            name, "compose service", request.where, image.text if isinstance(image, Leaf) else "", "", labels
        )
        workloads.append(Described(workload, request.facts(others)))
    return Reading(tuple(workloads), tuple(problems))


def write(text: str, document: Document, described: Described, changes: Sequence[Change]) -> Written:
    """Write changes to a service into the text of its file.

    Args:
        text: The file, decoded without changing its line ends; a byte order mark may stand at its start.
        document: The file as it was read.
        described: The service as ``read`` returned it from that text.
        changes: Over ``declared.*`` facts.

    Returns:
        The text, the same but for the lines that had to change, and the changes that are not in it: those that another
        file must take, that no Compose file can express, or that would change another service too.
    """
    return write_service(text, document.name, described, changes)


def _active(profiles: list[str], active: tuple[str, ...] | None) -> bool:
    return not profiles or active is None or "*" in active or not set(profiles).isdisjoint(active)


def _others(requests: dict[str, Request], bodies: dict[str, Branch]) -> dict[str, Request]:
    """Name every request by its service, and by the name of its container where that is given."""
    others = dict(requests)
    for name, request in requests.items():
        container = bodies[name].get("container_name")
        if isinstance(container, Leaf) and not container.unknown:
            others.setdefault(container.text, request)
            others.setdefault(f"container:{container.text}", request)
    return others


def _named(name: str) -> bool:
    base = posixpath.basename(name).lower()
    return ("compose" in base or base in {"fig.yml", "fig.yaml"}) and base.endswith((".yml", ".yaml", ".json"))
