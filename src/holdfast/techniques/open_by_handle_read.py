"""Read the host's files by file handle.

What happens: ``open_by_handle_at`` opens a file by a number that stands for its inode, not by a path. The container
passes any file that was bind-mounted from the host's file system as the starting point and the handle of the root
directory, which has a well-known number, and walks down to whatever it wants to read.

Why the kernel allows it: a handle names a file of the whole file system; the borders of a bind mount do not apply. The
kernel therefore asks for CAP_DAC_READ_SEARCH in the initial user namespace, and this capability also lifts the read
permissions on the way. ``/etc/hosts``, ``/etc/resolv.conf`` and ``/etc/hostname`` are such bind mounts: engines make
them by default, and they lie on the host's root file system unless the engine keeps its state elsewhere.

What closes it: dropping CAP_DAC_READ_SEARCH, which no default set holds; a seccomp profile that refuses the call; a
user namespace; an SELinux policy; an engine whose state lies on a file system of its own.

How it looks: ``open_by_handle_at`` called by a process in a container.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import is_
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import host_capability, lsm_permits, may_call

_OPEN: Situation = {
    container.CAPABILITIES: Members.of("CAP_DAC_READ_SEARCH"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("open_by_handle_at"),
    container.LSM_DENIES: Members(),
    container.HOST_SUPERBLOCK: True,
}

TECHNIQUE = Technique(
    title="Read the host's files by file handle",
    row=54,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=host_capability("CAP_DAC_READ_SEARCH")
    & may_call("open_by_handle_at")
    & is_(container.HOST_SUPERBLOCK, True)
    & lsm_permits("host_files"),
    gives=(Change(reach.HOST_FILE_READ, True, "every file on the host's root file system can be opened by handle"),),
    closed_by=(
        Change(container.CAPABILITIES, without("CAP_DAC_READ_SEARCH"), "drop CAP_DAC_READ_SEARCH"),
        Change(
            container.SYSCALLS,
            without("open_by_handle_at"),
            "use a seccomp profile that refuses open_by_handle_at",
        ),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its file handles are its own"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce an SELinux policy that confines containers"),
        Change(container.HOST_SUPERBLOCK, False, "keep the engine's state on a file system of its own"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.SYSCALL, "open_by_handle_at"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "open_by_handle_at"},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "open a canary by its handle",
            (
                step("open", path="{same_fs}", mode="r"),
                step("open_by_handle", slot="0", type="{handle_type}", handle="{handle}", flags="0"),
                step("read", slot="1", length="256"),
            ),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("CAP_DAC_READ_SEARCH with the default seccomp profile", _OPEN, YES),
        Example("default capabilities", {**_OPEN, container.CAPABILITIES: Members.of("CAP_DAC_OVERRIDE")}, NO),
        Example("the call is refused", {**_OPEN, container.SYSCALLS: Members.of("name_to_handle_at")}, NO),
        Example("nothing from the host's root file system", {**_OPEN, container.HOST_SUPERBLOCK: False}, NO),
        Example("in a user namespace", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example("file systems not seen", unseen(_OPEN, container.HOST_SUPERBLOCK), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/open_by_handle_at.2.html",
        "https://github.com/cdk-team/CDK/blob/main/pkg/exploit/escaping/cap_dac_read_search.go",
        "https://github.com/moby/profiles/blob/main/seccomp/default.json",
    ),
)
