"""Write anywhere on the host through a writable mount of its root directory.

What happens: the host's root directory lies inside the container and may be written. Root in the container adds a
line to the host's cron table, a key to root's ``authorized_keys``, or a library to ``ld.so.preload``, and waits a
minute at most.

Why the kernel allows it: a bind mount shows the same files, not a copy. File permissions see the container's root as
the host's root unless a user namespace maps it to somebody else. No capability is needed for files that root owns.
docker-default, the AppArmor profile, names no host paths; a sandbox does not help either, since its file server
writes to the host on the container's behalf.

What closes it: mounting only the directories that the application needs, and those read-only where it only reads; a
user namespace; another user than root without CAP_DAC_OVERRIDE; SELinux, for files that were not labelled for
containers.

How it looks: a process in a container writes below ``/etc``, ``/root``, ``/usr`` or ``/var/spool/cron`` of the host.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import lsm_permits, writes_as_root, writes_below

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
}
_ORDINARY: Situation = {
    **_OPEN,
    container.USER_ID: 1000,
    container.HOST_USER_ID: 1000,
    container.CAPABILITIES: Members(),
}

TECHNIQUE = Technique(
    title="Write to the host through a mount of its root directory",
    row=20,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, "/") & writes_as_root() & lsm_permits("host_files"),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "every file of the host can be written"),
        Change(reach.HOST_ROOT, True, "the host's cron, or the next program that root starts, runs what was written"),
    ),
    closed_by=(
        Change(
            container.HOST_PATHS_WRITABLE,
            without("/etc", "/usr", "/root"),
            "mount only the directories the application needs, or the root directory read-only",
        ),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below("/etc/", "/root/", "/usr/", "/var/spool/cron/")
    | (is_(event.IN_CONTAINER, True) & is_(event.WRITE, True) & is_(event.HOST_MOUNT, "/")),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.HOST_PATH: "/etc/cron.d/job"},
    drill_class=DrillClass.D3,
    drill=leave_file("/"),
    examples=(
        Example("-v /:/host as root", _OPEN, YES),
        Example("the same in gVisor, whose file server writes for it", {**_OPEN, container.SANDBOX: "gvisor"}, YES),
        Example("mounted read-only", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example("the application's own directory", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/srv/app",))}, NO),
        Example("not root and without capabilities", _ORDINARY, NO),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example("SELinux container_t", {**_OPEN, container.LSM_DENIES: Members.of("host_files")}, NO),
        Example("user not seen", unseen(_OPEN, container.USER_ID, container.HOST_USER_ID), UNKNOWN),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=(
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/EXPLOIT_HOST_WRITE.md",
        "https://github.com/BishopFox/badPods",
        "https://docs.docker.com/engine/security/#docker-daemon-attack-surface",
    ),
)
