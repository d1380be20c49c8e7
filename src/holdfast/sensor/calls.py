"""Which system calls the sensor can look at, and what of each it takes along. Data; the kernel's program reads it.

Source:
    Section 2 of the manual pages; argument names are theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.reason.effective.syscall_table import numbers

RESULT = 6
NOTHING = 7
POINTER = 8
"""Added to an index: the argument points to a struct open_how whose first member are the flags."""
CONSTANT = 8
"""Added to a number of bytes that stands in place of an argument's index."""
DIRECTORY, ROOT, GROUP, NAMED = 8, 9, 10, 11
"""In place of a descriptor's index: the current directory, the root directory, a control group in struct clone_args,
the file behind the first string where that is ``/proc/self/fd/N``."""
CONNECTS, MESSAGE, MESSAGES, TO, WRITES, PARTS, SIGNALS, MOUNTS, TYPE, LIMITS = range(1, 11)
"""``enum how`` of maps.h: what else is to be known of a call."""
COMPAT = 512
"""Where the 32-bit table begins in the kernel's array."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is taken along of one call. Every number is the index of an argument, RESULT or NOTHING.

    Attributes:
        arguments: Names, in order.
        file: The descriptor whose file or socket is described, or ``DIRECTORY``, ``ROOT``, ``GROUP``,
            ``NAMED``.
        mode: Open flags; with POINTER added, a pointer to them.
        strings: Up to four strings.
        base: The directory that the first string starts at if it is relative; RESULT is the current directory.
        second: The same for the second string.
        data: A pointer to bytes.
        length: Their number; with CONSTANT added, the number itself.
        how: ``CONNECTS``: the other end of the socket is described. ``MESSAGE``, ``MESSAGES``, ``TO``, ``WRITES``,
            ``PARTS``: it sends; whom it names counts, or to the kernel what it says. ``SIGNALS``: the descriptor is a
            process. ``MOUNTS``, ``TYPE``: a file system's type is asked of the kernel. ``LIMITS``: another process's
            limits are set. 0: nothing.
    """

    arguments: tuple[str, ...]
    file: int = NOTHING
    mode: int = NOTHING
    strings: tuple[int, ...] = ()
    base: int = NOTHING
    data: int = NOTHING
    length: int = NOTHING
    how: int = 0
    second: int = NOTHING


def _plain(names: str) -> Shape:
    return Shape(tuple(names.split()))


def _path(names: str, *strings: int, base: int = RESULT, second: int = NOTHING, file: int = NOTHING) -> Shape:
    return Shape(tuple(names.split()), file=file, strings=strings, base=base, second=second)


def _fd(names: str, *strings: int, how: int = 0) -> Shape:
    return Shape(tuple(names.split()), file=0, strings=strings, how=how)


_SOCKET_ADDRESS = Shape(("sockfd", "addr", "addrlen"), file=0, data=1, length=2)

