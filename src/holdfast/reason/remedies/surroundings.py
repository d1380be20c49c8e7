"""What can be changed around a workload: the engine, the host, the network, the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from holdfast.model.change import Change, edited
from holdfast.model.facts import Facts
from holdfast.model.remedy import Made, Remedy
from holdfast.model.technique import Technique
from holdfast.reason.remedies import costs
from holdfast.reason.remedies.wishes import one_spelling

_MADE = {"engine": Made.ENGINE, "host": Made.HOST, "network": Made.NETWORK, "cluster": Made.CLUSTER}
_COSTS = {
    Made.ENGINE: costs.ENGINE_REPLACED,
    Made.HOST: costs.HOST_SETTING,
    Made.NETWORK: costs.NETWORK_RULE,
    Made.CLUSTER: costs.CLUSTER_RULE,
}
_KERNEL = frozenset({"host.static_usermode_helper", "host.release_agent_guarded", "host.uevent_helper"})
"""Decided when a kernel is built."""


def surrounding_remedies(techniques: Iterable[Technique], around: Facts) -> Iterator[Remedy]:
    """Propose what the pages of open techniques name as an end to them outside the workload.

    Args:
        techniques: Those of the workload's paths.
        around: Facts of host, engine, network and cluster.
    """
    met: dict[str, Remedy] = {}
    for technique in techniques:
        for change in technique.closed_by:
            made = _MADE.get(change.fact.subject)
            name = f"{change.fact.name} {change.value}"
            if made is None or name in met or _in_force(change, around):
                continue
            cost = costs.NEW_KERNEL if change.fact.name in _KERNEL else _COSTS[made]
            touches = frozenset({one_spelling(change.fact.name), change.fact.subject})
            met[name] = Remedy(name, change.why, (change,), 0, cost, made, touches=touches)
    yield from met.values()


def _in_force(change: Change, around: Facts) -> bool:
    """Tell whether the change would change nothing, or set a version back."""
    present = around.value(change.fact)
    if isinstance(present, tuple) and isinstance(change.value, tuple):
        return present >= change.value
    return present is not None and edited(present, change.value) == present
