"""Falco's questions about the acting process and its ancestors (proc.*, thread.*), answered from the process table.

A text that has nothing to say is the empty text where Falco has it so; what is not known is None.

Source:
    https://falco.org/docs/reference/rules/supported-fields/#field-class-process
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.model.event import Event, Process
from holdfast.reason.effective.capabilities import NAMES
from holdfast.sensor.processes import ancestors

LONGEST = 4096
"""Most bytes of a command line, as Falco cuts it."""
Ask = Callable[[Event], Any]
Trait = Callable[[Process], Any]

_SHELLS = frozenset({"ash", "bash", "csh", "ksh", "sh", "tcsh", "zsh", "dash"})


def name(process: Process) -> str:
    """Return ``comm``."""
    return process.name


def exe(process: Process) -> str | None:
    """Return argv[0]."""
    return process.arguments[0] if process.arguments else None


def exepath(process: Process) -> str | None:
    """Return the program's resolved path."""
    return process.executable.path or None


def args(process: Process) -> str:
    """Return the arguments without argv[0], joined with blanks."""
    return " ".join(process.arguments[1:])[:LONGEST]


def cmdline(process: Process) -> str:
    """Return ``comm`` and the arguments; argv[0], which the process chooses, is not in it."""
    return f"{process.name} {args(process)}"[:LONGEST] if len(process.arguments) > 1 else process.name


def env(process: Process) -> str:
    """Return the environment, joined with blanks."""
    return " ".join(process.environment)


def pid(process: Process) -> int:
    """Return the process id on the host."""
    return process.pid


TRAITS: dict[str, Trait] = {
    "name": name, "exe": exe, "exepath": exepath, "cmdline": cmdline, "args": args, "env": env,
    "pid": pid,
}  # fmt: skip
"""What can be asked of an ancestor, by the word after ``proc.a``."""


def ancestor(process: Process, index: int) -> Process | None:
    """Return the ancestor of this number: 0 is the process itself, 1 its parent."""
    if index == 0:
        return process
    for number, one in enumerate(ancestors(process), 1):
        if number == index:
            return one
    return None


def of_ancestor(trait: Trait, index: int) -> Ask:
    """Return how a trait of one ancestor is asked: ``proc.aname[2]``."""

    def ask(event: Event) -> Any:
        one = ancestor(event.process, index)
        return None if one is None else trait(one)

    return ask


def of_ancestors(trait: Trait) -> Ask:
    """Return how a trait of all ancestors, without the process itself, is asked: a tuple, nearest first."""

    def ask(event: Event) -> tuple[Any, ...]:
        return tuple(value for one in ancestors(event.process) if (value := trait(one)) is not None)

    return ask


def variable(process: Process, wanted: str) -> str | None:
    """Return the value of an environment variable."""
    start = f"{wanted}="
    return next((one[len(start) :] for one in process.environment if one.startswith(start)), None)


def argument(process: Process, index: int) -> str | None:
    """Return one argument; 0 is the first after argv[0]."""
    return process.arguments[index + 1] if 0 <= index < len(process.arguments) - 1 else None


def session_leader(process: Process) -> Process | None:
    """Return the leader of the session, else the eldest ancestor of the same session."""
    return _eldest(process, lambda one: one.session)


def group_leader(process: Process) -> Process | None:
    """Return the leader of the process group, else the eldest ancestor of the same group."""
    return _eldest(process, lambda one: one.group_leader)


def _eldest(process: Process, group: Callable[[Process], int]) -> Process | None:
    wanted = group(process)
    if not wanted:
        return None
    found = process
    for one in (process, *ancestors(process)):
        if group(one) != wanted or one.namespaces.get("pid") != process.namespaces.get("pid"):
            break
        found = one
        if one.virtual_pid == wanted:
            break
    return found


def capabilities(mask: int) -> str:
    """Write a capability set as names, lowest bit first."""
    return " ".join(one for bit, one in enumerate(NAMES) if mask >> bit & 1)


def _memfd(event: Event) -> bool | None:
    executable = event.process.executable
    return executable.origin == "memfd" if executable.origin or executable.path else None


def _self(trait: Trait) -> Ask:
    return lambda event: trait(event.process)