SHAPES: Mapping[str, Shape] = {
    "open": Shape(("pathname", "flags", "mode"), file=RESULT, mode=1, strings=(0,), base=RESULT),
    "openat": Shape(("dirfd", "pathname", "flags", "mode"), file=RESULT, mode=2, strings=(1,), base=0),
    "openat2": Shape(("dirfd", "pathname", "how", "size"), file=RESULT, mode=POINTER + 2, strings=(1,), base=0),
    "creat": Shape(("pathname", "mode"), file=RESULT, strings=(0,), base=RESULT),
    "open_by_handle_at": Shape(("mount_fd", "handle", "flags"), file=RESULT, mode=2),
    "name_to_handle_at": _path("dirfd pathname handle mount_id flags", 1, base=0),
    "execve": _path("pathname argv envp", 0),
    "execveat": _path("dirfd pathname argv envp flags", 1, base=0),
    "mount": Shape(
        ("source", "target", "filesystemtype", "mountflags", "data"),
        strings=(0, 1, 2, 4),
        base=RESULT,
        second=RESULT,
        how=MOUNTS,
    ),
    "umount2": _path("target flags", 0),
    "pivot_root": _path("new_root put_old", 0, 1, second=RESULT),
    "chroot": Shape(("path",), file=ROOT, strings=(0,), base=RESULT),
    "chdir": Shape(("path",), file=DIRECTORY, strings=(0,), base=RESULT),
    "fchdir": Shape(("fd",), file=DIRECTORY),
    "fsopen": Shape(("fsname", "flags"), file=RESULT, strings=(0,), how=TYPE),
    "fsconfig": Shape(("fd", "cmd", "key", "value", "aux"), file=0, strings=(2, 3), second=RESULT),
    "fsmount": _fd("fsfd flags attr_flags"),
    "fspick": _path("dirfd path flags", 1, base=0),
    "move_mount": _path("from_dirfd from_path to_dirfd to_path flags", 1, 3, base=0, second=2),
    "open_tree": _path("dirfd filename flags", 1, base=0),
    "mount_setattr": _path("dirfd pathname flags attr size", 1, base=0),
    "mknod": _path("pathname mode dev", 0),
    "mknodat": _path("dirfd pathname mode dev", 1, base=0),
    "setns": _fd("fd nstype", how=SIGNALS),
    "unshare": _plain("flags"),
    "clone": _plain("flags stack parent_tid child_tid tls"),
    "clone3": Shape(("cl_args", "size"), file=GROUP, data=0, length=1),
    "ptrace": _plain("request pid addr data"),
    "process_vm_readv": _plain("pid local_iov liovcnt remote_iov riovcnt flags"),
    "process_vm_writev": _plain("pid local_iov liovcnt remote_iov riovcnt flags"),
    "process_madvise": _fd("pidfd iovec vlen advice flags", how=SIGNALS),
    "kcmp": _plain("pid1 pid2 type idx1 idx2"),
    "kill": _plain("pid sig"),
    "tkill": _plain("tid sig"),
    "tgkill": _plain("tgid tid sig"),
    "rt_sigqueueinfo": _plain("pid sig info"),
    "rt_tgsigqueueinfo": _plain("tgid tid sig info"),
    "pidfd_send_signal": _fd("pidfd sig info flags", how=SIGNALS),
    "pidfd_open": _plain("pid flags"),
    "prlimit64": Shape(("pid", "resource", "new_rlim", "old_rlim"), how=LIMITS),
    "pidfd_getfd": _fd("pidfd targetfd flags", how=SIGNALS),
    "fcntl": Shape(("fd", "cmd", "arg"), file=0, data=2, length=CONSTANT + 8),
    "socket": Shape(("domain", "type", "protocol"), file=RESULT),
    "socketpair": _plain("domain type protocol sv"),
    "connect": Shape(_SOCKET_ADDRESS.arguments, file=0, data=1, length=2, how=CONNECTS),
    "bind": _SOCKET_ADDRESS,
    "listen": _fd("sockfd backlog"),
    "accept": Shape(("sockfd", "addr", "addrlen"), file=RESULT),
    "accept4": Shape(("sockfd", "addr", "addrlen", "flags"), file=RESULT),
    "sendto": Shape(("sockfd", "buf", "len", "flags", "dest_addr", "addrlen"), file=0, data=4, length=5, how=TO),
    "sendmsg": Shape(("sockfd", "msg", "flags"), file=0, data=1, length=2, how=MESSAGE),
    "sendmmsg": Shape(("sockfd", "msgvec", "vlen", "flags"), file=0, data=1, length=2, how=MESSAGES),
    "write": _fd("fd buf count", how=WRITES),
    "writev": _fd("fd iov iovcnt", how=PARTS),
    "pwritev2": _fd("fd iov iovcnt pos_l pos_h flags", how=PARTS),
    "recvfrom": Shape(("sockfd", "buf", "len", "flags", "src_addr", "addrlen"), file=0),
    "recvmsg": _fd("sockfd msg flags"),
    "init_module": Shape(("module_image", "len", "param_values"), strings=(2,)),
    "finit_module": _fd("fd param_values flags", 1),
    "delete_module": _path("name flags", 0, base=NOTHING),
    "kexec_load": _plain("entry nr_segments segments flags"),
    "kexec_file_load": _fd("kernel_fd initrd_fd cmdline_len cmdline flags"),
    "bpf": _plain("cmd attr size"),
    "perf_event_open": _plain("attr pid cpu group_fd flags"),
    "keyctl": _plain("operation arg2 arg3 arg4 arg5"),
    "add_key": _path("type description payload plen keyring", 0, 1, base=NOTHING),
    "request_key": _path("type description callout_info dest_keyring", 0, 1, base=NOTHING),
    "ioctl": Shape(("fd", "request", "argp"), file=0, data=2, length=CONSTANT + 4),
    "iopl": _plain("level"),
    "ioperm": _plain("from num turn_on"),
    "chmod": _path("pathname mode", 0, file=NAMED),
    "fchmod": _fd("fd mode"),
    "fchmodat": _path("dirfd pathname mode", 1, base=0, file=NAMED),
    "fchmodat2": _path("dirfd pathname mode flags", 1, base=0, file=NAMED),
    "chown": _path("pathname owner group", 0, file=NAMED),
    "lchown": _path("pathname owner group", 0),
    "fchown": _fd("fd owner group"),
    "fchownat": _path("dirfd pathname owner group flags", 1, base=0, file=NAMED),
    "setxattr": _path("path name value size flags", 0, 1, file=NAMED),
    "lsetxattr": _path("path name value size flags", 0, 1),
    "fsetxattr": _fd("fd name value size flags", 1),
    "setxattrat": _path("dirfd path at_flags name uargs usize", 1, 3, base=0),
    "symlink": _path("target linkpath", 1, 0),
    "symlinkat": _path("target newdirfd linkpath", 2, 0, base=1),
    "link": _path("oldpath newpath", 0, 1, second=RESULT),
    "linkat": _path("olddirfd oldpath newdirfd newpath flags", 1, 3, base=0, second=2),
    "rename": _path("oldpath newpath", 0, 1, second=RESULT),
    "renameat": _path("olddirfd oldpath newdirfd newpath", 1, 3, base=0, second=2),
    "renameat2": _path("olddirfd oldpath newdirfd newpath flags", 1, 3, base=0, second=2),
    "unlink": _path("pathname", 0),
    "unlinkat": _path("dirfd pathname flags", 1, base=0),
    "rmdir": _path("pathname", 0),
    "mkdir": _path("pathname mode", 0),
    "mkdirat": _path("dirfd pathname mode", 1, base=0),
    "truncate": _path("path length", 0, file=NAMED),
    "setuid": _plain("uid"),
    "setresuid": _plain("ruid euid suid"),
    "setreuid": _plain("ruid euid"),
    "setgid": _plain("gid"),
    "capset": _plain("hdrp datap"),
    "dup": Shape(("oldfd",), file=RESULT),
    "dup2": Shape(("oldfd", "newfd"), file=RESULT),
    "dup3": Shape(("oldfd", "newfd", "flags"), file=RESULT),
    "shmget": _plain("key size shmflg"),
    "shmat": _plain("shmid shmaddr shmflg"),
    "shmctl": _plain("shmid op buf"),
    "msgget": _plain("key msgflg"),
    "semget": _plain("key nsems semflg"),
    "mq_open": _path("name oflag mode attr", 0, base=NOTHING),
    "memfd_create": _path("name flags", 0, base=NOTHING),
    "userfaultfd": _plain("flags"),
    "io_uring_setup": _plain("entries params"),
    "swapon": _path("path swapflags", 0),
    "syslog": _plain("type bufp len"),
    "reboot": _plain("magic magic2 cmd arg"),
    "prctl": _plain("op arg2 arg3 arg4 arg5"),
    "seccomp": _plain("operation flags args"),
    "acct": _path("filename", 0),
    "quotactl": _path("cmd special id addr", 1, base=NOTHING),
    "sethostname": _plain("name len"),
}

