"""Find every containerised process through procfs alone, whichever runtime started it.

A process is containerised when it has a mount namespace of its own and either another root directory than the host,
or a container's id in its cgroup path. A service with a private /tmp and ``unshare -m`` keep the host's root; a
browser's sandbox keeps the host's mount namespace: none of them counts. gVisor and Kata run the container in a kernel
of their own; on the host there is the process of that kernel, and it stands for the container.
"""

# ruff: noqa: PTH116, PTH208 - /proc has thousands of names; a Path for each costs more than reading it

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from holdfast.collect.container_groups import Group, groups_of
from holdfast.collect.process import Handle, Vanished, folders_of, links_of, nodes_of, opened, texts_of
from holdfast.collect.reading import read_link, read_text
from holdfast.platforms._linux_host_records import mounts_of
from holdfast.platforms._procfs_cgroup import membership
from holdfast.platforms._procfs_record import (
    INITIAL,
    INITIAL_SINCE_6_17,
    NAMESPACES,
    HostView,
    Neighbour,
    ProcessRecord,
    Sightings,
)
from holdfast.platforms._procfs_status import Status

LIMIT = 4 << 20
NEIGHBOURS = 4096
"""Most processes outside that are compared with one container that sees them."""


def sightings(proc: str = "/proc", *, pids: frozenset[int] = frozenset(), filters: bool = True) -> Sightings:
    """Look at every process once.

    Args:
        proc: Where procfs is mounted. It shows the processes of the pid namespace it was mounted in.
        pids: Only containers that hold one of these processes; empty for all.
        filters: Read the seccomp programs too. Each process is stopped for some microseconds for that.

    Returns:
        One record for each container, its first process, and further ones for processes that hold more than it.
        Needs root to see everything; without it the records hold an Error for each thing that was refused.
    """
    return _Look(proc, pids, filters).taken()


@dataclass
class _Look:
    proc: str
    pids: frozenset[int]
    filters: bool
    vanished: int = 0
    notes: list[str] = field(default_factory=list)
    statuses: dict[int, str] = field(default_factory=dict)

    def taken(self) -> Sightings:
        host = host_view(self.proc)
        try:
            numbers = sorted(int(name) for name in os.listdir(self.proc) if name.isdecimal())
        except OSError as error:
            return Sightings(host, notes=(f"{self.proc} cannot be listed: {error.strerror}",))
        found = groups_of(self.proc, numbers, host)
        self.vanished += found.vanished
        self.notes.extend(found.notes)
        chosen = [group for group in found.groups if not self.pids or not self.pids.isdisjoint(group.pids)]
        records: list[ProcessRecord] = []
        for group in chosen:
            records.extend(self._records(group, found.groups, numbers, host))
        records = self._with_filters(records)
        unseen = found.unseen
        if unseen:
            self.notes.append(
                f"not looked into: {unseen} {'process' if unseen == 1 else 'processes'} of which nobody knows "
                "whether it is contained; root sees more"
            )
        met = frozenset(pid for pid in self.pids if any(pid in group.pids for group in chosen))
        return Sightings(host, tuple(records), self.vanished, unseen, tuple(self.notes), met)

    def _records(
        self, group: Group, groups: Iterable[Group], numbers: list[int], host: HostView
    ) -> list[ProcessRecord]:
        records: list[ProcessRecord] = []
        for member in group.shown:
            try:
                handle = opened(self.proc, member.pid)
            except Vanished:
                self.vanished += 1
                continue
            try:
                records.append(self._record(handle, group, first=not records))
            except Vanished:
                self.vanished += 1
            finally:
                handle.close()
        others = max(0, len(group.pids) - len(records))
        return [
            replace(record, neighbours=self._neighbours(record, group, groups, numbers, host), others=others)
            for record in records
        ]

    def _record(self, handle: Handle, group: Group, *, first: bool) -> ProcessRecord:
        texts = texts_of(handle)
        cgroup = texts["cgroup"]
        known = membership(cgroup) if isinstance(cgroup, str) else None
        if group.device_mount and known is not None and ".." not in known.path.split("/"):
            path = f"{group.device_mount}{known.path.rstrip('/')}/devices.list"
            texts["devices.list"] = read_text(path, LIMIT)
        return ProcessRecord(
            pid=handle.pid,
            container=group.name,
            container_id=group.container_id,
            first=first,
            texts=texts,
            links={**links_of(handle), **group.sandbox_links},
            folders=folders_of(handle),
            nodes=nodes_of(handle, texts["mountinfo"]),
        )

    def _neighbours(
        self, record: ProcessRecord, group: Group, groups: Iterable[Group], numbers: list[int], host: HostView
    ) -> dict[int, Neighbour] | None:
        """Look at the processes outside that the container sees and that have its user.

        It sees those of its pid namespace, and all of them through a procfs of the host that is mounted inside.
        """
        status, namespace = record.texts["status"], record.links["ns/pid"]
        if not isinstance(status, str) or not isinstance(namespace, str):
            return None
        if namespace == host.namespaces.get("pid") or _sees_host_proc(record, host):
            outside = [pid for pid in numbers if pid not in group.pids]
        else:
            outside = [
                pid for other in groups if other is not group and other.pid_namespace == namespace for pid in other.pids
            ]
        user = Status(status).effective_user
        homes = {pid: other.name for other in groups for pid in other.pids}
        found: dict[int, Neighbour] = {}
        for pid in outside[:NEIGHBOURS]:
            text = self._status(pid)
            if Status(text).effective_user != user:
                continue
            link = read_link(f"{self.proc}/{pid}/ns/user")
            try:
                owner = os.stat(f"{self.proc}/{pid}").st_uid
            except OSError:
                continue
            found[pid] = Neighbour(text, link if isinstance(link, str) else "", owner, homes.get(pid, ""))
        return found

    def _status(self, pid: int) -> str:
        if pid not in self.statuses:
            text = read_text(f"{self.proc}/{pid}/status", LIMIT)
            self.statuses[pid] = text if isinstance(text, str) else ""
        return self.statuses[pid]

    def _with_filters(self, records: list[ProcessRecord]) -> list[ProcessRecord]:
        wanted = [record.pid for record in records if _filtered(record)] if self.filters else []
        if not wanted:
            return records
        from holdfast.collect.seccomp_filter import filters_of  # noqa: PLC0415 - ctypes, only where it is needed

        read = filters_of(wanted)
        return [replace(record, filters=read.get(record.pid)) for record in records]


