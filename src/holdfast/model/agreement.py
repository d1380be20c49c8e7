"""Prediction against reality: the four cells of each technique in each place, and every disagreement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from holdfast.model.drill import Attempt, DrillReport, Outcome, Tally

GVISOR = "gVisor"
"""Attempts inside gVisor are a place of their own: ``gVisor, PLACE``."""


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
        for control in report.controls:
            held = Tally()
            for attempt in control.attempts:
                held.add(attempt)
            if held.missed or control.trouble:
                self.troubles.append(f"{place}, the control {control.name} did not hold: {control.trouble or 'missed'}")
        for exercise in report.exercises:
            where = f"{GVISOR}, {place}" if exercise.replica.runtime == "runsc" else place
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
                    missed = attempt.outcome is Outcome.ESCAPED
                    why = "" if missed else explained.get(attempt.technique, "")
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
            if not place.startswith(GVISOR):
                whole = sums[name]
                whole.right_yes += tally.right_yes
                whole.right_no += tally.right_no
                whole.missed += tally.missed
        return {name for name, tally in sums.items() if tally.right_yes and tally.right_no and not tally.missed}
