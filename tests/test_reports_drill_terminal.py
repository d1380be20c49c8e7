import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill_made import (
    ASKED,
    CACHE,
    DEFAULT,
    EMPTY,
    FORTY,
    MISSED,
    NOT_TRIED,
    RESTRICTED,
    STOPPED,
    TECHNIQUES,
    WEB,
    WORKED,
    broken,
    held,
    shop,
)
from holdfast.model.drill import DrillReport, Layer, Outcome, StepAnswer
from holdfast.model.replica import Bind, Replica
from holdfast.model.technique import DrillClass, ProvedBy
from holdfast.model.truth import UNKNOWN
from holdfast.reports import drill_terminal
from holdfast.reports._drill_told import took
from holdfast.reports._lines import columns
from holdfast.reports._words import Words

DATA = Path(__file__).parent / "data" / "reports"
BUT = "the only attempt did not escape, but not everything could be tried"
WRONG = "1 worked that no prediction allows"
SGR = re.compile(r"\x1b\[[0-9;]*m")


def plain(report, **options):
    return drill_terminal.render(report, **{"colour": False, "width": 0, "techniques": TECHNIQUES, **options}).decode()


@pytest.mark.parametrize(
    ("name", "report", "options"),
    [
        ("drill-80.txt", shop(), {"width": 80}),
        ("drill.txt", shop(), {}),
        ("drill-broken-60.txt", broken(), {"width": 60}),
        ("drill-held-verbose.txt", held(), {"verbose": True, "width": 80}),
    ],
)
def test_the_snapshots(name, report, options):
    assert plain(report, **options) == (DATA / name).read_text()


def rows(out):
    """Return the first word of every row of a table."""
    return [each.split()[0] for each in out.splitlines() if re.match(r"  \S.*  (ESCAPED|worked|blocked)  ", each)]


def test_what_was_missed_comes_first_then_escapes_then_false_alarms():
    assert rows(plain(shop()))[:6] == [
        "remount-proc-sys", "docker-socket", "cgroup-release-agent", "packet-socket", "keyring-search", "17",
    ]  # fmt: skip


def test_a_disagreement_is_told_in_words():
    out = plain(shop()).splitlines()
    assert "    MISSED: predicted no, but it worked" in out
    assert "    MISSED: predicted no, but it escaped" in plain(shop(), techniques=None).splitlines()
    assert "    predicted, but stopped: mount cgroup at /tmp/c with options rdma -> EPERM" in out
    bare = replace(STOPPED, steps=())
    assert "    predicted, but stopped" in plain(DrillReport((replace(CACHE, attempts=(bare,)),))).splitlines()


def test_an_escape_names_its_proof_and_the_change_that_ends_it():
    out = plain(shop())
    assert "    proof: a listener on the host's side heard the attempt's token\n    fix: do not mount the engine" in out
    assert "run the engine without root" not in out
    assert "    fix: run the engine without root" in plain(shop(), verbose=True)
    assert "fix:" not in plain(shop(), techniques=None)


def test_forty_rows_that_agree_are_a_few_lines_and_name_every_technique():
    out = plain(held(), verbose=False)
    forty = plain(replace(held(), exercises=(replace(CACHE, attempts=FORTY),)), width=80)
    assert len(forty.splitlines()) == 25
    assert all(each.technique in forty for each in FORTY)
    assert rows(forty) == ["17", "12", "11"]
    assert rows(out) == ["technique-00", "technique-01", "technique-02"]


@pytest.mark.parametrize(
    ("layers", "together", "said"),
    [
        ((), False, "not found out"),
        ((Layer.LSM,), False, "LSM"),
        ((Layer.LSM,), True, "LSM"),
        ((Layer.LSM, Layer.SECCOMP, Layer.LSM), True, "seccomp, LSM (each alone)"),
        ((Layer.LSM, Layer.SECCOMP), False, "seccomp, LSM (only together)"),
    ],
)
def test_layers_say_how_they_stand_together(layers, together, said):
    attempt = replace(FORTY[0], blocked_by=layers, together=together)
    out = plain(DrillReport((replace(CACHE, attempts=(attempt,)),)))
    assert re.search(rf"^  technique-00  no         blocked    {re.escape(said)} +-$", out, re.MULTILINE)


def test_what_a_sensor_saw_stands_in_its_column_and_parts_the_groups():
    seen = tuple(replace(each, detected="mount refused") for each in FORTY[:7])
    out = plain(DrillReport((replace(CACHE, attempts=(*seen, *FORTY[7:])),)))
    assert out.count("mount refused\n") == 3
    assert "detected" in out


