"""Two yardsticks: the most restricted workload that still does useful work, and one that asks for nothing at all.

A technique that stays unknown for a yardstick too depends on nothing that the owner of a workload wrote: only the host,
the cluster or the network, which nobody saw, can decide it. Such findings are summed up instead of being told for every
workload.

The values of the first are those of a Pod that passes the Kubernetes Pod Security Standard "restricted", with the
volumes and the service account token that the standard permits. The second is what an engine makes of an image that
runs as root, with no seccomp filter and no security module, as Kubernetes does it where nothing else is set up.

Source:
    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    https://docs.docker.com/engine/security/#linux-kernel-capabilities
"""

from __future__ import annotations

from typing import Any

from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import EVERYTHING, Members, Paths
from holdfast.model.words import container

_HERE = Where("the most restricted workload")

_VALUES: dict[Fact[Any], object] = {
    container.USER_ID: 65532,
    container.HOST_USER_ID: 65532,
    container.HOST_GROUP_IDS: Members.of(65532),
    container.USER_NAMESPACE: "host",
    container.CAPABILITIES: Members(),
    container.BOUNDING_CAPABILITIES: Members(),
    container.NO_NEW_PRIVILEGES: True,
    container.PRIVILEGED: False,
    container.SYSCALLS: Members(),
    container.SECCOMP: "runtime-default",
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
    container.SHARED_NAMESPACES: Members(),
    container.HOST_PATHS: Paths(),
    container.HOST_PATHS_WRITABLE: Paths(),
    container.HOST_PATHS_SUID: Paths(),
    container.HOST_PATHS_SHARED: Paths(),
    container.HOST_SUPERBLOCK: True,
    container.LAYER_PATH_KNOWN: True,
    container.MASKED: True,
    container.KERNEL_FILES_WRITABLE: Members(),
    container.DEVICES: Members(),
    container.DEVICES_PERMITTED: Members(),
    container.DEVICE_ACCESS: Members(),
    container.CGROUP_WRITABLE: False,
    container.LXCFS_WRITABLE: False,
    container.SERVICE_ACCOUNT_TOKEN: True,
    container.VOLUME_CLAIMS: True,
    container.SAME_USER_ON_HOST: False,
    container.SAME_USER_ID_ON_HOST: False,
    container.USER_ID_ON_HOST: False,
    container.SAME_USER_IN_CONTAINER: False,
}

RESTRICTED = Facts({fact: Seen(value, _HERE) for fact, value in _VALUES.items()})
"""Facts that are left out (an inherited descriptor, what a volume claim is bound to) cannot be seen in any manifest."""

_CAPABILITIES = Members.of(
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
)  # fmt: skip
_PLAIN_VALUES: dict[Fact[Any], object] = {
    **_VALUES,
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.HOST_GROUP_IDS: Members.of(0),
    container.CAPABILITIES: _CAPABILITIES,
    container.BOUNDING_CAPABILITIES: _CAPABILITIES,
    container.NO_NEW_PRIVILEGES: False,
    container.SYSCALLS: EVERYTHING,
    container.SECCOMP: "unconfined",
    container.SHARED_NAMESPACES: Members.of("cgroup"),
}

PLAIN = Facts({fact: Seen(value, Where("a workload that asks for nothing")) for fact, value in _PLAIN_VALUES.items()})

YARDSTICKS = (RESTRICTED, PLAIN)
