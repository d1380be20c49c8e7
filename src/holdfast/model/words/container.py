"""What the kernel will do for a process that somebody takes over in this container (effective facts).

``reason/effective`` answers these from what documents declare, from what procfs shows, and from the host. Techniques
ask only these and the words of host, engine, cluster, network and assumed.
"""

from __future__ import annotations

from holdfast.model.facts import Fact
from holdfast.model.values import Collection, Members, Paths

# --- who the process is ---------------------------------------------------------------------------------------------
USER_ID: Fact[int] = Fact("container.user_id", int, "User id of the application's process, inside the container.")
HOST_USER_ID: Fact[int] = Fact(
    "container.host_user_id",
    int,
    "The same user as the host's file permissions see it: 0 is host root; differs from user_id in a user namespace.",
)
HOST_GROUP_IDS: Fact[Members] = Fact(
    "container.host_group_ids", Members, "Group ids (int) of the process, as the host's file permissions see them."
)
USER_NAMESPACE: Fact[str] = Fact(
    "container.user_namespace",
    str,
    '"host" where capabilities count in the host\'s initial user namespace, else "private".',
)
CAPABILITIES: Fact[Members] = Fact(
    "container.capabilities",
    Members,
    'Capabilities ("CAP_SYS_ADMIN") the process holds in its own user namespace. Empty for a process that is not '
    "root, unless ambient or file capabilities grant some.",
)
BOUNDING_CAPABILITIES: Fact[Members] = Fact(
    "container.bounding_capabilities", Members, "Capabilities that the process or a setuid program can ever gain."
)
NO_NEW_PRIVILEGES: Fact[bool] = Fact(
    "container.no_new_privileges", bool, "setuid programs and file capabilities give nothing."
)
PRIVILEGED: Fact[bool] = Fact("container.privileged", bool, "Started with the privileged flag.")

# --- what it may call -----------------------------------------------------------------------------------------------
SYSCALLS: Fact[Collection] = Fact(
    "container.syscalls",
    Members,
    'System calls the seccomp filter lets through: "mount"; with an argument that matters: "unshare:CLONE_NEWUSER", '
    '"clone:CLONE_NEWUSER", "socket:AF_ALG", "socket:AF_PACKET", "socket:AF_VSOCK", "socket:AF_RXRPC".',
)
SECCOMP: Fact[str] = Fact(
    "container.seccomp", str, 'Kind of filter in force: "unconfined", "docker-default", "custom", "live", ...'
)
LSM_DENIES: Fact[Members] = Fact(
    "container.lsm_denies",
    Members,
    'What the enforced AppArmor or SELinux policy refuses: "mount", "move_mount" (attaching by the newer call), '
    '"detached_mount" (files of a mount that was made and attached nowhere), "ptrace_host" (ptrace and the '
    'ptrace-checked /proc/PID/root, cwd, fd, mem of processes outside), "proc_sys_write" (the container\'s own '
    '/proc/sys and /proc/sysrq-trigger), "sys_write" (its own /sys), "host_files" (files that were not labelled for the container), '
    '"host_sockets" (unix sockets of host daemons), "abstract_sockets", "af_alg", "devices".',
)
APPARMOR: Fact[str] = Fact(
    "container.apparmor", str, 'Enforced profile: its name, "unconfined", or "none" where the host enforces none.'
)
SELINUX: Fact[str] = Fact("container.selinux", str, 'Enforced type ("container_t", "spc_t") or "none".')

