"""What an owner says to Holdfast with a label or an annotation is heard in every dialect."""

from __future__ import annotations

import json

import pytest

from holdfast.collect.parse import parse
from holdfast.model.errors import NotUnderstood
from holdfast.model.tree import Document
from holdfast.model.workload import Needs, Reading, Surroundings
from holdfast.platforms import compose, docker_inspect, docker_run, kubernetes, oci_runtime
from holdfast.platforms._own_labels import DRILL, assigned, own

NEVER = {DRILL: "never"}


def read(name: str, text: str) -> Reading:
    """Read a text with the one reader that knows it."""
    document, problems = parse(name, text.encode())
    assert not problems
    room = next(
        each for each in (oci_runtime, docker_inspect, compose, kubernetes, docker_run) if each.recognises(document)
    )
    files: dict[str, Document | NotUnderstood | None] = {}
    for _ in range(4):
        try:
            return room.read(document, Surroundings(files))
        except Needs as needs:
            files |= dict.fromkeys(needs.names)
    raise AssertionError("it asks again and again")


def labels(name: str, text: str) -> list[dict[str, str]]:
    return [dict(each.workload.labels) for each in read(name, text).workloads]


def test_only_what_speaks_to_us_is_kept_and_never_holds() -> None:
    assert own([("a", "never"), ("holdfast.drilling", "never")]) == {}
    assert own([(DRILL, "yes")]) == {DRILL: "yes"}
    assert own([(DRILL, " Never "), (DRILL, "yes")]) == {DRILL: " Never "}
    assert own([(DRILL, "yes"), (DRILL, None)]) == NEVER
    assert assigned("a=b=c") == ("a", "b=c")
    assert assigned("a") == ("a", "")


@pytest.mark.parametrize(
    "written",
    [
        "labels: {holdfast.drill: never}",
        "labels: [other=1, holdfast.drill=never]",
        "annotations: [holdfast.drill=never]",
        "annotations: {holdfast.drill: never}",
        "labels: {holdfast.drill: '${MODE}'}",
        "labels: ['holdfast.drill=${MODE}']",
        "labels: {holdfast.drill: '${MODE:-never}'}",
        "labels: {holdfast.drill: yes-please}\n    annotations: {holdfast.drill: never}",
    ],
)
def test_compose(written: str) -> None:
    assert labels("/srv/web/compose.yaml", f"services:\n  web:\n    image: nginx\n    {written}\n") == [NEVER]


def test_compose_without() -> None:
    text = "services:\n  web:\n    image: nginx\n    labels: {a: never, holdfast.drill: 'yes'}\n  db: {image: db}\n"
    assert labels("/srv/web/compose.yaml", text) == [{DRILL: "yes"}, {}]


def test_compose_extends_in_the_other_form() -> None:
    text = """\
services:
  base: {image: nginx, labels: {holdfast.drill: never}, profiles: [no]}
  web: {extends: {service: base}, labels: [other=1]}
"""
    found = {each.workload.name: dict(each.workload.labels) for each in read("/srv/web/compose.yaml", text).workloads}
    assert found["web"][DRILL] == "never"


@pytest.mark.parametrize(
    "option",
    [
        "--label holdfast.drill=never",
        "--label=holdfast.drill=never",
        "-l holdfast.drill=never",
        "-dl holdfast.drill=never",
        "-l 'holdfast.drill=never'",
        "-l a=b --label holdfast.drill=$MODE",
        "--annotation holdfast.drill=never",
    ],
)
def test_docker_run(option: str) -> None:
    assert labels("run.sh", f"docker run {option} nginx\n") == [NEVER]


def test_docker_run_without() -> None:
    assert labels("run.sh", "docker run -l other=never nginx\n") == [{}]


@pytest.mark.parametrize("kind", ["labels", "annotations"])
def test_a_pod(kind: str) -> None:
    text = f"""\
apiVersion: v1
kind: Pod
metadata: {{name: web, {kind}: {{holdfast.drill: never}}}}
spec: {{containers: [{{name: a, image: a}}, {{name: b, image: b}}]}}
"""
    assert labels("pod.yaml", text) == [NEVER, NEVER]


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("labels: {holdfast.drill: never}", "labels: {a: b}"),
        ("labels: {a: b}", "annotations: {holdfast.drill: never}"),
        ("annotations: {holdfast.drill: never}", "annotations: {holdfast.drill: 'yes'}"),
    ],
)
def test_a_template_and_its_owner(outer: str, inner: str) -> None:
    text = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, {outer}}}
spec:
  template:
    metadata: {{{inner}}}
    spec: {{containers: [{{name: a, image: a}}]}}
"""
    assert labels("web.yaml", text) == [NEVER]


def test_a_cron_job() -> None:
    text = """\
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  jobTemplate:
    spec:
      template:
        metadata: {annotations: {holdfast.drill: never}}
        spec: {containers: [{name: a, image: a}]}
"""
    assert labels("job.yaml", text) == [NEVER]


def test_an_oci_configuration() -> None:
    config = {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["sh"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "linux": {},
        "annotations": {"a": "b", "holdfast.drill": "never"},
    }
    assert labels("config.json", json.dumps(config)) == [NEVER]
    del config["annotations"]
    assert labels("config.json", json.dumps(config)) == [{}]


def test_docker_inspect() -> None:
    answer = [{"Id": "a" * 64, "Name": "/web", "HostConfig": {}, "Config": {"Labels": {"holdfast.drill": "never"}}}]
    assert labels("inspect.json", json.dumps(answer)) == [NEVER]


def test_the_labels_of_others_need_not_be_known() -> None:
    text = 'services:\n  web:\n    image: nginx\n    labels: ["a.${HOST}=x", "b=${PORT:?set it}"]\n'
    found = read("/srv/web/compose.yaml", text)
    assert [dict(each.workload.labels) for each in found.workloads] == [{}]
    assert found.problems == ()
