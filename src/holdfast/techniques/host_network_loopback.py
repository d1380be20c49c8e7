"""Talk to services that trust everybody on the host's own loopback.

What happens: many services of a host listen on 127.0.0.1 or on an abstract socket and ask for no password, since only
local programs reach them: engines, debug ports, agents, the kubelet's read-only port of old. A container with the
host's network is such a local program. With ``route_localnet`` set on the host, a container of a bridge that may
build its own packets (CAP_NET_RAW or CAP_NET_ADMIN) can reach them too (CVE-2020-8558).

Why the kernel allows it: loopback and abstract names belong to the network namespace. Sharing it with the host makes
them the container's own. ``route_localnet`` makes the kernel route 127/8 from outside interfaces, which old
kube-proxy switched on without a filter.

What closes it: a network namespace of the container's own, on a host whose kubelet and kube-proxy filter 127/8; a
password or a unix socket with permissions for the service.

How it looks: a container connects to 127.0.0.1 of the host, or opens a packet socket there.
"""

from holdfast.model.change import Change
from holdfast.model.logic import has_any, is_, one_of, starts_with
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, host, network, reach
from holdfast.model.words.conditions import shares

_OPEN: Situation = {
    container.SHARED_NAMESPACES: Members.of("net"),
    container.SANDBOX: "none",
    container.CAPABILITIES: Members.of("CAP_NET_RAW"),
    host.ROUTE_LOCALNET: False,
    network.LOCAL_SERVICES: True,
}

TECHNIQUE = Technique(
    title="Talk to services on the host's loopback",
    row=18,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=(
        shares("net")
        | (
            is_(host.ROUTE_LOCALNET, True)
            & is_(container.SANDBOX, "none")
            & has_any(container.CAPABILITIES, "CAP_NET_RAW", "CAP_NET_ADMIN")
        )
    )
    & is_(network.LOCAL_SERVICES, True),
    gives=(Change(reach.HOST_PROCESS, True, "a service that takes orders from anybody local takes the container's"),),
    closed_by=(
        Change(network.LOCAL_SERVICES, False, "demand a password of local clients"),
        Change(network.LOCAL_SERVICES, False, "let the service listen on a unix socket with permissions instead"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.SYSCALL, "connect")
    & (
        starts_with(event.ADDRESS, "127.")
        | one_of(event.ADDRESS, "0.0.0.0", "::", "::1")  # noqa: S104 - what is connected to, not bound
        | starts_with(event.ADDRESS, "::ffff:127.")
    )
    & is_(event.TARGET_OUTSIDE, True),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "connect",
        event.ADDRESS: "127.0.0.1",
        event.PORT: 10255,
        event.TARGET_OUTSIDE: True,
    },
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "say something to a service on the host's loopback",
            (step("connect_tcp", address="127.0.0.1", port="{port}"), step("send", slot="0", text="{token}\n")),
            ProvedBy.HEARD,
        ),
        Way(
            "say something to a service on an abstract socket",
            (step("connect", path="{abstract}"), step("send", slot="0", text="{token}\n")),
            ProvedBy.HEARD,
        ),
    ),
    examples=(
        Example("host network, and an open service on loopback", _OPEN, YES),
        Example(
            "own network, but the host routes 127/8",
            {**_OPEN, container.SHARED_NAMESPACES: Members(), host.ROUTE_LOCALNET: True},
            YES,
        ),
        Example("own network", {**_OPEN, container.SHARED_NAMESPACES: Members()}, NO),
        Example("no such service", {**_OPEN, network.LOCAL_SERVICES: False}, NO),
        Example("nobody looked at the host's services", unseen(_OPEN, network.LOCAL_SERVICES), UNKNOWN),
    ),
    sources=(
        "https://docs.docker.com/engine/network/drivers/host/",
        "https://github.com/kubernetes/kubernetes/issues/92315",
        "https://github.com/cdk-team/CDK/issues/83",
        "https://docs.kernel.org/networking/ip-sysctl.html",
    ),
)
