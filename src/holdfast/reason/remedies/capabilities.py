"""Capabilities that a workload can do without."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.change import Change, with_, without
from holdfast.model.facts import Facts
from holdfast.model.remedy import Remedy
from holdfast.model.truth import NO
from holdfast.model.words import container, declared
from holdfast.reason.effective.capabilities import DEFAULTS, spelled
from holdfast.reason.remedies import costs
from holdfast.reason.remedies.wishes import Wishes

_ENGINES_OWN = frozenset[str]().union(*DEFAULTS.values())


def capability_remedies(facts: Facts, effective: Facts, asked: frozenset[str], wishes: Wishes) -> Iterator[Remedy]:
    """Propose what can be taken away.

    Args:
        facts: ``declared.*`` of the workload.
        effective: What the kernel would make of them if the workload were not privileged.
        asked: Capabilities that any technique asks for, with ``CAP_``.
        wishes: What is to stay.
    """
    if facts.seen(declared.CAPABILITIES_EXACT) is not None:
        yield from _exact(facts, asked)
        return
    added = facts.value(declared.CAPABILITIES_ADDED)
    dropped = facts.value(declared.CAPABILITIES_DROPPED)
    if added is None or dropped is None:
        return
    kept = tuple(name for name in wishes.capabilities if name not in map(_short, added))
    by_name: dict[str, list[str]] = {}
    for word in added:
        by_name.setdefault(spelled(word), []).append(word)
    drops_all = "ALL" in map(spelled, dropped)
    for name, words in by_name.items():
        changes = [Change(declared.CAPABILITIES_ADDED, without(*words), f"{name} is not added")]
        if name in _ENGINES_OWN and not drops_all:
            # the addition only repeats what the engine gives by itself
            changes.append(Change(declared.CAPABILITIES_DROPPED, with_(_short(name)), f"{name} is dropped"))
        yield _remedy(name, (*changes, *(_keeping(kept) if name == "ALL" else ())))
    held = effective.value(container.BOUNDING_CAPABILITIES)
    for name in sorted(asked - by_name.keys()):
        if held is not None and held.has(name) is not NO and not (drops_all and "ALL" not in by_name):
            change = Change(declared.CAPABILITIES_DROPPED, with_(_short(name)), f"{name} is dropped")
            yield _remedy(name, (change,))
    if not drops_all:
        yield _every(kept)


def _every(kept: tuple[str, ...]) -> Remedy:
    drop = Change(declared.CAPABILITIES_DROPPED, with_("ALL"), "nothing is left of the engine's own set")
    return Remedy(
        "cap_drop ALL",
        f"drop all capabilities{' but ' + ', '.join(kept) if kept else ''} that are not added by name",
        (drop, *_keeping(kept)),
        costs.EVERY_CAPABILITY,
        costs.EDIT,
        touches=frozenset({"capabilities", "all"}),
    )


def _keeping(kept: tuple[str, ...]) -> tuple[Change, ...]:
    return (Change(declared.CAPABILITIES_ADDED, with_(*kept), f"{', '.join(kept)} to be kept"),) if kept else ()


def _exact(facts: Facts, asked: frozenset[str]) -> Iterator[Remedy]:
    """Take names out of the sets of an OCI configuration."""
    sets = (declared.CAPABILITIES_EXACT, declared.CAPABILITIES_BOUNDING, declared.CAPABILITIES_AMBIENT)
    for name in sorted(asked):
        changes: list[Change] = []
        for fact in sets:
            words = [word for word in facts.value(fact) or () if spelled(word) == name]
            if words:
                changes.append(Change(fact, without(*words), f"{name} is not given"))
        if changes:
            yield _remedy(name, tuple(changes))


def _remedy(name: str, changes: tuple[Change, ...]) -> Remedy:
    title = "drop the capabilities that are added as ALL" if name == "ALL" else f"drop {name}"
    if name.startswith("("):
        title = f"leave out the capability that nobody could read: {name}"
    cost = costs.CAPABILITIES.get(_short(name), costs.OTHER_CAPABILITY)
    return Remedy(name, title, changes, cost, costs.EDIT, touches=frozenset({name}))


def _short(name: str) -> str:
    return spelled(name).removeprefix("CAP_")
