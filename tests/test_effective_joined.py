"""Declared and observed state side by side: who wins, and what is a contradiction."""

from __future__ import annotations

import pytest

from effective_made import PLACE
from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, OtherThan, Paths
from holdfast.model.words import container as c
from holdfast.reason.effective.joined import joined

LIVE = Where("/proc/1/status")


def facts(answers, where=PLACE):
    return Facts({f: v if isinstance(v, Absent) else Seen(v, where) for f, v in answers.items()})


def both(asked, seen):
    return joined(facts(asked), facts(seen, LIVE))


def test_one_side_alone():
    one = facts({c.USER_ID: 0})
    assert joined(one, None) == (one, ())
    assert joined(None, one) == (one, ())
    assert joined(None, None) == (Facts(), ())


def test_what_is_observed_wins_and_what_is_not_is_filled_up():
    out, _ = both(
        {c.USER_ID: 0, c.PRIVILEGED: True, c.MASKED: Absent("declared")},
        {c.USER_ID: 33, c.PRIVILEGED: Absent("no"), c.MASKED: Absent("observed")},
    )
    assert out.value(c.USER_ID) == 33
    assert out.seen(c.USER_ID).where == LIVE
    assert out.value(c.PRIVILEGED) is True
    assert out.absent(c.MASKED) == Absent("observed")


def test_a_set_known_in_part_is_filled_up():
    out, _ = both(
        {c.LSM_DENIES: Members.of("mount", "ptrace_host"), c.HOST_PATHS: Paths(("/a",))},
        {
            c.LSM_DENIES: Members(frozenset({"af_alg"}), frozenset({"mount", "sys_write"})),
            c.HOST_PATHS: Paths(("/b",), UNKNOWN),
        },
    )
    denies = out.value(c.LSM_DENIES)
    assert [denies.has(x) for x in ("af_alg", "mount", "sys_write", "ptrace_host")] == [YES, YES, NO, NO]
    assert out.value(c.HOST_PATHS) == Paths(("/b", "/a"), UNKNOWN)


def test_what_was_seen_to_be_shut_stays_shut():
    out, _ = both(
        {c.HOST_PATHS_PERMITTED: Paths(("/run/docker.sock", "/srv"), UNKNOWN)},
        {c.HOST_PATHS_PERMITTED: Paths((), UNKNOWN, frozenset({"/run/docker.sock"}))},
    )
    permitted = out.value(c.HOST_PATHS_PERMITTED)
    assert [permitted.covers(path) for path in ("/run/docker.sock", "/srv", "/opt")] == [NO, YES, UNKNOWN]


CONTRADICTIONS = [
    (c.CAPABILITIES, Members.of("CAP_CHOWN"), Members.of("CAP_CHOWN", "CAP_SYS_ADMIN")),
    (c.BOUNDING_CAPABILITIES, Members.of("CAP_CHOWN"), Members.of("CAP_SYS_ADMIN")),
    (c.NO_NEW_PRIVILEGES, True, False),
    (c.SECCOMP, "docker-default", "unconfined"),
    (c.APPARMOR, "docker-default", "unconfined"),
    (c.APPARMOR, "mine", "docker-default"),
    (c.SELINUX, "container_t", "spc_t"),
    (c.USER_NAMESPACE, "private", "host"),
    (c.HOST_USER_ID, OtherThan(0), 0),
    (c.HOST_USER_ID, 1000, 0),
    (c.SANDBOX, "gvisor", "none"),
    (c.SHARED_NAMESPACES, Members.of("time"), Members.of("pid", "time")),
    (c.MASKED, True, False),
    (c.CGROUP_WRITABLE, False, True),
    (c.DEVICE_ACCESS, Members(), Members.of("block")),
]
AGREEMENTS = [
    (c.CAPABILITIES, Members.of("CAP_CHOWN", "CAP_KILL"), Members()),  # gave them up by itself
    (c.CAPABILITIES, Members(maybe=frozenset({"CAP_SYS_ADMIN"})), Members.of("CAP_SYS_ADMIN")),
    (c.CAPABILITIES, Members(rest=UNKNOWN), Members.of("CAP_SYS_ADMIN")),
    (c.NO_NEW_PRIVILEGES, False, True),
    (c.SECCOMP, "unconfined", "live"),
    (c.SECCOMP, "docker-default", "live"),
    (c.APPARMOR, "containers-default", "containers-default-0.50.1"),
    (c.APPARMOR, "unconfined", "none"),
    (c.HOST_USER_ID, 0, 1000),
    (c.HOST_USER_ID, OtherThan(0), 1000),
    (c.SANDBOX, "none", "gvisor"),
    (c.SHARED_NAMESPACES, Members.of("pid"), Members()),
    (c.SHARED_NAMESPACES, Members(maybe=frozenset({"pid"})), Members.of("pid")),
    (c.SHARED_NAMESPACES, Members(), Members.of("time", "cgroup")),
    (c.HOST_PATHS, Paths(), Paths(("/usr/lib/libcuda.so",))),  # added by the engine
    (c.DEVICE_ACCESS, Members(), Members.of("gpu", "tun")),
    (c.MASKED, False, True),
]


@pytest.mark.parametrize(("fact", "asked", "seen"), CONTRADICTIONS)
def test_contradictions(fact, asked, seen):
    out, found = both({fact: asked}, {fact: seen})
    assert [(one.fact, one.declared.value, one.effective.value) for one in found] == [(fact, asked, seen)]
    assert out.value(fact) == seen


@pytest.mark.parametrize(("fact", "asked", "seen"), AGREEMENTS)
def test_no_contradictions(fact, asked, seen):
    assert both({fact: asked}, {fact: seen})[1] == ()


def test_a_setuid_program_takes_what_the_bounding_set_leaves():
    asked = {c.CAPABILITIES: Members(), c.BOUNDING_CAPABILITIES: Members.of("CAP_CHOWN")}
    assert both(asked, {c.CAPABILITIES: Members.of("CAP_CHOWN")})[1] == ()
    assert [one.fact for one in both(asked, {c.CAPABILITIES: Members.of("CAP_KILL")})[1]] == [c.CAPABILITIES]


def test_a_read_only_mount_that_is_writable():
    asked = {c.HOST_PATHS: Paths(("/a", "/b")), c.HOST_PATHS_WRITABLE: Paths(("/b",))}
    assert [one.fact for one in both(asked, {c.HOST_PATHS_WRITABLE: Paths(("/a",))})[1]] == [c.HOST_PATHS_WRITABLE]
    assert both(asked, {c.HOST_PATHS_WRITABLE: Paths(("/b", "/a/below"))})[1] == ()


def test_rootless_runtimes_set_no_device_rules():
    asked, seen = {c.DEVICE_ACCESS: Members()}, {c.DEVICE_ACCESS: Members.of("block")}
    assert both(asked, {**seen, c.USER_NAMESPACE: "host"})[1]
    assert not both(asked, {**seen, c.USER_NAMESPACE: "private"})[1]


def test_unknown_contradicts_nothing():
    assert both({c.MASKED: Absent("x")}, {c.MASKED: False})[1] == ()
    assert both({c.MASKED: True}, {c.MASKED: Absent("x")})[1] == ()
