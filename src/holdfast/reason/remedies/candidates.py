"""All changes that could be made about one workload."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.model.change import Change, applied
from holdfast.model.comparisons import Op
from holdfast.model.facts import Facts
from holdfast.model.logic import atoms
from holdfast.model.place import Where
from holdfast.model.remedy import Made, Remedy
from holdfast.model.technique import Technique
from holdfast.model.words import container, declared
from holdfast.reason.catalogue import Catalogue
from holdfast.reason.effective.declared import from_declared
from holdfast.reason.remedies.capabilities import capability_remedies
from holdfast.reason.remedies.mounts import device_remedies, mount_remedies
from holdfast.reason.remedies.rights import filter_remedies, flag_remedies, namespace_remedies, user_remedies
from holdfast.reason.remedies.settling import settled
from holdfast.reason.remedies.surroundings import surrounding_remedies
from holdfast.reason.remedies.wishes import Wishes

_HELD = frozenset({container.CAPABILITIES, container.BOUNDING_CAPABILITIES})
_CHANGED = Where("after the change")


def asked_capabilities(catalogue: Catalogue) -> frozenset[str]:
    """Return the capabilities that any technique asks for, with ``CAP_``."""
    return frozenset(
        str(atom.value)
        for entry in catalogue.entries
        for atom in atoms(entry.technique.exposed_when)
        if atom.fact in _HELD and atom.op is Op.HAS
    )


def candidates(
    facts: Facts,
    around: Facts,
    asked: frozenset[str],
    wishes: Wishes | None = None,
    open_to: Iterable[Technique] = (),
) -> tuple[Remedy, ...]:
    """Propose every change that could matter, by rising cost.

    Args:
        facts: ``declared.*`` of the workload.
        around: Facts of host, engine, network and cluster.
        asked: See ``asked_capabilities``.
        wishes: What is to stay as it is.
        open_to: Techniques of the workload's paths; what ends them outside the workload is proposed too.
    """
    wishes = wishes or Wishes()
    ordinary = applied(facts, (Change(declared.PRIVILEGED, False, ""),), _CHANGED)
    effective = from_declared(settled(facts, ordinary), around)
    found = [
        *flag_remedies(facts, wishes),
        *namespace_remedies(facts),
        *filter_remedies(facts),
        *user_remedies(facts, wishes),
        *capability_remedies(facts, effective, asked, wishes),
        *mount_remedies(facts),
        *device_remedies(facts),
        *surrounding_remedies(open_to, around),
    ]
    allowed = {remedy.name: remedy for remedy in found if not wishes.forbid(remedy.touches)}
    return tuple(sorted(allowed.values(), key=lambda one: (one.made is not Made.FILE, one.cost, one.name)))
