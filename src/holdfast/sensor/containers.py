"""Which container a process belongs to, and whether it left it. No I/O: what engines and procfs say is handed in.

What counts as being in a container, first rule that answers:

1. **Lineage.** A child of a container's process is in that container, whatever it did since: it moved to another
   control group, called setns into the host's namespaces, or changed its root. What it left is told by ``left``.
2. **The host's mount namespace** means the host. Without a mount namespace of its own a process sees the host's files
   and is contained by nothing an engine made. So Chromium's sandbox (user, pid and net namespaces, but the host's
   mounts) is a process of the host, and so is one whose control group only *looks* like a container's: the path of a
   control group is text that anybody who may make one chooses.
3. **Namespaces that an engine named.** The mount namespace of a container's first process decides, for ``docker
   exec`` and ``nsenter`` too: their parent is a process of the host, their namespaces are the container's.
4. **The control group's id**, as the kernel reported it when the group was made, where its path holds the id of a
   container. With rule 2 it needs a mount namespace of its own as well. This is how a container is known that lives
   too short for its engine to answer, and one with the host's pid namespace.
5. **The runtime's command line.** containerd's shim, conmon, runc and crun are told the id when they are started. Only
   processes of root, or of the user who runs the process, count, and only before the process is anybody's child.
6. **The path of the control group** that procfs showed, where it holds an id.
7. **The root directory**, for containers that no engine knows (plain runc, bubblewrap, nspawn): another mount and pid
   namespace than the host's and another root than the host's, as the kernel told or else the mount table. A service
   with PrivateTmp= or PrivateMounts= and ``unshare -m`` keep the host's pid namespace; ``unshare --pid --mount
   --fork`` keeps the host's root; none of them is a container. Where the root could not be read, at least two further
   namespaces must differ as well.

A process of the host that only visits (a runtime that joins to copy files, the first steps of ``runc init``) is in
the container as long as it is there; once it ran a program there, or was born there, it stays for good.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from holdfast.model.event import Container, Process
from holdfast.platforms._procfs_cgroup import membership
from holdfast.platforms._procfs_record import INITIAL, INITIAL_SINCE_6_17
from holdfast.sensor.processes import Life, ancestors

MOST = 16_384
"""Most containers and most control groups that are remembered; the oldest are forgotten first."""
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_MONITORS = ("libpod-conmon-", "crio-conmon-", "/conmon")
_STARTERS = 6
"""How many ancestors are asked for a runtime's command line: runc init, its two helpers, runc, the shim."""

_RUNTIME = re.compile(r"/(?:containerd-shim|docker-runc|conmon|runc|crun|youki|kata-runtime|runsc)[^/]*$")
_LOOKS = 8
_LOOKS_NS = 10_000_000_000
"""How often in ten seconds the root is looked at for one mount namespace: it changes while a container is set up."""

Root = tuple[str, str]
Look = Callable[[int], Root | None]


def initial_namespaces() -> dict[str, int]:
    """Return the inodes of the namespaces the kernel was booted with; mnt and net are fixed since Linux 6.17 only."""
    links = {**INITIAL, **INITIAL_SINCE_6_17}
    return {kind: int(link.partition("[")[2].rstrip("]")) for kind, link in links.items()}


@dataclass(frozen=True, slots=True)
class Known:
    """A container as an engine or a runtime's state tells it.

    Attributes:
        container: Its description.
        pid: First process on the host; 0 where it does not run, or its engine has not said.
        namespaces: Inodes of that process's namespaces; empty where they could not be read.
        ended: It runs no more.
    """

    container: Container
    pid: int = 0
    namespaces: Mapping[str, int] = field(default_factory=dict)
    ended: bool = False


class Departure(NamedTuple):
    """One thing in which a process differs from the first process of its container.

    Attributes:
        kind: ``mnt``, ``pid``, ``user``, ``net``, ``ipc``, ``uts``, ``cgroupns`` for a namespace, ``cgroup`` for the
            control group.
        to: ``host``: the host's own. ``container``: another container's. ``new``: nobody's that is known.
    """

    kind: str
    to: str


@dataclass(slots=True)
class _Home:
    """What a container's own processes have."""

    container: Container
    namespaces: dict[str, int]
    cgroup: int = 0
    people: int = 0
    settled: bool = False


