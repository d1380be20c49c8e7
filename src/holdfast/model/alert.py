"""An alert: what was seen, why it counts, and what was done about it. Plain values, ready for any format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Priority(Enum):
    """Severity in Falco's words, most urgent first; the value is the syslog severity (RFC 5424)."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFORMATIONAL = 6
    DEBUG = 7

    @property
    def title(self) -> str:
        """As Falco prints it: ``Emergency``, ``Informational``."""
        return self.name.capitalize()


class Verdict(Enum):
    """What became of the attempt."""

    OBSERVED = "observed"
    ALERTED = "alerted"
    DENIED = "denied"
    KILLED = "killed"
    PAUSED = "paused"
    QUARANTINED = "quarantined"


class Origin(Enum):
    """What the alert rests on."""

    TECHNIQUE = "technique"
    RULE = "rule"
    SENSOR = "sensor"


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One process of the ancestry, the actor first.

    Attributes:
        pid: In the initial pid namespace.
        name: ``comm``.
        path: Executable.
        command: Name and arguments, joined with blanks.
        user: Id in the initial user namespace.
        start_ns: CLOCK_BOOTTIME.
    """

    pid: int
    name: str
    path: str = ""
    command: str = ""
    user: int = 0
    start_ns: int = 0


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Attributes:
        id: Names the event and the rule: boot id, processor, sequence number, rule.
        at_ns: When it happened, nanoseconds since 1970.
        boot_ns: The same, CLOCK_BOOTTIME.
        seen_ns: When the alert was made, CLOCK_BOOTTIME; the difference is the latency.
        node: Host name.
        origin: What it rests on.
        rule: Technique id, name of a Falco rule, or name of a state of the sensor.
        title: One line about the rule.
        output: The message, filled in.
        priority: Severity.
        tags: The rule's tags.
        attack: MITRE ATT&CK technique ids.
        verdict: What was done.
        succeeded: Whether the kernel let the call through; None where it cannot be said.
        error: Name of the errno of a call that failed (``EPERM``), else empty.
        backend: What saw it and, for a denial, what stopped it: ``tracepoint``, ``lsm``, ``fmod_ret``, ``cgroup``.
        event: Name of the system call or hook.
        fields: Every answer that the rule or its output used, by name; JSON values.
        process: The actor and its ancestors.
        container: ``id``, ``name``, ``image``, ``runtime``, ``state``, pod fields; empty for the host.
        incident: Joins the steps of one attempt; empty until they are joined.
        reasons: The parts of the condition that decided, each with what was seen.
        description: What the rule says about itself.
    """

    id: str
    at_ns: int
    boot_ns: int
    seen_ns: int
    node: str
    origin: Origin
    rule: str
    title: str
    output: str
    priority: Priority
    tags: tuple[str, ...] = ()
    attack: tuple[str, ...] = ()
    verdict: Verdict = Verdict.ALERTED
    succeeded: bool | None = None
    error: str = ""
    backend: str = "tracepoint"
    event: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    process: tuple[Ancestor, ...] = ()
    container: Mapping[str, Any] = field(default_factory=dict)
    incident: str = ""
    reasons: tuple[str, ...] = ()
    description: str = ""
