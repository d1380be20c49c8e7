"""Have the kubelet start a Pod that no API server was asked about.

What happens: the kubelet watches a directory, usually ``/etc/kubernetes/manifests``, and starts whatever Pod a file
there describes. With the directory mounted writable, root in a container drops a manifest of a privileged Pod with
the node's root directory inside, and it runs within seconds.

Why the kubelet allows it: static Pods exist so that a node can start its own control plane. They pass neither
authorization nor admission control; the API server only gets a copy to look at.

What closes it: not mounting the directory or one above it, or only read-only; a user namespace; another user than
root; SELinux, for files that were not labelled for containers; a kubelet without ``staticPodPath``.

How it looks: a process in a container creates a file below ``/etc/kubernetes/manifests``.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import lsm_permits, on_kubernetes_node, writes_as_root, writes_below

_MANIFESTS = ("/etc/kubernetes/manifests/*", "/var/lib/rancher/k3s/agent/pod-manifests/*")

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/etc/kubernetes/manifests",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Drop a static Pod for the kubelet to start",
    row=29,
    attack=("T1611", "T1610"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, *_MANIFESTS)
    & writes_as_root()
    & lsm_permits("host_files")
    & on_kubernetes_node(container.HOST_PATHS_WRITABLE, "/etc", "/var/lib"),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "a manifest that the kubelet obeys can be written"),
        Change(reach.HOST_ROOT, True, "the new Pod is privileged and has the node's root directory inside"),
    ),
    closed_by=(
        Change(container.HOST_PATHS_WRITABLE, without(*_MANIFESTS), "do not mount the manifests, or only read-only"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below("/etc/kubernetes/manifests/", "/var/lib/rancher/k3s/agent/pod-manifests/"),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.HOST_PATH: "/etc/kubernetes/manifests/x.yaml"},
    drill_class=DrillClass.D3,
    drill=leave_file(*(folder.removesuffix("/*") for folder in _MANIFESTS), wide_needs=("kubelet",)),
    examples=(
        Example("the directory mounted writable, as root", _OPEN, YES),
        Example(
            "/etc mounted on a node",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/etc",)), host.KUBELET: True},
            YES,
        ),
        Example(
            "/etc mounted on a host without a kubelet",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/etc",)), host.KUBELET: False},
            NO,
        ),
        Example("mounted read-only", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example(
            "/etc mounted, and nobody knows whether there is a kubelet",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/etc",))},
            UNKNOWN,
        ),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=(
        "https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/",
        "https://github.com/Shopify/kubeaudit",
    ),
)
