"""How the house's own questions about an event are answered. Kernel objects decide; a string only where there is none.

A question that the event cannot answer gets None, which is unknown, never "no".
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any

from holdfast.model.event import Answer, Event
from holdfast.model.facts import Fact
from holdfast.model.words import event as word
from holdfast.reason.effective.syscall_table import CLONE_FLAGS, CONSTANTS, family_name
from holdfast.sensor.calls import F_SETOWN, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP
from holdfast.sensor.outside import Surroundings, outside
from holdfast.sensor.speech import UNREAD, acting

MAGICS: Mapping[int, str] = {  # include/uapi/linux/magic.h
    0x9FA0: "proc", 0x62656572: "sysfs", 0x794C7630: "overlay", 0x27E0EB: "cgroup", 0x63677270: "cgroup2",
    0x01021994: "tmpfs", 0xEF53: "ext4", 0x58465342: "xfs", 0x9123683E: "btrfs", 0x42494E4D: "binfmt_misc",
    0x6E736673: "nsfs", 0x64626720: "debugfs", 0x74726163: "tracefs", 0xCAFE4A11: "bpf", 0x73636673: "securityfs",
    0x65735546: "fuse", 0x19800202: "mqueue", 0x1373: "devpts", 0x858458F6: "ramfs", 0x53464846: "wslfs",
    0x62656570: "configfs", 0x6165676C: "pstore", 0xDE5E81E4: "efivarfs", 0x01021997: "9p",
}  # fmt: skip
_MOUNT_FLAGS = {
    "MS_RDONLY": 1, "MS_NOSUID": 2, "MS_NODEV": 4, "MS_NOEXEC": 8, "MS_REMOUNT": 32, "MS_BIND": 4096, "MS_MOVE": 8192,
    "MS_REC": 16384, "MS_PRIVATE": 1 << 18, "MS_SLAVE": 1 << 19, "MS_SHARED": 1 << 20,
}  # fmt: skip
_BPF = (
    "MAP_CREATE", "MAP_LOOKUP_ELEM", "MAP_UPDATE_ELEM", "MAP_DELETE_ELEM", "MAP_GET_NEXT_KEY", "PROG_LOAD", "OBJ_PIN",
    "OBJ_GET", "PROG_ATTACH", "PROG_DETACH", "PROG_TEST_RUN", "PROG_GET_NEXT_ID", "MAP_GET_NEXT_ID",
    "PROG_GET_FD_BY_ID", "MAP_GET_FD_BY_ID", "OBJ_GET_INFO_BY_FD", "PROG_QUERY", "RAW_TRACEPOINT_OPEN", "BTF_LOAD",
)  # fmt: skip
_NETLINK = {  # (protocol, type): include/uapi/linux/rtnetlink.h, nfnetlink.h, nf_tables.h
    (0, 16): "RTM_NEWLINK", (0, 17): "RTM_DELLINK", (0, 20): "RTM_NEWADDR", (0, 21): "RTM_DELADDR",
    (0, 24): "RTM_NEWROUTE", (0, 25): "RTM_DELROUTE", (0, 32): "RTM_NEWRULE", (0, 33): "RTM_DELRULE",
    (12, 10 << 8 | 0): "NFT_MSG_NEWTABLE", (12, 10 << 8 | 6): "NFT_MSG_NEWRULE", (12, 10 << 8 | 8): "NFT_MSG_DELRULE",
}  # fmt: skip
_REQUESTS = {CONSTANTS["TIOCSTI"]: "TIOCSTI", CONSTANTS["TIOCLINUX"]: "TIOCLINUX", FIOSETOWN: "FIOSETOWN",
             SIOCSPGRP: "SIOCSPGRP"}  # fmt: skip
_OWNERS = {F_SETOWN: "F_SETOWN", F_SETOWN_EX: "F_SETOWN_EX"}
_CLONE3_FLAGS = {**CLONE_FLAGS, "CLONE_INTO_CGROUP": 1 << 33}
"""clone3(2) has flags that did not fit into the register of clone(2)."""
_XATTRS = frozenset(("setxattr", "lsetxattr", "fsetxattr", "setxattrat"))
"""Those of a file's capabilities are a setuid bit by another name."""
_CHANGES = frozenset((
    "creat", "mknod", "mknodat", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2",
    "link", "linkat", "symlink", "symlinkat", "chmod", "fchmod", "fchmodat", "fchmodat2", "truncate", "mount",
    "umount2", "move_mount", "chown", "lchown", "fchown", "fchownat", *_XATTRS,
))  # fmt: skip
_OPENS = frozenset(("open", "openat", "openat2", "creat", "open_by_handle_at"))
_ABSENT = frozenset((-errno.ENOENT, -errno.ENOTDIR))
_NO_MEMBERS: frozenset[str] = frozenset()


def answers(around: Surroundings) -> dict[Fact[Any], Answer]:
    """Return how each word of ``model/words/event`` is answered."""
    return {
        word.IN_CONTAINER: lambda event: event.contained,
        word.SYSCALL: acting,
        word.PATH: _path,
        word.INNER_PATH: lambda event: (event.file.inner_path or None) if event.file else None,
        word.HOST_PATH: lambda event: (event.file.host_path or None) if event.file else None,
        word.HOST_MOUNT: lambda event: (event.file.host_mount or None) if event.file else None,
        word.PRIVATE: lambda event: not event.file.mode & 0o004 if event.file and event.file.mode else None,
        word.WRITE: _write,
        word.FILE_KIND: _file_kind,
        word.FILE_MODE_SETUID: _sets_setuid,
        word.FILE_SYSTEM: _file_system,
        word.FLAGS: _flags,
        word.SOCKET_FAMILY: _family,
        word.ADDRESS: lambda event: (event.socket.remote or None) if event.socket else None,
        word.PORT: lambda event: (event.socket.remote_port or None) if event.socket else None,
        word.TARGET_OUTSIDE: lambda event: outside(event, around),
        word.DEVICE: _device,
        word.ABSENT: lambda event: event.result in _ABSENT,
        word.COMMAND: _command,
        word.USERMODE_HELPER: _helper,
        word.EXECUTABLE_IN_CONTAINER: _strange_program,
    }


