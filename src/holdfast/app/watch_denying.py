"""What the kernel denies while ``holdfast watch`` runs: the policy's wishes by container, and the alerts they make."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from holdfast.model.alert import Alert
from holdfast.model.errors import Error
from holdfast.model.event import Container, Event, Process
from holdfast.model.technique import Technique
from holdfast.sensor import deny_cgroup, deny_pins
from holdfast.sensor.backends import Choice, choose
from holdfast.sensor.containers import Known
from holdfast.sensor.deny import EVERY_CONTAINER, Denier, Grade
from holdfast.sensor.deny_alert import Denied
from holdfast.sensor.deny_cgroup import GroupDenier, Refusal
from holdfast.sensor.deny_decode import Denial
from holdfast.sensor.deny_rules import Kind
from holdfast.sensor.judge import Node
from holdfast.sensor.loader import BpfRefused
from holdfast.sensor.policy import Action, Policy
from holdfast.sensor.processes import TICK_NS, same_life
from holdfast.sensor.watching import Sensor

GROUP = "cgroup"
_HOOKS = {
    deny_cgroup.SYSCTL: "cgroup/sysctl", deny_cgroup.PORT: "cgroup/connect", deny_cgroup.ADDRESS: "cgroup/connect",
    deny_cgroup.DEVICE: "cgroup/dev",
}  # fmt: skip
_REFUSED = -1
_REFRESH_S = 5.0
_MOST = 1024
_LATER = "the opening is let through, the write is denied by a control group"


class Denying:
    """What denies, where anything does and the policy wants it.

    Attributes:
        active: Something is there that denies.
    """

    def __init__(
        self, catalogue: Mapping[str, Technique], policy: Policy, node: Node, sensor: Sensor,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Put in force what this kernel allows, where the policy wants anything denied.

        Args:
            catalogue: The techniques.
            policy: What is denied to whom.
            node: Who watches.
            sensor: Knows the host's namespaces, and who runs.
            say: Is given a line for what cannot be denied.
        """
        self._catalogue = catalogue
        self._say = say
        self._sensor = sensor
        self._people: dict[int, Process] = {}
        self._containers: dict[int, Container] = {}
        self._spaces: dict[str, int] = {}
        self._refreshed = time.monotonic()
        self._denier: Denier | None = None
        self._group: GroupDenier | None = None
        grade = Grade.NONE
        if wanted(policy):
            choice: Choice = choose(catalogue)
            self._denier, grade = choice.denier, choice.grade
            if self._denier is None:
                self._supplement(sensor.namespaces, choice, say)
        self._denied = Denied(grade, catalogue, node)
        self._by_group = Denied(Grade.NONE, catalogue, node)
        self.active = self._denier is not None or self._group is not None
        self.hold(policy)

    def hold(self, policy: Policy) -> None:
        """Deny what a policy wants, to the containers that are known and to those to come."""
        self._policy = policy
        self._deny(EVERY_CONTAINER, None)
        for space, container in self._containers.items():
            self._deny(space, container)

    def learned(self, news: Iterable[Known]) -> None:
        """Deny what the policy wants to containers that engines described."""
        if not self.active:
            return
        for known in news:
            identity = known.container.id
            space = known.namespaces.get("mnt", 0) or self._spaces.get(identity, 0)
            if not space:
                continue
            if known.ended:
                for one in (self._denier, self._group):
                    if one is not None:
                        one.forget(space)
                self._containers.pop(space, None)
                self._spaces.pop(identity, None)
            else:
                self._containers[space] = known.container
                self._spaces[identity] = space
                self._deny(space, known.container)

    def read(self) -> None:
        """Take what was denied since the last time."""
        if self._denier is not None:
            if time.monotonic() - self._refreshed > _REFRESH_S:
                self._refreshed = time.monotonic()
                self._denier.refresh()
            for denial in self._denier.denials():
                self._meet(denial.pid, denial.start_ns)
                self._denied.add(denial)
        if self._group is not None:
            for refusal in self._group.refusals():
                self._meet(refusal.pid, refusal.start_ns)
                self._by_group.add(_denial(refusal))

    def marked(self, event: Event, alerts: Sequence[Alert]) -> list[Alert]:
        """Return alerts with the verdict of those that the kernel denied by our wish."""
        if not self.active or event.result is None or event.result >= 0:
            return list(alerts)
        self.read()
        found = []
        for alert in alerts:
            claimed = self._denied.claimed(alert)
            if claimed is alert:
                claimed = self._by_group.claimed(alert)
                if claimed is not alert:
                    claimed = replace(claimed, backend=GROUP)
            found.append(claimed)
        return found

    def unclaimed(self, now_ns: int) -> Iterator[tuple[Event, Alert]]:
        """Iterate over alerts of denials whose calls nobody else told of.

        Args:
            now_ns: CLOCK_BOOTTIME.
        """
        if not self.active:
            return
        people = self._people
        for alert in self._denied.unclaimed(now_ns, people):
            yield _event(alert, people)
        for alert in self._by_group.unclaimed(now_ns, people):
            yield _event(replace(alert, backend=GROUP, event=str(alert.fields["event.hook"])), people)

    def pin(self) -> None:
        """Keep denying when this process ends.

        Raises:
            Error: There is no BPF file system to hold it.
        """
        denier = self._denier or self._group
        if denier is None:
            self._say("nothing is pinned, since nothing is denied")
            return
        try:
            denier.pin(deny_pins.FOLDER)
        except (OSError, BpfRefused) as error:
            raise Error(
                f"what is denied cannot be pinned: {getattr(error, 'strerror', '') or error.args[0]}",
                str(deny_pins.FOLDER),
                "mount a BPF file system there: mount -t bpf bpf /sys/fs/bpf",
            ) from error

    def close(self) -> None:
        """Let go; what is pinned goes on denying."""
        for one in (self._denier, self._group):
            if one is not None:
                one.close()

    def later(self, technique: str) -> str:
        """Say why a call of a technique was not denied, though the policy denies it; empty where nothing can deny it.

        A control group is asked when a setting is written, not when it is opened.
        """
        return _LATER if self._group is not None and technique in self._group.deniable() else ""

    def _meet(self, pid: int, start_ns: int) -> None:
        """Remember who was denied: it may have ended, and be forgotten when its alert is made."""
        table = self._sensor.processes
        process = table.alive.get(pid)
        if process is None or not same_life(process.start_ns, start_ns):
            process = table.ended.get((pid, start_ns)) or table.ended.get((pid, start_ns - start_ns % TICK_NS))
        if process is not None:
            self._people.pop(pid, None)
            self._people[pid] = process
            if len(self._people) > _MOST:
                del self._people[next(iter(self._people))]

    def _deny(self, space: int, container: Container | None) -> None:
        for one in (self._denier, self._group):
            if one is not None:
                one.deny(space, self._policy.denied(container, self._catalogue))

    def _supplement(self, namespaces: Mapping[str, int], choice: Choice, say: Callable[[str], None]) -> None:
        """Deny by control groups what can be denied so: settings, devices, connections."""
        why = "; ".join(choice.passed_by)
        try:
            self._group = GroupDenier(self._catalogue, namespaces, deny_cgroup.hierarchy())
        except (Error, OSError) as error:
            say(f"nothing can be denied here: {why}; control groups: {getattr(error, 'what', error)}")
            return
        say(f"only settings, devices and connections can be denied here, by control groups: {why}")


