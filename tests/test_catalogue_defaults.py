"""What whole containers look like to the catalogue: a default one is shut, a privileged one is wide open.

The single techniques are held by their own examples in test_catalogue; here they are asked together, with every fact
that a scan of such a container on such a host answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from holdfast import techniques
from holdfast.model.change import applied
from holdfast.model.compiled import compile_test
from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.report import Verdict
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import EVERYTHING, Members, OtherThan, Paths
from holdfast.model.words import assumed, container, engine, host, network
from holdfast.model.workload import Workload
from holdfast.reason.assess import Judge
from holdfast.reason.catalogue import Catalogue

HERE = Where("situation")
CATALOGUE = techniques.load()
MINE = {
    name: CATALOGUE[name]
    for name in (
        "disk-mount", "block-device-raw", "cgroup-release-agent", "userns-release-agent", "cgroup-devices-allow",
        "core-pattern", "proc-remount", "uevent-helper", "modprobe-path", "binfmt-misc", "kernel-module",
        "open-by-handle-read", "open-by-handle-write", "host-pid-ptrace", "host-pid-setns", "host-pid-root-ptrace",
        "container-process", "host-pid-root-same-user", "host-proc-process", "host-pid-signal", "raw-io-memory",
        "bpf-tamper", "kexec", "mknod-assist", "packet-socket", "host-network-admin", "host-ipc", "vfio-dma",
        "gpu-driver", "input-tty", "leaked-directory", "cgroup-namespace-host", "rootless-engine-user",
    )
}  # fmt: skip
"""Rows 43 to 73, by name: another technique for one of these rows need not be labelled here."""
TESTS = {name: compile_test(one.exposed_when) for name, one in CATALOGUE.items()}
Situation = Mapping[Fact[Any], object]

DEFAULT_CAPABILITIES = Members.of(
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
    "CAP_AUDIT_WRITE",
)  # fmt: skip
DEFAULT_SECCOMP = Members(
    no=frozenset(
        {
            "mount", "umount2", "unshare:CLONE_NEWUSER", "clone:CLONE_NEWUSER", "setns", "bpf", "perf_event_open",
            "open_by_handle_at", "init_module", "finit_module", "kexec_load", "kexec_file_load", "reboot", "iopl",
            "ioperm", "fsopen", "move_mount", "pivot_root", "io_uring_setup", "socket:AF_ALG", "socket:AF_VSOCK",
        }
    ),
    rest=YES,
)  # fmt: skip
DOCKER_DEFAULT = Members.of("mount", "move_mount", "ptrace_host", "proc_sys_write", "sys_write", "af_alg")
"""Of a recent Docker on a recent kernel."""

DEFAULT: Situation = {
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.HOST_GROUP_IDS: Members.of(0),
    container.USER_NAMESPACE: "host",
    container.CAPABILITIES: DEFAULT_CAPABILITIES,
    container.BOUNDING_CAPABILITIES: DEFAULT_CAPABILITIES,
    container.NO_NEW_PRIVILEGES: False,
    container.PRIVILEGED: False,
    container.SYSCALLS: DEFAULT_SECCOMP,
    container.SECCOMP: "docker-default",
    container.LSM_DENIES: DOCKER_DEFAULT,
    container.APPARMOR: "docker-default",
    container.SELINUX: "none",
    container.SANDBOX: "none",
    container.SHARED_NAMESPACES: Members.of("time"),
    container.HOST_PATHS: Paths(),
    container.HOST_PATHS_WRITABLE: Paths(),
    container.HOST_PATHS_SUID: Paths(),
    container.HOST_PATHS_SHARED: Paths(),
    container.HOST_PATHS_PERMITTED: Paths(),
    container.HOST_SUPERBLOCK: True,
    container.HOST_SUPERBLOCK_WRITABLE: True,
    container.LAYER_PATH_KNOWN: True,
    container.MASKED: True,
    container.KERNEL_FILES_WRITABLE: Members(),
    container.DEVICES: Members(),
    container.DEVICES_PERMITTED: Members(),
    container.DEVICE_ACCESS: Members(),
    container.CGROUP_WRITABLE: False,
    container.CGROUP_V1_ROOT: False,
    container.LXCFS_WRITABLE: False,
    container.LEAKED_HOST_FD: False,
    container.SERVICE_ACCOUNT_TOKEN: False,
    container.VOLUME_CLAIMS: False,
    container.VOLUME_CLAIM_ON_HOST: False,
    container.SAME_USER_ON_HOST: False,
    container.SAME_USER_ID_ON_HOST: False,
    container.SAME_USER_IN_CONTAINER: False,
    engine.NAME: "docker",
    engine.ROOTLESS: False,
    engine.DESKTOP: False,
    network.SHARED_BRIDGE: True,
    network.DOCKER_API: False,
    network.LOCAL_SERVICES: False,
    host.KERNEL_VERSION: (6, 1, 90),
    host.CGROUP_VERSION: "v2",
    host.LOCKDOWN: "none",
    host.COREDUMP: True,
    host.STATIC_USERMODE_HELPER: False,
    host.UEVENT_HELPER: True,
    host.BINFMT_MISC: True,
    host.MODULES_DISABLED: False,
    host.MODULE_SIGNATURES_ENFORCED: False,
    host.KEXEC_LOAD_DISABLED: False,
    host.STRICT_DEVMEM: False,
    host.LEGACY_TIOCSTI: True,
    host.IOMMU: False,
    host.YAMA_PTRACE_SCOPE: 0,
    host.UNPRIVILEGED_USER_NAMESPACES: True,
    host.RELEASE_AGENT_GUARDED: False,
}
ON_V1_WITHOUT_LSM: Situation = {
    **DEFAULT,
    host.CGROUP_VERSION: "hybrid",
    container.SHARED_NAMESPACES: Members.of("time", "cgroup"),
    container.CGROUP_V1_ROOT: True,
    container.LSM_DENIES: Members(),
    container.APPARMOR: "none",
}
PRIVILEGED: Situation = {
    **ON_V1_WITHOUT_LSM,
    container.CAPABILITIES: EVERYTHING,
    container.BOUNDING_CAPABILITIES: EVERYTHING,
    container.PRIVILEGED: True,
    container.SYSCALLS: EVERYTHING,
    container.SECCOMP: "unconfined",
    container.MASKED: False,
    container.KERNEL_FILES_WRITABLE: EVERYTHING,
    container.DEVICES: Members.of("block", "mem", "port", "kmsg", "tty", "uinput", "input"),
    container.DEVICE_ACCESS: EVERYTHING,
    container.CGROUP_WRITABLE: True,
}
# a restricted Pod in a manifest: nobody saw the host
RESTRICTED: Situation = {
    fact: value
    for fact, value in {
        **DEFAULT,
        container.USER_ID: OtherThan(0),
        container.HOST_USER_ID: OtherThan(0),
        container.HOST_GROUP_IDS: Members.of(65532),
        container.CAPABILITIES: Members(),
        container.BOUNDING_CAPABILITIES: Members(),
        container.NO_NEW_PRIVILEGES: True,
        container.SHARED_NAMESPACES: Members(frozenset({"time"}), frozenset({"cgroup"})),
    }.items()
    if fact.subject == "container"
    and fact
    not in {
        container.LSM_DENIES,
        container.APPARMOR,
        container.SELINUX,
        container.LEAKED_HOST_FD,
        container.CGROUP_V1_ROOT,
        container.HOST_PATHS_PERMITTED,
    }
}


def facts(bare: Situation) -> Facts:
    return Facts({fact: Seen(value, HERE) for fact, value in bare.items()})


def verdicts(bare: Situation, *names: str) -> dict[str, Truth]:
    known = facts(bare)
    return {name: TESTS[name](known.table) for name in names or CATALOGUE}


def opened(bare: Situation, truth: Truth = YES, *, within: Mapping[str, object] = CATALOGUE) -> set[str]:
    """Return the techniques that lead on (to a goal or to another technique) and have this verdict."""
    return {name for name, found in verdicts(bare, *within).items() if found is truth and CATALOGUE[name].gives}


@pytest.mark.parametrize("bare", [DEFAULT, ON_V1_WITHOUT_LSM], ids=["v2 and AppArmor", "hybrid v1, no LSM"])
def test_a_default_docker_container_is_shut(bare: Situation) -> None:
    assert opened(bare) == set()


@pytest.mark.parametrize("bare", [DEFAULT, ON_V1_WITHOUT_LSM], ids=["v2 and AppArmor", "hybrid v1, no LSM"])
def test_what_stays_unknown_there_rests_on_assumptions_alone(bare: Situation) -> None:
    assert opened(bare, UNKNOWN, within=MINE) == {"mknod-assist", "leaked-directory"}
    for name in opened(bare, UNKNOWN, within=MINE):
        missing = {leaf.expr.fact.subject for leaf in prove(CATALOGUE[name].exposed_when, facts(bare)).missing()}  # type: ignore[attr-defined]
        assert missing == {"assumed"}
    unassumed = {**bare, assumed.HOST_USER: False, assumed.UNTRUSTED_LAUNCHER: False}
    assert opened(unassumed, UNKNOWN, within=MINE) == set()


def test_what_a_default_container_shows_is_surface() -> None:
    surface = {name for name, one in MINE.items() if not one.gives}
    assert surface == {"packet-socket", "host-network-admin", "cgroup-namespace-host"}
    assert verdicts(DEFAULT, *surface) == {
        "packet-socket": YES,
        "host-network-admin": NO,
        "cgroup-namespace-host": NO,
    }
    assert verdicts(ON_V1_WITHOUT_LSM, "cgroup-namespace-host") == {"cgroup-namespace-host": YES}


def test_a_restricted_pod_is_shut_whatever_the_host_is() -> None:
    assert opened(RESTRICTED) == set()
    assert opened(RESTRICTED, UNKNOWN, within=MINE) == {"leaked-directory"}
    assert {fact.subject for fact in RESTRICTED} == {"container"}, "nothing of the host was seen"


@pytest.mark.parametrize(
    ("bare", "expected"),
    [
        pytest.param(DEFAULT, Verdict.CONTAINED, id="v2 and AppArmor"),
        pytest.param(ON_V1_WITHOUT_LSM, Verdict.CONTAINED, id="hybrid v1, no LSM"),
        pytest.param(RESTRICTED, Verdict.CONTAINED, id="restricted Pod"),
        pytest.param(PRIVILEGED, Verdict.ESCAPABLE, id="privileged"),
    ],
)
def test_the_verdict_follows(bare: Situation, expected: Verdict) -> None:
    judge = Judge(Catalogue(MINE.values()), Facts())
    assert judge.assess(Workload("web", "container", HERE), facts(bare)).verdict is expected


def test_an_inherited_directory_or_a_launcher_that_leaks_one() -> None:
    assert opened({**DEFAULT, container.LEAKED_HOST_FD: True}, within=MINE) == {"leaked-directory"}
    assert opened({**DEFAULT, assumed.UNTRUSTED_LAUNCHER: True}, within=MINE) == {"leaked-directory"}
    assert opened({**DEFAULT, assumed.HOST_USER: True}, within=MINE) == {"mknod-assist"}


def test_a_privileged_container_is_wide_open() -> None:
    assert opened(PRIVILEGED, within=MINE) == {
        "disk-mount",
        "block-device-raw",
        "cgroup-release-agent",
        "userns-release-agent",
        "cgroup-devices-allow",
        "core-pattern",
        "proc-remount",
        "uevent-helper",
        "modprobe-path",
        "binfmt-misc",
        "kernel-module",
        "open-by-handle-read",
        "open-by-handle-write",
        "raw-io-memory",
        "bpf-tamper",
        "kexec",
        "input-tty",
    }


def test_a_privileged_container_with_the_hosts_namespaces_reaches_its_processes() -> None:
    shared = {**PRIVILEGED, container.SHARED_NAMESPACES: Members.of("pid", "ipc", "net")}
    assert opened(shared) - opened(PRIVILEGED) >= {
        "host-pid-ptrace",
        "host-pid-setns",
        "host-pid-root-ptrace",
        "host-pid-signal",
        "host-ipc",
    }
    assert verdicts(shared, "host-network-admin") == {"host-network-admin": YES}


def test_privileged_in_a_user_namespace_reaches_nothing() -> None:
    mapped = {
        **PRIVILEGED,
        container.USER_NAMESPACE: "private",
        container.HOST_USER_ID: 100000,
        container.HOST_GROUP_IDS: Members.of(100000),
    }
    assert opened(mapped, within=MINE) == set()


# --- one setting away from the default ------------------------------------------------------------------------------


def granted(bare: Situation, *capabilities: str) -> Situation:
    """Add capabilities, and what the default seccomp profile opens for them."""
    gates = {
        "CAP_SYS_ADMIN": (
            "mount",
            "fsopen",
            "fsmount",
            "move_mount",
            "setns",
            "bpf",
            "unshare:CLONE_NEWUSER",
            "clone:CLONE_NEWUSER",
        ),
        "CAP_DAC_READ_SEARCH": ("open_by_handle_at",),
        "CAP_SYS_MODULE": ("init_module", "finit_module"),
        "CAP_SYS_BOOT": ("reboot",),
        "CAP_BPF": ("bpf",),
        "CAP_SYS_RAWIO": ("iopl", "ioperm"),
    }
    calls = [call for name in capabilities for call in gates.get(name, ())]
    return {
        **bare,
        container.CAPABILITIES: DEFAULT_CAPABILITIES.having(capabilities),
        container.SYSCALLS: DEFAULT_SECCOMP.having(calls),
    }


@pytest.mark.parametrize(
    ("capability", "without_lsm", "under_apparmor"),
    [
        (
            "CAP_SYS_ADMIN",
            # the seccomp gate opens unshare too, so that the old kernel's hole comes with it
            {
                "cgroup-release-agent",
                "userns-release-agent",
                "cgroup-devices-allow",
                "proc-remount",
                "bpf-tamper",
                "binfmt-misc",
            },
            # binfmt_misc can be used without attaching it: seen on Linux 6.1 and 6.12 under docker-default
            {"bpf-tamper", "binfmt-misc"},
        ),
        ("CAP_SYS_MODULE", {"kernel-module"}, {"kernel-module"}),
        (
            "CAP_DAC_READ_SEARCH",
            {"open-by-handle-read", "open-by-handle-write"},
            {"open-by-handle-read", "open-by-handle-write"},
        ),
        ("CAP_SYS_BOOT", set(), set()),
        ("CAP_SYS_PTRACE", set(), set()),
        ("CAP_SYS_RAWIO", set(), set()),
        ("CAP_NET_ADMIN", set(), set()),
        ("CAP_BPF", set(), set()),
    ],
)
def test_one_more_capability(capability: str, without_lsm: set[str], under_apparmor: set[str]) -> None:
    assert opened(granted(ON_V1_WITHOUT_LSM, capability), within=MINE) == without_lsm
    assert opened(granted(DEFAULT, capability), within=MINE) == under_apparmor


@pytest.mark.parametrize(
    ("namespace", "without_lsm", "under_apparmor"),
    [
        ("pid", {"host-pid-signal"}, set()),
        ("ipc", {"host-ipc"}, {"host-ipc"}),
        ("net", set(), set()),
        ("uts", set(), set()),
        ("cgroup", set(), set()),
    ],
)
def test_one_shared_namespace(namespace: str, without_lsm: set[str], under_apparmor: set[str]) -> None:
    shared = Members.of("time", namespace)
    assert opened({**ON_V1_WITHOUT_LSM, container.SHARED_NAMESPACES: shared}, within=MINE) == without_lsm
    assert opened({**DEFAULT, container.SHARED_NAMESPACES: shared}, within=MINE) == under_apparmor


@pytest.mark.parametrize("namespace", ["host", "private"])
def test_the_same_user_on_the_host_counts_in_the_same_user_namespace_only(namespace: str) -> None:
    bare = {
        **ON_V1_WITHOUT_LSM,
        container.SHARED_NAMESPACES: Members.of("pid"),
        container.SAME_USER_ON_HOST: True,
        container.USER_NAMESPACE: namespace,
    }
    expected = {"host-pid-signal"} | (
        {"host-pid-root-ptrace", "host-pid-root-same-user"} if namespace == "host" else set()
    )
    assert opened(bare, within=MINE) == expected


def test_a_granted_disk_needs_no_capability() -> None:
    disk = {**DEFAULT, container.DEVICES: Members.of("block"), container.DEVICE_ACCESS: Members.of("block")}
    assert opened(disk, within=MINE) == {"block-device-raw"}
    user = {**disk, container.HOST_USER_ID: 1000, container.CAPABILITIES: Members()}
    assert opened(user, within=MINE) == set()
    assert opened({**user, container.DEVICES_PERMITTED: Members.of("block")}, within=MINE) == {"block-device-raw"}


def test_a_mount_of_the_hosts_shared_memory_counts_as_sharing_it() -> None:
    mounted = {
        **DEFAULT,
        container.HOST_PATHS_WRITABLE: Paths(("/dev/shm",)),
        container.HOST_PATHS: Paths(("/dev/shm",)),
    }
    assert opened(mounted, within=MINE) == {"host-ipc"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/run/user/1000/bus", YES),
        ("/run/user/1000", YES),
        ("/home", NO),
        ("/run/user/1000/pulse", NO),
    ],
)
def test_the_session_bus_of_a_rootless_engines_user(path: str, expected: Truth) -> None:
    bare = {
        **DEFAULT,
        container.USER_NAMESPACE: "private",
        container.HOST_USER_ID: 1000,
        container.HOST_PATHS: Paths((path,)),
        engine.ROOTLESS: True,
    }
    assert verdicts(bare, "rootless-engine-user") == {"rootless-engine-user": expected}


# --- what one technique gives opens the next ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("proc-remount", {"core-pattern", "modprobe-path", "uevent-helper"}),
        ("cgroup-devices-allow", {"block-device-raw", "disk-mount", "input-tty"}),
    ],
)
def test_a_step_opens_the_next(first: str, then: set[str]) -> None:
    before = granted(ON_V1_WITHOUT_LSM, "CAP_SYS_ADMIN")
    assert not then & opened(before)
    after = applied(facts(before), CATALOGUE[first].gives, Where(first))
    assert then <= {name for name, test in TESTS.items() if test(after.table) is YES}


def test_a_technique_gives_goals_or_openings_but_not_both() -> None:
    for one in MINE.values():
        assert len({change.fact.subject for change in one.gives}) <= 1, one.id
