"""Joins what belongs to one attempt into an incident: same container, or same lineage, within a window. No I/O.

An alert of a technique begins an incident. What its container did shortly before, and what it does until it has been
quiet for a while, stands in the timeline with the time since the first step. Known chains say what the steps amount to.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2s
from typing import Any

from holdfast.model.alert import Alert, Ancestor, Origin, Priority, Verdict
from holdfast.model.event import Event
from holdfast.model.words import event as word
from holdfast.sensor.chains import CHAINS, Chain, Deed

WINDOW_NS = 30_000_000_000
"""An incident ends when nothing more came for so long."""
LONGEST_NS = 600_000_000_000
"""Longer ones are cut, and go on as another incident."""
BEFORE = 16
"""Steps of a container that are remembered in case they turn out to be the beginning of an incident."""
STEPS = 64
"""Longest timeline; of what is longer the beginning and the end are kept."""
MOST = 1024
"""Most containers that are followed at once."""
RULE = "incident"
_ESCAPE = "T1611"
_NAMES = frozenset((
    "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "pivot_root", "chroot", "unshare",
    "setns", "clone", "clone3", "mknod", "mknodat", "ptrace", "process_vm_writev", "process_vm_readv", "bpf",
    "init_module", "finit_module", "kexec_load", "open_by_handle_at", "connect", "keyctl", "symlink", "symlinkat",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a timeline.

    Attributes:
        at_ns: CLOCK_BOOTTIME.
        what: Call and object.
        result: ``ok``, or the name of the errno.
        pid: Who.
        name: Its ``comm``.
        rules: Techniques and rules that it matched; empty for one that only belongs to the story.
        verdict: What was done; None where nothing was asked.
        deed: What chains are told of it.
    """

    at_ns: int
    what: str
    result: str
    pid: int
    name: str
    rules: tuple[str, ...]
    verdict: Verdict | None
    deed: Deed


