"""What a drill must not do, decided before anything is made. A refusal says what would have happened and what to do.

The fence stands beside the other safeguards, not in their place: the probe performs no act outside the closed set, and
the stage gives no host path. It catches the case that one of them is wrong.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from holdfast.drill import kernel_calls
from holdfast.drill.acts import ACTS
from holdfast.drill.undo_engine import LABEL
from holdfast.model.errors import Unsafe
from holdfast.model.replica import Replica
from holdfast.model.technique import DrillClass, Step, Technique, Way

NEVER = "never"
"""Value of the label ``holdfast.drill`` that keeps a drill off a container for good."""
REAL: Mapping[str, str] = {
    "/proc": "the kernel's view of its settings and processes; an empty folder would prove nothing",
    "/sys": "the kernel's view of devices, control groups, tracing and its settings; the same",
    "/run/docker.sock": "only a real engine can be asked for a container",
    "/run/podman/podman.sock": "the same",
    "/run/containerd/containerd.sock": "only a real containerd can be asked for a namespace",
    "/run/crio/crio.sock": "the same",
    "/run/cri-dockerd.sock": "the same",
    "/run/buildkit/buildkitd.sock": "the same",
}
"""Host paths that a replica may be given although they are not below the run folder, with the reason.

/proc and /sys stand for everything below them, the sockets for themselves.
"""
_ROOTLESS = re.compile(r"/run/user/[0-9]+/(docker\.sock|podman/podman\.sock)")
_DOOR = re.compile(r"/proc/[^/]+/(task/[^/]+/)?(root|cwd|fd|exe|map_files)(/|$)")
"""What in /proc leads to files that the kernel only passes on."""
_VIEWS = ("/proc", "/sys")
_MACHINE = "drill it in a virtual machine: holdfast drill --vm"


def check(  # noqa: PLR0913, PLR0917 - each of them can refuse
    target_labels: Mapping[str, str],
    consent: bool,
    drill_class: DrillClass,
    in_machine: bool,
    global_allowed: bool,
    steps: Iterable[Step],
    host_paths: Iterable[str],
    *,
    target: str = "",
    run_folder: Path | None = None,
) -> None:
    """Let one attempt pass, or refuse it.

    Args:
        target_labels: Labels of the container that is to be drilled.
        consent: The person agreed, with ``--yes`` or ``drill_consent = true``.
        drill_class: Of the technique.
        in_machine: This is a disposable virtual machine.
        global_allowed: ``--allow-global`` was given.
        steps: What the probe is to perform.
        host_paths: Sources of the replica's mounts.
        target: The container's name, for the error.
        run_folder: The folder below which a mount may come from; None where there is none yet.

    Raises:
        Unsafe: It must not be done.
    """
    check_target(target_labels, target)
    check_consent(consent, target, ())
    check_class(drill_class, target, in_machine=in_machine, global_allowed=global_allowed)
    check_steps(steps, target)
    check_sources(host_paths, run_folder, in_machine=in_machine)


def check_target(labels: Mapping[str, str], name: str) -> None:
    """Refuse a container whose owner said never.

    Raises:
        Unsafe: It carries the label ``holdfast.drill=never``.
    """
    if labels.get(LABEL, "").strip().lower() == NEVER:
        raise Unsafe(
            f"This container is not to be drilled: it carries the label {LABEL}={NEVER}",
            name,
            "take the label off, or drill another",
        )


def check_consent(consent: bool, name: str, techniques: Sequence[Technique]) -> None:
    """Refuse without consent, and say what would be done.

    Args:
        consent: The person agreed.
        name: The container.
        techniques: What would be tried; nothing where that is not known yet.

    Raises:
        Unsafe: Nobody agreed.
    """
    if consent:
        return
    tried = sum(technique.drill_class is not DrillClass.D0 for technique in techniques)
    number = f"{tried} techniques" if techniques else "techniques"
    raise Unsafe(
        f"A drill starts throw-away replicas of a container on this machine and tries {number} in them, with stand-ins"
        " for the host's files, disks and processes; what it makes is removed; the container itself is not touched",
        name,
        f"agree with --yes or drill_consent = true in the settings; keep drills off a container with {LABEL}={NEVER}",
    )


def check_class(drill_class: DrillClass, where: str, *, in_machine: bool, global_allowed: bool) -> None:
    """Refuse what must never be tried, and what changes the whole machine where that is not agreed.

    Args:
        drill_class: Of the technique.
        where: The technique or the container, for the error.
        in_machine: This is a disposable virtual machine.
        global_allowed: ``--allow-global`` was given.

    Raises:
        Unsafe: D0 always; D2 outside a virtual machine without ``--allow-global``.
    """
    if drill_class is DrillClass.D0:
        raise Unsafe("This technique is never tried: no attempt at it is harmless", where, "read why: holdfast explain")
    if drill_class is DrillClass.D2 and not in_machine and not global_allowed:
        raise Unsafe(
            "This attempt changes a setting of the whole machine for a moment",
            where,
            f"{_MACHINE}, or add --allow-global",
        )


def check_way(technique: Technique, way: Way, steps: Iterable[Step], *, global_allowed: bool) -> None:
    """Let one way of a technique pass, right before its first step, or refuse it.

    The other ways of a technique of class D2 look only, or write back what is there; they may run everywhere.

    Args:
        technique: What is tried.
        way: How.
        steps: Its steps, with every word filled in.
        global_allowed: Settings of the whole machine may be changed: it is disposable, or somebody agreed.

    Raises:
        Unsafe: It must not be tried.
    """
    kind = technique.drill_class
    if kind is not DrillClass.D0:
        kind = DrillClass.D2 if way.global_effect else DrillClass.D1
    check_class(kind, technique.id, in_machine=False, global_allowed=global_allowed)
    check_steps(steps, technique.id)


def check_replica(replica: Replica, run_folder: Path, *, in_machine: bool) -> None:
    """Refuse a replica that would be given the host's own files or disks, right before it is started.

    Raises:
        Unsafe: A mount comes from elsewhere than the run folder, or a block device is not one of the run's.
    """
    mounts = (bind.stand_in or bind.source for bind in replica.binds)
    check_sources(filter(None, mounts), run_folder, in_machine=in_machine)
    check_nodes((node.stand_in or node.source for node in replica.nodes), run_folder, in_machine=in_machine)


def check_steps(steps: Iterable[Step], where: str) -> None:
    """Refuse steps that the probe does not know.

    Raises:
        Unsafe: An act is outside the closed set, or its arguments are not the ones it takes.
    """
    for step in steps:
        if step.act not in ACTS:
            raise Unsafe(f"The act {step.act!r} is not in the closed set", where, "use one of holdfast.drill.acts.ACTS")
        if set(step.args) != set(ACTS[step.act]):
            raise Unsafe(
                f"The act {step.act!r} does not take {', '.join(sorted(step.args)) or 'nothing'}",
                where,
                f"give {', '.join(ACTS[step.act]) or 'nothing'}",
            )


def check_sources(paths: Iterable[str], run_folder: Path | None, *, in_machine: bool) -> None:
    """Refuse a mount of the host's own files.

    Args:
        paths: Where the replica's mounts come from.
        run_folder: What lies below it may be mounted.
        in_machine: In a disposable virtual machine everything may be.

    Raises:
        Unsafe: A path leads out of the run folder and is none of ``REAL``.
    """
    for path in () if in_machine else paths:
        try:
            # Both as written and as it is now: a link in the run folder may lead out of it.
            plain = {_plain(path), _plain(os.path.realpath(path))} if path.startswith("/") else {path}
        except OSError:
            plain = {""}  # a link that cannot be read may lead anywhere
        if not all(_passes(name, run_folder) for name in plain):
            raise Unsafe("A replica would be given a path of the host", path, f"mount a stand-in, or {_MACHINE}")


def _passes(plain: str, run_folder: Path | None) -> bool:
    view = any(plain == top or plain.startswith(f"{top}/") for top in _VIEWS) and not _DOOR.match(plain)
    ours = run_folder is not None and plain.startswith(f"{_plain(os.path.realpath(run_folder))}/")
    return view or ours or plain in REAL or _ROOTLESS.fullmatch(plain) is not None


def check_nodes(paths: Iterable[str], run_folder: Path | None, *, in_machine: bool) -> None:
    """Refuse a disk of the host's.

    Args:
        paths: Device nodes that the replica is granted.
        run_folder: A loop device that is backed by a file below it may be granted.
        in_machine: In a disposable virtual machine every disk may be.

    Raises:
        Unsafe: A block device is not a loop device of the run.
    """
    for path in () if in_machine else paths:
        try:
            block = stat.S_ISBLK(os.stat(path).st_mode)  # noqa: PTH116 - a text is at hand
        except OSError:
            continue
        ours = [] if run_folder is None else list(kernel_calls.loops_of(f"{os.path.realpath(run_folder)}/"))
        if block and os.path.realpath(path) not in map(str, ours):
            raise Unsafe(
                "A replica would be given a disk of the host itself", path, f"grant a loop device, or {_MACHINE}"
            )


def check_network(space: int, where: str) -> None:
    """Refuse to put an interface or an address into the network of this machine, the disposable one included.

    Args:
        space: Inode of the network namespace that is to be given something.
        where: The replica, for the error.

    Raises:
        Unsafe: It is the namespace of this process or of process 1.
    """
    for pid in ("self", "1"):
        try:
            ours = os.stat(f"/proc/{pid}/ns/net").st_ino  # noqa: PTH116 - the link's target, which has no path
        except OSError:
            continue
        if space == ours:
            raise Unsafe("The network of this machine would be changed", where, "give the replica a network of its own")


def _plain(path: str) -> str:
    plain = os.path.normpath(path).replace("//", "/")
    return plain[len("/var") :] if plain == "/var/run" or plain.startswith("/var/run/") else plain
