"""Live processes: what the kernel itself says about a container, whichever runtime started it and whatever was asked.

Records come from ``collect/procfs``. Each answer names the file below /proc it was read from.
"""

from __future__ import annotations

from typing import Any

from holdfast.model.errors import Error, NotPermitted, NotUnderstood
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members
from holdfast.model.words import observed
from holdfast.model.workload import Described, Reading, Workload
from holdfast.platforms._linux_host_records import Answer
from holdfast.platforms._procfs_cgroup import Membership, membership
from holdfast.platforms._procfs_mounts import mount_ids, mounts
from holdfast.platforms._procfs_record import INITIAL, NAMESPACES, HostView, ProcessRecord, Sightings
from holdfast.platforms._procfs_status import Status, capability_names

NAME = "procfs"
KIND = "process"
_UNSEEN_PROGRAM = "it calls itself gVisor's; which program it is could not be seen; run as root to see it"
_GIVEN_UP = "the sandbox has a kernel of its own; what its processes hold cannot be seen from the host"
_SANDBOXED_RUNTIME = {"gvisor": "runsc", "kata": "kata"}


def read_sightings(sightings: Sightings) -> Reading:
    """Answer the observed words of every record of one look.

    Args:
        sightings: As ``collect/procfs.sightings`` brings them.

    Returns:
        One workload for each record. Nothing in procfs is a document's fault, but a record that cannot be read at
        all is named among the problems.
    """
    workloads: list[Described] = []
    problems: list[NotUnderstood] = []
    for record in sightings.processes:
        workloads.append(read_process(record, sightings.host))
        status = record.texts.get("status")
        if isinstance(status, Error):
            problems.append(NotUnderstood(status.what, status.where, status.next))
    return Reading(tuple(workloads), tuple(problems))


def read_process(record: ProcessRecord, host: HostView) -> Described:
    """Answer the observed words of one process.

    Args:
        record: What was read below /proc/PID.
        host: What it is compared with.

    Returns:
        The workload, whose ``key`` is the container id, and its facts. A word whose file could not be read is absent
        with the reason. For gVisor and Kata the words of the process itself are absent: the process on the host is
        the sandbox, not the application.
    """
    reader = _Process(record, host)
    facts = reader.facts()
    return Described(reader.workload(), facts)


