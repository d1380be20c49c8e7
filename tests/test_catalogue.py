"""One test for the whole catalogue: every technique file holds what it claims."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from holdfast import techniques
from holdfast.model.change import Change, applied
from holdfast.model.compiled import compile_test
from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.logic import NEVER, Expr, Op, atoms
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.technique import DrillClass, Evidence, Example, Technique
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import Collection, Members, PathCollection, Paths, normal_path
from holdfast.model.words import assumed, container, engine, event, host, network, reach
from holdfast.model.words import load as words

HERE = Where("example")
CATALOGUE = techniques.load()
EFFECTIVE = {"container", "host", "engine", "cluster", "network", "assumed"}
DRILLED = json.loads((Path(__file__).parent.parent / "docs" / "agreement.json").read_text(encoding="utf-8"))[
    "confirmed"
]
EACH = pytest.mark.parametrize("technique", CATALOGUE.values(), ids=CATALOGUE.keys())
EXAMPLES = [
    pytest.param(technique, example, id=f"{technique.id}: {example.title}")
    for technique in CATALOGUE.values()
    for example in technique.examples
]
CLOSURES = [
    pytest.param(technique, change, example, id=f"{technique.id}: {change.fact.name} {number} / {example.title}")
    for technique in CATALOGUE.values()
    for number, change in enumerate(technique.closed_by)
    for example in technique.examples
    if example.verdict is YES
]


def facts(bare: Mapping[Fact[Any], object]) -> Facts:
    return Facts({fact: Seen(value, HERE) for fact, value in bare.items()})


def judged(expr: Expr, bare: Mapping[Fact[Any], object]) -> Truth:
    """Judge by the proof; hold the compiled test against it."""
    known = facts(bare)
    truth = prove(expr, known).truth
    assert compile_test(expr)(known.table) is truth
    return truth


def verdict(name: str, bare: Mapping[Fact[Any], object]) -> Truth:
    return judged(CATALOGUE[name].exposed_when, bare)


# --- the catalogue as a whole ---------------------------------------------------------------------------------------


def test_every_row_is_answered() -> None:
    """The rows are those of the public list of configuration escapes; a technique of one's own may add to them."""
    assert set(range(1, 74)) <= {technique.row for technique in CATALOGUE.values()}


def test_every_file_is_a_technique_and_gives_it_its_name() -> None:
    folder = Path(techniques.__file__).parent
    files = {path.stem.replace("_", "-") for path in folder.glob("*.py") if path.stem != "__init__"}
    assert set(CATALOGUE) == files
    assert all(technique.id == name for name, technique in CATALOGUE.items())


def test_titles_are_told_apart() -> None:
    titles = [technique.title for technique in CATALOGUE.values()]
    assert len(titles) == len(set(titles))


# --- one technique --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("technique", "example"), EXAMPLES)
def test_an_example_holds(technique: Technique, example: Example) -> None:
    assert judged(technique.exposed_when, example.facts) is example.verdict


@pytest.mark.parametrize(("technique", "change", "example"), CLOSURES)
def test_a_mitigation_ends_every_exposed_example(technique: Technique, change: Change, example: Example) -> None:
    after = applied(facts(example.facts), (change,), Where("mitigation"))
    assert prove(technique.exposed_when, after).truth is NO


@EACH
def test_it_shows_all_three_verdicts(technique: Technique) -> None:
    assert {example.verdict for example in technique.examples} == {YES, NO, UNKNOWN}
    titles = [example.title for example in technique.examples]
    assert len(titles) == len(set(titles)), "two examples bear one title"


@EACH
def test_knowing_nothing_is_unknown(technique: Technique) -> None:
    assert judged(technique.exposed_when, {}) is UNKNOWN


@EACH
def test_every_fact_it_asks_is_in_an_example(technique: Technique) -> None:
    asked = {atom.fact for atom in atoms(technique.exposed_when)}
    shown = {fact for example in technique.examples for fact in example.facts}
    assert {fact.name for fact in asked - shown - SHOWN_BELOW} == set()


