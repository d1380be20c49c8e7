"""Conditions that many techniques share, spelled out once. Nothing but words joined by logic."""

from __future__ import annotations

from typing import Any

from holdfast.model.facts import Fact
from holdfast.model.logic import AnyOf, Expr, covers, ends_with, has, has_any, is_, is_not, lacks, starts_with
from holdfast.model.words import container, event, host


def host_root() -> Expr:
    """Write: file permissions of the host see this process as root."""
    return is_(container.HOST_USER_ID, 0)


def host_capability(name: str) -> Expr:
    """Write: the process holds the capability, and it counts on the host's own kernel."""
    return has(container.CAPABILITIES, name) & is_(container.USER_NAMESPACE, "host") & is_(container.SANDBOX, "none")


def writes_as_root() -> Expr:
    """Write: files that only root may write on the host can be written.

    A process that is root inside is either root on the host too or, in a user namespace, nobody special there. Only
    for a process that is not root inside can a granted CAP_DAC_OVERRIDE make the difference.
    """
    return host_root() | (is_not(container.USER_ID, 0) & host_capability("CAP_DAC_OVERRIDE"))


def reads_as_root() -> Expr:
    """Write: files that only root may read on the host can be read. See ``writes_as_root``."""
    granted = host_capability("CAP_DAC_OVERRIDE") | host_capability("CAP_DAC_READ_SEARCH")
    return host_root() | (is_not(container.USER_ID, 0) & granted)


def permitted(*paths: str) -> Expr:
    """Write: although not root inside, the process may write one of the paths by their owner, group or mode."""
    return is_not(container.USER_ID, 0) & covers(container.HOST_PATHS_PERMITTED, *paths)


def reaches_socket(*paths: str) -> Expr:
    """Write: one of these sockets of the host can be connected to, its own permissions left aside.

    A read-only mount does not matter: connect(2) does not write to the file system. A sandbox does: its kernel has
    sockets of its own and does not pass the host's on.
    """
    return covers(container.HOST_PATHS, *paths) & is_(container.SANDBOX, "none") & lsm_permits("host_sockets")


def on_kubernetes_node(paths: Fact[Any], *wide: str) -> Expr:
    """Write: the mount names a Kubernetes directory itself, or a kubelet runs on this host.

    A mount of one of the ``wide`` directories would hold the Kubernetes directory only where there is a kubelet.
    """
    return ~covers(paths, *wide) | is_(host.KUBELET, True)


def may_call(*calls: str) -> Expr:
    """Write: seccomp lets these system calls through."""
    expr = has(container.SYSCALLS, calls[0])
    for call in calls[1:]:
        expr = expr & has(container.SYSCALLS, call)
    return expr


def may_attach() -> Expr:
    """Write: seccomp and the security module let a file system be mounted, by mount(2) or by the newer calls.

    The two are judged apart: AppArmor had no say over move_mount before Linux 6.7.
    """
    by_newer_calls = may_call("fsopen", "fsmount", "move_mount") & lsm_permits("move_mount")
    return (may_call("mount") & lsm_permits("mount")) | by_newer_calls


def may_mount() -> Expr:
    """Write: a file system can be mounted on the host's kernel: besides, CAP_SYS_ADMIN counts there."""
    return host_capability("CAP_SYS_ADMIN") & may_attach()


def may_use_detached() -> Expr:
    """Write: files of a file system can be opened although it is attached nowhere.

    What fsmount(2) returns is a directory to open files from. AppArmor's rules name paths, and these files have none
    that a rule would know.
    """
    return host_capability("CAP_SYS_ADMIN") & may_call("fsopen", "fsmount") & lsm_permits("detached_mount")


def lsm_permits(act: str) -> Expr:
    """Write: the enforced security module does not refuse this (a member of container.lsm_denies)."""
    return lacks(container.LSM_DENIES, act)


def shares(namespace: str) -> Expr:
    """Write: the namespace is the host's own, on the host's own kernel."""
    return has(container.SHARED_NAMESPACES, namespace) & is_(container.SANDBOX, "none")


def may_make_device() -> Expr:
    """Write: a node for any device of the host can be made. The device cgroup lets mknod through by default."""
    return host_capability("CAP_MKNOD") & has_any(container.SYSCALLS, "mknod", "mknodat")


def may_open_device(kind: str) -> Expr:
    """Write: a device of this kind opens: its node is inside or can be made, and nothing refuses the open."""
    node = has(container.DEVICES, kind) | may_make_device()
    return has(container.DEVICE_ACCESS, kind) & node & lsm_permits("devices")


def may_open_rare_device(kind: str) -> Expr:
    """Write: the same for a device that not every host has, and no kernel makes on demand.

    A privileged container has a node for every device of the host: what has none in it is not there, and mknod makes
    a node for nothing.
    """
    node = has(container.DEVICES, kind) | (may_make_device() & is_(container.PRIVILEGED, False))
    return has(container.DEVICE_ACCESS, kind) & node & lsm_permits("devices")


def writes_below(*prefixes: str) -> Expr:
    """Write: an event in which a container writes a host file whose path starts with one of these."""
    where = AnyOf(tuple(starts_with(event.HOST_PATH, prefix) for prefix in prefixes))
    return is_(event.IN_CONTAINER, True) & is_(event.WRITE, True) & where


def named(*endings: str) -> Expr:
    """Write: an event on a file whose path ends so, as it was reached or in its own file system.

    The second tells a file of the kernel that was bound to another name.
    """
    return AnyOf(tuple(ends_with(fact, ending) for ending in endings for fact in (event.PATH, event.INNER_PATH)))


def connects_to(*endings: str) -> Expr:
    """Write: an event in which a container connects to a unix socket whose path ends so."""
    inside = tuple(ends_with(event.PATH, ending) for ending in endings)
    outside = tuple(ends_with(event.HOST_PATH, ending) for ending in endings)
    return is_(event.IN_CONTAINER, True) & is_(event.SYSCALL, "connect") & AnyOf((*inside, *outside))
