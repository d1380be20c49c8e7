"""Command a rootless engine through the socket of the user who runs it.

What happens: Docker and Podman can run as an ordinary user. Their API socket then lies in that user's own directory,
``/run/user/UID/docker.sock`` or ``/run/user/UID/podman/podman.sock``. Mounted into a container, it lets whoever takes
the container over start further ones with every file of that user inside. The host's root stays out of reach.

Why the engine allows it: the rootless API has no users either, and container root of a rootless engine *is* the user
who owns the socket. A read-only mount of the socket changes nothing.

What closes it: not mounting the socket or the user's runtime directory; SELinux, which keeps containers away from
sockets that are not theirs; a sandbox with a kernel of its own.

How it looks: a process in a container connects to a ``docker.sock`` or ``podman.sock`` below ``/run/user``.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import command_engine, say
from holdfast.model.words import container, engine, event, reach
from holdfast.model.words.conditions import connects_to, host_root, permitted, reaches_socket

_SOCKETS = ("/run/user/*/docker.sock", "/run/user/*/podman/podman.sock")

_OPEN: Situation = {
    container.HOST_PATHS: Paths(("/run/user/1000/docker.sock",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 1000,
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
    engine.ROOTLESS: True,
}

TECHNIQUE = Technique(
    title="Command a rootless engine through its user's socket",
    row=1,
    attack=("T1611", "T1610"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=reaches_socket(*_SOCKETS)
    & (~covers(container.HOST_PATHS, "/run") | is_(engine.ROOTLESS, True))
    & ((is_(engine.ROOTLESS, True) & is_(container.USER_ID, 0)) | host_root() | permitted(*_SOCKETS)),
    gives=(
        Change(reach.ENGINE_API, True, "the rootless engine carries out whatever it is asked"),
        Change(reach.ENGINE_USER, True, "a new container has every file of the engine's user inside"),
    ),
    closed_by=(
        Change(container.HOST_PATHS, without(*_SOCKETS), "mount neither the socket nor the user's runtime directory"),
        Change(container.LSM_DENIES, with_("host_sockets"), "enforce SELinux: container_t may not use the socket"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its kernel does not pass on the host's sockets"),
    ),
    seen_as=connects_to("/docker.sock", "/podman.sock"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "connect",
        event.HOST_PATH: "/run/user/1000/podman/podman.sock",
    },
    drill_class=DrillClass.D3,
    drill=(*say(*_SOCKETS), *command_engine(*_SOCKETS)),
    examples=(
        Example("the rootless engine's own socket, container root", _OPEN, YES),
        Example(
            "the user's whole runtime directory",
            {**_OPEN, container.HOST_PATHS: Paths(("/run/user/1000",))},
            YES,
        ),
        Example(
            "one socket of the sound server only",
            {**_OPEN, container.HOST_PATHS: Paths(("/run/user/1000/pulse",))},
            NO,
        ),
        Example("SELinux container_t", {**_OPEN, container.LSM_DENIES: Members.of("host_sockets")}, NO),
        Example("nobody knows whether the engine is rootless", unseen(_OPEN, engine.ROOTLESS), UNKNOWN),
    ),
    sources=(
        "https://docs.docker.com/engine/security/rootless/",
        "https://docs.podman.io/en/latest/markdown/podman-system-service.1.html",
    ),
)
