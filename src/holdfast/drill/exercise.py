"""Every technique on one target: the attempt, its repetition in a fresh replica, and what stopped it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.drill.accomplice import nobody_starts
from holdfast.drill.boxes import PROBE, Box, Boxes
from holdfast.drill.finders import Finders, mount_table
from holdfast.drill.genuine import own_kernel
from holdfast.drill.ground import Ground
from holdfast.drill.layers import Gifts, in_force, ungiven, without
from holdfast.drill.neighbours import Beside, Neighbours
from holdfast.drill.parts import runs_here
from holdfast.drill.stopping import Stopped as StoppedBy
from holdfast.drill.stopping import stopped_by
from holdfast.drill.trial import Surround, Trial, attempt
from holdfast.model.drill import Attempt, Exercise, Layer, Outcome
from holdfast.model.errors import Error, Unsafe
from holdfast.model.replica import Replica
from holdfast.model.technique import DrillClass, Technique
from holdfast.model.truth import Truth

Predict = Callable[[Box], Mapping[str, Truth]]
Tell = Callable[[str], None]

_BESIDE = "processes: one of the same user is planted on the host and one in another container, whoever runs there"
_REPETITIONS = 2
"""Fresh replicas in which a success may show itself again. On a slow machine one may run out of an engine's time."""
_SPACES = {"pid": "pid", "net": "net", "ipc": "ipc", "cgroup": "cgroup", "user": "user", "mnt": "mnt"}


@dataclass(frozen=True, slots=True)
class Target:
    """What is drilled.

    Attributes:
        name: As its owner calls it.
        kind: ``docker container``, ``Pod``, ...
        source: Where it is described.
        replica: What is started in its place; stand-ins are in place.
        differs: In what the replica is not like it.
        leaked: A directory that is left open for it.
    """

    name: str
    kind: str
    source: str
    replica: Replica
    differs: tuple[str, ...] = ()
    leaked: Path | None = None


class Stopped(Exception):
    """The person stopped the drill in the middle of a target.

    Attributes:
        exercise: What is finished of it.
    """

    def __init__(self, exercise: Exercise) -> None:
        """Carry what is finished."""
        super().__init__(exercise.trouble)
        self.exercise = exercise


