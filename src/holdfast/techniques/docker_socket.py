"""Command the Docker engine through its socket.

What happens: the engine's socket lies inside the container, mounted itself or as part of ``/run`` or ``/``. Whoever
may connect to it asks the engine for a further container that has the host's root directory inside, and is root on
the host. No flaw is needed: that is what the API is for.

Why the engine allows it: the API knows no users. File permissions of the socket are the whole guard, and they admit
host root and one group, often ``docker``. A process in that group needs no capability and need not be root. Mounting
the socket read-only changes nothing, because connecting to a socket does not write to the file system.

What closes it: not mounting the socket; a proxy that passes only harmless requests; a user namespace, since then the
socket refuses container root; SELinux, which keeps ``container_t`` away from the socket; a sandbox with a kernel of
its own, which does not pass the host's sockets on. An authorization plug-in helps as far as it understands requests.

How it looks: a process in a container connects to ``docker.sock``; soon after, a container with a bind mount of ``/``
starts. A mount of ``/var`` alone does not expose the socket: ``/var/run`` there is only a link to ``/run``.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import command_engine
from holdfast.model.words import container, engine, event, reach
from holdfast.model.words.conditions import connects_to, permitted, reaches_socket, writes_as_root

_SOCKET = "/run/docker.sock"

_OPEN: Situation = {
    container.HOST_PATHS: Paths((_SOCKET,)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
    engine.NAME: "docker",
    engine.AUTHZ_PLUGINS: False,
}
_ORDINARY: Situation = {
    **_OPEN,
    container.USER_ID: 1000,
    container.HOST_USER_ID: 1000,
    container.CAPABILITIES: Members(),
}

TECHNIQUE = Technique(
    title="Command the Docker engine through its socket",
    row=1,
    attack=("T1611", "T1610"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=reaches_socket(_SOCKET)
    & (~covers(container.HOST_PATHS, "/run") | is_(engine.NAME, "docker"))
    & (writes_as_root() | permitted(_SOCKET))
    & is_(engine.AUTHZ_PLUGINS, False),
    gives=(
        Change(reach.ENGINE_API, True, "the engine carries out whatever it is asked"),
        Change(reach.HOST_ROOT, True, "a new container with the host's root directory inside is root on the host"),
    ),
    closed_by=(
        Change(
            container.HOST_PATHS, without(_SOCKET), "do not mount the socket; where it is needed, put a proxy before it"
        ),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: the socket refuses container root"),
        Change(container.LSM_DENIES, with_("host_sockets"), "enforce SELinux: container_t may not use the socket"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its kernel does not pass on the host's sockets"),
        Change(engine.AUTHZ_PLUGINS, True, "let an authorization plug-in judge every request (a weak guard by itself)"),
    ),
    seen_as=connects_to("/docker.sock"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "connect", event.PATH: "/var/run/docker.sock"},
    drill_class=DrillClass.D3,
    drill=command_engine("/run/docker.sock"),
    examples=(
        Example("socket mounted, read-only or not, into a root container", _OPEN, YES),
        Example("the whole of /run mounted", {**_OPEN, container.HOST_PATHS: Paths(("/run",))}, YES),
        Example("the host's root directory mounted", {**_OPEN, container.HOST_PATHS: Paths(("/",))}, YES),
        Example(
            "/run mounted on a host whose engine is another",
            {**_OPEN, container.HOST_PATHS: Paths(("/run",)), engine.NAME: "podman"},
            NO,
        ),
        Example("/var mounted: /var/run is only a link", {**_OPEN, container.HOST_PATHS: Paths(("/var",))}, NO),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example(
            "not root, and the socket's group is another",
            {**_ORDINARY, container.HOST_PATHS_PERMITTED: Paths()},
            NO,
        ),
        Example("SELinux container_t", {**_OPEN, container.LSM_DENIES: Members.of("host_sockets")}, NO),
        Example("in gVisor", {**_OPEN, container.SANDBOX: "gvisor"}, NO),
        Example("not root, but in a group that may own the socket", _ORDINARY, UNKNOWN),
        Example("engine not seen", unseen(_OPEN, engine.AUTHZ_PLUGINS), UNKNOWN),
    ),
    sources=(
        "https://docs.docker.com/engine/security/#docker-daemon-attack-surface",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/docker_sock_pwn.go",
        "https://github.com/stealthcopter/deepce",
    ),
)
