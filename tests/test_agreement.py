"""The draw of containers, the sums, the page; and a small agreement on real containers."""

import itertools
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from drill_made import shop
from holdfast import techniques
from holdfast.app import agreement, drill, drill_place
from holdfast.app.settings import Settings
from holdfast.drill.configurations import AXES, OF_A_PART, Offer, draw
from holdfast.drill.stand_in_paths import is_socket
from holdfast.model.agreement import Agreement
from holdfast.model.drill import Outcome
from holdfast.model.replica import Bind, Replica
from holdfast.model.truth import NO, YES
from holdfast.reason.effective.capabilities import EVERY

REPORT = shop()
PARTS = frozenset({"authorization plug-ins"})
OFFER = Offer("docker", ("runc", "crun", "runsc"), EVERY, privileged=True, bridge=True, parts=PARTS)


def test_the_same_seed_draws_the_same() -> None:
    assert draw(OFFER, 7, 80) == draw(OFFER, 7, 80)
    assert draw(OFFER, 7, 80) != draw(OFFER, 8, 80)
    assert len(draw(OFFER, 7, 5)) == 5


def test_every_pair_of_settings_is_drawn() -> None:
    """Told by the names: a value that is the default of its axis is not in a name."""
    rows = []
    for name, _ in draw(OFFER, 3, 700):
        told = {}
        for axis, values in AXES.items():
            hit = [value for value in values if f"{axis}: {value}, " in f"{name}, "]
            told[axis] = max(hit, key=len) if hit else next(iter(values))
        rows.append(told)
    seen = {frozenset(pair) for row in rows for pair in itertools.combinations(row.items(), 2)}
    wanted = {
        frozenset({(one, a), (two, b)})
        for one, two in itertools.combinations(AXES, 2)
        for a in AXES[one]
        for b in AXES[two]
    }
    assert not wanted - seen


@pytest.mark.parametrize(
    "narrow", [replace(OFFER, runtimes=(), privileged=False), replace(OFFER, capabilities=frozenset())]
)
def test_what_cannot_be_started_is_not_drawn(narrow: Offer) -> None:
    for _, replica in draw(narrow, 1, 300):
        assert not replica.privileged or narrow.privileged
        assert replica.runtime == "" or replica.runtime in narrow.runtimes
        assert replica.capabilities_added <= narrow.capabilities


@pytest.mark.parametrize("seed", range(5))
def test_what_only_this_place_can_show_is_always_drawn(seed: int) -> None:
    place = replace(OFFER, parts=frozenset(OF_A_PART))
    wanted = [binds for part in OF_A_PART.values() for note in part if (binds := mounted(note["mounts"]))]
    drawn = [replica.binds for _, replica in draw(place, seed, 6)]
    assert all(binds in drawn for binds in wanted)
    assert len(drawn) == 6
    assert [len(draw(place, seed, count)) for count in (1, 3)] == [1, 3]


def mounted(name: str) -> tuple[Bind, ...]:
    """Return the mounts of one value of the axis."""
    return AXES["mounts"][name](Replica()).binds


def test_every_folder_and_socket_that_a_host_part_acts_on_is_drawn_somewhere() -> None:
    names = {note["mounts"] for part in OF_A_PART.values() for note in part}
    sources = {bind.source for name in names for bind in mounted(name)}
    assert {"/run/systemd/private", "/run/dbus/system_bus_socket", "/etc/systemd/system"} <= sources
    assert "/usr/share/containers/oci/hooks.d" in sources


def test_gvisor_is_given_nothing_that_it_refuses() -> None:
    boxed = [replica for _, replica in draw(OFFER, 1, 400) if replica.runtime == "runsc"]
    assert boxed
    for replica in boxed:
        assert not replica.nodes
        assert not replica.namespaces
        assert not any(is_socket(bind.source) for bind in replica.binds)


def test_the_sums_and_the_page() -> None:
    found = Agreement()
    found.add("this machine", REPORT, {})
    found.add("apparmor", REPORT, {})
    whole = found.total()
    counted = [
        attempt
        for exercise in REPORT.exercises
        for attempt in exercise.attempts
        if attempt.outcome is not Outcome.NOT_ATTEMPTED and attempt.predicted is not None
    ]
    assert whole.attempts == 2 * len(counted)
    assert whole.missed == 2 * sum(a.predicted is NO and a.outcome is Outcome.ESCAPED for a in counted) > 0
    assert whole.false_yes == 2 * sum(a.predicted is YES and a.outcome is Outcome.BLOCKED for a in counted) > 0
    page, numbers = agreement.written(found, 5)
    totals = json.loads(numbers)["totals"]
    assert totals["missed"] == whole.missed
    assert totals["false"] == whole.false_yes
    assert totals["unknown"] == whole.unknown
    assert totals["attempts"] == whole.attempts
    assert totals["flavours"] == 1
    assert "NOT EXPLAINED" in page.decode()
    assert "seed 5" in page.decode()


def test_a_technique_is_confirmed_only_by_both_outcomes() -> None:
    found = Agreement()
    found.add("this machine", REPORT, {})
    for name in found.confirmed():
        tally = found.cells[name, "this machine"]
        assert tally.right_yes
        assert tally.right_no
        assert not tally.missed


@pytest.mark.root
@pytest.mark.engine
def test_a_small_agreement() -> None:
    """Twelve drawn containers, each attacked with everything; a new seed every day, told where it fails."""
    seed = int(os.environ.get("AGREEMENT_SEED", "11"))
    plan = drill.Plan((f"drawn:{seed}:12",), consent=True, explain=False)
    report = drill_place.made(plan, Settings(quiet=True), "")
    found = Agreement()
    found.add("this machine", report, agreement.STANDING)
    assert report.left == ()
    assert report.changed == ()
    assert report.stopped == ""
    assert found.total().attempts >= 400
    assert [(each.configuration, each.attempt.technique) for each in found.disagreements if not each.explained] == []


def test_every_technique_that_a_drill_confirmed_says_so() -> None:
    """``docs/agreement.json`` and the catalogue say the same of what rests on deduction."""
    path = Path(__file__).parent.parent / "docs" / "agreement.json"
    if not path.is_file():
        pytest.skip("the clone has no docs/agreement.json")
    confirmed = set(json.loads(path.read_text(encoding="utf-8"))["confirmed"])
    for technique in techniques.load().values():
        if technique.evidence.value in {"K", "D"}:
            assert technique.confirmed is (technique.id in confirmed), technique.id
