"""What of each technique the kernel is told to deny: the words of ``seen_as`` that name a kernel object, and a table.

A condition that asks who acts (``event.in_container``) or whose the target is (``event.target_outside``) is asked by
the programs themselves. What the kernel can tell more exactly than ``seen_as`` says, or only otherwise, stands in
``MORE``. Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import product

from holdfast.model.logic import All, AnyOf, Atom, Expr, Op, atoms
from holdfast.model.technique import Technique
from holdfast.model.words import event as word

EVERY = (1 << 64) - 1
NAME_SIZE = 32


class Kind(IntEnum):
    """``enum condition_kind`` of deny.h."""

    NAME = 1
    VOLUME = 2
    DEVICE = 3
    BLOCK = 4
    CHAR = 5
    HOST_ROOT = 6
    FOREIGN = 7
    NAMESPACE = 8
    MOUNT = 9
    MOUNT_BLOCK = 10
    MOUNT_SHARED = 11
    REMOUNT = 12
    UNCOVER = 13
    TRACE = 14
    SIGNAL = 15
    SOCKET = 16
    ABSTRACT = 17
    PORT = 18
    ADDRESS = 19
    LOOPBACK = 20
    FAMILY = 21
    NETLINK = 22
    USER_NAMESPACE = 23
    LOAD = 24
    BPF = 25
    CAPABILITY = 26
    IOCTL = 27
    SETUID = 28
    SHARED_MEMORY = 29
    CANARY = 30
    ROOT = 31


class Access(IntEnum):
    """``enum access`` of deny.h."""

    READ = 0
    WRITE = 1
    SYMLINK = 2
    CONNECT = 3


@dataclass(frozen=True, slots=True)
class Object:
    """One object that is denied; a key of the map ``conditions``.

    Attributes:
        kind, number, more, name: As deny.h says for each kind.
    """

    kind: Kind
    number: int = 0
    more: int = 0
    name: bytes = b""


@dataclass(frozen=True, slots=True)
class Ability:
    """A capability that is denied to one system call only.

    Attributes:
        number: Of the capability.
        call: Name of the system call.
    """

    number: int
    call: str


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the host's file system that is denied.

    Attributes:
        path: On the host; everything whose path begins so.
        access: How.
        wide: Only where the container's mount shows the named directory itself or one above it.
        spared: The opposite: what lies there is not denied.
    """

    path: str
    access: Access
    wide: bool = False
    spared: bool = False


Rule = Object | Ability | Place

PROC, SYSFS, CGROUP, CGROUP2 = 0x9FA0, 0x62656572, 0x27E0EB, 0x63677270
BINFMT, TRACEFS, DEBUGFS, BPFFS, FUSE = 0x42494E4D, 0x74726163, 0x64626720, 0xCAFE4A11, 0x65735546
KERNEL_FILES = (PROC, SYSFS, CGROUP, CGROUP2, BINFMT, TRACEFS, DEBUGFS, FUSE)
"""File systems whose files are settings; a file of such a name elsewhere is nothing."""
_MAGIC_OF = {"proc": PROC, "sysfs": SYSFS, "binfmt_misc": BINFMT, "cgroup": CGROUP}
DISKS = (
    "ext2",
    "ext3",
    "ext4",
    "xfs",
    "btrfs",
    "vfat",
    "exfat",
    "msdos",
    "iso9660",
    "squashfs",
    "f2fs",
    "ntfs3",
    "udf",
)
"""Types that are refused by their name, before the kernel reads the disk."""
_SYS_MODULE, _SYS_RAWIO, _SYS_ADMIN, _SYS_BOOT, _DAC_READ_SEARCH = 16, 17, 21, 22, 2
_FAMILIES = {"AF_PACKET": 17, "AF_ALG": 38}
_COMMANDS = {
    "PROG_LOAD": Object(Kind.BPF, 5), "OBJ_GET": Object(Kind.BPF, 7),
    "TIOCSTI": Object(Kind.IOCTL, 0x5412), "TIOCLINUX": Object(Kind.IOCTL, 0x541C),
    "RTM_NEWADDR": Object(Kind.NETLINK, 0, 20), "RTM_NEWROUTE": Object(Kind.NETLINK, 0, 24),
    "RTM_DELROUTE": Object(Kind.NETLINK, 0, 25), "RTM_NEWRULE": Object(Kind.NETLINK, 0, 32),
    "NFT_MSG_NEWRULE": Object(Kind.NETLINK, 12, 10 << 8 | 6),
    "NFT_MSG_DELRULE": Object(Kind.NETLINK, 12, 10 << 8 | 8), "unread": Object(Kind.NETLINK, 0, 0xFFFF),
}  # fmt: skip
"""Commands of bpf(2), ioctl(2) and netlink(7): of rtnetlink, and of the sub-system 10, nf_tables, of netfilter."""


def _both(kind: Kind, more: int = 0) -> tuple[Object, ...]:
    return Object(kind, Access.READ, more), Object(kind, Access.WRITE, more)


def _places(access: Access, *paths: str) -> tuple[Place, ...]:
    return tuple(Place(path, access) for path in paths)


