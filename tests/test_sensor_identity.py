"""Who acted, told by the kernel's own records: real containers, real escapes, real look-alikes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from collect_box import IMAGE, PREFIX, container, docker, first_pid, image, started
from holdfast.model.event import Event
from holdfast.sensor.answers import Answers
from holdfast.sensor.containers import Departure
from holdfast.sensor.engines.docker import Docker
from holdfast.sensor.engines.registry import Registry
from holdfast.sensor.processes import ancestors
from holdfast.sensor.watching import Sensor

pytestmark = [pytest.mark.root, pytest.mark.engine]

GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture(scope="module", autouse=True)
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with image(tmp_path_factory.mktemp("box")):
        yield


class Watch:
    """A sensor and an engine, fed until something was seen."""

    def __init__(self) -> None:
        self.registry = Registry([Docker()])
        self.sensor = Sensor({})
        self.sensor.containers.wanted = self.registry.wanted
        self.seen: list[Event] = []

    def __enter__(self) -> Self:
        self.registry.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.registry.stop()
        self.sensor.close()

    def round(self) -> None:
        for event in self.sensor.events(20):
            news = self.registry.news()
            if news:
                self.sensor.containers.learned(news, self.sensor.processes.alive.values())
            if event.name == "execve":
                event.arguments = {**event.arguments, "line": Answers().table["proc.cmdline"](event)}
                self.seen.append(event)

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        end = time.monotonic() + 20
        while True:
            for event in self.seen:
                if wanted(event):
                    return event
            assert time.monotonic() < end, [event.arguments["line"] for event in self.seen]
            self.round()


def line(text: str) -> Callable[[Event], bool]:
    return lambda event: event.arguments["line"] == text


def test_twenty_containers_of_fifty_milliseconds_are_named_when_their_program_starts() -> None:
    with Watch() as watch:
        for number in range(20):
            name = f"{PREFIX}-brief-{number}"
            identity = docker("create", "--name", name, "--network=none", IMAGE, "/bin/sleep", f"0.05{number:02}")
            try:
                docker("start", "-a", identity)
            finally:
                docker("rm", "-f", identity, check=False)
            event = watch.until(line(f"sleep 0.05{number:02}"))
            one = event.process.container
            assert one is not None
            assert one.id == identity
            assert watch.registry.resolve(one)
            assert (one.name, one.image) == (name, IMAGE)
            assert not watch.sensor.containers.starting(event.process)
            assert watch.sensor.containers.left(event.process) == ()
            host = [step.name for step in ancestors(event.process) if step.container is None]
            assert "containerd-shim" in host


def test_what_is_executed_in_a_container_belongs_to_it_though_its_parent_does_not() -> None:
    with container("--network=none", name="joined") as identity, Watch() as watch:
        docker("exec", identity, "/bin/sleep", "0.0123")
        event = watch.until(line("sleep 0.0123"))
        assert event.process.container is not None
        assert event.process.container.id == identity
        assert watch.sensor.containers.left(event.process) == ()


@pytest.mark.parametrize("options", [(), ("--pid=host",)], ids=["plain", "host-pid"])
def test_a_child_of_what_is_executed_belongs_too(options: tuple[str, ...]) -> None:
    with container("--network=none", *options, name="stays") as identity, Watch() as watch:
        docker("exec", identity, "/bin/sh", "-c", "/bin/sleep 0.0234; true")
        event = watch.until(line("sleep 0.0234"))
        assert event.process.container is not None
        assert event.process.container.id == identity


def test_who_enters_the_hosts_mounts_stays_its_containers() -> None:
    powers = ("--network=none", "--pid=host", "--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", "--cap-add=SYS_CHROOT")
    with started("sleep", "1000") as guide, container(*powers, name="enters") as identity, Watch() as watch:
        way = ("/bin/busybox", "nsenter", "-t", str(guide), "-m", "-u", "/bin/sleep", "0.0345")
        docker("exec", identity, *way)
        event = watch.until(line("sleep 0.0345"))
        assert event.process.namespaces["mnt"] == watch.sensor.namespaces["mnt"]
        assert event.process.container is not None
        assert event.process.container.id == identity
        left = watch.sensor.containers.left(event.process)
        assert Departure("mnt", "host") in left
        assert Departure("uts", "host") in left


def test_a_program_that_was_written_since_the_container_was_made_is_told_from_the_images() -> None:
    script = "cp /bin/busybox /tmp/sleep; /tmp/sleep 0.41; cp /bin/busybox /tmp/gone; mv /tmp/gone /tmp/sleep2; "
    script += "ln -s /tmp/sleep2 /tmp/link; /bin/sleep 0.42; cp /bin/busybox /sleep; /sleep 0.43 & "
    script = (
        script.replace("cp ", "/bin/busybox cp ").replace("mv ", "/bin/busybox mv ").replace("ln ", "/bin/busybox ln ")
    )
    script += "/bin/sleep 0.1; /bin/busybox rm /sleep; wait; exec /mnt/sleep 0.44"
    with container("--network=none", "-v/bin/busybox:/mnt/sleep:ro", name="layers") as identity, Watch() as watch:
        table = Answers().table
        told: dict[str, object] = {}
        with subprocess.Popen(["docker", "exec", identity, "/bin/sh", "-c", script]) as running:
            for text, wait in (("sleep 0.41", 0), ("sleep 0.42", 0), ("sleep 0.43", 0.25), ("sleep 0.44", 0)):
                event = watch.until(line(text))
                time.sleep(wait)
                told[text] = table["proc.is_exe_upper_layer"](event), table["proc.is_exe_lower_layer"](event)
            assert running.wait(20) == 0
        assert told == {
            "sleep 0.41": (True, False),
            "sleep 0.42": (False, True),
            "sleep 0.43": (True, False),
            "sleep 0.44": (False, False),
        }


_SLEEP = "/bin/busybox {}"
_COPY = "/bin/busybox cp /bin/busybox"
_OVERLAY = (
    f"/bin/busybox mkdir -p /o/l /o/u /bin2; {_COPY} /o/l/busybox; /bin/busybox mount -t tmpfs t /o/u; "
    "/bin/busybox mkdir /o/u/u /o/u/w; "
    "/bin/busybox mount -t overlay -o lowerdir=/o/l,upperdir=/o/u/u,workdir=/o/u/w o /bin; "
)
"""An overlay of its own over /bin, whose options name an upper directory that the host does not have."""
_POWERS = ("--cap-add=SYS_ADMIN", "--cap-add=SYS_CHROOT", "--security-opt=seccomp=unconfined")


@pytest.mark.parametrize(
    ("script", "options", "origin"),
    [
        pytest.param(_SLEEP, (), "image", id="image"),
        pytest.param(f"/bin/busybox chmod 711 /bin/busybox; {_SLEEP}", (), "upper", id="chmod"),
        pytest.param(f"{_COPY} /b2; /bin/busybox mv /b2 /bin/busybox; {_SLEEP}", (), "upper", id="replaced"),
        pytest.param(f"{_COPY} /tmp/sleep; /tmp/{{}}", (), "upper", id="written"),
        pytest.param(f"{_COPY} /tmp/sleep; /tmp/{{}}", ("--tmpfs=/tmp:exec",), "mount", id="tmpfs"),
        pytest.param(_SLEEP, ("-v/bin/busybox:/bin/busybox:ro",), "mount", id="bind"),
        pytest.param(
            f"/bin/busybox mkdir /q; {_COPY} /q/busybox; /bin/busybox mount --bind /q /bin; {_SLEEP}",
            _POWERS, "upper", id="own-bind",
        ),
        pytest.param(
            f"/bin/busybox mkdir -p /q/bin; {_COPY} /q/bin/busybox; exec /bin/busybox chroot /q {_SLEEP}",
            _POWERS, "", id="chroot",
        ),
        pytest.param(f"{_OVERLAY}{_SLEEP}", _POWERS, "", id="own-overlay"),
    ],
)  # fmt: skip
def test_only_what_the_image_holds_is_the_images(script: str, options: tuple[str, ...], origin: str) -> None:
    script = script.replace("{}", "sleep 1.352")
    with container("--network=none", *options, name="origin") as identity, Watch() as watch:
        with subprocess.Popen(["docker", "exec", identity, "/bin/sh", "-c", f"{script}; true"]):
            event = watch.until(lambda one: str(one.arguments["line"]).endswith(" 1.352") and not _starter(one))
            found = watch.sensor.layers.origin(event.process)
        assert found == origin, event.process.executable


def test_a_program_of_the_image_is_known_when_nobody_runs_it_any_more() -> None:
    with container("--network=none", name="ended") as identity, Watch() as watch:
        docker("exec", identity, "/bin/busybox", "cp", "/bin/busybox", "/tmp/sleep")
        for path, origin in (("/bin/sleep", "image"), ("/tmp/sleep", "upper")):
            docker("exec", identity, path, "0.0567")
            event = watch.until(lambda one, path=path: one.process.arguments == (path, "0.0567"))  # type: ignore[misc]
            assert not Path(f"/proc/{event.process.pid}").exists()
            assert watch.sensor.layers.origin(event.process) == origin


def _starter(event: Event) -> bool:
    """Tell whether this is who starts the program, and not the program itself."""
    return event.process.container is None or bool({"-c", "chroot"} & set(event.process.arguments))


def hierarchies() -> list[Path]:
    if (GROUPS / "cgroup.procs").exists():
        return [GROUPS]
    return [one for one in GROUPS.iterdir() if (one / "cgroup.procs").exists()]


def test_who_moves_to_the_root_groups_stays_its_containers() -> None:
    loop = "while true; do /bin/sleep 0.0456; done"
    with container("--network=none", name="moves", command=("/bin/sh", "-c", loop)) as identity, Watch() as watch:
        pid = first_pid(identity)
        for folder in hierarchies():
            (folder / "cgroup.procs").write_text(f"{pid}\n")
        moved = Path(f"/proc/{pid}/cgroup").read_text()
        assert identity not in moved
        began = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        event = watch.until(lambda one: line("sleep 0.0456")(one) and one.process.start_ns > began)
        assert event.process.container is not None
        assert event.process.container.id == identity


@contextmanager
def look_alike(identity: str) -> Iterator[list[Path]]:
    made: list[Path] = []
    try:
        for folder in hierarchies():
            if folder.name == "cpuset":  # a new group there has no processors yet
                continue
            for one in (folder / "docker", folder / "docker" / identity):
                if not one.exists():
                    one.mkdir()
                    made.append(one)
        yield [one for one in made if one.name == identity]
    finally:
        for one in reversed(made):
            for _ in range(50):
                try:
                    one.rmdir()
                    break
                except OSError:
                    time.sleep(0.02)


def test_a_process_of_the_host_in_a_group_that_is_named_like_a_container_is_the_hosts() -> None:
    identity = "ef" * 32
    with Watch() as watch, look_alike(identity) as groups:
        moves = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
        subprocess.run(["sh", "-c", f"{moves} exec sleep 0.0567"], check=True, timeout=20)
        event = watch.until(line("sleep 0.0567"))
        assert event.process.container is None
        assert Answers().table["container.id"](event) == "host"


def test_sandboxes_and_services_of_the_host_are_the_hosts() -> None:
    with Watch() as watch:
        for number, words in enumerate(
            (["--mount"], ["--mount", "--pid", "--fork"], ["--user", "--pid", "--net", "--fork"], ["--mount", "--net"])
        ):
            subprocess.run(["unshare", *words, "sleep", f"0.067{number}"], check=True, timeout=20)
            event = watch.until(line(f"sleep 0.067{number}"))
            assert event.process.container is None, words
            assert event.process.namespaces != watch.sensor.namespaces


def test_the_answers_about_a_real_exec(tmp_path: Path) -> None:
    with Watch() as watch:
        subprocess.run(["sleep", "0.0789"], check=True, cwd=tmp_path, env={"HELD": "fast", "PATH": os.environ["PATH"]})
        event = watch.until(line("sleep 0.0789"))
        answer = Answers().table
        program = Path(os.path.realpath("/usr/bin/sleep"))
        wanted = {
            "proc.name": "sleep", "proc.args": "0.0789", "proc.exe": "sleep", "proc.exepath": str(program),
            "proc.cwd": f"{tmp_path}/", "proc.ppid": os.getpid(), "proc.exe_ino": program.stat().st_ino,
            "user.uid": os.geteuid(), "user.name": "root", "container.id": "host", "evt.res": "SUCCESS",
            "evt.type": "execve", "proc.pname": Path("/proc/self/comm").read_text().strip(), "proc.tty": 0,
            "proc.is_exe_from_memfd": False, "proc.is_exe_upper_layer": False,
        }  # fmt: skip
        assert {name: answer[name](event) for name in wanted} == wanted
        with subprocess.Popen(["sleep", "1.0791"]):
            running = watch.until(line("sleep 1.0791"))
            assert answer["proc.exe_ino.ctime"](running) == program.stat().st_ctime_ns
            assert answer["proc.exe_ino.mtime"](running) == program.stat().st_mtime_ns
            age = answer["proc.exe_ino.ctime_duration_proc_start"](running)
            assert 0 < age < time.time_ns()
        assert set(answer["proc.env"](event).split()) == {"HELD=fast", f"PATH={os.environ['PATH']}"}
        assert abs(answer["proc.pid.ts"](event) - time.time_ns()) < 60_000_000_000
