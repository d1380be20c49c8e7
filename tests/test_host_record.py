"""Facts written to a file and read back: the same facts, or a clear refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.collect.parse import parse
from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import Truth
from holdfast.model.values import Members, OtherThan, Paths, normal_path
from holdfast.model.words import container, declared, engine, host, load, observed
from holdfast.model.workload import Surroundings
from holdfast.platforms.host_record import NAME, read, read_record, recognises
from holdfast.reports.facts_record import render

WORDS = load()
HERE = Where("/proc/x")

texts = st.text(max_size=20)
names = st.one_of(texts, st.integers())
places = st.builds(Where, texts, texts, st.integers(min_value=0, max_value=2**31))
truths = st.sampled_from(Truth)
sets = st.frozensets(names, max_size=4)
members = st.builds(Members, sets, sets, sets, truths)
_some_paths = st.lists(texts.map(normal_path), max_size=4)
paths = st.builds(Paths, _some_paths.map(tuple), truths, _some_paths.map(frozenset), _some_paths.map(tuple))
flat = st.one_of(st.none(), st.booleans(), st.integers(), texts, st.floats(allow_nan=False), st.binary(max_size=20))
documents = st.recursive(
    flat, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)), max_leaves=8
)
mounts = st.builds(declared.Mount, texts, texts, texts, st.booleans(), texts, st.frozensets(texts, max_size=3))
devices = st.builds(declared.Device, texts, texts, texts)
lines = st.builds(
    observed.MountInfo, texts, texts, texts, st.frozensets(texts, max_size=2), st.lists(texts, max_size=2).map(tuple),
    texts, texts, st.frozensets(texts, max_size=2), texts,
)  # fmt: skip
nodes = st.builds(observed.DeviceNode, texts, texts, st.integers(), st.integers())
versions = st.lists(st.integers(), max_size=4).map(tuple)
pairs = st.lists(st.tuples(texts, texts), max_size=4).map(tuple)

_SPECIAL: dict[Fact[Any], st.SearchStrategy[Any]] = {
    host.KERNEL_VERSION: versions,
    engine.VERSION: versions,
    engine.CONTAINERD_VERSION: versions,
    engine.DESKTOP_VERSION: versions,
    host.PACKAGES: pairs,
    host.SOCKET_PERMISSIONS: pairs,
    declared.MOUNTS: st.lists(mounts, max_size=3).map(tuple),
    declared.DEVICES: st.lists(devices, max_size=3).map(tuple),
    declared.SECCOMP_PROFILE: documents,
    observed.MOUNTS: st.lists(lines, max_size=3).map(tuple),
    observed.DEVICE_NODES: st.lists(nodes, max_size=3).map(tuple),
    observed.SECCOMP_FILTERS: st.lists(st.binary(max_size=24), max_size=2).map(tuple),
    container.USER_ID: st.one_of(st.integers(), st.just(OtherThan(0))),
}
_KINDS: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(),
    str: texts,
    tuple: st.lists(st.one_of(texts, st.integers(), st.tuples(texts, texts)), max_size=3).map(tuple),
    frozenset: st.frozensets(texts, max_size=4),
    Members: members,
    Paths: paths,
    object: documents,
}


def answers(fact: Fact[Any]) -> st.SearchStrategy[tuple[Fact[Any], Seen[Any] | Absent]]:
    values = _SPECIAL.get(fact, _KINDS[fact.kind])
    seen = st.builds(Seen, values, places, texts, st.dictionaries(names, places, max_size=2))
    absent = st.builds(Absent, texts, st.one_of(st.none(), places))
    return st.tuples(st.just(fact), st.one_of(seen, absent))


facts = st.lists(st.sampled_from(sorted(WORDS.values(), key=lambda fact: fact.name)).flatmap(answers), max_size=8).map(
    lambda pairs: Facts(dict(pairs))
)


@settings(deadline=None)
@given(facts, texts)
def test_what_is_written_is_read_back(before: Facts, name: str) -> None:
    assert read_record(render(before, name), "record.json") == before


@settings(deadline=None)
@given(facts)
def test_the_same_facts_give_the_same_bytes(before: Facts) -> None:
    again = Facts(dict(reversed(list(before.table.items()))))
    assert render(before, "a") == render(again, "a")


def test_a_lone_surrogate_comes_back(tmp_path: Path) -> None:
    before = Facts({host.DISTRIBUTION: Seen("\udcff", Where(f"{tmp_path}/\udcfe"))})
    assert read_record(render(before, "\udcfd"), "r") == before


def test_a_value_that_no_file_holds_becomes_a_reason() -> None:
    class Filter:
        def has(self, member: object, /) -> Truth:
            return Truth.of(member == "mount")

    after = read_record(render(Facts({container.SYSCALLS: Seen(Filter(), HERE)}), "x"), "x")
    absent = after.absent(container.SYSCALLS)
    assert absent is not None
    assert "Filter" in absent.reason


def record(facts: dict[str, Any] | Any, version: Any = 1) -> bytes:
    return json.dumps({"holdfast_facts": version, "name": "x", "facts": facts}).encode()


LIST: dict[str, Any] = {"list": []}
GOOD = {"value": True, "where": ["/proc/x", "", 0]}


def test_the_smallest_record() -> None:
    assert read_record(record({"host.coredump": GOOD}), "x") == Facts({host.COREDUMP: Seen(True, HERE)})


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"list": [value]}
    return value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b'{"holdfast_facts": 1',
        b'{"apiVersion": "v1"}',
        b'{"holdfast_facts": 1}',
        b"[" * 200_000,
        record({}, 2),
        record({}, 0),
        record({}, True),
        record({}, "1"),
        record([]),
        record({"host.no_such_word": GOOD}),
        record({"host.coredump": 1}),
        record({"host.coredump": {"value": True}}),
        record({"host.coredump": {**GOOD, "value": 1}}),
        record({"host.coredump": {**GOOD, "value": "yes"}}),
        record({"host.coredump": {**GOOD, "extra": 1}}),
        record({"host.coredump": {**GOOD, "note": 5}}),
        record({"host.coredump": {**GOOD, "where": "/proc"}}),
        record({"host.coredump": {**GOOD, "where": ["/proc", "", "1"]}}),
        record({"host.coredump": {**GOOD, "where": ["/proc", "", True]}}),
        record({"host.coredump": {"absent": 3}}),
        record({"host.yama_ptrace_scope": {**GOOD, "value": True}}),
        record({"host.kernel_version": {**GOOD, "value": {"tuple": [6, "1"]}}}),
        record({"host.kernel_version": {**GOOD, "value": [6, 1]}}),
        record({"host.packages": {**GOOD, "value": {"tuple": ["runc"]}}}),
        record({"host.modules": {**GOOD, "value": {"set": []}}}),
        record({"host.modules": {**GOOD, "value": {"members": {"yes": []}}}}),
        record({"host.modules": {**GOOD, "value": {"members": {"yes": [], "maybe": [], "no": [], "rest": "no?"}}}}),
        record({"host.modules": {**GOOD, "value": {"members": {"yes": [LIST], "maybe": [], "no": [], "rest": "no"}}}}),
        record({"host.coredump": {**GOOD, "value": {"module": "os"}}}),
        record({"host.coredump": {**GOOD, "value": {"tuple": 1, "set": 2}}}),
        record({"declared.mounts": {**GOOD, "value": {"tuple": [{"mount": {"kind": "bind"}}]}}}),
        record({"observed.seccomp_filters": {**GOOD, "value": {"tuple": [{"bytes": "!!"}]}}}),
        record({"declared.seccomp_profile": {**GOOD, "value": nested(200)}}),
        record({"host.coredump": {**GOOD, "parts": [[1]]}}),
        record({"host.coredump": {**GOOD, "parts": [[{"list": []}, ["a", "", 0]]]}}),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused_with_a_next_step(data: bytes) -> None:
    with pytest.raises(NotUnderstood) as caught:
        read_record(data, "host.json")
    assert caught.value.where == "host.json"
    assert "record the host again" in caught.value.next


def test_a_broken_record_names_the_line() -> None:
    with pytest.raises(NotUnderstood) as caught:
        read_record(b'{"holdfast_facts": 1,\n\n oops}', "host.json")
    assert caught.value.line == 3


def test_a_record_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.platforms.host_record.LIMIT_BYTES", 10)
    with pytest.raises(NotUnderstood, match="more than 10 bytes"):
        read_record(record({}), "x")


def test_a_record_that_holds_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.platforms.host_record.LIMIT_VALUES", 10)
    value = {"members": {"yes": list(range(20)), "maybe": [], "no": [], "rest": "no"}}
    with pytest.raises(NotUnderstood, match="too many values"):
        read_record(record({"host.modules": {**GOOD, "value": value}}), "x")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read_record(data, "x")


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["members", "paths", "tuple", "set", "map", "mount", "yes", "rest", "value"]), inner
        ),
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(WORDS)), st.one_of(_JSON, st.fixed_dictionaries({"value": _JSON, "where": _JSON}))
    )
)
def test_no_json_breaks_the_reader(facts: dict[str, Any]) -> None:
    try:
        read_record(record(facts), "x")
    except NotUnderstood:
        return


# --- among other documents --------------------------------------------------------------------------------------------


def test_a_record_is_recognised_among_documents_and_gives_the_hosts_facts_to_all() -> None:
    before = Facts(
        {
            host.COREDUMP: Seen(True, HERE),
            host.KERNEL_VERSION: Seen((6, 1), HERE),
            engine.DESKTOP_VERSION: Absent("the engine is not Docker Desktop", HERE),
            container.PRIVILEGED: Seen(False, HERE),
        }
    )
    document, problems = parse("host.json", render(before, "vm"))
    assert not problems
    assert recognises(document)
    reading = read(document, Surroundings())
    assert reading.workloads == ()
    assert reading.shared == before.without(container.PRIVILEGED), "a record speaks for its host only"


@pytest.mark.parametrize("text", ["kind: Pod\n", '{"ociVersion": "1.0", "process": {}}', "", "- a\n"])
def test_other_documents_are_not_taken_for_one(text: str) -> None:
    document, _ = parse("x.yaml", text.encode())
    assert not recognises(document)
    assert NAME
