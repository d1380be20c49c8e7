"""Write the host's files by file handle.

What happens: the handle of the technique ``open-by-handle-read`` is opened for writing. The container changes
``/etc/passwd``, a cron table or a key file of the host.

Why the kernel allows it: after the handle was found, the ordinary checks of an open for writing apply, and only those:
the file's permissions, which host root or CAP_DAC_OVERRIDE (a default) passes, and whether the mount that served as
starting point is writable. Of the files that engines bind into every container at least one is, unless the root file
system was asked to be read-only: Docker then mounts these files read-only too. Files with the immutable attribute stay
closed.

What closes it: what closes reading, above all dropping CAP_DAC_READ_SEARCH; against writing alone also a read-only
root file system with no other writable mount from the host's root file system.

How it looks: ``open_by_handle_at`` with a writing mode, called by a process in a container.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import is_
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import host_capability, host_root, lsm_permits, may_call

_OPEN: Situation = {
    container.CAPABILITIES: Members.of("CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("open_by_handle_at"),
    container.LSM_DENIES: Members(),
    container.HOST_USER_ID: 0,
    container.HOST_SUPERBLOCK_WRITABLE: True,
}

TECHNIQUE = Technique(
    title="Write the host's files by file handle",
    row=55,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=host_capability("CAP_DAC_READ_SEARCH")
    & may_call("open_by_handle_at")
    & is_(container.HOST_SUPERBLOCK_WRITABLE, True)
    & (host_root() | host_capability("CAP_DAC_OVERRIDE"))
    & lsm_permits("host_files"),
    gives=(Change(reach.HOST_FILE_WRITE, True, "files of the host's root file system are opened for writing"),),
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
        Change(
            container.HOST_SUPERBLOCK_WRITABLE, False, "make the root file system and every mount of the host read-only"
        ),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & is_(event.SYSCALL, "open_by_handle_at") & is_(event.WRITE, True),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "open_by_handle_at", event.WRITE: True},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "open a canary by its handle and write the token",
            (
                step("open", path="{same_fs}", mode="r"),
                step("open_by_handle", slot="0", type="{handle_type}", handle="{handle}", flags="1"),  # O_WRONLY
                step("write", slot="1", text="{token}"),
            ),
            ProvedBy.WRITTEN,
        ),
    ),
    examples=(
        Example("CAP_DAC_READ_SEARCH beside the default capabilities", _OPEN, YES),
        Example(
            "root without CAP_DAC_OVERRIDE owns the files anyway",
            {**_OPEN, container.CAPABILITIES: Members.of("CAP_DAC_READ_SEARCH")},
            YES,
        ),
        Example("a read-only root file system in Docker", {**_OPEN, container.HOST_SUPERBLOCK_WRITABLE: False}, NO),
        Example(
            "an ordinary user with the reading capability alone",
            {**_OPEN, container.CAPABILITIES: Members.of("CAP_DAC_READ_SEARCH"), container.HOST_USER_ID: 1000},
            NO,
        ),
        Example("default capabilities", {**_OPEN, container.CAPABILITIES: Members.of("CAP_DAC_OVERRIDE")}, NO),
        Example("mounts not seen", unseen(_OPEN, container.HOST_SUPERBLOCK_WRITABLE), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/open_by_handle_at.2.html",
        "https://man7.org/linux/man-pages/man7/capabilities.7.html",
    ),
)
