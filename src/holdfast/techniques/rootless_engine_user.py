"""Become the ordinary user who runs a rootless engine.

What happens: in a container of a rootless engine, root is the ordinary user who started the engine. Techniques that
need host root fail there, but what belongs to that user lies open as soon as it is mounted: a home directory with
shell profiles and keys, or the socket of the user's session bus. Code then runs as that user on the host. The
engine's own socket is told apart: technique ``rootless-engine-socket``.

Why the kernel allows it: the user namespace maps root inside to the user's id outside, so the user's files are the
container's own. Other ids inside are mapped to subordinate ids that own nothing on the host.

What closes it: mounting single project directories instead of the home directory, and no sockets; running as another
user inside the container; an SELinux policy that confines containers.

How it looks: a write to a profile or key file in a home directory, or a connection to a socket below ``/run/user``,
from a container.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import AnyOf, contains, covers, is_, starts_with
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file, say
from holdfast.model.words import container, engine, event, reach
from holdfast.model.words.conditions import lsm_permits

_FILES = (
    "/home/*/.ssh",
    "/home/*/.bashrc",
    "/home/*/.profile",
    "/home/*/.config/systemd/user",
    "/home/*/.local/bin",
)
_SOCKETS = (
    "/run/user/*/bus",
    "/run/user/*/systemd/private",
)

_OPEN: Situation = {
    engine.ROOTLESS: True,
    container.USER_ID: 0,
    container.SANDBOX: "none",
    container.HOST_PATHS: Paths(("/home/sam",)),
    container.HOST_PATHS_WRITABLE: Paths(("/home/sam",)),
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Become the ordinary user who runs a rootless engine",
    row=73,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    exposed_when=is_(engine.ROOTLESS, True)
    & is_(container.USER_ID, 0)
    & (
        (covers(container.HOST_PATHS_WRITABLE, *_FILES) & lsm_permits("host_files"))
        | (covers(container.HOST_PATHS, *_SOCKETS) & is_(container.SANDBOX, "none") & lsm_permits("host_sockets"))
    ),
    gives=(Change(reach.ENGINE_USER, True, "code runs on the host as the user who runs the engine"),),
    closed_by=(
        Change(container.USER_ID, 1000, "run as another user inside: it owns nothing on the host"),
        Change(
            container.HOST_PATHS_WRITABLE, without("/home"), "mount single project directories, not the home directory"
        ),
        Change(container.LSM_DENIES, with_("host_files"), "enforce an SELinux policy that confines containers"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & AnyOf(
        (
            is_(event.WRITE, True) & contains(event.HOST_PATH, "/.ssh/"),
            is_(event.WRITE, True) & contains(event.HOST_PATH, "/.bashrc"),
            is_(event.WRITE, True) & contains(event.HOST_PATH, "/.profile"),
            is_(event.WRITE, True) & contains(event.HOST_PATH, "/.config/systemd/user/"),
            is_(event.SYSCALL, "connect") & starts_with(event.HOST_PATH, "/run/user/"),
        )
    ),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.HOST_PATH: "/home/sam/.ssh/authorized_keys"},
    drill_class=DrillClass.D3,
    drill=leave_file("/home/*", "/home/*/.ssh", "/home/*/.config/systemd/user", needs=("rootless engine",))
    + say(*_SOCKETS, needs=("rootless engine",)),
    examples=(
        Example("the home directory mounted writable", _OPEN, YES),
        Example("the home directory mounted read-only", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example(
            "one project directory mounted",
            {
                **_OPEN,
                container.HOST_PATHS: Paths(("/home/sam/site",)),
                container.HOST_PATHS_WRITABLE: Paths(("/home/sam/site",)),
            },
            NO,
        ),
        Example("another user inside", {**_OPEN, container.USER_ID: 1000}, NO),
        Example("the engine runs as root", {**_OPEN, engine.ROOTLESS: False}, NO),
        Example(
            "under SELinux, without a relabelled mount", {**_OPEN, container.LSM_DENIES: Members.of("host_files")}, NO
        ),
        Example("engine not seen", unseen(_OPEN, engine.ROOTLESS), UNKNOWN),
    ),
    sources=(
        "https://docs.docker.com/engine/security/rootless/",
        "https://github.com/containers/podman/blob/main/docs/tutorials/rootless_tutorial.md",
        "https://man7.org/linux/man-pages/man7/user_namespaces.7.html",
    ),
)
