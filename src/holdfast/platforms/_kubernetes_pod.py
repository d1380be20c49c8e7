"""One Pod, or the template of one: every container with every fact that the manifest answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members
from holdfast.model.words import declared
from holdfast.model.workload import Described, Workload
from holdfast.platforms._kubernetes_devices import devices
from holdfast.platforms._kubernetes_security import Levels, Table, answer_security
from holdfast.platforms._kubernetes_spot import Spot
from holdfast.platforms._kubernetes_volumes import Volumes, mounts
from holdfast.platforms._own_labels import own
from holdfast.platforms._process_peers import peers

_LISTS = (
    ("containers", "", "containerStatuses"),
    ("initContainers", "init container", "initContainerStatuses"),
    ("ephemeralContainers", "ephemeral container", "ephemeralContainerStatuses"),
)
DEFAULT_TOKEN = "a token is mounted unless the Pod or its service account says otherwise"  # noqa: S105 - a sentence
_NAMESPACES = (("hostPID", "pid"), ("hostNetwork", "net"), ("hostIPC", "ipc"))
_CONTAINER_ID = re.compile(r"[a-z0-9.-]+://([0-9a-f]{64})")

Answer = Seen[Any] | Absent
Default = tuple[object, str]
"""A value that holds because nothing was asked, with the note that says so."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The object that describes the Pod.

    Attributes:
        kind: ``Deployment``, ``Pod``, ...
        name: Its name, empty where it has none.
        namespace: Empty where none is named.
        claims: Claim templates: name of the volume, name of the claim.
        labels: Its labels and annotations; None for a value that is no text.
    """

    kind: str
    name: str
    namespace: str
    claims: dict[str, str]
    labels: tuple[tuple[str, str | None], ...] = ()


def labels_of(metadata: Spot | None) -> Iterator[tuple[str, str | None]]:
    """Yield the labels and the annotations of an object."""
    for kind in ("labels", "annotations"):
        spot = None if metadata is None else metadata.get(kind)
        for key in spot.keys() if spot is not None else ():
            child = spot.get(key) if spot is not None else None
            yield key, None if child is None or not isinstance(child.value, str) else child.value


def read_pod(owner: Owner, pod: Spot, spec: Spot, status: Spot | None) -> list[Described]:
    """Read every container of a Pod.

    Args:
        owner: Who describes it.
        pod: The Pod or the template: the mapping that holds metadata and spec.
        spec: Its spec.
        status: Of a live Pod, as the API server prints it.

    Returns:
        One entry for each container, in the order of the manifest: containers, init containers, ephemeral ones.
    """
    metadata = pod.mapping("metadata")
    annotations = None if metadata is None else metadata.mapping("annotations")
    labels = own((*owner.labels, *labels_of(metadata)))
    context = spec.get("securityContext")
    shared = _of_pod(spec, context, owner)
    volumes = Volumes(spec, owner.namespace, owner.claims)
    prefix = "/".join(part for part in (owner.namespace, owner.name or owner.kind.lower()) if part)
    found: list[tuple[Workload, Spot, str, Table]] = []
    named: set[str] = set()
    for key, role, statuses in _LISTS:
        spots = spec.entries(key)
        if not spots:
            if key == "containers" and spots is not None:
                spec.complain("a Pod without containers", "list them below containers")
            continue
        keys = {} if status is None else _keys(status, statuses)
        for index, container in enumerate(spots):
            if not container.is_mapping:
                container.complain(f"must be a mapping, not {container.kind}", "give the container's name and image")
                continue
            name = _name(container, index, named)
            image = container.get("image")
            workload = Workload(
                f"{prefix}/{name}",
                f"{owner.kind} ({_role(container, role)})" if role else owner.kind,
                container.where,
                "" if image is None else image.name(),
                keys.get(name, ""),
                labels,
            )
            levels = Levels(container, context, annotations, name)
            told = _role(container, role)
            found.append((workload, container, told, _of_container(shared, levels, volumes, key)))
    _tell_peers(spec, found)
    return [Described(workload, Facts(table)) for workload, _, _, table in found]


def _tell_peers(spec: Spot, found: list[tuple[Workload, Spot, str, Table]]) -> None:
    """Tell which containers of the Pod see each other's processes."""
    switch = spec.get("shareProcessNamespace")
    whole = switch is not None and switch.boolean() is True
    targets = [container.get("targetContainerName") for _, container, _, _ in found]
    if len(found) < 2 or not (whole or any(targets)):
        return
    names = [workload.name.rpartition("/")[2] for workload, _, _, _ in found]
    aims = ["" if target is None else target.name() for target in targets]
    for index, (_, container, role, table) in enumerate(found):
        others: list[tuple[str, Table]] = []
        for at, (_, _, other, answers) in enumerate(found):
            # an init container ends before the others start, a sidecar does not
            together = "init container" not in {role, other} or "sidecar container" in {role, other}
            joined = aims[index] == names[at] or aims[at] == names[index] or (aims[index] and aims[index] == aims[at])
            if at != index and together and (whole or joined):
                others.append((names[at], answers))
        if others:
            place = switch if whole and switch is not None else targets[index] or container
            table[declared.PROCESS_PEERS] = peers(table, others, place.where)


