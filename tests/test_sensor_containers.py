"""Which container a process is in, and what engines say of it: laws, then real containers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect_box import IMAGE, PREFIX, children, container, docker, first_pid, image, program_of, started, tree
from holdfast.model.errors import Error, NotReachable, NotUnderstood
from holdfast.model.event import Container, Executable
from holdfast.sensor import snapshot
from holdfast.sensor.containers import Containers, Departure, Known, initial_namespaces
from holdfast.sensor.engines import bundles, unix_http
from holdfast.sensor.engines.bundles import Bundles
from holdfast.sensor.engines.docker import Docker, described, nanoseconds
from holdfast.sensor.engines.registry import Registry
from holdfast.sensor.processes import Life, Processes

HOST = initial_namespaces()
ID = "ab" * 32
OTHER = "cd" * 32
INSIDE = {**HOST, "mnt": 101, "pid": 102, "ipc": 103, "uts": 104, "net": 105}
ROOTS = {"host": ("8:1", "/"), "own": ("0:50", "/")}


class Scene:
    """A process table whose processes are placed, fed by hand."""

    def __init__(self, root: tuple[str, str] | None = None) -> None:
        self.asked: list[str] = []
        self.containers = Containers(
            HOST, look=lambda _: root, host_root=ROOTS["host"], wanted=lambda one: self.asked.append(one.id)
        )
        self.processes = Processes(placed=self.containers.placed, left=self.containers.ended)
        self.at = 1_000
        self.runs(1, "/sbin/init")

    def runs(self, pid: int, program: str, *arguments: str, **values: Any) -> Life:
        self.at += 10
        given = {"namespaces": HOST, "cgroup": 1, **values}
        name = program.rsplit("/", 1)[-1][:15]
        self.processes.seen(pid, 0, self.at, given)
        self.at += 10
        return self.processes.executed(
            pid, 0, self.at, {"name": name, "arguments": (program, *arguments), "executable": Executable(program)}
        )

    def forks(self, parent: int, pid: int, **values: Any) -> Life:
        self.at += 10
        return self.processes.forked(parent, pid, self.at, values)

    def moves(self, pid: int, **values: Any) -> Life:
        self.at += 10
        return self.processes.seen(pid, 0, self.at, values)

    def execs(self, pid: int, program: str) -> Life:
        self.at += 10
        return self.processes.executed(pid, 0, self.at, {"executable": Executable(program), "name": program[-15:]})

    def starts(self, identity: str = ID, namespaces: dict[str, int] = INSIDE, first: int = 50, cgroup: int = 1) -> Life:
        """Do what containerd's shim and runc do, ids and all."""
        self.forks(1, first)
        self.runs(first, "/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", identity)
        self.forks(first, first + 1)
        self.runs(first + 1, "/usr/sbin/runc", "create", identity)
        self.forks(first + 1, first + 2)
        self.moves(first + 2, namespaces={**namespaces, "pid": HOST["pid"]})
        self.forks(first + 2, first + 3)
        self.moves(first + 3, namespaces=namespaces, cgroup=cgroup)
        return self.execs(first + 3, "/bin/app")


def test_a_container_is_known_by_its_runtimes_command_line_before_any_engine_answers() -> None:
    scene = Scene()
    app = scene.starts()
    assert app.container is not None
    assert (app.container.id, app.container.state) == (ID, "pending")
    assert scene.asked == [ID]
    assert scene.processes.alive[50].container is None, "the shim stays outside"
    assert scene.processes.alive[51].container is None


def test_the_runtime_inside_is_starting_until_the_program_runs() -> None:
    scene = Scene()
    scene.starts()
    scene.forks(1, 60)
    scene.runs(60, "/usr/sbin/runc", "exec", ID)
    joins = scene.forks(60, 61)
    assert joins.container is None
    scene.moves(61, namespaces=INSIDE)
    helper = scene.forks(61, 62)
    assert scene.containers.starting(joins)
    assert scene.containers.starting(helper)
    assert helper.container is not None
    scene.execs(62, "/bin/sh")
    assert not scene.containers.starting(helper)
    assert helper.container.id == ID