F_SETOWN, F_SETOWN_EX = 8, 15  # fcntl(2)
FIOSETOWN, SIOCSPGRP = 0x8901, 0x8902  # ioctl(2), of sockets
NARROW = frozenset(("write", "writev", "pwritev2"))
"""Calls that everybody makes all the time; they are looked at for netlink in the host's network alone."""
_OLD_NAMES = {
    "umount": "umount2", "fcntl64": "fcntl", "chown32": "chown", "lchown32": "lchown", "fchown32": "fchown",
    "truncate64": "truncate", "setuid32": "setuid", "setresuid32": "setresuid", "setreuid32": "setreuid",
    "setgid32": "setgid",
}  # fmt: skip
"""The 32-bit table's."""


def places(name: str, machine: str = "x86_64") -> tuple[int, ...]:
    """Return where a call stands in the kernel program's array: its own table and the 32-bit one."""
    own = numbers(machine).get(name)
    old = numbers("i386") if machine == "x86_64" else {}
    also = (name, *(one for one, new in _OLD_NAMES.items() if new == name))
    return (*(() if own is None else (own,)), *(old[one] + COMPAT for one in also if one in old))


def names(machine: str = "x86_64") -> dict[int, str]:
    """Return the call's name by its place in the kernel program's array."""
    found = {number: name for name, number in numbers(machine).items()}
    if machine == "x86_64":
        found |= {number + COMPAT: _OLD_NAMES.get(name, name) for name, number in numbers("i386").items()}
    return found