def test_what_was_not_attempted_is_summed_up_by_reason():
    skipped = tuple(replace(NOT_TRIED, technique=f"t{n}", predicted=UNKNOWN) for n in range(3))
    out = plain(DrillReport((replace(CACHE, attempts=(*FORTY[:1], *skipped, NOT_TRIED)),)))
    assert "  not attempted: 4\n    it changes a setting of the whole machine; run it with --vm (4)\n" in out
    assert "      t0, t1, t2, core-pattern (predicted yes)\n" in out
    plainly = replace(NOT_TRIED, reason="", drill_class=DrillClass.D3)
    assert "    no reason was given (1)\n" in plain(DrillReport((replace(CACHE, attempts=(plainly,)),)))
    never = replace(NOT_TRIED, reason="", drill_class=DrillClass.D0)
    mixed = replace(NOT_TRIED, reason="", drill_class=DrillClass.D1)
    assert "    no reason was given (2)\n" in plain(DrillReport((replace(CACHE, attempts=(never, mixed)),)))


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (RESTRICTED, "  held  restricted container  40 attempts, none worked"),
        (DEFAULT, "  held  default container  21 attempts, 1 worked as predicted"),
        (
            replace(RESTRICTED, attempts=(MISSED, ASKED)),
            f"  DID NOT HOLD  {RESTRICTED.name}  2 attempts, {WRONG}, 1 worked as predicted",
        ),
        (
            replace(RESTRICTED, attempts=(replace(ASKED, predicted=UNKNOWN),)),
            "  DID NOT HOLD  restricted container  1 attempt, 1 worked that no prediction allows",
        ),
        (
            replace(RESTRICTED, attempts=(replace(ASKED, predicted=None),)),
            "  DID NOT HOLD  restricted container  1 attempt, 1 worked that no prediction allows",
        ),
        (replace(RESTRICTED, attempts=()), "  NOT TRIED  restricted container  nothing was attempted"),
        (replace(RESTRICTED, trouble="lost"), "  NOT TRIED  restricted container  40 attempts, none worked (lost)"),
    ],
)
def test_a_control_is_one_line(control, said):
    assert said in plain(replace(held(), controls=(control,))).splitlines()


def test_a_control_that_did_not_hold_shows_its_rows():
    out = plain(broken())
    control = out[out.index("\ncontrols\n") :]
    assert "  remount-proc-sys  no         worked     -" in control
    assert "technique-00" not in control
    assert "1 CONTROL DID NOT HOLD" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (held(), "verdict: all 3 attempts were blocked"),
        (EMPTY, "verdict: nothing was attempted, so nothing is shown"),
        (replace(held(), controls=()), "verdict: all 3 attempts were blocked; no control was tried"),
        (
            replace(held(), controls=(RESTRICTED, replace(DEFAULT, attempts=()))),
            "verdict: all 3 attempts were blocked; not every control was tried",
        ),
        (
            replace(held(), stopped="interrupted"),
            "verdict: none of 3 attempts escaped, but not everything could be tried; the drill ended early",
        ),
        (
            replace(held(), exercises=(replace(CACHE, trouble="lost"),)),
            "verdict: none of 3 attempts escaped, but not everything could be tried; 1 target was not tried to the end",
        ),
        (
            replace(held(), exercises=(replace(CACHE, attempts=(FORTY[0], NOT_TRIED)),)),
            f"verdict: {BUT}; 1 way out was predicted but not attempted",
        ),
        (
            replace(held(), exercises=(replace(CACHE, attempts=FORTY[:1]),), left=("x",)),
            "verdict: the only attempt was blocked; THE DRILL DID NOT LEAVE THE MACHINE AS IT WAS",
        ),
    ],
)
def test_the_last_line_is_the_verdict_and_never_says_more_than_was_shown(report, said):
    assert plain(report).splitlines()[-1] == said


def test_what_works_and_leads_nowhere_is_no_escape():
    one = replace(held(), exercises=(replace(CACHE, attempts=(WORKED, FORTY[0])),))
    out = plain(one).splitlines()
    assert "  packet-socket  yes        worked     -           -" in out
    assert "    no way out by itself: it opens others, or widens the attack surface" in out
    assert out[-1] == "verdict: none of 2 attempts escaped; 1 worked that is no way out by itself"
    unknown = plain(one, techniques=None).splitlines()
    assert "  packet-socket  yes        ESCAPED    -           -" in unknown
    assert unknown[-1] == "verdict: 1 of 2 attempts escaped; 1 of them shown by the kernel's answer alone"


