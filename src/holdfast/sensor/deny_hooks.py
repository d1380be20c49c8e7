"""Which hook of the kernel each kind of denial hangs on; a kernel that lacks one cannot deny what needs it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from holdfast.model.technique import Technique
from holdfast.sensor.deny_rules import Ability, Access, Kind, Object, Place, Rule, rules

_PATHS = (
    "path_mknod", "path_symlink", "path_rename", "path_link", "path_unlink", "path_mkdir", "path_rmdir",
    "path_truncate", "path_chown", "path_chmod",
)  # fmt: skip
HOOKS: Mapping[Kind, tuple[str, ...]] = {
    Kind.NAME: ("file_open",),
    Kind.VOLUME: ("file_open",),
    Kind.DEVICE: ("file_open",),
    Kind.BLOCK: ("file_open", "path_mknod"),
    Kind.CHAR: ("file_open", "path_mknod"),
    Kind.HOST_ROOT: ("file_open",),
    Kind.FOREIGN: ("file_open",),
    Kind.NAMESPACE: ("file_open",),
    Kind.MOUNT: ("sb_mount", "sb_kern_mount"),
    Kind.MOUNT_BLOCK: ("sb_mount",),
    Kind.MOUNT_SHARED: ("sb_mount", "move_mount"),
    Kind.REMOUNT: ("sb_mount",),
    Kind.UNCOVER: ("sb_umount",),
    Kind.TRACE: ("ptrace_access_check",),
    Kind.SIGNAL: ("task_kill",),
    Kind.SOCKET: ("unix_stream_connect", "unix_may_send"),
    Kind.ABSTRACT: ("unix_stream_connect",),
    Kind.PORT: ("socket_connect",),
    Kind.ADDRESS: ("socket_connect",),
    Kind.LOOPBACK: ("socket_connect",),
    Kind.FAMILY: ("socket_create",),
    Kind.NETLINK: ("netlink_send",),
    Kind.USER_NAMESPACE: ("create_user_ns",),
    Kind.LOAD: ("kernel_read_file", "kernel_load_data"),
    Kind.BPF: ("bpf",),
    Kind.CAPABILITY: ("capable",),
    Kind.IOCTL: ("file_ioctl",),
    Kind.SETUID: ("path_chmod",),
    Kind.SHARED_MEMORY: ("shm_shmat",),
    Kind.CANARY: ("file_open",),
    Kind.ROOT: ("file_open",),
}
"""The kernel's functions, without ``security_``, as ``Denier.missing`` names them. All of a kind are needed."""


def lacking(technique: Technique, missing: Collection[str]) -> tuple[str, ...]:
    """Return the hooks that denying a technique needs and that a kernel lacks.

    Args:
        technique: It.
        missing: Hooks that the kernel lacks.
    """
    needed = {hook for one in rules(technique) for hook in _hooks(one)}
    return tuple(sorted(needed & set(missing)))


def _hooks(rule: Rule) -> tuple[str, ...]:
    if isinstance(rule, Object):
        return HOOKS[rule.kind]
    if isinstance(rule, Ability):
        return HOOKS[Kind.CAPABILITY]
    if isinstance(rule, Place):
        if rule.access is Access.CONNECT:
            return HOOKS[Kind.SOCKET]
        return ("file_open", *_PATHS) if rule.access is Access.WRITE else ("file_open",)
    raise TypeError(rule)