def _path(event: Event) -> str | None:
    if event.socket is not None and event.socket.family == "AF_UNIX":
        return event.socket.remote or None
    file = event.file
    if file is None:
        if event.name in {"mount", "umount2"}:
            target: str = event.arguments.get("target", "")
            return target or None
        return None
    # What lies outside the root was reached through a link of procfs or an open directory: the way says more.
    away = file.outside or event.name == "chroot"  # which makes it the root
    path = (file.raw if (away or file.loose) and file.raw else file.path) or None
    # Of a directory that is entered or opened, what is asked is whether the way leads through another one.
    return f"{path}/" if path and away and file.kind == "directory" and path[-1] != "/" else path


def _write(event: Event) -> bool | None:
    if event.write is not None:
        return event.write
    return True if event.name in _CHANGES else None


def _file_kind(event: Event) -> str | None:
    arguments = event.arguments
    if event.name in {"mknod", "mknodat"}:
        return {0o060000: "block", 0o020000: "char", 0o010000: "fifo", 0o140000: "socket"}.get(
            arguments.get("mode", 0) & 0o170000, "regular"
        )
    if event.name == "mount":
        return event.file.kind if event.file and event.file.kind in {"block", "char"} else None
    if event.name == "fsconfig":
        if arguments.get("key") != "source":
            return None
        if event.file is not None and event.file.kind in {"block", "char"}:
            return event.file.kind
        return "block" if str(arguments.get("value", "")).startswith("/dev/") else None
    return (event.file.kind or None) if event.file else None


def _device(event: Event) -> str | None:
    number = event.arguments.get("dev", 0) if event.name in {"mknod", "mknodat"} else None
    if number is None and event.file is not None and event.file.kind in {"char", "block"}:
        number = event.file.number
    return f"{os.major(number)}:{os.minor(number)}" if number else None


def _sets_setuid(event: Event) -> bool | None:
    if event.name in _XATTRS:
        return event.arguments.get("name") == "security.capability"
    if event.name not in {"chmod", "fchmod", "fchmodat", "fchmodat2", "mknod", "mknodat", *_OPENS}:
        return None
    mode = event.arguments.get("mode")
    return bool(mode & 0o6000) if isinstance(mode, int) and (event.write or event.name not in _OPENS) else None


def _file_system(event: Event) -> str | None:
    if event.name == "mount":
        kind: str = event.arguments.get("filesystemtype", "")
        return kind or None
    if event.name == "fsopen":
        opened: str = event.arguments.get("fsname", "")
        return opened or None
    if event.file is None:
        return None
    if not event.file.magic:
        return event.file.file_system or None
    return MAGICS.get(event.file.magic, hex(event.file.magic))


def _flags(event: Event) -> frozenset[str]:
    name, arguments = event.name, event.arguments
    if name == "mount":
        return _named(arguments.get("mountflags", 0), _MOUNT_FLAGS)
    if name in {"unshare", "clone"}:
        return _named(arguments.get("flags", 0), CLONE_FLAGS)
    if name == "setns":
        return _named(arguments.get("nstype", 0) & 0xFFFFFFFF, CLONE_FLAGS)
    if name == "clone3":
        return _named(int.from_bytes(arguments.get("data", b"")[:8], "little"), _CLONE3_FLAGS)
    return _NO_MEMBERS


def _named(number: int, names: Mapping[str, int]) -> frozenset[str]:
    return frozenset(name for name, bit in names.items() if number & bit)


def _family(event: Event) -> str | None:
    if event.socket is not None and event.socket.family:
        return event.socket.family
    domain = event.arguments.get("domain")
    return family_name(domain) if isinstance(domain, int) else None


def _command(event: Event) -> str | None:
    arguments = event.arguments
    if event.name == "bpf":
        number = arguments.get("cmd", -1) & 0xFFFFFFFF
        return _BPF[number] if number < len(_BPF) else str(number)
    if event.name == "ioctl":
        request = arguments.get("request", 0) & 0xFFFFFFFF
        return _REQUESTS.get(request, hex(request))
    if event.name == "fcntl":
        return _OWNERS.get(arguments.get("cmd", 0), str(arguments.get("cmd", 0)))
    data = arguments.get("data")
    if event.socket is not None and arguments.get("cut") and not data:
        return UNREAD
    if event.socket is not None and event.socket.family == "AF_NETLINK" and isinstance(data, bytes) and len(data) >= 6:
        kind = int.from_bytes(data[4:6], "little")
        if event.socket.protocol == 12 and kind == 16 and len(data) >= 22:  # a batch of nftables; the next one counts
            kind = int.from_bytes(data[24:26], "little") if len(data) >= 26 else kind
        return _NETLINK.get((event.socket.protocol, kind), str(kind))
    return None


def _helper(event: Event) -> bool | None:
    """A program that a thread of the kernel starts: kthreadd's children have no executable of their own."""
    if event.name != "execve" or event.result != 0:
        return None
    parent = event.process.parent
    return (
        None
        if parent is None
        else parent.pid == 2 or (not parent.executable.path and parent.name.startswith("kworker"))
    )


def _strange_program(event: Event) -> bool | None:
    if event.name != "execve" or event.result != 0 or event.file is None:
        return None
    return not event.contained and event.file.magic == 0x794C7630 and not event.process.container