def test_a_visitor_that_goes_back_is_the_hosts_again_and_one_that_ran_a_program_is_not() -> None:
    scene = Scene()
    scene.starts()
    visitor = scene.forks(1, 60)
    scene.moves(60, namespaces={**HOST, "mnt": INSIDE["mnt"]})
    assert visitor.container is not None
    scene.moves(60, namespaces=HOST)
    assert visitor.container is None
    scene.moves(60, namespaces=INSIDE)
    scene.execs(60, "/bin/sh")
    scene.moves(60, namespaces=HOST)
    assert visitor.container is not None, "it ran a program of the container: this is an escape"


def test_a_process_that_leaves_stays_its_containers_and_it_is_said_what_it_left() -> None:
    scene = Scene()
    scene.containers.made(77, f"/docker/{ID}")
    scene.containers.made(78, f"/docker/{ID}/below")
    scene.containers.made(79, f"/docker/{OTHER}")
    app = scene.starts(cgroup=77)
    child = scene.forks(app.pid, 70)
    assert scene.containers.left(child) == ()
    scene.moves(70, cgroup=78)
    assert scene.containers.left(child) == (), "a group of its own below the container's"
    scene.moves(70, cgroup=1)
    assert scene.containers.left(child) == (Departure("cgroup", "host"),)
    scene.moves(70, cgroup=79)
    assert scene.containers.left(child) == (Departure("cgroup", "container"),)
    scene.moves(70, cgroup=77, namespaces={**INSIDE, "mnt": HOST["mnt"], "user": 999})
    assert set(scene.containers.left(child)) == {Departure("mnt", "host"), Departure("user", "new")}
    grandchild = scene.forks(70, 71)
    scene.execs(71, "/bin/bash")
    assert grandchild.container is app.container


def test_what_only_looks_like_a_container_is_the_hosts() -> None:
    scene = Scene(root=ROOTS["host"])
    scene.containers.made(77, f"/docker/{ID}")
    in_group = scene.forks(1, 10)
    scene.moves(10, cgroup=77)
    service = scene.forks(1, 11)
    scene.moves(11, namespaces={**HOST, "mnt": 201})
    shell = scene.forks(1, 12)
    scene.moves(12, namespaces={**HOST, "mnt": 202, "pid": 203})
    browser = scene.forks(1, 13)
    scene.moves(13, namespaces={**HOST, "pid": 204, "user": 205, "net": 206})
    for life in (in_group, service, shell, browser):
        scene.execs(life.pid, "/bin/true")
        assert life.container is None, life.pid


def test_a_program_that_only_calls_itself_a_runtime_names_no_container() -> None:
    scene = Scene(root=ROOTS["host"])
    scene.runs(10, "/home/user/tool", "run", ID, user=1000)
    scene.forks(10, 11)
    life = scene.moves(11, namespaces={**HOST, "mnt": 201}, user=1000)
    assert life.container is None


@pytest.mark.parametrize(("own", "contained"), [(True, True), (False, False), (None, True)])
def test_a_container_that_no_engine_knows_has_a_root_of_its_own(own: bool | None, contained: bool) -> None:
    scene = Scene(root=ROOTS["own"])
    scene.forks(1, 10)
    life = scene.moves(10, namespaces={**HOST, "mnt": 201, "pid": 202}, own_root=own)
    assert (life.container is not None) is contained
    if life.container is not None:
        assert life.container.id == "mntc9"
        assert len(life.container.id) <= 12


