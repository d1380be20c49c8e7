"""Raw records of containerised processes: what ``collect/procfs`` fills and ``platforms/procfs`` reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.model.errors import Error

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")

INITIAL = {
    "ipc": "ipc:[4026531839]",
    "uts": "uts:[4026531838]",
    "user": "user:[4026531837]",
    "pid": "pid:[4026531836]",
    "cgroup": "cgroup:[4026531835]",
    "time": "time:[4026531834]",
}
"""Links of the namespaces the kernel was booted with. The numbers are fixed; only mnt and net have none before 6.17.

Source:
    include/uapi/linux/nsfs.h (enum init_ns_ino), before that include/linux/proc_ns.h
"""
INITIAL_SINCE_6_17 = {"net": "net:[4026531833]", "mnt": "mnt:[4026531832]"}


@dataclass(frozen=True, slots=True)
class Folder:
    """An open directory of a process.

    Attributes:
        number: File descriptor.
        path: Where its link points.
        mount: Id of the mount it lies on, as fdinfo prints it; empty where it could not be read.
    """

    number: int
    path: str
    mount: str


@dataclass(frozen=True, slots=True)
class Node:
    """A device node: path inside the container, ``block`` or ``char``, numbers, owner and permissions on the host."""

    path: str
    kind: str
    major: int
    minor: int
    owner: int = 0
    group: int = 0
    mode: int = 0


@dataclass(frozen=True, slots=True)
class HostView:
    """What processes are compared with.

    Attributes:
        namespaces: Link text of the host's namespace by name; a name that is missing could not be told.
        mountinfo: The host's own mount table; empty where it could not be read.
        mountinfo_name: The file it was read from.
        whole_cgroups: Cgroup paths are read from the root of the hierarchies, not from inside a cgroup namespace.
        notes: How sure all this is.
    """

    namespaces: Mapping[str, str] = field(default_factory=dict)
    mountinfo: str = ""
    mountinfo_name: str = ""
    whole_cgroups: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process of a container, or one that holds other privileges than the container's first.

    Attributes:
        pid: In the collector's pid namespace.
        container: What tells this container from others: its id, else a name made of its namespaces.
        container_id: 64 hex digits, empty where the cgroup path has none.
        first: This is the container's first process.
        texts: Content by file name below /proc/PID: ``status``, ``uid_map``, ``gid_map``, ``attr/current``,
            ``mountinfo``, ``cgroup``, ``comm``, ``cmdline``; and ``devices.list`` of its device cgroup.
        links: Link text by name: ``ns/mnt`` ..., ``exe``.
        folders: Open directories; an Error where they could not be listed.
        nodes: Device nodes below its /dev; an Error where they could not be listed.
        filters: Seccomp programs, newest first; an Error where they could not be read; None where nobody tried.
        neighbours: ``status`` texts of processes outside this container that it can see, by pid, with the link of
            their user namespace; None where nobody looked.
        others: How many processes of the container have no record, because they hold no more than the first.
    """

    pid: int
    container: str
    container_id: str = ""
    first: bool = True
    texts: Mapping[str, str | Error] = field(default_factory=dict)
    links: Mapping[str, str | Error] = field(default_factory=dict)
    folders: tuple[Folder, ...] | Error = ()
    nodes: tuple[Node, ...] | Error = ()
    filters: tuple[bytes, ...] | Error | None = None
    neighbours: Mapping[int, Neighbour] | None = None
    others: int = 0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A process outside a container, as far as it bears on what the container may do to it.

    Attributes:
        status: /proc/PID/status.
        user_namespace: Link of its user namespace, empty where it could not be read.
        owner: Owner of /proc/PID: its effective user where the process is dumpable, else 0.
        container: The container it belongs to, as ``ProcessRecord.container``; empty for a process of the host.
    """

    status: str
    user_namespace: str
    owner: int
    container: str = ""


@dataclass(frozen=True, slots=True)
class Sightings:
    """Everything procfs showed in one look.

    Attributes:
        host: What processes are compared with.
        processes: Records; those of one container follow each other, its first process first.
        vanished: Processes that ended while they were read.
        unseen: Processes into which the kernel gave no look, so that nobody knows whether they are contained.
        notes: One-line remarks.
        met: Of the processes that were asked for, those that are in a container.
    """

    host: HostView
    processes: tuple[ProcessRecord, ...] = ()
    vanished: int = 0
    unseen: int = 0
    notes: tuple[str, ...] = ()
    met: frozenset[int] = frozenset()