class Containers:
    """Says for each process which container it is in. One thread owns it.

    Attributes:
        host: Inodes of the host's namespaces.
        wanted: Told of a container that no engine has described yet, so that somebody asks.
    """

    def __init__(
        self,
        host: Mapping[str, int] | None = None,
        *,
        look: Look = lambda _: None,
        host_root: Root | None = None,
        wanted: Callable[[Container], None] = lambda _: None,
    ) -> None:
        """Know no container yet.

        Args:
            host: Inodes of the host's namespaces, those of process 1.
            look: Tells the root directory of a process, as ``snapshot.root_of``.
            host_root: The host's own.
            wanted: As in the attributes.
        """
        self.host = dict(host) if host else initial_namespaces()
        self.wanted = wanted
        self._look = look
        self._host_root = host_root
        self._containers: dict[str, Container] = {}
        self._homes: dict[str, _Home] = {}
        self._by_mounts: dict[int, Container] = {}
        self._groups: dict[int, str] = {}
        self._turns: dict[int, int] = {}
        self._looks: dict[int, tuple[int, int]] = {}

    # --- what is told ------------------------------------------------------------------------------------------

    def made(self, cgroup: int, path: str) -> None:
        """Note a control group that the kernel made, or that procfs showed.

        Args:
            cgroup: Its id, as records have it.
            path: From the root of its hierarchy.
        """
        self._groups[cgroup] = path
        _forget(self._groups)
        found = _container_id(path)
        if found:
            self.named(found)

    def removed(self, cgroup: int) -> None:
        """Note that a control group is gone; its id may be given out again."""
        self._groups.pop(cgroup, None)

    def named(self, identity: str) -> Container:
        """Return the container of an id; a new one is pending, and somebody is asked for it."""
        found = self._containers.get(identity)
        if found is None:
            found = self._containers[identity] = Container(identity)
            self._crowd()
            self.wanted(found)
        return found

    def learned(self, told: Iterable[Known], people: Iterable[Life] = ()) -> None:
        """Take over what engines said since the last time.

        Args:
            told: Containers; an ended one gives its namespaces back.
            people: Living processes, to be looked at again where an engine claims a namespace that nobody had.
        """
        claimed: set[int] = set()
        for known in told:
            container = self._adopted(known)
            mounts = known.namespaces.get("mnt", 0)
            if known.ended:
                self._abandon(container)
            elif mounts and mounts != self.host.get("mnt"):
                if self._by_mounts.get(mounts) is not container:
                    claimed.add(mounts)
                self._by_mounts[mounts] = container
                home = self._homes.setdefault(container.id, _Home(container, {}))
                home.namespaces, home.settled = dict(known.namespaces), True
        if claimed:
            for life in people:
                if life.container is None and life.namespaces.get("mnt", 0) in claimed:
                    self.placed(life)

    # --- what is asked -----------------------------------------------------------------------------------------

    def placed(self, life: Life, groups: str = "") -> None:
        """Say which container a process is in. Called when it is new, moved, or runs another program.

        Args:
            life: The process; its ``container`` is set.
            groups: Text of its /proc/PID/cgroup, where it was read.
        """
        mounts = life.namespaces.get("mnt", 0)
        if life.container is not None:
            if mounts == self.host.get("mnt") and life.visits:
                self._depart(life)
            else:
                self._settle(life, life.container)
            return
        if not mounts or mounts == self.host.get("mnt"):
            return
        found = self._by_mounts.get(mounts)
        if found is None:
            found = self._by_group(life) or self._by_command(life) or self._by_groups(groups)
            if found is not None:
                self._abandon(found)  # a container that was started again has new namespaces
            else:
                found = self._by_root(life, mounts)
        if found is None:
            return
        life.container = found
        life.entered_ns = max(life.refreshed_ns, life.start_ns)
        self._by_mounts[mounts] = found
        _forget(self._by_mounts)
        self._settle(life, found)

    def ended(self, life: Life) -> None:
        """Note that a process ended. With the last one its container's namespaces are free for others."""
        if life.container is None or not life.counted:
            return
        life.counted = False
        home = self._homes.get(life.container.id)
        if home is not None:
            home.people -= 1
            if home.people <= 0:
                self._abandon(life.container)

    def left(self, process: Process) -> tuple[Departure, ...]:
        """Say what a process of a container no longer shares with it.

        Returns:
            Namespaces and control group that are not its container's; none for a process of the host.
        """
        if process.container is None:
            return ()
        home = self._homes.get(process.container.id)
        if home is None or not home.settled:
            return ()
        found = []
        for kind, own in home.namespaces.items():
            now = process.namespaces.get(kind, own)
            if now != own:
                found.append(Departure("cgroupns" if kind == "cgroup" else kind, self._owner(kind, now)))
        group = self._group_departure(process, home)
        return (*found, group) if group else tuple(found)

    def starting(self, process: Process) -> bool:
        """Tell whether a process is still the runtime's own, setting a container up or joining one.

        It came from the host into the container's namespaces and has run no program since.
        """
        return isinstance(process, Life) and process.container is not None and process.visits

    # --- how it is found out -----------------------------------------------------------------------------------

    def _by_group(self, life: Life) -> Container | None:
        identity = _container_id(self._groups.get(life.cgroup, ""))
        return self.named(identity) if identity else None

    def _by_groups(self, groups: str) -> Container | None:
        if not groups:
            return None
        told = membership(groups)
        if told.monitor:
            return None
        identity = _container_id(groups)
        if identity:
            return self.named(identity)
        return self.named(told.name) if told.name else None

    def _by_command(self, life: Life) -> Container | None:
        for ancestor in ancestors(life, _STARTERS):
            if ancestor.container is not None or ancestor.namespaces.get("mnt") != self.host.get("mnt"):
                return None
            if ancestor.user not in {0, life.user} or not _RUNTIME.search(ancestor.executable.path):
                continue
            for argument in ancestor.arguments:
                found = _ID.search(argument)
                if found:
                    return self.named(found[0])
        return None

    def _by_root(self, life: Life, mounts: int) -> Container | None:
        kinds = {kind for kind, inode in life.namespaces.items() if inode != self.host.get(kind, inode)}
        if "pid" not in kinds or life.own_root is False:
            return None
        if life.own_root:
            return self._nameless(mounts)
        many, since_ns = self._looks.get(mounts, (0, 0))
        if life.refreshed_ns - since_ns > _LOOKS_NS:
            many, since_ns = 0, life.refreshed_ns
        if many >= _LOOKS:
            return None
        self._looks[mounts] = many + 1, since_ns
        _forget(self._looks)
        root = self._look(life.pid)
        apart = root != self._host_root if root and self._host_root else len(kinds - {"mnt", "pid", "user"}) >= 2
        return self._nameless(mounts) if apart else None

    def _nameless(self, mounts: int) -> Container:
        """Name a container that nobody names; by its turn where the kernel gave its namespace's number out again."""
        plain = f"mnt{mounts:x}"
        turn = self._turns.get(mounts, 0)
        identity = f"{plain}-{turn}" if turn else plain
        if identity in self._containers and identity not in self._homes:
            self._turns[mounts] = turn + 1
            _forget(self._turns)
            identity = f"{plain}-{turn + 1}"
        return self.named(identity)

    # --- bookkeeping -------------------------------------------------------------------------------------------

    def _adopted(self, known: Known) -> Container:
        """Return our own object for what an engine described; one that we had to name ourselves becomes it."""
        told = known.container
        mounts = known.namespaces.get("mnt", 0)
        nameless = self._by_mounts.get(mounts)
        if nameless is not None and nameless.id.partition("-")[0] == f"mnt{mounts:x}":
            self._containers.pop(nameless.id, None)
            home = self._homes.pop(nameless.id, None)
            nameless.id = told.id
            if home is not None:
                self._homes[told.id] = home
            ours = self._containers[told.id] = nameless
        else:
            ours = self._containers.setdefault(told.id, Container(told.id))
            self._crowd()
        describe(ours, told)
        return ours

    def _settle(self, life: Life, container: Container) -> None:
        """Take what a process has as its container's own, until the first that ran a program has said it for good."""
        home = self._homes.get(container.id)
        if home is None:
            if not life.entered_ns:
                return
            home = self._homes[container.id] = _Home(container, {})
        if not life.counted and not life.ended_ns:
            home.people += 1
            life.counted = True
        if not home.settled:
            home.namespaces = dict(life.namespaces)
            home.settled = not life.visits
        if not home.cgroup and not life.visits:
            home.cgroup = life.cgroup

    def _crowd(self) -> None:
        if len(self._containers) > MOST:
            for identity in islice(self._containers, 64):
                if identity not in self._homes:
                    del self._containers[identity]
                    return
            del self._containers[next(iter(self._containers))]

    def _depart(self, life: Life) -> None:
        self.ended(life)
        life.container = None
        life.entered_ns = 0

    def _abandon(self, container: Container) -> None:
        home = self._homes.pop(container.id, None)
        if home is None:
            return
        for mounts in [inode for inode, owner in self._by_mounts.items() if owner is container]:
            del self._by_mounts[mounts]

    def _owner(self, kind: str, inode: int) -> str:
        if inode == self.host.get(kind):
            return "host"
        if kind == "mnt":
            return "container" if inode in self._by_mounts else "new"
        return "container" if any(home.namespaces.get(kind) == inode for home in self._homes.values()) else "new"

    def _group_departure(self, process: Process, home: _Home) -> Departure | None:
        if not home.cgroup or not process.cgroup or process.cgroup == home.cgroup:
            return None
        own, now = self._groups.get(home.cgroup), self._groups.get(process.cgroup)
        if own and now and (now == own or now.startswith(f"{own}/")):
            return None
        if now is None:
            return Departure("cgroup", "host") if process.cgroup == 1 else None
        other = _container_id(now)
        return Departure("cgroup", "container" if other and other != home.container.id else "host")


def describe(ours: Container, told: Container) -> None:
    """Copy an engine's description; the state last, so that a reader who sees it sees the rest."""
    ours.name = told.name or ours.name
    ours.image = told.image or ours.image
    ours.image_id = told.image_id or ours.image_id
    ours.runtime = told.runtime or ours.runtime
    if told.privileged is not None:
        ours.privileged = told.privileged
    ours.labels = told.labels or ours.labels
    ours.mounts = told.mounts or ours.mounts
    ours.started_ns = told.started_ns or ours.started_ns
    if ours.state != "complete":
        ours.state = told.state


def _container_id(path: str) -> str:
    """Return the outermost id: who is inside a container can make groups of any name below that of its own."""
    found = _ID.search(path)
    return found[0] if found and not any(mark in path for mark in _MONITORS) else ""


def _forget(table: dict[int, Any]) -> None:
    if len(table) > MOST:
        del table[next(iter(table))]
