import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill_made import (
    ALL,
    ASKED,
    CACHE,
    EMPTY,
    FORTY,
    MISSED,
    RESTRICTED,
    STOPPED,
    TECHNIQUES,
    UNTRIED,
    WEB,
    WORKED,
    broken,
    held,
    shop,
)
from holdfast.model.drill import DrillReport, Outcome, StepAnswer
from holdfast.model.truth import NO
from holdfast.reports import drill_junit

RESULTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def read(report, **options):
    return ET.fromstring(drill_junit.render(report, **{"techniques": TECHNIQUES, **options}))


def suite(root, name):
    (found,) = (each for each in root if each.get("name") == name)
    return found


def case(root, target, name):
    (found,) = (each for each in suite(root, target).iter("testcase") if each.get("name") == name)
    return found


@pytest.mark.parametrize("report", ALL.values(), ids=ALL)
def test_the_counts_are_those_of_the_cases(report):
    root = read(report)
    assert root.tag == "testsuites"
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        assert int(element.get("tests")) == len(cases)
        for key, tag in RESULTS.items():
            assert int(element.get(key)) == len(list(element.iter(tag)))
        for each in cases:
            assert len([child for child in each if child.tag in RESULTS.values()]) <= 1
            assert re.fullmatch(r"\d+\.\d{3}", each.get("time"))
    made = len(report.exercises) + len(report.controls)
    assert [each.tag for each in root] == ["testsuite"] * (made + 1)


def test_an_escape_is_a_failure_with_proof_steps_and_what_ends_it():
    (failure,) = case(read(shop()), "web", "docker-socket")
    assert failure.tag == "failure"
    assert failure.get("type") == "escaped"
    assert failure.get("message") == "it escaped: a listener on the host's side heard the attempt's token"
    lines = failure.text.splitlines()
    assert "1. connect /run/docker.sock -> ok" in lines
    assert lines[-2:] == ["ended by: do not mount the engine's socket", "ended by: run the engine without root"]
    assert "ended by" not in case(read(shop(), techniques=None), "web", "docker-socket")[0].text


def test_a_missed_one_is_told_apart():
    (failure,) = case(read(shop()), "web", "remount-proc-sys")
    assert failure.get("type") == "missed"
    assert "MISSED: predicted no, but it worked" in failure.text.splitlines()


def test_what_works_and_leads_nowhere_passes_where_it_was_predicted():
    one = DrillReport((replace(CACHE, attempts=(WORKED, replace(WORKED, predicted=NO))),))
    passed, failed = read(one)[0].iter("testcase")
    assert [each.tag for each in passed] == ["system-out"]
    assert "no way out by itself: it opens others, or widens the attack surface" in passed[0].text
    assert failed[0].get("type") == "missed"
    assert read(one, techniques=None)[0].get("failures") == "2"


def test_what_was_stopped_passes_and_says_by_what():
    root = read(shop())
    (out,) = case(root, "web", "cgroup-release-agent")
    assert out.tag == "system-out"
    assert "blocked by: seccomp, LSM (each alone)" in out.text.splitlines()
    assert "predicted, but stopped: mount cgroup at /tmp/c with options rdma -> EPERM" in out.text
    assert case(root, "web", "technique-00").get("classname") == "web"


def test_what_was_not_attempted_is_skipped_with_its_reason():
    root = read(shop())
    (skipped,) = case(root, "web", "core-pattern")
    assert (skipped.tag, skipped.get("message")) == (
        "skipped",
        "it changes a setting of the whole machine; run it with --vm",
    )
    assert case(root, "web", "exec-race")[0].get("message") == "it is never run"


def test_a_control_fails_only_where_nobody_predicted_it():
    root = read(shop())
    assert suite(root, "default container").get("failures") == "0"
    failing = read(replace(shop(), controls=(replace(RESTRICTED, attempts=(MISSED, ASKED)),)))
    assert suite(failing, RESTRICTED.name).get("failures") == "1"
    (failure,) = case(failing, RESTRICTED.name, "remount-proc-sys")
    assert failure.get("message").startswith("a control did not hold: it worked: the kernel's answer")


def test_a_lost_replica_is_an_error_and_one_that_was_not_tried_is_skipped():
    root = read(broken())
    (error,) = case(root, "db", "the replica")
    assert (error.tag, error.get("message")) == ("error", "the image is not there: postgres:16")
    assert suite(root, "default container").get("errors") == "1"
    (skipped,) = case(read(UNTRIED), "cache", "the replica")
    assert (skipped.tag, skipped.get("message")) == ("skipped", "nothing was attempted")


def test_a_machine_that_was_not_left_as_it_was_is_a_failure():
    root = read(broken())
    machine = suite(root, "the machine")
    assert (machine.get("failures"), machine.get("errors")) == ("2", "1")
    assert "kernel.core_pattern was 'core'" in ET.tostring(machine, "unicode")
    (error,) = case(root, "the machine", "the drill came to its end")
    assert error.get("message") == "interrupted"
    assert suite(read(shop()), "the machine").get("failures") == "0"


def test_a_drill_of_nothing_says_in_a_skipped_case_that_it_shows_nothing():
    root = read(EMPTY)
    assert (root.get("tests"), root.get("skipped"), root.get("failures")) == ("3", "1", "0")


def test_place_kernel_and_time_stand_in_every_suite():
    for each in read(shop()):
        told = {entry.get("name"): entry.get("value") for entry in each.find("properties")}
        assert told["place"] == "this machine"
        assert told["kernel"] == "6.1.0-30-cloud-amd64"
        assert each.get("timestamp") == "2026-09-21T14:13:20"
        assert each[0].tag == "properties"
    assert all(each.get("timestamp") is None for each in read(EMPTY))


@pytest.mark.parametrize("at", [float("nan"), float("inf"), 1e300, -1.0])
def test_a_time_that_is_none_is_left_out(at):
    root = read(replace(held(), at=at, seconds=at, exercises=(replace(CACHE, attempts=(FORTY[0],)),)))
    assert root[0].get("timestamp") is None


hostile = st.text(alphabet=st.characters(), max_size=20)


@settings(max_examples=100, deadline=None)
@given(hostile, hostile)
def test_whatever_others_wrote_the_document_is_xml(name, note):
    attempt = replace(
        STOPPED, technique=name, title=note, way=name, reason=note, detected=name, steps=(StepAnswer(name, note, name),)
    )
    out = replace(attempt, outcome=Outcome.ESCAPED)
    skipped = replace(attempt, outcome=Outcome.NOT_ATTEMPTED)
    one = replace(WEB, name=name, kind=note, source=name, trouble=note, attempts=(attempt, out, skipped))
    report = DrillReport((one,), (one,), (name,), (note,), (name,), note, name, note, 1.0, 1.0, name)
    raw = drill_junit.render(report)
    assert {each.tag for each in ET.fromstring(raw).iter()} <= {
        "testsuites", "testsuite", "testcase", "properties", "property", "failure", "error", "skipped", "system-out",
    }  # fmt: skip
    assert all(char == "\n" or char.isprintable() or char in "\u00a0\u3000" for char in raw.decode("utf-8"))


def test_a_name_cannot_leave_its_place():
    forged = replace(CACHE, name='"/><testcase name="x">\x00\ufffe]]>')
    root = read(DrillReport((forged,)))
    assert root[0].get("name") == '"/><testcase name="x">\\x00\\ufffe]]>'
    assert len(list(root[0].iter("testcase"))) == 3
