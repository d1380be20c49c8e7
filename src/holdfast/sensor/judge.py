"""Judge events: techniques and rules, indexed by the name of the event; a proof only on a hit."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from holdfast.model.alert import Alert, Ancestor, Origin, Priority
from holdfast.model.event import Event, Process
from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.logic import atoms, spelled
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.technique import Technique
from holdfast.model.words import event as word
from holdfast.rules.judging import Judge as Test
from holdfast.rules.judging import compile_rules
from holdfast.rules.ruleset import Rule, Ruleset
from holdfast.sensor import coverage
from holdfast.sensor.processes import ancestors
from holdfast.sensor.speech import acting

ANCESTORS = 8
_TOLD = (word.PATH, word.INNER_PATH, word.HOST_PATH)
"""What an alert says of its object, asked or not."""
_POD = {"io.kubernetes.pod.name": "pod", "io.kubernetes.pod.namespace": "namespace", "io.kubernetes.pod.uid": "pod_uid",
        "io.kubernetes.container.name": "pod_container"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """Who watches.

    Attributes:
        name: Host name.
        boot: Boot id, 8 digits of it are enough.
    """

    name: str
    boot: str

    @classmethod
    def here(cls, name: str = "") -> Self:
        """Return this machine, under a name of its own where one is given: a container has another than its host."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
        return cls(name or os.uname().nodename, boot[:8])


