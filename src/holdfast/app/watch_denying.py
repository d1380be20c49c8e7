"""What the kernel denies while ``holdfast watch`` runs: the policy's wishes by container, and the alerts they make."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from holdfast.model.alert import Alert, Verdict
from holdfast.model.errors import Error
from holdfast.model.event import Container, Event, File, Process
from holdfast.model.technique import Technique
from holdfast.reason.effective.syscall_table import numbers
from holdfast.sensor import deny_pins
from holdfast.sensor.backends import Choice, choose
from holdfast.sensor.containers import Known
from holdfast.sensor.deny import EVERY_CONTAINER, Denial, Denier
from holdfast.sensor.policy import Action, Policy

_REFUSED = -1
_WAITS_NS = 300_000_000
"""How long a denial waits for the record of its call's end, which says more."""
_REFRESH_S = 5.0
_MOST = 4096


class Denying:
    """The back end that denies, where one is in force and the policy wants it."""

    def __init__(
        self, catalogue: Mapping[str, Technique], policy: Policy, choice: Choice | None, say: Callable[[str], None]
    ) -> None:
        """Take what was chosen.

        Args:
            catalogue: The techniques.
            policy: What is denied to whom.
            choice: What came of trying; None where nothing is to be denied.
            say: Is given a line where it cannot be.
        """
        self._catalogue = catalogue
        self._denier: Denier | None = choice.denier if choice is not None else None
        self._grade = choice.grade.value if choice is not None else ""
        self._containers: dict[int, Container] = {}
        self._spaces: dict[str, int] = {}
        self._waiting: dict[tuple[int, str], Denial] = {}
        self._refreshed = time.monotonic()
        self._calls = {number: name for name, number in numbers("x86_64").items()}
        if choice is not None and self._denier is None:
            say("nothing can be denied here: " + ("; ".join(choice.passed_by) or "no back end is in force"))
        self.hold(policy)

    @property
    def pinnable(self) -> bool:
        """Something is denied, and goes on being denied when this process ends."""
        return self._denier is not None

    def hold(self, policy: Policy) -> None:
        """Deny what a policy wants, to the containers that are known and to those to come."""
        self._policy = policy
        if self._denier is None:
            return
        self._denier.deny(EVERY_CONTAINER, policy.denied(None, self._catalogue))
        for space, container in self._containers.items():
            self._denier.deny(space, policy.denied(container, self._catalogue))

    def learned(self, news: Iterable[Known]) -> None:
        """Deny what the policy wants to containers that engines described."""
        if self._denier is None:
            return
        for known in news:
            identity = known.container.id
            space = known.namespaces.get("mnt", 0) or self._spaces.get(identity, 0)
            if not space:
                continue
            if known.ended:
                self._denier.forget(space)
                self._containers.pop(space, None)
                self._spaces.pop(identity, None)
            else:
                self._containers[space] = known.container
                self._spaces[identity] = space
                self._denier.deny(space, self._policy.denied(known.container, self._catalogue))

    def read(self) -> None:
        """Take what was denied since the last time."""
        if self._denier is None:
            return
        if time.monotonic() - self._refreshed > _REFRESH_S:
            self._refreshed = time.monotonic()
            self._denier.refresh()
        for denial in self._denier.denials():
            if not denial.canary:
                for name in denial.techniques:
                    self._waiting[denial.pid, name] = denial
                    if len(self._waiting) > _MOST:
                        del self._waiting[next(iter(self._waiting))]

    def marked(self, event: Event, alerts: Sequence[Alert]) -> list[Alert]:
        """Return alerts with the verdict of those that the kernel denied by our wish."""
        if not self._waiting or event.result is None or event.result >= 0:
            return list(alerts)
        found = []
        for alert in alerts:
            denial = self._waiting.get((event.process.pid, alert.rule))
            if denial is not None and 0 <= event.at_ns - denial.at_ns < _WAITS_NS:
                del self._waiting[event.process.pid, alert.rule]
                alert = replace(alert, verdict=Verdict.DENIED, backend=self._grade)  # noqa: PLW2901 - the same alert
            found.append(alert)
        return found

    def unseen(
        self,
        now_ns: int,
        process: Callable[[int], Process | None],
        make: Callable[[Event, str, str, tuple[str, ...]], Alert],
    ) -> list[tuple[Event, list[Alert]]]:
        """Return denials whose calls the tracepoints did not tell of, or told of as something else.

        Args:
            now_ns: CLOCK_BOOTTIME.
            process: Finds a process by its number.
            make: Makes an alert of an event and a technique's id, title and ATT&CK ids.
        """
        late = [key for key, one in self._waiting.items() if now_ns - one.at_ns >= _WAITS_NS]
        by_call: dict[tuple[int, int], tuple[Denial, list[str]]] = {}
        for key in late:
            denial = self._waiting.pop(key)
            by_call.setdefault((denial.pid, denial.at_ns), (denial, []))[1].append(key[1])
        found = []
        for denial, names in by_call.values():
            event = self._event(denial, process)
            alerts = [make(event, name, self._catalogue[name].title, self._catalogue[name].attack) for name in names]
            found.append((event, [replace(one, verdict=Verdict.DENIED, backend=self._grade) for one in alerts]))
        return found

    def close(self) -> None:
        """Let go; what is pinned goes on denying."""
        if self._denier is not None:
            self._denier.close()

    def pin(self) -> None:
        """Keep denying when this process ends.

        Raises:
            Error: There is no BPF file system to hold it.
        """
        if self._denier is not None:
            try:
                self._denier.pin(deny_pins.FOLDER)
            except OSError as error:
                raise Error(
                    f"what is denied cannot be pinned: {error.strerror}", str(deny_pins.FOLDER),
                    "mount a BPF file system there: mount -t bpf bpf /sys/fs/bpf",
                ) from error  # fmt: skip

    def _event(self, denial: Denial, process: Callable[[int], Process | None]) -> Event:
        wall = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        who = process(denial.pid) or Process(denial.pid, denial.start_ns, name=denial.name, user=denial.user)
        name = self._calls.get(denial.call, denial.hook)
        text = denial.path or denial.object
        file = File(text, text, device=denial.device, inode=denial.inode, magic=denial.magic) if text else None
        return Event(
            name, denial.at_ns, denial.at_ns + wall, who, number=denial.tid, result=_REFUSED, file=file, contained=True
        )


def chosen(catalogue: Mapping[str, Technique], policy: Policy) -> Choice | None:
    """Put the best back end in force that this kernel allows, where the policy wants anything denied."""
    wanted = any(line.action is Action.DENY and line.enforced for line in policy.lines)
    return choose(catalogue) if wanted else None


def unpinned() -> int:
    """Take away what is pinned; tell how many programs that were."""
    return deny_pins.unpin()