SHOWN_BELOW = {
    container.CAPABILITIES,
    container.USER_NAMESPACE,
    container.SANDBOX,
    container.SYSCALLS,
    container.HOST_PATHS_PERMITTED,
}
"""Asked by shared conditions in branches that the tests at the end of this file walk for one technique each."""


@EACH
def test_it_asks_effective_words_of_their_kind(technique: Technique) -> None:
    known = words()
    for atom in atoms(technique.exposed_when):
        assert known.get(atom.fact.name) is atom.fact
        assert atom.fact.subject in EFFECTIVE, atom.fact
        if atom.op in {Op.COVERS, Op.NOT_COVERS, Op.BELOW, Op.NOT_BELOW}:
            assert atom.fact.kind is Paths
            for path in atom.value if isinstance(atom.value, tuple) else (atom.value,):
                assert path == normal_path(path), "paths in conditions are spelled as mounts are"
        elif atom.op in {Op.HAS, Op.LACKS}:
            assert issubclass(atom.fact.kind, Members)
        elif atom.op in {Op.AT_LEAST, Op.LESS_THAN, Op.IS, Op.IS_NOT}:
            assert isinstance(atom.value, atom.fact.kind), f"{atom}: not a value of this word"
            assert isinstance(atom.value, bool) == (atom.fact.kind is bool), f"{atom}: not a value of this word"


@EACH
def test_values_in_it_are_of_their_words_kind(technique: Technique) -> None:
    for example in technique.examples:
        for fact, value in example.facts.items():
            assert of_kind(fact, value), f"{example.title}: {fact.name} = {value!r}"
    for fact, value in technique.seen_sample.items():
        assert of_kind(fact, value), f"sample: {fact.name} = {value!r}"


def of_kind(fact: Fact[Any], value: object) -> bool:
    if fact.kind is Members:
        return isinstance(value, Collection)
    if fact.kind is Paths:
        return isinstance(value, PathCollection)
    return isinstance(value, fact.kind) and isinstance(value, bool) == (fact.kind is bool)


@EACH
def test_paths_in_examples_are_normal(technique: Technique) -> None:
    for example in technique.examples:
        for value in example.facts.values():
            if isinstance(value, Paths):
                assert value.items == tuple(normal_path(item) for item in value.items)


@EACH
def test_it_gives_goals_or_facts_that_open_others(technique: Technique) -> None:
    asked = {atom.fact for other in CATALOGUE.values() for atom in atoms(other.exposed_when)}
    for change in technique.gives:
        assert change.why
        if change.fact.subject == "reach":
            assert change.fact in reach.GOALS
            assert change.value is True
        else:
            assert change.fact.subject == "container"
            assert change.fact in asked, "nothing asks the fact that it gives"


@EACH
def test_mitigations_are_facts_it_asks(technique: Technique) -> None:
    assert technique.closed_by
    asked = {atom.fact for atom in atoms(technique.exposed_when)}
    for change in technique.closed_by:
        assert change.fact in asked
        assert change.why
        assert change.why[0].islower()
    assert len({change.why for change in technique.closed_by}) == len(technique.closed_by)


@EACH
def test_its_signal_fires_on_its_sample_and_on_nothing_less(technique: Technique) -> None:
    if technique.seen_as == NEVER:
        assert not technique.seen_sample
        return
    sample = dict(technique.seen_sample)
    assert {atom.fact.subject for atom in atoms(technique.seen_as)} == {"event"}
    assert all(fact.subject == "event" for fact in sample)
    assert judged(technique.seen_as, sample) is YES
    assert judged(technique.seen_as, {}) is not YES
    asks_place = any(atom.fact is event.IN_CONTAINER for atom in atoms(technique.seen_as))
    if asks_place:
        assert judged(technique.seen_as, {**sample, event.IN_CONTAINER: False}) is not YES
    harmless = {event.IN_CONTAINER: True, event.SYSCALL: "openat", event.WRITE: True, event.FILE_KIND: "regular",
                event.PATH: "/tmp/upload", event.HOST_PATH: "/var/lib/docker/overlay2/0a/diff/tmp/upload",
                event.FILE_SYSTEM: "overlay", event.TARGET_OUTSIDE: False, event.FILE_MODE_SETUID: False}  # fmt: skip
    assert judged(technique.seen_as, harmless) is not YES, "an ordinary write to its own layer would raise an alarm"


