"""Prediction against reality: the four cells of each technique in each place, and every disagreement."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from holdfast import techniques
from holdfast.model.drill import Attempt, DrillReport, Outcome, Tally
from holdfast.model.technique import DrillClass, Technique

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One attempt that came out other than predicted.

    Attributes:
        place: Where.
        configuration: The container.
        attempt: The attempt.
        explained: Why, in one sentence; empty where nobody has explained it.
    """

    place: str
    configuration: str
    attempt: Attempt
    explained: str


@dataclass
class Agreement:
    """What all drills together say.

    Attributes:
        cells: (technique, place) -> tally.
        disagreements: Each one.
        configurations: Containers drilled, by place.
        seconds: Cost of each attempt, by place.
        kernels: Kernel release, by place.
        troubles: Containers that did not start or were lost, one line each.
    """

    cells: dict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    disagreements: list[Disagreement] = field(default_factory=list)
    configurations: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    kernels: dict[str, str] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def add(self, place: str, report: DrillReport, explained: Mapping[str, str]) -> None:
        """Count one drill.

        Args:
            place: ``this machine`` or a flavour; attempts in gVisor are counted as a place of their own.
            report: What the drill found.
            explained: Technique id -> why its predictions may come out otherwise.
        """
        self.kernels[place] = report.kernel
        for exercise in report.exercises:
            where = f"gVisor, {place}" if exercise.replica.runtime == "runsc" else place
            self.configurations[where] += 1
            if exercise.trouble:
                self.troubles.append(f"{where}, {exercise.name}: {exercise.trouble}")
            for attempt in exercise.attempts:
                if attempt.outcome is Outcome.NOT_ATTEMPTED or attempt.predicted is None:
                    continue
                tally = self.cells[attempt.technique, where]
                tally.add(attempt)
                self.seconds[where].append(attempt.seconds)
                if tally.disagreements and tally.disagreements[-1] is attempt:
                    why = explained.get(attempt.technique, "")
                    self.disagreements.append(Disagreement(where, exercise.name, attempt, why))

    @property
    def places(self) -> list[str]:
        """Every place, in the order in which it came."""
        return list(self.configurations)

    def total(self, places: Iterable[str] | None = None) -> Tally:
        """Return the sum over places; over all by default."""
        wanted = set(self.places if places is None else places)
        whole = Tally()
        for (_, place), tally in self.cells.items():
            if place in wanted:
                whole.right_yes += tally.right_yes
                whole.right_no += tally.right_no
                whole.false_yes += tally.false_yes
                whole.missed += tally.missed
                whole.unknown += tally.unknown
        return whole

    def confirmed(self) -> set[str]:
        """Return the techniques that were seen to work where predicted and to fail where predicted, never otherwise."""
        sums: dict[str, Tally] = defaultdict(Tally)
        for (name, place), tally in self.cells.items():
            if not place.startswith("gVisor"):
                whole = sums[name]
                whole.right_yes += tally.right_yes
                whole.right_no += tally.right_no
                whole.missed += tally.missed
        return {name for name, tally in sums.items() if tally.right_yes and tally.right_no and not tally.missed}


def as_json(agreement: Agreement, seed: int) -> str:
    """Write the agreement as JSON."""
    whole = agreement.total()
    flavours = [place for place in agreement.places if not place.startswith("gVisor")]
    data = {
        "format": FORMAT,
        "seed": seed,
        "totals": {
            "configurations": sum(agreement.configurations.values()),
            "attempts": whole.attempts,
            "flavours": len(flavours) - ("this machine" in flavours),
            "missed": whole.missed,
            "false": whole.false_yes,
            "unknown": whole.unknown,
            "right": whole.right_yes + whole.right_no,
        },
        "places": {
            place: {
                "kernel": agreement.kernels.get(place.removeprefix("gVisor, "), ""),
                "configurations": agreement.configurations[place],
                "median_seconds": round(median(agreement.seconds[place]), 4) if agreement.seconds[place] else None,
                **_cells(agreement.total([place])),
            }
            for place in agreement.places
        },
        "techniques": {
            name: {
                place: _cells(agreement.cells[name, place])
                for place in agreement.places
                if (name, place) in agreement.cells
            }
            for name in techniques.load()
            if any((name, place) in agreement.cells for place in agreement.places)
        },
        "disagreements": [
            {
                "place": each.place,
                "configuration": each.configuration,
                "technique": each.attempt.technique,
                "predicted": each.attempt.predicted.word if each.attempt.predicted is not None else "",
                "outcome": each.attempt.outcome.value,
                "steps": [f"{step.act} {step.told}: {step.answer}" for step in each.attempt.steps],
                "explained": each.explained,
            }
            for each in agreement.disagreements
        ],
        "not_attempted": dict(not_attempted(agreement)),
        "troubles": agreement.troubles,
    }
    return json.dumps(data, indent=1, sort_keys=False) + "\n"


def _cells(tally: Tally) -> dict[str, int]:
    return {
        "attempts": tally.attempts,
        "yes_escaped": tally.right_yes,
        "yes_stopped": tally.false_yes,
        "no_escaped": tally.missed,
        "no_stopped": tally.right_no,
        "unknown": tally.unknown,
    }


def not_attempted(agreement: Agreement) -> list[tuple[str, str]]:
    """Return the techniques that were attempted nowhere, with the reason."""
    tried = {name for name, _ in agreement.cells}
    return [(technique.id, why(technique)) for technique in techniques.load().values() if technique.id not in tried]


def why(technique: Technique) -> str:
    """Say why a technique has no drill."""
    if technique.drill_class is DrillClass.D0:
        return "never run: it would harm the machine, or needs a hole to be used"
    return _PART_MISSING.get(technique.id, "its part of the host does not run here")


_PART_MISSING = {
    "docker-socket-read-proxy": "needs a filtering proxy before an engine",
    "docker-tcp-api": "would open an engine to the network",
    "desktop-api": "Docker Desktop does not run on Linux servers",
    "authz-plugin-bypass": "needs an engine with an authorization plug-in and a hole",
    "kubelet-api": "needs a kubelet",
    "pod-create": "needs a Kubernetes API",
    "metadata-credentials": "needs a cloud's metadata service",
    "lxcfs-release-agent": "needs an lxcfs with cgroup files, which version 5 has not",
    "persistent-volume-host-path": "needs a Kubernetes volume; as a mount it is host-root-write and its like",
}
