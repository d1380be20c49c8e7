"""Look into host processes through the kernel's tracing files, or reach its pinned BPF objects.

What happens: ``/sys/kernel/tracing`` (also below ``/sys/kernel/debug``) is mounted writable, and root sets a probe
that records what any process on the machine passes to any kernel or library function. With ``/sys/fs/bpf``, it opens
maps that the host's programs were pinned with, and changes for instance what a network policy lets through.

Why the kernel allows it: these file systems exist once for the whole machine; file permissions are their guard. A
probe through a file needs no capability, and to get a pinned map the ``bpf`` call needs permission to the file only.

What closes it: not mounting them, or only read-only; a user namespace; another user than root; SELinux; kernel
lockdown, which refuses probes at level ``confidentiality``.

How it looks: a write to ``kprobe_events`` or ``uprobe_events``; a ``bpf`` call that gets an object by its path.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, has, has_any, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import open_to_write, step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import lsm_permits, may_call, named, writes_as_root

_TRACING = ("/sys/kernel/debug/tracing/*", "/sys/kernel/tracing/*")
_BPF = "/sys/fs/bpf"

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/sys/kernel/debug",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.SYSCALLS: Members(),
    container.SANDBOX: "none",
    host.LOCKDOWN: "none",
}

TECHNIQUE = Technique(
    title="Look into host processes through tracefs or bpffs",
    row=39,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=(
        (
            covers(container.HOST_PATHS_WRITABLE, *_TRACING)
            & (
                ~covers(container.HOST_PATHS_WRITABLE, "/sys/kernel")
                | has_any(host.MOUNTED_FILE_SYSTEMS, "tracefs", "debugfs")
            )
            & one_of(host.LOCKDOWN, "none", "integrity")
        )
        | (
            covers(container.HOST_PATHS_WRITABLE, _BPF)
            & (~covers(container.HOST_PATHS_WRITABLE, "/sys/fs") | has(host.MOUNTED_FILE_SYSTEMS, "bpf"))
            & may_call("bpf")
        )
    )
    & writes_as_root()
    & is_(container.SANDBOX, "none")
    & lsm_permits("host_files"),
    gives=(Change(reach.HOST_PROCESS, True, "probes show, and maps change, what host processes do"),),
    closed_by=(
        Change(
            container.HOST_PATHS_WRITABLE,
            without(*_TRACING, _BPF),
            "do not mount the tracing and BPF file systems, or only read-only",
        ),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux: container_t may not write these files"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & (
        (is_(event.WRITE, True) & (named("/kprobe_events") | named("/uprobe_events")))
        | (is_(event.SYSCALL, "bpf") & is_(event.COMMAND, "OBJ_GET"))
    ),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.PATH: "/sys/kernel/tracing/kprobe_events"},
    drill_class=DrillClass.D1,
    drill=(
        *open_to_write("/sys/kernel/tracing/kprobe_events", "/sys/kernel/debug/tracing/kprobe_events"),
        Way(
            "load a BPF program with the host's bpffs at hand",
            (step("mkdir", path="{in:/sys/fs/bpf}/{token}"), step("bpf_load", type="1")),
            ProvedBy.SURFACE,
        ),
    ),
    examples=(
        Example("debugfs mounted writable, as root", _OPEN, YES),
        Example(
            "bpffs mounted writable, and seccomp lets bpf through",
            {**_OPEN, container.HOST_PATHS_WRITABLE: Paths((_BPF,)), container.SYSCALLS: Members.of("bpf")},
            YES,
        ),
        Example("bpffs mounted, but seccomp refuses bpf", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths((_BPF,))}, NO),
        Example("lockdown forbids probes", {**_OPEN, host.LOCKDOWN: "confidentiality"}, NO),
        Example(
            "the whole of /sys, on a host that mounts debugfs",
            {
                **_OPEN,
                container.HOST_PATHS_WRITABLE: Paths(("/sys",)),
                host.MOUNTED_FILE_SYSTEMS: Members.of("sysfs", "debugfs"),
            },
            YES,
        ),
        Example(
            "the whole of /sys, on a host that mounts neither",
            {
                **_OPEN,
                container.HOST_PATHS_WRITABLE: Paths(("/sys",)),
                host.MOUNTED_FILE_SYSTEMS: Members.of("sysfs"),
            },
            NO,
        ),
        Example("mounted read-only", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example("lockdown not seen", unseen(_OPEN, host.LOCKDOWN), UNKNOWN),
    ),
    sources=(
        "https://docs.kernel.org/trace/kprobetrace.html",
        "https://man7.org/linux/man-pages/man7/kernel_lockdown.7.html",
        "https://man7.org/linux/man-pages/man2/bpf.2.html",
    ),
)
