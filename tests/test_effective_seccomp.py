"""From what is asked of seccomp, or seen of it, to which calls get through."""

from __future__ import annotations

import ctypes
import platform
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import Collection, Editable, Members
from holdfast.model.words import container, declared, engine, host, observed
from holdfast.reason.effective.seccomp import Syscalls, declared_syscalls, observed_syscalls
from holdfast.reason.effective.seccomp_releases import candidates
from holdfast.reason.effective.syscall_table import numbers
from test_bpf import in_child, install

W = Where("compose.yaml", "/services/web", 3)
X86 = Facts({host.ARCHITECTURE: Seen("x86_64", W), host.KERNEL_VERSION: Seen((6, 1, 90), W)})
NO_32_BIT = X86.saying(host.KERNEL_CONFIG, Members.of("CONFIG_SECCOMP"), W)
WITH_32_BIT = X86.saying(host.KERNEL_CONFIG, Members.of("CONFIG_IA32_EMULATION"), W)
NONE = Members()
ALLOW, ERRNO = 0x7FFF0000, 0x00050001
EQUAL, LOAD, RETURN = 0x15, 0x20, 0x06


def asked(name: str = "docker", seccomp: str = "default", *, privileged: bool | None = False, **more: object) -> Facts:
    facts = Facts({declared.ENGINE: Seen(name, W), declared.SECCOMP: Seen(seccomp, W)})
    if privileged is not None:
        facts = facts.saying(declared.PRIVILEGED, privileged, W)
    return facts.saying(declared.SECCOMP_PROFILE, more["profile"], W) if more else facts


def running(name: str, *version: int, on: Facts = X86, default: str = "default") -> Facts:
    about = on.saying(engine.NAME, name, W).saying(engine.SECCOMP_DEFAULT, default, W)
    return about.saying(engine.VERSION, version, W) if version else about


def calls(facts: Facts, about: Facts, capabilities: Members = NONE) -> Collection:
    entry = declared_syscalls(facts, about, capabilities)[container.SYSCALLS]
    assert isinstance(entry, Seen), entry
    value = entry.value
    assert isinstance(value, Collection)
    return value


def kind(facts: Facts, about: Facts, capabilities: Members = NONE) -> object:
    entry = declared_syscalls(facts, about, capabilities)[container.SECCOMP]
    return entry.value if isinstance(entry, Seen) else entry


ADMIN = Members.of("CAP_SYS_ADMIN")


# --- gates ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("capability", "member"),
    [
        ("CAP_SYS_ADMIN", "mount"),
        ("CAP_SYS_ADMIN", "setns"),
        ("CAP_SYS_ADMIN", "unshare:CLONE_NEWUSER"),
        ("CAP_SYS_ADMIN", "clone:CLONE_NEWNS"),
        ("CAP_SYS_ADMIN", "clone3:CLONE_NEWUSER"),
        ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
        ("CAP_SYS_MODULE", "finit_module"),
        ("CAP_SYS_BOOT", "reboot"),
        ("CAP_SYS_RAWIO", "iopl"),
        ("CAP_SYS_PTRACE", "pidfd_getfd"),
        ("CAP_BPF", "bpf"),
        ("CAP_PERFMON", "perf_event_open"),
        ("CAP_SYSLOG", "syslog"),
        ("CAP_SYS_CHROOT", "chroot"),
    ],
)
def test_a_capability_opens_its_calls_and_an_unknown_one_leaves_them_unknown(capability: str, member: str) -> None:
    about = running("docker", 29, 4, 3)
    assert calls(asked(), about).has(member) is NO
    assert calls(asked(), about, Members.of(capability)).has(member) is YES
    assert calls(asked(), about, Members.of(maybe=[capability])).has(member) is UNKNOWN


@pytest.mark.parametrize("member", ["kexec_load", "pivot_root", "swapon", "keyctl", "add_key", "userfaultfd"])
def test_some_calls_no_capability_opens(member: str) -> None:
    assert calls(asked(), running("docker", 29, 4, 3), Members(rest=YES)).has(member) is NO


