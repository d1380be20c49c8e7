"""The use case ``watch``: the sensor's events are judged, and every alert is kept before anybody is told."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from holdfast.app import watch_keeping, watch_policy, watch_rules
from holdfast.app.watch_denying import Denying
from holdfast.app.watch_health import Health
from holdfast.app.watch_loop import WAITS_S, WAITS_TO_ACT_S, Loop, Names
from holdfast.app.watch_telling import Telling
from holdfast.app.watch_verdicts import Verdicts
from holdfast.model.alert import Alert
from holdfast.model.errors import Error
from holdfast.rules.ruleset import Ruleset
from holdfast.sensor import coverage, privileges, pushing
from holdfast.sensor.domain_names import DomainNames
from holdfast.sensor.engines.registry import Registry
from holdfast.sensor.judge import Judge, Node
from holdfast.sensor.policy import PER_MINUTE, Policy
from holdfast.sensor.recording import Recorder
from holdfast.sensor.respond import Responder
from holdfast.sensor.watching import Sensor
from holdfast.techniques import load as techniques

_STOPPING = (signal.SIGINT, signal.SIGTERM)
_FIRST_NAMES_S = 1.0
"""Seconds that the start waits for the addresses of domain names in rules; later ones are known when they come."""
_NICE = -10
"""nice(2) of the sensor; it takes little of a processor, but what it takes it needs at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for.

    Attributes:
        rules: Falco rules files, or folders with some.
        spool: File that keeps the alerts; empty keeps them nowhere.
        seconds: Stop after so many; 0 goes on until somebody stops it.
        catalogue: Judge by the techniques.
        policy: Policy file; empty alerts everything.
        sinks: Where alerts go from the spool, as ``watch_keeping.parsed`` reads them.
        record: File that events are written to; empty writes none.
        record_bytes: Its largest size.
        metrics: ``HOST:PORT`` to serve Prometheus metrics at; empty serves none.
        health: File that is kept up to date with what the sensor counts; empty writes none.
        heartbeat_s: Seconds between two heartbeats in the spool and the health file; 0 for none.
        keep_capabilities: Do not drop the capabilities that are not needed any more.
        pin: What is denied goes on being denied when the sensor ends.
        node: How alerts call this machine; its host name where it is empty.
    """

    rules: tuple[str, ...] = ()
    spool: str = ""
    seconds: float = 0
    catalogue: bool = True
    policy: str = ""
    sinks: tuple[str, ...] = field(default=())
    record: str = ""
    record_bytes: int = 256 << 20
    metrics: str = ""
    health: str = ""
    heartbeat_s: float = 60
    keep_capabilities: bool = False
    pin: bool = False
    node: str = ""


Told = Callable[[Sequence[Alert]], None]
"""Is given the alerts of one event, after they were kept."""
Say = Callable[[str], None]


def watch(wanted: Wanted, told: Told, say: Say = lambda _: None) -> int:
    """Watch until somebody stops it.

    Args:
        wanted: What a person asked for.
        told: Is given each event's alerts.
        say: Is given lines about the sensor itself: what is watched, what is wrong with a file.

    Returns:
        How many alerts there were.

    Raises:
        NotPermitted: The process may not load programs.
        BpfRefused: The kernel refused one of them.
        NotReachable: There is no libbpf, or a file is missing.
        NotUnderstood: The policy holds an error, or no rule could be loaded.
        Usage: A sink or an address is written wrong.
    """
    catalogue = techniques() if wanted.catalogue else {}
    ruleset = watch_rules.loaded(wanted.rules, say)
    policy = read_policy(wanted, ruleset, say)
    here = Node.here(wanted.node)
    told_by_rules = pushing.pushed(ruleset.rules if ruleset else ())
    wishes = coverage.merged(coverage.interests(one.seen_as for one in catalogue.values()), told_by_rules.interests)
    with ExitStack() as stack:
        stop = stack.enter_context(_stoppable())
        domains = DomainNames(watch_rules.names(ruleset.rules) if ruleset else ())
        answers = watch_rules.answers(ruleset.rules, names=domains) if ruleset else None
        sensor = stack.enter_context(Sensor(wishes, answers))
        sensor.want_paths(told_by_rules.heads, told_by_rules.tails)
        # A recording may be judged by other rules later.
        recorded = bool(wanted.record)
        sensor.want_soon(starts=told_by_rules.starts or recorded, ends=told_by_rules.ends or recorded)
        denying = Denying(catalogue, policy, here, sensor, say)
        stack.callback(denying.close)
        if wanted.pin:
            denying.pin()
        _first_in_line()
        if not wanted.keep_capabilities:
            # Before any thread starts: capabilities belong to threads.
            privileges.drop(privileges.needed(responds=policy.acts))
        keeping = stack.enter_context(closing(watch_keeping.Keeping(wanted.spool, wanted.sinks, say, here.name)))
        health = stack.enter_context(Health(wanted.metrics, wanted.health, wanted.heartbeat_s))
        domains.start(_FIRST_NAMES_S)
        stack.callback(domains.stop)
        registry = _registry()
        stack.callback(registry.stop)
        registry.start()
        sensor.containers.wanted = registry.wanted
        verdicts = Verdicts(
            Judge(catalogue, here, ruleset), here, policy, responder=Responder(policy.per_minute),
            people=lambda: list(sensor.processes.alive.values()),
            complete=Names(registry, WAITS_TO_ACT_S if policy.acts else WAITS_S).complete,
            marked=denying.marked, later=denying.later, settle=sensor.layers.settle,
        )  # fmt: skip
        recorder = _recorder(wanted, sensor, here, ruleset, say)
        if recorder is not None:
            stack.callback(recorder.close)
        telling = stack.enter_context(closing(Telling(told, say)))
        loop = Loop(sensor, registry, verdicts, keeping, health, denying, recorder, telling)
        health.started(sensor, verdicts, keeping)
        say(f"watching {len(wishes)} system calls for {len(catalogue)} techniques"
            + (f" and {len(ruleset.rules)} rules" if ruleset else "") + _mode(policy))  # fmt: skip
        until = time.monotonic() + wanted.seconds if wanted.seconds else float("inf")
        while True:
            # Without a spool there is nobody left to tell.
            alone = telling.gone and not wanted.spool
            ending = alone or bool(stop.asked) or time.monotonic() >= until
            if stop.again:
                stop.again = False
                keeping.reopen()
                verdicts.policy = _policy_again(wanted, ruleset, verdicts.policy, say)
                denying.hold(verdicts.policy)
            loop.turn(until - time.monotonic(), ending=ending)
            if ending:
                return telling.count


def read_policy(wanted: Wanted, ruleset: Ruleset | None, say: Say) -> Policy:
    """Read the policy that was asked for; without one everything is alerted.

    Raises:
        NotReachable: It is not there.
        NotUnderstood: It holds an error; ``say`` was given each.
    """
    if not wanted.policy:
        return Policy(per_minute=PER_MINUTE)
    names = [rule.name for rule in ruleset.rules] if ruleset else []
    return watch_policy.load(wanted.policy, techniques(), names, say)


def _first_in_line() -> None:
    """Let what floods the machine wait for the sensor, and not the other way round, unless somebody chose otherwise."""
    with suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, 0) == 0:
            os.setpriority(os.PRIO_PROCESS, 0, _NICE)


@dataclass(slots=True)
class _Stop:
    asked: int = 0
    again: bool = False


@contextmanager
def _stoppable() -> Iterator[_Stop]:
    """Note signals instead of raising: whatever was read from the kernel is kept before the end.

    SIGINT and SIGTERM end it; SIGHUP has files opened and the policy read again, and ends nothing below nohup.
    """
    stop = _Stop()

    def ask(number: int, _: FrameType | None) -> None:
        if stop.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.asked = number

    def again(_: int, __: FrameType | None) -> None:
        stop.again = True

    before: dict[signal.Signals, Any] = {}
    try:
        for number in _STOPPING:
            before[number] = signal.signal(number, ask)
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, again)
    except ValueError:  # not the main thread: whoever started it ends it
        yield stop
        return
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old if old is not None else signal.SIG_DFL)


def _registry() -> Registry:
    from holdfast.sensor.engines.bundles import Bundles
    from holdfast.sensor.engines.docker import PODMAN, Docker

    return Registry((Docker(), Docker(PODMAN, "podman"), Bundles()))


def _policy_again(wanted: Wanted, ruleset: Ruleset | None, former: Policy, say: Say) -> Policy:
    try:
        return read_policy(wanted, ruleset, say)
    except Error as error:
        say(f"the policy stays as it was: {error.what}")
        return former


def _mode(policy: Policy) -> str:
    if not policy.name:
        return ""
    return f"; policy {policy.name}: " + ("enforced" if policy.acts else "audit, nothing is done")


def _recorder(wanted: Wanted, sensor: Sensor, here: Node, ruleset: Ruleset | None, say: Say) -> Recorder | None:
    if not wanted.record:
        return None
    around = sensor.around
    head = {"node": here.name, "boot": here.boot, "namespaces": around.namespaces, "proc": around.proc}
    asked = watch_rules.local(ruleset.rules) if ruleset else ()
    recorder = Recorder(Path(wanted.record), head, wanted.record_bytes, asked, say)
    recorder.enter(sensor.processes.alive.values())
    return recorder