class _Process:
    def __init__(self, record: ProcessRecord, host: HostView) -> None:
        self.record = record
        self.host = host
        self.folder = f"/proc/{record.pid}"
        cgroup = record.texts.get("cgroup")
        self.cgroup: Membership | None = membership(cgroup) if isinstance(cgroup, str) else None
        sandbox = record.links.get("sandbox")
        self.sandbox = sandbox if isinstance(sandbox, str) else ""
        status = record.texts.get("status")
        self.status = Status(status) if isinstance(status, str) else None

    def where(self, name: str) -> Where:
        return Where(f"{self.folder}/{name}")

    def absent(self, name: str) -> Absent:
        entry = self.record.texts.get(name, self.record.links.get(name))
        if isinstance(entry, Error):
            return Absent(_reason(entry), self.where(name))
        return Absent(f"{name} holds something that is not understood", self.where(name))

    def workload(self) -> Workload:
        comm = self.record.texts.get("comm")
        program = comm.strip() if isinstance(comm, str) else "process"
        identity = self.record.container_id
        system = self.cgroup.name if self.cgroup else ""
        if self.sandbox:
            program = self.sandbox
        if identity:
            name = f"{program} ({identity[:12]})"
        elif self.sandbox:
            name = f"{program} {self.record.container.rstrip('/').rsplit('/', 1)[-1]}"
        elif system:
            name = system
        else:
            name = f"{program} (pid {self.record.pid})"
        if not self.record.first:
            name = f"{name}, process {self.record.pid}"
        labels = {"pid": str(self.record.pid), "container": self.record.container}
        if not self.record.first:
            labels["further"] = "yes"
        return Workload(name, KIND, Where(self.folder), key=identity, labels=labels)

    def facts(self) -> Facts:
        table: dict[Fact[Any], Answer] = {observed.PID: Seen(self.record.pid, Where(self.folder))}
        table.update(self._origin())
        inner: dict[Fact[Any], Answer] = {
            **self._status_answers(),
            **self._namespace_answers(),
            observed.USER_MAP: self._user_map(),
            observed.SECCOMP_FILTERS: self._filters(),
            observed.LSM_LABEL: self._label(),
            observed.MOUNTS: self._mounts(),
            observed.DEVICE_RULES: self._device_rules(),
            observed.DEVICE_NODES: self._device_nodes(),
            observed.OUTSIDE_FDS: self._outside_folders(),
            observed.SAME_USER_ON_HOST: self._same_user(contained=False),
            observed.SAME_USER_ID_ON_HOST: self._same_user_id(),
            observed.SAME_USER_IN_CONTAINER: self._same_user(contained=True),
        }
        if self.sandbox:
            inner = {fact: Absent(_GIVEN_UP, self.where("exe")) for fact in inner}
        table.update(inner)
        return Facts(table)

    def _origin(self) -> dict[Fact[Any], Answer]:
        told = self.cgroup
        where = self.where("cgroup")
        table: dict[Fact[Any], Answer] = {}
        identity = self.record.container_id
        table[observed.CONTAINER_ID] = Seen(identity, where) if identity else Absent("the cgroup path has no id", where)
        if self.sandbox:
            table[observed.RUNTIME] = Seen(_SANDBOXED_RUNTIME[self.sandbox], self.where("exe"))
        elif self._may_be_a_sandbox():
            table[observed.RUNTIME] = Absent(_UNSEEN_PROGRAM, self.where("exe"))
        elif told and told.starter:
            table[observed.RUNTIME] = Seen(told.starter, where, "as far as the cgroup path tells")
        else:
            table[observed.RUNTIME] = Absent("the cgroup path names no runtime", where)
        table[observed.CGROUP_V1_ROOT] = self._root_group()
        table[observed.CGROUP] = Seen(told.path, where) if told and told.path else self.absent("cgroup")
        return table

    def _may_be_a_sandbox(self) -> bool:
        """Tell whether it calls itself gVisor's while nobody let us see which program it is. A name proves nothing."""
        line = self.record.texts.get("cmdline")
        return (
            isinstance(self.record.links.get("exe"), NotPermitted)
            and isinstance(line, str)
            and line.split("\0", 1)[0].rsplit("/", 1)[-1].startswith("runsc")
        )

    def _root_group(self) -> Answer:
        text = self.record.texts.get("cgroup")
        if not isinstance(text, str):
            return self.absent("cgroup")
        if not self.host.whole_cgroups:
            return Absent("cgroup paths were read from inside a cgroup namespace", self.where("cgroup"))
        lines = [line.split(":", 2) for line in text.splitlines()]
        first = [fields for fields in lines if len(fields) == 3 and fields[1]]
        return Seen(any(fields[2] == "/" for fields in first), self.where("cgroup"))

    # --- status ------------------------------------------------------------------------------------------------

    def _status_answers(self) -> dict[Fact[Any], Answer]:
        status, where = self.status, self.where("status")
        words: dict[Fact[Any], Any] = {
            observed.HOST_USER_ID: status and status.effective_user,
            observed.SECCOMP_MODE: status and status.seccomp_mode,
        }
        flag = status.number("NoNewPrivs") if status else None
        words[observed.NO_NEW_PRIVILEGES] = None if flag is None else flag == 1
        for fact, field in (
            (observed.CAPABILITIES_EFFECTIVE, "CapEff"),
            (observed.CAPABILITIES_PERMITTED, "CapPrm"),
            (observed.CAPABILITIES_BOUNDING, "CapBnd"),
            (observed.CAPABILITIES_AMBIENT, "CapAmb"),
        ):
            bits = status.bits(field) if status else None
            words[fact] = None if bits is None else capability_names(bits)
        further = status.numbers("Groups") if status else None
        groups = status.groups if status else ()
        words[observed.HOST_GROUP_IDS] = Members.of(groups[1], *(further or ())) if groups else None
        return {fact: self.absent("status") if value is None else Seen(value, where) for fact, value in words.items()}

    def _user_map(self) -> Answer:
        text = self.record.texts.get("uid_map")
        if not isinstance(text, str):
            return self.absent("uid_map")
        rows: list[tuple[int, int, int]] = []
        for line in text.splitlines():
            fields = line.split()
            if len(fields) != 3 or not all(field.isdecimal() for field in fields):
                return self.absent("uid_map")
            rows.append((int(fields[0]), int(fields[1]), int(fields[2])))
        return Seen(tuple(rows), self.where("uid_map"), "" if rows else "no user is mapped")

    def _filters(self) -> Answer:
        found = self.record.filters
        where = self.where("status")
        if self.status is not None and self.status.seccomp_mode == 0:
            return Seen((), where, "no filter: Seccomp is 0")
        if found is None:
            return Absent("nobody tried to read the filter", where)
        if isinstance(found, Error):
            return Absent(_reason(found), where)
        return Seen(found, Where(self.folder), "read from the kernel with PTRACE_SECCOMP_GET_FILTER")

    def _label(self) -> Answer:
        entry = self.record.texts.get("attr/current")
        where = self.where("attr/current")
        if isinstance(entry, str):
            return Seen(entry.strip().rstrip("\0"), where)
        if isinstance(entry, Error) and "Invalid argument" in entry.what:
            return Seen("", where, "no security module labels processes here")
        return self.absent("attr/current")

    # --- namespaces --------------------------------------------------------------------------------------------

    def _namespace_answers(self) -> dict[Fact[Any], Answer]:
        same: set[object] = set()
        doubtful: set[object] = set()
        for name in NAMESPACES:
            if name == "user":
                continue
            mine, theirs = self.record.links.get(f"ns/{name}"), self.host.namespaces.get(name)
            if isinstance(mine, str) and (mine == theirs or mine == INITIAL.get(name)):
                same.add(name)
            elif theirs is None or not isinstance(mine, str):
                # A kernel without this kind of namespace has no such link; then everything shares the only one.
                doubtful.add(name)
        parts: dict[object, Where] = {name: self.where(f"ns/{name}") for name in NAMESPACES}
        user, initial = self.record.links.get("ns/user"), self.host.namespaces.get("user", INITIAL["user"])
        own: Answer = Seen(user != initial, self.where("ns/user")) if isinstance(user, str) else self.absent("ns/user")
        note = "; ".join(self.host.notes)
        return {
            observed.SHARED_NAMESPACES: Seen(
                Members(yes=frozenset(same), maybe=frozenset(doubtful)), self.where("ns"), note, parts
            )
            if len(doubtful) < len(NAMESPACES) - 1
            else self.absent("ns/mnt"),
            observed.OWN_USER_NAMESPACE: own,
        }

    # --- what it sees ------------------------------------------------------------------------------------------

    def _mounts(self) -> Answer:
        text = self.record.texts.get("mountinfo")
        if not isinstance(text, str) or not text:
            return self.absent("mountinfo")
        found = mounts(text, self.host.mountinfo)
        where = self.where("mountinfo")
        parts: dict[object, Where] = {mount: Where(where.document, "", line) for line, mount in enumerate(found, 1)}
        return Seen(found, where, "" if self.host.mountinfo else "the host's own mounts could not be read", parts)

    def _device_rules(self) -> Answer:
        text = self.record.texts.get("devices.list")
        path = self.cgroup.path if self.cgroup else ""
        if isinstance(text, str):
            return Seen(tuple(text.splitlines()), Where(f"devices.list of {path}"))
        if isinstance(text, Error):
            return Absent(_reason(text), Where(text.where))
        return Absent(
            "device rules of cgroup version 2 are BPF programs, which are not read", Where(f"{self.folder}/cgroup")
        )

    def _device_nodes(self) -> Answer:
        where = self.where("root/dev")
        if isinstance(self.record.nodes, Error):
            return Absent(_reason(self.record.nodes), where)
        return Seen(
            tuple(
                observed.DeviceNode(node.path, node.kind, node.major, node.minor, node.owner, node.group, node.mode)
                for node in self.record.nodes
            ),
            where,
        )

    def _outside_folders(self) -> Answer:
        where = self.where("fd")
        folders, text = self.record.folders, self.record.texts.get("mountinfo")
        if isinstance(folders, Error):
            return Absent(_reason(folders), where)
        if not folders:
            return Seen((), where, "no directory is open")
        if not isinstance(text, str):
            return self.absent("mountinfo")
        inside = mount_ids(text)
        if any(not folder.mount for folder in folders):
            return Absent("the mount of an open directory could not be told", where)
        return Seen(tuple(folder.path for folder in folders if folder.mount not in inside), where)

    def _same_user_id(self) -> Answer:
        """Compare with the host's processes as kill(2) does: by the user's number alone, groups and rights aside."""
        seen, where = self.record.neighbours, self.where("ns/pid")
        if seen is None or self.status is None or not self.status.groups:
            return Absent("the processes outside could not be compared with", where)
        user = self.status.users[1]
        for pid, neighbour in seen.items():
            other = Status(neighbour.status)
            if not neighbour.container and user in (other.users[0], other.users[2]) and "VmSize" in other.fields:
                return Seen(True, Where(f"/proc/{pid}/status"), f"process {pid} outside has the same user id")
        return Seen(False, where, "no such process is visible from inside")

    def _same_user(self, *, contained: bool) -> Answer:
        """Compare with the processes outside as ptrace_may_access does, but for capabilities that override it.

        Args:
            contained: Compare with the processes of other containers, else with those of the host.
        """
        seen, where = self.record.neighbours, self.where("ns/pid")
        if seen is None or self.status is None or not self.status.groups:
            return Absent("the processes outside could not be compared with", where)
        mine = self.status.bits("CapPrm")
        user, group = self.status.users[1], self.status.groups[1]
        own = self.record.links.get("ns/user")
        doubt = False
        for pid, neighbour in seen.items():
            if bool(neighbour.container) is not contained:
                continue
            other = Status(neighbour.status)
            theirs = other.bits("CapPrm")
            if set(other.users[:3]) != {user} or set(other.groups[:3]) != {group} or "VmSize" not in other.fields:
                continue  # another user; or a thread of the kernel, which has no memory
            if theirs is not None and mine is not None and theirs & ~mine:
                continue  # it holds more, so the kernel refuses access to it
            if neighbour.owner != user:
                continue  # not dumpable
            if theirs is None or mine is None or not isinstance(own, str) or not neighbour.user_namespace:
                doubt = True
            elif neighbour.user_namespace == own:
                return Seen(True, Where(f"/proc/{pid}/status"), f"process {pid} outside has the same user")
        if doubt:
            return Absent("a process outside has the same user; what else it holds could not be seen", where)
        return Seen(False, where, "no such process is visible from inside")


def _reason(error: Error) -> str:
    return f"{error.what}; {error.next}" if error.next else error.what