@EACH
def test_its_page_answers_four_questions(technique: Technique) -> None:
    lines = technique.page.splitlines()
    assert lines[0].endswith(".")
    assert lines[1] == ""
    for question in (r"What happens: ", r"Why [a-z' ]+ allow(s|ed)? it: ", r"What closes it: ", r"How it looks: "):
        assert len(re.findall(f"^{question}", technique.page, re.MULTILINE)) == 1, question
    assert 8 <= len(lines) <= 26
    assert all(len(line) <= 120 for line in lines)


@EACH
def test_its_labels_are_well_formed(technique: Technique) -> None:
    assert technique.title
    assert len(technique.title) <= 80
    assert not technique.title.endswith(".")
    assert technique.attack
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", label) for label in technique.attack)
    assert isinstance(technique.drill_class, DrillClass)
    assert technique.since
    assert technique.sources
    assert all(re.fullmatch(r"https://[^\s]+", source) for source in technique.sources)
    assert len(set(technique.sources)) == len(technique.sources)


@EACH
def test_only_what_a_source_or_a_drill_shows_is_confirmed(technique: Technique) -> None:
    if technique.confirmed:
        assert technique.evidence is Evidence.SOURCE or technique.id in DRILLED
    if technique.drill_class is DrillClass.D0:
        assert technique.drill == ()


# --- what the shared conditions mean, in branches that no example walks ---------------------------------------------

WRITABLE = {
    container.HOST_PATHS_WRITABLE: Paths(("/",)),
    container.USER_ID: 1000,
    container.HOST_USER_ID: 1000,
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.LSM_DENIES: Members(),
}


@pytest.mark.parametrize(
    ("capability", "namespace", "expected"),
    [
        ("CAP_DAC_OVERRIDE", "host", YES),
        ("CAP_DAC_OVERRIDE", "private", NO),
        ("CAP_DAC_READ_SEARCH", "host", NO),
        ("CAP_NET_ADMIN", "host", NO),
    ],
)
def test_a_capability_stands_in_for_root_on_host_files(capability: str, namespace: str, expected: Truth) -> None:
    bare = {**WRITABLE, container.CAPABILITIES: Members.of(capability), container.USER_NAMESPACE: namespace}
    assert verdict("host-root-write", bare) is expected


def test_a_capability_to_read_is_enough_to_read() -> None:
    bare = {
        **WRITABLE,
        container.HOST_PATHS: Paths(("/etc",)),
        container.CAPABILITIES: Members.of("CAP_DAC_READ_SEARCH"),
    }
    assert verdict("host-root-read", bare) is YES
    assert verdict("host-root-read", {**bare, container.CAPABILITIES: Members()}) is NO


def test_capabilities_do_not_open_the_core_pattern_to_others_than_root() -> None:
    bare = {
        **WRITABLE,
        container.CAPABILITIES: Members.of("CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"),
        host.COREDUMP: True,
        host.STATIC_USERMODE_HELPER: False,
    }
    assert verdict("host-proc-core-pattern", bare) is NO
    assert verdict("host-proc-core-pattern", {**bare, container.HOST_USER_ID: 0}) is YES


@pytest.mark.parametrize(("calls", "expected"), [(("mknod",), YES), (("mknodat",), YES), ((), NO)])
def test_a_device_node_can_be_made_where_none_is(calls: tuple[str, ...], expected: Truth) -> None:
    bare = {
        **WRITABLE,
        container.USER_ID: 0,
        container.HOST_USER_ID: 0,
        container.CAPABILITIES: Members.of("CAP_MKNOD"),
        container.SYSCALLS: Members.of(*calls),
        container.DEVICES: Members(),
        container.DEVICE_ACCESS: Members.of("gpu"),
        assumed.VULNERABLE_DRIVER: True,
    }
    assert verdict("gpu-driver", bare) is expected


