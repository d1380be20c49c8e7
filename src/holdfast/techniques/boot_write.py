"""Change what the host boots next time.

What happens: ``/boot``, the EFI system partition or the directory of EFI variables is mounted writable. Root in the
container puts a program into the initial RAM disk or an option such as ``init=`` into the boot loader's settings. At
the next start it runs before anything that could notice.

Why the kernel allows it: these are files like others, owned by root, and a bind mount shows the host's own. File
permissions see the container's root as the host's root unless a user namespace maps it to somebody else.

What closes it: not mounting them, or only read-only; a user namespace; SELinux, for files that were not labelled for
containers. Secure Boot refuses a foreign kernel, but not every initial RAM disk or boot option.

How it looks: a process in a container writes below the host's ``/boot`` or ``/efi``.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import below, covers
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import lsm_permits, writes_as_root, writes_below

_BOOT = ("/boot/*/*", "/efi/*/*")

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/boot",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
}

TECHNIQUE = Technique(
    title="Change what the host boots next time",
    row=25,
    attack=("T1611", "T1542"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=(
        covers(container.HOST_PATHS_WRITABLE, *_BOOT) | below(container.HOST_PATHS_WRITABLE, "/sys/firmware/efi")
    )
    & writes_as_root()
    & lsm_permits("host_files"),
    gives=(Change(reach.HOST_FILE_WRITE, True, "what the host starts with next time can be written"),),
    closed_by=(
        Change(
            container.HOST_PATHS_WRITABLE,
            without(*_BOOT, "/sys/firmware/efi"),
            "do not mount the boot files, or only read-only",
        ),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below("/boot/", "/efi/", "/sys/firmware/efi/"),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.HOST_PATH: "/boot/initrd.img-6.1.0-28-amd64"},
    drill_class=DrillClass.D1,
    drill=leave_file("/boot", "/boot/*", "/efi/*"),
    examples=(
        Example("/boot mounted writable as root", _OPEN, YES),
        Example("the EFI partition", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/boot/efi",))}, YES),
        Example(
            "the EFI variables",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/sys/firmware/efi/efivars",))},
            YES,
        ),
        Example(
            "/boot read-only, to read the kernel's configuration", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO
        ),
        Example("container root is an ordinary user of the host", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example("user not seen", unseen(_OPEN, container.USER_ID, container.HOST_USER_ID), UNKNOWN),
    ),
    sources=(
        "https://attack.mitre.org/techniques/T1542/",
        "https://docs.kernel.org/filesystems/efivarfs.html",
        "https://docs.kernel.org/admin-guide/initrd.html",
    ),
)
