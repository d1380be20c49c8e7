"""What the Kubernetes cluster allows. A manifest shows little of it."""

from __future__ import annotations

from holdfast.model.facts import Fact

MAY_CREATE_PODS: Fact[bool] = Fact(
    "cluster.may_create_pods",
    bool,
    "The service account may create Pods, workloads, ephemeral containers or hostPath volumes.",
)
ADMISSION_RESTRICTS: Fact[bool] = Fact(
    "cluster.admission_restricts",
    bool,
    "Pod Security Admission (baseline or stricter) or a policy engine is enforcing.",
)
MAY_READ_NODE_LOGS: Fact[bool] = Fact(
    "cluster.may_read_node_logs", bool, "The service account may get pods/log or nodes/log or nodes/proxy."
)
MAY_PROXY_NODES: Fact[bool] = Fact("cluster.may_proxy_nodes", bool, "The service account may use nodes/proxy.")
KUBELET_ANONYMOUS: Fact[bool] = Fact(
    "cluster.kubelet_anonymous", bool, "The kubelet serves unauthenticated requests and authorizes all of them."
)
