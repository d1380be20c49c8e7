"""Change settings below /etc that decide what root runs.

What happens: ``/etc``, or one of a few files and directories in it, is mounted writable. A file in ``cron.d`` runs
within a minute; a line in ``ld.so.preload`` puts a library into every program that starts; a line in ``passwd`` or
``sudoers`` makes a user root; ``docker/daemon.json`` decides how the next container starts.

Why the kernel allows it: a bind mount shows the host's own files. Their permissions see the container's root as the
host's root unless a user namespace maps it to somebody else.

What closes it: mounting single files such as ``/etc/localtime``, read-only; a user namespace; another user than root;
SELinux, for files that were not labelled for containers.

How it looks: a process in a container writes below the host's ``/etc``.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file, open_to_write
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import lsm_permits, writes_as_root, writes_below

_DECISIVE = (
    "/etc/cron.d/*",
    "/etc/cron.hourly/*",
    "/etc/cron.daily/*",
    "/etc/crontab",
    "/etc/crontabs/*",
    "/var/spool/cron/*/*",
    "/etc/ld.so.preload",
    "/etc/ld.so.conf.d/*",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/sudoers",
    "/etc/sudoers.d/*",
    "/etc/pam.d/*",
    "/etc/profile.d/*",
    "/etc/ssh/sshd_config",
    "/etc/init.d/*",
    "/etc/rc.local",
    "/etc/udev/rules.d/*",
    "/etc/modprobe.d/*",
    "/etc/docker/daemon.json",
    "/etc/containerd/config.toml",
    "/etc/containers/containers.conf",
)

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/etc",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Change files below /etc that decide what root runs",
    row=22,
    attack=("T1611", "T1053.003", "T1574.006"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS_WRITABLE, *_DECISIVE) & writes_as_root() & lsm_permits("host_files"),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "settings that decide what runs can be written"),
        Change(reach.HOST_ROOT, True, "root on the host runs what the settings name"),
    ),
    closed_by=(
        Change(container.HOST_PATHS_WRITABLE, without(*_DECISIVE), "mount single harmless files instead, or read-only"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below("/etc/", "/var/spool/cron/"),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.HOST_PATH: "/etc/ld.so.preload"},
    drill_class=DrillClass.D3,
    drill=leave_file(
        "/etc/cron.d", "/etc/cron.daily", "/etc/ld.so.conf.d", "/etc/sudoers.d", "/var/spool/cron/crontabs"
    )
    + open_to_write("/etc/passwd", "/etc/shadow", "/etc/crontab", "/etc/sudoers", "/etc/ld.so.preload")
    + leave_file("/etc", "/etc/docker", "/etc/pam.d", "/etc/profile.d", "/etc/init.d"),
    examples=(
        Example("/etc mounted writable as root", _OPEN, YES),
        Example("one cron file", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/etc/cron.d/backup",))}, YES),
        Example("the host's root directory", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/",))}, YES),
        Example(
            "files that decide nothing",
            {
                **_OPEN,
                container.HOST_PATHS_WRITABLE: Paths(("/etc/localtime", "/etc/timezone", "/etc/hosts", "/etc/nginx")),
            },
            NO,
        ),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example("SELinux container_t", {**_OPEN, container.LSM_DENIES: Members.of("host_files")}, NO),
        Example("user not seen", unseen(_OPEN, container.USER_ID, container.HOST_USER_ID), UNKNOWN),
    ),
    sources=(
        "https://github.com/Metarget/metarget",
        "https://man7.org/linux/man-pages/man8/ld.so.8.html",
        "https://man7.org/linux/man-pages/man5/crontab.5.html",
    ),
)
