"""The program drills what a person names, says what it found in every format, and answers with the right exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cli_program import environment, holdfast
from drill_program import OPEN_ETC, container, docker, drilled, image, runs
from holdfast.app import drill
from holdfast.cli.main import main
from holdfast.drill.lab import LAB
from holdfast.drill.machine.flavours import FLAVOURS
from holdfast.drill.probe_file import probe
from holdfast.model.errors import ExitCode
from holdfast.model.truth import NO

WRITE = ("--technique", "etc-write")
FEW = (*WRITE, "--technique", "host-ipc")
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: open}
spec:
  containers:
  - name: app
    image: registry.example/app:1
    securityContext: {runAsUser: 0}
    volumeMounts: [{name: etc, mountPath: /host/etc}]
  volumes: [{name: etc, hostPath: {path: /etc}}]
"""
BUNDLE = {
    "ociVersion": "1.0.2",
    "process": {"user": {"uid": 0, "gid": 0}, "args": ["sh"], "cwd": "/"},
    "root": {"path": "rootfs"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/host/etc", "type": "bind", "source": "/etc", "options": ["rbind", "rw"]},
    ],
    "linux": {"namespaces": [{"type": kind} for kind in ("mount", "ipc", "uts", "network", "pid")]},
}
FILES = {
    "compose.yaml": (OPEN_ETC, "open"),
    "pod.yaml": (POD, "open/app"),
    "config.json": (json.dumps(BUNDLE), ""),
    "run.sh": ("docker run --name open --user 0 -v /etc:/host/etc example\n", "open"),
}


@pytest.fixture(scope="session", autouse=True)
def _built() -> None:
    probe()


@pytest.mark.root
@pytest.mark.engine
def test_the_lab_has_a_hole_that_is_found_proved_and_explained(tmp_path: Path) -> None:
    ended = drilled(*FEW, "lab:host-etc", folder=tmp_path)
    assert ended.code == ExitCode.CLEAN, ended.err
    found = ended.attempts("host-etc")
    write, memory = found["etc-write"], found["host-ipc"]
    assert (write["outcome"], write["predicted"], write["repeated"]) == ("escaped", "yes", True)
    assert write["proved_by"]
    assert [step["answer"] for step in write["steps"]] == ["ok"] * len(write["steps"])
    assert (memory["outcome"], memory["predicted"]) == ("blocked", "no")
    assert "namespace" in memory["blocked_by"]
    report = ended.drill
    assert report["changed"] == report["left"] == []
    assert {control["name"] for control in report["controls"]} == {"default container", "restricted container"}
    assert all(each["outcome"] == "blocked" for control in report["controls"] for each in control["attempts"])
    assert drilled(*WRITE, "--no-explain", "--fail-if-escaped", "lab:host-etc", folder=tmp_path).code == 1


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.parametrize("name", FILES)
def test_what_a_file_describes(name: str, tmp_path: Path) -> None:
    text, target = FILES[name]
    (tmp_path / name).write_text(text)
    ended = drilled(*WRITE, "--no-explain", "--quiet", name, folder=tmp_path)
    assert ended.code == ExitCode.CLEAN, ended.err
    (exercise,) = ended.drill["exercises"]
    assert not target or exercise["name"] == target
    assert exercise["replica"]["engine"] == ("oci" if name == "config.json" else "docker")
    (attempt,) = exercise["attempts"]
    assert (attempt["outcome"], attempt["predicted"]) == ("escaped", "yes")


@pytest.mark.root
@pytest.mark.engine
def test_a_container_that_runs_as_a_user_of_its_image(tmp_path: Path) -> None:
    with image("USER app") as base, container(base, "--volume", "/etc:/host/etc") as name:
        state = docker("inspect", "--format", "{{.State.StartedAt}} {{.State.Pid}} {{.RestartCount}}", name)
        files = docker("diff", name)
        ended = drilled(*WRITE, f"docker://{name}", folder=tmp_path)
        assert docker("diff", name) == files
        assert docker("inspect", "--format", "{{.State.StartedAt}} {{.State.Pid}} {{.RestartCount}}", name) == state
    assert ended.code == ExitCode.CLEAN, ended.err
    attempt = ended.attempts(name)["etc-write"]
    assert (attempt["outcome"], attempt["predicted"]) == ("blocked", "no")
    assert "user" in attempt["blocked_by"]


