"""Chaining: what one technique gives opens the next; paths are minimal."""

from __future__ import annotations

from typing import Any

from holdfast.model.change import Change, with_
from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.logic import NEVER, Expr, has, is_
from holdfast.model.place import Where
from holdfast.model.report import Bearing, Verdict
from holdfast.model.technique import DrillClass, Evidence, Technique
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.words import assumed, container, host, reach
from holdfast.model.workload import Workload
from holdfast.reason.assess import Judge
from holdfast.reason.catalogue import Catalogue

HERE = Where("test")
SHOP = Workload("shop", "test", HERE)


def technique(name: str, when: Expr, *gives: Change) -> Technique:
    return Technique(
        title=name,
        row=0,
        attack=(),
        evidence=Evidence.SOURCE,
        exposed_when=when,
        gives=gives,
        closed_by=(),
        seen_as=NEVER,
        seen_sample={},
        drill_class=DrillClass.D0,
        examples=(),
        sources=(),
        id=name,
    )


def seen(table: dict[Fact[Any], object]) -> Facts:
    return Facts({fact: Seen(value, HERE) for fact, value in table.items()})


def judge(*techniques: Technique, surroundings: dict[Fact[Any], object] | None = None) -> Judge:
    return Judge(Catalogue(techniques), seen(surroundings or {}))


ROOT = Change(reach.HOST_ROOT, True, "root")
REMOUNT = technique(
    "remount",
    has(container.CAPABILITIES, "CAP_SYS_ADMIN"),
    Change(container.KERNEL_FILES_WRITABLE, with_("/proc/sys/kernel/core_pattern"), "rw"),
)
PATTERN = technique("pattern", has(container.KERNEL_FILES_WRITABLE, "/proc/sys/kernel/core_pattern"), ROOT)
ADMIN = {
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN"),
    container.KERNEL_FILES_WRITABLE: Members(),
}


def test_a_chain_reaches_what_no_single_technique_reaches() -> None:
    result = judge(REMOUNT, PATTERN).assess(SHOP, seen(ADMIN))
    assert result.verdict is Verdict.ESCAPABLE
    assert [[step.technique.id for step in path.steps] for path in result.paths] == [["remount", "pattern"]]
    assert {finding.technique.id: finding.verdict for finding in result.findings} == {"remount": YES, "pattern": YES}


def test_a_needless_step_is_left_out_and_its_finding_is_only_surface() -> None:
    open_already = ADMIN | {container.KERNEL_FILES_WRITABLE: Members.of("/proc/sys/kernel/core_pattern")}
    result = judge(REMOUNT, PATTERN).assess(SHOP, seen(open_already))
    assert [[step.technique.id for step in path.steps] for path in result.paths] == [["pattern"]]
    assert {f.technique.id: f.bearing for f in result.findings} == {"remount": Bearing.SURFACE, "pattern": Bearing.PATH}


def test_an_unknown_opener_gives_an_unknown_path_that_names_what_to_look_at() -> None:
    half = ADMIN | {container.CAPABILITIES: Members(maybe=frozenset({"CAP_SYS_ADMIN"}))}
    result = judge(REMOUNT, PATTERN).assess(SHOP, seen(half))
    assert result.verdict is Verdict.UNKNOWN
    assert result.paths[0].verdict is UNKNOWN
    missing = [leaf.expr for step in result.paths[0].steps for leaf in step.proof.missing()]
    assert missing == [REMOUNT.exposed_when]


def test_a_certain_chain_stands_beside_an_uncertain_single_step() -> None:
    table = ADMIN | {container.KERNEL_FILES_WRITABLE: Members(rest=UNKNOWN)}
    result = judge(REMOUNT, PATTERN).assess(SHOP, seen(table))
    assert result.verdict is Verdict.ESCAPABLE
    assert [(len(path.steps), path.verdict) for path in result.paths] == [(2, YES), (1, UNKNOWN)]


def test_three_steps_are_found_and_no_order_is_impossible() -> None:
    first = technique(
        "first", is_(container.PRIVILEGED, True), Change(container.CAPABILITIES, with_("CAP_SYS_ADMIN"), "cap")
    )
    table = ADMIN | {container.PRIVILEGED: True, container.CAPABILITIES: Members()}
    result = judge(PATTERN, REMOUNT, first).assess(SHOP, seen(table))
    assert [[step.technique.id for step in path.steps] for path in result.paths] == [["first", "remount", "pattern"]]


