"""From an event to alerts with verdicts: judged, held against the policy, answered, joined into incidents."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.model.alert import Alert, Origin, Priority, Verdict
from holdfast.model.event import Event, Process
from holdfast.sensor.incidents import Incidents, summary
from holdfast.sensor.judge import Judge, Node
from holdfast.sensor.policy import Action, Decision, Policy
from holdfast.sensor.respond import Responder, Response

_WOULD = {
    Action.DENY: "would have been denied", Action.KILL: "would have been killed",
    Action.PAUSE: "would have been paused", Action.QUARANTINE: "would have been quarantined",
}  # fmt: skip
_DONE = {Action.KILL: Verdict.KILLED, Action.PAUSE: Verdict.PAUSED, Action.QUARANTINE: Verdict.QUARANTINED}
_CANNOT_DENY = "the back end in force cannot deny"
_QUIET_NS = 60_000_000_000


@dataclass(slots=True)
class Counts:
    """What was counted since the start.

    Attributes:
        events: Events judged.
        judging_ns: Time that took.
        failures: Events that could not be judged.
        alerts: By rule.
        ignored: Alerts that the policy ignores.
        responses: By verdict, those that were carried out.
        refused: Responses that could not be carried out.
    """

    events: int = 0
    judging_ns: int = 0
    failures: int = 0
    alerts: dict[str, int] = field(default_factory=dict)
    ignored: int = 0
    responses: dict[str, int] = field(default_factory=dict)
    refused: int = 0


class Verdicts:
    """Judges one event after another. One thread owns it.

    Attributes:
        policy: What is done; may be replaced between two events.
        counts: What was counted.
        incidents: What is going on.
        dull: No technique is about the event that was judged last, whatever rules and policy say of it.
    """

    def __init__(  # noqa: PLR0913 - each is a part of its own
        self,
        judge: Judge,
        node: Node,
        policy: Policy,
        *,
        responder: Responder | None = None,
        people: Callable[[], Iterable[Process]] = tuple,
        complete: Callable[[Event], bool] = lambda _: False,
        marked: Callable[[Event, Sequence[Alert]], list[Alert]] = lambda _, alerts: list(alerts),
        later: Callable[[str], str] = lambda _: "",
        settle: Callable[[Process], object] = lambda _: None,
    ) -> None:
        """Take the parts.

        Args:
            judge: Techniques and rules.
            node: Who watches.
            policy: What is done.
            responder: Carries it out; None only says it, as a dry run does.
            people: Lists the processes that run.
            complete: Fills in what is known of an event's container; tells whether something was new.
            marked: Marks the alerts of what the kernel denied by our wish.
            later: Says for a technique that a later step of it is denied; empty where it is not.
            settle: Finds out where a process's program lies, which the policy may ask.
        """
        self.policy = policy
        self.counts = Counts()
        self.incidents = Incidents()
        self._judge = judge
        self._node = node
        self._responder = responder
        self._people = people
        self._complete = complete
        self._marked = marked
        self._later = later
        self._settle = settle
        self.dull = False
        self._told_spent = -_QUIET_NS
        self._told_failure = -_QUIET_NS

    def alerts(self, event: Event) -> list[Alert]:
        """Return what an event is worth, after the response to it was carried out."""
        before = time.perf_counter_ns()
        self.dull = False
        try:
            found = list(self._judge.judge(event))
            self.dull = not any(alert.origin is Origin.TECHNIQUE for alert in found)
            if found and self._complete(event):
                event.known.clear()
                found = list(self._judge.judge(event))
        except Exception as error:  # noqa: BLE001 - no event, however odd, may end the sensor
            found = self._failed(event, error)
        counts = self.counts
        counts.events += 1
        counts.judging_ns += time.perf_counter_ns() - before
        return self.decided(event, self._marked(event, found)) if found else self.decided(event, found)

    def decided(self, event: Event, found: Sequence[Alert]) -> list[Alert]:
        """Hold alerts against the policy, answer them, and join them into incidents."""
        decided = self._decided(event, found) if found else []
        alerts = self.counts.alerts
        for alert in decided:
            alerts[alert.rule] = alerts.get(alert.rule, 0) + 1
        return [*self._summaries(self.incidents.ended()), *self.incidents.join(event, decided)]

    def quiet(self, at_ns: int) -> list[Alert]:
        """Return the records of incidents that have ended by now (CLOCK_BOOTTIME)."""
        return self._summaries(self.incidents.ended(at_ns))

    def close(self) -> list[Alert]:
        """Return the records of all incidents that are still going on."""
        return self._summaries(self.incidents.close())

    def own(self, rule: str, title: str, output: str, priority: Priority, **fields: Any) -> Alert:
        """Make an alert about the sensor itself."""
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return Alert(
            id=f"{self._node.boot}-{now}-{rule}", at_ns=time.time_ns(), boot_ns=now, seen_ns=now, node=self._node.name,
            origin=Origin.SENSOR, rule=rule, title=title, output=output, priority=priority, fields=fields, backend="",
            verdict=Verdict.OBSERVED if priority.value >= Priority.INFORMATIONAL.value else Verdict.ALERTED,
        )  # fmt: skip

    def _decided(self, event: Event, alerts: Sequence[Alert]) -> list[Alert]:
        done: dict[tuple[Action, bool], Response] = {}
        found: list[Alert] = []
        if self.policy.name:
            self._settle(event.process)
        for alert in alerts:
            if alert.origin is Origin.SENSOR:
                found.append(alert)
                continue
            decision = self.policy.decide(event, alert.rule)
            if decision.action is Action.IGNORE:
                self.counts.ignored += 1
            elif decision.action is Action.OBSERVE:
                found.append(replace(alert, verdict=Verdict.OBSERVED))
            elif decision.action.acts:
                found += self._acted(event, alert, decision, done)
            else:
                found.append(alert)
        return found

    def _acted(
        self, event: Event, alert: Alert, decision: Decision, done: dict[tuple[Action, bool], Response]
    ) -> list[Alert]:
        action = decision.action
        if not decision.enforced:
            return [_told(alert, decision, would=_WOULD[action])]
        if action is Action.DENY:
            if alert.verdict is Verdict.DENIED:
                return [_told(alert, decision)]
            later = self._later(alert.rule)
            if later:
                return [_told(alert, decision, would=later)]
            if not decision.otherwise.acts:
                verdict = Verdict.OBSERVED if decision.otherwise is Action.OBSERVE else alert.verdict
                return [_told(replace(alert, verdict=verdict), decision, would=f"not denied: {_CANNOT_DENY}")]
            action = decision.otherwise
        if self._responder is None:
            return [_told(alert, decision, would=_WOULD[action])]
        key = (action, decision.whole)
        response = done.get(key)
        if response is None:
            response = done[key] = self._responded(event, action, whole=decision.whole)
            if response.done:
                name = _DONE[action].value
                self.counts.responses[name] = self.counts.responses.get(name, 0) + 1
            else:
                self.counts.refused += 1
        found = [
            _told(replace(alert, verdict=_DONE[action]), decision, response=response.how)
            if response.done
            else _told(alert, decision, would=f"not {_DONE[action].value}: {response.how}")
        ]
        if response.spent:
            found += self._spent(event)
        return found

    def _responded(self, event: Event, action: Action, *, whole: bool) -> Response:
        process, responder = event.process, self._responder
        if responder is None or not event.contained or process.container is None:
            return Response(False, "the process is not known to run in a container")
        if action is Action.KILL:
            return responder.kill_container(process, self._people) if whole else responder.kill(process)
        return (
            responder.pause(process, self._people)
            if action is Action.PAUSE
            else responder.quarantine(process, self._people)
        )

    def _spent(self, event: Event) -> list[Alert]:
        if event.at_ns - self._told_spent < _QUIET_NS:
            return []
        self._told_spent = event.at_ns
        return [
            self.own(
                "responses-exhausted", "No more responses in this minute",
                f"The policy allows {self.policy.per_minute} responses a minute; what comes now is only alerted",
                Priority.EMERGENCY,
            )
        ]  # fmt: skip

    def _failed(self, event: Event, error: Exception) -> list[Alert]:
        self.counts.failures += 1
        if event.at_ns - self._told_failure < _QUIET_NS:
            return []
        self._told_failure = event.at_ns
        return [
            self.own(
                "event-not-judged", "An event could not be judged", _cut(f"{event.name}: {error!r}"),
                Priority.CRITICAL, event=event.name, pid=event.process.pid, name=event.process.name,
            )
        ]  # fmt: skip

    def _summaries(self, ended: Iterable[Any]) -> list[Alert]:
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return [summary(one, now) for one in ended]


def _told(alert: Alert, decision: Decision, would: str = "", response: str = "") -> Alert:
    """Say in an alert what the policy said, and what came of it."""
    said = {"policy.action": decision.action.value, "policy.line": decision.line}
    if would:
        said["policy.would"] = would
    if response:
        said["policy.response"] = response
    reason = f"policy line {decision.line} says {decision.action.value}: {would or response or 'done'}"
    return replace(alert, fields={**alert.fields, **said}, reasons=(*alert.reasons, reason))


def _cut(text: str) -> str:
    return text[:500]
