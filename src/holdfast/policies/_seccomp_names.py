"""System calls by what they mean to a profile: what is never let through by itself, and what libraries interchange.

Source:
    https://docs.docker.com/engine/security/seccomp/ (calls that the default profile holds back, with reasons)
    https://github.com/moby/profiles/tree/main/seccomp
    https://github.com/kubernetes-sigs/security-profiles-operator/issues/142,
    https://github.com/kubernetes/kubernetes/issues/85191 (what a process needs to end)
    https://github.com/moby/moby/issues/42681 (clone3 must not be there where clone is filtered)
"""

from __future__ import annotations

ALWAYS = ("exit", "exit_group", "restart_syscall", "rt_sigreturn", "sigreturn")
"""A process needs these to end and to come back from a signal, though a short recording may not show them."""

_NEVER = {
    "it mounts, or changes what is mounted": "mount umount umount2 pivot_root chroot open_tree open_tree_attr "
    "move_mount fsopen fsconfig fsmount fspick mount_setattr quotactl quotactl_fd swapon swapoff",
    "it makes or enters namespaces": "unshare setns",
    "it opens a file by its number, past every directory": "open_by_handle_at",
    "it runs code in the kernel": "bpf init_module finit_module delete_module create_module kexec_load kexec_file_load",
    "it reaches the hardware": "iopl ioperm vm86 vm86old",
    "it watches other processes or the kernel": "perf_event_open ptrace process_vm_readv process_vm_writev "
    "process_madvise kcmp pidfd_getfd lookup_dcookie fanotify_init syslog query_module get_kernel_syms",
    "the kernel's keys know no containers": "keyctl add_key request_key",
    "it serves to widen races in the kernel": "userfaultfd",
    "its requests pass by every filter": "io_uring_setup io_uring_enter io_uring_register",
    "it changes the machine as a whole": "reboot acct settimeofday stime clock_settime clock_settime64 sethostname "
    "setdomainname nfsservctl _sysctl uselib vhangup",
    "it moves memory between nodes of others": "move_pages migrate_pages",
    "it hides the family of a socket behind a pointer": "socketcall",
}
NEVER = {name: why for why, names in _NEVER.items() for name in names.split()}
"""Calls that are not let through because they were recorded, with the reason."""

CLONE_FLAGS = {
    "CLONE_NEWNS": 0x00020000,
    "CLONE_NEWCGROUP": 0x02000000,
    "CLONE_NEWUTS": 0x04000000,
    "CLONE_NEWIPC": 0x08000000,
    "CLONE_NEWUSER": 0x10000000,
    "CLONE_NEWPID": 0x20000000,
    "CLONE_NEWNET": 0x40000000,
}
SOCKET_FAMILIES = {"AF_PACKET": 17, "AF_ALG": 38, "AF_VSOCK": 40}
TERMINAL_REQUESTS = {"TIOCSTI": 0x5412, "TIOCLINUX": 0x541C}
NEVER_VALUES = {
    "clone": (CLONE_FLAGS, "it makes namespaces"),
    "socket": (SOCKET_FAMILIES, "this family reaches the kernel's cryptography, the hypervisor or raw frames"),
    "ioctl": (TERMINAL_REQUESTS, "it types into the terminal of whoever watches"),
}
"""Argument values that are not let through because they were recorded: by call, names and numbers, and the reason."""

PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""Linux, 32-bit Linux, the two with an old version number, and the question which one is in force."""
USUAL_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}

_ALIKE = """
open openat openat2
stat lstat fstat newfstatat statx stat64 lstat64 fstat64 fstatat64
access faccessat faccessat2
clone clone3 fork vfork
epoll_create epoll_create1
epoll_wait epoll_pwait epoll_pwait2
poll ppoll ppoll_time64
select _newselect pselect6 pselect6_time64
dup2 dup3
pipe pipe2
eventfd eventfd2
signalfd signalfd4
inotify_init inotify_init1
futex futex_time64
getrlimit ugetrlimit setrlimit prlimit64
accept accept4
send sendto
recv recvfrom
recvmmsg recvmmsg_time64
unlink rmdir unlinkat
mkdir mkdirat
mknod mknodat
link linkat
symlink symlinkat
readlink readlinkat
rename renameat renameat2
chmod fchmodat fchmodat2
chown lchown fchownat chown32 lchown32
fchown fchown32
utime utimes futimesat utimensat utimensat_time64
getdents getdents64
nanosleep clock_nanosleep clock_nanosleep_time64
time gettimeofday clock_gettime clock_gettime64
clock_getres clock_getres_time64
preadv preadv2
pwritev pwritev2
sendfile sendfile64
lseek _llseek
mmap mmap2
fcntl fcntl64
truncate truncate64
ftruncate ftruncate64
statfs statfs64
fstatfs fstatfs64
fadvise64 fadvise64_64
wait4 waitpid waitid
sigaction rt_sigaction
sigprocmask rt_sigprocmask
sigsuspend rt_sigsuspend
sigpending rt_sigpending
rt_sigtimedwait rt_sigtimedwait_time64
tkill tgkill
getpgrp getpgid
semop semtimedop semtimedop_time64
timer_gettime timer_gettime64
timer_settime timer_settime64
timerfd_gettime timerfd_gettime64
timerfd_settime timerfd_settime64
getuid getuid32
geteuid geteuid32
getgid getgid32
getegid getegid32
setuid setuid32
setgid setgid32
setreuid setreuid32
setregid setregid32
setresuid setresuid32
setresgid setresgid32
getresuid getresuid32
getresgid getresgid32
getgroups getgroups32
setgroups setgroups32
setfsuid setfsuid32
setfsgid setfsgid32
set_tid_address set_robust_list rseq getrandom brk mmap munmap mprotect madvise
"""
ALIKE = tuple(frozenset(line.split()) for line in _ALIKE.strip().splitlines())
"""Calls that C libraries interchange from version to version or from machine to machine: one seen, all expected.

The last line is what they do before ``main`` and when a thread ends.
"""