def test_what_anybody_may_call() -> None:
    anybody = calls(asked(), running("docker", 29, 4, 3))
    for member in ("splice", "vmsplice", "memfd_create", "mknod", "mknod:S_IFBLK", "ioctl:TIOCSTI", "ptrace", "clone"):
        assert anybody.has(member) is YES
    for member in ("socket:AF_PACKET", "socket:AF_RXRPC", "socket:17", "socket:0x21"):
        assert anybody.has(member) is YES


def test_ptrace_waits_for_linux_4_8() -> None:
    old = running("docker", 24, 0, 7).saying(host.KERNEL_VERSION, (3, 10, 0), W)
    assert calls(asked(), old).has("ptrace") is NO
    assert calls(asked(), old, Members.of("CAP_SYS_PTRACE")).has("ptrace") is YES
    unseen = running("docker", 24, 0, 7).without(host.KERNEL_VERSION)
    assert calls(asked(), unseen).has("ptrace") is UNKNOWN


# --- releases ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("version", "member", "expected"),
    [
        ((20, 10, 24), "io_uring_setup", YES),
        ((24, 0, 7), "io_uring_setup", YES),
        ((25, 0, 0), "io_uring_setup", NO),
        ((29, 4, 3), "io_uring_setup", NO),
        ((20, 10, 24), "name_to_handle_at", NO),
        ((24, 0, 3), "name_to_handle_at", UNKNOWN),
        ((25, 0, 3), "name_to_handle_at", YES),
        ((20, 10, 9), "clone3", NO),
        ((20, 10, 24), "socket:AF_VSOCK", YES),
        ((20, 10, 24), "socket:AF_ALG", YES),
        ((29, 4, 1), "socket:AF_ALG", YES),
        ((28, 3), "mseal", UNKNOWN),
        ((29, 0), "mseal", YES),
    ],
)
def test_releases_of_docker_differ(version: tuple[int, ...], member: str, expected: Truth) -> None:
    assert calls(asked(), running("docker", *version, on=NO_32_BIT)).has(member) is expected


def test_an_unseen_version_is_every_version() -> None:
    anyone = calls(asked(), X86)
    assert anyone.has("mount") is NO
    assert anyone.has("splice") is YES
    assert anyone.has("io_uring_setup") is UNKNOWN


def test_a_release_older_than_the_tables_is_unknown() -> None:
    entry = declared_syscalls(asked(), running("docker", 1, 12), NONE)[container.SYSCALLS]
    assert isinstance(entry, Absent)
    assert "1.12" in entry.reason
    assert entry.where == W


@pytest.mark.parametrize(
    ("name", "version", "member", "expected"),
    [
        ("podman", (4, 3, 1), "mount", YES),
        ("podman", (4, 3, 1), "unshare:CLONE_NEWUSER", YES),
        ("podman", (4, 3, 1), "keyctl", YES),
        ("podman", (4, 3, 1), "vmsplice", NO),
        ("podman", (4, 3, 1), "bpf", NO),
        ("podman", (4, 3, 1), "socket:AF_ALG", YES),
        ("cri-o", (1, 23, 0), "unshare:CLONE_NEWUSER", YES),
        ("cri-o", (1, 25, 0), "unshare:CLONE_NEWUSER", NO),
        ("cri-o", (1, 25, 0), "clone:CLONE_NEWUSER", YES),
        ("cri-o", (1, 33, 0), "clone:CLONE_NEWUSER", NO),
        ("cri-o", (1, 33, 0), "mount", YES),
        ("containerd", (1, 6, 20), "mount", NO),
        ("containerd", (1, 6, 20), "io_uring_setup", YES),
        ("containerd", (1, 6, 3), "ptrace", NO),
        ("containerd", (2, 0, 0), "io_uring_setup", NO),
    ],
)
def test_other_engines_have_other_defaults(name: str, version: tuple[int, ...], member: str, expected: Truth) -> None:
    facts = asked(name, "runtime/default")
    assert calls(facts, running(name, *version)).has(member) is expected
    assert kind(facts, running(name, *version)) == f"{name}-default"


