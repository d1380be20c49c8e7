"""Running containers through the program: by name, by id, by process; their facts; a baseline after a restart."""

import json

import pytest

from cli_program import holdfast, scanned
from collect_box import container, docker, first_pid, image

pytestmark = [pytest.mark.engine, pytest.mark.root]
SOCKET = ("-v", "/var/run/docker.sock:/s", "--network", "none")


@pytest.fixture(scope="module", autouse=True)
def _box(tmp_path_factory):
    with image(tmp_path_factory.mktemp("box")):
        yield


@pytest.fixture(scope="module")
def open_one(_box):
    with container(*SOCKET, name="open") as identity:
        yield identity, docker("inspect", "-f", "{{.Name}}", identity).lstrip("/")


def test_a_container_is_found_by_its_name_and_by_the_beginning_of_its_id(tmp_path, open_one):
    identity, name = open_one
    for target in (name, identity, identity[:12]):
        ended = scanned(f"docker://{target}", folder=tmp_path)
        assert ended.verdicts == {name: "escapable"}, target
        assert ended.code == 1
        assert ended.report["assessments"][0]["host"] == "this machine"
    ended = holdfast("scan", f"docker://{name}", folder=tmp_path)
    assert "host path /run/docker.sock is mounted" in ended.out
    assert "give --host this" not in ended.out


def test_a_process_of_a_container_stands_for_it(tmp_path, open_one):
    identity, _ = open_one
    pid = first_pid(identity)
    ended = scanned(f"proc://{pid}", folder=tmp_path)
    (one,) = ended.report["assessments"]
    assert one["verdict"] == "escapable"
    ended = scanned(f"proc://{pid}", "proc://1", folder=tmp_path)
    assert [each["where"] for each in ended.report["not_understood"]] == ["proc://1"]


def test_the_facts_of_a_container_are_declared_observed_and_effective(tmp_path, open_one):
    _, name = open_one
    ended = holdfast("facts", f"docker://{name}", "--format", "json", folder=tmp_path)
    (one,) = json.loads(ended.out)["workloads"]
    facts = one["facts"]
    assert {fact.partition(".")[0] for fact in facts} >= {"container", "declared", "observed"}
    assert facts["container.host_paths"]["value"]["items"] == ["/run/docker.sock"]
    assert facts["container.host_paths"]["place"]["document"].startswith("/proc/")
    assert facts["declared.mounts"]["place"]["document"].startswith("docker://")
    assert holdfast("facts", "docker://hf-cli-nobody", folder=tmp_path).code == 3


def test_a_container_that_was_made_anew_is_nothing_new(tmp_path):
    name = ""
    for words in (("-o", "old.json"), ("--baseline", "old.json")):
        with container(*SOCKET, name="again") as identity:
            name = docker("inspect", "-f", "{{.Name}}", identity).lstrip("/")
            ended = holdfast("scan", f"docker://{name}", *words, folder=tmp_path)
    assert ended.code == 0
    assert ended.out.endswith("nothing new\n")
    assert json.loads((tmp_path / "old.json").read_text())["assessments"][0]["workload"]["name"] == name