@dataclass(slots=True)
class Incident:
    """One attempt.

    Attributes:
        id: 16 hex digits, made from the first alert.
        container: As in the first alert.
        process: The first actor and its ancestors.
        first_ns, last_ns: Of its first and last step, CLOCK_BOOTTIME.
        wall_ns: Of its first step, nanoseconds since 1970.
        steps: The timeline.
        omitted: Steps that had no room in it.
        alerts: How many.
        priority: The most urgent.
        attack: ATT&CK ids of its alerts.
        through: An alerted call got through, and nothing stopped it.
        verdict: The hardest thing that was done.
    """

    id: str
    container: dict[str, Any]
    process: tuple[Ancestor, ...]
    first_ns: int
    last_ns: int
    wall_ns: int
    node: str = ""
    steps: list[Step] = field(default_factory=list)
    omitted: int = 0
    alerts: int = 0
    priority: Priority = Priority.DEBUG
    attack: tuple[str, ...] = ()
    through: bool = False
    verdict: Verdict = Verdict.OBSERVED
    awaits: int = 0

    @property
    def chain(self) -> tuple[Chain, int] | None:
        """The chain that its steps went furthest along, and how many of its links were done; None where none was."""
        done = [step.deed for step in self.steps]
        found = [(chain, chain.reached(done)) for chain in CHAINS]
        best = max(found, key=lambda one: (one[1] == len(one[0].links), one[1]), default=None)
        return best if best is not None and best[1] > 1 else None

    @property
    def outcome(self) -> str:
        """``succeeded``: a whole chain got through. ``went through``: some alerted call did. Else ``failed``."""
        chain = self.chain
        if chain is not None and chain[1] == len(chain[0].links):
            return "succeeded"
        return "went through" if self.through else "failed"

    def timeline(self) -> list[str]:
        """Return a line for each step: milliseconds since the first, who, what, result, what it matched."""
        lines = []
        for step in self.steps:
            rules = f" [{', '.join(step.rules)}]" if step.rules else ""
            done = f" {step.verdict.value}" if step.verdict is not None and step.verdict not in _PLAIN else ""
            at = (step.at_ns - self.first_ns) / 1e6
            lines.append(f"{at:+.1f} ms {step.name}({step.pid}) {step.what}: {step.result}{done}{rules}")
        if self.omitted:
            lines.insert(STEPS // 2, f"({self.omitted} more)")
        return lines


class Incidents:
    """The incidents that are going on. One thread owns it; events come roughly in the order of their times."""

    def __init__(self, window_ns: int = WINDOW_NS) -> None:
        """Begin without any.

        Args:
            window_ns: As ``WINDOW_NS``.
        """
        self._window = window_ns
        self._open: OrderedDict[object, Incident] = OrderedDict()
        self._before: OrderedDict[object, deque[Step]] = OrderedDict()
        self._ended: list[Incident] = []
        self._now = 0

    def join(self, event: Event, alerts: Sequence[Alert]) -> list[Alert]:
        """Note an event and put its alerts into an incident.

        Args:
            event: What happened.
            alerts: What it is worth; may be none.

        Returns:
            The alerts, with the incident's id where they belong to one.
        """
        self._now = max(self._now, event.at_ns)
        self._close()
        if not alerts and event.name not in _NAMES and not event.get(word.USERMODE_HELPER):
            return []
        key = _key(event)
        incident = self._open.get(key)
        step = _step(event, alerts)
        if incident is None and (not event.contained or event.process.container is None):
            incident = self._awaiting(step)
        if incident is not None and event.at_ns - incident.first_ns > LONGEST_NS:
            self._end(incident)
            incident = None
        if incident is None:
            if not any(_begins(alert) for alert in alerts):
                if event.contained:
                    self._remember(key, step)
                return list(alerts)
            incident = self._begun(key, event, alerts[0])
        self._add(incident, step, alerts)
        return [replace(alert, incident=incident.id) for alert in alerts]

    def ended(self, at_ns: int = 0) -> list[Incident]:
        """Take the incidents that ended since the last call.

        Args:
            at_ns: Now, CLOCK_BOOTTIME; 0 goes by the events alone.
        """
        self._now = max(self._now, at_ns)
        self._close()
        found, self._ended = self._ended, []
        return found

    def close(self) -> list[Incident]:
        """End all, and take them."""
        for incident in list(self._open.values()):
            self._end(incident)
        found, self._ended = self._ended, []
        return found

    @property
    def open(self) -> int:
        """How many are going on."""
        return len(self._open)

    def _begun(self, key: object, event: Event, alert: Alert) -> Incident:
        name = blake2s(alert.id.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
        incident = Incident(
            name, dict(alert.container), alert.process, event.at_ns, event.at_ns, alert.at_ns, alert.node
        )
        for step in self._before.pop(key, ()):
            if event.at_ns - step.at_ns <= self._window:
                incident.steps.append(step)
                incident.first_ns = min(incident.first_ns, step.at_ns)
        incident.wall_ns -= event.at_ns - incident.first_ns
        self._open[key] = incident
        if len(self._open) > MOST:
            self._end(next(iter(self._open.values())))
        return incident

    def _add(self, incident: Incident, step: Step, alerts: Iterable[Alert]) -> None:
        incident.steps.append(step)
        if len(incident.steps) > STEPS:
            del incident.steps[STEPS // 2]
            incident.omitted += 1
        incident.last_ns = max(incident.last_ns, step.at_ns)
        if any(chain.awaits_host(step.deed) for chain in CHAINS):
            incident.awaits = step.at_ns
        for alert in alerts:
            incident.alerts += 1
            incident.priority = min(incident.priority, alert.priority, key=lambda one: one.value)
            incident.attack = tuple(dict.fromkeys((*incident.attack, *alert.attack)))
            incident.through |= alert.succeeded is not False and alert.verdict is not Verdict.DENIED
            incident.verdict = max(incident.verdict, alert.verdict, key=_HARDER.index)

    def _awaiting(self, step: Step) -> Incident | None:
        """Return the incident that prepared what a process of the host does now, as a usermode helper."""
        if not step.deed.helper:
            return None
        waits = [one for one in self._open.values() if one.awaits and step.at_ns - one.awaits <= self._window]
        return max(waits, key=lambda one: one.awaits, default=None)

    def _remember(self, key: object, step: Step) -> None:
        steps = self._before.get(key)
        if steps is None:
            steps = self._before[key] = deque(maxlen=BEFORE)
            if len(self._before) > MOST:
                self._before.popitem(last=False)
        steps.append(step)

    def _close(self) -> None:
        late = [one for one in self._open.values() if self._now - one.last_ns > self._window] if self._open else ()
        for incident in late:
            self._end(incident)

    def _end(self, incident: Incident) -> None:
        for key, one in self._open.items():
            if one is incident:
                del self._open[key]
                break
        self._ended.append(incident)


_PLAIN = frozenset((Verdict.ALERTED, Verdict.OBSERVED))
_HARDER = (
    Verdict.OBSERVED, Verdict.ALERTED, Verdict.DENIED, Verdict.QUARANTINED, Verdict.PAUSED, Verdict.KILLED,
)  # fmt: skip


def summary(incident: Incident, seen_ns: int) -> Alert:
    """Return the record of an incident that has ended.

    Args:
        incident: It.
        seen_ns: Now, CLOCK_BOOTTIME.
    """
    chain = incident.chain
    told = ""
    if chain is not None:
        told = f": {chain[0].title}, {chain[1]} of {len(chain[0].links)} steps"
    where = incident.container.get("name") or str(incident.container.get("id", ""))[:12] or "the host"
    milliseconds = (incident.last_ns - incident.first_ns) / 1e6
    return Alert(
        id=f"incident-{incident.id}", at_ns=incident.wall_ns, boot_ns=incident.first_ns, seen_ns=seen_ns,
        node=incident.node, origin=Origin.SENSOR, rule=RULE, title="The steps of one attempt",
        output=f"Attempt in {where} {incident.outcome}{told}; {incident.alerts} alerts in {milliseconds:.0f} ms",
        priority=incident.priority, attack=incident.attack, verdict=incident.verdict,
        succeeded=incident.outcome != "failed", event="", incident=incident.id, process=incident.process,
        container=incident.container,
        fields={
            "incident.outcome": incident.outcome,
            "incident.chain": chain[0].name if chain else "",
            "incident.steps": len(incident.steps) + incident.omitted,
            "incident.alerts": incident.alerts,
            "incident.milliseconds": round(milliseconds, 3),
            "incident.timeline": incident.timeline(),
        },
    )  # fmt: skip


def _begins(alert: Alert) -> bool:
    return alert.origin is Origin.TECHNIQUE or (alert.origin is Origin.RULE and _ESCAPE in alert.attack)


def _key(event: Event) -> object:
    container = event.process.container
    if container is not None:
        return container.id
    # The oldest ancestor that is still known and acts as it does stands for a container that nobody knows.
    step = event.process
    mounts = step.namespaces.get("mnt")
    while step.parent is not None and step.parent.namespaces.get("mnt") == mounts and step.parent.pid > 1:
        step = step.parent
        if not event.contained:
            break
    return step.pid, step.start_ns


def _step(event: Event, alerts: Sequence[Alert]) -> Step:
    path = event.get(word.PATH) or ""
    what = f"{event.name} {path}".strip()
    failed = event.result is not None and event.result < 0
    result = "ok"
    if failed:
        from errno import errorcode  # noqa: PLC0415 - only for a call that failed

        result = errorcode.get(-(event.result or 0), str(event.result))
    flags = event.get(word.FLAGS) or frozenset()
    deed = Deed(
        event.name, path, bool(event.get(word.WRITE)), frozenset(flags), event.get(word.FILE_KIND) or "",
        event.get(word.FILE_SYSTEM) or "", bool(event.get(word.USERMODE_HELPER)), event.contained, not failed,
    )  # fmt: skip
    verdict = max((alert.verdict for alert in alerts), key=_HARDER.index, default=None)
    return Step(
        event.at_ns, what, result, event.process.pid, event.process.name,
        tuple(dict.fromkeys(alert.rule for alert in alerts)), verdict, deed,
    )  # fmt: skip


def grouped(alerts: Iterable[Alert]) -> Iterator[list[Alert]]:
    """Iterate over runs of alerts that stem from one event."""
    run: list[Alert] = []
    for alert in alerts:
        if run and (run[0].boot_ns, run[0].event, run[0].process[:1]) != (
            alert.boot_ns,
            alert.event,
            alert.process[:1],
        ):
            yield run
            run = []
        run.append(alert)
    if run:
        yield run
