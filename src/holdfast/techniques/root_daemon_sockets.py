"""Command another daemon that runs as root: libvirt, LXD, Incus or snapd.

What happens: several managers of virtual machines, system containers and packages run as root and take orders over a
unix socket. Through libvirt or LXD one defines a guest that has the host's disk or root directory inside; through
snapd one installs a package in developer mode. Each order is carried out as root on the host.

Why the host allows it: these daemons trust root, or one group of their own (``libvirt``, ``lxd``), and look at
nothing else. The peer's user id is that of the container's process unless a user namespace changes it.

What closes it: not mounting such a socket; a user namespace; SELinux; a sandbox with a kernel of its own.

How it looks: a process in a container connects to ``libvirt-sock``, ``unix.socket`` of LXD or Incus, or
``snapd.socket``.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import say
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import connects_to, permitted, reaches_socket, writes_as_root

_SOCKETS = (
    "/run/libvirt/libvirt-sock",
    "/run/libvirt/virtqemud-sock",
    "/var/lib/lxd/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
    "/var/lib/incus/unix.socket",
    "/run/snapd.socket",
)

_OPEN: Situation = {
    container.HOST_PATHS: Paths(("/run/libvirt/libvirt-sock",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
}

TECHNIQUE = Technique(
    title="Command another root daemon through its socket",
    row=10,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=reaches_socket(*_SOCKETS)
    & (~covers(container.HOST_PATHS, "/run", "/var/lib") | is_(host.ROOT_DAEMON_SOCKETS, True))
    & (writes_as_root() | permitted(*_SOCKETS)),
    gives=(Change(reach.HOST_ROOT, True, "the daemon carries out the order as root on the host"),),
    closed_by=(
        Change(container.HOST_PATHS, without(*_SOCKETS), "do not mount the daemon's socket or its directory"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: to the daemon the peer is an ordinary user"),
        Change(container.LSM_DENIES, with_("host_sockets"), "enforce SELinux: container_t may not use the socket"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its kernel does not pass on the host's sockets"),
    ),
    seen_as=connects_to("/libvirt-sock", "/virtqemud-sock", "/unix.socket", "/snapd.socket") & is_(event.ABSENT, False),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "connect",
        event.PATH: "/run/libvirt/libvirt-sock",
        event.ABSENT: False,
    },
    drill_class=DrillClass.D3,
    drill=say(*_SOCKETS),
    examples=(
        Example("libvirt's socket mounted into a root container", _OPEN, YES),
        Example("LXD's directory mounted", {**_OPEN, container.HOST_PATHS: Paths(("/var/lib/lxd",))}, YES),
        Example(
            "/run mounted on a host that runs one of them",
            {**_OPEN, container.HOST_PATHS: Paths(("/run",)), host.ROOT_DAEMON_SOCKETS: True},
            YES,
        ),
        Example("another socket", {**_OPEN, container.HOST_PATHS: Paths(("/run/postgresql",))}, NO),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example(
            "/run mounted on a host that may run none of them",
            {**_OPEN, container.HOST_PATHS: Paths(("/run",))},
            UNKNOWN,
        ),
        Example("user not seen", unseen(_OPEN, container.USER_ID, container.HOST_USER_ID), UNKNOWN),
    ),
    sources=(
        "https://libvirt.org/auth.html",
        "https://documentation.ubuntu.com/lxd/latest/explanation/security/",
        "https://snapcraft.io/docs/using-the-api",
    ),
)
