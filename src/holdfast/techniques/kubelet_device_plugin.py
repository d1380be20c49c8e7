"""Pose as a device plug-in and inject mounts into later Pods of the node.

What happens: device plug-ins tell the kubelet which devices a node has. They register on ``kubelet.sock`` in
``/var/lib/kubelet/device-plugins`` and serve a socket of their own there. When a Pod asks for the device, the kubelet
adds whatever device nodes, mounts and variables the plug-in answers. A false plug-in takes over the name of a real
device and so puts its own files over those of another workload, or a disk into a Pod that it controls.

Why the kubelet allows it: it takes a registration from anybody who can open the socket, which file permissions grant
to root alone. The answer of a plug-in passes no admission control.

What closes it: not mounting that directory, or a directory above it, into a workload that is no device plug-in; a
user namespace; SELinux; a sandbox with a kernel of its own.

How it looks: a container that is not a known plug-in connects to ``device-plugins/kubelet.sock``, or leaves files
beside it.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import (
    connects_to,
    lsm_permits,
    on_kubernetes_node,
    writes_as_root,
    writes_below,
)

_DIRECTORY = "/var/lib/kubelet/device-plugins"

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths((_DIRECTORY,)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
}

TECHNIQUE = Technique(
    title="Pose as a device plug-in of the kubelet",
    row=8,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, _DIRECTORY)
    & writes_as_root()
    & is_(container.SANDBOX, "none")
    & lsm_permits("host_sockets")
    & on_kubernetes_node(container.HOST_PATHS_WRITABLE, "/var/lib"),
    gives=(Change(reach.OTHER_CONTAINER, True, "files of the attacker's are mounted over those of a later Pod"),),
    closed_by=(
        Change(
            container.HOST_PATHS_WRITABLE,
            without(_DIRECTORY),
            "do not mount the kubelet's directory, or only read-only",
        ),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: the directory refuses container root"),
        Change(container.LSM_DENIES, with_("host_sockets"), "enforce SELinux: container_t may not use the socket"),
        Change(container.SANDBOX, "kata", "run in a sandbox: its kernel does not pass on the host's sockets"),
    ),
    seen_as=connects_to("/device-plugins/kubelet.sock") | writes_below(f"{_DIRECTORY}/"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "connect",
        event.HOST_PATH: "/var/lib/kubelet/device-plugins/kubelet.sock",
    },
    drill_class=DrillClass.D1,
    drill=leave_file(_DIRECTORY, wide_needs=("kubelet",)),
    examples=(
        Example("plug-in directory mounted writable into a root Pod", _OPEN, YES),
        Example(
            "/var mounted on a node",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/var",)), host.KUBELET: True},
            YES,
        ),
        Example(
            "the directory of an ordinary application",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/var/lib/app",))},
            NO,
        ),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example(
            "/var mounted on a host that may have no kubelet",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/var",))},
            UNKNOWN,
        ),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=("https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/",),
)
