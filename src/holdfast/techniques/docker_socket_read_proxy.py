"""Read other containers through a proxy that passes GET requests of the Docker API.

What happens: to spare an application the engine's socket, people put a proxy before it that passes GET requests only.
Nothing can be started through it. But ``GET /containers/ID/json`` shows the environment of every other container,
with the passwords in it, and ``GET /containers/ID/archive`` hands out any of its files.

Why the engine allows it: in the Docker API reading is not harmless. Inspecting a container and copying files out of
it are GET requests like the list of containers.

What closes it: a proxy that names the few paths it passes and leaves inspect and archive out; a network policy that
lets only the one client reach the proxy. Secrets given as files instead of variables shrink what inspect shows.

How it looks: a container connects to the proxy's port, usually 2375; the engine's log has requests for ``archive``.
"""

from holdfast.model.change import Change
from holdfast.model.logic import is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.ways import step
from holdfast.model.words import event, network, reach

_OPEN: Situation = {network.DOCKER_READ_PROXY: True}

TECHNIQUE = Technique(
    title="Read other containers through a read-only proxy of the Docker API",
    row=2,
    attack=("T1613", "T1552.007"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=is_(network.DOCKER_READ_PROXY, True),
    gives=(Change(reach.OTHER_CONTAINER, True, "inspect shows the environment, archive the files of any container"),),
    closed_by=(
        Change(network.DOCKER_READ_PROXY, False, "let the proxy refuse inspect and archive"),
        Change(network.DOCKER_READ_PROXY, False, "let only the one client that needs the proxy reach it"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.SYSCALL, "connect") & one_of(event.PORT, 2375, 2376),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "connect", event.PORT: 2375, event.ADDRESS: "172.18.0.2"},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "copy a canary out of another container",
            (
                step("connect_tcp", address="{proxy}", port="2375"),
                step(
                    "http",
                    slot="0",
                    method="GET",
                    path="/containers/{other}/archive?path=/.holdfast/canary",
                    body="",
                ),
            ),
            ProvedBy.READ,
        ),
        Way(
            "read a canary in the command line of another container",
            (
                step("connect_tcp", address="{proxy}", port="2375"),
                step("http", slot="0", method="GET", path="/containers/{other}/json", body=""),
            ),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("the proxy passes every GET", _OPEN, YES),
        Example("no such proxy is reached", {network.DOCKER_READ_PROXY: False}, NO),
        Example("nobody looked at the network", {}, UNKNOWN),
    ),
    sources=(
        "https://github.com/Tecnativa/docker-socket-proxy",
        "https://docs.docker.com/reference/api/engine/",
    ),
)