_TRACE = (Object(Kind.TRACE, 1), Object(Kind.TRACE, 2))
_FOREIGN = _both(Kind.FOREIGN)
_BLOCK = _both(Kind.BLOCK)
_SETTINGS = tuple(Object(kind, 0, magic) for kind in (Kind.REMOUNT, Kind.UNCOVER) for magic in (PROC, SYSFS))
_CGROUP_MOUNT = Object(Kind.MOUNT, name=b"cgroup")

MORE: Mapping[str, tuple[Rule, ...]] = {
    "shim-abstract-socket": (Object(Kind.ABSTRACT),),
    "kubelet-device-plugin": _places(Access.WRITE, "/var/lib/kubelet/device-plugins/"),
    "systemd-bus": _places(Access.CONNECT, "/run/systemd/private", "/run/dbus/"),
    "host-network-loopback": (Object(Kind.LOOPBACK), Object(Kind.ABSTRACT)),
    "host-root-write": (Object(Kind.HOST_ROOT, Access.WRITE), Object(Kind.HOST_ROOT, Access.WRITE, 1)),
    # Whoever sees the whole root may read none of its files; directories stay readable.
    "host-root-read": (
        *_both(Kind.HOST_ROOT),
        *_places(
            Access.READ, "/root/", "/etc/ssl/private/", "/var/lib/etcd/", "/var/lib/docker/overlay2/",
            "/var/lib/rancher/",
        ),
        Place("/var/lib/docker/volumes/", Access.READ, wide=True),  # its own volumes lie there as well
    ),
    "kubelet-pods": (Place("/var/lib/kubelet/pods/", Access.READ, wide=True),),
    "cgroup-leave": tuple(
        Object(Kind.NAME, Access.WRITE, magic, name)
        for magic in (CGROUP, CGROUP2)
        for name in (b"cgroup.procs", b"cgroup.threads", b"tasks")
    ),
    "host-dev": _BLOCK,
    "tracefs-bpffs": (Object(Kind.VOLUME, Access.WRITE, BPFFS), Object(Kind.BPF, 6), Object(Kind.BPF, 7)),
    "mount-propagation": (Object(Kind.MOUNT_SHARED),),
    "disk-mount": (Object(Kind.MOUNT_BLOCK), *(Object(Kind.MOUNT, name=name.encode()) for name in DISKS)),
    "block-device-raw": _BLOCK,
    "cgroup-release-agent": (_CGROUP_MOUNT,),
    "userns-release-agent": (_CGROUP_MOUNT, Object(Kind.USER_NAMESPACE)),
    "cgroup-devices-allow": (_CGROUP_MOUNT,),
    "proc-remount": (
        *_SETTINGS,
        *(Object(Kind.MOUNT, name=name) for name in (b"proc", b"sysfs", b"binfmt_misc")),
        # No hook is asked about these; the capability that they need is.
        Ability(_SYS_ADMIN, "mount_setattr"), Ability(_SYS_ADMIN, "open_tree"),
    ),
    "binfmt-misc": (Object(Kind.MOUNT, name=b"binfmt_misc"), Object(Kind.VOLUME, Access.WRITE, BINFMT)),
    "kernel-module": (
        Object(Kind.LOAD, 2), Ability(_SYS_MODULE, "init_module"), Ability(_SYS_MODULE, "finit_module"),
        Ability(_SYS_MODULE, "delete_module"),
    ),
    "open-by-handle-read": (Ability(_DAC_READ_SEARCH, "open_by_handle_at"),),
    "open-by-handle-write": (Ability(_DAC_READ_SEARCH, "open_by_handle_at"),),
    "host-pid-ptrace": _TRACE,
    "host-pid-setns": (*_TRACE, Object(Kind.NAMESPACE, 1), Ability(_SYS_ADMIN, "setns")),
    "host-pid-root-ptrace": (*_TRACE, *_FOREIGN),
    "container-process": (*_TRACE, *_FOREIGN),
    "host-pid-root-same-user": (*_TRACE, *_FOREIGN),
    "host-proc-process": (*_TRACE, *_FOREIGN),
    "host-pid-signal": (Object(Kind.SIGNAL),),
    "raw-io-memory": (Ability(_SYS_RAWIO, "iopl"), Ability(_SYS_RAWIO, "ioperm"), Object(Kind.CHAR, 202, EVERY)),
    "bpf-tamper": (Object(Kind.BPF, 5),),
    "kexec": (
        Object(Kind.LOAD, 3), Ability(_SYS_BOOT, "kexec_load"), Ability(_SYS_BOOT, "kexec_file_load"),
    ),
    "mknod-assist": (Object(Kind.BLOCK, Access.WRITE),),
    "host-ipc": (Object(Kind.SHARED_MEMORY),),
    "input-tty": (Object(Kind.CHAR, 13, EVERY), Object(Kind.CHAR, 10, 223)),
    "leaked-directory": _FOREIGN,
    "rootless-engine-user": (*_places(Access.WRITE, "/home/"), *_places(Access.CONNECT, "/run/user/")),
}  # fmt: skip