def test_only_a_drill_without_any_doubt_ends_in_green():
    def style(report):
        return drill_terminal.render(report, colour=True, width=0).decode().splitlines()[-1].split("m")[0]

    green = style(held())
    assert green == "\x1b[32"
    for doubt in (
        {"controls": ()}, {"stopped": "x"}, {"left": ("x",)}, {"changed": ("x",)}, {"exercises": (WEB,)},
        {"exercises": ()}, {"exercises": (replace(CACHE, attempts=(WORKED,)),)},
        {"controls": (replace(RESTRICTED, trouble="x"),)},
    ):  # fmt: skip
        assert style(replace(held(), **doubt)) != green


def test_traces_are_told_in_loud_words():
    out = plain(broken())
    assert "\nTHE STATE OF THE KERNEL IS NOT WHAT IT WAS BEFORE THE DRILL:\n  kernel.core_pattern was 'core'" in out
    assert "\nLEFT BEHIND, REMOVE BY HAND:\n  container holdfast-3f2a" in out
    assert "\nTHE DRILL ENDED EARLY: interrupted\n" in out
    assert not re.search(r"BEHIND|STATE|EARLY|NOT HOLD", plain(shop()))


def test_a_drill_of_nothing_says_so():
    assert plain(EMPTY) == (
        "drill: 0 attempts on 0 targets, this machine, 0.0 s\n\nverdict: nothing was attempted, so nothing is shown\n"
    )


def test_verbose_shows_every_step_with_its_answer():
    out = plain(shop(), verbose=True)
    assert "      2. mount cgroup at /tmp/c with options rdma -> EPERM\n" in out
    assert out.count(" -> EACCES\n") == 40 + 3 + 20 + 40
    assert "  replica: docker, image with nothing but the probe, privileged, network none\n" in out
    assert " -> EACCES" not in plain(shop())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (3599.7, "1 h 0 min"),
        (7325, "2 h 2 min"), (float("nan"), "-"), (float("inf"), "-"),
    ],
)  # fmt: skip
def test_a_duration_is_told_in_two_units(seconds, said):
    assert took(seconds, Words()) == said


def test_colour_is_sgr_alone_and_says_the_same():
    for width in (0, 80):
        out = drill_terminal.render(shop(), colour=True, width=width, techniques=TECHNIQUES).decode()
        assert "\x1b[" in out
        assert SGR.sub("", out).split() == plain(shop(), width=width).split()
    assert SGR.sub("", drill_terminal.render(held(), colour=True, width=0).decode()) == plain(held())


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("width", [40, 80])
def test_lines_keep_to_the_width(colour, width):
    wide = replace(WEB, name="容器" * 30, attempts=(replace(MISSED, technique="容" * 50, detected="x" * 90), *FORTY))
    for report in (broken(), DrillReport((wide,))):
        out = SGR.sub("", drill_terminal.render(report, colour=colour, width=width, verbose=True).decode())
        assert max(columns(each) for each in out.splitlines()) <= width


hostile = st.text(alphabet=st.characters(), max_size=20)


@settings(max_examples=60, deadline=None)
@given(hostile, hostile, st.booleans(), st.sampled_from([0, 30, 80]))
def test_no_foreign_text_writes_a_control_byte(name, note, colour, width):
    attempt = replace(
        STOPPED, technique=name, title=note, way=name, reason=note, detected=name, steps=(StepAnswer(name, note, name),)
    )
    out_of_it = replace(attempt, outcome=Outcome.ESCAPED, proved_by=ProvedBy.READ)
    skipped = replace(attempt, outcome=Outcome.NOT_ATTEMPTED)
    replica = Replica(
        name, note, name, note, (name,), frozenset({note}), seccomp=name, apparmor=note, selinux=(name,),
        sysctls=((name, note),), binds=(Bind(name, note),), device_rules=(note,),
    )  # fmt: skip
    one = replace(WEB, name=name, kind=note, source=name, replica=replica, differs=(note,), trouble=name)
    one = replace(one, attempts=(attempt, out_of_it, skipped))
    report = DrillReport((one,), (one,), (name,), (note,), (name,), note, name, note, 1.0, 1.0, name)
    raw = drill_terminal.render(report, colour=colour, width=width, verbose=True, techniques=TECHNIQUES)
    out = SGR.sub("", raw.decode("utf-8")) if colour else raw.decode("utf-8")
    assert all(char == "\n" or char.isprintable() or char in "\u00a0\u3000" for char in out)


def test_a_name_cannot_forge_lines():
    forged = replace(CACHE, name="web\nverdict: all 3 attempts were blocked\x1b[2J\u202e")
    out = plain(replace(held(), exercises=(forged,)))
    assert "web\\x0averdict: all 3 attempts were blocked\\x1b[2J\\u202e" in out
    assert len([each for each in out.splitlines() if each.startswith("verdict:")]) == 1
