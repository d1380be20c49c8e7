"""One refused call, as the denying programs tell it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.sensor import layout
from holdfast.sensor.btf import Types
from holdfast.sensor.deny_rules import Kind

CANARY_BIT = 127
COMPAT = 0x10000
"""Added to the number of a system call that was made through the 32-bit table."""
HOOKS = (
    "", "sb_mount", "sb_kern_mount", "move_mount", "sb_umount", "file_open", "path_mknod", "path_chmod", "path_symlink",
    "path_rename", "path_link", "path_unlink", "path_mkdir", "path_rmdir", "path_truncate", "path_chown",
    "ptrace_access_check", "task_kill", "unix_stream_connect", "unix_may_send", "socket_connect", "socket_create",
    "netlink_send", "create_user_ns", "kernel_read_file", "kernel_load_data", "bpf", "capable", "file_ioctl",
    "shm_shmat", "socket_sendmsg", "inode_setxattr",
)  # fmt: skip
"""By ``enum hook`` of deny.h."""


@dataclass(frozen=True, slots=True)
class Denial:
    """One refused call.

    Attributes:
        at_ns: CLOCK_BOOTTIME.
        techniques: Those that were denied by it; empty for the canary.
        hook: The kernel's function that asked.
        call: Number of the system call.
        compat: It was made through the 32-bit table.
        pid, tid, parent, user, start_ns, cgroup, name: Who acted; ``pid`` and ``start_ns`` name the process.
        container: Mount namespace in which the container's process executed its first program.
        kind, number, more, object: The condition that decided last, as deny.h says.
        path: Of the file, in its own file system; empty where there is none.
        device, inode, magic, mode: Of the file. For a signal or a trace ``inode`` is the target's process id.
        canary: It is the sensor's own proof.
    """

    at_ns: int
    techniques: tuple[str, ...]
    hook: str
    call: int
    compat: bool
    pid: int
    tid: int
    parent: int
    user: int
    start_ns: int
    cgroup: int
    name: str
    container: int
    kind: Kind
    number: int
    more: int
    object: str
    path: str
    device: int
    inode: int
    magic: int
    mode: int
    canary: bool


class Decoder:
    """Reads records, by the layout that the object's own type information says."""

    def __init__(self, image: bytes, names: Sequence[str]) -> None:
        """Read the layout.

        Args:
            image: The compiled object.
            names: Techniques in the order of their bits.

        Raises:
            NotUnderstood: The object has no such record.
        """
        self._record = layout.record(Types(image), "denial")
        self._names = tuple(names)

    def decode(self, record: memoryview) -> Denial:
        """Turn one record into a denial.

        Args:
            record: Borrowed; at least as long as ``struct denial``.
        """
        values = self._record.parser.unpack_from(record)
        told = {name: values[at] for name, at in self._record.places.items()}

        def number(name: str) -> int:
            return int(told[name])

        def text(name: str) -> str:
            found = told[name]
            return found.split(b"\0", 1)[0].decode("utf-8", "surrogateescape") if isinstance(found, bytes) else ""

        bits = number("low") | number("high") << 64
        hook, path = number("hook"), text("path")
        return Denial(
            at_ns=number("at_ns"),
            techniques=tuple(name for bit, name in enumerate(self._names) if bits >> bit & 1),
            hook=HOOKS[hook] if hook < len(HOOKS) else "",
            call=number("call") & 0xFFFF,
            compat=bool(number("call") & COMPAT),
            pid=number("pid"),
            tid=number("tid"),
            parent=number("parent"),
            user=number("user"),
            start_ns=number("start_ns"),
            cgroup=number("cgroup"),
            name=text("name"),
            container=number("container"),
            kind=Kind(number("kind")),
            number=number("count"),
            more=number("more"),
            object=text("object"),
            path=path.rstrip("/") or path,
            device=number("device"),
            inode=number("inode"),
            magic=number("magic"),
            mode=number("mode"),
            canary=bool(bits >> CANARY_BIT & 1),
        )
