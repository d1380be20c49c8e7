"""Command containerd through its socket.

What happens: containerd's socket lies inside the container. A client as small as ``ctr`` asks it for a task whose
specification has the host's root directory as a mount and every capability. containerd does not ask why.

Why the engine allows it: the socket belongs to root and its group, usually 0; whoever passes that guard is trusted
entirely. A process that is not root is often still in group 0: engines choose it where a user is named by number and
neither the image nor anybody else names a group. Specifications are taken as they come, without any policy of Docker
or Kubernetes in between. A read-only mount of the socket changes nothing.

What closes it: not mounting the socket or a directory above it; a user namespace, in which container root is nobody
to the socket; SELinux; a sandbox with a kernel of its own.

How it looks: a process in a container connects to ``containerd.sock``.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import step
from holdfast.model.words import container, engine, event, reach
from holdfast.model.words.conditions import connects_to, permitted, reaches_socket, writes_as_root

_SOCKETS = (
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/run/docker/containerd/containerd.sock",
    "/run/docker/containerd/docker-containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
)

_OPEN: Situation = {
    container.HOST_PATHS: Paths(("/run/containerd/containerd.sock",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
    engine.NAME: "containerd",
}

TECHNIQUE = Technique(
    title="Command containerd through its socket",
    row=3,
    attack=("T1611", "T1610"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=reaches_socket(*_SOCKETS)
    & (covers(container.HOST_PATHS, *_SOCKETS[:-1]) | ~covers(container.HOST_PATHS, "/var"))
    & (writes_as_root() | (covers(container.HOST_PATHS, _SOCKETS[0]) & permitted(_SOCKETS[0])))
    & (~covers(container.HOST_PATHS, "/run") | one_of(engine.NAME, "containerd", "docker")),
    gives=(
        Change(reach.ENGINE_API, True, "containerd carries out whatever it is asked"),
        Change(reach.HOST_ROOT, True, "a new task with the host's root directory inside is root on the host"),
    ),
    closed_by=(
        Change(container.HOST_PATHS, without(*_SOCKETS), "do not mount the socket or a directory above it"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: the socket refuses container root"),
        Change(container.LSM_DENIES, with_("host_sockets"), "enforce SELinux: container_t may not use the socket"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its kernel does not pass on the host's sockets"),
    ),
    seen_as=connects_to("/containerd.sock", "/docker-containerd.sock"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "connect",
        event.PATH: "/run/containerd/containerd.sock",
    },
    drill_class=DrillClass.D3,
    drill=tuple(
        Way(
            f"have the containerd behind {socket} make a namespace",
            (
                step("connect", path=f"{{engine:{socket}}}"),
                step(
                    "grpc",
                    slot="0",
                    path="/containerd.services.namespaces.v1.Namespaces/Create",
                    message="{namespace_request}",
                ),
            ),
            ProvedBy.HEARD,
        )
        for socket in _SOCKETS
    ),
    examples=(
        Example("socket mounted into a root container", _OPEN, YES),
        Example(
            "the socket of k3s, through its directory",
            {**_OPEN, container.HOST_PATHS: Paths(("/run/k3s",))},
            YES,
        ),
        Example("the whole of /run mounted", {**_OPEN, container.HOST_PATHS: Paths(("/run",))}, YES),
        Example(
            "not root and without capabilities",
            {
                **_OPEN,
                container.USER_ID: 1000,
                container.HOST_USER_ID: 1000,
                container.CAPABILITIES: Members(),
                container.HOST_PATHS_PERMITTED: Paths(),
            },
            NO,
        ),
        Example(
            "not root, in a group that nobody compared with the socket's",
            {
                **_OPEN,
                container.USER_ID: 1000,
                container.HOST_USER_ID: 1000,
                container.CAPABILITIES: Members(),
            },
            UNKNOWN,
        ),
        Example(
            "/var mounted: only MicroK8s has a socket there", {**_OPEN, container.HOST_PATHS: Paths(("/var",))}, NO
        ),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example(
            "/run mounted, and nobody knows which engine runs",
            unseen({**_OPEN, container.HOST_PATHS: Paths(("/run",))}, engine.NAME),
            UNKNOWN,
        ),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=(
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/EXPLOIT_CONTAINERD_SOCK.md",
        "https://github.com/containerd/containerd/blob/main/docs/getting-started.md",
    ),
)
