"""What a scan says of a replica that runs: one truth for each technique, with stand-ins taken for what they replace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from holdfast.app import machine
from holdfast.app.hosts import engine_records, this_host
from holdfast.app.progress import Progress
from holdfast.app.targets import Targets
from holdfast.collect.parse import parse
from holdfast.drill.boxes import Box
from holdfast.drill.neighbours import isolated, reached
from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.replica import Neighbour, Replica
from holdfast.model.truth import Truth
from holdfast.model.words import assumed, declared, engine, network, observed
from holdfast.model.workload import Described
from holdfast.platforms import oci_runtime
from holdfast.reason.catalogue import Catalogue

_DRILL = Where("the drill plays this part itself")
_ARRANGED: Mapping[Fact[Any], object] = {
    assumed.HOST_USER: True,
    network.LOCAL_SERVICES: True,
    assumed.UNTRUSTED_LAUNCHER: False,
}


class Predictor:
    """Judges replicas against this machine, which is read once."""

    def __init__(self, catalogue: Catalogue, docker: str = "", *, disposable: bool = False) -> None:
        """Read the host.

        Args:
            catalogue: The techniques.
            docker: Address of the engine; empty for the usual place.
            disposable: The drill has an engine listen on a TCP port of the loopback.
        """
        self._disposable = disposable
        self.host = this_host(engine_records(docker))
        self._catalogue = catalogue
        self._docker = docker
        self._played = Facts({fact: Seen(value, _DRILL) for fact, value in _ARRANGED.items()})

    def predict(self, box: Box) -> Mapping[str, Truth]:
        """Say for each technique whether it is open to a replica.

        Returns:
            Technique id -> truth. Empty where the replica's process was not found.
        """
        facts = self.facts(box)
        if facts is None:
            return {}
        whole = Facts({**self.host.table, **self._played.table, **facts.table, **self._played.table})
        if self._disposable:
            shares = "net" in box.replica.namespaces and box.replica.runtime != "runsc"
            whole = Facts({**whole.table, network.DOCKER_API: Seen(shares, _DRILL)})
        if isolated(box.replica, disposable=self._disposable):
            found = reached(box.replica)
            whole = Facts(
                {
                    **whole.table,
                    network.METADATA: Seen(found is Neighbour.METADATA, _DRILL),
                    network.DOCKER_READ_PROXY: Seen(found is Neighbour.READ_PROXY, _DRILL),
                }
            )
        if box.replica.guarded:
            whole = Facts({**whole.table, engine.AUTHZ_PLUGINS: Seen(True, _DRILL)})
        if box.replica.engine == "oci":
            # Nobody gave it a network, so nobody else is on it.
            whole = Facts({**whole.table, network.SHARED_BRIDGE: Seen(False, _DRILL)})
        return {entry.technique.id: test(whole.table) for test, entry in self._catalogue.tests}

    def facts(self, box: Box) -> Facts | None:
        """Return the effective facts of a replica; None where its process was not found."""
        bare = box.replica.engine != "docker"
        targets = Targets(
            engine=not bare,
            containers=frozenset({box.name}),
            processes=True,
            pids=frozenset({box.pid}),
            optional=True,
        )
        found = machine.look(targets, self._docker, Progress(quiet=True))
        found.declared = [_original(each, box.replica) for each in found.declared]
        found.observed = [_original(each, box.replica) for each in found.observed]
        found.configured = {name: _original(each, box.replica) for name, each in found.configured.items()}
        if box.bundle is not None:
            # Its state lies with the drill and not where a scan looks; procfs tells little of a sandbox without it.
            asked = _original(_configured(box.bundle, box.replica.runtime or "runc", box.name), box.replica)
            found.configured = {machine.container_of(each): asked for each in found.observed}
        for _, facts, _ in machine.effective(found, targets, self.host):
            return facts
        return None


def _configured(bundle: Path, runtime: str, name: str) -> Described:
    path = bundle / "config.json"
    document, _ = parse(str(path), path.read_bytes())
    (described,) = oci_runtime.read_bundle(document, name, runtime, name).workloads
    return described


def _original(described: Described, replica: Replica) -> Described:
    """Take what stands in for a host path for that path."""
    swaps = [(bind.stand_in, bind.source) for bind in replica.binds if bind.stand_in]
    swaps += [(node.stand_in, node.source) for node in replica.nodes if node.stand_in]
    swaps.sort(key=lambda pair: -len(pair[0]))
    table = dict(described.facts.table)
    _swap(table, declared.MOUNTS, lambda mount: replace(mount, source=_swapped(mount.source, swaps)))
    _swap(
        table,
        observed.MOUNTS,
        lambda mount: replace(mount, root=_swapped(mount.root, swaps), host_path=_swapped(mount.host_path, swaps)),
    )
    return Described(described.workload, Facts(table))


def _swap(table: dict[Fact[Any], Any], fact: Fact[Any], change: Any) -> None:
    seen = table.get(fact)
    if isinstance(seen, Seen):
        table[fact] = replace(seen, value=tuple(map(change, seen.value)))


def _swapped(path: str, swaps: Iterable[tuple[str, str]]) -> str:
    for stand_in, source in swaps:
        if path == stand_in or path.startswith(f"{stand_in}/"):
            return f"{source.rstrip('/')}{path[len(stand_in) :]}" or "/"
    return path
