"""Judge recorded events again: the same alerts as live, as a dry run, without any privilege."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.app import watch_rules
from holdfast.app.watch import Say, Told, Wanted, read_policy
from holdfast.app.watch_keeping import Keeping, told
from holdfast.app.watch_verdicts import Verdicts
from holdfast.model.alert import Alert
from holdfast.model.errors import Usage
from holdfast.sensor import recording_read
from holdfast.sensor.incidents import grouped
from holdfast.sensor.judge import Judge, Node
from holdfast.sensor.repeats import Repeats
from holdfast.techniques import load as techniques


def replay(path: str, wanted: Wanted, tell: Told, say: Say) -> int:
    """Judge a recording.

    Args:
        path: The file.
        wanted: Rules, policy and spool; nothing else counts, and nothing is done to anybody.
        tell: Is given each event's alerts.
        say: Is given lines about the recording itself.

    Returns:
        How many alerts there were.

    Raises:
        NotReachable: A file is missing.
        NotUnderstood: It is no recording, or the policy or every rule holds an error.
        Usage: It was to be recorded while it is replayed.
    """
    if wanted.record:
        raise Usage("a recording is replayed or made, not both", "--record", "leave one out")
    recording = recording_read.opened(Path(path))
    ruleset = watch_rules.loaded(wanted.rules, say)
    policy = read_policy(wanted, ruleset, say)
    if ruleset is not None:
        recording.asked = {fact.name: fact for fact in watch_rules.local(ruleset.rules)}
        recording.table.update(watch_rules.answers(ruleset.rules, here=False))
    node = Node(recording.node, recording.boot)
    verdicts = Verdicts(Judge(techniques() if wanted.catalogue else {}, node, ruleset), node, policy)
    keeping = Keeping(wanted.spool, wanted.sinks, say)
    repeats = Repeats()
    count = 0

    def pass_on(found: Sequence[Alert]) -> None:
        nonlocal count
        keeping.keep(found)
        for group in grouped(one for one in found if told(one)):
            tell(group)
            count += len(group)

    try:
        for event in recording.events():
            pass_on([*repeats.due(event.at_ns), *repeats.thinned(verdicts.alerts(event))])
        pass_on([*repeats.due(0, ending=True), *verdicts.close()])
    finally:
        keeping.close()
    if recording.cut:
        say("the recording ends early: it had reached its largest size, or whoever wrote it was ended")
    return count
