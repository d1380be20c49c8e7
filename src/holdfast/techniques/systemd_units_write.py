"""Leave a unit file where the host's systemd looks for units.

What happens: ``/etc/systemd/system``, ``/run/systemd/system``, a directory of generators or one above them is mounted
writable. A new unit, or a ``.d`` directory that adds a command to an existing one, is read at the next reload or boot
and started as root.

Why the kernel allows it: systemd takes orders from files, and a bind mount shows the host's own. File permissions see
the container's root as the host's root unless a user namespace maps it to somebody else.

What closes it: not mounting these directories, or only read-only; a user namespace; another user than root; SELinux,
for files that were not labelled for containers.

How it looks: a process in a container writes below a ``systemd`` directory of the host.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import lsm_permits, writes_as_root, writes_below

_UNITS = (
    "/etc/systemd/system/*/*",
    "/run/systemd/system/*/*",
    "/usr/lib/systemd/system/*/*",
    "/lib/systemd/system/*/*",
    "/usr/local/lib/systemd/system/*/*",
    "/etc/systemd/system-generators/*",
    "/run/systemd/system-generators/*",
    "/run/systemd/transient/*",
    "/run/systemd/generator/*/*",
)

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/etc/systemd/system",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    host.DBUS: True,
}

TECHNIQUE = Technique(
    title="Leave a unit file for the host's systemd",
    row=26,
    attack=("T1611", "T1543.002"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, *_UNITS)
    & writes_as_root()
    & lsm_permits("host_files")
    & is_(host.DBUS, True),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "units of the host can be written"),
        Change(reach.HOST_ROOT, True, "systemd starts the unit as root at the next reload or boot"),
    ),
    closed_by=(
        Change(
            container.HOST_PATHS_WRITABLE, without(*_UNITS), "do not mount systemd's directories, or only read-only"
        ),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below(
        "/etc/systemd/", "/run/systemd/system/", "/run/systemd/transient/", "/usr/lib/systemd/", "/lib/systemd/"
    ),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.HOST_PATH: "/etc/systemd/system/job.service"},
    drill_class=DrillClass.D3,
    drill=leave_file(*(unit.removesuffix("/*").removesuffix("/*") for unit in _UNITS), needs=("systemd",)),
    examples=(
        Example("the directory of units, as root", _OPEN, YES),
        Example("/run as a whole", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/run",))}, YES),
        Example(
            "one unit's .d directory",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/etc/systemd/system/ssh.service.d",))},
            YES,
        ),
        Example(
            "systemd's settings of the journal",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/run/systemd/journal",))},
            NO,
        ),
        Example("a host without systemd", {**_OPEN, host.DBUS: False}, NO),
        Example("not seen what the host runs", unseen(_OPEN, host.DBUS), UNKNOWN),
    ),
    sources=(
        "https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html",
        "https://www.freedesktop.org/software/systemd/man/latest/systemd.generator.html",
    ),
)
