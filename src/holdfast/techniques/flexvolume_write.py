"""Have the kubelet start a false FlexVolume driver.

What happens: FlexVolume drivers are programs below ``kubelet-plugins/volume/exec``. The kubelet looks through that
directory all the time and starts a new driver at once with ``init``, as root on the node. With the directory mounted
writable, root in a container puts a program there; no Pod needs to use it.

Why the kubelet allows it: calling programs is what FlexVolume is, deprecated since Kubernetes 1.23 and still served.
The controller manager on a control plane node does the same.

What closes it: not mounting the directory or one above it, or only read-only; a user namespace; another user than
root; SELinux, for files that were not labelled for containers.

How it looks: a process in a container writes below ``kubelet-plugins/volume/exec`` of the host.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import lsm_permits, on_kubernetes_node, writes_as_root, writes_below

_DRIVERS = (
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/*/*",
    "/var/lib/kubelet/volumeplugins/*/*",
)

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/usr/libexec/kubernetes/kubelet-plugins/volume/exec",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Have the kubelet start a false FlexVolume driver",
    row=32,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, *_DRIVERS)
    & writes_as_root()
    & lsm_permits("host_files")
    & on_kubernetes_node(container.HOST_PATHS_WRITABLE, "/usr/libexec", "/var/lib"),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "programs that the kubelet starts can be written"),
        Change(reach.HOST_ROOT, True, "the kubelet starts the driver as root"),
    ),
    closed_by=(
        Change(container.HOST_PATHS_WRITABLE, without(*_DRIVERS), "do not mount the directory, or only read-only"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below("/usr/libexec/kubernetes/kubelet-plugins/volume/exec/", "/var/lib/kubelet/volumeplugins/"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.WRITE: True,
        event.HOST_PATH: "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/x~y/y",
    },
    drill_class=DrillClass.D3,
    drill=leave_file(*(folder.removesuffix("/*/*") for folder in _DRIVERS), wide_needs=("kubelet",)),
    examples=(
        Example("the drivers' directory mounted writable, as root", _OPEN, YES),
        Example(
            "/usr mounted on a node",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/usr",)), host.KUBELET: True},
            YES,
        ),
        Example("mounted read-only", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example("user not seen", unseen(_OPEN, container.USER_ID, container.HOST_USER_ID), UNKNOWN),
    ),
    sources=(
        "https://github.com/kubernetes/community/blob/main/contributors/devel/sig-storage/flexvolume.md",
        "https://kubernetes.io/docs/concepts/storage/volumes/#flexvolume-deprecated",
    ),
)