@pytest.mark.root
@pytest.mark.engine
def test_junit_has_a_failure_where_something_escaped(tmp_path: Path) -> None:
    ended = drilled(
        *WRITE,
        "--no-explain",
        "--quiet",
        "--fail-if-escaped",
        "lab:host-etc",
        "lab:hardened",
        folder=tmp_path,
        form="junit",
    )
    assert ended.code == ExitCode.FINDINGS
    suites = {each.get("name", ""): each for each in ET.fromstring(ended.raw).iter("testsuite")}
    failed = {name for name, suite in suites.items() if suite.find(".//failure") is not None}
    assert len(failed) == 1
    assert "host-etc" in failed.pop()
    shut = drilled(*WRITE, "--no-explain", "-q", "--fail-if-escaped", "lab:hardened", folder=tmp_path, form="junit")
    assert shut.code == ExitCode.CLEAN
    assert ET.fromstring(shut.raw).find(".//failure") is None


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.parametrize(("name", "begin"), [("a.html", "<!doctype html>"), ("a.json", "{"), ("a.xml", "<?xml")])
def test_the_ending_of_the_file_chooses_the_format(name: str, begin: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "holdfast", "drill", "-yq", "--no-explain", *WRITE, "-o", name, "lab:plain"]
    variables = environment(HOLDFAST_STATE=str(tmp_path / "state"))
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=120, check=False, env=variables)
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert (tmp_path / name).read_text().lower().startswith(begin)


@pytest.mark.root
@pytest.mark.engine
def test_progress_in_a_log_is_a_line_for_each_target(tmp_path: Path) -> None:
    loud = drilled(*WRITE, "--no-explain", "lab:host-etc", folder=tmp_path, form="terminal")
    lines = loud.err.splitlines()
    assert all(line.startswith("holdfast: ") for line in lines)
    assert sum("host-etc" in line for line in lines) == 1
    assert "\r" not in loud.err
    quiet = drilled(*WRITE, "--no-explain", "--quiet", "lab:host-etc", folder=tmp_path, form="terminal")
    assert quiet.err == ""
    assert "ESCAPED" in quiet.out


def test_the_flavours_are_listed(tmp_path: Path) -> None:
    ended = holdfast("drill", "--vm", "list", folder=tmp_path)
    assert ended.code == ExitCode.CLEAN
    assert [line.split()[0] for line in ended.out.splitlines()] == list(FLAVOURS)


@pytest.mark.root
@pytest.mark.engine
def test_what_a_killed_drill_left_is_removed_when_asked(tmp_path: Path) -> None:
    program = Path(__file__).with_name("drill_killed.py")
    variables = environment(HOLDFAST_STATE=str(tmp_path / "state"))
    words = [sys.executable, str(program), str(tmp_path / "told"), "14", "without", "lab:host-etc", "--", "etc-write"]
    assert subprocess.run(words, check=False, timeout=120, env=variables).returncode == -signal.SIGKILL
    (run,) = runs(tmp_path / "state")
    for told in (f"(drill {run})", "nothing was left by a drill\n"):
        ended = holdfast("drill", "--reap", folder=tmp_path, HOLDFAST_STATE=str(tmp_path / "state"))
        assert ended.code == ExitCode.CLEAN
        assert told in ended.out
    assert runs(tmp_path / "state") == []
    assert docker("ps", "--all", "--quiet", "--filter", f"label=holdfast.drill={run}") == ""


@pytest.mark.root
@pytest.mark.engine
def test_a_control_that_does_not_hold_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(drill, "CONTROLS", {"default container": LAB["host-etc"]})
    monkeypatch.setattr(drill.Predictor, "predict", lambda _self, _box: {"etc-write": NO})
    words = ["drill", "--yes", "--quiet", "--no-explain", *WRITE, "lab:plain"]
    assert main(words) == ExitCode.UNSEEN
    shown = capsys.readouterr().out
    assert "DID NOT HOLD  default container" in shown
    assert "1 worked that no prediction allows" in shown
    assert runs(tmp_path / "state") == []


@pytest.mark.root
@pytest.mark.engine
def test_two_drills_at_once_do_not_see_each_other(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "holdfast", "drill", "-yq", "--no-explain", *WRITE, "--format", "json"]
    variables = environment(HOLDFAST_STATE=str(tmp_path / "state"))
    both = [
        subprocess.Popen([*words, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables)
        for name in ("lab:host-etc", "lab:host-root")
    ]
    for child in both:
        out, err = child.communicate(timeout=240)
        assert child.returncode == ExitCode.CLEAN, err
        assert json.loads(out)["changed"] == []
    assert runs(tmp_path / "state") == []