def test_a_namespace_number_that_is_given_out_again_is_another_container() -> None:
    scene = Scene(root=ROOTS["own"])
    inner = {**HOST, "mnt": 201, "pid": 202}
    found = []
    for pid in (10, 20, 30):
        scene.forks(1, pid)
        first = scene.moves(pid, namespaces=inner, own_root=True).container
        second = scene.forks(pid, pid + 1).container
        assert first is not None
        assert first is second
        found.append(first)
        for one in (pid + 1, pid):
            scene.at += 10
            scene.processes.exited(one, 0, scene.at)
    assert [one.id for one in found] == ["mntc9", "mntc9-1", "mntc9-2"]


def test_a_root_that_changes_after_the_first_look_is_looked_at_again() -> None:
    roots = [ROOTS["host"], ROOTS["own"]]
    containers = Containers(HOST, look=lambda _: roots.pop(0), host_root=ROOTS["host"])
    processes = Processes(placed=containers.placed)
    life = processes.seen(10, 5, 5, {"namespaces": {**HOST, "mnt": 201, "pid": 202}})
    assert life.container is None
    processes.executed(10, 5, 9, {"name": "app"})
    assert life.container is not None


def test_a_container_with_the_hosts_pid_namespace_is_known_by_its_control_group() -> None:
    scene = Scene()
    scene.containers.made(77, f"/kubepods.slice/cri-containerd-{ID}.scope")
    scene.forks(1, 10)
    life = scene.moves(10, namespaces={**HOST, "mnt": 201}, cgroup=77)
    assert life.container is not None
    assert life.container.id == ID


def test_who_is_inside_cannot_name_another_container_with_a_group_below_its_own() -> None:
    scene = Scene()
    scene.containers.made(78, f"/docker/{ID}/docker/{OTHER}")
    scene.forks(1, 10)
    life = scene.moves(10, namespaces={**HOST, "mnt": 201}, cgroup=78)
    assert life.container is not None
    assert life.container.id == ID


def test_an_engine_that_answers_late_names_what_is_running_already() -> None:
    scene = Scene(root=ROOTS["own"])
    scene.forks(1, 10)
    nameless = scene.moves(10, namespaces=INSIDE)
    scene.forks(1, 11)
    with_host_pids = scene.moves(11, namespaces={**HOST, "mnt": 201})
    assert nameless.container is not None
    assert with_host_pids.container is None
    scene.containers.learned(
        [
            Known(Container(ID, name="web", state="complete"), 10, INSIDE),
            Known(Container(OTHER, name="db", state="complete"), 11, {**HOST, "mnt": 201}),
        ],
        scene.processes.alive.values(),
    )
    assert (nameless.container.id, nameless.container.name) == (ID, "web")
    assert with_host_pids.container is not None
    assert with_host_pids.container.name == "db"


def test_a_namespace_number_that_is_given_out_again_names_nobody() -> None:
    scene = Scene(root=ROOTS["host"])
    app = scene.starts()
    for pid in (52, 53):
        scene.at += 10
        scene.processes.exited(pid, 0, scene.at)
    assert app.container is not None, "records of another ring may still come"
    scene.forks(1, 90)
    life = scene.moves(90, namespaces=INSIDE)
    assert life.container is None


def test_a_container_that_is_started_again_has_new_namespaces() -> None:
    scene = Scene()
    scene.starts()
    again = scene.starts(namespaces={**INSIDE, "mnt": 301, "pid": 302}, first=150)
    assert again.container is not None
    assert again.container.id == ID
    assert scene.containers.left(again) == ()


def test_many_containers_take_bounded_memory() -> None:
    scene = Scene()
    app = scene.starts()
    for number in range(40_000):
        scene.containers.made(1_000 + number, f"/docker/{number:064x}")
    assert len(scene.containers._containers) <= 16_384
    assert len(scene.containers._groups) <= 16_384
    assert app.container is scene.containers.named(ID), "one that runs is not forgotten"


# --- engines, by hand ------------------------------------------------------------------------------------------------


