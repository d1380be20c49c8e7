"""Listen to and forge packets on the network that other workloads share.

What happens: the container opens a packet socket, reads what passes on its bridge, and answers ARP, router or name
requests in the name of others. Traffic of neighbours, or of the host's own bridge address, then runs through it.

Why the kernel allows it: a packet socket asks for CAP_NET_RAW over the network namespace, and engines grant that by
default so that ping works. The usual bridge is one segment on which every container can speak for every address.
This opens no way to the host by itself; it is told as attack surface. With the host's own network namespace it is the
host's traffic that lies open.

What closes it: dropping CAP_NET_RAW (ping works without it where ``net.ipv4.ping_group_range`` permits); a network of
the container's own; on the host ``accept_ra=0`` for bridges.

How it looks: a socket of family AF_PACKET opened by a process in a container.
"""

from holdfast.model.change import Change, without
from holdfast.model.logic import has, is_, is_not
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, network

_OPEN: Situation = {
    container.CAPABILITIES: Members.of("CAP_NET_RAW"),
    container.SYSCALLS: Members.of("socket:AF_PACKET"),
    container.SANDBOX: "none",
    container.SHARED_NAMESPACES: Members(),
    container.USER_NAMESPACE: "host",
    network.SHARED_BRIDGE: True,
}

TECHNIQUE = Technique(
    title="Listen to and forge packets on a shared network",
    row=65,
    attack=("T1557",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=has(container.CAPABILITIES, "CAP_NET_RAW")
    & has(container.SYSCALLS, "socket:AF_PACKET")
    & is_not(container.SANDBOX, "gvisor")
    # the host's network belongs to the host's user namespace, one's own to one's own
    & (
        (has(container.SHARED_NAMESPACES, "net") & is_(container.USER_NAMESPACE, "host"))
        | is_(network.SHARED_BRIDGE, True)
    ),
    gives=(),
    closed_by=(
        Change(container.CAPABILITIES, without("CAP_NET_RAW"), "drop CAP_NET_RAW"),
        Change(container.SYSCALLS, without("socket:AF_PACKET"), "use a seccomp profile that refuses packet sockets"),
        Change(container.SANDBOX, "gvisor", "run in a gVisor sandbox: it gives no raw sockets by default"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.SYSCALL, "socket") & is_(event.SOCKET_FAMILY, "AF_PACKET"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "socket", event.SOCKET_FAMILY: "AF_PACKET"},
    drill_class=DrillClass.D1,
    drill=(
        Way(
            "send a frame that the host hears",
            (step("listen_packet", interface_index="{interface}"), step("send", slot="0", text="{frame}")),
            ProvedBy.HEARD,
        ),
    ),
    examples=(
        Example("default capabilities on a shared bridge", _OPEN, YES),
        Example(
            "the host's own network",
            {**_OPEN, container.SHARED_NAMESPACES: Members.of("net"), network.SHARED_BRIDGE: False},
            YES,
        ),
        Example(
            "the host's own network, and a user namespace",
            {
                **_OPEN,
                container.SHARED_NAMESPACES: Members.of("net"),
                container.USER_NAMESPACE: "private",
                network.SHARED_BRIDGE: False,
            },
            NO,
        ),
        Example("CAP_NET_RAW dropped", {**_OPEN, container.CAPABILITIES: Members()}, NO),
        Example("a network of its own", {**_OPEN, network.SHARED_BRIDGE: False}, NO),
        Example("network not seen", unseen(_OPEN, network.SHARED_BRIDGE), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man7/packet.7.html",
        "https://nvd.nist.gov/vuln/detail/CVE-2020-13401",
        "https://github.com/falcosecurity/rules/blob/main/rules/falco_rules.yaml",
    ),
)
