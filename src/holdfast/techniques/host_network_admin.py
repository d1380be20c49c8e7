"""Change the host's own network: firewall, routes, addresses.

What happens: with the host's network namespace and CAP_NET_ADMIN, the container rewrites firewall rules and routes of
the machine. It opens ports that were closed, sends the traffic of services that run as root to itself, or cuts the
machine off.

Why the kernel allows it: network settings belong to the network namespace. Whoever shares the host's one and holds
CAP_NET_ADMIN over it has the same say as the host's root. By itself this opens no way into files or processes of the
host; it is told as attack surface, because what passes the network can be read and answered.

What closes it: a network namespace of the container's own, the default; dropping CAP_NET_ADMIN, which no default set
holds; a user namespace, whose capabilities do not reach the host's network.

How it looks: a process in a container changes routes, addresses or firewall rules of the host over netlink.
"""

from holdfast.model.change import Change, without
from holdfast.model.logic import is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event
from holdfast.model.words.conditions import host_capability, shares

_OPEN: Situation = {
    container.SHARED_NAMESPACES: Members.of("net"),
    container.SANDBOX: "none",
    container.CAPABILITIES: Members.of("CAP_NET_ADMIN"),
    container.USER_NAMESPACE: "host",
}

TECHNIQUE = Technique(
    title="Change the host's firewall and routes",
    row=66,
    attack=("T1557", "T1562.004"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=shares("net") & host_capability("CAP_NET_ADMIN"),
    gives=(),
    closed_by=(
        Change(container.SHARED_NAMESPACES, without("net"), "give the container a network namespace of its own"),
        Change(container.CAPABILITIES, without("CAP_NET_ADMIN"), "drop CAP_NET_ADMIN"),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its network is its own"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.SOCKET_FAMILY, "AF_NETLINK")
    & is_(event.TARGET_OUTSIDE, True)
    & one_of(
        event.COMMAND,
        "RTM_NEWROUTE",
        "RTM_DELROUTE",
        "RTM_NEWADDR",
        "RTM_NEWRULE",
        "NFT_MSG_NEWRULE",
        "NFT_MSG_DELRULE",
        "unread",
    ),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SOCKET_FAMILY: "AF_NETLINK",
        event.TARGET_OUTSIDE: True,
        event.COMMAND: "RTM_NEWROUTE",
    },
    drill_class=DrillClass.D1,
    drill=(
        Way(
            "ask the kernel to delete a route that is not there",
            (step("delete_absent_route"),),
            ProvedBy.SURFACE,
            answers=frozenset({"ESRCH"}),
            in_host=frozenset({"net"}),
        ),
    ),
    examples=(
        Example("the host's network and CAP_NET_ADMIN", _OPEN, YES),
        Example("CAP_NET_ADMIN in a network of its own", {**_OPEN, container.SHARED_NAMESPACES: Members()}, NO),
        Example("the host's network without the capability", {**_OPEN, container.CAPABILITIES: Members()}, NO),
        Example("in a user namespace", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example("user namespace not seen", unseen(_OPEN, container.USER_NAMESPACE), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man7/capabilities.7.html",
        "https://man7.org/linux/man-pages/man7/network_namespaces.7.html",
    ),
)
