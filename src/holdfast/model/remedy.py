"""What can be changed to end escape paths, what it costs, and which sets of changes are enough."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from holdfast.model.change import Change
from holdfast.model.report import Assessment


class Made(Enum):
    """Where a change has to be made."""

    FILE = "in the file that describes the workload"
    ENGINE = "in the engine's configuration"
    HOST = "on the host"
    NETWORK = "in the network"
    CLUSTER = "in the cluster's rules"


class Goal(Enum):
    """What a set of changes reaches."""

    CONTAINED = "no path, neither certain nor possible"
    NOTHING_CERTAIN = "no certain path; some hang on what nobody could see"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing a person can do about a workload.

    Attributes:
        name: Short and unique within the workload: ``privileged``, ``CAP_SYS_ADMIN``, ``/etc read-only``.
        title: What is done, as an order to the reader.
        changes: Of ``declared.*`` facts where it is made in a file, else of the facts of host, engine and so on.
        application: What it may cost the application, 0 (nothing) to 20 (it may well not work any more), while
            nobody saw what the application uses.
        operator: What it costs whoever runs it: 1 for an edit, up to 100 for another kernel.
        made: Where.
        touches: Words by which a person can wish that it be left as it is.
    """

    name: str
    title: str
    changes: tuple[Change, ...]
    application: int
    operator: int
    made: Made = Made.FILE
    touches: frozenset[str] = frozenset()

    @property
    def cost(self) -> int:
        """Both costs together."""
        return self.application + self.operator


@dataclass(frozen=True, slots=True)
class FixSet:
    """Changes that are enough together, and of which none can be left out.

    Attributes:
        remedies: Ordered by cost, then by name.
        cost: Sum of their costs.
    """

    remedies: tuple[Remedy, ...]
    cost: int


@dataclass(frozen=True, slots=True)
class Fixes:
    """The answer to "what has to change" for one workload.

    Attributes:
        goal: What every set reaches; None where no set of changes reaches even the lesser goal.
        sets: By rising cost. One empty set means that nothing has to be changed.
        complete: Every set there is stands in ``sets``.
        bound: Where it is not complete: every set that costs less than this stands in ``sets``.
        considered: Changes that could be made.
        remaining: Judgement after the first set; without a set, after every change that could be made, or of the
            workload as it is where there is none. None where nobody asked.
        evaluations: How many sets were judged to find this out.
    """

    goal: Goal | None
    sets: tuple[FixSet, ...]
    complete: bool
    bound: int
    considered: tuple[Remedy, ...]
    remaining: Assessment | None = None
    evaluations: int = 0
