"""Leave a key or a command in a home directory of the host.

What happens: ``/root``, ``/home``, one user's home or his ``.ssh`` is mounted writable. A key in ``authorized_keys``
opens a login over SSH; a line in ``.bashrc`` or a unit below ``.config/systemd/user`` runs when the user next comes.

Why the kernel allows it: a bind mount shows the host's own files. Root with CAP_DAC_OVERRIDE may write into any home,
root without it into root's; and whoever has the same user id as the owner on the host, as container root of a
rootless engine does, may write into that one.

What closes it: mounting the project instead of the home; mounting it read-only; SELinux, for files that were not
labelled for containers. For root's home also a user namespace.

How it looks: a process in a container writes to ``authorized_keys`` or a start file of a shell on the host.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_not
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import host_capability, host_root, lsm_permits, writes_below

_ROOT = ("/root/.ssh/authorized_keys", "/root/.bashrc", "/root/.profile")
_USERS = (
    "/home/*/.ssh/authorized_keys",
    "/home/*/.bashrc",
    "/home/*/.profile",
    "/home/*/.config/systemd/user/*",
    "/home/*/.config/autostart/*",
)

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/home/alice",)),
    container.HOST_USER_ID: 0,
    container.CAPABILITIES: Members.of("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.LSM_DENIES: Members(),
}
_OWNER: Situation = {
    **_OPEN,
    container.HOST_USER_ID: 1000,
    container.CAPABILITIES: Members(),
    container.HOST_PATHS_PERMITTED: Paths(("/home/alice",)),
}

TECHNIQUE = Technique(
    title="Leave a key or a command in a home directory",
    row=24,
    attack=("T1611", "T1098.004"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=(
        (covers(container.HOST_PATHS_WRITABLE, *_ROOT) & (host_root() | host_capability("CAP_DAC_OVERRIDE")))
        | (
            covers(container.HOST_PATHS_WRITABLE, *_USERS)
            & (
                host_capability("CAP_DAC_OVERRIDE")
                | (is_not(container.HOST_USER_ID, 0) & covers(container.HOST_PATHS_PERMITTED, *_USERS))
            )
        )
    )
    & lsm_permits("host_files"),
    gives=(Change(reach.HOST_FILE_WRITE, True, "files that run when the user logs in can be written"),),
    closed_by=(
        Change(
            container.HOST_PATHS_WRITABLE, without(*_ROOT, *_USERS), "mount the project, not the home, or read-only"
        ),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below("/root/", "/home/"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.WRITE: True,
        event.HOST_PATH: "/root/.ssh/authorized_keys",
    },
    drill_class=DrillClass.D3,
    drill=leave_file("/root", "/root/.ssh", "/home/*", "/home/*/.ssh"),
    examples=(
        Example("a user's home, as root with the default capabilities", _OPEN, YES),
        Example(
            "root's home, as root without capabilities",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/root",)), container.CAPABILITIES: Members()},
            YES,
        ),
        Example("the user's own id, as with a rootless engine", _OWNER, YES),
        Example("only .ssh", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/home/alice/.ssh",))}, YES),
        Example("only the project", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/home/alice/project",))}, NO),
        Example("mounted read-only", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example(
            "root without capabilities may not write into another's home",
            {**_OPEN, container.CAPABILITIES: Members()},
            NO,
        ),
        Example("SELinux container_t", {**_OPEN, container.LSM_DENIES: Members.of("host_files")}, NO),
        Example("nobody looked who owns the home", unseen(_OWNER, container.HOST_PATHS_PERMITTED), UNKNOWN),
    ),
    sources=(
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/EXPLOIT_HOST_WRITE.md",
        "https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT",
    ),
)
