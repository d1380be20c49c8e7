"""Predictions for real containers, each held against what really happens inside it.

Every container is first asked, by a harmless attempt in a shell inside, whether the way out is open; only then is the
prediction looked at. Nothing global is changed: files are opened for writing and closed again, a planted process is
sent signal 0, a planted file is read.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from collect_box import IMAGE, PREFIX, container, docker, image, started, tree
from holdfast.app.scan import scan
from holdfast.app.settings import Settings
from holdfast.collect import seccomp_filter
from holdfast.model.report import Assessment, Report, Verdict

pytestmark = [pytest.mark.root, pytest.mark.engine]

SOCKET = "/run/docker.sock"
GROUP = str(Path(SOCKET).stat().st_gid) if Path(SOCKET).exists() else "0"
USER = 1_000_000 + 10 * os.getpid()
"""User ids from here on are nobody else's, not even those of tests that run beside this one."""
CORE = ": >> /proc/sys/kernel/core_pattern"
MAY_CONNECT = "[ -S /s ] && [ -w /s ]"
"""Connecting to a socket asks for the permission to write it, by access(2) as by connect(2)."""


@dataclass(frozen=True)
class Case:
    """A container, and a shell line that succeeds exactly where the way out is open."""

    options: tuple[str, ...]
    attempt: str


def mounted(source: str, *more: str) -> tuple[str, ...]:
    return (f"--volume={source}", *more)


