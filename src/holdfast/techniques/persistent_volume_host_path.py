"""Reach a host directory through a PersistentVolume of type hostPath or local.

What happens: a Pod claims storage and gets a PersistentVolume that is nothing but a directory of the node. A policy
that forbids ``hostPath`` in Pods does not see it, because the Pod names only a claim. Whoever may make
PersistentVolumes can so hand any directory of the node to a Pod.

Why the cluster allows it: PersistentVolumes are objects of the administrator and pass Pod Security untouched. Small
clusters use such volumes on purpose, with directories of their own; those are harmless but for a full disk.

What closes it: storage that is not a directory of the node; no right to make PersistentVolumes for ordinary accounts,
and an admission policy on them. How far the volume leads depends on its directory; where that is known it counts as a
mount like any other and the techniques for host directories judge it. This finding alone is no path.

How it looks: as a write or read below the volume's directory, like any other.
"""

from holdfast.model.change import Change
from holdfast.model.logic import NEVER, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.words import container

_OPEN: Situation = {container.VOLUME_CLAIMS: True, container.VOLUME_CLAIM_ON_HOST: True}

TECHNIQUE = Technique(
    title="Reach a host directory through a PersistentVolume",
    row=42,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=is_(container.VOLUME_CLAIMS, True) & is_(container.VOLUME_CLAIM_ON_HOST, True),
    gives=(),
    closed_by=(
        Change(container.VOLUME_CLAIM_ON_HOST, False, "bind the claim to storage that is no directory of the node"),
        Change(container.VOLUME_CLAIMS, False, "use an emptyDir or another volume that is no claim"),
    ),
    seen_as=NEVER,
    seen_sample={},
    drill_class=DrillClass.D3,
    examples=(
        Example("the claim is bound to a hostPath volume", _OPEN, YES),
        Example("the claim is bound to a cloud disk", {**_OPEN, container.VOLUME_CLAIM_ON_HOST: False}, NO),
        Example("no claim", {container.VOLUME_CLAIMS: False}, NO),
        Example("nobody saw what the claim is bound to", unseen(_OPEN, container.VOLUME_CLAIM_ON_HOST), UNKNOWN),
    ),
    sources=(
        "https://kubernetes.io/docs/concepts/storage/persistent-volumes/",
        "https://kubernetes.io/docs/concepts/storage/volumes/#hostpath",
    ),
)