def _sees_host_proc(record: ProcessRecord, host: HostView) -> bool:
    """Tell whether the host's whole procfs is mounted in a container: the same superblock as on the host's /proc."""
    table = record.texts["mountinfo"]
    own = {mount.device for mount in mounts_of(host.mountinfo) if mount.fstype == "proc"}
    return isinstance(table, str) and any(
        mount.fstype == "proc" and mount.root == "/" and mount.device in own for mount in mounts_of(table)
    )


def _filtered(record: ProcessRecord) -> bool:
    status = record.texts["status"]
    return isinstance(status, str) and Status(status).seccomp_mode == 2


def host_view(proc: str = "/proc") -> HostView:
    """Tell which namespaces and which mount table are the host's.

    Six kinds of initial namespaces have fixed numbers in every kernel, all eight since Linux 6.17. For the mount and
    network namespace of an older kernel the first process answers, else the first kernel thread, which shares them;
    else the collector's own, and a note says so.
    """
    names = dict(INITIAL)
    notes: list[str] = []
    own = {name: read_link(f"{proc}/self/ns/{name}") for name in NAMESPACES}
    if own["pid"] != INITIAL["pid"]:
        notes.append("this process runs in a pid namespace of its own: processes of the host are not all visible")
    for name, initial in INITIAL_SINCE_6_17.items():
        told = _told(proc, name)
        mine = own[name]
        if told:
            names[name] = told
        elif mine == initial:
            names[name] = initial
        elif isinstance(mine, str) and own["pid"] == INITIAL["pid"]:
            names[name] = mine
            notes.append(f"the host's {name} namespace could not be read; that of this process was taken for it")
    for path in (f"{proc}/1/mountinfo", f"{proc}/self/mountinfo"):
        text = read_text(path, LIMIT)
        if isinstance(text, str) and text and (path.endswith("self/mountinfo") or own["pid"] == INITIAL["pid"]):
            return HostView(names, text, path, own["cgroup"] == INITIAL["cgroup"], tuple(notes))
    return HostView(names, notes=tuple(notes))


def _told(proc: str, name: str) -> str:
    """Ask the first process, then the first kernel thread; both are the host's in the initial pid namespace only."""
    if read_link(f"{proc}/1/ns/pid") == INITIAL["pid"]:
        first = read_link(f"{proc}/1/ns/{name}")
        if isinstance(first, str):
            return first
    if read_text(f"{proc}/2/comm", LIMIT) == "kthreadd\n":
        thread = read_link(f"{proc}/2/ns/{name}")
        if isinstance(thread, str):
            return thread
    return ""
