"""What a change costs, as whole numbers: nobody has seen yet what the application uses.

The figures are judgements, not measurements. What they are for is an order: what hardly any application needs goes
before what some need, an edit of the file before a change of the engine, that before a change of the host.
"""

from __future__ import annotations

from typing import Final

EDIT: Final = 1
"""Edit the file and start the workload again."""
USER_NAMESPACE_ASKED: Final = 8
"""The file asks for a user namespace; volumes may need another owner."""
CLUSTER_FEATURE: Final = 30
"""The file asks for it, and a cluster that does not know it yet passes over it in silence."""
ENGINE_SET_UP: Final = 40
"""Change the engine's settings and start everything on it again."""
ENGINE_REPLACED: Final = 55
"""Another version of the engine, or a plug-in that has to be written or bought."""
NEW_RUNTIME: Final = 45
"""Install another runtime on every host."""
NETWORK_RULE: Final = 50
CLUSTER_RULE: Final = 50
HOST_SETTING: Final = 60
NEW_KERNEL: Final = 90

CAPABILITIES: Final = {
    "SYS_MODULE": 2, "SYS_RAWIO": 2, "SYS_BOOT": 2, "MAC_ADMIN": 2, "MAC_OVERRIDE": 2, "SYSLOG": 2,
    "SYS_TTY_CONFIG": 2, "LINUX_IMMUTABLE": 2, "DAC_READ_SEARCH": 3, "SYS_PTRACE": 3, "PERFMON": 3,
    "CHECKPOINT_RESTORE": 3, "BPF": 4, "SYS_ADMIN": 5, "NET_ADMIN": 6, "ALL": 8,
    "MKNOD": 1, "SETFCAP": 1, "SETPCAP": 1, "AUDIT_WRITE": 1, "NET_RAW": 2, "SYS_CHROOT": 2, "FSETID": 2, "KILL": 3,
    "NET_BIND_SERVICE": 4, "FOWNER": 4, "CHOWN": 5, "DAC_OVERRIDE": 5, "SETGID": 6, "SETUID": 6,
}  # fmt: skip
"""What it may cost an application to lose each."""
OTHER_CAPABILITY: Final = 4
EVERY_CAPABILITY: Final = 7
PRIVILEGED: Final = 8
NAMESPACES: Final = {"pid": 4, "ipc": 3, "net": 6, "uts": 1, "cgroup": 1}
MOUNT_READ_ONLY: Final = 4
MOUNT_UNSHARED: Final = 2
MOUNT: Final = 8
SOCKET: Final = 10
CLAIM: Final = 12
DEVICE: Final = 7
DEVICE_RULE: Final = 4
DEFAULT_FILTER: Final = 2
OWN_FILTER: Final = 6
SYSTEM_PATHS: Final = 2
ORDINARY_USER: Final = 9
GROUP: Final = 3
NO_NEW_PRIVILEGES: Final = 1
READ_ONLY_ROOT: Final = 5
TOKEN: Final = 4
CGROUPS: Final = 4
OTHER_USERS: Final = 6
"""Files belong to others where users are mapped."""
SANDBOX: Final = 8
