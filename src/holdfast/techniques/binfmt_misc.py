"""Register an interpreter that the host will run.

What happens: the container mounts binfmt_misc and writes a line to its ``register`` file that says: files with this
beginning are run by that interpreter. The interpreter is a file of the container. When a process of the host next runs
such a file, it runs the interpreter instead. The flag C even lends it the rights of a setuid program.

Why the kernel allows it: the table of the initial user namespace serves every process that is not in a user namespace
with a table of its own (Linux 6.7 and later). The file asks for no capability, only for the host's root user; mounting
binfmt_misc so that the file appears needs CAP_SYS_ADMIN.

What closes it: not running privileged and no CAP_SYS_ADMIN, so that nothing can be mounted; a user namespace or an
ordinary user; SELinux; a kernel without binfmt_misc. AppArmor docker-default refuses mount and the write below
``/proc/sys``, but not the newer calls fsopen and fsmount, and the file can be opened without attaching the mount.

How it looks: a write to ``.../binfmt_misc/register`` from a container.
"""

from holdfast.model.change import Change, with_
from holdfast.model.logic import covers, has, is_
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_root, lsm_permits, may_mount, may_use_detached, named

_FILE = "/proc/sys/fs/binfmt_misc/register"

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(),
    container.HOST_USER_ID: 0,
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN"),
    container.SYSCALLS: Members.of("mount", "fsopen", "fsmount", "move_mount"),
    container.LSM_DENIES: Members(),
    host.BINFMT_MISC: True,
    host.MOUNTED_FILE_SYSTEMS: Members.of("binfmt_misc"),
}

TECHNIQUE = Technique(
    title="Register an interpreter with binfmt_misc that the host will run",
    row=52,
    attack=("T1611", "T1546"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=(
        may_mount()
        | may_use_detached()
        | (
            covers(container.HOST_PATHS_WRITABLE, _FILE)
            & has(host.MOUNTED_FILE_SYSTEMS, "binfmt_misc")
            & lsm_permits("host_files")
        )
    )
    & host_root()
    & is_(container.USER_NAMESPACE, "host")
    & is_(container.SANDBOX, "none")
    & is_(host.BINFMT_MISC, True),
    gives=(Change(reach.HOST_ROOT, True, "the next such file that root runs on the host starts the interpreter"),),
    closed_by=(
        Change(container.HOST_USER_ID, 100000, "run as an ordinary user, or in a user namespace"),
        Change(
            container.LSM_DENIES,
            with_("mount", "move_mount", "detached_mount", "host_files"),
            "enforce SELinux container_t; with AppArmor docker-default, drop CAP_SYS_ADMIN as well",
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its table of formats is its own"),
        Change(host.BINFMT_MISC, False, "keep the module binfmt_misc from being loaded on the host"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.WRITE, True)
    & (is_(event.FILE_SYSTEM, "binfmt_misc") | named("/binfmt_misc/register")),
    seen_sample={
        event.IN_CONTAINER: True,
        event.WRITE: True,
        event.FILE_SYSTEM: "binfmt_misc",
        event.PATH: "/mnt/register",
    },
    drill_class=DrillClass.D2,
    drill=(
        Way(
            "open the register of binfmt_misc",
            (
                step("mount", source="holdfast", target="{point}", type="binfmt_misc", flags="0", data=""),
                step("open", path="{point}/register", mode="w"),
            ),
            ProvedBy.SURFACE,
            in_host=frozenset({"user"}),
            loads="binfmt_misc",
        ),
        Way(
            "open the register of binfmt_misc in a mount that is attached nowhere",
            (step("detached", type="binfmt_misc", options=""), step("open_at", slot="0", path="register", mode="w")),
            ProvedBy.SURFACE,
            in_host=frozenset({"user"}),
            loads="binfmt_misc",
        ),
        Way(
            "open the register in a mount of the host's /proc",
            (step("open", path="{file:/proc/sys/fs/binfmt_misc/register}", mode="w"),),
            ProvedBy.SURFACE,
            in_host=frozenset({"user"}),
        ),
    ),
    examples=(
        Example("privileged", _OPEN, YES),
        Example(
            "CAP_SYS_ADMIN under docker-default, with a mount that is attached nowhere",
            {
                **_OPEN,
                container.LSM_DENIES: Members.of("mount", "move_mount", "proc_sys_write"),
            },
            YES,
        ),
        Example(
            "the host's /proc mounted writable, without any capability",
            {**_OPEN, container.CAPABILITIES: Members(), container.HOST_PATHS_WRITABLE: Paths(("/proc",))},
            YES,
        ),
        Example(
            "the same on a host that has not mounted binfmt_misc",
            {
                **_OPEN,
                container.CAPABILITIES: Members(),
                container.HOST_PATHS_WRITABLE: Paths(("/proc",)),
                host.MOUNTED_FILE_SYSTEMS: Members.of("ext4"),
            },
            NO,
        ),
        Example(
            "/proc/sys writable, but nothing can be mounted: the container's own procfs shows no such file",
            {**_OPEN, container.CAPABILITIES: Members()},
            NO,
        ),
        Example("a user namespace with a table of its own", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example("a host without binfmt_misc", {**_OPEN, host.BINFMT_MISC: False}, NO),
        Example("host not seen", unseen(_OPEN, host.BINFMT_MISC), UNKNOWN),
    ),
    sources=(
        "https://docs.kernel.org/admin-guide/binfmt-misc.html",
        "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/commit/?id=21ca59b365c091d583f36ac753eaa8baf947be6f",
    ),
)
