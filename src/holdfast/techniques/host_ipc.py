"""Read and alter memory that processes of the host share.

What happens: with the host's IPC namespace, or with the host's ``/dev/shm`` mounted, the container attaches the shared
memory segments, message queues and semaphores of host processes. It reads what databases and desktop programs keep
there and changes it under them.

Why the kernel allows it: System V objects belong to the IPC namespace and are guarded by owner and mode like files;
POSIX shared memory is files in ``/dev/shm``. Host root, which root of the container is without a user namespace,
passes these checks, and so does CAP_IPC_OWNER for System V objects. An ordinary user reaches what belongs to the same
user or is open to all.

What closes it: an IPC namespace of one's own, the default, and no mount of the host's ``/dev/shm``; a user namespace
or an ordinary user; an SELinux policy.

How it looks: shmat on a segment of a process outside, or an open below the host's ``/dev/shm``, from a container.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_, starts_with
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import step
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import host_capability, host_root, lsm_permits, shares

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a path to look for; nothing is written there

_OPEN: Situation = {
    container.SHARED_NAMESPACES: Members.of("ipc"),
    container.SANDBOX: "none",
    container.HOST_PATHS: Paths(),
    container.HOST_USER_ID: 0,
    container.CAPABILITIES: Members(),
    container.USER_NAMESPACE: "host",
    container.LSM_DENIES: Members(),
    container.USER_ID_ON_HOST: False,
}

TECHNIQUE = Technique(
    title="Read and alter memory that processes of the host share",
    row=67,
    attack=("T1005",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=(shares("ipc") | covers(container.HOST_PATHS, _SHARED_MEMORY))
    & (host_root() | host_capability("CAP_IPC_OWNER") | is_(container.USER_ID_ON_HOST, True))
    & lsm_permits("host_files"),  # container_t refuses shared memory wherever it refuses host files
    gives=(Change(reach.HOST_PROCESS, True, "memory that host processes share can be read and altered"),),
    closed_by=(
        Change(container.SHARED_NAMESPACES, without("ipc"), "give the container an IPC namespace of its own"),
        Change(container.HOST_USER_ID, 100000, "run as an ordinary user, or in a user namespace"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce an SELinux policy that confines containers"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its shared memory is its own"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & (
        (is_(event.SYSCALL, "shmat") & is_(event.TARGET_OUTSIDE, True))
        | starts_with(event.HOST_PATH, _SHARED_MEMORY + "/")
    ),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "shmat", event.TARGET_OUTSIDE: True},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "read System V shared memory of a host process",
            (step("shm_read", key="{shm_key}", length="256"),),
            ProvedBy.READ,
        ),
        Way(
            "read a file in the host's /dev/shm",
            (step("open", path="{shm_file}", mode="r"), step("read", slot="0", length="256")),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("root with the host's IPC namespace", _OPEN, YES),
        Example("an IPC namespace of its own", {**_OPEN, container.SHARED_NAMESPACES: Members()}, NO),
        Example("an ordinary user that no other process runs under", {**_OPEN, container.HOST_USER_ID: 54321}, NO),
        Example("root of a user namespace", {**_OPEN, container.HOST_USER_ID: 100000}, NO),
        Example("under SELinux", {**_OPEN, container.LSM_DENIES: Members.of("host_files")}, NO),
        Example(
            "an ordinary user, host processes not seen",
            {**unseen(_OPEN, container.USER_ID_ON_HOST), container.HOST_USER_ID: 1000},
            UNKNOWN,
        ),
    ),
    sources=(
        "https://github.com/BishopFox/badPods/blob/main/manifests/hostipc/README.md",
        "https://man7.org/linux/man-pages/man7/ipc_namespaces.7.html",
        "https://man7.org/linux/man-pages/man7/shm_overview.7.html",
    ),
)
