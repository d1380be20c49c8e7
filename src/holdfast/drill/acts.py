"""The closed set of acts that the probe performs, and one line each way of the speech with it.

Every step has a number within its attempt, from 0 to 255; a step that yields a descriptor keeps it under that number,
and ``slot`` names it later. Numbers are decimal, 0x hexadecimal or 0 octal; ``mode`` of chmod and copy_self is octal,
``address`` of memory, ``handle`` and ``message`` are hexadecimal. Flags are the kernel's own numbers.

What is not plain from an act's name:

* open, open_at: ``mode`` of r, w, c (make, never replace), d (folder), p (O_PATH); a link is followed.
* set keeps the old content first, and does nothing where that cannot be read; write_at keeps what stood there.
* unlink and rmdir remove only what the attempt made; umount, in a namespace that was entered, only what it mounted.
* mount changes no mount that is there (that is remount) and moves none; chroot leaves the working folder as it is.
* stat: ``MODE UID GID MAJOR:MINOR INODE SIZE MAJOR:MINOR``, the device it lies on first, the device it is last.
* statfs: ``MAGIC TYPE``; name_to_handle: ``TYPE MOUNT HANDLE``; peer: ``PID UID GID``; identity: ``UID EUID GID EGID
  EFFECTIVE PERMITTED INHERITABLE``, the capabilities as 16 hex digits.
* crash: 1 where a core was dumped. io_uring_setup: EINVAL means it would be granted. delete_absent_route: ESRCH does.
* connect_tcp: a literal loopback, RFC 1918 or metadata address; any other is refused with EACCES, unasked.
* http: the result is the status, the data its line and the body. GET, HEAD and OPTIONS, and POST that only asks (a dry
  run, a review of one's own rights); others are refused with EACCES, unasked.
* metadata: begins a session as IMDSv2 wants it and GETs a path below /latest/meta-data/ whose last part begins with
  holdfast-, which no real role does; another is refused with EACCES, unasked. Result and data as of http.
* grpc: the result is the gRPC status. Methods that only tell something, and making a namespace of containerd whose name
  begins with holdfast; others are refused with EACCES, unasked.
* make_volume: an empty volume of Docker's, whose name is holdfast- and 16 or more small letters and digits; another is
  refused with EACCES, unasked. ``form`` of the request: plain, large (over 1 MiB) or unsized (no length is declared).
* engine_start: the result is the container's exit status, the data its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from holdfast.model.errors import NotUnderstood, Unsafe

ACTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "attach": ("slot", "path"),
        "binfmt_register": ("folder", "text"),
        "bpf_load": ("type",),
        "chdir": ("path",),
        "chmod": ("path", "mode"),
        "chown": ("path", "uid", "gid"),
        "chroot": ("path",),
        "clone_mount": ("path", "flags"),
        "close": ("slot",),
        "connect": ("path",),
        "connect_tcp": ("address", "port"),
        "copy_self": ("path", "mode"),
        "crash": (),
        "delete_absent_route": (),
        "detached": ("type", "options"),
        "engine_start": ("slot", "json"),
        "fchdir": ("slot",),
        "finit_module": (),
        "grpc": ("slot", "path", "message"),
        "http": ("slot", "method", "path", "body"),
        "identity": (),
        "inherited": ("fd",),
        "io_uring_setup": (),
        "iopl": ("level",),
        "join_cgroup": ("procs_path",),
        "keyctl_describe": (),
        "leave_cgroup": ("procs_path",),
        "list": ("path",),
        "listen_packet": ("interface_index",),
        "make_volume": ("slot", "name", "form"),
        "metadata": ("slot", "path"),
        "mkdir": ("path",),
        "mknod": ("path", "kind", "major", "minor"),
        "mount": ("source", "target", "type", "flags", "data"),
        "name_to_handle": ("path",),
        "open": ("path", "mode"),
        "open_at": ("slot", "path", "mode"),
        "open_by_handle": ("slot", "type", "handle", "flags"),
        "peer": ("slot",),
        "perf_event": ("type", "config"),
        "pidfd_getfd": ("slot", "fd"),
        "pidfd_open": ("pid",),
        "process_vm_read": ("pid", "address", "length"),
        "ptrace_read": ("pid", "address", "length"),
        "query": ("slot", "name"),
        "read": ("slot", "length"),
        "read_at": ("slot", "offset", "length"),
        "read_link": ("path",),
        "receive": ("slot", "length"),
        "remount": ("target", "flags", "undo_flags"),
        "rewrite": ("path",),
        "rewrite_at": ("slot", "path"),
        "rmdir": ("path",),
        "send": ("slot", "text"),
        "set": ("path", "text"),
        "setns": ("slot", "flags"),
        "shm_read": ("key", "length"),
        "signal_check": ("pid",),
        "sleep_ms": ("n",),
        "socket": ("family", "type", "protocol"),
        "stat": ("path",),
        "statfs": ("path",),
        "symlink": ("target", "path"),
        "tiocsti": ("slot", "text"),
        "umount": ("path",),
        "unlink": ("path",),
        "unshare": ("flags",),
        "user_namespace": ("flags",),
        "userfaultfd": (),
        "want_module": (),
        "write": ("slot", "text"),
        "write_at": ("slot", "offset", "text"),
    }
)
"""Act -> the names of its arguments, in the order in which the probe takes them."""

LINE_BYTES = 65_535
"""Longest line that the probe takes, without its end; a longer one is answered with E2BIG and not performed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the kernel answered.

    Attributes:
        result: What the call returned; -1 where it was refused, -2 where the attempt's process was lost.
        errno: Linux error number, 0 where the call succeeded. With -2: ETIMEDOUT where it hung, ESRCH where it died.
        data: What was read, at most 4096 bytes. With -2 the signal's name as ``signal N``, where one ended it.
    """

    result: int
    errno: int
    data: bytes = b""

    @property
    def lost(self) -> bool:
        """Tell whether the attempt is over because its process hung or died."""
        return self.result == -2


def encode(act: str, args: Mapping[str, str]) -> str:
    """Write a step as the line that the probe reads, without its end.

    Args:
        act: One of ``ACTS``.
        args: Exactly the arguments of that act, by name. A character above U+007F is sent as UTF-8; one in
            U+DC80..U+DCFF (surrogateescape) as the byte it stands for.

    Raises:
        Unsafe: The act is not in the closed set, an argument is missing or unknown, or the line is too long.
    """
    if act not in ACTS:
        raise Unsafe(f"{act!r} is not an act of the closed set", "drill step")
    names = ACTS[act]
    if set(args) != set(names):
        raise Unsafe(f"{act} takes {', '.join(names) or 'no argument'}, not {', '.join(args) or 'none'}", "drill step")
    line = "|".join((act, *(_escaped(args[name]) for name in names)))
    if len(line) > LINE_BYTES:
        raise Unsafe(f"The step {act} is {len(line)} bytes long, and {LINE_BYTES} is the limit", "drill step")
    return line


def _escaped(word: str) -> str:
    plain = (
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b"|%" else f"%{byte:02x}"
        for byte in word.encode(errors="surrogateescape")
    )
    return "".join(plain)


def decode(answer: str) -> Answer:
    """Read the line ``RESULT ERRNO HEX`` that the probe answers a step with.

    Raises:
        NotUnderstood: It is something else.
    """
    try:
        result, errno, data = answer.split(" ")
        return Answer(int(result), int(errno), b"" if data == "-" else bytes.fromhex(data))
    except ValueError as error:
        raise NotUnderstood(f"The probe's answer has another form: {answer[:80]!r}", "probe") from error