def test_every_release_has_a_profile_that_answers() -> None:
    for name in ("docker", "containerd", "podman", "cri-o", "cri"):
        assert candidates(name, None)
        every = {one for entry in ("x86_64", "i386", "x32", "aarch64") for one in numbers(entry)}
        for profile in candidates(name, None):
            assert set(profile.rules) <= every | {
                "arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "set_tls", "sync_file_range2",
                "fstatat64", "recv", "send", "riscv_hwprobe", "syscall", "timerfd", "timer_gettime64", "query_module",
            }  # fmt: skip


# --- ways into the kernel ---------------------------------------------------------------------------------------------
def test_a_denied_family_is_reached_through_the_half_of_the_register_that_the_kernel_ignores() -> None:
    ranges = running("docker", 29, 4, 3, on=NO_32_BIT)
    assert calls(asked(), ranges).has("socket:AF_ALG") is YES
    listed = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [_socket("EQ", 1), _socket("EQ", 2), _socket("LT", 12)]}
    assert calls(asked(seccomp="profile", profile=listed), NO_32_BIT).has("socket:AF_ALG") is NO


def _socket(op: str, value: int, action: str = "SCMP_ACT_ALLOW") -> dict:
    return {"names": ["socket"], "action": action, "args": [{"index": 0, "value": value, "op": f"SCMP_CMP_{op}"}]}


def test_a_denied_family_is_reached_through_socketcall_where_the_kernel_has_a_32_bit_entry() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [_socket("LT", 12)],
    }
    facts = asked(seccomp="profile", profile=profile)
    assert calls(facts, NO_32_BIT).has("socket:AF_ALG") is NO
    assert calls(facts, X86).has("socket:AF_ALG") is UNKNOWN
    assert calls(facts, WITH_32_BIT).has("socket:AF_ALG") is YES
    only_64 = {**profile, "architectures": ["SCMP_ARCH_X86_64"]}
    assert calls(asked(seccomp="profile", profile=only_64), WITH_32_BIT).has("socket:AF_ALG") is NO


def test_an_unseen_machine_may_be_any() -> None:
    nowhere = calls(asked(), running("docker", 24, 0, 7, on=Facts()), Members.of("CAP_SYS_RAWIO"))
    assert nowhere.has("iopl") is UNKNOWN
    assert nowhere.has("mount") is NO
    assert nowhere.has("mknod") is YES
    arm = running("docker", 24, 0, 7, on=X86.saying(host.ARCHITECTURE, "aarch64", W))
    assert calls(asked(), arm, Members.of("CAP_SYS_RAWIO")).has("iopl") is NO
    strange = X86.saying(host.ARCHITECTURE, "s390x", W)
    assert calls(asked(), running("docker", 24, 0, 7, on=strange)).has("mount") is UNKNOWN


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers below are those of x86-64")
def test_the_kernel_really_ignores_the_upper_half() -> None:
    """Deny AF_INET6 as libseccomp compiles "arg0 == 10": both halves of the register are compared."""
    code = [
        (LOAD, 0, 0, 0), (EQUAL, 0, 4, numbers("x86_64")["socket"]), (LOAD, 0, 0, 20), (EQUAL, 0, 2, 0),
        (LOAD, 0, 0, 16), (EQUAL, 1, 0, 10), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO),
    ]  # fmt: skip
    raw = b"".join(struct.pack("<HBBI", *one) for one in code)
    facts = Facts({observed.SECCOMP_MODE: Seen(2, W), observed.SECCOMP_FILTERS: Seen((raw,), W)})
    live = observed_syscalls(facts, NO_32_BIT)[container.SYSCALLS]
    assert isinstance(live, Seen)
    assert live.value.has("socket:AF_INET6") is YES

    def work(report) -> None:
        assert install(raw) == 0
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall.restype = ctypes.c_long
        number = ctypes.c_long(41)
        report(int(libc.syscall(number, ctypes.c_uint64(10), 1, 0) >= 0))
        report(int(libc.syscall(number, ctypes.c_uint64(10 | 1 << 32), 1, 0) >= 0))

    assert in_child(work)[1] == [0, 1]