NOT_DENIABLE: Mapping[str, str] = {
    "desktop-model-runner": "it is an ordinary request to a server that the container may ask",
    "pod-create": "it is an ordinary request to the Kubernetes API; its authorization decides",
    "persistent-volume-host-path": "it is an ordinary request to the Kubernetes API; its authorization decides",
    "gpu-driver": "the driver's own calls carry both use and abuse",
    "vfio-dma": "its device number is given out at run time",
    "cgroup-namespace-host": "what it reads is the process's own /proc/self/cgroup",
}
"""Techniques that no hook can tell from ordinary work, and why."""

BROADER: Mapping[str, str] = {
    "userns-release-agent": "every new user namespace is denied, not only one with a control group namespace",
    "host-network-loopback": "every connection to 127.0.0.0/8 in the host's network is denied",
    "rootless-engine-user": "every write below /home is denied",
    "cgroup-leave": "writing a cgroup.procs file is denied, that of a group of its own included",
    "var-log-symlink": "links are denied; plain writes to /var/log are not",
    "proc-remount": "mount_setattr and open_tree are denied, whatever they are about",
    "metadata-credentials": "the whole address is denied, whatever is asked there",
}
"""Where the kernel denies more, or other, than ``seen_as`` tells."""


def rules(technique: Technique) -> tuple[Rule, ...]:
    """Return what is denied so that a technique is; nothing where it cannot be."""
    if technique.id in NOT_DENIABLE:
        return ()
    found: dict[Rule, None] = {}
    for row in _rows(technique.seen_as):
        found.update(dict.fromkeys(_of(row)))
    found.update(dict.fromkeys(MORE.get(technique.id, ())))
    return tuple(found)


def _rows(condition: Expr) -> list[tuple[Atom, ...]]:
    """Split into comparisons that hold together: the disjunctive normal form."""
    if isinstance(condition, AnyOf):
        return [row for part in condition.parts for row in _rows(part)]
    if isinstance(condition, All):
        return [tuple(atom for row in rows for atom in row) for rows in product(*map(_rows, condition.parts))]
    return [tuple(atoms(condition))]


def _of(row: tuple[Atom, ...]) -> Iterator[Rule]:
    known = {(atom.fact, atom.op): atom.value for atom in row}
    call = known.get((word.SYSCALL, Op.IS), "")
    calls = known.get((word.SYSCALL, Op.ONE_OF), (call,))
    if (word.TARGET_OUTSIDE, Op.IS) in known and (word.SOCKET_FAMILY, Op.IS) not in known:
        return  # whose the target is, the programs ask; which of them, stands in MORE
    for atom in row:
        if atom.fact in {word.PATH, word.INNER_PATH} and atom.op is Op.ENDS_WITH and call != "connect":
            if known.get((word.WRITE, Op.IS)):
                leaf = atom.value.rpartition("/")[2].encode()
                yield from (Object(Kind.NAME, Access.WRITE, magic, leaf) for magic in KERNEL_FILES)
        elif atom.fact in {word.HOST_PATH, word.PATH} and atom.op is Op.ENDS_WITH:
            yield Object(Kind.SOCKET, name=atom.value.rpartition("/")[2].encode())
        elif atom.fact is word.HOST_PATH and atom.op is Op.STARTS_WITH:
            yield from _placed(atom.value, call, calls, writes=bool(known.get((word.WRITE, Op.IS))))
        elif atom.fact is word.HOST_MOUNT and atom.op is Op.STARTS_WITH.opposite:
            yield Place(atom.value, Access.WRITE, spared=True)
        else:
            yield from _thing(atom, call, known.get((word.ADDRESS, Op.IS)))


def _placed(path: str, call: str, calls: tuple[str, ...], *, writes: bool) -> Iterator[Place]:
    if call == "connect":
        yield Place(path, Access.CONNECT)
    elif {"symlink", "symlinkat"} >= set(calls):
        yield Place(path, Access.SYMLINK)
    elif path != "/var/lib/kubelet/pods/":  # its own volumes lie there as well; see MORE
        yield Place(path, Access.WRITE)
        if not writes:
            yield Place(path, Access.READ)


def _thing(atom: Atom, call: str, address: str | None) -> Iterator[Rule]:
    values = atom.value if atom.op is Op.ONE_OF else (atom.value,)
    if atom.fact is word.PORT and address is None:
        yield from (Object(Kind.PORT, port) for port in values)
    elif atom.fact is word.ADDRESS and atom.op in {Op.IS, Op.ONE_OF}:
        for one in map(ipaddress.ip_address, values):
            yield Object(Kind.ADDRESS, one.version, 0, one.packed)
    elif atom.fact is word.DEVICE:
        for value in values:
            major, _, minor = value.partition(":")
            yield Object(Kind.CHAR, int(major), int(minor) if minor else EVERY)
    elif atom.fact is word.SOCKET_FAMILY and call == "socket":
        yield from (Object(Kind.FAMILY, _FAMILIES[name]) for name in values)
    elif atom.fact is word.COMMAND:
        yield from (_COMMANDS[name] for name in values if name in _COMMANDS)
    elif atom.fact is word.FILE_MODE_SETUID:
        yield Object(Kind.SETUID)
