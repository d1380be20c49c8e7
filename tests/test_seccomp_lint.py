"""Faults in seccomp profiles, one after the other, each alone in a profile that is well otherwise."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.collect import libseccomp
from holdfast.model.errors import NotUnderstood
from holdfast.model.system_call import SystemCall
from holdfast.policies import seccomp
from holdfast.reason.effective.syscall_table import numbers
from holdfast.reason.seccomp_lint import lint

ALLOW = "SCMP_ACT_ALLOW"
NATIVE = {"x86_64": numbers("x86_64")}
BOTH = {**NATIVE, "i386": numbers("i386")}
CALLS = [SystemCall("read"), SystemCall("socket", args=(2,)), SystemCall("ioctl"), SystemCall("clone")]


def good(tables: dict = NATIVE, calls: list[SystemCall] = CALLS) -> dict:
    return json.loads(seccomp.write(seccomp.plan(calls, seccomp.expected("crun", "1.8.1"), tables)))


def added(*entries: dict) -> Callable[[dict], None]:
    return lambda document: document["syscalls"].extend(entries)


def put(**values: object) -> Callable[[dict], None]:
    return lambda document: document.update(values)


def without(key: str) -> Callable[[dict], None]:
    return lambda document: document.pop(key)


def unnamed(*names: str) -> Callable[[dict], None]:
    def take_out(document: dict) -> None:
        for entry in document["syscalls"]:
            entry["names"] = [name for name in entry["names"] if name not in names]
        document["syscalls"] = [entry for entry in document["syscalls"] if entry["names"]]

    return take_out


def both(*edits: Callable[[dict], None]) -> Callable[[dict], None]:
    def edit(document: dict) -> None:
        for one in edits:
            one(document)

    return edit


def compared(call: str, index: int, *ops: tuple[str, int, int]) -> dict:
    args = [{"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": two} for op, value, two in ops]
    return {"names": [call], "action": ALLOW, "args": args}


FAULTS = {
    "allows-by-default": put(defaultAction=ALLOW, syscalls=[{"names": ["read"], "action": "SCMP_ACT_ERRNO"}]),
    "nothing-allowed": put(syscalls=[{"names": ["bpf"], "action": "SCMP_ACT_ERRNO"}]),
    "needed": unnamed("execve"),
    "default-errno": without("defaultErrnoRet"),
    "architectures": without("architectures"),
    "architecture-missing": put(architectures=["SCMP_ARCH_AARCH64", "SCMP_ARCH_X32"]),
    "lets-through": both(unnamed("bpf"), added({"names": ["bpf"], "action": ALLOW})),
    "unknown-call": added({"names": ["opneat"], "action": ALLOW}),
    "absent-call": added({"names": ["stat64"], "action": ALLOW}),
    "same-argument": added(compared("prctl", 1, ("GT", 3, 0), ("LT", 9, 0))),
    "mask": added(compared("fcntl", 1, ("MASKED_EQ", 1, 2))),
    "listener": added({"names": ["getsid"], "action": "SCMP_ACT_NOTIFY"}),
    "upper-half": both(unnamed("prctl"), added(compared("prctl", 0, ("NE", 22, 0)))),
    "repeated": added({"names": ["getsid"], "action": ALLOW}, {"names": ["getsid"], "action": ALLOW}),
    "contradiction": both(
        unnamed("clone3"), added({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
                                 {"names": ["clone3"], "action": "SCMP_ACT_KILL"})
    ),
    "no-effect": added({"names": ["getsid"], "action": ALLOW}, compared("getsid", 0, ("EQ", 1, 0))),
    "clone3": both(unnamed("clone3"), added({"names": ["clone3"], "action": ALLOW})),
    "no-names": added({"names": [], "action": ALLOW}),
    "refused": put(defaultAction="SCMP_ACT_ALLOWED"),
}  # fmt: skip


def found(document: object, **more: object) -> set[str]:
    return {fault.id for fault in lint(document, **more)}


def test_what_is_written_here_is_without_a_fault() -> None:
    assert lint(good()) == ()
    assert lint(good(BOTH, [*CALLS, SystemCall("read", "i386")])) == ()
    document = good()
    assert (
        lint(document, unknown=libseccomp.unknown(name for one in document["syscalls"] for name in one["names"])) == ()
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    document = good()
    FAULTS[fault](document)
    seen = lint(document)
    assert fault in {one.id for one in seen}
    # What serves to break out is there as well where clone3 or what is not the default decides.
    assert len({one.id for one in seen} - {"lets-through", "needed", "absent-call"} - {fault}) <= 1
    for one in seen:
        assert one.what
        assert one.next
        assert not one.where or one.where.startswith("/")


def test_only_what_the_libseccomp_there_lacks_is_said_of_it() -> None:
    faults = lint(good(), unknown={"openat2", "getsid"})
    assert [(one.id, one.what.split()[-1]) for one in faults] == []
    document = good()
    added({"names": ["mseal", "getsid"], "action": ALLOW})(document)
    (fault,) = lint(document, unknown={"mseal"})
    assert fault.id == "library"
    assert "mseal" in fault.what


def test_the_library_here_knows_what_it_knows() -> None:
    assert libseccomp.version() >= (2, 5, 0)
    assert libseccomp.unknown(["read", "openat2", "no_such_call"]) == {"no_such_call"}


# --- socketcall -------------------------------------------------------------------------------------------------------
def test_a_family_filter_is_open_to_32_bit_programs_without_a_word_on_socketcall() -> None:
    document = good(BOTH, [*CALLS, SystemCall("read", "i386")])
    assert found(document) == set()
    unnamed("socketcall")(document)
    assert {"socketcall", "lets-through"} <= found(document)


def test_several_answers_of_socket_are_refused_where_32_bit_programs_are_covered() -> None:
    """The lint says beforehand what libseccomp says when the container starts."""
    document = good()
    libseccomp.compiled(document)
    document["architectures"].append("SCMP_ARCH_X86")
    assert "socket-answers" in found(document)
    with pytest.raises(NotUnderstood, match="the rule for socket"):
        libseccomp.compiled(document)


# --- profiles of others -----------------------------------------------------------------------------------------------
def test_the_upper_half_of_a_register_passes_a_rule_with_not_equal() -> None:
    """The well-known way to hold back TIOCSTI lets it through, with a bit set that the kernel does not read."""
    document = good()
    unnamed("ioctl")(document)
    added(compared("ioctl", 1, ("NE", 0x5412, 0)))(document)
    assert {"upper-half", "lets-through"} <= found(document)


def test_gates_count_as_closed_for_a_container_without_capabilities() -> None:
    document = good()
    unnamed("mount")(document)
    added({"names": ["mount"], "action": ALLOW, "includes": {"caps": ["CAP_SYS_ADMIN"]}})(document)
    assert found(document) == set()
    document["syscalls"][-1]["includes"] = {"caps": []}
    assert found(document) == {"lets-through"}


PODMAN = Path("/usr/share/containers/seccomp.json")


@pytest.mark.skipif(not PODMAN.exists(), reason="Podman's own profile is not installed")
def test_of_the_profile_that_podman_brings_nothing_is_said_that_is_not_so() -> None:
    """It leaves mounts to the kernel's own checks, has one rule twice, and compares a family as 64 bits."""
    document = json.loads(PODMAN.read_text(encoding="utf-8"))
    faults = lint(document)
    assert {one.id for one in faults} <= {"lets-through", "repeated", "socketcall", "upper-half"}
    (open_,) = (one for one in faults if one.id == "lets-through")
    assert "unshare" in open_.what
    assert "bpf" not in open_.what


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["SCMP_ACT_ALLOW", "read"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "defaultAction", "defaultErrnoRet", "architectures", "archMap", "syscalls", "listenerPath", "flags", "names",
    "action", "args", "includes", "excludes", "errnoRet",
)  # fmt: skip


@given(st.data())
@settings(max_examples=200)
def test_whatever_stands_in_a_profile_it_is_looked_through(data: st.DataObject) -> None:
    document = copy.deepcopy(good())
    place = data.draw(st.sampled_from([document, *document["syscalls"]]))
    place[data.draw(st.sampled_from(KEYS))] = data.draw(json_values)
    for one in lint(document):
        assert one.what


@given(json_values)
def test_what_is_no_profile_is_refused_in_words(document: object) -> None:
    assert found(document) == {"refused"} or isinstance(document, dict)
