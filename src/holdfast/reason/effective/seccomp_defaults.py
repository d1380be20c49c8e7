"""The default seccomp profiles of Docker, containerd, Podman and CRI-O, each as its differences from the others.

All descend from Docker's of 2016: a list of ordinary calls, some calls gated by capabilities, some by arguments. Which
release has which is said in ``seccomp_releases``.

Source:
    https://github.com/moby/profiles/tree/main/seccomp and, before, github.com/moby/moby/tree/25.0/profiles/seccomp
    https://github.com/containerd/containerd/blob/main/contrib/seccomp/seccomp_default.go
    https://github.com/containers/common/blob/main/pkg/seccomp/seccomp.json
    https://github.com/cri-o/cri-o/blob/main/internal/config/seccomp/seccomp.go
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from holdfast.reason.effective.bpf import Action
from holdfast.reason.effective.seccomp_profile import ALLOWED, Answer, Condition, Gate, Profile, Rule
from holdfast.reason.effective.syscall_table import CLONE_NAMESPACES

_EPERM: Answer = (Action.ERRNO, 1)
_ENOSYS: Answer = (Action.ERRNO, 38)

# Allowed by every default profile here, whatever the version, without a condition.
_ORDINARY = """
_llseek _newselect accept accept4 access adjtimex alarm bind brk capget capset chdir chmod chown chown32
clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1
epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit
exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchown
fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64
fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_time64 futimesat get_robust_list get_thread_area
getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32
getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid
getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit
ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown
lchown32 lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise
membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect
mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap nanosleep newfstatat open openat openat2 pause
pidfd_open pidfd_send_signal pipe pipe2 poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64
process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv
recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall
rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop
semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address
setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid
setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid
setuid32 setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall
socketpair splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill
time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64
ugetrlimit umask uname unlink unlinkat utime utimensat utimensat_time64 utimes vfork wait4 waitid waitpid write
writev
"""

_IO_URING = "io_uring_enter io_uring_register io_uring_setup"
_MOUNT_API = "fsconfig fsmount fsopen fspick move_mount open_tree"
_NEW_5_16 = "landlock_add_rule landlock_create_ruleset landlock_restrict_self memfd_secret process_mrelease futex_waitv"
_NEW_6_6 = "cachestat fchmodat2 map_shadow_stack futex_requeue futex_wait futex_wake"
_NEW_6_13 = "listmount statmount mseal uretprobe riscv_hwprobe getxattrat listxattrat removexattrat setxattrat"
_PROTECTION_KEYS = "pkey_alloc pkey_free pkey_mprotect"

# What Docker's and containerd's profiles open for a capability.
_GATED = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": "bpf clone fanotify_init lookup_dcookie mount perf_event_open quotactl setdomainname sethostname "
    "setns syslog umount umount2 unshare",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module init_module finit_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "iopl ioperm",
    "CAP_SYS_TIME": "settimeofday stime clock_settime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy",
    "CAP_SYSLOG": "syslog",
}
_ARM = "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2"

# Podman's profile leaves namespaces and mounts to the kernel's own checks.
_PODMAN_ORDINARY = (
    "clone clone3 get_mempolicy keyctl mbind mount mount_setattr name_to_handle_at pidfd_getfd pivot_root "
    "process_vm_readv process_vm_writev ptrace reboot set_mempolicy setns signal syslog umount umount2 unshare "
    f"{_MOUNT_API} {_PROTECTION_KEYS}"
)
_PODMAN_GATED = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": "bpf lookup_dcookie perf_event_open quotactl setdomainname sethostname",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module query_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp process_madvise",
    "CAP_SYS_RAWIO": "iopl ioperm",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}

# Socket families as moby lists them since 2026-08: below 12, and these. AF_ALG and AF_VSOCK are missing by intent.
_LISTED_FAMILIES = (13, 14, 15, 16, 17, 18, 21, 22, 24, *range(26, 34), 35, 36, 39, 41, 42, 43, 44, 45)


class _Made:
    """A profile in the making."""

    def __init__(self, default: Answer, ordinary: Iterable[str]) -> None:
        self.default = default
        self.rules: dict[str, list[Rule]] = {}
        self.allow(" ".join(ordinary))
        for value in (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF):
            self.add("personality", Rule((Action.ALLOW, 0), (Condition(0, "EQ", value),)))
        self.add("arch_prctl", Rule((Action.ALLOW, 0), (), Gate(architectures=frozenset({"amd64", "x32"}))))
        self.add("modify_ldt", Rule((Action.ALLOW, 0), (), Gate(architectures=frozenset({"amd64", "x32", "x86"}))))
        for call in _ARM.split():
            self.add(call, Rule((Action.ALLOW, 0), (), Gate(architectures=frozenset({"arm", "arm64"}))))

    def add(self, call: str, rule: Rule) -> None:
        self.rules.setdefault(call, []).append(rule)

    def allow(self, calls: str) -> None:
        for call in calls.split():
            self.add(call, ALLOWED)

    def drop(self, calls: str) -> None:
        for call in calls.split():
            self.rules.pop(call, None)

    def open(self, capability: str, calls: str) -> None:
        for call in calls.split():
            self.add(call, Rule((Action.ALLOW, 0), (), Gate(capabilities=frozenset({capability}))))

    def sockets(self, kind: str) -> None:
        """Allow sockets: all, all but AF_VSOCK, all but AF_ALG and AF_VSOCK by ranges, or the listed families."""
        conditions = {
            "all": (),
            "vsock": (Condition(0, "NE", 40),),
            "ranges": (Condition(0, "LT", 38), Condition(0, "EQ", 39), Condition(0, "GT", 40)),
            "listed": (Condition(0, "LT", 12), *(Condition(0, "EQ", family) for family in _LISTED_FAMILIES)),
        }[kind]
        for condition in conditions:
            self.add("socket", Rule((Action.ALLOW, 0), (condition,)))
        if not conditions:
            self.allow("socket")

    def masked_clone(self) -> None:
        """Hold back new namespaces without CAP_SYS_ADMIN; clone3 hides its flags, so it is not there at all."""
        admin = frozenset({"CAP_SYS_ADMIN"})
        self.add(
            "clone",
            Rule(
                (Action.ALLOW, 0),
                (Condition(0, "MASKED_EQ", CLONE_NAMESPACES, 0),),
                Gate(without_capabilities=admin),
            ),
        )
        self.add("clone3", Rule(_ENOSYS, (), Gate(without_capabilities=admin)))
        self.open("CAP_SYS_ADMIN", "clone3")

    def profile(self) -> Profile:
        return Profile(self.default, {call: tuple(rules) for call, rules in self.rules.items()})


@dataclass(frozen=True, slots=True)
class Traits:
    """What tells the releases of Docker's and containerd's profile apart.

    Attributes:
        pkey: Protection key calls are ordinary.
        mount_api: The mount calls of Linux 5.2 and clone3 are known (and gated).
        new_5_16: Calls up to Linux 5.16 are known.
        time64: clock_settime64 is gated like clock_settime.
        bpf_caps: CAP_BPF and CAP_PERFMON open their call.
        vm: process_vm_readv and _writev are open with ptrace on Linux 4.8.
        ptrace: ptrace is open on Linux 4.8.
        handle: name_to_handle_at is ordinary; before, CAP_SYS_ADMIN opened it.
        io_uring: io_uring is ordinary.
        new_6_6: Calls up to Linux 6.7 are known.
        new_6_13: Calls up to Linux 6.13 are known.
        sockets: See ``_Made.sockets``.
        socketcall: The 32-bit socket multiplexer is there.
    """

    pkey: bool = True
    mount_api: bool = True
    new_5_16: bool = True
    time64: bool = True
    bpf_caps: bool = True
    vm: bool = True
    ptrace: bool = True
    handle: bool = True
    io_uring: bool = False
    new_6_6: bool = True
    new_6_13: bool = False
    sockets: str = "vsock"
    socketcall: bool = True


@cache
def docker_family(has: Traits) -> Profile:
    """Make a release of Docker's or containerd's profile."""
    ordinary = {*_ORDINARY.split(), "io_pgetevents", "io_pgetevents_time64", "vmsplice"}
    made = _Made(_EPERM, sorted(ordinary))
    for there, calls in (
        (has.pkey, _PROTECTION_KEYS),
        (has.io_uring, _IO_URING),
        (has.handle, "name_to_handle_at"),
        (has.new_5_16, _NEW_5_16),
        (has.new_6_6, _NEW_6_6),
        (has.new_6_13, _NEW_6_13),
    ):
        (made.allow if there else made.drop)(calls)
    if not has.mount_api:
        made.drop("close_range epoll_pwait2")
    if not has.socketcall:
        made.drop("socketcall")
        made.add("socketcall", Rule(_ENOSYS))
    made.sockets(has.sockets)
    made.masked_clone()
    since_4_8 = ("ptrace", "process_vm_readv", "process_vm_writev") if has.vm else ("ptrace",) * has.ptrace
    for call in since_4_8:
        made.add(call, Rule((Action.ALLOW, 0), (), Gate(kernel=(4, 8))))
    for capability, calls in _GATED.items():
        made.open(capability, calls)
    for there, capability, calls in (
        (has.mount_api, "CAP_SYS_ADMIN", _MOUNT_API),
        (has.mount_api, "CAP_SYS_PTRACE", "process_madvise"),
        (has.new_5_16, "CAP_SYS_ADMIN", "mount_setattr quotactl_fd"),
        (not has.handle, "CAP_SYS_ADMIN", "name_to_handle_at"),
        (has.time64, "CAP_SYS_TIME", "clock_settime64"),
        (has.bpf_caps, "CAP_BPF", "bpf"),
        (has.bpf_caps, "CAP_PERFMON", "perf_event_open"),
        (has.new_6_6, "CAP_SYS_NICE", "set_mempolicy_home_node"),
        (has.new_6_13, "CAP_SYS_ADMIN", "lsm_get_self_attr lsm_set_self_attr lsm_list_modules"),
    ):
        if there:
            made.open(capability, calls)
    return made.profile()


@cache
def podman(*, new: bool, vsock: bool, namespaces: str = "free") -> Profile:
    """Make Podman's profile, or CRI-O's copy of it.

    Args:
        new: As of 2026; else as of Podman 4.3.
        vsock: AF_VSOCK is denied.
        namespaces: ``free``, ``unshare`` (CRI-O gates unshare), ``masked`` (and masks clone).
    """
    made = _Made(_ENOSYS, _ORDINARY.split())
    made.allow(_PODMAN_ORDINARY)
    made.allow(
        "fanotify_init fchmodat2 futex_requeue futex_wait futex_waitv futex_wake"
        if new
        else "readdir sigaction sigpending sigsuspend syscall timerfd"
    )
    for capability, calls in _PODMAN_GATED.items():
        made.open(capability, calls)
    if new:
        made.open("CAP_SYS_ADMIN", "quotactl_fd")
        made.open("CAP_BPF", "bpf")
        made.open("CAP_PERFMON", "perf_event_open")
    else:
        made.open("CAP_SYS_ADMIN", "fanotify_init")
    if namespaces != "free":
        made.drop("unshare")
        made.open("CAP_SYS_ADMIN", "unshare")
    if namespaces == "masked":
        made.drop("clone clone3")
        made.masked_clone()
        made.open("CAP_SYS_ADMIN", "clone")
    _podman_sockets(made, vsock=vsock)
    return made.profile()


def _podman_sockets(made: _Made, *, vsock: bool) -> None:
    """Keep audit sockets from who could not use them; AF_VSOCK from everybody where it is denied.

    The profile says so with rules that deny and rules that allow; these are the calls that get through.
    """
    closed = Gate(without_capabilities=frozenset({"CAP_AUDIT_WRITE"}))
    others = (Condition(0, "NE", 16), *((Condition(0, "NE", 40),) if vsock else ()))
    made.add("socket", Rule((Action.ALLOW, 0), (Condition(0, "EQ", 16), Condition(2, "NE", 9)), closed))
    made.add("socket", Rule((Action.ALLOW, 0), others, closed))
    made.add("socket", Rule((Action.ALLOW, 0), others[1:], Gate(capabilities=frozenset({"CAP_AUDIT_WRITE"}))))
