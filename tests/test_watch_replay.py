"""Recordings: judged again they give the same alerts; whatever stands in one is an event, or an error with a line."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.app import watch_replay, watch_rules
from holdfast.app.watch import Wanted
from holdfast.model.alert import Alert, Verdict
from holdfast.model.errors import NotUnderstood, Usage
from holdfast.model.event import Executable, Socket
from holdfast.sensor import recording_read
from holdfast.sensor.answers import Answers
from holdfast.sensor.judge import Judge, Node
from holdfast.sensor.recording import Recorder
from holdfast.techniques import load
from watch_made import HOST, container, event, mounted, opened, process

NODE = Node("node-1", "b007")
HEAD = {"node": NODE.name, "boot": NODE.boot, "namespaces": HOST, "proc": 5}
JUDGE = Judge(load(), NODE)


def story():
    """Events of two containers and the host, with everything an event can hold."""
    shim = process(400, name="containerd-shim", arguments=("shim", "-id", "x\udcff"))
    web = process(500, inside=container(labels={"a": "b"}, mounts=(("/s", "/d", "rw", True, "rprivate"),)), parent=shim,
                  environment=("A=1", "B=\udc80"), login_user=1000)  # fmt: skip
    other = process(501, inside=container("db", state="pending", image=""), parent=shim)
    there = Socket("AF_UNIX", "SOCK_STREAM", remote="/run/docker.sock", inode=7)
    return [
        mounted(web, 0, "cgroup"),
        opened("/mnt/release_agent", web, 1, write=True, magic=0x27E0EB),
        opened("/proc/sys/kernel/core_pattern", other, 2, write=True, result=-30),
        event("connect", other, 3, socket=there),
        event("unshare", web, 4, arguments={"flags": 0x10000000, "data": b"\0\xff"}, before={"mnt": 101}),
        event("execve", process(900, name="h", parent=process(2, name="kthreadd")), 5),
        event("gap", process(0), 6, arguments={"missing": 5, "ring": "critical"}, result=None),
        event("procexit", web, 7),
    ]


def recorded(path, events, largest=1 << 20, **more):
    recorder = Recorder(path, HEAD, largest, **more)
    for one in events:
        recorder.write(one)
    recorder.close()
    return path


def plain(alerts):
    return [replace(one, seen_ns=0) for one in alerts]


def test_a_recording_gives_the_same_alerts(tmp_path) -> None:
    events = story()
    live = [alert for one in events for alert in JUDGE.judge(one)]
    replay = recording_read.opened(recorded(tmp_path / "r", events))
    again = [alert for one in replay.events() for alert in Judge(load(), Node(replay.node, replay.boot)).judge(one)]
    assert len({one.rule for one in live}) >= 5
    assert plain(again) == plain(live)
    assert not replay.cut


def test_every_value_of_an_event_comes_back(tmp_path) -> None:
    events = story()
    for old, new in zip(events, recording_read.opened(recorded(tmp_path / "r", events)).events(), strict=True):
        for name in ("name", "at_ns", "wall_ns", "number", "result", "descriptor", "contained", "write"):
            assert getattr(new, name) == getattr(old, name)
        assert dict(new.arguments) == dict(old.arguments)
        assert dict(new.before) == dict(old.before)
        for part in ("file", "socket"):
            a, b = getattr(old, part), getattr(new, part)
            assert (a is None) == (b is None)
            if a is not None:
                assert [getattr(a, key) for key in a.__slots__] == [getattr(b, key) for key in a.__slots__]
        a, b = old.process, new.process
        for name in ("pid", "start_ns", "name", "arguments", "environment", "login_user", "namespaces"):
            assert getattr(a, name) == getattr(b, name)
        assert (a.container and (a.container.id, a.container.mounts)) == (
            b.container and (b.container.id, b.container.mounts)
        )
        assert (a.parent and a.parent.arguments) == (b.parent and b.parent.arguments)


def test_a_dry_run_says_what_a_policy_would_do_and_does_nothing(tmp_path) -> None:
    path = recorded(tmp_path / "r", story())
    policy = tmp_path / "p.yaml"
    policy.write_text(
        "version: 1\nmode: enforce\nrules:\n"
        '- {containers: {name: web}, techniques: ["cgroup-*"], action: kill, scope: container}\n'
        "- {containers: everything, techniques: [docker-socket], action: ignore}\n"
    )
    told, said = [], []
    count = watch_replay.replay(str(path), Wanted(policy=str(policy)), told.extend, said.append)
    assert count == len(told)
    kills = [one for one in told if one.fields.get("policy.action") == "kill"]
    assert kills
    assert {one.fields["policy.would"] for one in kills} == {"would have been killed"}
    assert {one.verdict for one in kills} == {Verdict.ALERTED}
    assert not [one for one in told if one.rule == "docker-socket"]
    assert any(one.rule == "incident" for one in told)


def test_a_replay_looks_at_nothing_of_this_machine(tmp_path) -> None:
    """The recorded process has the number, the mounts and the program of one that runs here."""
    seen = Path("/proc/self/exe").stat()
    program = Executable(str(Path("/proc/self/exe").readlink()), seen.st_dev, seen.st_ino)
    here = process(os.getpid(), inside=container(), executable=program,
                   namespaces={"mnt": Path("/proc/self/ns/mnt").stat().st_ino})  # fmt: skip
    unasked = event("unshare", replace(here, executable=replace(program)), 1)
    one = event("unshare", here, 1, arguments={"flags": 0})
    assert Answers().table["proc.exe_ino.ctime"](one)
    path = recorded(tmp_path / "events", [unasked])
    rules = tmp_path / "rules.yaml"
    names = ("proc.exe_ino.ctime", "proc.is_exe_upper_layer", "proc.is_exe_lower_layer", "user.name")
    rules.write_text("".join(
        f"- rule: {name}\n  condition: evt.type = unshare and {name} exists\n"
        f"  desc: d\n  output: o\n  priority: INFO\n" for name in names
    ))  # fmt: skip
    found: list[Alert] = []
    watch_replay.replay(str(path), Wanted(rules=(str(rules),), catalogue=False), found.extend, lambda _: None)
    assert [one.rule for one in found] == []
    ruleset = watch_rules.loaded([str(rules)], print)
    assert ruleset is not None
    one.answers = {**one.answers, **watch_rules.answers(ruleset.rules)}
    path = recorded(tmp_path / "answered", [one], asked=watch_rules.local(ruleset.rules))
    watch_replay.replay(str(path), Wanted(rules=(str(rules),), catalogue=False), found.extend, lambda _: None)
    assert [one.rule for one in found if one.rule.startswith("proc.")] == ["proc.exe_ino.ctime"], "as it was answered"


def test_a_recording_never_grows_beyond_its_limit_and_says_so(tmp_path) -> None:
    said = []
    path = recorded(tmp_path / "r", story() * 200, largest=40_000, say=said.append)
    assert path.stat().st_size <= 40_000
    assert len(said) == 1
    replay = recording_read.opened(path)
    assert len(list(replay.events())) > 10
    assert replay.cut


def test_a_recording_whose_writer_was_killed_is_read_up_to_there(tmp_path) -> None:
    path = recorded(tmp_path / "r", story())
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b'"procexit"')])
    replay = recording_read.opened(path)
    assert len(list(replay.events())) == len(story()) - 1
    assert replay.cut


def test_a_file_that_is_there_is_not_written_over(tmp_path) -> None:
    (tmp_path / "r").write_text("mine")
    with pytest.raises(Usage, match="there already"):
        Recorder(tmp_path / "r", HEAD, 1000)
    assert (tmp_path / "r").read_text() == "mine"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"e":{"p":99,"name":"x"}}', "none of a recording"),
        ('{"e":{"p":"1"}}', "none of a recording"),
        ('{"p":[9,{"pid":true}]}', "none of a recording"),
        ("[]", "none of a recording"),
        ("{", "none of a recording"),
        ('{"c":[1,{"id":3}]}', "none of a recording"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, told) -> None:
    path = recorded(tmp_path / "r", [])
    head = path.read_text().splitlines()[0]
    path.write_text(f"{head}\n{line}\n")
    with pytest.raises(NotUnderstood, match=told) as caught:
        list(recording_read.opened(path).events())
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"holdfast_events": 3}', '{"holdfast_events": "2.0"}', "\xff", "{" * 9000]
)
def test_what_is_no_recording_is_refused(tmp_path, text) -> None:
    (tmp_path / "r").write_text(text)
    with pytest.raises(NotUnderstood):
        recording_read.opened(tmp_path / "r")


def test_keys_of_a_later_minor_version_are_passed_over(tmp_path) -> None:
    path = recorded(tmp_path / "r", story())
    lines = path.read_text().splitlines()
    lines[0] = lines[0].replace('"1.0"', '"1.7"')
    lines.insert(1, '{"new":[1,{}]}')
    lines = [line.replace('{"e":{', '{"e":{"later":1,') for line in lines]
    path.write_text("\n".join(lines) + "\n")
    assert len(list(recording_read.opened(path).events())) == len(story())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = recorded(tmp_path_factory.mktemp("r") / "r", story())
    return path, path.read_bytes()


@given(st.data())
def test_a_damaged_recording_gives_events_or_a_line(whole, data) -> None:
    path, raw = whole[0], bytearray(whole[1])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"{}", b"[", b"-1", b"null"])
        )
    path.write_bytes(raw)
    refused = None
    try:
        for one in recording_read.opened(path).events():
            list(JUDGE.judge(one))
    except NotUnderstood as error:
        refused = error
    assert refused is None or refused.line >= 1


def test_numbers_in_a_recording_stay_numbers(tmp_path) -> None:
    path = recorded(tmp_path / "r", story())
    for line in path.read_text().splitlines():
        json.loads(line)
        assert line.isascii()