@dataclass
class Drill:
    """One run's way to drill targets.

    Attributes:
        boxes: Starts replicas.
        ground: The host's side.
        gifts: What a replica can be given at most, to find what stopped an attempt.
        predict: What the scan of a running replica says.
        global_effect: Ways that change a setting of the whole machine are allowed.
        neighbours: Places beside a replica what it is to find on a network; None where nothing can be.
        explain: Find out what stopped each attempt.
        tell: Told about progress.
        boundary: Called at every border between two steps.
    """

    boxes: Boxes
    ground: Ground
    gifts: Gifts
    predict: Predict
    global_effect: bool = False
    neighbours: Neighbours | None = None
    explain: bool = True
    tell: Tell = field(default=lambda _text: None)
    boundary: Callable[[str], None] = field(default=lambda _name: None)
    _peer: tuple[int, str] = field(default=(0, ""), init=False)
    _beside: Beside = field(default_factory=Beside, init=False)

    def exercise(self, target: Target, techniques: Sequence[Technique]) -> Exercise:
        """Try every technique on a target.

        Returns:
            The attempts. Where the replica did not start, or was lost, what is finished is kept and the trouble named.

        Raises:
            Stopped: By the person; carries the same.
        """
        begun = time.monotonic()
        tried: dict[str, Trial] = {}
        predicted: Mapping[str, Truth] = {}
        trouble = ""
        stop: KeyboardInterrupt | None = None
        again: dict[str, Trial] = {}
        stopped: Mapping[str, StoppedBy] = {}
        wanted = [technique for technique in techniques if technique.drill_class is not DrillClass.D0]
        try:
            self.tell(f"{target.name}: starting the replica")
            with self._around(target) as box:
                predicted = self.predict(box)
                self._try(box, target, wanted, tried)
            won = [technique for technique in wanted if technique.id in tried and tried[technique.id].escaped]
            for _ in range(_REPETITIONS):
                left = [technique for technique in won if technique.id not in again or not again[technique.id].escaped]
                if left:
                    self.tell(f"{target.name}: repeating {len(left)} in a fresh replica")
                    with self._around(target) as box:
                        self._try(box, target, left, again)
            if self.explain:
                lost = [technique for technique in wanted if technique.id in tried and not tried[technique.id].escaped]
                stopped = self._stopped_by(target, lost, tried)
        except KeyboardInterrupt as error:
            trouble, stop = "the drill was stopped", error
        except (Error, OSError, subprocess.SubprocessError) as error:
            trouble = told(error)
        share = (time.monotonic() - begun) / max(1, len(tried))
        attempts = tuple(
            _judged(
                technique,
                tried.get(technique.id),
                again.get(technique.id),
                predicted.get(technique.id),
                stopped.get(technique.id, StoppedBy()),
                share,
                trouble,
            )
            for technique in techniques
        )
        differs = (*target.differs, *((_BESIDE,) if _sees_processes(target.replica) else ()))
        done = Exercise(target.name, target.kind, target.source, target.replica, differs, attempts, trouble)
        if stop is not None:
            raise Stopped(done) from stop
        return done

    @contextmanager
    def _around(self, target: Target) -> Iterator[Box]:
        """Start a replica, and plant before it is looked at what a scan of it would see: processes beside it."""
        replica = target.replica
        self._peer = (0, "")
        self._beside = Beside()
        with ExitStack() as stack:
            if _sees_processes(replica):
                secret = self.ground.new_token()
                beside = Replica(
                    engine=replica.engine,
                    runtime=replica.runtime,
                    user=replica.user,
                    capabilities_dropped=frozenset({"ALL"}),
                )
                peer = stack.enter_context(self.boxes.box(beside, secret=secret))
                self._peer = (peer.pid, secret)
            box = stack.enter_context(self.boxes.box(replica, leaked=target.leaked))
            if _sees_processes(replica):
                self.ground.process(0, capabilities=True)
                self.ground.process(self.ground.user_of(box.pid), capabilities=False)
            if self.neighbours is not None:
                self._beside = stack.enter_context(self.neighbours.placed(box))
            yield box

    def _try(self, box: Box, target: Target, techniques: Iterable[Technique], into: dict[str, Trial]) -> None:
        finders = Finders(self.ground, box, self._peer, self._leaked(target), self._beside)
        places = finders.places()
        surround = Surround(
            part=lambda name: runs_here(name, box.replica.engine),
            shared=shared_namespaces(box),
            global_effect=self.global_effect,
            prepare=lambda filled, wide: self.ground.prepare(filled, global_effect=wide),
            started=lambda path: self._started(path, box.replica.engine),
            boundary=self.boundary,
            written=self.ground.written,
            refused=self.ground.refused,
            cleanup=self.ground.cleanup,
            sandbox=finders.sandbox,
            mounts=() if finders.sandbox else mount_table(box.pid),
            seccomp=box.replica.seccomp,
        )
        try:
            for technique in techniques:
                self.tell(f"{target.name}: {technique.id}")
                into[technique.id] = attempt(box.session, technique, places, surround)
        finally:
            self.ground.forget_files()

    def _started(self, path: Path, engine: str) -> bool:
        """Have somebody else start what was left: an ordinary user a program, the engine a hook."""
        if path.suffix != ".json":
            return nobody_starts(path)
        with self.boxes.box(Replica(engine=engine)):
            return self.ground.written(path.stem, ())

    def _leaked(self, target: Target) -> tuple[str, str]:
        if target.leaked is None:
            return "", ""
        planted = self.ground.plant(target.leaked, 0o644)
        return planted or ("", "")

    def _stopped_by(self, target: Target, lost: list[Technique], tried: Mapping[str, Trial]) -> Mapping[str, StoppedBy]:
        layers = in_force(target.replica, self.gifts)
        by_id = {technique.id: technique for technique in lost}

        def try_with(kept: frozenset[Layer], names: list[str]) -> Mapping[str, Trial] | None:
            lifted = [layer for layer in layers if layer not in kept]
            replica = without(target.replica, lifted, self.gifts)
            return self._in(target, replica, [by_id[name] for name in names])

        return stopped_by(
            {technique.id: tried[technique.id] for technique in lost if technique.drill},
            layers,
            try_with,
            {technique.id: ungiven(technique, self.gifts) for technique in lost},
            lambda question: self.tell(f"{target.name}: {question}"),
        )

    def _in(self, target: Target, replica: Replica, techniques: list[Technique]) -> Mapping[str, Trial] | None:
        tried: dict[str, Trial] = {}
        try:
            with self._around(replace(target, replica=replica)) as box:
                self._try(box, replace(target, replica=replica), techniques, tried)
        except Unsafe:
            raise
        except (Error, OSError, subprocess.SubprocessError):
            # What did not start, or was lost, tells nothing about the rest.
            return tried or None
        return tried


