"""seccomp profiles that are written here: what they let through, what they withhold, and that libseccomp agrees."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.collect import libseccomp
from holdfast.model.facts import Facts, Seen, Where
from holdfast.model.system_call import SystemCall
from holdfast.model.truth import NO, YES
from holdfast.model.values import Members
from holdfast.model.words import container, declared, host
from holdfast.policies import seccomp
from holdfast.policies._seccomp_values import LOW, equal, others
from holdfast.reason.effective import bpf
from holdfast.reason.effective.bpf import Action
from holdfast.reason.effective.seccomp import declared_syscalls
from holdfast.reason.effective.seccomp_document import read
from holdfast.reason.effective.seccomp_judges import Surroundings
from holdfast.reason.effective.seccomp_paths import Filters
from holdfast.reason.effective.seccomp_releases import candidates
from holdfast.reason.effective.syscall_members import understood
from holdfast.reason.effective.syscall_table import AUDIT_ARCH, ENTRIES, numbers
from holdfast.reason.seccomp_lint import lint
from holdfast.reason.seccomp_replay import Compiled, Rules, barred, passes, replay, untested, wider

TABLES = {entry: numbers(entry) for entry in ENTRIES["x86_64"]}
HERE = Where("test")
RUNC = seccomp.expected("runc", "1.1.5")
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97


def profile(*calls: SystemCall, accepted: tuple[str, ...] = ()) -> dict:
    return json.loads(seccomp.write(seccomp.plan(calls, RUNC, TABLES, accepted)))


def answer(program: bytes, name: str, *args: int, entry: str = "x86_64") -> tuple[Action, int]:
    """Run the program that libseccomp made on one call: (action, errno)."""
    value = bpf.run(bpf.read(program), bpf.words(numbers(entry)[name], AUDIT_ARCH[entry], args))
    return bpf.action(value), value & 0xFFFF


# --- values -----------------------------------------------------------------------------------------------------------
@given(st.sets(st.integers(0, LOW), max_size=6), st.integers(0, (1 << 64) - 1))
def test_the_other_values_are_exactly_the_others(barred: set[int], value: int) -> None:
    for tried in (value, *(one | value & ~LOW for one in barred), *((one ^ 1) for one in barred)):
        hits = [one for one in others(0, barred) if tried & one.mask == one.value]
        assert len(hits) == (tried & LOW not in barred)
        assert any(tried & one.mask == one.value for one in equal(0, barred)) is (tried & LOW in barred)


def test_few_conditions_are_needed() -> None:
    assert len(others(1, [0x5412])) == 32
    assert len(others(1, [0x5412, 0x541C])) < 40


# --- what passes ------------------------------------------------------------------------------------------------------
names = st.sampled_from(sorted(TABLES["x86_64"]))
registers = st.none() | st.integers(0, (1 << 64) - 1) | st.sampled_from([0, 2, 10, 16, 17, 38, 40, 0x5412, 0x10000011])
# Numbers that the kernel's table gives to 64-bit programs only; libseccomp makes no rule of them for x32.
NOT_IN_X32 = frozenset({"epoll_ctl_old", "epoll_wait_old", "map_shadow_stack", "vserver"})


def called(name: str, entry: str, args: list[int | None]) -> SystemCall:
    there = name in numbers(entry) and not (entry == "x32" and name in NOT_IN_X32)
    return SystemCall(name if there else "read", entry, tuple(args))


recordings = st.lists(
    st.builds(
        called,
        names | st.sampled_from(["socket", "ioctl", "clone", "personality", "mount", "clone3"]),
        st.sampled_from(["x86_64", "x86_64", "i386", "x32"]),
        st.lists(registers, max_size=3),
    ),
    max_size=25,
)


@given(recordings)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_was_recorded_passes_and_what_serves_to_break_out_never_does(calls: list[SystemCall]) -> None:
    """Nothing is lost in between: a recorded call passes, or it is named as withheld (or is clone3)."""
    planned = seccomp.plan(calls, RUNC, TABLES)
    document = json.loads(seccomp.write(planned))
    compiled = Compiled(Filters((libseccomp.compiled(document),)))
    rules = Rules(read(document, "x86_64"))
    held = {one.member.partition(":")[0] for one in planned.withheld} | {"clone3"}
    skipped = libseccomp.unknown(one.name for one in calls)
    for judge, lost in ((compiled, skipped), (rules, frozenset())):
        outcome = replay(judge, calls)
        assert not outcome.openings
        assert {one.name for one in outcome.refused} <= held | lost
    assert lint(document) == ()


@pytest.mark.parametrize("entry", ENTRIES["x86_64"])
def test_every_call_of_a_way_in_passes_or_is_withheld_or_is_new_to_the_library(entry: str) -> None:
    calls = [SystemCall(name, entry) for name in numbers(entry) if not (entry == "x32" and name in NOT_IN_X32)]
    planned = seccomp.plan(calls, RUNC, TABLES)
    program = libseccomp.compiled(json.loads(seccomp.write(planned)))
    assert len(program) // 8 <= bpf.MAX_INSTRUCTIONS
    outcome = replay(Compiled(Filters((program,))), calls)
    held = {one.member for one in planned.withheld} | {"clone3"}
    assert {one.name for one in outcome.refused} - held == libseccomp.unknown(one.name for one in calls) - held
    assert not outcome.openings


@given(recordings)
@settings(max_examples=30, deadline=None)
def test_accepting_all_that_is_withheld_loses_nothing(calls: list[SystemCall]) -> None:
    first = seccomp.plan(calls, RUNC, TABLES)
    accepted = tuple(one.member for one in first.withheld)
    again = seccomp.plan(calls, RUNC, TABLES, accepted)
    assert all(one.accepted for one in again.withheld)
    rules = Rules(read(json.loads(seccomp.write(again)), "x86_64"))
    # A flag that was accepted passes where no other namespace is asked for beside it.
    assert {one.name for one in calls if not passes(rules, one)} <= {"clone3", "personality"}


@given(recordings, st.randoms())
@settings(max_examples=20, deadline=None)
def test_the_order_of_a_recording_does_not_matter(calls: list[SystemCall], random) -> None:
    shuffled = list(calls)
    random.shuffle(shuffled)
    assert seccomp.write(seccomp.plan(calls, RUNC, TABLES)) == seccomp.write(seccomp.plan(shuffled, RUNC, TABLES))


def test_what_programs_interchange_passes_together() -> None:
    allowed = seccomp.plan([SystemCall("open"), SystemCall("stat"), SystemCall("epoll_wait")], RUNC, TABLES).allowed
    assert {"openat", "openat2", "newfstatat", "statx", "epoll_pwait", "exit_group", "rt_sigreturn"} <= allowed
    assert not {"futex_time64", "stat64"} & allowed, "this machine's own way in has no such call"


def test_a_program_that_asked_for_clone3_gets_clone() -> None:
    """A C library that finds no clone3 falls back, so its recording of clone3 alone is enough."""
    program = libseccomp.compiled(profile(SystemCall("clone3")))
    assert answer(program, "clone3") == (Action.ERRNO, ENOSYS)
    assert answer(program, "clone", 0x003D0F00) == (Action.ALLOW, 0)


def test_another_machine_has_its_own_numbers_and_names() -> None:
    arm = {"aarch64": numbers("aarch64")}
    needs = seccomp.expected("runc", "1.1.5", machine="aarch64")
    calls = [SystemCall("openat", "aarch64"), SystemCall("socket", "aarch64", (2,)), SystemCall("clone", "aarch64")]
    document = json.loads(seccomp.write(seccomp.plan(calls, needs, arm)))
    assert document["architectures"] == ["SCMP_ARCH_AARCH64"]
    assert replay(Rules(read(document, "aarch64"), "aarch64"), calls, "aarch64").holds
    assert lint(document, "aarch64") == ()


# --- what programs get to hear ----------------------------------------------------------------------------------------
def test_each_refusal_has_the_errno_that_programs_can_live_with() -> None:
    calls = [SystemCall("socket", args=(2,)), SystemCall("ioctl"), SystemCall("clone"), SystemCall("personality")]
    program = libseccomp.compiled(profile(*calls))
    assert answer(program, "clone3") == (Action.ERRNO, ENOSYS)
    assert answer(program, "mount") == (Action.ERRNO, EPERM)
    assert answer(program, "memfd_secret") == (Action.ERRNO, ENOSYS)
    assert answer(program, "socket", 2) == (Action.ALLOW, 0)
    assert answer(program, "socket", 10) == (Action.ERRNO, EAFNOSUPPORT)
    assert answer(program, "socket", 38) == (Action.ERRNO, EPERM)
    assert answer(program, "ioctl", 0, 0x5401) == (Action.ALLOW, 0)
    assert answer(program, "ioctl", 0, 0x5412) == (Action.ERRNO, EPERM)
    assert answer(program, "clone", 0x11) == (Action.ALLOW, 0)
    assert answer(program, "clone", 0x10000011) == (Action.ERRNO, EPERM)
    assert answer(program, "personality", 0xFFFFFFFF) == (Action.ALLOW, 0)
    assert answer(program, "personality", 0x0040000) == (Action.ERRNO, ENOSYS)


@pytest.mark.parametrize("above", [1, 1 << 31, LOW])
def test_a_set_bit_in_the_upper_half_changes_nothing(above: int) -> None:
    calls = [SystemCall("socket", args=(2,)), SystemCall("ioctl"), SystemCall("clone")]
    program = libseccomp.compiled(profile(*calls))
    assert answer(program, "socket", above << 32 | 38) == (Action.ERRNO, EPERM)
    assert answer(program, "ioctl", 0, above << 32 | 0x5412) == (Action.ERRNO, EPERM)
    assert answer(program, "clone", above << 32 | 0x10000011) == (Action.ERRNO, EPERM)
    # A C library hands on a request with bit 31 as a negative number.
    assert answer(program, "ioctl", 0, above << 32 | 0x80045430) == (Action.ALLOW, 0)


def test_other_ways_into_the_kernel_lead_nowhere() -> None:
    native = libseccomp.compiled(profile(SystemCall("socket", args=(2,))))
    for entry in ("i386", "x32"):
        for call in ("mount", "read", "socket"):
            assert answer(native, call, 2, entry=entry)[0] < Action.ERRNO, "an architecture not stated is killed"
    both = libseccomp.compiled(profile(SystemCall("socket", args=(2,)), SystemCall("socket", "i386", (2,))))
    assert answer(both, "socket", 2, entry="i386") == (Action.ALLOW, 0)
    assert answer(both, "socket", 38, entry="i386") == (Action.ERRNO, ENOSYS)
    assert answer(both, "socketcall", 1, entry="i386") == (Action.ERRNO, EPERM)


# --- findings ---------------------------------------------------------------------------------------------------------
def test_what_serves_to_break_out_is_withheld_and_named() -> None:
    calls = [
        SystemCall("mount"), SystemCall("socket", args=(38,)), SystemCall("clone", args=(0x10000011,)),
        SystemCall("ioctl", args=(0, 0x5412)), SystemCall("personality", args=(0x0040000,)), SystemCall("read"),
    ]  # fmt: skip
    planned = seccomp.plan(calls, RUNC, TABLES)
    assert [one.member for one in planned.withheld] == [
        "clone:CLONE_NEWUSER", "ioctl:TIOCSTI", "mount", "personality:0x40000", "socket:AF_ALG",
    ]  # fmt: skip
    assert not any(one.accepted for one in planned.withheld)
    assert "mount" not in planned.allowed


def test_an_accepted_call_passes_and_opens_nothing_beside_it() -> None:
    calls = (SystemCall("unshare"), SystemCall("clone", args=(0x10000011,)), SystemCall("socket", args=(17,)))
    accepted = ("unshare", "clone:CLONE_NEWUSER", "socket:AF_PACKET")
    document = profile(*calls, accepted=accepted)
    rules = Rules(read(document, "x86_64"))
    assert replay(rules, calls, accepted=accepted).holds
    assert {one.member for one in replay(rules, calls).openings} == set(accepted)
    program = libseccomp.compiled(document)
    assert answer(program, "clone", 0x20000011) == (Action.ERRNO, EPERM)
    assert answer(program, "clone", 0x30000011) == (Action.ERRNO, EPERM)
    assert answer(program, "socket", 38) == (Action.ERRNO, EPERM)


def test_accepting_what_was_not_recorded_opens_nothing() -> None:
    assert profile(SystemCall("read"), accepted=("mount", "socket:AF_ALG")) == profile(SystemCall("read"))


# --- the runtime's own ------------------------------------------------------------------------------------------------
def test_no_new_privileges_makes_the_profile_smaller() -> None:
    for runtime, version in {(one.runtime, one.version) for one in seccomp.MEASURED}:
        quiet = seccomp.expected(runtime, version, no_new_privileges=True)
        loud = seccomp.expected(runtime, version, no_new_privileges=False)
        both = seccomp.expected(runtime, version)
        assert quiet.measured
        assert quiet.calls < loud.calls <= both.calls
        assert not {"setuid", "setresuid", "prctl", "capset"} & quiet.calls


def test_an_unmeasured_runtime_is_said_to_be_one() -> None:
    guess = seccomp.expected("runc", "1.3.0")
    assert not guess.measured
    assert guess.calls > RUNC.calls
    assert {"openat2", "statx", "close_range"} <= guess.calls
    planned = seccomp.plan([SystemCall("read")], guess, TABLES)
    assert any("runc 1.3.0 on x86_64 itself was not" in note for note in planned.notes)
    assert not seccomp.expected("runc", "1.1.5", machine="aarch64").measured
    assert seccomp.expected().calls >= guess.calls - {"close_range"}


def test_what_is_strictly_needed_was_seen() -> None:
    for one in seccomp.MEASURED:
        assert one.strict <= one.calls
        assert one.trials > 0
        assert "execve" in one.strict


# --- mutation ---------------------------------------------------------------------------------------------------------
def test_removing_a_name_that_is_replayed_is_noticed_and_others_are_named() -> None:
    calls = [SystemCall("read"), SystemCall("socket", args=(2,)), SystemCall("ioctl", args=(0, 0x5401))]
    found = untested(profile(*calls), calls)
    assert not {"read", "socket", "ioctl"} & set(found)
    assert {"openat2", "capset", "exit_group"} <= set(found)
    planned = seccomp.plan(calls, RUNC, TABLES)
    assert set(found) == planned.allowed - {"read", "socket", "ioctl"}


def test_a_profile_that_lets_something_through_is_caught() -> None:
    document = profile(SystemCall("read"))
    for entry in document["syscalls"]:
        entry["names"] = [name for name in entry["names"] if name != "bpf"]
    document["syscalls"].append({"names": ["bpf"], "action": "SCMP_ACT_ALLOW"})
    for judge in (Rules(read(document, "x86_64")), Compiled(Filters((libseccomp.compiled(document),)))):
        outcome = replay(judge, [SystemCall("read"), SystemCall("bpf"), SystemCall("getsid")])
        assert [one.member for one in outcome.openings] == ["bpf"]
        assert [one.name for one in outcome.refused] == ["getsid"]


# --- what the rest of the program concludes ---------------------------------------------------------------------------
def test_what_it_refuses_no_technique_can_use() -> None:
    document = profile(SystemCall("read"), SystemCall("socket", args=(2,)), SystemCall("ioctl"), SystemCall("clone"))
    asked = {declared.SECCOMP: "custom", declared.SECCOMP_PROFILE: document, declared.PRIVILEGED: False}
    machine = {host.ARCHITECTURE: "x86_64"}
    facts, around = (Facts({fact: Seen(value, HERE) for fact, value in table.items()}) for table in (asked, machine))
    calls = declared_syscalls(facts, around, Members())[container.SYSCALLS]
    assert isinstance(calls, Seen)
    for member, _ in barred():
        if understood(member) and not member.startswith("personality"):
            assert calls.value.has(member) is NO, member
    assert calls.value.has("read") is YES


def test_it_is_no_wider_than_the_default_where_nobody_accepted_more() -> None:
    around = Surroundings(Members(), (6, 1), "x86_64", Members.of("CONFIG_IA32_EMULATION", "CONFIG_X86_X32_ABI"))
    docker = candidates("docker", (20, 10, 24))
    calls = [SystemCall(name) for name in ("read", "openat", "clone", "ioctl", "mount", "set_tid_address")]
    assert wider(profile(*calls), docker, around) == ()
    assert wider(profile(*calls, accepted=("mount",)), docker, around) == ("mount",)
