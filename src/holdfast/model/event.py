"""What the kernel sensor saw: one event, the process that acted, its container, and the object it acted on.

Everything here is a plain value. Who asks an event a question asks it by fact (``Event.get``); the sensor's room says
how a fact is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.model.facts import Fact

HOST = "host"


@dataclass(slots=True, eq=False)
class Executable:
    """The file a process runs.

    Attributes:
        path: As the process's own mounts show it; empty where it is not known.
        device: ``st_dev`` of the file system.
        inode: Inode number.
        changed_ns: ctime, nanoseconds since 1970.
        modified_ns: mtime, nanoseconds since 1970.
        origin: ``image`` (a lower layer), ``upper`` (written since the container was made), ``mount`` (a volume, a bind
            mount, a tmpfs of a container), ``host`` (of a process that is in no container), ``memfd``, or empty where
            it is not known.
    """

    path: str = ""
    device: int = 0
    inode: int = 0
    changed_ns: int = 0
    modified_ns: int = 0
    origin: str = ""


@dataclass(slots=True, eq=False)
class Container:
    """A container as its engine or orchestrator names it.

    Attributes:
        id: 64 hex digits where an engine told it, else a name the sensor gave it.
        name: The engine's name; empty until it is known.
        image: Reference as the user wrote it, ``registry/repository:tag``.
        image_id: Digest of the image's configuration, ``sha256:...``.
        runtime: ``docker``, ``podman``, ``containerd``, ``cri-o``, or empty.
        privileged: None until it is known.
        labels: The engine's labels; Kubernetes' pod name, namespace and uid are among them.
        mounts: ``(source, destination, mode, writable, propagation)`` of every bind mount and volume.
        started_ns: Wall clock, nanoseconds since 1970; 0 until it is known.
        state: ``pending`` until an engine answered, then ``complete``; ``missing`` where none knows it.
    """

    id: str
    name: str = ""
    image: str = ""
    image_id: str = ""
    runtime: str = ""
    privileged: bool | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[tuple[str, str, str, bool, str], ...] = ()
    started_ns: int = 0
    state: str = "pending"


@dataclass(slots=True, eq=False)
class Process:
    """A process, as it was when the event happened.

    Attributes:
        pid: Process id (thread group) in the initial pid namespace.
        start_ns: Start, CLOCK_BOOTTIME; with ``pid`` it names one process for good.
        virtual_pid: Process id in the innermost pid namespace.
        name: ``comm``, at most 15 bytes.
        arguments: argv, as it was given to exec; may be cut short.
        environment: ``NAME=value`` strings of the last exec; may be cut short.
        directory: Current directory, as the process sees it.
        executed_ns: Last exec, CLOCK_BOOTTIME; ``start_ns`` where there was none.
        user, effective_user, group, effective_group: Ids in the initial user namespace.
        login_user: Audit login id; None where unset.
        session: Process id of the session's leader, in the innermost pid namespace.
        group_leader: Process id of the process group's leader, in the innermost pid namespace.
        terminal: Device number of the controlling terminal; 0 where there is none.
        effective, permitted: Capability sets as bit masks.
        namespaces: Inode by kind: mnt, pid, net, ipc, uts, user, cgroup.
        cgroup: Id of the version 2 control group.
        parent: The process that started it, None where it is gone or unknown.
        container: None for a process of the host.
    """

    pid: int
    start_ns: int = 0
    virtual_pid: int = 0
    name: str = ""
    arguments: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    directory: str = ""
    executable: Executable = field(default_factory=Executable)
    executed_ns: int = 0
    user: int = 0
    effective_user: int = 0
    group: int = 0
    effective_group: int = 0
    login_user: int | None = None
    session: int = 0
    group_leader: int = 0
    terminal: int = 0
    effective: int = 0
    permitted: int = 0
    namespaces: Mapping[str, int] = field(default_factory=dict)
    cgroup: int = 0
    parent: Process | None = None
    container: Container | None = None


@dataclass(slots=True, eq=False)
class File:
    """A file system object.

    Attributes:
        path: Resolved by the kernel, as the acting process's mounts show it.
        raw: As it was given, not resolved.
        host_path: The same object in the host's own mounts; empty where it has none there, or it is not known. A file
            of the container's own root file system has none.
        host_mount: Where the host sees the root of the mount that it was reached through; empty as above.
        inner_path: In its own file system, wherever that or a part of it is mounted; empty where it is not known.
        device: ``st_dev``.
        inode: Inode number.
        mode: Permission bits and type (``st_mode``); 0 where they are not known.
        magic: ``f_type`` of the file system (``statfs``).
        file_system: Its type by name, where the mount table told it; else ``magic`` says it.
        kind: ``regular``, ``directory``, ``block``, ``char``, ``socket``, ``fifo``, ``symlink``.
        mount_namespace: Inode of the namespace that the file's mount belongs to.
        layer: ``upper`` or ``lower`` on overlay, else empty.
        number: Device number of a block or character device, as ``os.makedev`` makes it.
        resolved: The kernel resolved the path; else it is put together from what the call was given.
        outside: It does not lie below the acting process's root directory.
        peers: Peer group of the mount it lies on, where that was looked up; 0 for a private mount.
        loose: It lies in no directory: a memfd, a pipe, a namespace.
        cut: The path was too long to be read whole; ``/...`` stands where something is left out of its middle.
    """

    path: str = ""
    raw: str = ""
    host_path: str = ""
    host_mount: str = ""
    inner_path: str = ""
    device: int = 0
    inode: int = 0
    mode: int = 0
    magic: int = 0
    file_system: str = ""
    kind: str = ""
    mount_namespace: int = 0
    layer: str = ""
    number: int = 0
    resolved: bool = False
    peers: int = 0
    outside: bool = False
    loose: bool = False
    cut: bool = False


@dataclass(slots=True, eq=False)
class Socket:
    """A socket and its two ends.

    Attributes:
        family: ``AF_INET``, ``AF_UNIX``, ...
        kind: ``SOCK_STREAM``, ...
        protocol: Number as given to socket(2).
        local, remote: Address as text; the path of a unix socket, ``@`` first where it is abstract.
        local_port, remote_port: 0 where the family has none.
        server: The local end was bound and listens, or accepted.
        device, inode: The file behind a unix socket's path, as the kernel resolved it.
        peer_pid: Who listens at the other end of a unix socket; 0 where it is not known.
    """

    family: str = ""
    kind: str = ""
    protocol: int = 0
    local: str = ""
    local_port: int = 0
    remote: str = ""
    remote_port: int = 0
    server: bool = False
    device: int = 0
    inode: int = 0
    peer_pid: int = 0


Answer = Callable[["Event"], Any]


@dataclass(slots=True, eq=False)
class Event:
    """One thing that happened.

    Attributes:
        name: Name of the system call, or of the sensor's own event (``fork``, ``exit``, ``gap``, ...).
        at_ns: CLOCK_BOOTTIME.
        wall_ns: Nanoseconds since 1970, as the clock stood when the event was read.
        number: Sequence on its processor; a missing one is a gap.
        processor: Where it happened.
        result: What the call returned; negative is an errno. None where the event has no result.
        process: Who acted.
        arguments: The call's arguments by the names of its manual page; numbers as numbers, text as text.
        file: The object, where it is a file.
        socket: The object, where it is a socket.
        descriptor: The file descriptor that the call took or made; None where it has none.
        contained: The actor has run a program inside a container, or descends from who did, as the kernel says.
        write: The object was opened for writing, or the call changes something; None where neither can be said.
        before: The actor's namespaces before the call, inode by kind.
        answers: How a fact is answered, by fact.
        known: Answers that were worked out already.
    """

    name: str
    at_ns: int
    wall_ns: int
    process: Process
    number: int = 0
    processor: int = 0
    result: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    file: File | None = None
    socket: Socket | None = None
    descriptor: int | None = None
    contained: bool = False
    write: bool | None = None
    before: Mapping[str, int] = field(default_factory=dict)
    answers: Mapping[Fact[Any], Answer] = field(default_factory=dict)
    known: dict[Fact[Any], Any] = field(default_factory=dict)

    def get(self, fact: Fact[Any]) -> Any:
        """Answer a question; each is worked out once.

        Returns:
            The bare answer, None where there is none.
        """
        known = self.known
        if fact in known:
            return known[fact]
        answer = self.answers.get(fact)
        value = known[fact] = None if answer is None else answer(self)
        return value
