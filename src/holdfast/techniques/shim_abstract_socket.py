"""Command a containerd shim through its abstract socket (CVE-2020-15257).

What happens: older containerd gave every container a shim that took orders on a socket with an abstract name.
Abstract names live in the network namespace, so a container that shares the host's finds the shims of all containers
and asks one of them to start a process as root on the host.

Why the runtime allowed it: the shim checked that the peer's user id is 0 and nothing else. Abstract sockets have no
file permissions, and the mount namespace does not hide them. Shims started before an update stay as they are.

What closes it: containerd 1.3.9, 1.4.3 or later, with containers restarted since; a network namespace of the
container's own; a process that is not host root; an AppArmor rule ``deny unix addr=@**``.

How it looks: a container connects to an address that begins with ``@/containerd-shim/``. Distributions carry the fix
under older version numbers: compare their package.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import at_least, contains, is_, less_than
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.words import container, engine, event, reach
from holdfast.model.words.conditions import host_root, lsm_permits, shares

_OPEN: Situation = {
    container.SHARED_NAMESPACES: Members.of("net"),
    container.SANDBOX: "none",
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    engine.CONTAINERD_VERSION: (1, 3, 7),
}

TECHNIQUE = Technique(
    title="Command a containerd shim through its abstract socket",
    row=12,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=shares("net")
    & host_root()
    & lsm_permits("abstract_sockets")
    & (
        less_than(engine.CONTAINERD_VERSION, (1, 3, 9))
        | (at_least(engine.CONTAINERD_VERSION, (1, 4, 0)) & less_than(engine.CONTAINERD_VERSION, (1, 4, 3)))
    ),
    gives=(Change(reach.HOST_ROOT, True, "the shim starts a process as root outside every container"),),
    closed_by=(
        Change(engine.CONTAINERD_VERSION, (1, 4, 3), "update containerd and restart the containers"),
        Change(container.SHARED_NAMESPACES, without("net"), "give the container a network namespace of its own"),
        Change(container.HOST_USER_ID, 100000, "run as another user or in a user namespace: the shim wants user id 0"),
        Change(container.LSM_DENIES, with_("abstract_sockets"), "refuse abstract sockets by AppArmor"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: the host's abstract sockets are not there"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.SYSCALL, "connect")
    & contains(event.ADDRESS, "/containerd-shim/"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "connect",
        event.ADDRESS: "@/containerd-shim/moby/0a1b/shim.sock",
    },
    drill_class=DrillClass.D0,
    examples=(
        Example("host network, root, containerd 1.3.7", _OPEN, YES),
        Example("the same with containerd 1.4.2", {**_OPEN, engine.CONTAINERD_VERSION: (1, 4, 2)}, YES),
        Example("fixed in the older branch", {**_OPEN, engine.CONTAINERD_VERSION: (1, 3, 9)}, NO),
        Example("today's containerd", {**_OPEN, engine.CONTAINERD_VERSION: (1, 6, 20)}, NO),
        Example("a network namespace of its own", {**_OPEN, container.SHARED_NAMESPACES: Members()}, NO),
        Example("not root", {**_OPEN, container.HOST_USER_ID: 1000}, NO),
        Example("containerd not seen", unseen(_OPEN, engine.CONTAINERD_VERSION), UNKNOWN),
    ),
    sources=(
        "https://github.com/containerd/containerd/security/advisories/GHSA-36xw-fx78-c5r4",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/containerd_shim_pwn.go",
    ),
)
