"""One technique, tried on one running replica: the steps, the kernel's answers, and the proof on the host's side."""

from __future__ import annotations

import errno as errno_module
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.drill import fence
from holdfast.drill.acts import Answer
from holdfast.drill.genuine import feigned, kernels_own
from holdfast.drill.places import Filled, Places
from holdfast.drill.session import Session
from holdfast.model.drill import StepAnswer
from holdfast.model.technique import ProvedBy, Technique, Way

_TOLD = 100
_OVER_HTTP = frozenset({"http", "metadata"})
_HTTP_REFUSED = 400
_NO_WAY = "there is no harmless way to try it"
_NOT_HERE = "what it needs cannot be arranged on this machine without harm"


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying one technique on one replica.

    Attributes:
        escaped: Proved on the host's side.
        tried: At least one step was performed.
        way: The way that worked, else the one that came furthest.
        steps: Its steps and the kernel's answers.
        reason: Why nothing was tried or a success does not count; empty otherwise.
        absent: Words for what the technique needs of the host and is not inside; empty where one way has it all.
        inert: It worked, and nothing on this host acts on what was left; or it came to the host, which refused it.
        real: At least one way that was tried asked for something of the host's, not of the container's own.
    """

    escaped: bool
    tried: bool
    way: Way | None = None
    steps: tuple[StepAnswer, ...] = ()
    reason: str = ""
    absent: frozenset[str] = frozenset()
    inert: bool = False
    real: bool = False


@dataclass
class Surround:
    """What a trial needs to know of the host.

    Attributes:
        part: Tells whether a part runs on this host, such as ``systemd``.
        shared: Namespaces that the replica shares with the host, found by looking.
        global_effect: Ways that change a setting of the whole machine are allowed.
        prepare: Called before the first step of an attempt; writes down what it will leave.
        started: Starts what was left at a path, as an ordinary user, and tells whether it had root's rights.
        boundary: Called at every border between two steps.
        sandbox: The replica has a kernel of its own.
        mounts: The replica's: mount point, options, file system type.
        seccomp: Its profile, as in ``Replica``.
        refused: Tells whether a plug-in before an engine refused what carried a token.
    """

    part: Callable[[str], bool]
    shared: frozenset[str] = frozenset()
    global_effect: bool = False
    prepare: Callable[[Filled, bool], None] = field(default=lambda _filled, _global: None)
    started: Callable[[Path], bool] = field(default=lambda _path: False)
    boundary: Callable[[str], None] = field(default=lambda _name: None)
    written: Callable[[str, Iterable[Path]], bool] = field(default=lambda _token, _paths: False)
    cleanup: Callable[[str, Iterable[Path]], None] = field(default=lambda _token, _paths: None)
    sandbox: bool = False
    mounts: Sequence[tuple[str, frozenset[str], str]] = ()
    seccomp: str = "default"
    refused: Callable[[str], bool] = field(default=lambda _token: False)


def attempt(session: Session, technique: Technique, places: Places, surround: Surround) -> Trial:
    """Try every way of a technique until one works.

    Returns:
        The trial. A way that asks for what this host does not run, or whose success would not count, is tried all the
        same and its success not counted.

    Raises:
        Lost: The replica is gone.
        Unsafe: The fence refuses a way.
    """
    best: Trial | None = None
    absent: frozenset[str] | None = None
    real = False
    full = [way for way in technique.drill if way.global_effect] if surround.global_effect else []
    for way in (*full, *(way for way in technique.drill if not way.global_effect)):
        if way.loads and not surround.global_effect and not known_file_system(way.loads):
            best = best or Trial(False, tried=False, way=way, reason=f"it would load the kernel module {way.loads}")
            continue
        for filled in places.fill(way):
            absent = filled.absent if absent is None else absent and filled.absent and absent | filled.absent
            if not filled.real and way.proved_by is ProvedBy.SURFACE:
                best = best or Trial(False, tried=False, way=way)
                continue
            trial = _one(session, technique, way, filled, surround)
            real = real or filled.real
            if trial.escaped:
                return trial
            if (
                best is None
                or not best.tried
                or len(trial.steps) > len(best.steps)
                or (trial.reason and not best.reason)
            ):
                best = trial
    if best is None:
        return Trial(False, tried=False, reason=_NOT_HERE if technique.drill else _NO_WAY)
    return replace(best, absent=absent or frozenset(), real=real)


def known_file_system(name: str) -> bool:
    """Tell whether the kernel knows a file system type without loading anything."""
    try:
        return name in Path("/proc/filesystems").read_text(encoding="ascii").split()
    except OSError:
        return False


def _one(session: Session, technique: Technique, way: Way, filled: Filled, surround: Surround) -> Trial:
    name = technique.id
    told: list[StepAnswer] = []
    data: list[bytes] = []
    answer: Answer | None = None
    fence.check_way(technique, way, filled.steps, global_allowed=surround.global_effect)
    surround.prepare(filled, way.global_effect)
    surround.boundary(f"attempt {name}")
    with session.attempt(f"{name}.{filled.token[-8:]}") as tries:
        for step in filled.steps:
            surround.boundary(f"step {step.act}")
            answer = tries.step(step.act, step.args)
            data.append(answer.data)
            told.append(StepAnswer(step.act, _told(step.args), _named(step.act, answer)))
            if answer.errno or answer.result < 0:
                break
        done = len(told) == len(filled.steps) and answer is not None and not answer.errno
        escaped = _proved(way, filled, surround, told[-1].answer if told else "", b"".join(data), done=done)
        surround.boundary(f"proved {name}")
    surround.cleanup(filled.token, filled.outside)
    reason, inert = "", False
    needed = way.needs if filled.direct else (*way.needs, *way.wide_needs)
    missing = [part for part in needed if not surround.part(part)]
    foreign = sorted(way.in_host - surround.shared)
    if escaped and not filled.real:
        escaped, reason = False, "it reached what the container has itself, nothing of the host"
    if escaped and way.proved_by is ProvedBy.SURFACE:
        reason = _not_the_hosts(way, filled, surround)
        escaped = not reason
    if escaped and missing:
        escaped, inert, reason = False, True, f"nothing on this host acts on it: {', '.join(missing)}"
    elif escaped and foreign:
        escaped, reason = False, f"it happened in a namespace of the container's own: {', '.join(foreign)}"
    if not escaped and not reason and surround.refused(filled.token):
        inert, reason = True, "the authorization plug-in before the engine refused it"
    for hearing in filled.hearings:
        hearing.forget(filled.token)
    return Trial(escaped, tried=True, way=way, steps=tuple(told), reason=reason, inert=inert, real=filled.real)


def _not_the_hosts(way: Way, filled: Filled, surround: Surround) -> str:
    """Say who else than the host's kernel gave the answer that counts as success; empty where it was the kernel."""
    if surround.sandbox and not filled.host:
        return "it happened in the sandbox's own kernel"
    call = feigned(surround.seccomp, filled.steps, way.answers)
    if call:
        return f"the seccomp profile answers {call} itself, so the kernel was not asked"
    for step in filled.steps:
        path = step.args.get("path", step.args.get("procs_path", ""))
        if not filled.host and not kernels_own(path, surround.mounts):
            return f"something else is mounted at {path}"
    return ""


