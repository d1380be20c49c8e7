"""What a drill found: attempts, each with what was predicted, what came of it, and what stopped it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from holdfast.model.facts import Fact
from holdfast.model.logic import atoms
from holdfast.model.replica import Replica
from holdfast.model.technique import DrillClass, ProvedBy, Technique
from holdfast.model.truth import Truth
from holdfast.model.words import assumed, network

PLAYED: tuple[Fact[bool], ...] = (
    assumed.HOST_USER,
    network.LOCAL_SERVICES,
    network.METADATA,
    network.DOCKER_READ_PROXY,
)
"""What no scan can see and a drill arranges itself: an ordinary account on the host, a service on its loopback, and for
some replicas a neighbour on the network."""


def played(technique: Technique) -> tuple[Fact[bool], ...]:
    """Return what of ``PLAYED`` a technique asks for: its success says nothing of a host that has none of it."""
    asked = {atom.fact for atom in atoms(technique.exposed_when)}
    return tuple(fact for fact in PLAYED if fact in asked)


def leads_out(technique: Technique) -> bool:
    """Tell whether a technique that works reaches something of the host, and needs nothing that the drill plays."""
    return not played(technique) and any(change.fact.subject == "reach" for change in technique.gives)


class Outcome(Enum):
    """What came of an attempt."""

    ESCAPED = "escaped"
    BLOCKED = "blocked"
    NOT_ATTEMPTED = "not attempted"


class Layer(Enum):
    """What stops an attempt. Found by taking it away in a fresh replica, not from the error alone."""

    CAPABILITY = "capability"
    SECCOMP = "seccomp"
    LSM = "LSM"
    KERNEL_FILES = "read-only or masked path"
    READ_ONLY = "read-only mount"
    USER_NAMESPACE = "user namespace"
    DEVICE_CGROUP = "device cgroup"
    SANDBOX = "sandbox runtime"
    USER = "user"
    NAMESPACE = "namespace"
    NOT_MOUNTED = "nothing of the host is there"
    HOST = "the host"
    SENSOR = "sensor"


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """One step and what the kernel answered.

    Attributes:
        act: Name of the act.
        told: The arguments that tell a reader what was tried, in one line.
        answer: ``ok`` or the name of the error, such as ``EPERM``.
    """

    act: str
    told: str
    answer: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One technique, tried on one replica.

    Attributes:
        technique: Its id.
        title: Its title.
        drill_class: How far the attempt can go.
        predicted: What the scan of the replica said; None where nothing was predicted.
        outcome: What came of it.
        way: Title of the way that decided: the one that worked, else the one that came furthest.
        proved_by: What the proof is; None unless it escaped.
        repeated: It escaped again in a fresh replica. Only then does the outcome say escaped.
        steps: The steps of that way and the kernel's answers.
        blocked_by: Layers that stop it: one that does so alone, several with ``together`` that each do, or several
            without ``together`` that only do so jointly. Where some do so alone, others may do so jointly besides.
        together: The layers stop it each for itself, so that all of them had to be taken away.
        reason: Why nothing was attempted, or a remark.
        detected: What a sensor saw of it; empty until one watches.
        seconds: How long the attempt took, its share of the replica included.
        real: A way that was tried asked for something of the host's. Where none did, there is nothing to detect.
    """

    technique: str
    title: str
    drill_class: DrillClass
    predicted: Truth | None
    outcome: Outcome
    way: str = ""
    proved_by: ProvedBy | None = None
    repeated: bool = False
    steps: tuple[StepAnswer, ...] = ()
    blocked_by: tuple[Layer, ...] = ()
    together: bool = False
    reason: str = ""
    detected: str = ""
    seconds: float = 0.0
    real: bool = True


@dataclass(frozen=True, slots=True)
class Exercise:
    """Every attempt on one target.

    Attributes:
        name: The target's name.
        kind: ``docker container``, ``compose service``, ``control``, ...
        source: Where it is described.
        replica: What was started.
        differs: In what the replica is not like the target, one line each.
        attempts: In the order of the catalogue.
        trouble: Why the replica could not be started or was lost; empty where all went well.
    """

    name: str
    kind: str
    source: str
    replica: Replica
    differs: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class DrillReport:
    """What one drill has to say.

    Attributes:
        exercises: The targets.
        controls: The default container and the restricted one, attacked in the same run: nothing may succeed there
            that was not predicted.
        changed: Global state of the kernel that was different after the drill, one line each. Must be empty.
        left: What could not be removed, one line each. Must be empty.
        notes: One-line remarks.
        place: ``this machine`` or the flavour of the virtual machine.
        kernel: Kernel release.
        tool_version: Version of Holdfast.
        at: When it began, seconds since 1970.
        seconds: How long it took.
        stopped: Why it ended early; empty where it came to its end.
    """

    exercises: tuple[Exercise, ...]
    controls: tuple[Exercise, ...] = ()
    changed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    place: str = "this machine"
    kernel: str = ""
    tool_version: str = ""
    at: float = 0.0
    seconds: float = 0.0
    stopped: str = ""


@dataclass
class Tally:
    """Predictions against outcomes.

    Attributes:
        right_yes: Predicted yes, and it escaped.
        right_no: Predicted no, and it was stopped.
        false_yes: Predicted yes, and it was stopped.
        missed: Predicted no, and it escaped. The one that must not be.
        unknown: Predicted unknown.
    """

    right_yes: int = 0
    right_no: int = 0
    false_yes: int = 0
    missed: int = 0
    unknown: int = 0
    disagreements: list[Attempt] = field(default_factory=list)

    def add(self, attempt: Attempt) -> None:
        """Count one attempt; one that was not made or not predicted does not count."""
        if attempt.predicted is None or attempt.outcome is Outcome.NOT_ATTEMPTED:
            return
        escaped = attempt.outcome is Outcome.ESCAPED
        if attempt.predicted is Truth.UNKNOWN:
            self.unknown += 1
        elif attempt.predicted is Truth.YES:
            self.right_yes += escaped
            self.false_yes += not escaped
        else:
            self.missed += escaped
            self.right_no += not escaped
        if attempt.predicted is not Truth.UNKNOWN and escaped is not (attempt.predicted is Truth.YES):
            self.disagreements.append(attempt)

    @property
    def attempts(self) -> int:
        """How many were counted."""
        return self.right_yes + self.right_no + self.false_yes + self.missed + self.unknown