def inspected(**more: Any) -> dict[str, Any]:
    return {
        "Id": ID, "Name": "/web", "Image": "sha256:1", "Config": {"Image": "reg/web:1", "Labels": {"a": "b"}},
        "HostConfig": {"Privileged": True}, "State": {"Pid": 0, "StartedAt": "2026-11-23T19:55:45.420941719Z"},
        "Mounts": [{"Source": "/tmp", "Destination": "/mnt", "Mode": "ro", "RW": False, "Propagation": "rprivate"}],
        **more,
    }  # fmt: skip


def test_what_inspect_says() -> None:
    told = described(inspected(), "docker").container
    assert (told.id, told.name, told.image, told.image_id) == (ID, "web", "reg/web:1", "sha256:1")
    assert (told.privileged, told.labels, told.state) == (True, {"a": "b"}, "complete")
    assert told.mounts == (("/tmp", "/mnt", "ro", False, "rprivate"),)
    assert told.started_ns == 1_795_463_745_420_941_719


def test_times() -> None:
    assert nanoseconds("0001-01-01T00:00:00Z") == 0
    assert nanoseconds("1970-01-01T01:00:01.5+01:00") == 1_500_000_000
    assert nanoseconds("1970-01-01T00:00:01Z") == 1_000_000_000
    assert nanoseconds("nonsense") == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*inspected(), "x"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*inspected(), "Labels", "Pid"]), JSON))
def test_an_answer_of_any_shape_is_read(told: dict[str, Any]) -> None:
    told.pop("State", None)
    assert described(told, "docker").container.runtime == "docker"


@given(
    st.dictionaries(st.sampled_from(["Type", "Action", "Actor", "id", "status", "timeNano"]), JSON),
    JSON | st.sampled_from([ID, "../x", "\ud800", ""]), JSON,
)  # fmt: skip
def test_an_event_of_any_shape_is_read(told: dict[str, Any], identity: Any, attributes: Any) -> None:
    source = Docker("/nowhere.sock")
    source._registry = registry = Registry([source])
    try:
        for line in (told, {**told, "Type": "container", "Action": "create",
                            "Actor": {"ID": identity, "Attributes": attributes}}):  # fmt: skip
            try:
                source._event(json.dumps(line).encode())
            except NotReachable:
                assert identity == ID, "only an id is asked for"
        assert set(registry.known()) <= {ID}
    finally:
        source.stop()


@pytest.mark.parametrize("identity", ["../../etc", "web one", "\udcff", "a\0b", "", "."])
def test_what_is_no_id_is_asked_nobody(identity: str) -> None:
    sources = (Docker("/nowhere.sock"), Bundles("/nowhere"))
    registry = Registry(sources)
    for source in sources:
        source._registry = registry
    sources[0]._inspect(identity, None)
    sources[1]._answer(identity)
    assert registry.known()[identity].container.state == "missing"


@given(st.dictionaries(st.sampled_from(["annotations", "linux", "process", "mounts", "root"]), JSON))
def test_a_configuration_of_any_shape_is_read(told: dict[str, Any]) -> None:
    assert bundles.described(told, ID, "").container.id == ID


