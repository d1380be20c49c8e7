"""Neighbours on a network: a metadata service and a proxy of the drill's own, which nobody else is ever taken for."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill_program import container, docker, image
from drill_speech import until
from holdfast import techniques
from holdfast.app import drill
from holdfast.app.settings import Settings
from holdfast.drill import fence, lab, neighbours
from holdfast.drill.boxes import Box
from holdfast.drill.configurations import AXES, Offer, draw
from holdfast.drill.idle_container import FILE
from holdfast.drill.idle_container import made as idle
from holdfast.drill.journal import Journal, new_id
from holdfast.drill.metadata_service import ADDRESS, ROLES, MetadataService
from holdfast.drill.network_space import NetworkSpace
from holdfast.drill.read_proxy import PORT, ReadProxy
from holdfast.drill.session import Session
from holdfast.model.drill import Attempt, Outcome, leads_out
from holdfast.model.errors import NotReachable, Unsafe
from holdfast.model.replica import Neighbour, Replica
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.reason.effective.capabilities import EVERY

PAIR = ("metadata-credentials", "docker-socket-read-proxy")
TOKEN = "/latest/api/token"
SECONDS = "X-aws-ec2-metadata-token-ttl-seconds"
HEADER = "X-aws-ec2-metadata-token"


def interfaces() -> set[str]:
    """Return those of this machine without the ends of cables that engines lay for others meanwhile."""
    return {path.name for path in Path("/sys/class/net").iterdir() if not re.fullmatch("veth[0-9a-f]+", path.name)}


@contextmanager
def two_spaces() -> Iterator[tuple[NetworkSpace, NetworkSpace]]:
    with NetworkSpace.made() as one, NetworkSpace.made() as other:
        one.pair("a0", other, "b0")
        one.address("a0", "10.254.0.2", 30)
        other.address("b0", "10.254.0.1", 30)
        one.up("a0")
        other.up("b0", forward=True)
        yield one, other


# --- namespaces ---------------------------------------------------------------------------------------------------
@pytest.mark.root
def test_a_cable_between_two_namespaces_and_nothing_in_this_one() -> None:
    before = interfaces()
    with two_spaces() as (one, other):
        assert one.inode != other.inode
        assert interfaces() == before
        listening = other.call(lambda: socket.create_server(("10.254.0.1", 7)))
        with closing(listening), closing(one.call(lambda: socket.create_connection(("10.254.0.1", 7), 5))) as there:
            there.sendall(b"x")
            accepted, address = listening.accept()
            with closing(accepted):
                assert (accepted.recv(1), address[0]) == (b"x", "10.254.0.2")
        with pytest.raises(OSError, match="unreachable"):
            one.call(lambda: socket.create_connection((ADDRESS, 80), 5))
        with pytest.raises(OSError, match="File exists"):
            one.address("a0", "10.254.0.2", 30)
        with pytest.raises(OSError, match="no interface with this name"):
            one.up("nothing")
    assert interfaces() == before
    with pytest.raises(FileNotFoundError):
        NetworkSpace.of(0x7FFFFFFF)


@pytest.mark.root
def test_the_network_of_this_machine_is_never_changed() -> None:
    with NetworkSpace.of(os.getpid()) as ours, NetworkSpace.made() as other:
        with pytest.raises(Unsafe, match="The network of this machine would be changed"):
            fence.check_network(ours.inode, "replica")
        fence.check_network(other.inode, "replica")


# --- the metadata service -----------------------------------------------------------------------------------------
@contextmanager
def service(*, one_hop: bool = False) -> Iterator[tuple[MetadataService, NetworkSpace]]:
    with NetworkSpace.made() as space, ExitStack() as stack:
        space.address("lo", ADDRESS, 32)
        space.up("lo")
        yield stack.enter_context(closing(MetadataService(space.call, one_hop=one_hop))), space


def asked(space: NetworkSpace, method: str, path: str, **headers: str) -> tuple[int, str]:
    made = http.client.HTTPConnection(ADDRESS, 80, timeout=5)
    with closing(made):
        space.call(made.connect)
        made.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = made.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.root
def test_a_session_as_imdsv2_wants_it() -> None:
    with service() as (there, space):
        path = there.role("the-secret")
        assert path.startswith(f"{ROLES}holdfast-canary-")
        assert asked(space, "GET", ROLES) == (200, path.removeprefix(ROLES))
        found = json.loads(asked(space, "GET", path)[1])
        assert (found["SecretAccessKey"], found["AccessKeyId"]) == ("the-secret", "HOLDFAST-CANARY")
        status, token = asked(space, "PUT", TOKEN, **{SECONDS: "60"})
        assert (status, len(token) > 20) == (200, True)
        assert asked(space, "GET", path, **{HEADER: token}) == asked(space, "GET", path)
        assert asked(space, "GET", path, **{HEADER: "guessed"}) == (401, "")
        assert asked(space, "GET", f"{ROLES}other") == (404, "")
        assert asked(space, "GET", "/latest/user-data") == (404, "")
        for wrong in ("0", "21601", "x", ""):
            assert asked(space, "PUT", TOKEN, **{SECONDS: wrong})[0] == 400
        assert asked(space, "POST", path)[0] == 501


@pytest.mark.root
def test_with_one_hop_a_session_is_demanded() -> None:
    with service(one_hop=True) as (there, space):
        path = there.role("the-secret")
        assert asked(space, "GET", path) == (401, "")
        # Nothing lies between the two here, so the answer arrives.
        _, token = asked(space, "PUT", TOKEN, **{SECONDS: "60"})
        assert "the-secret" in asked(space, "GET", path, **{HEADER: token})[1]


# --- the proxy ----------------------------------------------------------------------------------------------------
@contextmanager
def proxy(engine: str, name: str, *, closed: bool = False) -> Iterator[tuple[ReadProxy, NetworkSpace]]:
    with two_spaces() as (one, other), ExitStack() as stack:
        yield stack.enter_context(closing(ReadProxy(other.call, "10.254.0.1", engine, name, closed=closed))), one


def said(space: NetworkSpace, text: str) -> bytes:
    with closing(space.call(lambda: socket.create_connection(("10.254.0.1", PORT), 5))) as there:
        there.sendall(text.encode())
        there.shutdown(socket.SHUT_WR)
        heard = b""
        while more := there.recv(65536):
            heard += more
        return heard


@pytest.mark.root
@given(st.text(max_size=60), st.sampled_from(["", "/v1.41", "/containers/ours/", "/containers/ours/archive?path="]))
def test_nothing_but_the_one_container_passes(passing: ReadProxy, text: str, before: str) -> None:
    path = f"{before}{text}"
    harmless = {"/_ping", "/v1.41/_ping", "/containers/ours/json", "/containers/ours/archive?path=/"}
    if passing.passes("GET", path) and path not in harmless:
        assert path.isascii()
        assert " " not in path
        assert path.startswith("/containers/ours/archive?path=/")
        assert not set(path.removeprefix("/containers/ours/archive?path=/")) & set("?&#%\r\n;")
    assert not passing.passes("POST", path)


@pytest.fixture(scope="module")
def passing() -> Iterator[ReadProxy]:
    with proxy("/nothing/here", "ours") as (there, _):
        yield there


@pytest.mark.root
def test_what_a_proxy_refuses_the_engine_never_hears(passing: ReadProxy) -> None:
    for path in (
        "/containers/json",
        "/containers/ours/logs",
        "/containers/other/json",
        "/info",
        "/containers/ours2/json",
        "/containers/ours/json?size=1",
        "/containers/ours/../other/json",
        "/v1.41/../containers/other/json",
        "//containers/ours/json",
        "http://x/containers/ours/json",
        "/containers/ours/archive?path=/a%20b",
    ):
        assert not passing.passes("GET", path), path
    for method in ("POST", "PUT", "DELETE", "get", "OPTIONS"):
        assert not passing.passes(method, "/containers/ours/json")
    assert passing.passes("HEAD", "/v1.41/containers/ours/archive?path=/etc/x")


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / "state"))
    with Journal.open(new_id(), 600) as made:
        yield made


@pytest.mark.root
@pytest.mark.engine
def test_the_real_engine_tells_through_a_proxy_about_the_canary_alone(journal: Journal) -> None:
    from holdfast.drill import reaper

    engine = neighbours.engine_socket("")
    with image() as base:
        try:
            told_of = idle(journal, base)
            with container(base, "--env", "PASSWORD=real") as other, proxy(engine, told_of.name) as (_, space):
                copy = said(space, f"GET /containers/{told_of.name}/archive?path={FILE} HTTP/1.1\r\n\r\n")
                assert copy.split(b" ")[1] == b"200"
                assert told_of.secret.encode() in copy
                shown = said(space, f"GET /v1.40/containers/{told_of.name}/json HTTP/1.1\r\n\r\n")
                assert told_of.secret.encode() in shown[:4096], "the probe keeps so much"
                assert said(space, "GET /_ping HTTP/1.1\r\n\r\n").endswith(b"OK")
                for text in (
                    f"GET /containers/{other}/json HTTP/1.1\r\n\r\n",
                    "GET /containers/json HTTP/1.1\r\n\r\n",
                    f"DELETE /containers/{told_of.name} HTTP/1.1\r\n\r\n",
                    f"GET /_ping HTTP/1.1\r\nContent-Length: 60\r\n\r\nGET /containers/{other}/json HTTP/1.1\r\n\r\n",
                ):
                    heard = said(space, text)
                    assert b"real" not in heard
                    assert heard.split(b" ")[1] == (b"200" if "_ping" in text else b"403"), text
                with proxy(engine, told_of.name, closed=True) as (_, strict):
                    assert b" 403 " in said(strict, f"GET /containers/{told_of.name}/json HTTP/1.1\r\n\r\n")
                    assert said(strict, "GET /_ping HTTP/1.1\r\n\r\n").endswith(b"OK")
            assert docker("container", "inspect", "--format", "{{.State.Status}}", told_of.name).strip() == "created"
        finally:
            gone = reaper.finish(journal)
    assert [each for each in gone if isinstance(each, reaper.Left)] == []
    assert docker("ps", "--all", "--quiet", "--filter", f"label=holdfast.drill={journal.id}") == ""


def test_an_engine_without_a_socket_is_no_engine_to_stand_before(tmp_path: Path) -> None:
    for address in ("tcp://127.0.0.1:2375", f"unix://{tmp_path}/none", "ssh://host"):
        with pytest.raises(NotReachable, match="There is no Docker engine"):
            neighbours.engine_socket(address)


def no_image() -> str:
    pytest.fail("an image was made although there is nobody to remove it")


@pytest.mark.root
def test_nothing_is_made_where_it_cannot_be_placed(journal: Journal) -> None:
    beside = neighbours.Neighbours(journal, no_image, "unix:///nothing/here")
    written = (journal.folder / "journal").read_bytes()

    def placed(pid: int, neighbour: Neighbour) -> None:
        with beside.placed(Box(Session([]), pid, "replica", Replica(neighbour=neighbour))):
            pass

    with pytest.raises(Unsafe, match="The network of this machine would be changed"):
        placed(os.getpid(), Neighbour.METADATA)
    with pytest.raises(NotReachable, match="A network cannot be made for the replica"):
        placed(0, Neighbour.METADATA)
    with subprocess.Popen(["unshare", "--net", "sleep", "60"]) as process:
        try:
            assert until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
            with pytest.raises(NotReachable, match="There is no Docker engine behind a socket"):
                placed(process.pid, Neighbour.READ_PROXY)
            placed(process.pid, Neighbour.METADATA)
        finally:
            process.kill()
    assert (journal.folder / "journal").read_bytes() == written


# --- who is asked at all ------------------------------------------------------------------------------------------
def test_only_where_nobody_else_can_be_meant() -> None:
    shares = frozenset({"net"})
    for replica, alone in (
        (Replica(), True),
        (Replica(network="bridge"), False),
        (Replica(namespaces=shares), False),
        (Replica(engine="oci", network="bridge"), True),
        (Replica(engine="oci", namespaces=shares), False),
    ):
        assert neighbours.isolated(replica, disposable=False) is alone
        assert neighbours.isolated(replica, disposable=True)
    beside = Replica(neighbour=Neighbour.METADATA)
    assert neighbours.reached(beside) is Neighbour.METADATA
    assert neighbours.reached(replace(beside, runtime="runsc")) is Neighbour.NONE
    assert neighbours.reached(replace(beside, namespaces=shares)) is Neighbour.NONE


def test_a_neighbour_is_drawn_only_beside_a_network_of_its_own() -> None:
    offer = Offer("docker", ("runc", "crun", "runsc"), EVERY, privileged=True, bridge=True)
    drawn = draw(offer, 5, 300)
    assert {replica.neighbour for _, replica in drawn} == set(Neighbour)
    for _, replica in drawn:
        assert replica.neighbour is Neighbour.NONE or "net" not in replica.namespaces
        assert replica.neighbour is Neighbour.NONE or neighbours.isolated(replica, disposable=False)
    podman = draw(replace(offer, engine="podman", bridge=False), 5, 300)
    assert {replica.neighbour for _, replica in podman} == set(Neighbour) - {
        Neighbour.READ_PROXY,
        Neighbour.CLOSED_PROXY,
    }
    assert len(AXES["network"]) == len(Neighbour)


# --- drilled ------------------------------------------------------------------------------------------------------
def drilled(monkeypatch: pytest.MonkeyPatch, *, explain: bool = False, **replicas: Replica) -> dict[str, list[Attempt]]:
    for name, replica in replicas.items():
        monkeypatch.setitem(lab.LAB, name, replica)
    before = interfaces()
    plan = drill.Plan(tuple(f"lab:{name}" for name in replicas), PAIR, consent=True, explain=explain)
    report = drill.drill(plan, Settings(), lambda _text: None)
    assert (report.left, report.changed, report.stopped) == ((), (), "")
    assert [each.trouble for each in (*report.exercises, *report.controls) if each.trouble] == []
    assert interfaces() == before
    for control in report.controls:
        assert {(each.outcome, each.predicted) for each in control.attempts} == {(Outcome.BLOCKED, NO)}
        assert {each.steps[-1].answer for each in control.attempts} == {"ENETUNREACH"}
    return {each.name: sorted(each.attempts, key=lambda one: PAIR.index(one.technique)) for each in report.exercises}


def told(attempt: Attempt) -> tuple[Any, ...]:
    return attempt.outcome, attempt.predicted, *(each.answer for each in attempt.steps)


@pytest.mark.root
@pytest.mark.engine
def test_each_works_where_it_should_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    found = drilled(
        monkeypatch,
        cloud=Replica(neighbour=Neighbour.METADATA),
        hop=Replica(neighbour=Neighbour.METADATA_ONE_HOP),
        proxy=Replica(neighbour=Neighbour.READ_PROXY, user="65534:65534"),
        closed=Replica(neighbour=Neighbour.CLOSED_PROXY),
    )
    escaped, blocked = (Outcome.ESCAPED, YES, "ok", "ok"), (Outcome.BLOCKED, NO)
    assert told(found["cloud"][0]) == escaped
    assert told(found["proxy"][1]) == escaped
    assert found["proxy"][1].way == "copy a canary out of another container"
    assert told(found["hop"][0]) == (*blocked, "ok", "ETIMEDOUT")
    assert told(found["closed"][1]) == (*blocked, "ok", "HTTP 403")
    assert told(found["cloud"][1]) == (*blocked, "ECONNREFUSED")
    assert told(found["closed"][0]) == (*blocked, "ENETUNREACH")
    for name in PAIR:
        assert not leads_out(techniques.load()[name]), "the drill played a part"


@pytest.mark.root
@pytest.mark.engine
def test_whoever_has_a_real_network_is_not_used_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cloud's machine the address is the cloud's; its credentials are no canaries."""
    found = drilled(monkeypatch, host=Replica(namespaces=frozenset({"net"}), neighbour=Neighbour.METADATA))
    assert [told(each) for each in found["host"]] == [(Outcome.NOT_ATTEMPTED, UNKNOWN)] * 2


@pytest.mark.root
@pytest.mark.engine
def test_the_hop_that_is_too_many_is_told_as_the_hosts_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = drilled(monkeypatch, explain=True, hop=Replica(neighbour=Neighbour.METADATA_ONE_HOP))
    assert [layer.value for layer in found["hop"][0].blocked_by] == ["the host"]
