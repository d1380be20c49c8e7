"""What runs on this machine: the engine's word and the kernel's word for each container, side by side.

Of a container whose engine was not asked, the configuration that lies in its runtime's state speaks for the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from holdfast.app.progress import Progress
from holdfast.app.targets import Targets
from holdfast.app.troubles import as_trouble
from holdfast.collect import docker_socket, oci_bundles, procfs
from holdfast.collect.parse import parse
from holdfast.model.errors import Error, NotReachable, NotUnderstood
from holdfast.model.facts import Facts
from holdfast.model.report import Contradiction
from holdfast.model.words import declared as asked
from holdfast.model.words import observed as shown
from holdfast.model.workload import Described, Surroundings, Workload
from holdfast.platforms import docker_inspect, oci_runtime
from holdfast.platforms.procfs import read_sightings
from holdfast.reason.effective.declared import from_declared
from holdfast.reason.effective.joined import joined
from holdfast.reason.effective.observed import from_observed


@dataclass
class Found:
    """What one look at the machine brought.

    Attributes:
        declared: What the engine says, by container.
        configured: What the runtime was told, by the name that procfs has for the container.
        observed: What procfs shows, by process.
        engine_records: What the engine says about itself, to be read together with the host.
        troubles: What could not be read.
        notes: One-line remarks.
    """

    declared: list[Described] = field(default_factory=list)
    configured: dict[str, Described] = field(default_factory=dict)
    observed: list[Described] = field(default_factory=list)
    engine_records: dict[str, str | Error] = field(default_factory=dict)
    troubles: list[NotUnderstood] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look(targets: Targets, docker: str, progress: Progress) -> Found:
    """Ask the engine and procfs.

    Args:
        targets: Which containers and processes are wanted.
        docker: Address of the engine; empty for the usual places.
        progress: Told about each container.

    Raises:
        Error: An engine that was named as a target cannot be reached.
    """
    found = Found()
    if targets.engine:
        _ask_engine(targets, docker, progress, found)
    sightings = procfs.sightings(pids=targets.pids)
    reading = read_sightings(sightings)
    found.observed = list(reading.workloads)
    found.troubles.extend(reading.problems)
    found.notes.extend(sightings.notes)
    found.troubles.extend(
        NotUnderstood(
            "no process in a container has this id", f"proc://{pid}", "list those that have: holdfast scan proc://"
        )
        for pid in sorted(targets.pids - sightings.met)
    )
    if sightings.vanished:
        ended = "1 process" if sightings.vanished == 1 else f"{sightings.vanished} processes"
        found.notes.append(f"{ended} ended while this machine was read")
    half_seen = [one for one in found.observed if _refused(one)]
    if half_seen:
        found.notes.append(
            f"{len(half_seen)} of {len(found.observed)} containers were seen only in part: root (CAP_SYS_PTRACE, "
            "CAP_SYS_ADMIN) also sees their namespaces, devices, open directories and seccomp filters"
        )
    if targets.processes:
        _read_bundles(found)
    return found


def _refused(process: Described) -> bool:
    """Tell whether the kernel kept the namespaces of a process from us; those of a sandbox say nothing anyway."""
    why = process.facts.absent(shown.OWN_USER_NAMESPACE)
    return why is not None and why.where is not None and why.where.document.endswith("/ns/user")


def _read_bundles(found: Found) -> None:
    """Lay the runtime's configuration beside every live container that no engine has described."""
    known = {described.workload.key for described in found.declared} - {""}
    by_id: dict[str, Described] = {}
    by_pid: dict[str, Described] = {}
    for process in found.observed:
        labels = process.workload.labels
        if process.workload.key not in known and not labels.get("further"):
            by_pid[labels.get("pid", "")] = process
            if process.workload.key:
                by_id[process.workload.key] = process
    if not by_pid:
        return
    for bundle in oci_bundles.bundles(without=known):
        if isinstance(bundle, Error):
            found.troubles.append(as_trouble(bundle))
            continue
        live = by_id.get(bundle.container_id) or by_pid.get(str(bundle.pid))
        if live is None or (_of_a_user(bundle.path) and live.facts.value(shown.OWN_USER_NAMESPACE) is not True):
            continue
        try:
            document, _ = parse(bundle.path, bundle.data)
            reading = oci_runtime.read_bundle(document, bundle.container_id, bundle.runtime, bundle.name)
        except NotUnderstood as trouble:
            found.troubles.append(trouble)
            continue
        found.troubles.extend(reading.problems)
        for described in reading.workloads:
            engine = described.facts.value(asked.ENGINE)
            kind = f"{engine or bundle.runtime or 'OCI'} container"
            workload = replace(described.workload, kind=kind)
            found.configured.setdefault(container_of(live), Described(workload, described.facts))


