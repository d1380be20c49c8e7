"""Read any host file through a symbolic link that the kubelet follows.

What happens: the kubelet serves the node's ``/var/log`` to users of the API who may read logs. With that directory
mounted writable, root in a Pod puts a symbolic link to ``/`` or to ``/etc/shadow`` there and asks the API server for
the "log".

Why the kubelet allows it: it opens the file as root in its own mount namespace, where the link means the host's file,
and did not expect anybody but itself to write there.

What closes it: not mounting ``/var/log``, or only read-only, which is all that log shippers need; taking pods/log,
nodes/log and nodes/proxy from the service account; a user namespace; SELinux.

How it looks: a process in a container makes a symbolic link below the host's ``/var/log``; a log request for it
follows.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import step
from holdfast.model.words import cluster, container, event, host, reach
from holdfast.model.words.conditions import lsm_permits, writes_as_root, writes_below

_LOGS = "/var/log/pods/*/*"

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/var/log",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    host.KUBELET_LOGS: True,
    cluster.MAY_READ_NODE_LOGS: True,
}

TECHNIQUE = Technique(
    title="Read host files through a link in /var/log",
    row=27,
    attack=("T1611", "T1552"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, _LOGS)
    & writes_as_root()
    & lsm_permits("host_files")
    & is_(host.KUBELET_LOGS, True)
    & is_(cluster.MAY_READ_NODE_LOGS, True),
    gives=(Change(reach.HOST_FILE_READ, True, "the kubelet reads the file that the link names, as root"),),
    closed_by=(
        Change(container.HOST_PATHS_WRITABLE, without("/var/log"), "mount /var/log read-only or not at all"),
        Change(cluster.MAY_READ_NODE_LOGS, False, "take pods/log, nodes/log and nodes/proxy from the service account"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below("/var/log/") & one_of(event.SYSCALL, "symlink", "symlinkat"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.WRITE: True,
        event.SYSCALL: "symlinkat",
        event.HOST_PATH: "/var/log/root_link",
    },
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "leave a link in /var/log, and the file that it names",
            (
                step("symlink", target="{token}", path="{in:/var/log}/{token}.link"),
                step("open", path="{in:/var/log}/{token}", mode="wc"),
                step("write", slot="1", text="{token}"),
            ),
            ProvedBy.WRITTEN,
            needs=("kubelet",),
        ),
    ),
    examples=(
        Example("/var/log writable, and the token may read logs", _OPEN, YES),
        Example("/var as a whole", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/var",))}, YES),
        Example("read-only, as log shippers do", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example("the application's own logs", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/var/log/app",))}, NO),
        Example("the token may not read logs", {**_OPEN, cluster.MAY_READ_NODE_LOGS: False}, NO),
        Example("a host without a kubelet", {**_OPEN, host.KUBELET_LOGS: False}, NO),
        Example("roles not seen", unseen(_OPEN, cluster.MAY_READ_NODE_LOGS), UNKNOWN),
    ),
    sources=(
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/CE_VAR_LOG_SYMLINK.md",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/k8s_kubelet_var_log_escape.go",
    ),
)
