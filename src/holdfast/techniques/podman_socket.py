"""Command root's Podman through its socket.

What happens: ``podman system service`` serves an API much like Docker's on ``/run/podman/podman.sock`` when root runs
it. Inside a container that socket gives what the Docker socket gives: a further container that is root on the host.

Why the engine allows it: the service runs as root and trusts whoever its socket admits, which is root alone. That the
socket is mounted read-only does not matter.

What closes it: not mounting the socket or a directory above it; Podman as an ordinary user, whose socket lies
elsewhere and gives no more than that user; a user namespace; SELinux; a sandbox with a kernel of its own.

How it looks: a process in a container connects to ``podman.sock``.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import command_engine, say
from holdfast.model.words import container, engine, event, reach
from holdfast.model.words.conditions import connects_to, permitted, reaches_socket, writes_as_root

_SOCKET = "/run/podman/podman.sock"

_OPEN: Situation = {
    container.HOST_PATHS: Paths((_SOCKET,)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
}

TECHNIQUE = Technique(
    title="Command root's Podman through its socket",
    row=5,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=reaches_socket(_SOCKET)
    & (writes_as_root() | permitted(_SOCKET))
    & (~covers(container.HOST_PATHS, "/run") | is_(engine.NAME, "podman")),
    gives=(
        Change(reach.ENGINE_API, True, "Podman carries out whatever it is asked"),
        Change(reach.HOST_ROOT, True, "a new container with the host's root directory inside is root on the host"),
    ),
    closed_by=(
        Change(container.HOST_PATHS, without(_SOCKET), "do not mount the socket or a directory above it"),
        Change(container.HOST_USER_ID, 1000, "run Podman as an ordinary user, or the container in a user namespace"),
        Change(container.LSM_DENIES, with_("host_sockets"), "enforce SELinux: container_t may not use the socket"),
        Change(container.SANDBOX, "kata", "run in a sandbox: its kernel does not pass on the host's sockets"),
    ),
    seen_as=connects_to("/podman.sock"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "connect", event.PATH: "/run/podman/podman.sock"},
    drill_class=DrillClass.D3,
    drill=(*say(_SOCKET), *command_engine(_SOCKET)),
    examples=(
        Example("socket mounted into a root container", _OPEN, YES),
        Example("its directory mounted", {**_OPEN, container.HOST_PATHS: Paths(("/run/podman",))}, YES),
        Example(
            "/run mounted by root's Podman",
            {**_OPEN, container.HOST_PATHS: Paths(("/run",)), engine.NAME: "podman"},
            YES,
        ),
        Example(
            "the socket of a rootless Podman",
            {**_OPEN, container.HOST_PATHS: Paths(("/run/user/1000/podman/podman.sock",))},
            NO,
        ),
        Example("SELinux container_t", {**_OPEN, container.LSM_DENIES: Members.of("host_sockets")}, NO),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=("https://docs.podman.io/en/latest/markdown/podman-system-service.1.html",),
)