def _parent(trait: Trait) -> Ask:
    return of_ancestor(trait, 1)


def _leader(find: Callable[[Process], Process | None], trait: Trait) -> Ask:
    def ask(event: Event) -> Any:
        one = find(event.process)
        return None if one is None else trait(one)

    return ask


def epoch(event: Event, boot_ns: int) -> int | None:
    """Turn a time since boot into one since 1970, by the clocks as they stood at the event."""
    return boot_ns + event.wall_ns - event.at_ns if boot_ns else None


def _since(event: Event, boot_ns: int) -> int | None:
    return max(0, event.at_ns - boot_ns) if boot_ns else None


def _host_group(event: Event) -> int | None:
    """Return the process group's number on the host; inside a pid namespace only the leader tells it."""
    leader = group_leader(event.process)
    return leader.pid if leader is not None and leader.virtual_pid == event.process.group_leader else None


def _is_host_leader(event: Event) -> bool | None:
    found = _host_group(event)
    return None if found is None else found == event.process.pid


def _directory(event: Event) -> str | None:
    """Return the current directory; Falco writes it with a slash at its end."""
    found = event.process.directory
    return f"{found.rstrip('/')}/" if found else None


def _login_shell(event: Event) -> int | None:
    found = None
    for one in (event.process, *ancestors(event.process)):
        if one.name in _SHELLS:
            found = one.pid
    return found


def _grandparent_time(event: Event, turn: Callable[[Event, int], int | None]) -> int | None:
    parent = event.process.parent
    return None if parent is None else turn(event, parent.start_ns)


ANSWERS: dict[str, Ask] = {
    "proc.name": _self(name), "proc.exe": _self(exe), "proc.exepath": _self(exepath), "proc.args": _self(args),
    "proc.cmdline": _self(cmdline), "proc.env": _self(env), "proc.pid": _self(pid),
    "proc.exeline": lambda event: " ".join(event.process.arguments)[:LONGEST] or None,
    "proc.cmdnargs": lambda event: max(0, len(event.process.arguments) - 1),
    "proc.cmdlenargs": lambda event: sum(len(one) for one in event.process.arguments[1:]),
    "proc.pname": _parent(name), "proc.pexe": _parent(exe), "proc.pexepath": _parent(exepath),
    "proc.pcmdline": _parent(cmdline), "proc.ppid": _parent(pid),
    "proc.pvpid": _parent(lambda one: one.virtual_pid or None),
    "proc.cwd": _directory,
    "proc.tty": lambda event: event.process.terminal,
    "proc.vpid": lambda event: event.process.virtual_pid or None,
    "proc.sid": lambda event: event.process.session or None,
    "proc.vpgid": lambda event: event.process.group_leader or None,
    "proc.pgid": _host_group,
    "proc.sname": _leader(session_leader, name), "proc.sid.exe": _leader(session_leader, exe),
    "proc.sid.exepath": _leader(session_leader, exepath),
    "proc.vpgid.name": _leader(group_leader, name), "proc.vpgid.exe": _leader(group_leader, exe),
    "proc.vpgid.exepath": _leader(group_leader, exepath),
    "proc.pgid.name": _leader(group_leader, name), "proc.pgid.exe": _leader(group_leader, exe),
    "proc.pgid.exepath": _leader(group_leader, exepath),
    "proc.is_sid_leader": lambda event: event.process.session == event.process.virtual_pid,
    "proc.is_vpgid_leader": lambda event: event.process.group_leader == event.process.virtual_pid,
    "proc.is_pgid_leader": _is_host_leader,
    "proc.loginshellid": _login_shell,
    "proc.duration": lambda event: _since(event, event.process.start_ns),
    "proc.ppid.duration": lambda event: _grandparent_time(event, _since),
    "proc.pid.ts": lambda event: epoch(event, event.process.start_ns),
    "proc.ppid.ts": lambda event: _grandparent_time(event, epoch),
    "proc.is_exe_from_memfd": _memfd,
    "proc.exe_ino": lambda event: event.process.executable.inode or None,
    "thread.cap_effective": lambda event: capabilities(event.process.effective),
    "thread.cap_permitted": lambda event: capabilities(event.process.permitted),
}  # fmt: skip