def _name(container: Spot, index: int, named: set[str]) -> str:
    spot = container.get("name")
    name = "" if spot is None else spot.name()
    if not name:
        container.complain("a container without a name", "the API server refuses that; give it one")
        name = str(index)
    elif name in named and spot is not None:
        spot.complain(f"two containers bear the name {name[:40]!r}", "the API server refuses that; rename one")
    named.add(name)
    return name


def _role(container: Spot, role: str) -> str:
    restart = container.get("restartPolicy")
    return "sidecar container" if role == "init container" and restart and restart.value == "Always" else role


def _keys(status: Spot, statuses: str) -> dict[str, str]:
    """Return the container ids of a live Pod by container name."""
    found: dict[str, str] = {}
    for entry in status.entries(statuses) or ():
        name, full_id = entry.get("name"), entry.get("containerID")
        match = None if full_id is None else _CONTAINER_ID.fullmatch(full_id.written)
        if name is not None and match:
            found[name.written] = match[1]
    return found


def _of_container(shared: dict[Fact[Any], Answer | Default], levels: Levels, volumes: Volumes, key: str) -> Table:
    place = levels.place
    table: Table = {
        fact: Seen(answer[0], place, answer[1]) if isinstance(answer, tuple) else answer
        for fact, answer in shared.items()
    }
    answer_security(table, levels)
    container = levels.container
    mounted, token, replaced = mounts(container, volumes, place)
    table[declared.MOUNTS] = mounted
    table[declared.DEVICES] = devices(container, volumes, place)
    if token:
        table[declared.SERVICE_ACCOUNT_TOKEN] = Seen(True, mounted.where or place, "a volume with a token is mounted")
    elif replaced:
        table[declared.SERVICE_ACCOUNT_TOKEN] = Seen(
            False, mounted.where or place, "another volume takes the token's place"
        )
    elif key == "ephemeralContainers":
        table[declared.SERVICE_ACCOUNT_TOKEN] = Seen(
            False, place, "an ephemeral container is given no token of its own"
        )
    terminal = container.get("tty")
    if terminal is None:
        table[declared.TERMINAL] = Seen(False, place, "tty is not set")
    else:
        table[declared.TERMINAL] = _read(terminal, Spot.boolean)
    return table


def _of_pod(spec: Spot, context: Spot | None, owner: Owner) -> dict[Fact[Any], Answer | Default]:
    """Answer what holds for every container of the Pod."""
    host_users = spec.get("hostUsers")
    runtime = spec.get("runtimeClassName")
    found: dict[Fact[Any], Answer | Default] = {
        declared.ENGINE: ("cri", "any CRI runtime may run a Pod"),
        declared.DEVICE_RULES: ((), "a Pod cannot ask for device rules"),
        declared.NAMESPACES: _namespaces(spec),
        declared.CONTAINER_OS: _system(spec),
        declared.RUNTIME: _read(runtime, Spot.text) if runtime else ("default", "no runtimeClassName is set"),
        declared.USER_NAMESPACE: ("host", "hostUsers is not set; the Pod has no user namespace of its own then"),
        declared.SYSCTLS: _sysctls(context),
        declared.GROUPS: _groups(context),
        declared.SERVICE_ACCOUNT: _account(spec, owner.namespace),
        declared.SERVICE_ACCOUNT_TOKEN: (True, DEFAULT_TOKEN),
    }
    if host_users is not None:
        value = host_users.boolean()
        found[declared.USER_NAMESPACE] = (
            _unread(host_users) if value is None else Seen("host" if value else "private", host_users.where)
        )
    token = spec.get("automountServiceAccountToken")
    if token is not None:
        found[declared.SERVICE_ACCOUNT_TOKEN] = _read(token, Spot.boolean)
    return found


