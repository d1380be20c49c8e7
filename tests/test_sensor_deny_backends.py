"""Which back end is in force, and what is said of it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from holdfast.app import watch_check
from holdfast.model.errors import NotPermitted, NotReachable
from holdfast.sensor import backends
from holdfast.sensor.canary import Proof
from holdfast.sensor.deny import Grade
from holdfast.sensor.deny_hooks import HOOKS, lacking
from holdfast.sensor.deny_rules import NOT_DENIABLE, Kind, rules
from holdfast.techniques import load

CATALOGUE = load()


class Made:
    """In place of the programs, which a test cannot have the kernel refuse at will."""

    made: list[Grade]
    closed: list[Grade]

    def __init__(self, grade: Grade, *_: object) -> None:
        self.grade, self.missing = grade, ("sb_mount",)
        self.made.append(grade)

    def close(self) -> None:
        """Note it."""
        self.closed.append(self.grade)


def refused(*_: object) -> None:
    """Stand for a kernel that allows no programs for control groups either."""
    raise NotPermitted("The kernel refuses", "bpf(2)")


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> type[Made]:
    """Pretend that every program loads."""
    Made.made, Made.closed = [], []
    monkeypatch.setattr(backends, "Denier", Made)
    monkeypatch.setattr(backends, "GroupDenier", refused)
    monkeypatch.setattr(backends, "security_modules", lambda: ("landlock", "bpf"))
    return Made


def proving(monkeypatch: pytest.MonkeyPatch, *grades: Grade) -> None:
    """Let the canary be refused by these only."""
    monkeypatch.setattr(backends, "prove", lambda one: Proof(one.grade in grades, one.grade in grades, "as told"))


def test_the_kernels_own_way_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    proving(monkeypatch, Grade.LSM, Grade.FMOD_RET)
    assert backends.choose(CATALOGUE).grade is Grade.LSM
    assert Made.made == [Grade.LSM]


def test_a_back_end_that_does_nothing_is_taken_down_and_the_next_one_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    proving(monkeypatch, Grade.FMOD_RET)
    found = backends.choose(CATALOGUE)
    assert found.grade is Grade.FMOD_RET
    assert Made.closed == [Grade.LSM]
    assert found.passed_by == ("lsm: as told",)


def test_a_kernel_that_was_booted_without_it_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "security_modules", lambda: ("landlock", "apparmor"))
    proving(monkeypatch, Grade.LSM, Grade.FMOD_RET)
    found = backends.choose(CATALOGUE)
    assert found.grade is Grade.FMOD_RET
    assert Made.made == [Grade.FMOD_RET]
    assert "landlock,apparmor" in found.passed_by[0]


def test_nothing_stays_in_force_that_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    proving(monkeypatch)
    found = backends.choose(CATALOGUE)
    assert (found.grade, found.denier, found.proof.enforced) == (Grade.NONE, None, False)
    assert Made.closed == [Grade.LSM, Grade.FMOD_RET]


def test_a_refusal_to_load_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NotPermitted("refused\nwith a long log")

    monkeypatch.setattr(backends, "Denier", refuse)
    found = backends.choose(CATALOGUE)
    assert found.passed_by == ("lsm: refused", "fmod_ret: refused")


def test_a_canary_that_cannot_fly_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(_: object) -> Proof:
        raise OSError("no room")

    monkeypatch.setattr(backends, "prove", fall)
    with pytest.raises(OSError, match="no room"):
        backends.choose(CATALOGUE)
    assert Made.closed == Made.made == [Grade.LSM]


@pytest.mark.parametrize("grade", Grade)
def test_every_technique_is_accounted_for(monkeypatch: pytest.MonkeyPatch, grade: Grade) -> None:
    proving(monkeypatch, grade)
    found = backends.check(CATALOGUE)
    assert found.grade is grade
    assert found.techniques.keys() == CATALOGUE.keys()
    assert Made.closed == Made.made
    for name, one in found.techniques.items():
        assert one.deniable or one.why, name
        assert not (one.deniable and name in NOT_DENIABLE)
    assert any(one.deniable for one in found.techniques.values()) == (grade is not Grade.NONE)
    assert found.blind
    assert (grade is Grade.LSM) == (not [what for what, _ in found.troubles if "lsm" in what or "denied" in what])
    assert all(what and to_do for what, to_do in found.troubles)


def test_what_is_wrong_with_a_machine_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent() -> None:
        raise NotReachable("libbpf is not installed", "libbpf.so.1", "install it")

    lockdown = tmp_path / "lockdown"
    lockdown.write_text("none [integrity] confidentiality\n")
    proving(monkeypatch)
    monkeypatch.setattr(backends, "_LOCKDOWN", lockdown)
    monkeypatch.setattr(backends, "_BTF", tmp_path / "absent")
    monkeypatch.setattr(backends, "library", absent)
    monkeypatch.setattr(backends.os, "geteuid", lambda: 1000)
    said = " ".join(what for what, _ in backends.check(CATALOGUE).troubles)
    for word in ("not root", "no BTF", "libbpf is not installed", "integrity", "Nothing can be denied"):
        assert word in said


def test_an_old_libbpf_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclasses.dataclass
    class Old:
        version = "v0.8"

    proving(monkeypatch, Grade.LSM)
    monkeypatch.setattr(backends, "library", Old)
    assert any("v0.8 is too old" in what for what, _ in backends.check(CATALOGUE).troubles)


def test_the_modules_are_read_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    file = tmp_path / "lsm"
    assert backends.security_modules(file) is None
    file.write_text("lockdown,capability,bpf")
    assert backends.security_modules(file) == ("lockdown", "capability", "bpf")


@pytest.mark.root
def test_what_is_in_force_here_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = backends.check(CATALOGUE)
    assert found.proof.enforced == (found.grade is not Grade.NONE)
    assert found.proof.why
    assert found.grade is Grade.LSM or found.passed_by
    by_group = {name for name, one in found.techniques.items() if one.why.startswith("by control groups")}
    assert bool(by_group) == found.groups
    assert not found.groups or found.grade is Grade.NONE
    if found.groups:
        assert {"core-pattern", "metadata-credentials", "mknod-assist"} <= by_group
        assert "host-root-write" not in by_group
        assert found.techniques["core-pattern"].partly
        assert not found.techniques["metadata-credentials"].partly


def test_a_hook_that_a_kernel_lacks_leaves_what_needs_it_undenied(monkeypatch: pytest.MonkeyPatch) -> None:
    proving(monkeypatch, Grade.LSM)
    found = backends.check(CATALOGUE)
    assert found.missing == ("sb_mount",)
    lost = {name: one for name, one in found.techniques.items() if "sb_mount" in one.why}
    assert "proc-remount" in lost
    assert not any(one.deniable for one in lost.values())
    assert found.techniques["metadata-credentials"].deniable


def test_every_hook_that_is_needed_is_one_of_the_programs() -> None:
    text = (Path(backends.__file__).parent / "bpf" / "deny.bpf.c").read_text(encoding="ascii")
    programs = {function for _, function in re.findall(r"^DENY\((\w+), (\w+), \w+\)", text, re.MULTILINE)}
    assert set(HOOKS) == set(Kind)
    for technique in CATALOGUE.values():
        needed = lacking(technique, programs)
        assert bool(needed) == bool(rules(technique)), technique.id
    assert {hook for hooks in HOOKS.values() for hook in hooks} <= programs


def test_what_is_pinned_is_shown_with_the_way_to_let_it_go(monkeypatch: pytest.MonkeyPatch) -> None:
    proving(monkeypatch, Grade.LSM)
    assert b"pinned" not in watch_check.written(backends.check(CATALOGUE), verbose=False)
    monkeypatch.setattr(backends.deny_pins, "pinned", lambda: ("lsm_file_open", "lsm_sb_mount"))
    told = watch_check.written(backends.check(CATALOGUE), verbose=False).decode()
    assert "pinned: 2 programs deny, whether or not a sensor runs: lsm_file_open lsm_sb_mount\n" in told
    assert "holdfast watch --unpin" in told
    assert "this kernel lacks the hook sb_mount" in told
