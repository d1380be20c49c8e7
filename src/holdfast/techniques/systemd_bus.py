"""Start a unit on the host through systemd's own sockets.

What happens: systemd listens on ``/run/systemd/private`` and, through the message bus, on
``/run/dbus/system_bus_socket``. Root may ask it for a transient unit: any program, started by process 1, outside
every container. Many home and monitoring containers mount one of the two to read the state of services.

Why the host allows it: systemd looks at the user id of the peer, and a container's root has id 0 unless a user
namespace says otherwise. The bus can ask AppArmor too, and ``docker-default`` has no rule for it, so on hosts with
AppArmor the bus refuses; the private socket is a plain socket that AppArmor does not mediate. Read-only mounts change
nothing.

What closes it: mounting neither socket; a user namespace; SELinux; a sandbox with a kernel of its own.

How it looks: a process in a container connects to the bus or to ``/run/systemd/private``; a new transient unit
appears on the host.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import say
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
    host.DBUS: True,
}

TECHNIQUE = Technique(
    title="Start a host unit through the system bus",
    row=9,
    attack=("T1611", "T1543.002"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=(
        covers(container.HOST_PATHS, _PRIVATE)
        | (covers(container.HOST_PATHS, _BUS) & one_of(container.APPARMOR, "none", "unconfined"))
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
    drill=say(_PRIVATE, _BUS, needs=("systemd",)),
    examples=(
        Example("the bus mounted, no AppArmor", _OPEN, YES),
        Example(
            "systemd's private socket under docker-default",
            {**_OPEN, container.HOST_PATHS: Paths(("/run/systemd",)), container.APPARMOR: "docker-default"},
            YES,
        ),
        Example("the bus under docker-default", {**_OPEN, container.APPARMOR: "docker-default"}, NO),
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
