"""What goes wrong in a drill is told clearly, what is finished is kept, and nothing stays on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli_program import environment
from drill_program import NEVER, OPEN_ETC, children, container, docker, drilled, image, line, runs
from holdfast.app import drill, settings
from holdfast.drill import kernel_calls, lab
from holdfast.drill.probe_file import probe
from holdfast.model.drill import DrillReport, Outcome
from holdfast.model.errors import Error, ExitCode, NotPermitted, Unsafe
from holdfast.model.replica import Bind, Node

ONE = ("--technique", "etc-write", "--no-explain", "--quiet")
TWO = ("etc-write", "cgroup-namespace-host")


@pytest.fixture(scope="session", autouse=True)
def _built() -> None:
    probe()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Drill in this process, without controls."""
    monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(drill, "CONTROLS", {})
    yield tmp_path / "state"
    assert runs(tmp_path / "state") == []


def made(
    *targets: str, boundary: Callable[[str], None] | None = None, only: tuple[str, ...] = TWO, explain: bool = False
) -> DrillReport:
    plan = drill.Plan(targets, only, consent=True, explain=explain, boundary=boundary)
    return drill.drill(plan, settings.Settings(), lambda _text: None)


# --- wrong calls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("lab:nope",), ExitCode.USAGE, "the lab has no container 'nope'"),
        (("--technique", "nope", "lab"), ExitCode.USAGE, "there is no technique 'nope'"),
        (("--vm", "nope", "lab"), ExitCode.USAGE, "there is no flavour 'nope'"),
        (("nofile.yaml",), ExitCode.USAGE, "no such file or target"),
        (("notes.txt",), ExitCode.NOT_UNDERSTOOD, "no dialect recognises this file"),
        (("empty.yaml",), ExitCode.NOT_UNDERSTOOD, "the file is empty"),
        (("drawn:x",), ExitCode.USAGE, "a draw is named by a seed and a number"),
    ],
)
@pytest.mark.engine
def test_a_wrong_call_says_what_is_wrong_and_makes_nothing(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("hello\n")
    (tmp_path / "empty.yaml").write_text("")
    ended = drilled(*words, folder=tmp_path)
    assert ended.code == code
    assert said in ended.err
    assert "\nwhere: " in ended.err
    assert "\nnext: " in ended.err
    assert ended.out == ""
    assert not (tmp_path / "state").exists()


@pytest.mark.engine
def test_without_consent_it_says_what_it_would_do(tmp_path: Path) -> None:
    variables = environment(HOLDFAST_STATE=str(tmp_path / "state"))
    words = [sys.executable, "-m", "holdfast", "drill", "lab:host-etc"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=60, check=False, env=variables, text=True)
    assert ended.returncode == ExitCode.UNSAFE
    assert "starts throw-away replicas" in ended.stderr
    assert "--yes" in ended.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.root
@pytest.mark.engine
def test_a_container_whose_owner_said_never(tmp_path: Path) -> None:
    (tmp_path / "never.yaml").write_text(NEVER)
    ended = drilled(*ONE, "never.yaml", folder=tmp_path)
    assert ended.code == ExitCode.UNSAFE
    assert "holdfast.drill=never" in ended.err
    assert not (tmp_path / "state").exists()
    (tmp_path / "open.yaml").write_text(OPEN_ETC)
    both = drilled(*ONE, "never.yaml", "open.yaml", folder=tmp_path)
    assert both.code == ExitCode.UNSEEN
    assert both.attempts("open")["etc-write"]["outcome"] == "escaped"
    assert both.attempts("shut")["etc-write"]["outcome"] == "not_attempted"
    assert "holdfast.drill=never" in both.attempts("shut")["etc-write"]["reason"]


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.parametrize("by", ["name", "process"])
def test_a_labelled_container_that_runs(by: str, tmp_path: Path) -> None:
    with image() as base, container(base, "--label", "holdfast.drill=never") as name:
        pid = docker("inspect", "--format", "{{.State.Pid}}", name)
        ended = drilled(*ONE, f"docker://{name}" if by == "name" else f"proc://{pid}", folder=tmp_path)
    assert ended.code == ExitCode.UNSAFE
    assert "holdfast.drill=never" in ended.err


@pytest.mark.root
@pytest.mark.engine
def test_the_replica_of_another_drill_is_no_target(tmp_path: Path) -> None:
    labels = ("--label", "holdfast.drill=0123456789ab", "--label", f"holdfast.expires={int(time.time()) + 600}")
    with image() as base, container(base, *labels) as name:
        pid = docker("inspect", "--format", "{{.State.Pid}}", name)
        for target in (f"docker://{name}", f"proc://{pid}"):
            ended = drilled(*ONE, target, folder=tmp_path)
            assert ended.code == ExitCode.USAGE
            assert "there is nothing to drill" in ended.err


# --- engines --------------------------------------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.parametrize(
    ("variables", "words", "said"),
    [
        ({"PATH": "/nonexistent"}, (), "There is no docker and no podman"),
        ({"DOCKER_HOST": "unix:///nonexistent.sock"}, (), "docker refused"),
        ({}, ("--docker", "unix:///nonexistent.sock"), "docker refused"),
    ],
)
def test_no_engine(variables: dict[str, str], words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    ended = drilled(*ONE, *words, "lab:host-etc", folder=tmp_path, **variables)
    assert ended.code == ExitCode.NOT_REACHABLE
    assert said in ended.err
    assert "\nnext: " in ended.err


@pytest.mark.root
@pytest.mark.engine
def test_an_engine_that_dies_in_the_middle_loses_one_target_and_keeps_what_is_finished() -> None:
    killed: list[int] = []

    def boundary(name: str) -> None:
        if name == "step open" or killed or not name.startswith("attempt"):
            return
        if "cgroup-namespace-host" in name:
            for pid, words in children(os.getpid()):
                if words[:2] == ["docker", "run"]:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    report = made("lab:host-etc", "lab:plain", boundary=boundary)
    assert len(killed) == 1
    first, second = report.exercises
    assert "The container ended in the middle of the drill" in first.trouble
    outcomes = {each.technique: each for each in first.attempts}
    assert outcomes["etc-write"].outcome is Outcome.NOT_ATTEMPTED
    assert outcomes["etc-write"].reason.startswith("it worked once, and was not repeated")
    assert outcomes["etc-write"].steps
    assert "not reached" in outcomes["cgroup-namespace-host"].reason
    assert not second.trouble
    assert not report.left
    assert not drill.finished(report)


@pytest.mark.root
@pytest.mark.engine
def test_a_target_that_vanishes_with_its_image_after_it_was_listed() -> None:
    with image() as base, container(base) as name:

        def boundary(passed: str) -> None:
            if passed == "stage":
                docker("rm", "--force", name)
                docker("rmi", "--force", base)

        report = made(f"docker://{name}", "lab:plain", boundary=boundary)
    found = {each.name: each for each in report.exercises}
    assert "The image of the container is not here any more" in found[name].trouble
    assert {each.outcome for each in found[name].attempts} == {Outcome.NOT_ATTEMPTED}
    assert not found["plain"].trouble
    assert not report.left


@pytest.mark.root
@pytest.mark.engine
def test_an_image_without_any_program() -> None:
    with image(busybox=False) as base, container(base, "--volume", "/etc:/host/etc", started=False) as name:
        report = made(f"docker://{name}")
    assert not report.exercises[0].trouble
    assert {each.technique: each.outcome for each in report.exercises[0].attempts}["etc-write"] is Outcome.ESCAPED


@pytest.mark.root
@pytest.mark.engine
def test_nothing_of_the_images_own_is_started(state: Path) -> None:
    seen: list[str] = []

    def boundary(passed: str) -> None:
        if passed.startswith("proved"):
            time.sleep(1.5)
            for run in runs(state):
                for name in docker("ps", "--quiet", "--filter", f"label=holdfast.drill={run}").split():
                    seen.append(docker("top", name))
                    seen.append(docker("inspect", "--format", "{{json .State.Health}}", name))

    spy = 'HEALTHCHECK --interval=1s CMD ["/bin/busybox","sleep","9"]'
    with image(spy, 'ONBUILD RUN ["/bin/busybox","false"]') as base, container(base) as name:
        report = made(f"docker://{name}", boundary=boundary, only=("etc-write",))
    assert not report.exercises[0].trouble
    assert seen
    assert not any("busybox" in text for text in seen)


@pytest.mark.root
@pytest.mark.engine
def test_an_unknown_runtime_is_told(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  odd: {image: example, runtime: nope}\n")
    found = drilled(*ONE, "compose.yaml", folder=tmp_path).drill["exercises"][0]
    assert "nope" in " ".join((found["trouble"], *found["differs"]))


# --- the machine ----------------------------------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.parametrize("kilobytes", [4, 40, 200, 1000])
def test_a_full_disk(kilobytes: int, state: Path) -> None:
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=0711", "none", state], check=True)
    trouble = ""
    try:
        report = made("lab:host-pid", only=("host-pid-ptrace", "block-device-raw"), explain=True)
        trouble = report.exercises[0].trouble
        assert not report.left
    except Error as error:
        trouble = str(error)
    finally:
        left = runs(state)
        kernel_calls.detach(str(state))
    assert "No space left" in trouble or "disk is full" in trouble
    assert left == []


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.parametrize("groups", [[], ["docker"]])
def test_an_ordinary_user(groups: list[str]) -> None:
    # Loaded before the rights are given away: Python may lie where nobody else may read.
    with pytest.raises(Unsafe):
        drill.drill(drill.Plan(("lab:plain",)), settings.Settings(), lambda _text: None)
    number = [Path("/run/docker.sock").stat().st_gid] if groups else []
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        answer = "nothing"
        try:
            os.setgroups(number)
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            made("lab:plain")
        except BaseException as error:  # noqa: BLE001 - whatever it is, it goes through the pipe
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        answer = file.read()
    os.waitpid(pid, 0)
    assert answer.startswith(f"{NotPermitted.__name__}: ")
    assert "next: run as root" in answer


# --- stopping -------------------------------------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.parametrize(("number", "by"), [(signal.SIGINT, "the keyboard"), (signal.SIGTERM, "SIGTERM")])
def test_stopped_it_reports_what_is_finished(number: signal.Signals, by: str, tmp_path: Path) -> None:
    state, output = tmp_path / "state", tmp_path / "report.txt"
    words = line("--output", str(output), "lab:host-etc", "lab:host-root", form="terminal")
    with subprocess.Popen(
        words, env=environment(HOLDFAST_STATE=str(state)), stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        assert child.stderr is not None
        for said in child.stderr:
            if "host-etc" in said:
                break
        time.sleep(0.4)
        os.kill(child.pid, number)
        child.communicate(timeout=120)
    assert child.returncode == ExitCode.INTERRUPTED
    text = output.read_text()
    assert f"stopped by {by}" in text
    assert "default container" in text
    assert runs(state) == []


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.parametrize("at", ["stage", "image", "replica", "attempt etc-write", "step write", "proved etc-write"])
def test_stopped_anywhere_it_ends_in_order(at: str) -> None:
    def boundary(passed: str) -> None:
        if passed == at:
            raise KeyboardInterrupt

    try:
        report = made("lab:host-etc", boundary=boundary)
    except KeyboardInterrupt:
        assert at == "stage"
    else:
        assert report.stopped == "stopped by the keyboard"
        assert report.exercises[0].trouble == "the drill was stopped"
        assert not report.left


# --- hostile names --------------------------------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.engine
def test_names_that_somebody_else_chose(tmp_path: Path) -> None:
    text = r"""services:
  "odd\e[31m\nname":
    image: example
    user: "0:0"
    volumes:
      - {type: bind, source: "/srv/holdfast a,b:\"c\nd\e[31m", target: "/in a,b\"c\nd\e[31m"}
      - {type: bind, source: "/etc", target: "/-v /:x"}
  bad:
    image: example
    devices: ["/dev/nu ll:/dev/x:rwm"]
  worse:
    image: "--privileged"
    user: "-x\ny"
"""
    (tmp_path / "compose.yaml").write_text(text)
    ended = drilled(*ONE, "compose.yaml", folder=tmp_path)
    assert ended.code == ExitCode.CLEAN
    assert "\x1b" not in ended.out + ended.err
    found = {each["name"]: each for each in ended.drill["exercises"]}
    assert found["odd\x1b[31m\nname"]["attempts"][0]["outcome"] == "escaped"
    assert any("-x" in text for text in found["worse"]["differs"])
    assert any("/dev/nu ll" in text for text in found["bad"]["differs"])
    shown = drilled(*ONE, "compose.yaml", folder=tmp_path, form="terminal")
    assert "\x1b" not in shown.out + shown.err


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.parametrize("source", ["/proc/1/cwd", "/proc/self/fd", "/proc/1/root/proc/2/root", "/sys/../proc/1/exe"])
def test_a_door_in_proc_is_refused_and_the_next_target_is_drilled(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = lab.LAB["plain"].__class__(binds=(Bind(source, "/door"),), nodes=(Node("/dev/null", "/dev/x"),))
    monkeypatch.setitem(lab.LAB, "odd", odd)
    report = made("lab:odd", "lab:host-etc", only=("etc-write",))
    assert "path of the host" in report.exercises[0].trouble
    assert not report.exercises[1].trouble
    assert report.exercises[1].attempts[0].outcome is Outcome.ESCAPED