# --- who switches the filter off --------------------------------------------------------------------------------------
def test_unconfined_lets_everything_through() -> None:
    for facts, about in (
        (asked(seccomp="unconfined"), Facts()),
        (asked(privileged=True), running("docker", 24, 0, 7)),
        (asked("cri", "runtime/default", privileged=True), Facts()),
        (asked(), running("docker", 24, 0, 7, default="unconfined")),
        (asked("containerd"), running("containerd", default="unconfined")),
    ):
        assert kind(facts, about) == "unconfined"
        assert calls(facts, about).has("kexec_load") is YES
        assert calls(facts, about).has("no_such_call") is UNKNOWN


def test_builtin_does_not_heed_the_daemon() -> None:
    assert calls(asked(seccomp="builtin"), running("docker", 24, 0, 7, default="unconfined")).has("mount") is NO


def test_a_pod_that_asks_for_nothing_may_be_unconfined() -> None:
    pod = asked("cri")
    entry = declared_syscalls(pod, Facts(), NONE)
    assert isinstance(entry[container.SECCOMP], Absent)
    assert "SeccompDefault" in entry[container.SECCOMP].reason
    syscalls = calls(pod, Facts())
    assert syscalls.has("splice") is YES
    assert syscalls.has("mount") is UNKNOWN
    assert calls(asked("cri", "runtime/default"), Facts()).has("kexec_load") is NO
    assert calls(pod, running("containerd", default="default")).has("mount") is NO


def test_a_pod_without_a_profile_is_answered_from_one_table() -> None:
    assert calls(asked("cri"), Facts()) is calls(asked("cri"), Facts())


def test_a_named_profile_under_privileged_depends_on_the_engine() -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]}
    facts = asked(seccomp="profile", privileged=True, profile=profile)
    assert calls(facts, running("docker", 20, 10, 24)).has("mount") is YES
    assert calls(facts, running("docker", 24, 0, 7)).has("mount") is NO
    assert calls(facts, Facts()).has("mount") is UNKNOWN
    podman = facts.saying(declared.ENGINE, "podman", W)
    assert calls(podman, Facts()).has("mount") is NO


def test_an_unseen_privileged_flag_may_be_set() -> None:
    syscalls = calls(asked(privileged=None), running("docker", 24, 0, 7))
    assert syscalls.has("mount") is UNKNOWN
    assert syscalls.has("splice") is YES


def test_a_daemon_whose_default_could_not_be_read_is_unknown() -> None:
    about = Facts({**running("docker", 24, 0, 7).table, engine.SECCOMP_DEFAULT: Absent("a profile of its own", W)})
    entry = declared_syscalls(asked(), about, NONE)[container.SYSCALLS]
    assert entry == Absent("a profile of its own", W)


# --- profiles of one's own --------------------------------------------------------------------------------------------
def test_a_profile_that_was_not_read_leaves_the_calls_unknown() -> None:
    entry = declared_syscalls(asked("cri", "localhost:audit.json"), X86, NONE)
    assert isinstance(entry[container.SYSCALLS], Absent)
    assert "localhost:audit.json" in entry[container.SYSCALLS].reason
    reason = Absent("audit.json does not exist", W)
    told = Facts({**asked("cri", "localhost:audit.json").table, declared.SECCOMP_PROFILE: reason})
    assert declared_syscalls(told, X86, NONE)[container.SYSCALLS] == reason


def test_a_profile_that_a_runtime_refuses_leaves_the_calls_unknown() -> None:
    entry = declared_syscalls(asked(seccomp="profile", profile={"defaultAction": "NO"}), X86, NONE)
    assert isinstance(entry[container.SYSCALLS], Absent)
    assert "defaultAction" in entry[container.SYSCALLS].reason


def test_two_comparisons_of_one_argument_are_an_or() -> None:
    """Not 38 and not 40 was meant; each comparison alone lets the other family through."""
    args = [{"index": 0, "value": number, "op": "SCMP_CMP_NE"} for number in (38, 40)]
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": args}],
    }
    assert calls(asked(seccomp="profile", profile=profile), NO_32_BIT).has("socket:AF_ALG") is YES


