"""Kubernetes manifests: every workload kind, bare Pods, lists, and custom resources that hold a Pod template.

Scalars mean what they mean to kubectl, fields have the API server's types. What the API server would refuse is a
problem, and the facts that depend on it are absent; the rest of the manifest is judged all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from holdfast.model.change import Change
from holdfast.model.facts import Facts
from holdfast.model.tree import Document, Mapping, Scalar
from holdfast.model.tree import Sequence as SequenceNode
from holdfast.model.words import declared
from holdfast.model.workload import Described, Reading, Surroundings
from holdfast.model.written import Written
from holdfast.platforms import _kubernetes_claims as claims
from holdfast.platforms._kubernetes_others import Others
from holdfast.platforms._kubernetes_others import waits as _waits
from holdfast.platforms._kubernetes_pod import Owner, labels_of, read_pod
from holdfast.platforms._kubernetes_spot import Log, Spot
from holdfast.platforms._kubernetes_write import write_container

NAME = "kubernetes"

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "Deployment": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where each kind of Kubernetes itself keeps its Pod."""

_CORE = frozenset(("", "v1", "apps", "batch", "extensions"))
"""API groups that these kinds come from; ``kind: Job`` of another group is another thing."""

_NO_WORKLOADS = ("kyverno.io", "gatekeeper.sh", "apiextensions.k8s.io", "admissionregistration.k8s.io")
"""API groups whose objects hold patterns of Pods, not Pods."""

_ASKS = frozenset({"securityContext", "volumeMounts"})
"""What a container looks like that stands outside of a Pod template: steps of Tekton, templates of Argo, ..."""

_DEPTH = 8
_LOOKS = 5000
"""How far and how long a custom resource is searched for Pod templates."""


def recognises(document: Document) -> bool:
    """Tell whether at least one root is an object of a Kubernetes API."""
    for root in document.roots:
        node = root.node
        if isinstance(node, Mapping):
            kind = node.entries.get("kind")
            if isinstance(kind, Scalar) and (
                isinstance(node.entries.get("apiVersion"), Scalar)
                or ((kind.text in _TEMPLATES or kind.text.endswith("List")) and "metadata" in node.entries)
            ):
                return True
    return False


def read(document: Document, surroundings: Surroundings) -> Reading:  # noqa: ARG001 - manifests name no other files
    """Answer the declared facts of every container in a manifest.

    Args:
        document: One root for each YAML document of the file.
        surroundings: Not used: a manifest refers to objects of the cluster, never to files.

    Returns:
        One workload for each container. What is known about PersistentVolumes, claims, service accounts and runtime
        classes is joined as far as this document shows it, and handed on in ``shared`` for the workloads of other
        documents (see ``others``).
    """
    reader = _Reader(document)
    for cursor in document.roots:
        reader.root(Spot(cursor.node, "", cursor.where.line, reader.log), "")
    shared = reader.gathered.facts()
    workloads = tuple(reader.workloads)
    if len(shared):
        workloads = tuple(map(others((shared,)), workloads))
    return Reading(workloads, tuple(reader.log.problems), shared)


def write(text: str, document: Document, described: Described, changes: Sequence[Change]) -> Written:
    """Write changes to a container into the text of its manifest.

    Args:
        text: The file, decoded without changing its line ends; a byte order mark may stand at its start.
        document: The file as it was read.
        described: The container as ``read`` returned it from that text.
        changes: Over ``declared.*`` facts. Those that belong to the Pod change all of its containers.

    Returns:
        The text, the same but for the lines that had to change, and the changes that are not in it.
    """
    return write_container(text, document.name, described, changes)


def waits(described: Described) -> bool:
    """Tell whether other documents may still bear on a workload: a claim, a service account, a runtime class."""
    return _waits(described)


def others(shared: Iterable[Facts]) -> Callable[[Described], Described]:
    """Return what joins a workload with all that the documents of its cluster say about it.

    Args:
        shared: ``Reading.shared`` of every document. They are not joined with each other first: each may hold
            PersistentVolumes of its own.

    Returns:
        A function from a workload as ``read`` returned it to one with the host paths behind its claims, its token and
        its runtime, as far as the documents show them. Joining twice changes nothing.
    """
    return Others(shared).joined