CASES = {
    "default": Case((), f"mount -t tmpfs none /tmp || {CORE}"),
    "hardened": Case(
        ("--read-only", "--user=1000", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
        f"mount -t tmpfs none /tmp || {CORE}",
    ),
    "socket": Case(mounted(f"{SOCKET}:/s:ro"), MAY_CONNECT),
    "socket-bare-root": Case(mounted(f"{SOCKET}:/s", "--cap-drop=ALL"), MAY_CONNECT),
    "socket-user": Case(mounted(f"{SOCKET}:/s", f"--user={USER}:{USER}"), MAY_CONNECT),
    "socket-group": Case(mounted(f"{SOCKET}:/s", f"--user={USER}:{USER}", f"--group-add={GROUP}"), MAY_CONNECT),
    "run-user": Case(mounted("/run:/r", f"--user={USER}:{USER}"), "[ -w /r/docker.sock ]"),
    "etc": Case(mounted("/etc:/e:ro"), ": < /e/shadow"),
    "etc-user": Case(mounted("/etc:/e:ro", f"--user={USER}:{USER}"), ": < /e/shadow"),
    "unmasked": Case(("--security-opt=systempaths=unconfined",), CORE),
    "unmasked-user": Case(("--security-opt=systempaths=unconfined", "--user=1000"), CORE),
    "sys-admin": Case(("--cap-add=SYS_ADMIN",), "mount -t tmpfs none /tmp && umount /tmp"),
    "sys-admin-user": Case(("--cap-add=SYS_ADMIN", "--user=1000"), "mount -t tmpfs none /tmp && umount /tmp"),
    # a read-only bind leaves the hierarchies below it writable, before Docker 25; the shell leaves its device group
    "sys": Case(mounted("/sys:/h:ro"), "(: >> /h/kernel/uevent_helper) || echo $$ > /h/fs/cgroup/devices/cgroup.procs"),
    "containerd-group": Case(mounted("/run/containerd/containerd.sock:/s", f"--user={USER}:0"), MAY_CONNECT),
    "containerd-user": Case(mounted("/run/containerd/containerd.sock:/s", f"--user={USER}:{USER}"), MAY_CONNECT),
    "pid-host": Case(("--pid=host",), "kill -0 {root}"),
    "pid-host-user": Case(("--pid=host", f"--user={USER + 1}:{USER + 1}"), "kill -0 {root} || kill -0 {user}"),
    "pid-host-same": Case(("--pid=host", f"--user={USER}:{USER}"), "cat /proc/{user}/root/{secret}"),
    "proc-same": Case(mounted("/proc:/p:ro", f"--user={USER}:{USER}"), "cat /p/{user}/root/{secret}"),
    "proc-user": Case(mounted("/proc:/p:ro", f"--user={USER + 2}:{USER + 2}"), "cat /p/{user}/root/{secret}"),
    "proc-ptrace": Case(mounted("/proc:/p:ro", "--cap-add=SYS_PTRACE"), "cat /p/{root}/root/{secret}"),
}


@dataclass(frozen=True)
class Lab:
    """Started containers, what really happens in them, and three reports: with the engine, without it, and as nobody.

    Attributes:
        ids: Container id by name of the case.
        open: What the attempts said.
        both: Engine and processes.
        processes: Processes alone; the runtime's own configuration speaks for the engine.
    """

    ids: dict[str, str]
    open: dict[str, bool]
    both: Report
    processes: Report

    def of(self, report: Report, case: str) -> list[Assessment]:
        return [one for one in report.assessments if one.workload.key == self.ids[case]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("live")
    secret = Path("/srv") / f"{PREFIX}-secret"
    secret.write_text("planted", encoding="ascii")
    secret.chmod(stat.S_IRUSR)
    os.chown(secret, USER, USER)
    try:
        with image(folder), started("sleep", "300") as root, started("sleep", "300", user=USER) as user:
            ids = {
                name: docker(
                    "run", "-d", "--network=none", f"--name={PREFIX}-{name}", *case.options, IMAGE, "sleep", "300"
                )
                for name, case in CASES.items()
            }
            alike = ("run", "-d", "--network=none", f"--user={USER + 3}:{USER + 3}")
            ids["pid-owner"] = docker(*alike, f"--name={PREFIX}-owner", IMAGE, "sleep", "300")
            shared = f"--pid=container:{ids['pid-owner']}"
            ids["pid-guest"] = docker(*alike, f"--name={PREFIX}-guest", shared, IMAGE, "sleep", "300")
            for _ in range(2):
                docker("exec", "-d", ids["default"], "sleep", "290")
            happened = {
                name: attempted(ids[name], case.attempt.format(root=root, user=user, secret=secret))
                for name, case in CASES.items()
            }
            settings = Settings(quiet=True)
            yield Lab(ids, happened, scan(("docker://", "proc://"), settings), scan(("proc://",), settings))
    finally:
        secret.unlink(missing_ok=True)


def attempted(identity: str, line: str) -> bool:
    done = subprocess.run(
        ["docker", "exec", identity, "sh", "-c", line], capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode == 0


@pytest.mark.parametrize("name", CASES)
def test_the_prediction_is_what_happens(lab: Lab, name: str) -> None:
    (found,) = lab.of(lab.both, name)
    assert found.verdict is (Verdict.ESCAPABLE if lab.open[name] else Verdict.CONTAINED)
    assert found.workload.kind == "docker container"
    assert found.workload.name == f"{PREFIX}-{name}"


def test_both_outcomes_were_seen(lab: Lab) -> None:
    assert {True, False} == set(lab.open.values())
    assert not lab.open["default"]
    assert lab.open["socket"]


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_contradicted_where_the_engine_did_what_it_was_told(lab: Lab, name: str) -> None:
    for report in (lab.both, lab.processes):
        assert [one.contradictions for one in lab.of(report, name)] == [()]


@pytest.mark.parametrize("name", CASES)
def test_the_runtimes_own_configuration_says_the_same_as_the_engine(lab: Lab, name: str) -> None:
    (asked,), (found,) = lab.of(lab.both, name), lab.of(lab.processes, name)
    assert found.workload.kind == "docker container"
    assert found.verdict is asked.verdict
    assert ways(found) == ways(asked)


def ways(found: Assessment) -> set[tuple[object, ...]]:
    return {(tuple(step.technique.id for step in path.steps), path.reaches.name, path.verdict) for path in found.paths}


def test_another_container_is_told_from_the_host(lab: Lab) -> None:
    """Two containers share a process namespace: they reach each other and nothing else."""
    inside = attempted(lab.ids["pid-guest"], "cd /proc/1/root/")
    (guest,) = lab.of(lab.both, "pid-guest")
    assert inside is (guest.verdict is Verdict.ESCAPABLE)
    assert {path.reaches.name for path in guest.paths} == {"reach.other_container"}


RUNTIMES = [name for name in ("runc", "runsc") if shutil.which(name)]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_container_without_any_engine(tmp_path: Path, runtime: str) -> None:
    name = f"{PREFIX}-bare-{runtime}"
    tree(tmp_path / "rootfs")
    subprocess.run(["runc", "spec"], cwd=tmp_path, check=True)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["process"] |= {"terminal": False, "args": ["/bin/sleep", "120"]}
    if runtime == "runc":  # gVisor refuses to start with a socket of the host
        config["mounts"].append({"destination": "/s", "type": "bind", "source": SOCKET, "options": ["bind"]})
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    words = [runtime, "--platform=ptrace", "--network=none"] if runtime == "runsc" else [runtime]
    start = ["run", "-detach", name] if runtime == "runsc" else ["run", "-d", name]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*words, *start], cwd=tmp_path, check=True, timeout=60, **quiet)
    try:
        report = scan(("proc://",), Settings(quiet=True))
    finally:
        subprocess.run([*words, "kill", name, "KILL"], check=True, timeout=60, **quiet)
        delete(words, name)
    (found,) = [one for one in report.assessments if one.workload.name == name]
    assert found.workload.kind == f"{runtime} container"
    assert found.verdict is (Verdict.CONTAINED if runtime == "runsc" else Verdict.ESCAPABLE)
    assert found.contradictions == ()


def delete(words: list[str], name: str) -> None:
    for _ in range(100):
        if subprocess.run([*words, "delete", name], capture_output=True, timeout=60, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} cannot be deleted")


def test_an_ordinary_user_learns_what_was_not_seen(lab: Lab) -> None:
    assert seccomp_filter.read_filters(os.getpid()) == ()  # loads everything that nobody could load any more
    told = as_nobody()
    mine = {name: told["verdicts"][identity] for name, identity in lab.ids.items()}
    assert "contained" not in mine.values()
    assert mine["socket"] == "escapable"
    assert any("root (CAP_SYS_PTRACE, CAP_SYS_ADMIN) also sees" in note for note in told["notes"])
    assert any("run as root" in trouble for trouble in told["troubles"]), "the engine's socket was refused"


def as_nobody() -> dict[str, object]:
    """Scan this machine in a forked child that has given up everything; return what it reports."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            report = scan(("machine",), Settings(quiet=True))
            told = {
                "verdicts": {one.workload.key: one.verdict.value for one in report.assessments},
                "notes": report.notes,
                "troubles": [trouble.next for trouble in report.not_understood],
            }
            os.write(writer, json.dumps(told).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return dict(json.loads(data))


def test_a_part_of_the_hosts_procfs_shows_no_processes(lab: Lab) -> None:
    """Only a mount of the whole of it does; what it shows of other containers is told apart from the host."""
    (whole,) = lab.of(lab.both, "proc-same")
    assert {"host-proc-process"} <= {path.steps[0].technique.id for path in whole.paths}
    with container("--network=none", *mounted("/proc/sys:/p:ro"), name="part") as identity:
        assert not attempted(identity, "cd /p/1")
        report = scan((f"docker://{identity}",), Settings(quiet=True))
    (part,) = report.assessments
    assert part.verdict is Verdict.CONTAINED
