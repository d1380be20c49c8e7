"""Conditions that many techniques share, spelled out once. Nothing but words joined by logic."""

from __future__ import annotations

from holdfast.model.logic import Expr, has, is_, lacks
from holdfast.model.words import container


def host_root() -> Expr:
    """Write: file permissions of the host see this process as root."""
    return is_(container.HOST_USER_ID, 0)


def host_capability(name: str) -> Expr:
    """Write: the process holds the capability, and it counts on the host's own kernel."""
    return has(container.CAPABILITIES, name) & is_(container.USER_NAMESPACE, "host") & is_(container.SANDBOX, "none")


def may_call(*calls: str) -> Expr:
    """Write: seccomp lets these system calls through."""
    expr = has(container.SYSCALLS, calls[0])
    for call in calls[1:]:
        expr = expr & has(container.SYSCALLS, call)
    return expr


def may_mount() -> Expr:
    """Write: mount(2) works on the host's kernel: CAP_SYS_ADMIN, seccomp and the security module let it through."""
    return host_capability("CAP_SYS_ADMIN") & may_call("mount") & lsm_permits("mount")


def lsm_permits(act: str) -> Expr:
    """Write: the enforced security module does not refuse this (a member of container.lsm_denies)."""
    return lacks(container.LSM_DENIES, act)


def shares(namespace: str) -> Expr:
    """Write: the namespace is the host's own, on the host's own kernel."""
    return has(container.SHARED_NAMESPACES, namespace) & is_(container.SANDBOX, "none")
