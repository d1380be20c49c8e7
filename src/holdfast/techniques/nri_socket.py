"""Rewrite the specification of every new container as an NRI plug-in.

What happens: the Node Resource Interface lets plug-ins of containerd and CRI-O change each container before it
starts: add mounts, devices, variables and hooks. A plug-in registers over ``/run/nri/nri.sock`` or is a program in
``/opt/nri/plugins``, which the runtime itself starts as root. A hook added to the next container runs on the host.

Why the runtime allows it: a plug-in is part of the runtime by design. The socket admits root and asks no further.

What closes it: switching NRI off; mounting neither the socket nor the plug-in directory; a user namespace; SELinux;
for the socket also a sandbox with a kernel of its own.

How it looks: a process in a container connects to ``nri.sock``, or writes below the plug-in directory.
"""

from holdfast.model.change import Change
from holdfast.model.logic import covers, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file, say
from holdfast.model.words import container, engine, event, reach
from holdfast.model.words.conditions import (
    connects_to,
    lsm_permits,
    reaches_socket,
    writes_as_root,
    writes_below,
)

_OPEN: Situation = {
    container.HOST_PATHS: Paths(("/run/nri/nri.sock",)),
    container.HOST_PATHS_WRITABLE: Paths(("/run/nri/nri.sock",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
    engine.NRI_ENABLED: True,
}

TECHNIQUE = Technique(
    title="Register as an NRI plug-in of the container runtime",
    row=7,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=(
        reaches_socket("/run/nri/nri.sock")
        | (covers(container.HOST_PATHS_WRITABLE, "/opt/nri/plugins/*") & lsm_permits("host_files"))
    )
    & writes_as_root()
    & is_(engine.NRI_ENABLED, True),
    gives=(Change(reach.HOST_ROOT, True, "a hook in the next container's specification runs as root on the host"),),
    closed_by=(
        Change(engine.NRI_ENABLED, False, "switch NRI off in the runtime's configuration"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the runtime"),
    ),
    seen_as=connects_to("/nri.sock") | writes_below("/opt/nri/plugins/"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "connect", event.PATH: "/run/nri/nri.sock"},
    drill_class=DrillClass.D3,
    drill=say("/run/nri/nri.sock", needs=("NRI",)) + leave_file("/opt/nri/plugins", needs=("NRI",)),
    examples=(
        Example("socket mounted, NRI on", _OPEN, YES),
        Example(
            "plug-in directory mounted writable through /opt",
            {**_OPEN, container.HOST_PATHS: Paths(("/opt",)), container.HOST_PATHS_WRITABLE: Paths(("/opt",))},
            YES,
        ),
        Example("NRI off", {**_OPEN, engine.NRI_ENABLED: False}, NO),
        Example(
            "an application's own directory below /opt",
            {**_OPEN, container.HOST_PATHS: Paths(("/opt/app",)), container.HOST_PATHS_WRITABLE: Paths(("/opt/app",))},
            NO,
        ),
        Example("runtime not seen", unseen(_OPEN, engine.NRI_ENABLED), UNKNOWN),
    ),
    sources=(
        "https://github.com/containerd/nri",
        "https://github.com/containerd/containerd/blob/main/docs/NRI.md",
    ),
)
