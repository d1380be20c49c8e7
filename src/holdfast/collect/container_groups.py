"""Sort processes into containers: by mount namespace first, by cgroup path second, by root directory third."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.collect.process import Handle, Vanished, opened
from holdfast.collect.reading import read_link
from holdfast.model.errors import Error, NotReachable
from holdfast.platforms._linux_host_records import Mount, mounts_of
from holdfast.platforms._procfs_cgroup import Membership, membership
from holdfast.platforms._procfs_record import INITIAL, HostView
from holdfast.platforms._procfs_status import Status

SHOWN = 8
"""Most processes of one container that get a record."""
_MACHINES = ("qemu-system", "cloud-hyperviso", "firecracker", "dragonball")
_KATA = re.compile(r"/run/(?:vc|kata-containers)/(?:vm|sbs|shared/sandboxes)/([0-9a-zA-Z_.-]+)")
_BUNDLE = re.compile(r"--bundle[=\0]([^\0]+)")
_HEX = re.compile(r"[0-9a-f]{64}")
_CHROOT = "chroot"


@dataclass(slots=True)
class Member:
    """A process of a container."""

    pid: int
    cgroup: Membership
    mount_namespace: str
    pid_namespace: str = ""
    chroot: str = ""
    started: int = 0
    status: str = ""
    label: str = ""
    user_namespace: str = ""
    sandbox: str = ""
    key: str = ""


@dataclass(slots=True)
class Group:
    """One container.

    Attributes:
        name: Its id, or a name made of its root and pid namespace.
        container_id: 64 hex digits, empty where the cgroup path has none.
        pids: All its processes.
        shown: Its first process, then those that hold something the first does not.
        pid_namespace: Link of the first process's pid namespace, empty where it could not be read.
        device_mount: Where the version 1 devices hierarchy is mounted, empty where there is none.
        sandbox_links: ``sandbox`` -> ``gvisor`` or ``kata`` where the first process is a kernel of its own.
    """

    name: str
    container_id: str
    pids: frozenset[int]
    shown: tuple[Member, ...]
    pid_namespace: str = ""
    device_mount: str = ""
    sandbox_links: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """All containers, and what could not be told."""

    groups: list[Group]
    vanished: int = 0
    unseen: int = 0
    notes: list[str] = field(default_factory=list)


def groups_of(proc: str, numbers: list[int], host: HostView) -> Found:
    """Sort processes into containers.

    Args:
        proc: Where procfs is mounted.
        numbers: Process ids.
        host: What a process of the host has.
    """
    return _Sorting(proc, host).done(numbers)


class _Sorting:
    def __init__(self, proc: str, host: HostView) -> None:
        self.proc = proc
        self.host_mounts = tuple(mounts_of(host.mountinfo))
        self.host_namespace = host.namespaces.get("mnt")
        self.initial = read_link(f"{proc}/self/ns/pid") == INITIAL["pid"]
        self.host_pid_namespace = host.namespaces.get("pid")
        self.host_root = _root(self.host_mounts)
        self.device_mount = next(
            (m.target for m in self.host_mounts if m.fstype == "cgroup" and "devices" in m.super_options), ""
        )
        self.found = Found([])
        self.roots: dict[str, tuple[str, str] | None] = {}
        self.members: dict[str, list[Member]] = {}
        self.loose: list[Member] = []

    def done(self, numbers: list[int]) -> Found:
        for pid in numbers:
            try:
                handle = opened(self.proc, pid)
            except Vanished:
                self.found.vanished += 1
                continue
            try:
                self._sort(handle)
            except Vanished:
                self.found.vanished += 1
            finally:
                handle.close()
        for name, members in self._containers().items():
            group = self._group(name, members)
            if group is not None:
                self.found.groups.append(group)
        self.found.groups.sort(key=lambda group: group.shown[0].pid)
        return self.found

    def _containers(self) -> dict[str, list[Member]]:
        containers: dict[str, list[Member]] = {}
        for namespace, members in self.members.items():
            name = self._name(namespace, members)
            if name:
                containers.setdefault(name, []).extend(members)
                continue
            for member in members:  # made by hand: its parent stays outside, in the same mount namespace
                if member.chroot and member.pid_namespace not in {"", self.host_pid_namespace}:
                    containers.setdefault(f"{member.chroot} {member.pid_namespace}", []).append(member)
        for member in self.loose:
            containers.setdefault(member.key, []).append(member)
        return containers

    def _sort(self, handle: Handle) -> None:
        if handle.pid == 1 and self.initial:  # the host's first process, which some kernels show to nobody
            return
        namespace = handle.link("ns/mnt")
        if namespace == self.host_namespace:
            self._virtual_machine(handle)
            return
        cgroup = handle.text("cgroup")
        told = membership(cgroup if isinstance(cgroup, str) else "")
        if told.monitor:
            return
        if isinstance(namespace, Error):
            self._closed(handle, told)
            return
        program = handle.link("exe")
        if isinstance(program, NotReachable):  # a thread of the kernel; one of them has a mount namespace of its own
            return
        pid_namespace = handle.link("ns/pid")
        member = Member(handle.pid, told, namespace, pid_namespace if isinstance(pid_namespace, str) else "")
        root = handle.link("root")
        member.chroot = root if isinstance(root, str) and root != "/" else ""
        self.members.setdefault(namespace, []).append(member)
        known = self.roots.get(namespace)
        if known is None or known[0] == _CHROOT:  # a process that is not confined to a folder tells more
            self.roots[namespace] = self._root_of(handle, member) or known
        if isinstance(program, str):
            self._gvisor(handle, member, program)

    def _closed(self, handle: Handle, told: Membership) -> None:
        """Sort a process into whose namespaces nobody lets us look: its mount table is for everybody to read."""
        if told.container_id:
            self.loose.append(Member(handle.pid, told, "", key=told.container_id))
            return
        if not handle.text("cmdline"):  # a thread of the kernel has none
            return
        table = handle.text("mountinfo")
        root = _root(tuple(mounts_of(table))) if isinstance(table, str) else None
        if root is None or self.host_root is None:
            self.found.unseen += 1
        elif root != self.host_root and not _snap(told):
            self.loose.append(Member(handle.pid, told, "", key=told.name or "".join(root)))

    def _root_of(self, handle: Handle, member: Member) -> tuple[str, str] | None:
        if member.chroot:
            return (_CHROOT, member.chroot)
        table = handle.text("mountinfo")
        return _root(tuple(mounts_of(table))) if isinstance(table, str) else None

    def _name(self, namespace: str, members: list[Member]) -> str:
        """Name the container of one mount namespace; empty where its processes are ordinary ones of the host."""
        for member in members:
            if member.key:
                return member.key
        ids = [member.cgroup.container_id for member in members if member.cgroup.container_id]
        if ids:
            return max(ids, key=ids.count)
        root = self.roots.get(namespace)
        if root is None or self.host_root is None or self.host_namespace is None:
            self.found.unseen += len(members)
            return ""
        if root == self.host_root or all(_snap(member.cgroup) for member in members):
            return ""
        named = next((member.cgroup.name for member in members if member.cgroup.name), "")
        return named or f"{root[0]}{root[1]} {members[0].pid_namespace}"

    def _group(self, name: str, members: list[Member]) -> Group | None:
        read = [member for member in members if self._filled(member)]
        if not read:
            return None
        sandboxed = [member for member in read if member.sandbox]
        first = min(sandboxed or read, key=lambda member: (member.started, member.pid))
        shown = [first]
        if not first.sandbox:
            held = {_credentials(first)}
            for member in sorted(read, key=lambda member: member.pid):
                credentials = _credentials(member)
                if credentials not in held and _holds_more(member, first) and len(shown) < SHOWN:
                    held.add(credentials)
                    shown.append(member)
        ids = [member.cgroup.container_id for member in members if member.cgroup.container_id]
        identity = ids[0] if ids else name if _HEX.fullmatch(name) else ""
        links = {"sandbox": first.sandbox} if first.sandbox else {}
        return Group(
            name, identity, frozenset(member.pid for member in members), tuple(shown), first.pid_namespace,
            self.device_mount, links,
        )  # fmt: skip

    def _filled(self, member: Member) -> bool:
        """Read what tells the first process and the privileged ones; False for a process that is gone."""
        try:
            handle = opened(self.proc, member.pid)
        except Vanished:
            self.found.vanished += 1
            return False
        try:
            fields = handle.text("stat")
            status = handle.text("status")
            label, user = handle.text("attr/current"), handle.link("ns/user")
        except Vanished:
            self.found.vanished += 1
            return False
        finally:
            handle.close()
        numbers = fields.rpartition(")")[2].split() if isinstance(fields, str) else []
        # Field 22 of proc_pid_stat(5) is the start time; 19 fields before it follow the program's name.
        member.started = int(numbers[19]) if len(numbers) > 19 and numbers[19].isdecimal() else member.pid
        member.status = status if isinstance(status, str) else ""
        member.label = label if isinstance(label, str) else ""
        member.user_namespace = user if isinstance(user, str) else ""
        return not (numbers and numbers[0] in {"Z", "X"})

    # --- containers with a kernel of their own -----------------------------------------------------------------

    def _gvisor(self, handle: Handle, member: Member, program: str) -> None:
        """Recognise gVisor's kernel by its program, which must lie outside everything the process itself can reach.

        Its name alone proves nothing: a program inside an ordinary container can bear any name.
        """
        if not program.removesuffix(" (deleted)").rsplit("/", 1)[-1].startswith("runsc"):
            return
        table, arguments = handle.text("mountinfo"), handle.text("cmdline")
        try:
            device = os.stat("exe", dir_fd=handle.folder).st_dev
        except OSError:
            return
        number = f"{os.major(device)}:{os.minor(device)}"
        if not isinstance(table, str) or not isinstance(arguments, str):
            return
        inside = {mount.device for mount in mounts_of(table)}
        rooted = not member.chroot and any(mount.target == "/" for mount in mounts_of(table))
        outside = {mount.device for mount in self.host_mounts}
        bundle = _BUNDLE.search(arguments)
        if bundle and arguments.startswith("runsc-gofer"):
            member.key = _bundle_key(bundle[1])
        elif number in outside and number not in inside and rooted and bundle and "\0boot\0" in arguments:
            member.key = _bundle_key(bundle[1])
            member.sandbox = "gvisor"

    def _virtual_machine(self, handle: Handle) -> None:
        """Recognise the machine monitor of Kata Containers: it runs in the host's own mount namespace."""
        comm = handle.text("comm")
        if not isinstance(comm, str) or not comm.startswith(_MACHINES):
            return
        arguments, cgroup = handle.text("cmdline"), handle.text("cgroup")
        named = _KATA.search(arguments) if isinstance(arguments, str) else None
        if named:
            told = membership(cgroup if isinstance(cgroup, str) else "")
            self.loose.append(Member(handle.pid, told, "", sandbox="kata", key=told.container_id or named[1]))


