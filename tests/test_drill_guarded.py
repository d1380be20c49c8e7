"""An engine of the drill's own behind an authorization plug-in: what the plug-in is shown, and what gets past it."""

from __future__ import annotations

import base64
import errno
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill_speech import copied, do, speaking, until
from holdfast import techniques
from holdfast.app import drill, drill_place
from holdfast.app.settings import Settings
from holdfast.drill import guarded_engine, kernel_calls, lab, reaper
from holdfast.drill.authorization_plugin import AuthorizationPlugin
from holdfast.drill.guarded_engine import GuardedEngine
from holdfast.drill.journal import Journal, new_id
from holdfast.model.drill import Attempt, DrillReport, Layer, Outcome
from holdfast.model.errors import NotReachable
from holdfast.model.facts import Facts, Seen
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.truth import NO, YES, Truth
from holdfast.model.words import engine
from test_drill_probe_calls import calling, page

PAIR = ("authz-plugin-bypass", "docker-socket")
WORD = "c0ffee012345"
NAME = f"holdfast-{WORD}-0123456789"
PLUGINS = "/run/docker/plugins"


@pytest.fixture(scope="module")
def program() -> Iterator[str]:
    with copied() as path:
        yield path


# --- the plug-in --------------------------------------------------------------------------------------------------
@contextmanager
def plugin(folder: Path) -> Iterator[AuthorizationPlugin]:
    with closing(AuthorizationPlugin(folder / "plugin.sock", WORD)) as made:
        yield made


def shown(body: bytes) -> dict[str, Any]:
    return {"RequestMethod": "POST", "RequestUri": "/x", "RequestBody": base64.b64encode(body).decode()}


def asked(folder: Path, path: str, body: bytes) -> dict[str, Any]:
    there = http.client.HTTPConnection("localhost", timeout=5)
    there.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with closing(there):
        there.sock.connect(f"{folder}/plugin.sock")
        there.request("POST", path, body)
        answer = there.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        return found


def test_a_plug_in_as_an_engine_asks_it(tmp_path: Path) -> None:
    with plugin(tmp_path) as made:
        assert asked(tmp_path, "/Plugin.Activate", b"") == {"Implements": ["authz"]}
        told = json.dumps(shown(f"a {WORD} b".encode())).encode()
        assert asked(tmp_path, "/AuthZPlugin.AuthZReq", told)["Allow"] is False
        assert made.refused(f"a {WORD} b")
        assert asked(tmp_path, "/AuthZPlugin.AuthZRes", told) == {"Allow": True}
        for odd in (b"", b"[]", b"nonsense", b"\xff", b'{"RequestBody": 7}'):
            assert asked(tmp_path, "/AuthZPlugin.AuthZReq", odd) == {"Allow": True}
        assert made.answer("/AuthZPlugin.AuthZReq", {"RequestBody": "no base64"})["Allow"] is False
        assert not made.refused("no base64")


@given(st.binary(max_size=60), st.booleans(), st.binary(max_size=60))
def test_what_holds_the_word_is_refused_and_nothing_else(
    told: AuthorizationPlugin, before: bytes, named: bool, after: bytes
) -> None:
    body = before + (WORD.encode() if named else b"") + after
    allowed = told.answer("/AuthZPlugin.AuthZReq", shown(body))["Allow"]
    assert allowed is (WORD.encode() not in body)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorizationPlugin]:
    with plugin(tmp_path_factory.mktemp("plugin")) as made:
        yield made


# --- the probe's request ------------------------------------------------------------------------------------------
def created(name: str = NAME) -> bytes:
    return page(json.dumps({"Name": name}).encode(), b"HTTP/1.1 201 Created")


@pytest.mark.parametrize("name", ["data", "holdfast-short", f"{NAME}/x", f"{NAME}?force=1", f"HOLDFAST-{NAME}", ""])
def test_a_volume_of_anybody_elses_name_is_not_asked_for(program: str, tmp_path: Path, name: str) -> None:
    with calling(program, tmp_path / "s", created()) as (attempt, server):
        assert do(attempt, "make_volume", 0, name, "plain").errno == errno.EACCES
        assert do(attempt, "make_volume", 0, NAME, "other").errno == errno.EINVAL
    assert not server.heard


def test_a_volume_is_made_and_taken_away(program: str, tmp_path: Path) -> None:
    answers = (created(), b"HTTP/1.1 204 No Content\r\n\r\n")
    with calling(program, tmp_path / "s", *answers) as (attempt, server):
        assert do(attempt, "make_volume", 0, NAME, "plain").result == 0
        do(attempt, "close", 0)
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (1, 0)
    assert json.loads(server.heard[0].partition(b"\r\n\r\n")[2]) == {"Name": NAME}
    assert server.heard[1].startswith(f"DELETE /volumes/{NAME}?".encode())


