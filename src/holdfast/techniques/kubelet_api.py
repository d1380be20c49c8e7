"""Run commands in other Pods of a node through the kubelet's own API.

What happens: every kubelet serves port 10250. ``/exec`` and ``/run`` there start a command in any container of the
node, privileged ones included. A kubelet that accepts anonymous requests and authorizes all of them obeys whoever
reaches the port; any other obeys a service account that may use ``nodes/proxy``, and a plain GET right is enough for
``/exec`` over a websocket.

Why the kubelet allows it: without settings it accepts anonymous requests and authorizes everything (``AlwaysAllow``);
most installers change that. Requests to the kubelet pass neither admission control nor the API server's audit log.

What closes it: a network policy or firewall that keeps Pods from port 10250. Beside that: ``--anonymous-auth=false``,
webhook authorization, and no service account with ``nodes/proxy``.

How it looks: a container connects to port 10250 of a node.
"""

from holdfast.model.change import Change
from holdfast.model.logic import is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.words import cluster, container, event, network, reach

_OPEN: Situation = {
    network.KUBELET: True,
    cluster.KUBELET_ANONYMOUS: True,
    cluster.MAY_PROXY_NODES: False,
    container.SERVICE_ACCOUNT_TOKEN: True,
}

TECHNIQUE = Technique(
    title="Run commands in other Pods through the kubelet's API",
    row=16,
    attack=("T1609",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=is_(network.KUBELET, True)
    & (
        is_(cluster.KUBELET_ANONYMOUS, True)
        | (is_(container.SERVICE_ACCOUNT_TOKEN, True) & is_(cluster.MAY_PROXY_NODES, True))
    ),
    gives=(Change(reach.OTHER_CONTAINER, True, "the kubelet starts the command in the container that is named"),),
    closed_by=(
        Change(network.KUBELET, False, "refuse Pods the way to port 10250 by network policy"),
        Change(network.KUBELET, False, "refuse Pods the way to port 10250 by the node's firewall"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.SYSCALL, "connect") & is_(event.PORT, 10250),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "connect", event.PORT: 10250, event.ADDRESS: "10.0.0.4"},
    drill_class=DrillClass.D3,
    examples=(
        Example("a kubelet that obeys anybody", _OPEN, YES),
        Example(
            "a service account that may use nodes/proxy",
            {**_OPEN, cluster.KUBELET_ANONYMOUS: False, cluster.MAY_PROXY_NODES: True},
            YES,
        ),
        Example("webhook authorization and no such right", {**_OPEN, cluster.KUBELET_ANONYMOUS: False}, NO),
        Example(
            "no token in the Pod",
            {
                **_OPEN,
                cluster.KUBELET_ANONYMOUS: False,
                cluster.MAY_PROXY_NODES: True,
                container.SERVICE_ACCOUNT_TOKEN: False,
            },
            NO,
        ),
        Example("nobody tried the port", unseen(_OPEN, network.KUBELET), UNKNOWN),
    ),
    sources=(
        "https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/",
        "https://github.com/cyberark/kubeletctl",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/remote_control/kubelet_exec.go",
    ),
)
