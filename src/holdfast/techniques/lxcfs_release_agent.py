"""Run a program on the host through a writable lxcfs.

What happens: lxcfs shows containers a ``/proc`` of their own size, and older versions the cgroup hierarchies as well.
When its whole directory, usually ``/var/lib/lxcfs``, is mounted writable into a container, root there writes
``release_agent`` or ``devices.allow`` of version 1 hierarchies through it.

Why the kernel allows it: lxcfs is a daemon of the host. It writes on the container's behalf, as host root and with
every capability, so the check that Linux 5.17 added sees lxcfs and agrees. lxcfs itself looks at the user id of the
caller only.

What closes it: mounting single files of lxcfs, read-only, as its documentation does; a user namespace; a host with
cgroup version 2 only; a kernel with CONFIG_STATIC_USERMODEHELPER.

How it looks: a write to ``release_agent`` on a file system of type ``fuse.lxcfs``, then a program started by the
kernel itself.
"""

from holdfast.model.change import Change
from holdfast.model.logic import is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_root, named

_OPEN: Situation = {
    container.LXCFS_WRITABLE: True,
    container.HOST_USER_ID: 0,
    container.LAYER_PATH_KNOWN: True,
    host.CGROUP_VERSION: "v1",
    host.STATIC_USERMODE_HELPER: False,
}

TECHNIQUE = Technique(
    title="Run a host program through a writable lxcfs",
    row=37,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=is_(container.LXCFS_WRITABLE, True)
    & host_root()
    & one_of(host.CGROUP_VERSION, "v1", "hybrid")
    & is_(container.LAYER_PATH_KNOWN, True)
    & is_(host.STATIC_USERMODE_HELPER, False),
    gives=(Change(reach.HOST_ROOT, True, "the kernel starts the release agent as root in the initial namespaces"),),
    closed_by=(
        Change(container.LXCFS_WRITABLE, False, "mount single files of lxcfs, read-only"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: to lxcfs the caller is an ordinary user"),
        Change(host.CGROUP_VERSION, "v2", "boot the host with cgroup version 2 only: it has no release_agent"),
        Change(host.STATIC_USERMODE_HELPER, True, "use a kernel with CONFIG_STATIC_USERMODEHELPER"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.WRITE, True)
    & is_(event.FILE_SYSTEM, "fuse.lxcfs")
    & named("/release_agent"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.WRITE: True,
        event.FILE_SYSTEM: "fuse.lxcfs",
        event.PATH: "/lxcfs/cgroup/memory/release_agent",
    },
    drill_class=DrillClass.D2,
    examples=(
        Example("the whole of lxcfs mounted writable on a v1 host", _OPEN, YES),
        Example("single files, read-only", {**_OPEN, container.LXCFS_WRITABLE: False}, NO),
        Example("a host with version 2 only", {**_OPEN, host.CGROUP_VERSION: "v2"}, NO),
        Example("not root", {**_OPEN, container.HOST_USER_ID: 1000}, NO),
        Example("nobody looked at the mounts", unseen(_OPEN, container.LXCFS_WRITABLE), UNKNOWN),
    ),
    sources=(
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/lxcfs_rw_cgroup.go",
        "https://github.com/lxc/lxcfs",
    ),
)
