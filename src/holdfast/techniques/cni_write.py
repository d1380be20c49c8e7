"""Have the runtime start a false network plug-in.

What happens: for each new Pod the runtime starts, as root in the host's namespaces, a program from ``/opt/cni/bin``
that a file in ``/etc/cni/net.d`` names. With either directory mounted writable, root in a container replaces the
program or names another, and it runs with the next Pod of the node.

Why the runtime allows it: the Container Network Interface is a program call by design. Whoever writes its directories
decides what is called; the runtime checks no signature.

What closes it: not mounting these directories, or only read-only, in anything but the network's own DaemonSet; a user
namespace; another user than root; SELinux, for files that were not labelled for containers.

How it looks: a process in a container writes below ``/opt/cni/bin`` or ``/etc/cni/net.d`` of the host.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import lsm_permits, on_kubernetes_node, writes_as_root, writes_below

_PLUGINS = ("/opt/cni/bin/*", "/etc/cni/net.d/*")

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/opt/cni/bin",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Have the runtime start a false network plug-in",
    row=30,
    attack=("T1611", "T1574"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, *_PLUGINS)
    & writes_as_root()
    & lsm_permits("host_files")
    & on_kubernetes_node(container.HOST_PATHS_WRITABLE, "/opt", "/etc"),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "programs that the runtime starts can be written"),
        Change(reach.HOST_ROOT, True, "the runtime starts the plug-in as root with the next Pod"),
    ),
    closed_by=(
        Change(container.HOST_PATHS_WRITABLE, without(*_PLUGINS), "do not mount the directories, or only read-only"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below("/opt/cni/bin/", "/etc/cni/net.d/"),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.HOST_PATH: "/opt/cni/bin/bridge"},
    drill_class=DrillClass.D3,
    drill=leave_file(*(folder.removesuffix("/*") for folder in _PLUGINS), wide_needs=("kubelet",)),
    examples=(
        Example("the plug-in directory mounted writable, as root", _OPEN, YES),
        Example("the configuration", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/etc/cni",))}, YES),
        Example(
            "/opt mounted on a host without a kubelet",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/opt",)), host.KUBELET: False},
            NO,
        ),
        Example("an application below /opt", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/opt/app",))}, NO),
        Example("SELinux container_t", {**_OPEN, container.LSM_DENIES: Members.of("host_files")}, NO),
        Example("user not seen", unseen(_OPEN, container.USER_ID, container.HOST_USER_ID), UNKNOWN),
    ),
    sources=("https://www.cni.dev/docs/spec/",),
)