def test_a_large_request_is_whole(program: str, tmp_path: Path) -> None:
    with calling(program, tmp_path / "s", created(), b"HTTP/1.1 204 No Content\r\n\r\n") as (attempt, server):
        assert do(attempt, "make_volume", 0, NAME, "large").result == 0
        do(attempt, "close", 0)
    body = server.heard[0].partition(b"\r\n\r\n")[2]
    assert (len(body) > 1 << 20, json.loads(body)) == (True, {"Name": NAME})


def test_a_request_without_a_length_comes_in_chunks(program: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        with speaking(program) as attempt:
            do(attempt, "connect", tmp_path / "s")
            there, _ = listening.accept()
            with there:
                there.settimeout(10)
                there.sendall(page(b"{}", b"HTTP/1.1 403 Forbidden"))
                assert do(attempt, "make_volume", 0, NAME, "unsized").errno == errno.EACCES
                head, _, body = there.recv(65536).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    size, text, end = body.split(b"\r\n", 2)
    assert (int(size, 16), json.loads(text), end) == (len(text), {"Name": NAME}, b"0\r\n\r\n")
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (0, 0), "what was refused leaves nothing"


def test_a_volume_that_may_have_been_made_is_taken_away(program: str, tmp_path: Path) -> None:
    torn = b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        with speaking(program) as attempt:
            do(attempt, "connect", tmp_path / "s")
            there, _ = listening.accept()
            with there:
                there.sendall(torn)
                there.shutdown(socket.SHUT_WR)
                assert do(attempt, "make_volume", 0, NAME, "plain").result == -1
            listening.settimeout(10)
            # The undo connects before the answer to the end of the attempt comes, so the answer waits in the queue.
            ended = subprocess.Popen(
                ["python3", "-c", _ANSWERING.format(fd=listening.fileno())], pass_fds=[listening.fileno()]
            )
            attempt._session._end(attempt)
            assert ended.wait(20) == 0
            assert attempt.ended is not None
            assert (attempt.ended.undone, attempt.ended.failed) == (1, 0)
            attempt._session.ask("begin again", 5)


_ANSWERING = """
import socket, sys
there, _ = socket.socket(fileno={fd}).accept()
head = there.recv(65536)
there.sendall(b"HTTP/1.1 404 Not Found\\r\\nContent-Length: 0\\r\\n\\r\\n")
sys.exit(not head.startswith(b"DELETE /volumes/holdfast-"))
"""


# --- the engine ---------------------------------------------------------------------------------------------------
@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    # Longer than the address of a socket may be, as a state folder may be.
    monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / ("long" * 20)))
    with Journal.open(new_id(), 600) as made:
        try:
            yield made
        finally:
            left = [each for each in reaper.finish(made) if isinstance(each, reaper.Left)]
    assert left == []


def rule_of_a_large_body(version: str) -> bool:
    """What the rule says of an engine of this version with a plug-in, whatever else it asks."""
    numbers = tuple(int(part) for part in version.partition("+")[0].partition("-")[0].split("."))
    table = {engine.VERSION: numbers, engine.AUTHZ_PLUGINS: True}
    condition = techniques.load()["authz-plugin-bypass"].exposed_when
    seen = Facts({fact: Seen(value, Where("test")) for fact, value in table.items()})
    return prove(condition, seen).truth is not NO


def engines(run: str) -> list[str]:
    """Return the process numbers of the engines of a run."""
    line = ["pgrep", "-f", f"dockerd .*--containerd-namespace holdfast-{run} "]
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout.split()


def covered(run: str) -> list[str]:
    """Return what this process sees mounted of a run, or where engines look for plug-ins."""
    return [point for point in kernel_calls.mount_points() if run in point or point.startswith("/run/docker")]


@pytest.mark.root
@pytest.mark.engine
def test_what_the_plug_in_is_not_shown_the_engine_does(program: str, journal: Journal) -> None:
    """The rule asks the version. Whether it is right is asked here of the engine that is installed."""
    plugins = os.listdir(PLUGINS)  # noqa: PTH208 - names
    with closing(GuardedEngine(journal)) as guarded:
        # The probe takes no path that is longer than the address of a socket.
        link = Path(f"/tmp/hf-{journal.id}")
        link.symlink_to(guarded.socket)
        try:
            with speaking(program) as attempt:
                assert do(attempt, "connect", link).result >= 0
                tokens = {form: f"{journal.id}{form}0123456789" for form in ("plain", "unsized", "large")}
                found = {form: do(attempt, "make_volume", 0, f"holdfast-{tokens[form]}", form) for form in tokens}
                assert found["plain"].errno == errno.EACCES
                assert b"this request is not allowed" in found["plain"].data
                assert (guarded.refused(tokens["plain"]), guarded.heard(tokens["plain"])) == (True, False)
                for form, answer in found.items():
                    assert guarded.heard(tokens[form]) is (answer.result == 0), form
                    assert guarded.refused(tokens[form]) is not guarded.heard(tokens[form]), form
                assert guarded.heard(tokens["large"]) is rule_of_a_large_body(guarded.version)
            made = sum(answer.result == 0 for answer in found.values())
            assert attempt.ended is not None
            assert (attempt.ended.undone, attempt.ended.failed) == (made, 0)
            assert not any(guarded.heard(token) for token in tokens.values()), "what was made is gone"
        finally:
            link.unlink()
        assert len(engines(journal.id)) == 1
        assert not [point for point in covered(journal.id) if "/netns/" not in point], "its mounts are its own"
    assert (engines(journal.id), os.listdir(PLUGINS)) == ([], plugins)  # noqa: PTH208 - names


