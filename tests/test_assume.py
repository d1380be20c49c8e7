"""Answers that a person gives: which facts, which values, and that what was seen is never overruled."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_program import MODULE_POD, SOCKET_POD, holdfast, scanned
from holdfast.app.assume import _CHOICES, assumable, assumptions
from holdfast.model.errors import Usage
from holdfast.model.truth import NO, YES
from holdfast.model.values import Members, Paths
from holdfast.model.words import assumed, container, engine, host


@pytest.mark.parametrize(
    "text", ["operator_exec", "operator_exec=yes", "assumed.operator_exec=TRUE", " operator_exec = on"]
)
def test_an_assumption_is_yes_unless_it_says_otherwise(text):
    assert assumptions([text]).value(assumed.OPERATOR_EXEC) is True


@pytest.mark.parametrize("text", ["operator_exec=no", "operator_exec=0", "operator_exec=Off"])
def test_an_assumption_can_be_no(text):
    assert assumptions([text]).value(assumed.OPERATOR_EXEC) is False


@pytest.mark.parametrize(
    ("text", "fact", "value"),
    [
        ("host.cgroup_version=v2", host.CGROUP_VERSION, "v2"),
        ("host.coredump", host.COREDUMP, True),
        ("host.kernel_version=6.1.90", host.KERNEL_VERSION, (6, 1, 90)),
        ("engine.containerd_version=1.6", engine.CONTAINERD_VERSION, (1, 6)),
        ("host.yama_ptrace_scope=2", host.YAMA_PTRACE_SCOPE, 2),
        ("container.user_id=1000", container.USER_ID, 1000),
        ("container.capabilities=sys_admin,CAP_BPF", container.CAPABILITIES, Members.of("CAP_SYS_ADMIN", "CAP_BPF")),
        ("container.host_group_ids=0,6", container.HOST_GROUP_IDS, Members.of(0, 6)),
        ("container.devices=block, mem", container.DEVICES, Members.of("block", "mem")),
        ("container.host_paths=/var/run/docker.sock,/srv/", container.HOST_PATHS, Paths(("/run/docker.sock", "/srv"))),
    ],
)  # fmt: skip
def test_every_plain_fact_of_the_vocabulary_can_be_answered(text, fact, value):
    assert assumptions([text]).value(fact) == value


def test_a_set_that_is_assumed_is_closed():
    devices = assumptions(["container.devices=block"]).value(container.DEVICES)
    assert (devices.has("block"), devices.has("mem")) == (YES, NO)
    assert assumptions(["container.devices="]).value(container.DEVICES).has("block") is NO


@pytest.mark.parametrize(
    "text",
    [
        "operator_exec=perhaps", "host.cgroup_version=2", "host.cgroup_version=", "host.lockdown=yes",
        "container.user_id=root", "host.kernel_version=six", "host.kernel_version=", "container.host_paths=relative",
        "container.sandbox=gVisor", "engine.name=", "host.packages=1.2", "host.socket_permissions=1",
        "reach.host_root", "event.write", "declared.privileged=yes", "observed.user_id=0", "", "=", "nonsense",
    ],
)  # fmt: skip
def test_what_cannot_be_an_answer_is_a_wrong_call(text):
    with pytest.raises(Usage) as caught:
        assumptions([text])
    assert caught.value.where == "--assume"
    assert caught.value.next


def test_an_unknown_fact_names_the_nearest_and_what_no_scan_can_see():
    with pytest.raises(Usage) as caught:
        assumptions(["operator_exce"])
    assert "did you mean operator_exec" in caught.value.next
    for fact in assumable().values():
        if fact.subject == "assumed":
            assert fact.name.removeprefix("assumed.") in caught.value.next


def test_the_texts_that_are_taken_are_those_of_the_vocabulary():
    for fact, choices in _CHOICES.items():
        assert all(f'"{choice}"' in fact.doc for choice in choices), fact.name


@given(st.text(max_size=60))
def test_no_text_breaks_it(text):
    with suppress(Usage):
        assert len(assumptions([text])) == 1


def test_a_later_answer_replaces_an_earlier_one():
    assert assumptions(["operator_exec", "operator_exec=no"]).value(assumed.OPERATOR_EXEC) is False


# --- in a scan ------------------------------------------------------------------------------------------------------


@pytest.fixture
def pods(tmp_path):
    (tmp_path / "modules.yaml").write_text(MODULE_POD)
    (tmp_path / "open.yaml").write_text(SOCKET_POD)
    return tmp_path


def test_what_the_report_says_to_look_at_can_be_answered_so_that_the_verdict_is_decided(pods):
    before = scanned("modules.yaml", folder=pods).report["assessments"][0]
    assert before["verdict"] == "unknown"
    finding = next(each for each in before["findings"] if each["technique"] == "kernel-module")
    assert finding["look_at"]
    answers = {
        "host.modules_disabled": "no",
        "host.module_signatures_enforced": "no",
        "host.lockdown": "none",
        "host.static_usermode_helper": "no",
    }
    options = [f"--assume={name}={answers[name]}" for name in finding["look_at"]]
    opened = scanned("modules.yaml", *options, folder=pods)
    assert opened.verdicts == {"modules/app": "escapable"}
    assert opened.code == 1
    shut = scanned("modules.yaml", "--assume", "host.modules_disabled=yes", folder=pods)
    assert shut.verdicts == {"modules/app": "contained"}
    finding = next(each for each in opened.report["assessments"][0]["findings"] if each["technique"] == "kernel-module")
    assert '"document": "--assume"' in str(finding["proof"]).replace("'", '"')


def test_what_was_seen_overrules_what_is_assumed_and_the_report_says_that_it_changed_nothing(pods):
    ended = scanned("open.yaml", "--assume", "container.host_paths=", folder=pods)
    assert ended.verdicts == {"open/app": "escapable"}
    assert any("--assume container.host_paths changed nothing" in note for note in ended.report["notes"])
    used = scanned("modules.yaml", "--assume", "host.coredump", folder=pods)
    assert not used.report["notes"]


def test_what_the_host_shows_overrules_what_is_assumed(pods):
    answer = {"value": True, "where": ["/proc/sys/kernel/modules_disabled", "", 0]}
    record = json.dumps({"holdfast_facts": 1, "name": "node", "facts": {"host.modules_disabled": answer}})
    (pods / "node.json").write_text(record)
    words = ("modules.yaml", "--host", "node.json", "--assume", "host.modules_disabled=no")
    ended = scanned(*words, folder=pods)
    assert ended.verdicts == {"modules/app": "contained"}
    assert any("host.modules_disabled changed nothing" in note for note in ended.report["notes"])


def test_a_wrong_assumption_ends_the_scan_before_it_begins(pods):
    ended = holdfast("scan", "--assume", "operator_exce", folder=pods)
    assert (ended.code, ended.out) == (2, "")
    assert "did you mean operator_exec" in ended.err
    assert "untrusted_image" in ended.err


def test_unknown_truth_stays_for_what_nobody_assumed(pods):
    assert scanned("modules.yaml", "--assume", "host.coredump=no", folder=pods).verdicts == {"modules/app": "unknown"}
