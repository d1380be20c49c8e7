"""Fix sets: each ends every path by evaluation, and none is missing, against all subsets of the changes."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from effective_made import made
from harden_made import drawn
from holdfast import techniques
from holdfast.app.documents import Reader
from holdfast.model.facts import Fact, Facts
from holdfast.model.place import Where
from holdfast.model.remedy import Goal, Made, Remedy
from holdfast.model.report import Verdict
from holdfast.model.truth import YES
from holdfast.model.values import Members
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.model.workload import Workload
from holdfast.reason.assess import Judge
from holdfast.reason.catalogue import Catalogue
from holdfast.reason.fixes import Extent, Ground, assessed, fixes, patched
from holdfast.reason.remedies.candidates import asked_capabilities, candidates
from holdfast.reason.remedies.settling import starts
from holdfast.reason.remedies.wishes import Wishes
from test_minimal_sets import by_force

CATALOGUE = Catalogue(techniques.load().values())
ASKED = asked_capabilities(CATALOGUE)
GROUND = Ground(Judge(CATALOGUE, Facts()))
SOMEBODY = Workload("app", "compose service", Where("compose.yaml"))
NO_END = Extent(most=10_000, budget=100_000)


def read(text: str) -> Facts:
    (described,) = Reader().read("compose.yaml", text.encode(), named=True, dialect="compose").workloads
    return described.facts


def changes(facts: Facts, *words: str) -> tuple[Remedy, ...]:
    techniques_met = [step.technique for path in assessed(SOMEBODY, facts, GROUND, ()).paths for step in path.steps]
    return candidates(facts, Facts(), ASKED, Wishes.of(*words), techniques_met)


def some(everything: tuple[Remedy, ...], facts: Facts, chance: random.Random, count: int) -> tuple[Remedy, ...]:
    """Choose changes to try: half of those that are enough together, so that there is something to find."""
    sets = fixes(SOMEBODY, facts, GROUND, everything, Extent(most=3)).sets
    wanted = list(dict.fromkeys(one for each in sets for one in each.remedies))[: count - 2]
    others = [one for one in everything if one not in wanted]
    chosen = [*wanted, *chance.sample(others, min(count - len(wanted), len(others)))]
    return tuple(one for one in everything if one in chosen)


def compare(facts: Facts, remedies: tuple[Remedy, ...], *, certain: bool) -> None:
    """Hold the search against all subsets."""

    def too_little(mask: int) -> bool:
        chosen = [one for index, one in enumerate(remedies) if mask >> index & 1]
        asked, effective = patched(facts, GROUND, chosen)
        return (starts(facts) and not starts(asked)) or GROUND.judge.escapes(effective, certain=certain)

    expected = {
        frozenset(one.name for index, one in enumerate(remedies) if mask >> index & 1)
        for mask in by_force(len(remedies), too_little)
    }
    found = fixes(SOMEBODY, facts, GROUND, remedies, Extent(certain=certain, most=10_000, budget=100_000))
    if not certain and not expected:
        assert found.goal is not Goal.CONTAINED
        return
    assert {frozenset(one.name for one in each.remedies) for each in found.sets} == expected
    assert found.complete
    assert [each.cost for each in found.sets] == sorted(each.cost for each in found.sets)


@pytest.mark.parametrize(("name", "text"), drawn(5, 40))
def test_drawn_containers_against_all_subsets(name: str, text: str) -> None:
    facts = read(text)
    everything = changes(facts)
    chance = random.Random(name)
    few = some(everything, facts, chance, 8)
    compare(facts, few, certain=False)
    compare(facts, few, certain=True)


@pytest.mark.parametrize(("name", "text"), drawn(7, 25))
def test_the_quick_answer_is_that_of_the_judgement(name: str, text: str) -> None:
    facts = read(text)
    everything = changes(facts)
    chance = random.Random(name)
    for size in (0, 1, 3, len(everything) // 2):
        _, effective = patched(facts, GROUND, chance.sample(everything, size))
        paths = GROUND.judge.assess(SOMEBODY, effective).paths
        assert GROUND.judge.escapes(effective) == bool(paths)
        assert GROUND.judge.escapes(effective, certain=True) == any(path.verdict is YES for path in paths)


@pytest.mark.parametrize(("name", "text"), drawn(6, 40))
def test_every_set_ends_all_paths_and_needs_each_change(name: str, text: str) -> None:
    facts = read(text)
    found = fixes(SOMEBODY, facts, GROUND, changes(facts), Extent(most=8))
    assert found.goal is Goal.CONTAINED, name
    for each in found.sets:
        assert assessed(SOMEBODY, facts, GROUND, each.remedies).verdict is Verdict.CONTAINED
        for left_out in each.remedies:
            rest = [one for one in each.remedies if one is not left_out]
            open_ = assessed(SOMEBODY, facts, GROUND, rest).verdict is not Verdict.CONTAINED
            assert open_ or not starts(patched(facts, GROUND, rest)[0]), (name, left_out.name)


_PATHS = st.sampled_from(["/", "/etc", "/var", "/run", "/var/run/docker.sock", "/proc", "/sys", "/dev", "/srv/data"])
_MOUNTS = st.builds(
    Mount,
    st.sampled_from(["bind", "bind", "bind", "volume"]),
    _PATHS,
    st.sampled_from(["/a", "/b", "/proc/sys", "/sys"]),
    st.booleans(),
    st.sampled_from(["", "rshared"]),
)
_ASKED_FOR: dict[Fact[Any], st.SearchStrategy[Any]] = {
    declared.ENGINE: st.sampled_from(["docker", "podman", "cri", "containerd", "cri-o"]),
    declared.PRIVILEGED: st.booleans(),
    declared.USER: st.sampled_from(["", "1000", "1000:0", "0:0", "app"]),
    declared.CAPABILITIES_ADDED: st.lists(
        st.sampled_from(["SYS_ADMIN", "CAP_SYS_ADMIN", "ALL", "SYS_PTRACE", "DAC_READ_SEARCH", "MKNOD"]), max_size=2
    ).map(tuple),
    declared.CAPABILITIES_DROPPED: st.sampled_from([(), ("ALL",), ("MKNOD",)]),
    declared.SECCOMP: st.sampled_from(["default", "unconfined"]),
    declared.APPARMOR: st.sampled_from(["default", "unconfined"]),
    declared.NAMESPACES: st.sampled_from(
        [Members(), Members.of("pid"), Members.of("net"), Members(maybe=frozenset({"cgroup"}))]
    ),
    declared.USER_NAMESPACE: st.sampled_from(["default", "host", "private"]),
    declared.MOUNTS: st.lists(_MOUNTS, max_size=3).map(tuple),
    declared.DEVICES: st.sampled_from([(), (Device("/dev/sda", "/dev/sda"),)]),
    declared.SYSTEM_PATHS: st.sampled_from(["default", "unconfined"]),
    declared.SELINUX: st.sampled_from([(), ("disable",)]),
    declared.NO_NEW_PRIVILEGES: st.booleans(),
}


@given(st.fixed_dictionaries(_ASKED_FOR), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_generated_containers_against_all_subsets(
    answers: dict[Fact[Any], Any], chance: random.Random, certain: bool
) -> None:
    facts = made(answers)
    everything = changes(facts)
    few = some(everything, facts, chance, 6)
    compare(facts, few, certain=certain)


PRIVILEGED = "services:\n  app:\n    image: x\n    privileged: true\n"


def test_a_workload_without_a_path_needs_nothing() -> None:
    facts = read("services:\n  app:\n    image: x\n")
    found = fixes(SOMEBODY, facts, GROUND, changes(facts))
    assert [each.remedies for each in found.sets] == [()]


def test_a_privileged_container_is_ended_by_the_flag_alone() -> None:
    facts = read(PRIVILEGED)
    first = fixes(SOMEBODY, facts, GROUND, changes(facts)).sets[0]
    assert [one.name for one in first.remedies] == ["privileged"]


def test_what_is_to_be_kept_is_not_proposed() -> None:
    facts = read(PRIVILEGED)
    assert "privileged" not in {one.name for one in changes(facts, "privileged")}
    mounted = read(
        "services:\n  app:\n    image: x\n    volumes: ['/var/run/docker.sock:/s']\n    cap_add: [SYS_ADMIN]\n"
    )
    names = {one.name for one in changes(mounted, "/run/docker.sock", "sys_admin")}
    assert not any("docker.sock" in name for name in names)
    assert "CAP_SYS_ADMIN" not in names
    assert "user" not in names, "an ordinary user holds no capability"


def test_a_capability_to_be_kept_is_added_when_the_flag_goes() -> None:
    facts = read(PRIVILEGED)
    (flag,) = [one for one in changes(facts, "CAP_NET_ADMIN", "/dev/fuse") if one.name == "privileged"]
    after, _ = patched(facts, GROUND, (flag,))
    assert after.value(declared.CAPABILITIES_ADDED) == ("NET_ADMIN",)
    assert after.value(declared.DEVICES) == (Device("/dev/fuse", "/dev/fuse"),)
    assert after.value(declared.SELINUX) == ()
    assert after.value(declared.SYSTEM_PATHS) == "default"


def test_one_word_keeps_everything_around_as_it_is() -> None:
    facts = read(
        "services:\n  app:\n    image: x\n    cap_add: [SYS_ADMIN]\n    security_opt: ['apparmor:unconfined']\n"
    )
    assert any(one.made is Made.HOST for one in changes(facts))
    assert {one.made for one in changes(facts, "engine", "host", "network", "cluster")} == {Made.FILE}
    names = {one.name for one in changes(facts)}
    (fact,) = {name.split()[0] for name in names if name.startswith("host.static_usermode_helper")}
    assert names - {one.name for one in changes(facts, fact)} == {f"{fact} True"}


def test_contradictory_wishes_leave_the_paths_standing() -> None:
    facts = read("services:\n  app:\n    image: x\n    volumes: ['/:/host']\n")
    wishes = ("/", "user", "userns", "runtime")
    found = fixes(SOMEBODY, facts, GROUND, changes(facts, *wishes))
    assert found.goal is None
    assert not found.sets
    assert found.remaining is not None
    assert found.remaining.verdict is Verdict.ESCAPABLE


def test_a_user_namespace_goes_only_with_what_an_engine_starts() -> None:
    facts = read(PRIVILEGED + "    pid: host\n    network_mode: host\n    volumes: ['/var/run/docker.sock:/s']\n")
    found = fixes(SOMEBODY, facts, GROUND, changes(facts, "/var/run/docker.sock", "user", "runtime"), NO_END)
    assert found.sets
    for each in found.sets:
        names = {one.name for one in each.remedies}
        if "user namespace" in names:
            assert {"privileged", "pid namespace", "net namespace"} <= names


def test_changes_outside_the_file_are_marked() -> None:
    facts = read(
        "services:\n  app:\n    image: x\n    cap_add: [SYS_ADMIN]\n    security_opt: ['apparmor:unconfined']\n"
    )
    made_where = {one.name: one.made for one in changes(facts)}
    assert made_where["user namespace"] is Made.ENGINE
    assert Made.HOST in made_where.values()


def test_both_edits_of_one_mount_take_it_out() -> None:
    facts = read("services:\n  app:\n    image: x\n    volumes: ['/etc:/e']\n")
    both = [one for one in changes(facts) if one.name.startswith("/etc:")]
    assert len(both) == 2
    for order in (both, both[::-1]):
        assert patched(facts, GROUND, order)[0].value(declared.MOUNTS) == ()


def test_of_what_no_engine_would_start_only_the_paths_count() -> None:
    facts = made({declared.USER_NAMESPACE: "private", declared.NAMESPACES: Members.of("pid")})
    assert not starts(facts)
    before = assessed(SOMEBODY, facts, GROUND, ())
    found = fixes(SOMEBODY, facts, GROUND, changes(facts))
    assert bool(before.paths) == bool(found.sets[0].remedies)


def test_a_malformed_mount_is_passed_over() -> None:
    good = Mount("bind", "/etc", "/e")
    facts = made({declared.MOUNTS: (Mount("bind", "/", "/h", options=["ro"]), good, good)})  # type: ignore[arg-type]
    names = [one.name for one in changes(facts) if "gone" in one.name]
    assert names == ["/etc:/e gone"]
