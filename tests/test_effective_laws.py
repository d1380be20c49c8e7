"""What holds for every description, however odd."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from effective_made import PLAIN, said
from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import Members, OtherThan, Paths
from holdfast.model.words import container, declared, engine, host, load
from holdfast.model.words.declared import Device, Mount
from holdfast.model.words.observed import DeviceNode, MountInfo
from holdfast.reason.effective.capabilities import EVERY
from holdfast.reason.effective.declared import from_declared
from holdfast.reason.effective.devices import KINDS
from holdfast.reason.effective.joined import joined
from holdfast.reason.effective.observed import from_observed

WORDS = st.sampled_from(
    [
        "", "default", "host", "private", "ALL", "CAP_SYS_ADMIN", "docker", "podman", "cri", "unconfined", "exact", "0",
        "1000:5", ":", "/", "/dev", "/proc", "/sys", "a *:* rwm", "runsc", "type:", "disable", "..", "//", "\0", "é",
    ]
)  # fmt: skip
PLAIN_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), WORDS, st.text(max_size=8)
)
ODD = st.one_of(
    PLAIN_VALUES,
    st.lists(PLAIN_VALUES, max_size=3),
    st.lists(PLAIN_VALUES, max_size=3).map(tuple),
    st.frozensets(PLAIN_VALUES, max_size=3),
    st.dictionaries(WORDS, PLAIN_VALUES, max_size=2),
    st.tuples(st.tuples(PLAIN_VALUES, PLAIN_VALUES, PLAIN_VALUES)),
    st.builds(Members, st.frozensets(WORDS, max_size=3), st.frozensets(WORDS, max_size=3), rest=st.sampled_from(Truth)),
    st.builds(Mount, *[PLAIN_VALUES] * 6).map(lambda m: (m,)),
    st.builds(Device, PLAIN_VALUES, PLAIN_VALUES, PLAIN_VALUES).map(lambda d: (d,)),
    st.builds(DeviceNode, PLAIN_VALUES, PLAIN_VALUES, PLAIN_VALUES, PLAIN_VALUES).map(lambda d: (d,)),
    st.builds(
        MountInfo, PLAIN_VALUES, PLAIN_VALUES, WORDS, st.frozensets(WORDS),
        st.lists(PLAIN_VALUES, max_size=2).map(tuple), WORDS, WORDS, st.frozensets(WORDS), WORDS,
    ).map(lambda m: (m,)),
)  # fmt: skip


def described(subject):
    facts = [fact for fact in load().values() if fact.subject in subject]
    return st.dictionaries(st.sampled_from(facts), ODD, max_size=12)


@settings(max_examples=300, deadline=None)
@given(described({"declared"}), described({"host", "engine"}))
def test_no_declaration_is_too_odd(answers, around):
    table = said({**PLAIN, **answers})
    out = from_declared(table, said(around))
    assert all(isinstance(entry, Seen | Absent) for entry in out.table.values())
    assert {fact.subject for fact in out} <= {"container", "engine", "host"}
    from_declared(said(answers), said(around))


@settings(max_examples=300, deadline=None)
@given(described({"observed"}), described({"host", "engine"}))
def test_no_process_is_too_odd(answers, around):
    out = from_observed(said(answers), said(around))
    assert {fact.subject for fact in out} == {"container"}


@settings(max_examples=100, deadline=None)
@given(described({"declared"}), described({"observed"}))
def test_joining_never_loses_an_answer(asked, seen):
    one = from_declared(said({**PLAIN, **asked}), Facts())
    two = from_observed(said(seen), Facts())
    out, _ = joined(one, two)
    for fact, entry in (*one.table.items(), *two.table.items()):
        if isinstance(entry, Seen):
            assert fact in out


# --- more knowledge of the host -------------------------------------------------------------------------------------

CHANGES: list[dict[Any, Any]] = [
    {},
    {declared.PRIVILEGED: True},
    {declared.ENGINE: "podman"},
    {declared.ENGINE: "cri"},
    {declared.ENGINE: "cri-o"},
    {declared.USER: "1000"},
    {declared.USER: "web"},
    {declared.APPARMOR: "mine"},
    {declared.NAMESPACES: Members.of("pid", "net")},
    {declared.MOUNTS: (Mount("bind", "/", "/host", read_only=True), Mount("bind", "/run/docker.sock", "/s"))},
    {declared.USER_NAMESPACE: "private"},
]
HOSTS = st.fixed_dictionaries(
    {
        host.APPARMOR_ENFORCING: st.booleans(),
        host.SELINUX_ENFORCING: st.booleans(),
        host.CGROUP_VERSION: st.sampled_from(["v1", "v2", "hybrid"]),
        host.ROOT_DEVICE: st.just("8:1"),
        engine.STATE_ON_ROOT: st.booleans(),
        engine.VERSION: st.sampled_from([(20, 10, 24), (29, 5)]),
    }
)


def with_modules(seen):
    """Add the list of security modules that belongs to such a host."""
    active = ((host.APPARMOR_ENFORCING, "apparmor"), (host.SELINUX_ENFORCING, "selinux"))
    return {**seen, host.LSMS: Members.of("yama", *(name for fact, name in active if seen[fact]))}


MAY_BE_CORRECTED = {container.APPARMOR, container.SELINUX}
"""A profile that nobody enforces is called "none" once the host is seen; what is refused stays the same."""
PROBES: dict[type, list[Any]] = {
    Members: [*EVERY, *KINDS, "mount", "host_files", "af_alg", "pid", "net", "cgroup", 0, 998],
}


def firm(value):
    """Return everything that the answer says for certain."""
    if isinstance(value, Paths):
        probes = ("/", "/etc/shadow", "/run/docker.sock", "/srv")
        return {path: value.covers(path) for path in probes if value.covers(path) is not UNKNOWN}
    if hasattr(value, "has"):
        probes = [*PROBES[Members], "/proc/sys/kernel/core_pattern", "/sys/kernel/uevent_helper"]
        return {probe: value.has(probe) for probe in probes if value.has(probe) is not UNKNOWN}
    if isinstance(value, OtherThan):
        return {value.value: NO}
    if isinstance(value, bool | str):
        return {"it": value}
    return {"it": value, **{other: YES if other == value else NO for other in (0, 1000)}}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CHANGES), HOSTS.map(with_modules), st.data())
def test_seeing_more_of_the_host_turns_no_answer_round(change, seen, data):
    """Switches of the engine (rootless, remapped users) are the exception that the answers' notes announce."""
    facts = said({**PLAIN, **change})
    words = st.lists(st.sampled_from(sorted(seen, key=lambda fact: fact.name)), unique=True)
    little = {fact: seen[fact] for fact in data.draw(words)}
    more = {**little, **{fact: seen[fact] for fact in data.draw(words)}}
    before = from_declared(facts, said(little))
    after = from_declared(facts, said(more))
    for fact, entry in before.table.items():
        later = after.table[fact]
        if fact in MAY_BE_CORRECTED or isinstance(entry, Absent) or isinstance(later, Absent):
            continue
        was, is_now = firm(entry.value), firm(later.value)
        turned = {probe for probe in was.keys() & is_now.keys() if was[probe] != is_now[probe]}
        assert not turned, (fact, turned, entry, later)


def test_a_correction_is_announced():
    seen = from_declared(said(PLAIN), Facts()).seen(container.USER_NAMESPACE)
    assert seen is not None
    assert "default" in seen.note
    assert from_declared(said(PLAIN), said({engine.ROOTLESS: True})).value(container.USER_NAMESPACE) == "private"


def test_hostile_sizes_are_refused():
    many = tuple(f"CAP_{number}" for number in range(100_000))
    out = from_declared(said({**PLAIN, declared.CAPABILITIES_ADDED: many}), Facts())
    value = out.value(container.CAPABILITIES)
    assert value is not None
    assert value.has("CAP_SYS_ADMIN") is UNKNOWN
    long = from_declared(said({**PLAIN, declared.USER: "1" * 100_000}), Facts())
    assert long.absent(container.USER_ID) is not None
    deep = (Mount("bind", "/a" * 50_000, "/x"),)
    assert from_declared(said({**PLAIN, declared.MOUNTS: deep}), Facts()).value(container.HOST_PATHS) is not None
