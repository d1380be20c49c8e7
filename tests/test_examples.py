"""The examples come out as their page says, through the program, as a reader would try them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

COMPOSE = {"web": "contained", "database": "contained", "monitor": "escapable", "backup": "escapable"}
KUBERNETES = {
    "shop/web/web": "contained",
    "monitoring/log-shipper/shipper": "unknown",
    "monitoring/node-agent/agent": "escapable",
}
RECORDED = {
    "shop-clean": "contained",
    "shop-default": "contained",
    "shop-socket": "escapable",
    "shop-admin": "escapable",
    "shop-host-pid": "escapable",
    "shop-disk": "escapable",
}
HOST = ("--host", "examples/03-recorded/host.json")


def scanned(*words: str) -> dict[str, dict[str, object]]:
    command = [sys.executable, "-m", "holdfast", "scan", *words, "--format", "json", "--fail-on", "never"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    report = json.loads(answer.stdout)
    assert report["not_understood"] == []
    return {each["workload"]["name"]: each for each in report["assessments"]}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("examples/01-compose-shop",), COMPOSE),
        (("examples/02-kubernetes-shop",), KUBERNETES),
        ((*HOST, "examples/03-recorded/containers.json"), RECORDED),
        (("examples",), COMPOSE | KUBERNETES | RECORDED | {"shop-admin": "unknown"}),
    ],
)
def test_an_example_comes_out_as_its_page_says(words: tuple[str, ...], expected: dict[str, str]) -> None:
    found = scanned(*words)
    assert {name: each["verdict"] for name, each in found.items()} == expected


def test_the_telling_way_stands_first() -> None:
    found = scanned("examples/01-compose-shop")
    assert found["monitor"]["paths"][0]["steps"] == ["docker-socket"]  # type: ignore[index]


def test_the_demo_says_so_where_no_engine_can_be_had() -> None:
    environment = {**os.environ, "HOLDFAST_ENGINE": "no engine", "BIN": str(Path(sys.executable).parent)}
    answer = subprocess.run(
        ["scripts/demo", "inside"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "recorded documents" in answer.stderr
    assert "docker-socket -> host root" in answer.stdout