def _sees_processes(replica: Replica) -> bool:
    return "pid" in replica.namespaces or any(bind.source in {"/", "/proc"} for bind in replica.binds)


def told(error: Exception) -> str:
    """Say in one line what went wrong."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f'; where: {error.filename}' if error.filename else ''}"
    return "; ".join(line for line in map(str.strip, str(error).splitlines()) if line)


def not_begun(target: Target, techniques: Sequence[Technique], error: Exception) -> Exercise:
    """Return what there is to say of a target of which no replica was started."""
    trouble = told(error)
    attempts = tuple(_judged(technique, None, None, None, StoppedBy(), 0.0, trouble) for technique in techniques)
    return Exercise(target.name, target.kind, target.source, target.replica, target.differs, attempts, trouble)


def shared_namespaces(box: Box) -> frozenset[str]:
    """Return the namespaces that a replica shares with the host. A sandbox shares none that counts."""
    if own_kernel(box.replica.runtime, box.pid, PROBE):
        return frozenset()
    shared: set[str] = set()
    for name, kind in _SPACES.items():
        try:
            if os.stat(f"/proc/{box.pid}/ns/{kind}").st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino:  # noqa: PTH116
                shared.add(name)
        except OSError:
            continue
    return frozenset(shared)


def _judged(  # noqa: PLR0913, PLR0917 - each is one thing it depends on
    technique: Technique,
    trial: Trial | None,
    again: Trial | None,
    predicted: Truth | None,
    stopped: StoppedBy,
    seconds: float,
    trouble: str,
) -> Attempt:
    empty = Attempt(technique.id, technique.title, technique.drill_class, predicted, Outcome.NOT_ATTEMPTED)
    if technique.drill_class is DrillClass.D0:
        return replace(empty, reason="never run: it would harm the machine or need a hole to be used")
    if trial is None:
        return replace(empty, reason=f"not reached: {trouble}" if trouble else "not reached")
    if not technique.drill:
        return replace(empty, reason="there is no harmless way to try it here")
    way = trial.way.title if trial.way else ""
    base = replace(empty, way=way, steps=trial.steps, reason=trial.reason, seconds=seconds, real=trial.real)
    if trial.escaped and again is not None and again.escaped and trial.way is not None:
        return replace(base, outcome=Outcome.ESCAPED, proved_by=trial.way.proved_by, repeated=True)
    if trial.escaped and again is None and trouble:
        reason = f"it worked once, and was not repeated: {trouble}"
        return replace(base, outcome=Outcome.NOT_ATTEMPTED, reason=reason)
    if trial.escaped:
        return replace(base, outcome=Outcome.BLOCKED, reason="it worked once and not again in a fresh replica")
    if not trial.tried and trial.reason:
        return replace(base, outcome=Outcome.NOT_ATTEMPTED)
    layers = stopped.layers
    if not layers and not stopped.reason and not trial.tried:
        # Without the host's thing inside there is no step to perform: the lack of it is what stops the attempt.
        layers = (Layer.NOT_MOUNTED,)
    reason = "; ".join(filter(None, (trial.reason, stopped.reason)))
    return replace(base, outcome=Outcome.BLOCKED, blocked_by=layers, together=stopped.together, reason=reason)
