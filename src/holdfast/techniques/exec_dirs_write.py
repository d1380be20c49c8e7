"""Replace a program or library that root on the host will run.

What happens: ``/usr``, ``/bin``, ``/lib`` or ``/opt`` of the host is mounted writable. Root in the container puts its
own code into a shell, a daemon or the C library; the next time root on the host starts it, the code runs there.

Why the kernel allows it: a bind mount shows the host's own files, and their permissions see the container's root as
the host's root unless a user namespace maps it to somebody else. Nothing checks a program again before it starts,
except where IMA or fs-verity were set up.

What closes it: mounting only data, never directories of programs, or mounting them read-only; a user namespace;
another user than root; SELinux, for files that were not labelled for containers.

How it looks: a process in a container writes to, renames or changes the mode of a file below ``/usr`` of the host.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import lsm_permits, writes_as_root, writes_below

_PROGRAMS = (
    "/usr/bin/*",
    "/usr/sbin/*",
    "/usr/lib/*",
    "/usr/lib64/*",
    "/usr/libexec/*",
    "/usr/local/bin/*",
    "/usr/local/sbin/*",
    "/usr/local/lib/*",
    "/bin/*",
    "/sbin/*",
    "/lib/*",
    "/lib64/*",
    "/opt",
)

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/usr",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Replace a program or library that root will run",
    row=23,
    attack=("T1611", "T1574"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, *_PROGRAMS) & writes_as_root() & lsm_permits("host_files"),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "programs and libraries of the host can be written"),
        Change(reach.HOST_ROOT, True, "the host's root runs the replaced program"),
    ),
    closed_by=(
        Change(container.HOST_PATHS_WRITABLE, without(*_PROGRAMS), "mount only data, or the programs read-only"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/"),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.HOST_PATH: "/usr/bin/ls"},
    drill_class=DrillClass.D3,
    drill=leave_file(*(program.removesuffix("/*") for program in _PROGRAMS)),
    examples=(
        Example("/usr mounted writable as root", _OPEN, YES),
        Example(
            "/usr/local/bin to install a tool",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/usr/local/bin",))},
            YES,
        ),
        Example("/opt as a whole", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/opt",))}, YES),
        Example(
            "an application's data below /opt and time zones",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/opt/app/data", "/usr/share/zoneinfo"))},
            NO,
        ),
        Example("mounted read-only", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example("security module not seen", unseen(_OPEN, container.LSM_DENIES), UNKNOWN),
    ),
    sources=(
        "https://refspecs.linuxfoundation.org/FHS_3.0/fhs/index.html",
        "https://attack.mitre.org/techniques/T1574/",
    ),
)
