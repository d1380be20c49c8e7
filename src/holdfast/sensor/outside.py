"""Whether what a container acts on is somebody else's: another container's or the host's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from holdfast.model.event import Event, Process
from holdfast.sensor.calls import F_SETOWN, FIOSETOWN, SIOCSPGRP
from holdfast.sensor.speech import acting

_PROCESSES = {"ptrace": "pid", "process_vm_readv": "pid", "process_vm_writev": "pid", "kill": "pid", "tkill": "tid",
              "tgkill": "tgid", "rt_sigqueueinfo": "pid", "rt_tgsigqueueinfo": "tgid", "pidfd_open": "pid",
              "prlimit64": "pid",
              "kcmp": "pid1"}  # fmt: skip
_DESCRIPTORS = frozenset(("pidfd_send_signal", "pidfd_getfd", "process_madvise"))
_SHARED = {"shmat": "ipc", "shmget": "ipc", "msgget": "ipc", "semget": "ipc", "connect": "net"}
"""Calls whose object is the host's where this namespace is."""
_LINK = re.compile(r"(?:^|/)proc/(self|thread-self|\d+)(?:/task/\d+)?/(root|cwd|fd/\d+|map_files/|exe)")
_OF_PROCESS = re.compile(
    r"(?:^|/)(\d+)(?:/task/\d+)?/(mem|environ|maps|root|cwd|fd|ns|fdinfo|exe|auxv|syscall|stack)\b"
)
_FOLDER = re.compile(r"/(\d+)$")
_PROC = 0x9FA0
_NSFS = 0x6E736673


def _nobody(space: int, number: int) -> Process | None:
    """Find no process: nobody said how."""
    del space, number
    return None


class Surroundings:
    """What the answers need of the world beyond the event. Filled in by whoever runs the sensor.

    Attributes:
        namespaces: Inodes of the host's namespaces, by kind.
        process: Finds a process by its number on the host.
        inside: Finds a process by the inode of its pid namespace and its number there.
        proc: Device number of the host's own procfs; 0 where it is not known.
        shared: Peer groups of the host's shared mounts.
    """

    def __init__(self, namespaces: Mapping[str, int], process: Callable[[int], Process | None], proc: int = 0) -> None:
        """Keep them."""
        self.namespaces = dict(namespaces)
        self.process = process
        self.proc = proc
        self.inside: Callable[[int, int], Process | None] = _nobody
        self.shared: frozenset[int] = frozenset()


def outside(event: Event, around: Surroundings) -> bool | None:
    """Tell whether what an event is about is not the acting container's own.

    Args:
        event: Its call decides what is asked about: a process, a namespace, a file, a mount, a network.
        around: The world beyond it.

    Returns:
        None where it cannot be said.
    """
    name, process, file = acting(event), event.process, event.file
    if name in _PROCESSES:
        number = event.arguments.get(_PROCESSES[name])
        return _process_outside(process, number, around) if isinstance(number, int) else None
    if name in _DESCRIPTORS:
        return _descriptor_outside(event, around)
    if name == "fcntl" or (name == "ioctl" and event.arguments.get("request") in {FIOSETOWN, SIOCSPGRP}):
        owner = _owner(event)
        return None if owner is None else _process_outside(process, owner, around)
    shared = _SHARED.get(name) or ("net" if event.socket and event.socket.family == "AF_NETLINK" else "")
    if shared:
        return process.namespaces.get(shared) == around.namespaces.get(shared)
    if file is None:
        return None
    if name == "setns":
        # Behind a pidfd are its owner's namespaces, and nobody enters his own.
        return file.inode not in event.before.values() if file.magic == _NSFS else True
    if name == "clone3":  # the group that the child is born in; it is there already when the child returns
        return file.outside if event.result else None
    if name in {"mount", "umount2", "move_mount"}:
        return file.peers in around.shared  # what is mounted there is mounted on the host too
    return _file_outside(event, around)


def _file_outside(event: Event, around: Surroundings) -> bool | None:
    """A file outside: on a mount of another namespace, or in procfs of a process that is not of this container."""
    file, process = event.file, event.process
    if file is None:
        return None
    if file.magic == _NSFS:  # one of the host's is known by its number; of another's it cannot be said whose it is
        mine = file.inode in process.namespaces.values()
        return False if mine else file.inode in around.namespaces.values() or None
    own = process.namespaces.get("mnt")
    above = file.outside or event.name == "chroot"  # what is a root now lies below nothing
    if file.resolved and above and file.mount_namespace and own and file.mount_namespace != own:
        return True
    link = _LINK.search(file.raw)
    if link is not None and link[1].isdigit() and not file.resolved:
        return _process_outside(process, int(link[1]), around)
    of = _OF_PROCESS.search(file.path if file.magic == _PROC else file.raw if not file.resolved else "")
    if of is not None:
        number = int(of[1])
        if around.proc and file.device == around.proc:
            return _process_outside(process, number, around, host_number=True)
        return _process_outside(process, number, around)
    return False if file.resolved else None


def _process_outside(process: Process, number: int, around: Surroundings, *, host_number: bool = False) -> bool | None:
    """Tell whether a process number means somebody who is not in the actor's container."""
    own = process.namespaces.get("pid", 0)
    hosts = own == around.namespaces.get("pid")
    if number <= 0:
        number = -number
        if number <= 1:  # everybody it may reach, or its own group
            return True if number and hosts else None
    target = around.process(number) if host_number or hosts else around.inside(own, number)
    if target is None:
        return None if host_number or hosts else False
    return target.container is not process.container or process.container is None


def _descriptor_outside(event: Event, around: Surroundings) -> bool | None:
    """Tell whether a descriptor of a process, or its folder in procfs, means somebody outside."""
    target, file = event.arguments.get("target"), event.file
    if target is not None:
        return _process_outside(event.process, target, around, host_number=True)
    folder = _FOLDER.search(file.path) if file is not None and file.magic == _PROC else None
    if file is None or folder is None:
        return event.process.namespaces.get("pid") == around.namespaces.get("pid") or None
    host = bool(around.proc) and file.device == around.proc
    return _process_outside(event.process, int(folder[1]), around, host_number=host)


def _owner(event: Event) -> int | None:
    """Return the process, or with a minus the group, that a descriptor's signals are to go to."""
    arguments = event.arguments
    data = arguments.get("data", b"")
    if event.name == "fcntl" and arguments.get("cmd") == F_SETOWN:
        number: int = arguments.get("arg", 0) & 0xFFFFFFFF
    elif event.name == "fcntl":
        number = int.from_bytes(data[4:8], "little") if len(data) >= 8 else 0
    else:
        number = int.from_bytes(data[:4], "little") if len(data) >= 4 else 0
    return (number - (1 << 32) if number >> 31 else number) or None