@pytest.mark.root
def test_without_an_engines_program_there_is_none(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_engine, "_PROGRAMS", ("no-such-program",))
    assert not guarded_engine.can_be_started("docker")
    with pytest.raises(NotReachable, match="A guarded engine cannot be started"):
        GuardedEngine(journal)


def test_a_guarded_engine_stands_in_for_dockers_only() -> None:
    assert not guarded_engine.can_be_started("podman")


@pytest.mark.root
@pytest.mark.engine
def test_an_engine_that_does_not_start_is_told_and_leaves_nothing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_engine, "_SCRIPT", "echo no room here >&2; exit 1")
    with pytest.raises(NotReachable, match="A guarded engine does not start: no room here"):
        GuardedEngine(journal)
    assert engines(journal.id) == []


@pytest.mark.root
@pytest.mark.engine
def test_it_ends_with_whoever_began_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / "state"))
    run = new_id()
    script = (
        "import os\n"
        "from holdfast.drill.guarded_engine import GuardedEngine\n"
        "from holdfast.drill.journal import Journal\n"
        f"GuardedEngine(Journal.open('{run}', 600))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    child = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=120)
    assert child.returncode == -9, child.stderr
    assert until(lambda: engines(run) == [])
    assert [each for each in reaper.reap(time.time()) if isinstance(each, reaper.Left)] == []
    assert list((tmp_path / "state" / "drill").iterdir()) == []


# --- drilled ------------------------------------------------------------------------------------------------------
def attempts(report: DrillReport) -> dict[str, list[Attempt]]:
    assert (report.left, report.changed, report.stopped) == ((), (), "")
    assert [each.trouble for each in (*report.exercises, *report.controls) if each.trouble] == []
    for control in report.controls:
        assert {(each.outcome, each.predicted) for each in control.attempts} == {(Outcome.BLOCKED, NO)}
    return {each.name: sorted(each.attempts, key=lambda one: PAIR.index(one.technique)) for each in report.exercises}


@pytest.mark.root
@pytest.mark.engine
def test_it_works_where_the_plug_in_is_not_shown_all_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = replace(lab.LAB["engine-socket-guarded"], user="65534:65534")
    monkeypatch.setitem(lab.LAB, "nobody", nobody)
    plan = drill.Plan(("lab:engine-socket-guarded", "lab:engine-socket", "lab:nobody"), PAIR, consent=True)
    found = attempts(drill.drill(plan, Settings(), lambda _text: None))
    past, asked_outright = found["engine-socket-guarded"]
    assert (past.outcome, past.predicted) == (Outcome.ESCAPED, YES)
    assert past.way.endswith("a body of more than a megabyte")
    assert (asked_outright.outcome, asked_outright.predicted) == (Outcome.BLOCKED, NO)
    assert asked_outright.blocked_by == (Layer.HOST,)
    assert asked_outright.reason == "the authorization plug-in before the engine refused it"
    unguarded, commanded = found["engine-socket"]
    assert (unguarded.outcome, unguarded.predicted) == (Outcome.NOT_ATTEMPTED, NO), "there is nothing to get past"
    assert (commanded.outcome, commanded.predicted) == (Outcome.ESCAPED, YES)
    stranger, _ = found["nobody"]
    assert (stranger.outcome, stranger.predicted) == (Outcome.BLOCKED, NO)
    assert (stranger.steps[-1].answer, stranger.blocked_by) == ("EACCES", (Layer.USER,))


@pytest.mark.vm
@pytest.mark.parametrize(("flavour", "expected"), [("apparmor", YES), ("userns-remap", NO)])
def test_the_same_in_the_machine(flavour: str, expected: Truth) -> None:
    plan = drill.Plan(("lab:engine-socket-guarded",), only=PAIR, explain=False)
    report = drill_place.made(plan, Settings(quiet=True), flavour)
    assert report.place == f"virtual machine, {flavour}"
    past, asked_outright = attempts(report)["engine-socket-guarded"]
    assert (past.outcome is Outcome.ESCAPED, past.predicted) == (expected is YES, expected)
    assert (asked_outright.outcome, asked_outright.predicted) == (Outcome.BLOCKED, NO)
