"""Start a unit on the host through systemd's own sockets.

What happens: systemd listens on ``/run/systemd/private`` and, through the message bus, on
``/run/dbus/system_bus_socket``. Root may ask it for a transient unit: any program, started by process 1, outside
every container. Many home and monitoring containers mount one of the two to read the state of services.

Why the host allows it: systemd looks at the user id of the peer, and a container's root has id 0 unless a user
namespace says otherwise. The bus asks AppArmor too, and ``docker-default`` has no rule for it: where the kernel knows
such rules, as Ubuntu's does, the bus refuses. Elsewhere, as on Debian 12, the bus cannot tell whom it speaks with and
passes the order on. The private socket asks nobody. Read-only mounts change nothing.

What closes it: mounting neither socket; a user namespace; SELinux; a sandbox with a kernel of its own.

How it looks: a process in a container connects to the bus or to ``/run/systemd/private``; a new transient unit
appears on the host.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import command_systemd, say
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import connects_to, host_root, lsm_permits

_BUS = "/run/dbus/system_bus_socket"
_PRIVATE = "/run/systemd/private"

_OPEN: Situation = {
    container.HOST_PATHS: Paths((_BUS,)),
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.APPARMOR: "none",
    container.SANDBOX: "none",
    host.APPARMOR_DBUS: True,
    host.DBUS: True,
}
_CONFINED: Situation = {**_OPEN, container.APPARMOR: "docker-default"}

TECHNIQUE = Technique(
    title="Start a host unit through the system bus",
    row=9,
    attack=("T1611", "T1543.002"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=(
        covers(container.HOST_PATHS, _PRIVATE)
        | (
            covers(container.HOST_PATHS, _BUS)
            & (one_of(container.APPARMOR, "none", "unconfined") | is_(host.APPARMOR_DBUS, False))
        )
    )
    & host_root()
    & is_(container.SANDBOX, "none")
    & lsm_permits("host_sockets")
    & is_(host.DBUS, True),
    gives=(Change(reach.HOST_ROOT, True, "process 1 of the host starts a unit that the container describes"),),
    closed_by=(
        Change(container.HOST_PATHS, without(_BUS, _PRIVATE), "mount neither the bus nor systemd's private socket"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: to systemd the peer is an ordinary user"),
        Change(container.LSM_DENIES, with_("host_sockets"), "enforce SELinux: container_t may not use the sockets"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its kernel does not pass on the host's sockets"),
    ),
    # Programs ask for the bus wherever they run; where there is none, nothing was attempted.
    seen_as=connects_to("/system_bus_socket", "/systemd/private") & is_(event.ABSENT, False),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "connect",
        event.PATH: "/run/dbus/system_bus_socket",
        event.ABSENT: False,
    },
    drill_class=DrillClass.D3,
    drill=(
        command_systemd(_PRIVATE, bus=False),
        command_systemd(_BUS, bus=True),
        *say(_PRIVATE, _BUS, needs=("systemd",)),
    ),
    examples=(
        Example("the bus mounted, no AppArmor", _OPEN, YES),
        Example(
            "systemd's private socket under docker-default",
            {**_CONFINED, container.HOST_PATHS: Paths(("/run/systemd",))},
            YES,
        ),
        Example("the bus under docker-default", _CONFINED, NO),
        Example(
            "the bus under docker-default, on a kernel without rules for D-Bus",
            {**_CONFINED, host.APPARMOR_DBUS: False},
            YES,
        ),
        Example("the bus under docker-default, the kernel not seen", unseen(_CONFINED, host.APPARMOR_DBUS), UNKNOWN),
        Example(
            "only the journal's socket",
            {**_OPEN, container.HOST_PATHS: Paths(("/run/systemd/journal/socket",))},
            NO,
        ),
        Example("a host without systemd", {**_OPEN, host.DBUS: False}, NO),
        Example("host not seen", unseen(_OPEN, host.DBUS), UNKNOWN),
    ),
    sources=(
        "https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html",
        "https://github.com/henrygd/beszel/issues/1408",
    ),
)