def _proved(way: Way, filled: Filled, surround: Surround, last: str, data: bytes, *, done: bool) -> bool:  # noqa: PLR0913 - each is one thing it depends on
    if way.proved_by is ProvedBy.SURFACE:
        return last in way.answers and (done or "ok" not in way.answers)
    if way.proved_by is ProvedBy.READ:
        return any(secret.encode() in data for secret in filled.secrets)
    if way.proved_by is ProvedBy.HEARD:
        return done and any(hearing.heard(filled.token) for hearing in filled.hearings)
    if way.proved_by is ProvedBy.STARTED:
        return done and any(map(surround.started, filled.outside))
    # A program that the kernel starts needs a moment even where the last step failed, such as a crash with no core.
    return surround.written(filled.token, filled.outside) if done or way.global_effect else False


def _named(act: str, answer: Answer) -> str:
    if act in _OVER_HTTP and answer.result >= _HTTP_REFUSED:
        return f"HTTP {answer.result}"
    if not answer.errno:
        return "ok" if answer.result >= 0 else str(answer.result)
    return errno_module.errorcode.get(answer.errno, str(answer.errno))


def _told(args: object) -> str:
    text = " ".join(args.values()) if isinstance(args, dict) else ""
    return text if len(text) <= _TOLD else f"{text[: _TOLD - 3]}..."