def test_a_kubernetes_container_in_containerds_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run/containerd/io.containerd.runtime.v2.task/k8s.io" / ID
    folder.mkdir(parents=True)
    notes = {
        "io.kubernetes.cri.container-name": "app", "io.kubernetes.cri.sandbox-name": "web-0",
        "io.kubernetes.cri.sandbox-namespace": "shop", "io.kubernetes.cri.sandbox-uid": "u-1",
        "io.kubernetes.cri.image-name": "reg/app:2", "io.kubernetes.cri.sandbox-id": OTHER,
    }  # fmt: skip
    powers = [f"CAP_{name}" for name in ("SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "NET_ADMIN")]
    told = {
        "annotations": notes, "linux": {"resources": {}}, "process": {"capabilities": {"bounding": powers}},
        "mounts": [
            {"type": "bind", "source": "/etc", "destination": "/host", "options": ["rbind", "ro", "rprivate"]},
            {"type": "proc", "source": "proc", "destination": "/proc"},
        ],
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(told))
    source = Bundles(str(tmp_path), every_s=3600)
    registry = Registry([source])
    source._registry = registry
    source.look()
    (known,) = registry.news()
    one = known.container
    assert (one.name, one.image, one.runtime, one.privileged) == ("app", "reg/app:2", "containerd", True)
    assert one.labels["io.kubernetes.pod.name"] == "web-0"
    assert one.labels["io.kubernetes.pod.namespace"] == "shop"
    assert one.mounts == (("/etc", "/host", "", False, "rprivate"),)
    shutil.rmtree(folder)
    source.look()
    assert [known.ended for known in registry.news()] == [True]


def test_an_unknown_container_is_missing_once_every_source_said_so() -> None:
    registry = Registry([Bundles("/nowhere"), Docker("/nowhere.sock")])
    one = Container(ID)
    registry.unknown(ID, "bundles")
    assert not registry.resolve(one, 0)
    assert one.state == "pending"
    registry.unknown(ID, "docker")
    assert not registry.resolve(one, 0)
    assert one.state == "missing"
    registry.tell(Known(Container(ID, name="late", state="complete")))
    assert registry.resolve(one, 0)
    assert one.name == "late"


def test_resolving_waits_for_the_answer_and_not_longer() -> None:
    registry = Registry()
    one = Container(ID)
    began = time.monotonic()
    assert not registry.resolve(one, 0.05)
    assert time.monotonic() - began < 5
    teller = threading.Timer(0.1, registry.tell, [Known(Container(ID, name="web", state="complete"))])
    teller.start()
    assert registry.resolve(one, 10)
    assert one.name == "web"
    teller.join()


@contextmanager
def answering(folder: Path, behave: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    path = str(folder / "engine.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    listener.settimeout(0.05)
    done = threading.Event()

    def serve() -> None:
        held: list[socket.socket] = []
        while not done.is_set():
            try:
                one, _ = listener.accept()
            except TimeoutError:
                continue
            one.settimeout(2)
            held.append(one)
            try:
                behave(one, one.recv(4096))
            except OSError:
                continue
        for one in held:
            one.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield path
    finally:
        done.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 2", b"\xff\0" * 2000])
def test_what_answers_is_no_engine(tmp_path: Path, answer: bytes) -> None:
    def behave(one: socket.socket, _: bytes) -> None:
        one.sendall(answer)
        one.close()

    with answering(tmp_path, behave) as path, pytest.raises((NotReachable, NotUnderstood)):
        unix_http.get(path, "/x", 2)


def test_an_engine_that_hangs_costs_its_limit_and_no_more(tmp_path: Path) -> None:
    with answering(tmp_path, lambda *_: None) as path:
        began = time.monotonic()
        with pytest.raises(NotReachable, match="in time"):
            unix_http.get(path, "/x", 0.2)
        assert time.monotonic() - began < 5


def test_a_trickle_ends_at_the_limit(tmp_path: Path) -> None:
    def behave(one: socket.socket, _: bytes) -> None:
        for _ in range(40):
            one.sendall(b"H")
            time.sleep(0.02)

    with answering(tmp_path, behave) as path, pytest.raises(NotReachable, match="in time"):
        unix_http.get(path, "/x", 0.2)


def test_a_hanging_engine_delays_neither_the_sensor_nor_its_end(tmp_path: Path) -> None:
    with answering(tmp_path, lambda *_: None) as path:
        registry = Registry([Docker(path, timeout_s=0.3)])
        registry.start()
        one = Container(ID)
        began = time.monotonic()
        registry.wanted(one)
        assert registry.news() == []
        assert time.monotonic() - began < 0.2
        end = time.monotonic() + 10
        while not registry.resolve(one, 0.1) and one.state == "pending":
            assert time.monotonic() < end
        assert one.state == "missing"
        registry.stop()


def test_an_engine_that_comes_back_is_heard_again(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def behave(one: socket.socket, request: bytes) -> None:
        target = request.split(b" ")[1]
        asked.append(target)
        if target.startswith(b"/events"):
            event = {"Type": "container", "Action": "create", "timeNano": 1_000_000_002,
                     "Actor": {"ID": ID, "Attributes": {"name": "web", "image": "reg/web:1"}}}  # fmt: skip
            one.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(event).encode() + b"\n")
            if len([1 for one in asked if one.startswith(b"/events")]) < 2:
                one.close()
            return
        body = b"[]" if target.startswith(b"/containers/json") else b"{}"
        status = b"200" if body == b"[]" else b"404"
        one.sendall(b"HTTP/1.0 " + status + b" x\r\n\r\n" + body)
        one.close()

    with answering(tmp_path, behave) as path:
        registry = Registry([Docker(path)])
        registry.start()
        one = Container(ID)
        end = time.monotonic() + 10
        while not registry.resolve(one, 0.05) or len([x for x in asked if x.startswith(b"/events")]) < 2:
            assert time.monotonic() < end, asked
            time.sleep(0.02)
        registry.stop()
    assert (one.name, one.image, one.privileged) == ("web", "reg/web:1", None)
    assert any(b"since=1.000000002" in target for target in asked)


# --- real containers -------------------------------------------------------------------------------------------------

real = pytest.mark.usefixtures("box")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with image(tmp_path_factory.mktemp("box")):
        yield


class Machine:
    """The processes of this machine, found in procfs again and again: what the kernel's records would tell."""

    def __init__(self, *sources: Any) -> None:
        self.registry = Registry(sources)
        self.containers = Containers(
            snapshot.host_namespaces(), look=snapshot.root_of, host_root=snapshot.root_of(os.getpid()),
            wanted=self.registry.wanted,
        )  # fmt: skip
        self.processes = Processes(placed=self.containers.placed, left=self.containers.ended)
        self.known: set[int] = set()

    def __enter__(self) -> Self:
        self.registry.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.registry.stop()

    def look(self) -> list[Life]:
        self.containers.learned(self.registry.news(), self.processes.alive.values())
        now = snapshot.living()
        fresh = now - self.known
        self.known = set(now)
        found = [seen for pid in sorted(fresh) if (seen := snapshot.one(pid)) is not None]
        lives = []
        for seen in sorted(found, key=lambda seen: seen.life.start_ns):
            life = self.processes.entered(seen.life, seen.parent_pid)
            self.containers.placed(life, seen.groups)
            lives.append(life)
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        for pid, life in tuple(self.processes.alive.items()):
            young = now_ns - life.start_ns < 3_000_000_000 and (life.container is None or "runc" in life.name)
            if young and (seen := snapshot.one(pid)) is not None and seen.life.start_ns == life.start_ns:
                told = {"namespaces": seen.life.namespaces}
                self.processes.seen(pid, life.start_ns, now_ns, told)
                if seen.life.name != life.name:
                    told = {"name": seen.life.name, "arguments": seen.life.arguments, **told}
                    self.processes.executed(pid, life.start_ns, now_ns + 1, told)
                lives.append(life)
        return lives


@pytest.mark.root
@pytest.mark.engine
@real
def test_containers_that_live_fifty_milliseconds_get_their_name_and_image() -> None:
    many = 20
    with Machine(Docker(), Bundles()) as machine:
        machine.look()
        done = threading.Event()
        met: dict[str, Container] = {}

        def watch() -> None:
            while not done.is_set():
                for life in machine.look():
                    if life.container is not None:
                        met.setdefault(life.container.id, life.container)
                time.sleep(0.004)

        watcher = threading.Thread(target=watch)
        watcher.start()
        wanted: dict[str, str] = {}
        try:
            for number in range(5 * many):  # a busy machine may look away for the whole life of some
                name = f"{PREFIX}-short-{number}"
                identity = docker("create", "--name", name, "--network=none", IMAGE, "/bin/sleep", "0.05")
                docker("start", "-a", identity)
                docker("rm", identity)
                if identity in met:
                    wanted[identity] = name
                if len(wanted) == many:
                    break
        finally:
            done.set()
            watcher.join()
        assert len(wanted) == many
        for identity, name in wanted.items():
            one = met[identity]
            assert machine.registry.resolve(one, 1)
            assert (one.name, one.image, one.runtime, one.privileged) == (name, IMAGE, "docker", False)


@pytest.mark.root
@pytest.mark.engine
@real
@pytest.mark.parametrize("options", [(), ("--pid=host",), ("--network=host", "--ipc=host", "--uts=host")])
def test_a_real_container_and_what_is_executed_in_it(options: tuple[str, ...]) -> None:
    with (
        container("--network=none" if not options else "--label=x=y", *options, "-v", "/tmp:/mnt:ro") as identity,
        Machine(Docker()) as machine,
        started("docker", "exec", identity, "/bin/sleep", "321") as _,
    ):
        end = time.monotonic() + 20
        while True:
            machine.look()
            inside = [one for one in machine.processes.alive.values() if one.container and one.container.id == identity]
            if (
                len({one.arguments for one in inside if one.name == "sleep"}) == 2
                and inside[0].container.state != "pending"
            ):
                break
            assert time.monotonic() < end, inside
            time.sleep(0.02)
        first = machine.processes.alive[first_pid(identity)]
        assert first.container is inside[0].container
        assert first.container is not None
        assert first.container.mounts == (("/tmp", "/mnt", "ro", False, "rprivate"),)
        assert first.container.started_ns > 0
        assert all(machine.containers.left(one) == () for one in inside if one.name == "sleep")
        assert first.parent is None or first.parent.container is None


@pytest.mark.root
@pytest.mark.engine
@real
def test_a_real_process_that_enters_the_hosts_namespaces_stays_its_containers() -> None:
    with (
        container(
            "--network=none", "--pid=host", "--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", name="leaves"
        ) as identity,
        Machine(Docker()) as machine,
        started("sleep", "1000") as guide,
    ):
        machine.look()
        deadline = time.monotonic() + 20
        while machine.processes.alive[first_pid(identity)].container is None:
            assert time.monotonic() < deadline
            machine.look()
            time.sleep(0.02)
        first = machine.processes.alive[first_pid(identity)]
        with started("nsenter", f"--target={first.pid}", "--mount", "--", "/bin/sleep", "500") as visitor:
            pid = program_of(visitor, "sleep")
            machine.look()
            assert machine.processes.alive[pid].container is first.container
        left = snapshot.one(guide)
        assert left is not None
        machine.processes.forked(first.pid, 4_000_000, 1 << 60)
        escaped = machine.processes.seen(4_000_000, 1 << 60, (1 << 60) + 1, {"namespaces": left.life.namespaces})
        assert escaped.container is first.container
        assert Departure("mnt", "host") in machine.containers.left(escaped)


@pytest.mark.root
def test_real_processes_that_are_no_containers() -> None:
    with (
        started("unshare", "--mount", "sleep", "1000") as private,
        started("unshare", "--mount", "--pid", "--fork", "--mount-proc", "sleep", "1000") as shell,
        started("unshare", "--user", "--pid", "--net", "--fork", "sleep", "1000") as sandbox,
        Machine() as machine,
    ):
        pids = [program_of(pid, "sleep") for pid in (private, shell, sandbox)]
        machine.look()
        for pid in pids:
            life = machine.processes.alive[pid]
            assert life.namespaces != machine.containers.host
            assert life.container is None, pid


@pytest.mark.root
def test_a_real_container_that_no_engine_knows(tmp_path: Path) -> None:
    tree(tmp_path / "box")
    line = f"mount --bind {tmp_path}/box {tmp_path}/box && cd {tmp_path}/box && mkdir -p old && pivot_root . old && "
    words = ("unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "sh", "-c", f"{line} exec /bin/sleep 700")
    with started(*words) as outside, Machine() as machine:
        pid = program_of(outside, "/bin/sleep")
        machine.look()
        life = machine.processes.alive[pid]
        assert life.container is not None
        assert life.container.id == f"mnt{life.namespaces['mnt']:x}"
        assert machine.processes.alive[os.getpid()].container is None
        assert all(machine.processes.alive[one].container is life.container for one in children(pid))


@pytest.mark.root
def test_a_container_of_plain_runc_has_its_name(tmp_path: Path) -> None:
    if shutil.which("runc") is None:
        pytest.fail("package runc is needed")
    tree(tmp_path / "rootfs")
    subprocess.run(["runc", "spec"], cwd=tmp_path, check=True, timeout=20)
    told = json.loads((tmp_path / "config.json").read_text())
    told["process"].update(args=["/bin/sleep", "600"], terminal=False)
    (tmp_path / "config.json").write_text(json.dumps(told))
    name = f"{PREFIX}-plain"
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        subprocess.run(["runc", "run", "--detach", name], cwd=tmp_path, timeout=30, check=True, **quiet)
        pid = json.loads(subprocess.run(["runc", "state", name], capture_output=True, check=True).stdout)["pid"]
        with Machine(Bundles()) as machine:
            end = time.monotonic() + 10
            while True:
                machine.look()
                one = machine.processes.alive[pid].container
                if one is not None and one.id == name:
                    break
                assert time.monotonic() < end, one
                time.sleep(0.02)
            assert machine.registry.resolve(one, 1)
    finally:
        subprocess.run(["runc", "delete", "--force", name], check=False, timeout=20)


@pytest.mark.root
@pytest.mark.engine
def test_a_container_of_containerd_alone_has_its_name(tmp_path: Path) -> None:
    tree(tmp_path / "box")
    space, name = f"hf-sensor-{os.getpid()}", f"{PREFIX}-lone"
    ctr = ("ctr", "--namespace", space)
    words = ("run", "--detach", "--rootfs", str(tmp_path / "box"), name, "/bin/sleep", "600")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        subprocess.run([*ctr, *words], timeout=30, check=True, **quiet)
        with Machine(Bundles()) as machine:
            end = time.monotonic() + 10
            while True:
                machine.look()
                inside = [one for one in machine.processes.alive.values() if one.container and one.container.id == name]
                if inside:
                    break
                assert time.monotonic() < end
                time.sleep(0.02)
            (first,) = inside
            assert first.container is not None
            assert (first.name, first.container.name, first.container.runtime) == ("sleep", name, "containerd")
            assert first.container.privileged is False
            for kill in (("task", "kill", "-s", "9", name), ("task", "rm", name), ("container", "rm", name)):
                end = time.monotonic() + 10
                while subprocess.run([*ctr, *kill], timeout=30, check=False, **quiet).returncode:
                    assert time.monotonic() < end, kill
                    time.sleep(0.05)
            machine.registry.wanted(Container(name))
            end = time.monotonic() + 10
            while not machine.registry.known()[name].ended:
                assert time.monotonic() < end
                machine.registry.wanted(Container("other"))
                time.sleep(0.05)
    finally:
        for kill in (("task", "rm", "--force", name), ("container", "rm", name), ("namespace", "rm", space)):
            subprocess.run([*ctr[: 1 if kill[0] == "namespace" else 3], *kill], timeout=30, check=False, **quiet)
        above = ("run/containerd/io.containerd.*/", "run/containerd/runc/", "sys/fs/cgroup/*/", "sys/fs/cgroup/")
        for pattern in above:
            for left in Path("/").glob(f"{pattern}{space}"):  # containerd keeps the empty folders of a namespace
                left.rmdir()


def test_an_unreadable_socket_is_an_error_with_what_to_do() -> None:
    with pytest.raises(Error) as caught:
        unix_http.get("/nowhere.sock", "/x", 1)
    assert caught.value.next