@pytest.mark.parametrize(
    ("permitted", "expected"), [(("/run/docker.sock",), YES), ((), NO), (("/run/other.sock",), NO)]
)
def test_the_group_of_the_socket_opens_it_to_others_than_root(permitted: tuple[str, ...], expected: Truth) -> None:
    bare = {
        **WRITABLE,
        container.HOST_PATHS: Paths(("/run/docker.sock",)),
        container.CAPABILITIES: Members(),
        container.HOST_PATHS_PERMITTED: Paths(permitted),
        engine.AUTHZ_PLUGINS: False,
    }
    assert verdict("docker-socket", bare) is expected


HARMLESS = ("/etc/localtime", "/etc/timezone", "/etc/ssl/certs", "/etc/hosts", "/srv/app", "/home/alice/project",
            "/opt/app/data", "/usr/share/zoneinfo", "/var/lib/docker/volumes/a/_data", "/var/log/app", "/run/app",
            "/dev/snd", "/var/lib/app", "/mnt/data", "/data", "/tmp/x", "/etc/nginx/conf.d")  # fmt: skip


@pytest.mark.parametrize("path", HARMLESS)
def test_a_mount_that_leads_nowhere_stays_out_of_every_path(path: str) -> None:
    """A root container with the engine's defaults; whatever reaches a goal must not rest on this mount."""
    assert reached(path) == reached("")


def reached(path: str) -> set[str]:
    mounted = Paths((path,) if path else ())
    known = facts(
        {
            container.USER_ID: 0,
            container.HOST_USER_ID: 0,
            container.USER_NAMESPACE: "host",
            container.CAPABILITIES: Members.of("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_MKNOD"),
            container.SYSCALLS: Members.of("mknod"),
            container.LSM_DENIES: Members(),
            container.APPARMOR: "none",
            container.SANDBOX: "none",
            container.SHARED_NAMESPACES: Members(),
            container.HOST_PATHS: mounted,
            container.HOST_PATHS_WRITABLE: mounted,
            container.HOST_PATHS_SUID: mounted,
            container.HOST_PATHS_SHARED: Paths(),
            container.HOST_PATHS_PERMITTED: Paths(),
            container.DEVICES: Members(),
            container.DEVICE_ACCESS: Members(),
            container.LXCFS_WRITABLE: False,
            engine.NAME: "docker",
            engine.AUTHZ_PLUGINS: False,
            engine.ROOTLESS: False,
            host.KUBELET: True,
            host.DBUS: True,
            host.CGROUP_VERSION: "v1",
            host.KERNEL_VERSION: (6, 1, 0),
            assumed.HOST_USER: False,
            network.LOCAL_SERVICES: False,
        }
    )
    return {name for name, one in CATALOGUE.items() if one.gives and prove(one.exposed_when, known).truth is YES}


DANGEROUS = {
    "/": {"host-root-write", "host-root-read", "etc-write", "docker-socket", "engine-state-write", "static-pods"},
    "/run": {"docker-socket", "containerd-socket", "systemd-bus", "systemd-units-write"},
    "/var": {"engine-state-write", "kubelet-pods", "host-root-read"},
    "/etc": {"etc-write", "static-pods", "cni-write", "systemd-units-write", "host-root-read"},
    "/usr": {"exec-dirs-write", "flexvolume-write"},
    "/opt": {"exec-dirs-write", "cni-write"},
    "/root": {"home-write", "host-root-read"},
    "/home": {"home-write"},
    "/boot": {"boot-write"},
    "/var/lib/kubelet": {"kubelet-pods", "kubelet-device-plugin", "host-root-read"},
    "/var/lib/docker": {"engine-state-write", "host-root-read"},
    "/run/docker.sock": {"docker-socket"},
}


@pytest.mark.parametrize(("path", "expected"), DANGEROUS.items())
def test_an_ancestor_counts_as_what_lies_below_it(path: str, expected: set[str]) -> None:
    assert expected <= reached(path)


def test_var_does_not_hold_the_sockets_of_run() -> None:
    assert "docker-socket" not in reached("/var")