def _root(mounts: tuple[Mount, ...]) -> tuple[str, str] | None:
    found = None
    for mount in mounts:
        if mount.target == "/":
            found = (mount.device, mount.root)
    return found


def _snap(told: Membership) -> bool:
    """Tell a snap: an application of the host that has its own root directory for packaging's sake."""
    return "/snap." in told.path


def _bundle_key(path: str) -> str:
    last = path.rstrip("/").rsplit("/", 1)[-1]
    return last if _HEX.fullmatch(last) else f"bundle {path}"


def _credentials(member: Member) -> tuple[object, ...]:
    status = Status(member.status)
    names = ("CapPrm", "CapEff", "CapBnd", "CapAmb")
    return (
        status.users, *(status.bits(name) for name in names), status.number("NoNewPrivs"), status.seccomp_mode,
        status.number("Seccomp_filters"), member.label, member.user_namespace,
    )  # fmt: skip


def _holds_more(member: Member, first: Member) -> bool:
    """Tell whether a process may do something that the first process of its container may not."""
    one, other = Status(member.status), Status(first.status)
    for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        mine, theirs = one.bits(name), other.bits(name)
        if mine is not None and theirs is not None and mine & ~theirs:
            return True
    if one.effective_user == 0 and other.effective_user != 0:
        return True
    for name in ("NoNewPrivs", "Seccomp", "Seccomp_filters"):
        mine, theirs = one.number(name), other.number(name)
        if mine is not None and theirs is not None and mine < theirs:
            return True
    return member.label != first.label or member.user_namespace != first.user_namespace
