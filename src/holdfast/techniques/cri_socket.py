"""Start a Pod behind the kubelet's back through the socket of CRI-O or cri-dockerd.

What happens: the Container Runtime Interface is how the kubelet gives orders to the runtime of its node. Its socket,
mounted into a container, takes the same orders from whoever connects: a sandbox, then a container in it with the
host's root directory mounted and every privilege.

Why the runtime allows it: the interface has no identities and no policy. Admission control, quotas and the audit log
all stand before the API server; none of them sees an order that goes to the runtime itself.

What closes it: not mounting the socket or a directory above it; a user namespace, in which container root is nobody
to the socket; SELinux; a sandbox with a kernel of its own.

How it looks: a process in a container connects to ``crio.sock``, ``cri-dockerd.sock`` or ``dockershim.sock``; a
container runs on the node that the API server does not know.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import say
from holdfast.model.words import container, engine, event, host, reach
from holdfast.model.words.conditions import connects_to, permitted, reaches_socket, writes_as_root

_SOCKETS = ("/run/crio/crio.sock", "/run/cri-dockerd.sock", "/run/dockershim.sock")

_OPEN: Situation = {
    container.HOST_PATHS: Paths(("/run/crio/crio.sock",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
}

TECHNIQUE = Technique(
    title="Start containers through the CRI socket of the node",
    row=4,
    attack=("T1611", "T1610"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=reaches_socket(*_SOCKETS)
    & (writes_as_root() | (covers(container.HOST_PATHS, _SOCKETS[0]) & permitted(_SOCKETS[0])))
    & (~covers(container.HOST_PATHS, "/run") | (is_(host.KUBELET, True) & one_of(engine.NAME, "cri-o", "docker"))),
    gives=(
        Change(reach.ENGINE_API, True, "the runtime carries out whatever it is asked"),
        Change(reach.HOST_ROOT, True, "a new container with the host's root directory inside is root on the host"),
    ),
    closed_by=(
        Change(container.HOST_PATHS, without(*_SOCKETS), "do not mount the socket or a directory above it"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: the socket refuses container root"),
        Change(container.LSM_DENIES, with_("host_sockets"), "enforce SELinux: container_t may not use the socket"),
        Change(container.SANDBOX, "kata", "run in a sandbox: its kernel does not pass on the host's sockets"),
    ),
    seen_as=connects_to("/crio.sock", "/cri-dockerd.sock", "/dockershim.sock"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "connect", event.PATH: "/var/run/crio/crio.sock"},
    drill_class=DrillClass.D3,
    drill=say(*_SOCKETS),
    examples=(
        Example("socket mounted into a root container", _OPEN, YES),
        Example("its directory mounted", {**_OPEN, container.HOST_PATHS: Paths(("/run/crio",))}, YES),
        Example(
            "/run mounted on a node that runs CRI-O",
            {**_OPEN, container.HOST_PATHS: Paths(("/run",)), host.KUBELET: True, engine.NAME: "cri-o"},
            YES,
        ),
        Example(
            "/run mounted on a node that runs containerd",
            {**_OPEN, container.HOST_PATHS: Paths(("/run",)), host.KUBELET: True, engine.NAME: "containerd"},
            NO,
        ),
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
        Example("in Kata Containers", {**_OPEN, container.SANDBOX: "kata"}, NO),
        Example(
            "/run mounted, and nobody knows whether this is a node of a cluster",
            {**_OPEN, container.HOST_PATHS: Paths(("/run",))},
            UNKNOWN,
        ),
        Example("user not seen", unseen(_OPEN, container.HOST_USER_ID, container.USER_ID), UNKNOWN),
    ),
    sources=(
        "https://kubernetes.io/docs/setup/production-environment/container-runtimes/",
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/EXPLOIT_CONTAINERD_SOCK.md",
        "https://github.com/kubernetes/cri-api",
    ),
)
