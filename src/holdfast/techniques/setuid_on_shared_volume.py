"""Leave a setuid program on a shared directory for an account on the host.

What happens: a host directory is mounted writable. Root in the container puts a program there, owned by root, with
the setuid bit. Whoever also has an ordinary account on the host starts it there and is root.

Why the kernel allows it: owner and mode are stored in the file system, and the container's root is the host's root
unless a user namespace maps it to somebody else. When the file is started on the host, the host's mount decides
whether setuid counts; the container is no longer asked, and ``no-new-privileges`` binds the container's processes
only.

What closes it: the host's mount with ``nosuid``; a user namespace; another user than root; a read-only mount; a
directory that other accounts of the host cannot enter.

How it looks: a process in a container sets the setuid bit on a file of a bind mount.
"""

from holdfast.model.change import Change
from holdfast.model.logic import below, covers, is_, is_not
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Paths
from holdfast.model.ways import step
from holdfast.model.words import assumed, container, event, reach
from holdfast.model.words.conditions import host_root

_OPEN: Situation = {
    container.HOST_PATHS_SUID: Paths(("/srv/app",)),
    container.HOST_USER_ID: 0,
    assumed.HOST_USER: True,
}

TECHNIQUE = Technique(
    title="Leave a setuid program on a shared directory",
    row=41,
    attack=("T1611", "T1548.001"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=(below(container.HOST_PATHS_SUID, "/") | covers(container.HOST_PATHS_SUID, "/"))
    & host_root()
    & is_(assumed.HOST_USER, True),
    gives=(Change(reach.HOST_ROOT, True, "the account on the host starts the program and is root"),),
    closed_by=(
        Change(container.HOST_PATHS_SUID, Paths(), "mount the directory's file system on the host with nosuid"),
        Change(container.HOST_PATHS_SUID, Paths(), "mount the directory into the container read-only"),
        Change(container.HOST_USER_ID, 100000, "run as another user or in a user namespace: the file is not root's"),
        Change(assumed.HOST_USER, False, "give nobody who is not trusted an account on the host"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.FILE_MODE_SETUID, True) & is_not(event.FILE_SYSTEM, "overlay"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.FILE_MODE_SETUID: True,
        event.FILE_SYSTEM: "ext4",
        event.HOST_PATH: "/srv/app/x",
    },
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "leave a setuid program that tells its user, and start it on the host as nobody",
            (step("copy_self", path="{suid}/{token}", mode="4755"),),
            ProvedBy.STARTED,
        ),
    ),
    examples=(
        Example("a writable bind mount, root inside, an account outside", _OPEN, YES),
        Example("the host's mount has nosuid", {**_OPEN, container.HOST_PATHS_SUID: Paths()}, NO),
        Example("not root", {**_OPEN, container.HOST_USER_ID: 1000}, NO),
        Example("the attacker has no account on the host", {**_OPEN, assumed.HOST_USER: False}, NO),
        Example("nobody said whether the attacker has an account", unseen(_OPEN, assumed.HOST_USER), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/execve.2.html",
        "https://man7.org/linux/man-pages/man8/mount.8.html",
        "https://attack.mitre.org/techniques/T1548/001/",
    ),
)