class _Reader:
    """Walks through one document and collects what it finds."""

    def __init__(self, document: Document) -> None:
        self.log = Log(document.name)
        self.gathered = claims.Gathered()
        self.workloads: list[Described] = []
        self.lists = 0

    def root(self, spot: Spot, assumed_kind: str, depth: int = 0) -> None:
        """Read one object; ``assumed_kind`` is what a list says of its elements."""
        if not spot.is_mapping:
            spot.complain(f"must be a mapping, not {spot.kind}", "an object of the API has apiVersion, kind, metadata")
            return
        kind_spot, version = spot.get("kind"), spot.get("apiVersion")
        kind = assumed_kind if kind_spot is None else kind_spot.name()
        if not kind:
            if version is not None or spot.get("spec") is not None:
                spot.complain("names no kind", "kubectl refuses that; set kind")
            return
        if version is None and not assumed_kind:
            spot.complain("names no apiVersion", "kubectl refuses that; set apiVersion")
        group = "" if version is None else version.name().rpartition("/")[0]
        if kind.endswith("List") and spot.get("items") is not None:
            self._items(spot, kind, depth)
        elif group.endswith(_NO_WORKLOADS):
            return
        elif kind in _TEMPLATES and group in _CORE:
            self._workload(spot, kind, _TEMPLATES[kind])
        elif not self.gathered.take(kind, spot):
            self._custom(spot, kind)

    def _items(self, spot: Spot, kind: str, depth: int) -> None:
        if depth >= _DEPTH:
            spot.complain("lists within lists within lists", "take the objects out of them")
            return
        for item in spot.entries("items") or ():
            self.root(item, kind.removesuffix("List"), depth + 1)

    def _workload(self, spot: Spot, kind: str, way: tuple[str, ...]) -> None:
        here: Spot | None = spot
        for step in way:
            parent = here
            here = None if parent is None else parent.mapping(step)
            if here is None:
                if parent is not None and parent.get(step) is None:
                    parent.complain(f"a {kind} without {step}", "the API server refuses that")
                return
        if here is None:
            return
        spec = here.mapping("spec")
        if spec is not None:
            self._pod(spot, kind, here, spec)
        elif here.get("spec") is None:
            here.complain(f"a {kind} whose Pod has no spec", "list its containers below spec")

    def _pod(self, spot: Spot, kind: str, pod: Spot, spec: Spot) -> None:
        metadata = spot.mapping("metadata")
        name = namespace = ""
        if metadata is not None:
            named, generated, space = metadata.get("name"), metadata.get("generateName"), metadata.get("namespace")
            name = named.name() if named is not None else f"{generated.name()}*" if generated is not None else ""
            namespace = "" if space is None else space.name()
        if not name and kind in _TEMPLATES:
            spot.complain("has no name", "set metadata.name")
        owner = Owner(kind, name, namespace, self._claim_templates(spot, name, namespace), tuple(labels_of(metadata)))
        for listed in spec.entries("volumes") or ():
            template = listed.below("ephemeral", "volumeClaimTemplate", "spec")
            volume = listed.get("name")
            if template is not None and volume is not None:
                full = f"*-{volume.name()}"
                full = f"{namespace}/{full}" if namespace else full
                self.gathered.add(declared.VOLUME_CLAIMS, claims.claim_of(full, template), template.where)
        self.workloads.extend(read_pod(owner, pod, spec, spot.get("status") if pod is spot else None))

    def _claim_templates(self, spot: Spot, name: str, namespace: str) -> dict[str, str]:
        found: dict[str, str] = {}
        templates = spot.below("spec", "volumeClaimTemplates")
        for template in (None if templates is None else templates.elements()) or ():
            named = template.below("metadata", "name")
            if named is not None:
                found[named.name()] = f"{named.name()}-{name}-*"
                full = f"{namespace}/{found[named.name()]}" if namespace else found[named.name()]
                claim = claims.claim_of(full, template.get("spec"))
                self.gathered.add(declared.VOLUME_CLAIMS, claim, template.where)
        return found

    def _custom(self, spot: Spot, kind: str) -> None:
        """Read the Pod templates of a custom resource: Argo Rollout, Knative Service, OpenKruise, JobSet, ..."""
        looks = _LOOKS
        waiting = [(spot, 0)]
        told = False
        while waiting and looks > 0:
            looks -= 1
            here, depth = waiting.pop()
            node = here.node
            if isinstance(node, Mapping):
                spec = here.get("spec") if "spec" in node.entries or node.late else None
                if spec is not None and isinstance(spec.node, Mapping) and _holds_containers(spec.node):
                    self._pod(spot, kind, here, spec)
                elif not told and depth and "image" in node.entries and _ASKS & node.entries.keys():
                    told = True
                    what = f"a {kind[:40]} describes a container in a way that is not known here; it was not judged"
                    here.complain(what, "scan the Pod that its controller makes of it (kubectl get pods -o yaml)")
                elif depth < _DEPTH and len(node.entries) <= looks:
                    below = [here.get(key) for key in node.entries if key not in {"metadata", "status"}]
                    waiting.extend((child, depth + 1) for child in reversed(_nested(below)))
            elif isinstance(node, SequenceNode) and depth < _DEPTH and len(node.elements) <= looks:
                waiting.extend((child, depth + 1) for child in reversed(_nested(here.elements() or ())))


def _nested(spots: Iterable[Spot | None]) -> list[Spot]:
    return [spot for spot in spots if spot is not None and not isinstance(spot.node, Scalar)]


def _holds_containers(node: Mapping) -> bool:
    listed = node.entries.get("containers")
    return isinstance(listed, SequenceNode) and any(
        isinstance(one, Mapping) and ("image" in one.entries or "name" in one.entries) for one in listed.elements
    )