def _of_a_user(path: str) -> bool:
    """Tell whether an ordinary user can have written the file: then it speaks for that user's containers only."""
    return path.startswith(("/home/", "/run/user/"))


def container_of(process: Described) -> str:
    """Return the name that procfs has for the container of a process."""
    return process.workload.labels.get("container", "") or process.workload.name


def _ask_engine(targets: Targets, docker: str, progress: Progress, found: Found) -> None:
    address = docker or docker_socket.DEFAULT
    wanted = {name.lstrip("/") for name in targets.containers}
    met: set[str] = set()
    try:
        found.engine_records = docker_socket.engine_documents(address)
        for name, data in docker_socket.documents(address, every=bool(wanted)):
            document, troubles = parse(name, data)
            found.troubles.extend(troubles)
            try:
                reading = docker_inspect.read(document, Surroundings())
            except NotUnderstood as trouble:
                found.troubles.append(trouble)
                continue
            found.troubles.extend(reading.problems)
            for described in reading.workloads:
                hit = _named(described.workload, wanted)
                met.update(hit)
                if hit or not wanted:
                    found.declared.append(described)
                    progress.tell(len(found.declared), "containers asked", described.workload.name)
    except Error as error:
        if not targets.optional:
            raise
        if isinstance(error, NotReachable):
            found.notes.append(f"no Docker engine was asked: {error.what}")
        else:
            found.troubles.append(as_trouble(error))
    for name in sorted(wanted - met):
        found.troubles.append(
            NotUnderstood("there is no such container", f"docker://{name}", "list them: docker ps --all")
        )


def _named(workload: Workload, wanted: set[str]) -> set[str]:
    """Return the names, or beginnings of the id, by which a container was asked for."""
    return {name for name in wanted if name == workload.name or (len(name) >= 4 and workload.key.startswith(name))}


def effective(
    found: Found, targets: Targets, host: Facts
) -> Iterator[tuple[Workload, Facts, tuple[Contradiction, ...]]]:
    """Join the two descriptions of each container and answer what the kernel will do.

    Yields:
        The workload, its effective facts, and where the two descriptions contradict each other. Processes that no
        engine claims stand for themselves.
    """
    live: dict[str, list[Described]] = {}
    for process in found.observed:
        live.setdefault(process.workload.key or container_of(process), []).append(process)
    claimed: set[str] = set()
    for described in found.declared:
        key = described.workload.key
        claimed.add(key)
        yield from _side_by_side(described, live.get(key, []) if key else [], host)
    if targets.processes:
        for key, processes in live.items():
            if key in claimed:
                continue
            configured = found.configured.get(container_of(processes[0]))
            if configured is not None:
                yield from _side_by_side(configured, processes, host)
                continue
            for process in processes:
                yield (process.workload, *joined(None, from_observed(process.facts, host)))


def _side_by_side(
    described: Described, processes: list[Described], host: Facts
) -> Iterator[tuple[Workload, Facts, tuple[Contradiction, ...]]]:
    declared = from_declared(described.facts, host)
    if not processes:
        yield (described.workload, *joined(declared, None))
    for process in processes:
        workload = described.workload
        if process.workload.labels.get("further"):
            name = f"{workload.name}, process {process.workload.labels.get('pid', '')}"
            workload = replace(workload, name=name, source=process.workload.source)
        yield (workload, *joined(declared, from_observed(process.facts, host)))