def wanted(policy: Policy) -> bool:
    """Tell whether a policy wants anything denied."""
    return any(line.action is Action.DENY and line.enforced for line in policy.lines)


def unpinned() -> int:
    """Take away what is pinned; tell how many programs that were."""
    with suppress(FileNotFoundError):
        return deny_pins.unpin()
    return 0


def _denial(refusal: Refusal) -> Denial:
    return Denial(
        at_ns=refusal.at_ns, techniques=refusal.techniques, hook=_HOOKS.get(refusal.kind, GROUP), call=-1, compat=False,
        pid=refusal.pid, tid=refusal.pid, parent=refusal.parent, user=refusal.user, start_ns=refusal.start_ns, cgroup=0,
        name=refusal.process, container=refusal.mnt, kind=Kind.NAME, number=refusal.number, more=0, object=refusal.name,
        path=refusal.name, device=0, inode=0, magic=0, mode=0, canary=False,
    )  # fmt: skip


def _event(alert: Alert, people: Mapping[int, Process]) -> tuple[Event, Alert]:
    actor = alert.process[0]
    process = people.get(actor.pid) or Process(actor.pid, actor.start_ns, name=actor.name, user=actor.user)
    event = Event(alert.event, alert.boot_ns, alert.at_ns, process, result=_REFUSED, contained=True)
    container = process.container
    told = {"id": "", "name": "", "image": "", "runtime": "", "state": "missing"} if container is None else {
        "id": container.id, "name": container.name, "image": container.image, "runtime": container.runtime,
        "state": container.state,
    }  # fmt: skip
    return event, replace(alert, container=told)
