"""Command a Docker engine over TCP without any credential.

What happens: an engine that was told to listen on TCP without client certificates takes orders from every address
that reaches the port, usually 2375. From inside a container that may be the host's bridge address, the host itself,
or any other machine. The order is the same as through the socket: a container with the host's root directory inside.

Why the engine allows it: on TCP there are no file permissions, and without TLS client authentication nothing takes
their place. Port 2376 with server certificates only is no better.

What closes it: listening on the unix socket only; TLS with client certificates; a firewall or network policy between
containers and the port; no network at all for workloads that need none.

How it looks: a container connects to port 2375 or 2376 of the host or a neighbour.
"""

from holdfast.model.change import Change
from holdfast.model.logic import is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.ways import step
from holdfast.model.words import event, network, reach

_OPEN: Situation = {network.DOCKER_API: True}

TECHNIQUE = Technique(
    title="Command a Docker engine over unauthenticated TCP",
    row=11,
    attack=("T1611", "T1610"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=is_(network.DOCKER_API, True),
    gives=(Change(reach.ENGINE_API, True, "the engine behind the port carries out whatever it is asked"),),
    closed_by=(
        Change(network.DOCKER_API, False, "let the engine listen on its unix socket only"),
        Change(network.DOCKER_API, False, "demand client certificates on the TCP port (--tlsverify)"),
        Change(network.DOCKER_API, False, "refuse containers the way to the port by firewall or network policy"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.SYSCALL, "connect") & one_of(event.PORT, 2375, 2376),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "connect", event.PORT: 2375, event.ADDRESS: "172.17.0.1"},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "have the engine behind a TCP port start a container with a canary folder",
            (
                step("connect_tcp", address="127.0.0.1", port="{engine_port}"),
                step("engine_start", slot="0", json="{engine_request}"),
            ),
            ProvedBy.WRITTEN,
        ),
    ),
    examples=(
        Example("port 2375 answers without a certificate", _OPEN, YES),
        Example("the port demands a client certificate", {network.DOCKER_API: False}, NO),
        Example("nobody tried the port", {}, UNKNOWN),
    ),
    sources=(
        "https://docs.docker.com/engine/security/protect-access/",
        "https://docs.docker.com/engine/daemon/remote-access/",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/docker_api_pwn.go",
    ),
)