def test_a_notified_call_is_unknown() -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}]}
    assert calls(asked(seccomp="profile", profile=profile), NO_32_BIT).has("mount") is UNKNOWN


# --- live -------------------------------------------------------------------------------------------------------------
def test_live_states() -> None:
    assert observed_syscalls(Facts({observed.SECCOMP_MODE: Seen(0, W)}), X86)[container.SECCOMP].value == "unconfined"
    strict = observed_syscalls(Facts({observed.SECCOMP_MODE: Seen(1, W)}), X86)[container.SYSCALLS]
    assert strict.value.has("mount") is NO
    assert strict.value.has("write") is YES
    unread = observed_syscalls(Facts({observed.SECCOMP_MODE: Seen(2, W)}), X86)
    assert "CAP_SYS_ADMIN" in unread[container.SYSCALLS].reason
    assert unread[container.SECCOMP].value == "live"
    assert isinstance(observed_syscalls(Facts(), X86)[container.SYSCALLS], Absent)


@pytest.mark.parametrize("programs", [(b"x",), (b"\0" * 8,), ("text",)])
def test_a_malformed_live_filter_is_unknown(programs: tuple) -> None:
    facts = Facts({observed.SECCOMP_MODE: Seen(2, W), observed.SECCOMP_FILTERS: Seen(programs, W)})
    assert isinstance(observed_syscalls(facts, X86)[container.SYSCALLS], Absent)


# --- the collection ---------------------------------------------------------------------------------------------------
def test_edits() -> None:
    base = calls(asked(), running("docker", 24, 0, 7))
    assert isinstance(base, Syscalls)
    assert isinstance(base, Editable)
    more = base.having(["mount", "socket:AF_ALG"])
    assert more.has("mount") is YES
    assert more.has("mount:MS_BIND") is YES
    assert base.has("mount") is NO
    less = base.lacking(["clone", "socket:AF_ALG"])
    assert [less.has(one) for one in ("clone", "clone:CLONE_VM", "socket:AF_ALG", "socket:AF_INET")] == [
        NO,
        NO,
        NO,
        YES,
    ]
    assert less.having(["clone"]).has("clone:CLONE_VM") is YES
    assert str(base) == "docker-default filter"
    assert str(less) == "docker-default filter; without clone, socket:AF_ALG"


@given(
    st.text(max_size=20) | st.sampled_from(["socket:", "socket:AF_NONE", "mount:1:2", "nothing", "read:AF_ALG", ":"])
)
def test_what_is_not_understood_is_unknown(member: str) -> None:
    if member.partition(":")[0] in numbers("x86_64") and member not in {"socket:AF_NONE", "mount:1:2", "read:AF_ALG"}:
        return
    assert calls(asked(), running("docker", 24, 0, 7)).has(member) in {UNKNOWN, NO, YES}
    if not any(member.partition(":")[0] in numbers(entry) for entry in ("x86_64", "i386", "x32", "aarch64")):
        assert calls(asked(), running("docker", 24, 0, 7)).has(member) is UNKNOWN


NAMES = st.sampled_from(["CAP_SYS_ADMIN", "CAP_BPF", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"])
ASKED = st.sampled_from(
    ["mount", "bpf", "clone:CLONE_NEWUSER", "ptrace", "open_by_handle_at", "socket:AF_ALG", "clone3"]
)


@given(st.frozensets(NAMES), st.frozensets(NAMES), ASKED, st.sampled_from([None, (20, 10, 24), (24, 0, 3), (29, 4, 3)]))
def test_seeing_more_never_turns_a_sure_answer(
    held: frozenset[str], unsure: frozenset[str], member: str, version: tuple[int, ...] | None
) -> None:
    """What is answered while something is unseen stays the answer whatever it turns out to be."""
    vague = calls(asked(), Facts(), Members.of(*held, maybe=unsure)).has(member)
    if vague is UNKNOWN:
        return
    for turned_out in (held, held | unsure):
        for on in (NO_32_BIT, WITH_32_BIT):
            about = running("docker", *(version or (25, 0, 3)), on=on)
            assert calls(asked(), about, Members.of(*turned_out)).has(member) is vague
