"""Build as root on the host through a BuildKit daemon that grants insecure entitlements.

What happens: a build step may ask for the entitlement ``security.insecure``. If the daemon was set up to grant it,
the step runs with every capability and device of the host. A container that reaches the daemon's socket submits a
build of its own with such a step.

Why the daemon allows it: entitlements exist so that builds can use loop devices or nested containers. The daemon's
``insecure-entitlements`` setting decides once for everybody who can connect, and the socket is the only guard.

What closes it: no insecure entitlements; a rootless daemon; not mounting the socket; a user namespace; SELinux; a
sandbox with a kernel of its own.

How it looks: a process in a container connects to ``buildkitd.sock`` and sends a Solve request with entitlements.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import say
from holdfast.model.words import container, engine, event, reach
from holdfast.model.words.conditions import connects_to, reaches_socket, writes_as_root

_SOCKET = "/run/buildkit/buildkitd.sock"

_OPEN: Situation = {
    container.HOST_PATHS: Paths((_SOCKET,)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
    engine.INSECURE_ENTITLEMENT: True,
}

TECHNIQUE = Technique(
    title="Build as root on the host through BuildKit's socket",
    row=6,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=reaches_socket(_SOCKET) & writes_as_root() & is_(engine.INSECURE_ENTITLEMENT, True),
    gives=(Change(reach.HOST_ROOT, True, "a build step runs with every capability and device of the host"),),
    closed_by=(
        Change(engine.INSECURE_ENTITLEMENT, False, "grant no insecure entitlements in buildkitd.toml"),
        Change(container.HOST_PATHS, without(_SOCKET), "do not mount the socket or a directory above it"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: the socket refuses container root"),
        Change(container.LSM_DENIES, with_("host_sockets"), "enforce SELinux: container_t may not use the socket"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its kernel does not pass on the host's sockets"),
    ),
    seen_as=connects_to("/buildkitd.sock"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "connect", event.PATH: "/run/buildkit/buildkitd.sock"},
    drill_class=DrillClass.D3,
    drill=say(_SOCKET, needs=("buildkit with insecure entitlements",)),
    examples=(
        Example("socket mounted, insecure entitlement granted", _OPEN, YES),
        Example("no insecure entitlement", {**_OPEN, engine.INSECURE_ENTITLEMENT: False}, NO),
        Example(
            "the daemon runs rootless: its socket lies in the user's directory",
            {**_OPEN, container.HOST_PATHS: Paths(("/run/user/1000/buildkit/buildkitd.sock",))},
            NO,
        ),
        Example("the daemon's settings not seen", unseen(_OPEN, engine.INSECURE_ENTITLEMENT), UNKNOWN),
    ),
    sources=(
        "https://github.com/moby/buildkit/blob/master/docs/buildkitd.toml.md",
        "https://docs.docker.com/reference/cli/docker/buildx/build/#allow",
    ),
)
