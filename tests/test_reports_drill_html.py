import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill_made import ALL, CACHE, FAILING, FORTY, RESTRICTED, STOPPED, TECHNIQUES, WEB, broken, held, shop
from holdfast.model.drill import DrillReport, Outcome, StepAnswer
from holdfast.model.replica import Bind, Replica
from holdfast.model.technique import ProvedBy
from holdfast.reports import drill_html
from test_reports_html import Page


def source(report, **options):
    return drill_html.render(report, **{"techniques": TECHNIQUES, **options}).decode("utf-8")


def read(report):
    return Page(source(report))


REPORTS = pytest.mark.parametrize("report", ALL.values(), ids=ALL)


@REPORTS
def test_it_is_well_formed_and_nothing_is_loaded(report):
    text = source(report)
    page = Page(text)
    policy = page.of("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith("default-src 'none'; ")
    assert "unsafe" not in policy["content"]
    for kind in ("style", "script"):
        (inside,) = re.findall(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = b64encode(sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy["content"]
        assert "http" not in inside
        assert "url(" not in inside
        assert "@import" not in inside
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(set(ids)) == len(ids)
    assert all(attrs["href"].removeprefix("#") in ids for attrs in page.of("a"))
    for tag, attrs in page.elements:
        assert tag not in {"img", "iframe", "object", "embed", "form", "base", "video", "audio"}
        assert not [name for name in attrs if name.startswith("on") or name in {"style", "src", "srcset"}]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_attempt_stands_in_a_table_worst_first():
    text = source(shop())
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    names = [re.findall(r'role="rowheader">([^<]+)<', table) for table in tables]
    assert names[0] == ["remount-proc-sys", "docker-socket", "cgroup-release-agent", "packet-socket", "keyring-search"]
    assert sorted(names[1]) == [each.technique for each in FORTY]
    for table in tables:
        assert "<caption" in table
        assert table.count('role="columnheader"') == 5
    assert "Not attempted: 2" in text
    assert "core-pattern (predicted yes)" in text


def test_a_row_holds_proof_steps_and_what_ends_it():
    text = source(shop())
    row = text[text.index(">docker-socket<") : text.index(">cgroup-release-agent<")]
    for said in (
        "ESCAPED", "proof: a listener on the host&#x27;s side heard", "do not mount the engine&#x27;s socket",
        "run the engine without root", "send GET /_ping", "tried: ask the engine",
    ):  # fmt: skip
        assert said in row
    missed = text[text.index(">remount-proc-sys<") : text.index(">docker-socket<")]
    assert "MISSED: predicted no, but it worked" in missed
    assert "run the engine without root" not in source(shop(), techniques=None)


def test_a_failing_control_is_open_and_a_held_one_is_not():
    text = source(replace(shop(), controls=(FAILING, RESTRICTED)))
    controls = re.findall(r'<details class="more control"( open)?><summary><span class="badge \w+">([^<]+)<', text)
    assert controls == [(" open", "DID NOT HOLD"), ("", "held")]


def test_traces_and_an_early_end_come_before_the_targets():
    text = source(broken())
    targets = text.index('id="targets"')
    for said in ("kernel.core_pattern was", "container holdfast-3f2a", "THE DRILL ENDED EARLY: interrupted"):
        assert text.index(said) < targets
    assert 'class="loud"' not in source(shop())


def test_the_verdict_has_the_colour_of_what_was_shown():
    assert '<p class="verdict contained">verdict: all 3 attempts were blocked</p>' in source(held())
    assert '<p class="verdict escapable">verdict: 1 of 48 attempts escaped;' in source(shop())
    assert '<p class="verdict unknown">verdict: nothing was attempted' in source(DrillReport(()))


hostile = st.text(alphabet=st.characters(), max_size=20) | st.sampled_from(
    ["<script>alert(1)</script>", "\"'><b x=", "</style>", "</script>", "<!--", "]]>", "&lt;", "\u202e\x1b[31m"]
)


@settings(max_examples=80, deadline=None)
@given(hostile, hostile)
def test_foreign_text_stays_text(name, note):
    attempt = replace(
        STOPPED, technique=name, title=note, way=name, reason=note, detected=name, steps=(StepAnswer(name, note, name),)
    )
    attempts = (
        attempt,
        replace(attempt, outcome=Outcome.ESCAPED, proved_by=ProvedBy.READ),
        replace(attempt, outcome=Outcome.NOT_ATTEMPTED),
    )
    replica = Replica(name, note, name, note, (name,), seccomp=name, apparmor=note, binds=(Bind(name, note),))
    one = replace(WEB, name=name, kind=note, source=name, replica=replica, differs=(note,), trouble=name)
    one = replace(one, attempts=attempts)
    plain = replace(one, name="a", kind="b", source="c", replica=Replica("d", "e", "f", "g", ("h",), seccomp="i",
                    apparmor="j", binds=(Bind("k", "l"),)), differs=("m",), trouble="n")  # fmt: skip

    def report(exercise):
        return DrillReport((exercise,), (exercise,), ("x",), ("y",), ("z",), name, note, name, 1.0, 1.0, note)

    text = source(report(one))
    page = Page(text)
    assert all(char == "\n" or char.isprintable() or char in "\u00a0\u3000" for char in text)
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in Page(source(report(plain))).elements} | {"p"}
    assert len(page.of("script")) == 1


def test_a_thousand_attempts_are_written_quickly_and_no_name_is_lost():
    many = tuple(replace(FORTY[0], technique=f"t{n}") for n in range(1000))
    text = source(DrillReport((replace(CACHE, attempts=many),)))
    assert all(f">t{n}<" in text for n in range(1000))