# --- what it shares and sees ----------------------------------------------------------------------------------------
SANDBOX: Fact[str] = Fact(
    "container.sandbox", str, '"none" where system calls reach the host kernel; "gvisor" or "kata" where they do not.'
)
SHARED_NAMESPACES: Fact[Members] = Fact(
    "container.shared_namespaces",
    Members,
    'Namespaces shared with the host: "pid", "net", "ipc", "uts", "cgroup", "mnt", "time".',
)
HOST_PATHS: Fact[Paths] = Fact(
    "container.host_paths",
    Paths,
    "Host directories and files visible inside, normal form, read-only ones too. Volumes that the engine made "
    "for this container alone do not count.",
)
HOST_PATHS_WRITABLE: Fact[Paths] = Fact(
    "container.host_paths_writable", Paths, "Those of host_paths that are not mounted read-only."
)
HOST_PATHS_SUID: Fact[Paths] = Fact(
    "container.host_paths_suid", Paths, "Those of host_paths_writable on which a setuid file would count (no nosuid)."
)
HOST_PATHS_SHARED: Fact[Paths] = Fact(
    "container.host_paths_shared", Paths, "Those of host_paths whose mounts propagate back to the host (rshared)."
)
HOST_SUPERBLOCK: Fact[bool] = Fact(
    "container.host_superblock",
    bool,
    "A file or directory inside is bind-mounted from the file system that holds the host's root directory.",
)
HOST_SUPERBLOCK_WRITABLE: Fact[bool] = Fact(
    "container.host_superblock_writable",
    bool,
    "At least one of the mounts that host_superblock speaks of is not read-only (Docker mounts /etc/hosts read-only "
    "where the root file system is).",
)
HOST_PATHS_PERMITTED: Fact[Paths] = Fact(
    "container.host_paths_permitted",
    Paths,
    "Host files, sockets and directories that this process, without being root, may write (for a socket: connect to) "
    "by their owner, group and mode. Unknown unless somebody looked at the host's files.",
)
LAYER_PATH_KNOWN: Fact[bool] = Fact(
    "container.layer_path_known",
    bool,
    "The container can learn under which host path its own files lie (overlay upperdir in its mountinfo).",
)
MASKED: Fact[bool] = Fact(
    "container.masked", bool, "The runtime's default masked and read-only paths in /proc and /sys are in force."
)
KERNEL_FILES_WRITABLE: Fact[Collection] = Fact(
    "container.kernel_files_writable",
    Members,
    "Files of the container's own /proc, /sys and cgroup mounts that are neither read-only nor masked, by absolute "
    'path: "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", '
    '"/sys/fs/cgroup/devices/devices.allow". Mount flags only; LSM_DENIES stands beside it.',
)
DEVICES: Fact[Members] = Fact(
    "container.devices",
    Members,
    'Kinds of host devices with a node inside: "block", "mem", "port", "kmsg", "tty", "uinput", "input", "vfio", '
    '"gpu", "fuse", "kvm", "sg", "msr", "tun", "other".',
)
DEVICE_ACCESS: Fact[Members] = Fact(
    "container.device_access",
    Members,
    "The same kinds, as far as the device cgroup lets them be opened. A node can also be made with mknod.",
)
DEVICES_PERMITTED: Fact[Members] = Fact(
    "container.devices_permitted",
    Members,
    "Those of container.devices whose nodes this process, without being root of the host, may open by their owner, "
    "group and mode.",
)
CGROUP_WRITABLE: Fact[bool] = Fact(
    "container.cgroup_writable", bool, "A cgroup file system is mounted writable inside from the start."
)
CGROUP_V1_ROOT: Fact[bool] = Fact(
    "container.cgroup_v1_root",
    bool,
    "In a version 1 hierarchy that is mounted on the host the container's processes are in the root group, as "
    "/proc/PID/cgroup read from the host shows. Runtimes leave them there in hierarchies they do not know (rdma, misc).",
)
LXCFS_WRITABLE: Fact[bool] = Fact("container.lxcfs_writable", bool, "An lxcfs mount is writable inside.")
LEAKED_HOST_FD: Fact[bool] = Fact(
    "container.leaked_host_fd", bool, "A process has an open directory that lies outside the container's root."
)
SERVICE_ACCOUNT_TOKEN: Fact[bool] = Fact(
    "container.service_account_token", bool, "A Kubernetes service account token is mounted inside."
)
VOLUME_CLAIMS: Fact[bool] = Fact("container.volume_claims", bool, "A PersistentVolumeClaim is mounted inside.")
VOLUME_CLAIM_ON_HOST: Fact[bool] = Fact(
    "container.volume_claim_on_host",
    bool,
    "A PersistentVolumeClaim mounted inside is bound to a PersistentVolume of type hostPath or local.",
)
SAME_USER_ON_HOST: Fact[bool] = Fact(
    "container.same_user_on_host",
    bool,
    "A process of the host, with this container's host_user_id, no capability that the container lacks, and dumpable, "
    "is seen from the container: in a pid namespace that they share, or through the host's procfs mounted inside.",
)
SAME_USER_ID_ON_HOST: Fact[bool] = Fact(
    "container.same_user_id_on_host",
    bool,
    "A process of the host that runs with this container's host_user_id, whatever its groups and capabilities, is seen "
    "from the container. It may be sent signals.",
)
USER_ID_ON_HOST: Fact[bool] = Fact(
    "container.user_id_on_host",
    bool,
    "A process of the host runs with this container's host_user_id, whether it is seen from the container or not: what "
    "the two share by owner and mode is open to both.",
)
SAME_USER_IN_CONTAINER: Fact[bool] = Fact(
    "container.same_user_in_container", bool, "The same of a process that belongs to another container."
)
