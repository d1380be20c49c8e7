"""What a document alone says about the engine and the host around it."""

from __future__ import annotations

from typing import Any

from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.words import declared, engine, host, network
from holdfast.reason.effective.ground import KUBERNETES, Ground
from holdfast.reason.effective.reading import Table


def answer_surroundings(out: Table, facts: Facts, host_facts: Facts, at: Ground) -> None:
    """Answer words of engine and host that nobody looked at: by the dialect, or by how an engine comes.

    A question that somebody tried to answer, without success, stays unknown.
    """
    if at.engine in KUBERNETES:
        _unless_asked(out, host_facts, host.KUBELET, Seen(True, at.where, "a kubelet runs every Pod"))
        logs = Seen(True, at.where, "a kubelet serves logs unless it was told not to (enableSystemLogHandler)")
        _unless_asked(out, host_facts, host.KUBELET_LOGS, logs)
    if at.engine in {"docker", "podman"}:
        _unless_asked(out, host_facts, engine.NAME, Seen(at.engine, at.where, "the document is written for it"))
        networks = facts.value(declared.NETWORKS)
        if networks == ("none",):
            _unless_asked(out, host_facts, network.SHARED_BRIDGE, Seen(False, at.where, "it has no network"))
        elif isinstance(networks, tuple) and "bridge" in networks and at.engine == "docker":
            note = "the host itself is on the engine's bridge"
            _unless_asked(out, host_facts, network.SHARED_BRIDGE, Seen(True, at.where, note))
    if at.engine and engine.NAME not in host_facts:
        note = "engine default: no authorization plug-in"
        _unless_asked(out, host_facts, engine.AUTHZ_PLUGINS, Seen(False, at.where, note))


def _unless_asked(out: Table, host_facts: Facts, fact: Fact[Any], answer: Seen[Any]) -> None:
    if fact not in host_facts.table:
        out[fact] = answer