def test_what_only_the_host_decides_does_not_make_a_workload_unknown() -> None:
    host_only = technique("host-only", is_(host.COREDUMP, True), ROOT)
    result = judge(host_only).assess(SHOP, Facts())
    assert result.verdict is Verdict.CONTAINED
    assert [finding.bearing for finding in result.findings] == [Bearing.HOST_ONLY]


def test_a_setting_that_a_plain_workload_lacks_makes_the_host_matter() -> None:
    both = technique("both", is_(host.COREDUMP, True) & has(container.CAPABILITIES, "CAP_SYS_ADMIN"), ROOT)
    many, few = Members.of("CAP_SYS_ADMIN"), Members.of("CAP_CHOWN")
    assert judge(both).assess(SHOP, seen({container.CAPABILITIES: many})).verdict is Verdict.UNKNOWN
    assert judge(both).assess(SHOP, seen({container.CAPABILITIES: few})).verdict is Verdict.CONTAINED
    # the capabilities are not known either: this workload may be worse than a plain one
    assert judge(both).assess(SHOP, Facts()).verdict is Verdict.UNKNOWN


def test_a_workload_that_asks_for_nothing_is_not_blamed_for_an_unseen_host() -> None:
    both = technique("both", is_(host.COREDUMP, True) & is_(container.HOST_USER_ID, 0), ROOT)
    for table in ({container.HOST_USER_ID: 0}, {container.HOST_USER_ID: 1000}, {}):
        assert judge(both).assess(SHOP, seen(table)).verdict is Verdict.CONTAINED
    root = seen({container.HOST_USER_ID: 0})
    assert judge(both, surroundings={host.COREDUMP: True}).assess(SHOP, root).verdict is Verdict.ESCAPABLE


def test_one_of_two_ways_that_the_workload_opens_itself_makes_the_host_matter() -> None:
    way = is_(host.COREDUMP, True) | has(container.SHARED_NAMESPACES, "net")
    either = technique("either", is_(host.BINFMT_MISC, True) & way, ROOT)
    shared, own = Members.of("net"), Members()
    assert judge(either).assess(SHOP, seen({container.SHARED_NAMESPACES: own})).verdict is Verdict.CONTAINED
    assert judge(either).assess(SHOP, seen({container.SHARED_NAMESPACES: shared})).verdict is Verdict.UNKNOWN


def test_a_way_that_needs_an_assumption_counts_only_when_it_is_made() -> None:
    needs = technique("needs", is_(assumed.OPERATOR_EXEC, True) & is_(container.HOST_USER_ID, 0), ROOT)
    root = seen({container.HOST_USER_ID: 0})
    plain = judge(needs).assess(SHOP, root)
    assert plain.verdict is Verdict.CONTAINED
    assert [finding.bearing for finding in plain.findings] == [Bearing.ASSUMPTION]
    made = judge(needs, surroundings={assumed.OPERATOR_EXEC: True}).assess(SHOP, root)
    assert made.verdict is Verdict.ESCAPABLE
    denied = judge(needs, surroundings={assumed.OPERATOR_EXEC: False}).assess(SHOP, root)
    assert denied.findings == ()


def test_surface_findings_do_not_make_a_path() -> None:
    packet = technique("packet", has(container.CAPABILITIES, "CAP_NET_RAW"))
    result = judge(packet).assess(SHOP, seen({container.CAPABILITIES: Members.of("CAP_NET_RAW")}))
    assert result.verdict is Verdict.CONTAINED
    assert [(finding.bearing, finding.verdict) for finding in result.findings] == [(Bearing.SURFACE, YES)]


def test_no_means_no_finding() -> None:
    packet = technique("packet", has(container.CAPABILITIES, "CAP_NET_RAW"), ROOT)
    result = judge(packet).assess(SHOP, seen({container.CAPABILITIES: Members()}))
    assert (result.findings, result.paths, result.verdict) == ((), (), Verdict.CONTAINED)
    assert prove_no() is NO


def prove_no() -> object:
    return judge(PATTERN).catalogue.entries[0].test(seen({container.KERNEL_FILES_WRITABLE: Members()}).table)


def test_paths_are_ordered_worst_goal_first_and_certain_before_uncertain() -> None:
    read = technique("read", is_(container.PRIVILEGED, True), Change(reach.HOST_FILE_READ, True, "read"))
    root = technique("root", is_(container.PRIVILEGED, True), ROOT)
    maybe = technique("maybe", is_(container.MASKED, False), ROOT)
    result = judge(read, maybe, root).assess(SHOP, seen({container.PRIVILEGED: True}))
    assert [path.steps[0].technique.id for path in result.paths] == ["root", "read", "maybe"]