def _unread(spot: Spot) -> Absent:
    return Absent("the value could not be read", spot.where)


def _read(spot: Spot, how: Callable[[Spot], Any]) -> Answer:
    value = how(spot)
    return _unread(spot) if value is None else Seen(value, spot.where)


def _namespaces(spec: Spot) -> Answer | Default:
    shared: list[str] = []
    unclear: list[str] = []
    parts: dict[object, Where] = {}
    for key, namespace in _NAMESPACES:
        spot = spec.get(key)
        if spot is None:
            continue
        value = spot.boolean()
        parts[namespace] = spot.where
        if value is None:
            unclear.append(namespace)
        elif value:
            shared.append(namespace)
            if namespace == "net":
                # containerd and CRI-O give such a sandbox the node's host name too, by sharing its UTS namespace.
                unclear.append("uts")
                parts["uts"] = spot.where
    if not parts:
        return Members(), "hostPID, hostNetwork and hostIPC are not set"
    return Seen(Members.of(*shared, maybe=unclear), next(iter(parts.values())), parts=parts)


def _system(spec: Spot) -> Answer | Default:
    name = spec.below("os", "name")
    if name is None:
        selector = spec.get("nodeSelector")
        name = None if selector is None else selector.get("kubernetes.io/os")
    if name is None:
        return "linux", "spec.os is not set"
    value = name.text()
    if value in {"linux", "windows"}:
        return Seen(value, name.where)
    if value is not None:
        name.complain(f"is {name.kind}", "write linux or windows")
    return _unread(name)


def _sysctls(context: Spot | None) -> Answer | Default:
    listed = None if context is None else context.get("sysctls")
    if listed is None:
        if context is not None and not context.is_mapping:
            return _unread(context)
        return (), "no sysctl is set"
    spots = listed.elements()
    if spots is None:
        return _unread(listed)
    pairs: list[tuple[str, str]] = []
    parts: dict[object, Where] = {}
    for spot in spots:
        name, value = spot.get("name"), spot.get("value")
        if name is None or value is None:
            spot.complain("a sysctl needs name and value", "give both")
            return _unread(spot)
        pair = name.name(), value.name()
        pairs.append(pair)
        parts[pair] = spot.where
    return Seen(tuple(pairs), listed.where, parts=parts)


def _groups(context: Spot | None) -> Answer | Default:
    """Read supplementalGroups and fsGroup; both become further groups of every process."""
    if context is None:
        return (), "no further group is asked for"
    if not context.is_mapping:
        return _unread(context)
    spots: list[Spot] = []
    listed = context.get("supplementalGroups")
    if listed is not None:
        elements = listed.elements()
        if elements is None:
            return _unread(listed)
        spots.extend(elements)
    owner = context.get("fsGroup")
    if owner is not None:
        spots.append(owner)
    groups: list[str] = []
    parts: dict[object, Where] = {}
    for spot in spots:
        number = spot.integer()
        if number is None:
            return _unread(spot)
        groups.append(str(number))
        parts[str(number)] = spot.where
    if not groups:
        return (), "no further group is asked for"
    return Seen(tuple(groups), context.where, parts=parts)


def _account(spec: Spot, namespace: str) -> Answer | Default:
    spot = spec.get("serviceAccountName") or spec.get("serviceAccount")
    name = "default" if spot is None else spot.text()
    if spot is not None and name is None:
        return _unread(spot)
    full = f"{namespace}/{name}" if namespace else str(name)
    return (full, "no service account is named") if spot is None else Seen(full, spot.where)
