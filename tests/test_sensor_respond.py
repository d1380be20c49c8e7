"""Responses to real processes and containers: done to the right one, never to another, and taken back."""

from __future__ import annotations

import errno
import os
import socket
import time
from pathlib import Path

import pytest

from collect_box import container, docker, first_pid, image, started
from holdfast.model.errors import Error
from holdfast.model.event import Container
from holdfast.sensor import freezer, network, snapshot
from holdfast.sensor.respond import Responder

BOX = Container("c" * 64, "box")


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    with image(tmp_path_factory.mktemp("image")) as made:
        yield made


def seen(pid, inside=BOX):
    """What the sensor knows of a process that runs."""
    life = snapshot.one(pid).life
    life.container = inside
    return life


def letter(pid):
    """The state of a process, as proc_pid_stat(5) has it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def alive(pid):
    found = snapshot.one(pid)
    return found is not None and letter(pid) != "Z"


def gone(pid, seconds=5):
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


def test_the_process_that_acted_is_killed_and_no_other(tmp_path) -> None:
    responder = Responder(9, tmp_path)
    with started("sleep", "300") as one, started("sleep", "300") as two:
        response = responder.kill(seen(one))
        assert (response.done, response.how) == (True, f"killed sleep({one})")
        assert gone(one)
        assert alive(two)


def test_a_process_whose_number_belongs_to_another_is_left_alone(tmp_path) -> None:
    responder = Responder(9, tmp_path)
    with started("sleep", "300") as pid:
        process = seen(pid)
        process.start_ns -= 50_000_000
        response = responder.kill(process)
        assert (response.done, response.how) == (False, "the process is gone, and its number belongs to another")
        assert alive(pid)
    assert not responder.kill(seen(os.getpid())).done
    process = seen(os.getpid())
    process.pid = 1
    assert responder.kill(process).how == "this process is never touched"


def test_a_process_that_ended_is_said_to_be_gone(tmp_path) -> None:
    with started("sleep", "300") as pid:
        process = seen(pid)
    assert Responder(9, tmp_path).kill(process).how in {
        "the process is gone", "the process is gone, and its number belongs to another"
    }  # fmt: skip


def test_the_whole_container_is_killed_and_the_rest_is_not(tmp_path) -> None:
    with started("sleep", "300") as one, started("sleep", "300") as two, started("sleep", "300") as host:
        people = [seen(one), seen(two), seen(host, None)]
        response = Responder(9, tmp_path).kill_container(people[0], lambda: people)
        assert response.how == "killed 2 processes of the container"
        assert gone(one)
        assert gone(two)
        assert alive(host)


def test_there_are_at_most_so_many_in_a_minute(tmp_path) -> None:
    now = [0]
    responder = Responder(2, tmp_path, lambda: now[0])
    dead = seen(os.getpid())
    assert [responder.kill(dead).spent for _ in range(3)] == [False, False, True]
    now[0] = 59_999_999_999
    assert responder.kill(dead).spent
    now[0] = 60_000_000_000
    assert not responder.kill(dead).spent


def test_only_what_was_done_can_be_taken_back(tmp_path) -> None:
    with pytest.raises(Error, match="nothing is held"):
        Responder(9, tmp_path).release("web")
    (tmp_path / "x.json").write_text("{")
    assert Responder(9, tmp_path).held() == []


def inside(identity, **parts):
    pid = first_pid(identity)
    return seen(pid, Container(identity, "box", runtime="docker", **parts))


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.usefixtures("box")
def test_the_engine_pauses_and_goes_on(tmp_path) -> None:
    responder = Responder(9, tmp_path)
    with container(name="pause") as identity:
        process = inside(identity)
        assert responder.pause(process, tuple).how == "paused by docker"
        assert docker("inspect", "-f", "{{.State.Paused}}", identity) == "true"
        assert [one.container for one in Responder(0, tmp_path).held()] == [identity]
        assert Responder(0, tmp_path).release(identity[:12]) == ["docker unpaused it"]
        assert docker("inspect", "-f", "{{.State.Paused}}", identity) == "false"
        assert responder.held() == []


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.usefixtures("box")
def test_without_an_engine_the_control_group_is_frozen_and_what_left_it_is_stopped(tmp_path) -> None:
    responder = Responder(9, tmp_path)
    with container(name="freeze") as identity, started("sleep", "300") as left:
        process = seen(first_pid(identity), Container(identity, "box"))
        escaped = seen(left, process.container)
        try:
            told = responder.pause(process, lambda: [process, escaped]).how
            assert told == "frozen by its control group; 1 processes outside it stopped"
            folder = os.open(f"/proc/{process.pid}", os.O_RDONLY)
            place = freezer.group(folder, identity)
            os.close(folder)
            assert identity in str(place)
            state = place / "freezer.state" if (place / "freezer.state").exists() else place / "cgroup.freeze"
            assert state.read_text().strip() in {"FROZEN", "FREEZING", "1"}
            wait_for(lambda: letter(left) == "T")
        finally:
            done = responder.release("box")
        assert done == ["its control group runs again", f"process {left} goes on"]
        assert state.read_text().strip() in {"THAWED", "0"}
        wait_for(lambda: letter(left) == "S")


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.usefixtures("box")
def test_a_network_is_cut_off_out_of_the_containers_reach_and_given_back(tmp_path) -> None:
    responder = Responder(9, tmp_path)
    with container("--cap-add", "NET_ADMIN", name="net") as identity:

        def carrier():
            return docker("exec", identity, "/bin/cat", "/sys/class/net/eth0/carrier")

        wait_for(lambda: carrier() == "1")
        told = responder.quarantine(inside(identity), tuple)
        assert told.done, told
        assert told.how.startswith("the host's end veth")
        wait_for(lambda: carrier() == "0")
        assert responder.release("box")[0].endswith(" is up")
        wait_for(lambda: carrier() == "1")


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.usefixtures("box")
def test_without_a_veth_every_route_is_refused(tmp_path) -> None:
    responder = Responder(9, tmp_path)
    with container("--network", "none", name="none") as identity:
        process = inside(identity)

        def attempt():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
                return sending.connect_ex(("192.0.2.1", 9))

        folder = os.open(f"/proc/{process.pid}", os.O_RDONLY)
        try:
            assert network.inside(folder, attempt) == errno.ENETUNREACH
            assert responder.quarantine(process, tuple).how == "every route is refused"
            assert network.inside(folder, attempt) == errno.EACCES
            assert responder.quarantine(process, tuple).done, "twice does no harm"
            assert responder.release("box") == ["its routes are back"]
            assert network.inside(folder, attempt) == errno.ENETUNREACH
        finally:
            os.close(folder)


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.usefixtures("box")
def test_the_hosts_network_is_left_alone(tmp_path) -> None:
    with container("--network", "host", name="host") as identity:
        response = Responder(9, tmp_path).quarantine(inside(identity), tuple)
        assert (response.done, response.how) == (False, "the container shares the host's network, which is left alone")


def wait_for(condition, seconds=10):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)
