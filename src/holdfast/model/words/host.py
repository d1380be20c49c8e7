"""What the host's kernel and its settings are."""

from __future__ import annotations

from holdfast.model.facts import Fact
from holdfast.model.values import Members

KERNEL_RELEASE: Fact[str] = Fact("host.kernel_release", str, "As uname(2) prints it.")
KERNEL_VERSION: Fact[tuple[int, ...]] = Fact(
    "host.kernel_version", tuple, "Leading numbers of the release: (6, 1, 90)."
)
CGROUP_VERSION: Fact[str] = Fact(
    "host.cgroup_version", str, '"v1", "v2", or "hybrid" (v1 controllers with an empty v2 tree beside them).'
)
CGROUP_NAMESPACES_DELEGATED: Fact[bool] = Fact(
    "host.cgroup_namespaces_delegated",
    bool,
    "The version 2 tree is mounted with nsdelegate, as systemd does: nobody moves a process out of a private cgroup "
    "namespace from within.",
)
LSMS: Fact[Members] = Fact("host.lsms", Members, 'Active security modules: "apparmor", "selinux", "bpf", ...')
APPARMOR_ENFORCING: Fact[bool] = Fact("host.apparmor_enforcing", bool, "AppArmor is active and confines containers.")
APPARMOR_DBUS: Fact[bool] = Fact(
    "host.apparmor_dbus",
    bool,
    "AppArmor of this kernel has rules for D-Bus and labels unix sockets: a message bus knows its clients' profiles.",
)
SELINUX_ENFORCING: Fact[bool] = Fact("host.selinux_enforcing", bool, "SELinux is active and enforcing.")
LOCKDOWN: Fact[str] = Fact("host.lockdown", str, 'Kernel lockdown: "none", "integrity" or "confidentiality".')
UNPRIVILEGED_USER_NAMESPACES: Fact[bool] = Fact(
    "host.unprivileged_user_namespaces",
    bool,
    "A process without capabilities may make a user namespace: all of kernel.unprivileged_userns_clone, "
    "user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns permit it.",
)
UNPRIVILEGED_BPF: Fact[bool] = Fact("host.unprivileged_bpf", bool, "kernel.unprivileged_bpf_disabled is 0.")
YAMA_PTRACE_SCOPE: Fact[int] = Fact("host.yama_ptrace_scope", int, "kernel.yama.ptrace_scope; 0 where Yama is absent.")
MODULES_DISABLED: Fact[bool] = Fact(
    "host.modules_disabled", bool, "No module can be loaded: kernel.modules_disabled is 1 or CONFIG_MODULES is off."
)
MODULE_SIGNATURES_ENFORCED: Fact[bool] = Fact(
    "host.module_signatures_enforced",
    bool,
    "Only signed modules load (CONFIG_MODULE_SIG_FORCE, sig_enforce, lockdown).",
)
KEXEC_LOAD_DISABLED: Fact[bool] = Fact(
    "host.kexec_load_disabled", bool, "kernel.kexec_load_disabled is 1 or CONFIG_KEXEC is off."
)
STATIC_USERMODE_HELPER: Fact[bool] = Fact(
    "host.static_usermode_helper", bool, "CONFIG_STATIC_USERMODEHELPER: the kernel starts one fixed program only."
)
COREDUMP: Fact[bool] = Fact("host.coredump", bool, "CONFIG_COREDUMP: the kernel writes core dumps at all.")
MOUNTED_FILE_SYSTEMS: Fact[Members] = Fact(
    "host.mounted_file_systems", Members, 'Types of file systems mounted on the host: "ext4", "tracefs", "bpf", ...'
)
UEVENT_HELPER: Fact[bool] = Fact("host.uevent_helper", bool, "/sys/kernel/uevent_helper exists.")
STRICT_DEVMEM: Fact[bool] = Fact("host.strict_devmem", bool, "CONFIG_STRICT_DEVMEM: /dev/mem refuses system RAM.")
LEGACY_TIOCSTI: Fact[bool] = Fact("host.legacy_tiocsti", bool, "dev.tty.legacy_tiocsti is 1, or the kernel is older.")
BINFMT_MISC: Fact[bool] = Fact("host.binfmt_misc", bool, "binfmt_misc is built in, loaded or can be auto-loaded.")
MODULES: Fact[Members] = Fact(
    "host.modules", Members, "Kernel modules that are loaded, built in or can be auto-loaded."
)
KERNEL_CONFIG: Fact[Members] = Fact("host.kernel_config", Members, "Kernel options set to y or m, with CONFIG_.")
PROC_HIDEPID: Fact[bool] = Fact("host.proc_hidepid", bool, "/proc is mounted with hidepid of 1 or more.")
ROUTE_LOCALNET: Fact[bool] = Fact(
    "host.route_localnet", bool, "net.ipv4.conf.*.route_localnet is 1 on an interface that containers reach."
)
IPV6_ACCEPT_RA: Fact[bool] = Fact(
    "host.ipv6_accept_ra", bool, "A bridge of the engine accepts IPv6 router advertisements."
)
IOMMU: Fact[bool] = Fact("host.iommu", bool, "Devices are behind an IOMMU; vfio no-IOMMU mode is off.")
PACKAGES: Fact[tuple[tuple[str, str], ...]] = Fact(
    "host.packages", tuple, "Installed engines and runtimes as (package, version) of the distribution."
)
DISTRIBUTION: Fact[str] = Fact("host.distribution", str, "ID and VERSION_ID of os-release: debian-12.")
ARCHITECTURE: Fact[str] = Fact("host.architecture", str, "Machine name of uname(2): x86_64, aarch64.")
DBUS: Fact[bool] = Fact("host.systemd_bus", bool, "systemd runs as pid 1 and takes orders on its sockets.")
KUBELET_LOGS: Fact[bool] = Fact("host.kubelet_logs", bool, "A kubelet serves /var/log of this host to API users.")
ROOT_DEVICE: Fact[str] = Fact(
    "host.root_device", str, '"major:minor" of the file system that holds the root directory, as mountinfo shows it.'
)
LAST_CAPABILITY: Fact[int] = Fact(
    "host.last_capability", int, "Number of the kernel's highest capability: /proc/sys/kernel/cap_last_cap."
)
KUBELET: Fact[bool] = Fact("host.kubelet", bool, "A kubelet runs on this host; for a Pod that is always so.")
RELEASE_AGENT_GUARDED: Fact[bool] = Fact(
    "host.release_agent_guarded",
    bool,
    "Setting release_agent needs CAP_SYS_ADMIN in the initial user namespace: Linux 5.17, 5.16.6, 5.15.20, 5.10.97, "
    "5.4.177, 4.19.229, 4.14.266 and later, or a distribution's kernel that carries the change (CVE-2022-0492).",
)
SOCKET_PERMISSIONS: Fact[tuple[tuple[str, str], ...]] = Fact(
    "host.socket_permissions",
    tuple,
    'Control sockets as (path, "user:group:mode"): ids in decimal digits, mode in octal digits; mode "-" where there is no such socket.',
)
ROOT_DAEMON_SOCKETS: Fact[bool] = Fact(
    "host.root_daemon_sockets", bool, "At least one of libvirt, LXD, Incus and snapd listens on its socket."
)
