"""Which layers stop an attempt: found by taking them away in fresh replicas, never from an error. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.drill.trial import Trial
from holdfast.model.drill import Layer

Try = Callable[[frozenset[Layer], list[str]], "Mapping[str, Trial] | None"]
"""Tries techniques in a replica that keeps some of its layers only; None where that replica did not start."""

_PATHS = frozenset({"in", "file", "socket", "engine", "guarded", "secret", "open_secret"})
"""Words for what lies in the host's file system, all of which is mounted where nothing stops an attempt."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What stopped an attempt.

    Attributes:
        layers: Their names; none where it was not found out.
        together: Each of them stops it for itself. Otherwise, of several, all are needed to stop it.
        reason: What could not be found out, and why; empty where all was.
    """

    layers: tuple[Layer, ...] = ()
    together: bool = False
    reason: str = ""


def stopped_by(
    lost: Mapping[str, Trial],
    layers: Sequence[Layer],
    try_with: Try,
    lacking: Mapping[str, Iterable[str]] | None = None,
    tell: Callable[[str], None] = lambda _text: None,
) -> dict[str, Stopped]:
    """Find what stopped each attempt.

    Every layer is taken away first. What does not work then, the host itself stops. Then each layer is put back alone:
    those with which the attempt fails stop it each for itself. Where no layer does so alone, layers are taken from the
    whole set as long as what remains still stops the attempt: those that are left are needed together.

    Args:
        lost: Trials that did not escape, by technique.
        layers: Those in force that can be taken away here.
        try_with: Starts a replica and tries.
        lacking: By technique, what it may need and no replica can be given on this machine.
        tell: Told which question is asked.

    Returns:
        An answer for each technique.
    """
    found = {name: Stopped((Layer.HOST,)) for name, trial in lost.items() if trial.inert}
    found |= _bare([name for name in lost if name not in found], try_with, lacking or {})
    open_ = [name for name in lost if name not in found]
    alone: dict[str, list[Layer]] = {name: [] for name in open_}
    untold: dict[str, list[Layer]] = {name: [] for name in open_}
    for layer in layers if open_ else ():
        tell(f"does the {layer.value} stop it?")
        tried = try_with(frozenset({layer}), open_) or {}
        for name in open_:
            if name not in tried:
                untold[name].append(layer)
            elif not tried[name].escaped and not (layer is Layer.READ_ONLY and lost[name].absent):
                # What is not there at all is not stopped by being read-only.
                alone[name].append(layer)
    needed = _needed([name for name in open_ if not alone[name]], layers, try_with, tell)
    for name in open_:
        which = tuple(alone[name])
        found[name] = Stopped(which or needed[name], len(which) > 1, _untold(untold[name]))
    return found


def _bare(names: list[str], try_with: Try, lacking: Mapping[str, Iterable[str]]) -> dict[str, Stopped]:
    """Answer for what does not work in a replica without any layer either."""
    if not names:
        return {}
    tried = try_with(frozenset(), names)
    if tried is None:
        reason = "what stopped it was not found out: a replica without any layer did not start"
        return {name: Stopped(reason=reason) for name in names}
    found: dict[str, Stopped] = {}
    for name in names:
        if name not in tried:
            found[name] = Stopped(reason="what stopped it was not found out: the replica was lost")
        elif not tried[name].escaped:
            found[name] = _by_host(tried[name], tuple(lacking.get(name, ())))
    return found


def _by_host(bare: Trial, lacking: tuple[str, ...]) -> Stopped:
    if bare.absent and not bare.absent <= _PATHS:
        return Stopped((Layer.NOT_MOUNTED,))
    if lacking:
        return Stopped(reason=f"what stopped it was not found out: nothing here can be given {', '.join(lacking)}")
    return Stopped((Layer.HOST,))


def _needed(
    names: list[str], layers: Sequence[Layer], try_with: Try, tell: Callable[[str], None]
) -> dict[str, tuple[Layer, ...]]:
    """Take layers from the whole set while what remains still stops an attempt; one replica serves equal sets."""
    kept = {name: frozenset(layers) for name in names}
    for layer in layers:
        groups: dict[frozenset[Layer], list[str]] = {}
        for name in names:
            groups.setdefault(kept[name] - {layer}, []).append(name)
        for fewer, members in groups.items():
            tell(f"is the {layer.value} needed to stop it?")
            tried = try_with(fewer, members)
            for name in members:
                if tried is not None and name in tried and not tried[name].escaped:
                    kept[name] = fewer
    return {name: tuple(layer for layer in layers if layer in kept[name]) for name in names}


def _untold(layers: list[Layer]) -> str:
    if not layers:
        return ""
    names = ", ".join(layer.value for layer in layers)
    return f"not found out of: {names}; such a replica did not start"