class Judge:
    """Techniques, and Falco rules where there are some."""

    def __init__(self, techniques: Mapping[str, Technique], node: Node, rules: Ruleset | None = None) -> None:
        """Take what is to be judged; it is compiled for each kind of event when the first of it comes."""
        self._techniques: Sequence[Technique] = tuple(techniques.values())
        self._node = node
        self._rules = rules
        self._tests: dict[str, Test | None] = {}

    def judge(self, event: Event) -> Iterator[Alert]:
        """Iterate over the alerts that an event is worth."""
        name = acting(event)
        if name in self._tests:
            test = self._tests[name]
        else:
            conditions = [(number, one.seen_as) for number, one in enumerate(self._techniques)]
            test = self._tests[name] = compile_rules(conditions, word.SYSCALL, name, every=True)
        if test is not None:
            for number in test(event.get):
                yield self._technique(event, self._techniques[number])
        if self._rules is not None:
            for rule in self._rules.judge(event):
                yield self._rule(event, rule)
        if event.contained and event.file is not None and event.file.cut:
            yield self._cut(event)
        if name == "gap":
            yield self._gap(event)
        elif name == "flood":
            yield self._flood(event)
        elif name in coverage.BLIND and event.contained and (event.result or 0) >= 0:
            yield self._blind(event)

    def _technique(self, event: Event, technique: Technique) -> Alert:
        where = Where(event.name)
        table: dict[Fact[Any], Any] = {}
        for atom in atoms(technique.seen_as):
            value = event.get(atom.fact)
            if value is not None:
                table[atom.fact] = Seen(value, where)
        proof = prove(technique.seen_as, Facts(table))
        carried = tuple(dict.fromkeys(_reason(leaf) for leaf in proof.carrying()))
        told = {fact: event.get(fact) for fact in _TOLD}
        fields = {fact.name: _plain(value) for fact, value in told.items() if value is not None}
        fields |= {fact.name: _plain(seen.value) for fact, seen in table.items()}
        way = event.get(word.PATH)
        succeeded = event.result is None or event.result >= 0
        did = "" if succeeded else f" and failed with {_error(event)}"
        output = f"{technique.title}: {event.process.name} called {event.name}" + (f" on {way}" if way else "") + did
        return self._alert(
            event, Origin.TECHNIQUE, technique.id, title=technique.title, output=output,
            priority=Priority.CRITICAL if succeeded else Priority.WARNING, fields=fields, reasons=carried,
            attack=technique.attack, tags=("container", "escape"), description=technique.page.split("\n\n", 1)[0],
        )  # fmt: skip

    def _rule(self, event: Event, rule: Rule) -> Alert:
        definition = rule.definition
        return self._alert(
            event, Origin.RULE, rule.name, title=rule.name, output=rule.output.render(event.get),
            priority=rule.priority,
            fields={name: _plain(value) for name, value in rule.output.values(event.get).items()},
            tags=tuple(definition.tags), attack=tuple(tag for tag in definition.tags if _is_attack(tag)),
            description=definition.description,
        )  # fmt: skip

    def _gap(self, event: Event) -> Alert:
        missing, ring = event.arguments["missing"], event.arguments["ring"]
        return self._alert(
            event, Origin.SENSOR, "records-lost", title="The kernel had no room for records",
            output=f"{missing} records of the ring {ring} were lost",
            priority=Priority.CRITICAL if ring == "critical" else Priority.WARNING,
            fields={"missing": missing, "ring": ring},
        )  # fmt: skip

    def _flood(self, event: Event) -> Alert:
        call = event.arguments["call"]
        return self._alert(
            event, Origin.SENSOR, "flood", title="A container floods the sensor",
            output=f"{event.process.name} calls {call} faster than it can be looked at; what more it does with it may "
            "go unseen for the rest of this second",
            priority=Priority.WARNING, fields={"call": call}, tags=("container", "sensor"),
        )  # fmt: skip

    def _cut(self, event: Event) -> Alert:
        way = event.get(word.PATH) or ""
        return self._alert(
            event, Origin.SENSOR, "path-cut", title="A container uses a path that is too long to be read whole",
            output=f"{event.process.name} called {event.name} on a path of which the middle was left out; "
            "a rule that asks for what stands there cannot be judged",
            priority=Priority.NOTICE, fields={"event.path": way}, tags=("container", "sensor"),
        )  # fmt: skip

    def _blind(self, event: Event) -> Alert:
        return self._alert(
            event, Origin.SENSOR, "unseen-calls", title="A container makes calls that the sensor may not see",
            output=f"{event.process.name} set up io_uring: what it opens, connects and renames that way is told when "
            "it is handed over, whatever becomes of it; all else makes no call that is seen",
            priority=Priority.NOTICE, tags=("container", "sensor"),
        )  # fmt: skip

    def _alert(self, event: Event, origin: Origin, rule: str, **more: Any) -> Alert:
        failed = event.result is not None and event.result < 0
        return Alert(
            id=f"{self._node.boot}-{event.processor}-{event.number}-{event.at_ns}-{rule}",
            at_ns=event.wall_ns, boot_ns=event.at_ns, seen_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            node=self._node.name, origin=origin, rule=rule,
            succeeded=None if event.result is None else not failed, error=_error(event) if failed else "",
            event=event.name, process=lineage(event.process), container=_container(event), **more,
        )  # fmt: skip


def lineage(process: Process) -> tuple[Ancestor, ...]:
    """Return a process and who started it, for an alert."""
    found = [process, *ancestors(process, ANCESTORS - 1)]
    return tuple(
        Ancestor(
            one.pid, one.name, one.executable.path, " ".join((one.name, *one.arguments[1:])), one.user, one.start_ns
        )
        for one in found
        if one.pid
    )


def _container(event: Event) -> dict[str, Any]:
    container = event.process.container
    if container is None:
        return {"id": "", "name": "", "image": "", "runtime": "", "state": "missing"} if event.contained else {}
    pods = {name: container.labels[label] for label, name in _POD.items() if label in container.labels}
    return {"id": container.id, "name": container.name, "image": container.image, "runtime": container.runtime,
            "state": container.state, **pods}  # fmt: skip


def _reason(leaf: Any) -> str:
    seen = leaf.seen.value if isinstance(leaf.seen, Seen) else "unknown"
    return f"{leaf.expr} (seen: {spelled(seen)})"


def _error(event: Event) -> str:
    number = -(event.result or 0)
    return errno.errorcode.get(number, str(number))


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset | set | tuple):
        return sorted(str(one) for one in value)
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _is_attack(tag: str) -> bool:
    return len(tag) >= 5 and tag[0] == "T" and tag[1:5].isdigit()
