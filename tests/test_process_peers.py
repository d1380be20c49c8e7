"""Containers that share a process namespace look into each other; others do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.app import scan
from holdfast.app.settings import Settings
from holdfast.model.words import declared
from holdfast.platforms import docker_run


def verdicts(folder: Path, name: str, text: str) -> dict[str, str]:
    (folder / name).write_text(text, encoding="utf-8")
    report = scan.scan((str(folder / name),), Settings(quiet=True))
    return {one.workload.name.rpartition("/")[2]: one.verdict.value for one in report.assessments}


def test_a_service_joins_the_process_namespace_of_another(tmp_path: Path) -> None:
    text = """services:
  web: {image: x}
  debug: {image: x, pid: "service:web"}
  other: {image: x, pid: "service:debug", user: "1000"}
  admin: {image: x, pid: "service:web", cap_add: [NET_ADMIN]}
  less: {image: x, pid: "service:web", cap_drop: [NET_RAW]}
  all: {image: x, pid: "service:web", privileged: true}
  alone: {image: x}
"""
    assert verdicts(tmp_path, "compose.yaml", text) == {
        "web": "escapable",
        "debug": "escapable",
        "other": "contained",
        "admin": "escapable",
        "less": "unknown",
        "all": "escapable",
        "alone": "contained",
    }


POD = "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  {spec}\n"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "shareProcessNamespace: true\n  containers: [{name: a, image: x}, {name: b, image: x}]",
            {"a": "escapable", "b": "escapable"},
        ),
        ("shareProcessNamespace: true\n  containers: [{name: a, image: x}]", {"a": "contained"}),
        (
            "shareProcessNamespace: false\n  containers: [{name: a, image: x}, {name: b, image: x}]",
            {"a": "contained", "b": "contained"},
        ),
        (
            "shareProcessNamespace: true\n  initContainers: [{name: i, image: x}]\n  containers: [{name: a, image: x}]",
            {"i": "contained", "a": "contained"},
        ),
        (
            (
                "shareProcessNamespace: true\n  initContainers: [{name: i, image: x, restartPolicy: Always}]\n"
                "  containers: [{name: a, image: x}]"
            ),
            {"i": "escapable", "a": "escapable"},
        ),
        (
            (
                "shareProcessNamespace: true\n  securityContext: {runAsNonRoot: true}\n"
                "  containers: [{name: a, image: x}, {name: b, image: x}]"
            ),
            {"a": "unknown", "b": "unknown"},
        ),
        (
            (
                "containers: [{name: a, image: x}, {name: b, image: x}]\n"
                "  ephemeralContainers: [{name: e, image: x, targetContainerName: a}]"
            ),
            {"a": "escapable", "b": "contained", "e": "escapable"},
        ),
        (
            (
                "containers: [{name: a, image: x}]\n  ephemeralContainers:\n"
                "  - {name: e, image: x, targetContainerName: a, securityContext: {privileged: true}}"
            ),
            {"a": "contained", "e": "escapable"},
        ),
    ],
)
def test_a_pod_shares_its_process_namespace(tmp_path: Path, spec: str, expected: dict[str, str]) -> None:
    assert verdicts(tmp_path, "pod.yaml", POD.format(spec=spec)) == expected


def test_commands_of_one_script() -> None:
    text = "docker run --name web x\ndocker run --name same --pid container:web x\ndocker run --name far x\n"
    told = {
        one.workload.name: one.facts.value(declared.PROCESS_PEERS) if declared.PROCESS_PEERS in one.facts else None
        for one in docker_run.read_command(text, "x").workloads
    }
    assert told == {"web": "same", "same": "same", "far": None}


def test_a_circle_of_namespaces_ends() -> None:
    text = "docker run --name a --pid container:b x\ndocker run --name b --pid container:a x\n"
    assert len(docker_run.read_command(text, "x").workloads) == 2
