"""``docker inspect`` and ``podman inspect``: the engine's own account of a container, one object or an array of them.

Images, networks and volumes are inspected with the same command; they are known as such and hold no workload.

Source:
    https://docs.docker.com/reference/api/engine/ (GET /containers/{id}/json)
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.errors import NotUnderstood
from holdfast.model.tree import Cursor, Document
from holdfast.model.tree import Mapping as MappingNode
from holdfast.model.tree import Sequence as SequenceNode
from holdfast.model.workload import Described, Reading, Surroundings, Workload
from holdfast.platforms._docker_inspect_container import request_of
from holdfast.platforms._docker_run_request import Request

NAME = "docker_inspect"

_NOT_CONTAINERS = (
    frozenset({"Id", "RootFS"}), frozenset({"Id", "RepoTags"}), frozenset({"Name", "IPAM"}),
    frozenset({"Mountpoint", "Driver"}), frozenset({"name", "network_interface"}),
)  # fmt: skip
"""Keys by which an inspected image, network or volume is known."""


def recognises(document: Document) -> bool:
    """Tell whether the document is the output of ``docker inspect`` of anything."""
    if len(document.roots) != 1:
        return False
    node = document.roots[0].node
    if isinstance(node, SequenceNode):
        if not node.elements:
            return False
        node = node.elements[0]
    if not isinstance(node, MappingNode):
        return False
    keys = node.entries.keys()
    return _is_container(node) or any(marks <= keys for marks in _NOT_CONTAINERS)


def read(document: Document, surroundings: Surroundings) -> Reading:  # noqa: ARG001 - nothing around it bears on it
    """Answer what the engine says of every container.

    Args:
        document: One object, or an array of them.
        surroundings: Not needed; the engine's answer is complete.

    Returns:
        One workload for each container; its ``key`` is the full id. Nothing for images, networks and volumes.
    """
    problems: list[NotUnderstood] = []
    found: list[tuple[Workload, Request]] = []
    others: dict[str, Request] = {}
    for place in _objects(document):
        if not place.is_mapping:
            problems.append(NotUnderstood("not an object", str(place.where), "give docker inspect output"))
            continue
        if not isinstance(place.node, MappingNode) or not _is_container(place.node):
            continue
        request = request_of(place)
        workload = _workload(place)
        problems += request.problems
        found.append((workload, request))
        for name in (workload.name, workload.key):
            if name:
                others[name] = request
    described = tuple(Described(workload, request.facts(others)) for workload, request in found)
    return Reading(described, tuple(problems))


def _is_container(node: MappingNode) -> bool:
    return "HostConfig" in node.entries and ("State" in node.entries or "Config" in node.entries)


def _objects(document: Document) -> Iterator[Cursor]:
    for root in document.roots:
        if root.is_sequence:
            yield from root.elements()
        else:
            yield root


def _workload(place: Cursor) -> Workload:
    identity = _text(place, "Id")
    name = _text(place, "Name").lstrip("/")
    image = _text(place, "Config", "Image") or _text(place, "ImageName")
    labels = place.get("Config", "Labels")
    ours = {key: child.text or "" for key, child in labels.items() if "holdfast" in key} if labels is not None else {}
    return Workload(name or identity[:12] or "container", "docker container", place.where, image, identity, ours)


def _text(place: Cursor, *keys: str) -> str:
    found = place.get(*keys)
    return found.value if found is not None and isinstance(found.value, str) else ""
