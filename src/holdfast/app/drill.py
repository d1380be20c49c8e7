"""The use case ``drill``: attempt the escapes of a container in a replica of it, harmlessly, and compare."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast import techniques
from holdfast.app import interruption
from holdfast.app.drill_host import confines, remaps_users
from holdfast.app.drill_targets import Wanted, held_capabilities, wanted
from holdfast.app.predicting import Predictor
from holdfast.app.settings import Settings
from holdfast.drill import fence, kernel_calls, kernel_state, reaper
from holdfast.drill.boxes import Boxes, ask_whether_it_answers
from holdfast.drill.exercise import Drill, Stopped, Target, not_begun, told
from holdfast.drill.ground import Ground
from holdfast.drill.journal import Journal, new_id
from holdfast.drill.lab import CONTROLS
from holdfast.drill.layers import Gifts
from holdfast.drill.neighbours import Neighbours
from holdfast.drill.probe_file import probe
from holdfast.drill.stage import Stage
from holdfast.drill.staging import staged
from holdfast.model.drill import DrillReport, Exercise, Outcome, leads_out
from holdfast.model.errors import Error, NotPermitted, NotReachable, NotUnderstood, Unsafe, Usage
from holdfast.model.replica import Bind, Node, Replica
from holdfast.model.technique import Technique
from holdfast.model.truth import Truth
from holdfast.reason.catalogue import Catalogue
from holdfast.version import __version__

_LOADED = frozenset({"binfmt_misc"})
"""Modules that an attempt has the kernel load."""
_MOUNTED_BY_LOOKING = frozenset({"/sys/kernel/debug/tracing"})
"""The kernel mounts tracefs there as soon as somebody looks, and leaves it."""
LIFE_S = 3600.0
"""After this time a run is over and the reaper removes it, whatever its owner does."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a drill is to be made.

    Attributes:
        targets: What to drill; see ``drill_targets.wanted``.
        only: Technique ids; empty for all.
        consent: The person agreed on the command line or in the settings.
        allow_global: Ways that change a setting of the whole machine are allowed.
        disposable: The machine is a throw-away virtual machine: the host's own paths are used.
        explain: Find out what stopped each attempt.
        boundary: Called at every border between two steps.
        watch: Say what the sensor saw of each attempt.
        deny: Let the sensor deny every technique to every container. Only in a disposable machine.
    """

    targets: tuple[str, ...]
    only: tuple[str, ...] = ()
    consent: bool = False
    allow_global: bool = False
    disposable: bool = False
    explain: bool = True
    boundary: Callable[[str], None] | None = None
    watch: bool = False
    deny: bool = False


def drill(plan: Plan, settings: Settings, tell: Callable[[str], None]) -> DrillReport:
    """Drill every target.

    Returns:
        The report. A drill that is stopped keeps what is finished and says why it stopped. A target that the fence
        refuses is named with its trouble, as long as there is another one.

    Raises:
        Unsafe: The fence refuses every target, or nobody agreed.
        NotPermitted: This user cannot start a drill.
        Error: The run cannot be prepared.
    """
    with interruption.heeded():
        if plan.deny and not plan.disposable:
            raise Unsafe(
                "the sensor would deny to every container of this machine, not to the drill's alone", "--deny",
                "drill in a virtual machine: --vm plain",
            )  # fmt: skip
        if not (plan.watch or plan.deny):
            return _drilled(plan, settings, tell)
        from holdfast.app.drill_watch import Watcher

        with Watcher(deny=plan.deny) as watcher:
            before = plan.boundary

            def boundary(name: str) -> None:
                watcher.boundary(name)
                if before is not None:
                    before(name)

            report = _drilled(replace(plan, boundary=boundary), settings, tell, watcher.begins)
        return watcher.filled(report)


def _drilled(
    plan: Plan, settings: Settings, tell: Callable[[str], None], begins: Callable[[], None] = lambda: None
) -> DrillReport:
    begun, at = time.monotonic(), time.time()
    chosen = chosen_techniques(plan.only)
    troubles: list[NotUnderstood] = []
    targets = list(wanted(plan.targets, settings, troubles))
    refused = check(targets, plan, chosen, troubles)
    notes = [f"not understood: {trouble}".replace("\n", "; ") for trouble in troubles]
    reaped = reaper.reap(at)
    notes += [f"removed what a former drill left: {each.what}" for each in reaped if isinstance(each, reaper.Removed)]
    before, modules, points = kernel_state.look(), _modules(), frozenset(kernel_calls.mount_points())
    exercises: list[Exercise] = []
    controls: list[Exercise] = []
    stopped = ""
    left: list[str] = []
    asked = [(exercises, target) for target in targets]
    with run(plan, settings, tell, left, _starter(targets)) as (made, ground):
        ours = made.boxes.run
        into = controls
        try:
            for into, target in (*((controls, each) for each in _controls(targets)), *asked):
                begins()
                into.append(_exercise(made, ground, target, chosen, refused.get(target.name)))
        except Stopped as error:
            into.append(error.exercise)
            stopped = _stopped(error.__cause__)
        except KeyboardInterrupt as error:
            stopped = _stopped(error)
        except (Error, OSError) as error:
            stopped = told(error)
    with interruption.held_off():
        if plan.allow_global or plan.disposable:
            for module in sorted(_LOADED - modules):
                kernel_calls.unload(module)
            for place in _MOUNTED_BY_LOOKING - points:
                with suppress(OSError):
                    kernel_calls.detach(place)
        after = kernel_state.look()
    changed = tuple(map(str, kernel_state.differences(before, after, ours)))
    if kernel_state.others(before, after, ours):
        notes.append("another drill ran at the same time: its processes and memory cannot be told from this one's")
    return DrillReport(
        tuple(exercises),
        tuple(controls),
        changed,
        tuple(left),
        tuple(dict.fromkeys(notes)),
        "this machine",
        platform.release(),
        __version__,
        at,
        time.monotonic() - begun,
        stopped,
    )


def _modules() -> frozenset[str]:
    try:
        return frozenset(
            line.partition(" ")[0] for line in Path("/proc/modules").read_text(encoding="ascii").splitlines()
        )
    except OSError:
        return _LOADED


def chosen_techniques(only: Sequence[str]) -> list[Technique]:
    """Return the techniques to try, in the order of the catalogue.

    Raises:
        Usage: An id is not known.
    """
    catalogue = techniques.load()
    for name in only:
        if name not in catalogue:
            raise Usage(f"there is no technique {name!r}", "--technique", "list them: holdfast explain")
    return [technique for technique in catalogue.values() if not only or technique.id in only]


def check(
    targets: Sequence[Wanted], plan: Plan, chosen: Sequence[Technique], troubles: Sequence[NotUnderstood] = ()
) -> dict[str, Unsafe]:
    """Let the fence look at the targets, before anything is made.

    Returns:
        Why it refuses some of them, by name.

    Raises:
        Unsafe: It refuses all of them, or nobody agreed.
        NotUnderstood: None could be read.
        NotPermitted: This user cannot start a drill.
        Usage: There is none.
    """
    if not targets:
        nothing = Usage("there is nothing to drill", "drill", "name a container that runs, a file, or lab")
        raise troubles[0] if troubles else nothing
    refused: dict[str, Unsafe] = {}
    for target in targets:
        try:
            fence.check_target({"holdfast.drill": fence.NEVER} if target.never else {}, target.name)
        except Unsafe as error:
            refused[target.name] = error
    if all(target.name in refused for target in targets):
        raise refused[targets[0].name]
    fence.check_consent(plan.consent, ", ".join(each.name for each in targets if each.name not in refused), chosen)
    if os.geteuid() != 0:
        raise NotPermitted("Only root can mount stand-ins and look at the host's side", "drill", "run as root")
    return refused


def _starter(targets: Sequence[Wanted]) -> Replica:
    """Return who starts the targets: an engine, else an OCI runtime. The controls are started the same way."""
    replicas = [target.replica for target in targets]
    first = next((each for each in replicas if each.engine != "oci"), replicas[0])
    return Replica(engine=first.engine, runtime=first.runtime if first.engine == "oci" else "")


def _controls(targets: Sequence[Wanted]) -> Iterator[Wanted]:
    by = _starter(targets)
    for name, replica in CONTROLS.items():
        yield Wanted(name, "control", "built in", replace(replica, engine=by.engine, runtime=by.runtime))


def _stopped(error: BaseException | None) -> str:
    return f"stopped by {str(error) or 'the keyboard'}"


@contextmanager
def run(
    plan: Plan, settings: Settings, tell: Callable[[str], None], left: list[str], by: Replica | None = None
) -> Iterator[tuple[Drill, Ground]]:
    """Prepare one run and take it apart again.

    Args:
        plan: How.
        settings: Of the person.
        tell: Told about progress.
        left: What could not be removed is added here, one line each.
        by: Who starts the replicas.

    Yields:
        What drills, and the host's side.

    Raises:
        Error: The run cannot be prepared; whatever was made is undone.
    """
    if by is not None and by.engine != "oci":
        # An engine that does not answer is told at once, not once for each target, and nothing is left to remove.
        ask_whether_it_answers(by.engine, settings.docker if by.engine == "docker" else "")
    program = probe().read_bytes()
    predictor = Predictor(Catalogue(techniques.load().values()), settings.docker, disposable=plan.disposable)
    journal = Journal.open(new_id(), LIFE_S, plan.boundary)
    try:
        with Stage(journal) as stage:
            boxes = Boxes(journal, program, LIFE_S, disposable=plan.disposable, address=settings.docker)
            ground = Ground(stage, journal, real=plan.disposable, image=lambda engine: boxes.image(engine, ""))
            made = Drill(
                boxes,
                ground,
                gifts(ground),
                predictor.predict,
                global_effect=plan.allow_global or plan.disposable,
                neighbours=Neighbours(journal, lambda: boxes.image("docker", ""), settings.docker),
                explain=plan.explain,
                tell=tell,
                boundary=journal.boundary,
            )
            try:
                yield made, ground
            finally:
                ground.close()
    finally:
        with interruption.held_off():
            done = reaper.finish(journal)
        left += [f"{each.what}: {each.reason}" for each in done if isinstance(each, reaper.Left)]


def gifts(ground: Ground) -> Gifts:
    """Return the most that a replica can be given here: every capability we have, mounts, a disk."""
    return Gifts(
        held_capabilities(),
        (
            Bind("/", "/.holdfast/host", stand_in="" if ground.real else str(ground.stand_in("/"))),
            Bind("/srv/holdfast", "/.holdfast/shared", propagation="rshared", stand_in=str(ground.shared_folder())),
        ),
        _disk(ground),
        user_namespace=os.geteuid() == 0,
        remapped=remaps_users(),
        security_module=confines(),
    )


def _disk(ground: Ground) -> tuple[Node, ...]:
    try:
        return (Node("/dev/holdfast-disk", "/dev/holdfast-disk", stand_in=str(ground.disk().device)),)
    except (NotReachable, NotPermitted):
        return ()


def _exercise(
    made: Drill, ground: Ground, target: Wanted, chosen: Sequence[Technique], refused: Unsafe | None = None
) -> Exercise:
    asked = Target(target.name, target.kind, target.source, target.replica, target.differs)
    if refused is not None:
        return not_begun(asked, chosen, refused)
    try:
        replica, differs = staged(target.replica, ground)
    except (Error, OSError) as error:
        return not_begun(asked, chosen, error)
    leaked = ground.open_folder() if target.leaks else None
    told_of = (*target.differs, *differs)
    return made.exercise(Target(target.name, target.kind, target.source, replica, told_of, leaked), chosen)


def escaped(report: DrillReport) -> bool:
    """Tell whether an attempt on a target escaped."""
    return any(
        attempt.outcome is Outcome.ESCAPED and _leads_out(attempt.technique)
        for exercise in report.exercises
        for attempt in exercise.attempts
    )


def _leads_out(name: str) -> bool:
    technique = techniques.load().get(name)
    return technique is None or leads_out(technique)


def finished(report: DrillReport) -> bool:
    """Tell whether the drill came to its end, put everything back and was held by its controls.

    A control holds, here as in every report, where nothing worked on it that was not predicted.
    """
    held = not any(
        attempt.outcome is Outcome.ESCAPED and attempt.predicted is not Truth.YES
        for control in report.controls
        for attempt in control.attempts
    )
    whole = not any(each.trouble for each in (*report.exercises, *report.controls))
    return held and whole and not report.stopped and not report.changed and not report.left
